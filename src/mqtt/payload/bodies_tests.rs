use super::*;
use crate::config::plan_from_text;
use crate::mqtt::payload::{Body, fragment};
use crate::reading::{Failure, Quality, Reason};
use catalogue::Catalogue;
use dlt645::format::{Date, Time, Word};
use jiff::Timestamp;
use rust_decimal::Decimal;

const PLAN: &str = r#"
    [gateway]
    id = "gw01"
    timezone = "Europe/Berlin"
    [[bus]]
    name = "b"
    port = "/dev/ttyS1"
    [[meter]]
    name = "总表 1"
    bus = "b"
    address = "000012345678"
    ct = "75/5"
    [[meter]]
    name = "flat-101"
    bus = "b"
    address = "1"
    [[task]]
    name = "live"
    every = "15m"
    registers = ["voltage_l1"]
    [[task]]
    name = "day"
    every = "1d"
    registers = ["voltage_l1"]
"#;

fn plan() -> Arc<Plan> {
    let here = std::path::Path::new("/nowhere");
    Arc::new(plan_from_text("meterd.toml", PLAN, here).unwrap_or_else(|faults| panic!("{faults}")).plan)
}

fn number(digits: &str) -> Content {
    Content::Value(Value::Number(digits.parse().unwrap()))
}

/// One of each form that a reading has.
fn readings(plan: &Plan, meter: usize, at: &str) -> Vec<Reading> {
    let date = Date { year: 26, month: 11, day: 20 };
    let time = Time { hour: 18, minute: 30, second: None };
    let demand = |at| Content::Value(Value::Demand { value: Decimal::new(1234, 4), at });
    let word = Word::from_wire(&[0x04, 0x00]).unwrap();
    [
        ("voltage_l1", number("220.0"), None),
        ("current_l1", number("-1.500"), None),
        ("power_factor", number("-0.000"), None),
        ("01010000", demand(Some((date, time))), None),
        ("01010000", demand(None), None),
        ("clock_date", Content::Value(Value::Date(date)), None),
        ("clock_time", Content::Value(Value::Time(time)), None),
        ("active_energy_import", number("123456.50"), Some("it \"fell\"")),
        ("status_word_1", Content::Value(Value::Bits(word)), None),
        ("total_voltage_loss_totals", Content::Record(vec![0x10, 0, 0, 0x20, 0, 0]), None),
    ]
    .into_iter()
    .map(|(name, content, why)| {
        let register = Catalogue::dlt645_2007().find(name, 4).unwrap().remove(0);
        let value = match &content {
            Content::Value(value) => Some(*value),
            Content::Record(_) => None,
        };
        Reading {
            register,
            content,
            quality: if why.is_some() { Quality::Suspect } else { Quality::Good },
            why: why.map(str::to_owned),
            raw: why.map(|_| vec![0x50, 0x00]),
            taken_at: at.parse().unwrap(),
            primary: value.and_then(|v| plan.meters[meter].transformers.primary(register.quantity(), &v)),
        }
    })
    .collect()
}

fn failure(name: &str) -> Failure {
    Failure {
        register: Catalogue::dlt645_2007().find(name, 4).unwrap()[0],
        reason: Reason::Implausible,
        detail: "a nibble above 9, \"A\"".to_owned(),
        raw: Some(vec![0xAB]),
    }
}

/// What is written is what the documented structs are as JSON: read back, and each reading by itself.
fn held_equal(bodies: &mut Bodies, report: &Report) -> store::Entry {
    let entry = bodies.entry(report);
    let body: Body = serde_json::from_str(&format!("{{{}", entry.body)).unwrap();
    assert_eq!(entry.body, fragment(&body));
    let zone = &bodies.plan.gateway.zone;
    let readings: Vec<ReadingJson> = report.readings.iter().map(|one| ReadingJson::of(one, zone)).collect();
    let failures: Vec<FailureJson> = report.failures.iter().map(FailureJson::of).collect();
    assert_eq!(json::text(&body.readings), json::text(&readings));
    assert_eq!(json::text(&body.failures), json::text(&failures));
    let identity = entry.identity.as_ref().unwrap();
    let names: Vec<String> = readings.into_iter().map(|one| one.register).collect();
    assert_eq!((&identity.registers[..], identity.slot), (&names[..], report.slot));
    assert_eq!((&body.meter, &body.task), (&identity.meter, &identity.task));
    assert_eq!(body.slot, super::super::instant(report.slot, zone, Digits::Seconds));
    entry
}

#[test]
fn a_message_is_octet_for_octet_what_its_struct_is_as_json_whatever_came_before_it() {
    let plan = plan();
    let mut bodies = Bodies::new(Arc::clone(&plan));
    // The hour comes twice.
    let times = ["2026-10-25T00:59:59.999Z", "2026-10-25T01:00:00.0005Z", "2026-10-25T00:59:59.25Z"];
    for (nth, at) in times.into_iter().enumerate() {
        for meter in 0..2 {
            for task in 0..2 {
                let slot: Timestamp = "2026-10-25T01:00:00Z".parse().unwrap();
                let mut readings = readings(&plan, meter, at);
                readings.rotate_left(nth * 3 + meter);
                readings.truncate(10 - nth * 5);
                let failures = vec![failure("current_l2"); nth];
                let report = Report { meter, task, slot, origin: Origin::default(), readings, failures };
                held_equal(&mut bodies, &report);
            }
        }
    }
}

#[test]
fn messages_of_the_same_registers_share_their_names() {
    let plan = plan();
    let mut bodies = Bodies::new(Arc::clone(&plan));
    let mut names = |meter, count| {
        let mut readings = readings(&plan, meter, "2026-10-25T00:00:00Z");
        readings.truncate(count);
        let slot = Timestamp::UNIX_EPOCH;
        let report =
            Report { meter, task: 0, slot, origin: Origin::default(), readings, failures: Vec::new() };
        held_equal(&mut bodies, &report).identity.unwrap().registers
    };
    let (one, other, fewer) = (names(0, 9), names(1, 9), names(0, 2));
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(fewer[..], one[..2]);
    // As many makes as there may be, each with other failures.
    for count in 0..=10 {
        assert_eq!(names(1, count)[..], names(0, count)[..]);
    }
}
