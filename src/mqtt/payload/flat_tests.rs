use super::*;
use crate::config::plan_from_text;
use crate::mqtt::payload::{Bodies, compose};
use crate::reading::Failure;
use catalogue::Profile;
use dlt645::format::{Date, Time, Value};
use std::collections::HashSet;
use std::path::Path;

fn plan() -> Plan {
    let text = "[gateway]\nid = \"gw01\"\ntimezone = \"Asia/Shanghai\"\n[mqtt]\npayload = \"flat\"\n\
                [[bus]]\nname = \"a\"\nport = \"/dev/ttyS1\"\n\
                [[meter]]\nname = \"flat-101\"\nbus = \"a\"\naddress = \"12345678\"\nct = \"75/5\"\n\
                [[task]]\nname = \"live\"\nevery = \"1m\"\nregisters = [\"voltage_l1\"]\n";
    plan_from_text("meterd.toml", text, Path::new("/")).unwrap().plan
}

fn report(plan: &Plan) -> Report {
    let register = |name: &str| Catalogue::dlt645_2007().find(name, 4).unwrap()[0];
    let reading = |name: &str, value: Value, quality| Reading {
        register: register(name),
        content: Content::Value(value),
        quality,
        why: None,
        raw: None,
        taken_at: "2026-11-21T02:15:00.431Z".parse().unwrap(),
        primary: plan.meters[0].transformers.primary(register(name).quantity(), &value),
    };
    let number = |digits: &str| Value::Number(digits.parse().unwrap());
    let at = (Date { year: 26, month: 11, day: 20 }, Time { hour: 18, minute: 30, second: None });
    let record = Reading {
        content: Content::Record(vec![0x10, 0, 0, 0x20, 0, 0]),
        primary: None,
        ..reading("total_voltage_loss_totals", number("0"), Quality::Good)
    };
    Report {
        meter: 0,
        task: 0,
        slot: "2026-11-21T02:15:00Z".parse().unwrap(),
        origin: crate::reading::Origin::default(),
        readings: vec![
            reading("voltage_l1", number("220.0"), Quality::Good),
            reading("active_energy_import", number("1234.50"), Quality::Suspect),
            reading(
                "01010000",
                Value::Demand { value: "0.1234".parse().unwrap(), at: Some(at) },
                Quality::NotFrozen,
            ),
            record,
        ],
        failures: vec![Failure {
            register: register("current_l2"),
            reason: Reason::Refused,
            detail: "no requested data".into(),
            raw: None,
        }],
    }
}

#[test]
fn a_flat_message_has_every_digit_and_the_time_and_quality_beside() {
    let plan = plan();
    let entry = Bodies::new(plan.clone().into()).entry(&report(&plan));
    assert_eq!(entry.topic, "meterd/v1/gw01/meter/flat-101/data/live");
    let text = String::from_utf8(compose("8f3c", 7, &entry.body)).unwrap();
    let archive = &plan.archive;
    let expected = format!(
        r#"{{"v":1,"store":"8f3c","seq":7,"gateway":"gw01","meter":"flat-101","address":"000012345678","archive":"{archive}","task":"live","source":"present","slot":"2026-11-21T10:15:00+08:00","day":null,"taken_at":"2026-11-21T10:15:00.431+08:00","backfilled":false,"quality":"suspect","suspect":["active_energy_import","max_demand_active_import"],"failures":{{"current_l2":"refused"}},"voltage_l1":220.0,"voltage_l1_primary":220.0,"active_energy_import":1234.50,"active_energy_import_primary":18517.50,"max_demand_active_import":0.1234,"max_demand_active_import_primary":1.8510,"max_demand_active_import_at":"2026-11-20T18:30","total_voltage_loss_totals":[{{"register":"count","value":10}},{{"register":"minutes","value":20,"unit":"min"}}]}}"#
    );
    assert_eq!(text, expected);
    assert_eq!(entry.identity.unwrap().registers.len(), 4);
}

#[test]
fn a_flat_message_reads_back_and_unfolds_to_what_it_says() {
    let plan = plan();
    let payload = compose("8f3c", 7, &Bodies::new(plan.clone().into()).entry(&report(&plan)).body);
    let message = FlatMessage::parse(&payload).unwrap();
    assert_eq!((message.seq, message.body.head.quality), (7, Some(Quality::Suspect)));
    let full = message.unfold();
    let shown: Vec<_> = full
        .body
        .readings
        .iter()
        .map(|r| (r.register.as_str(), r.value.as_ref().unwrap().to_string(), r.unit.as_deref(), r.quality))
        .collect();
    let expected = [
        ("voltage_l1", "220.0".to_owned(), Some("V"), Quality::Good),
        ("active_energy_import", "1234.50".to_owned(), Some("kWh"), Quality::Suspect),
        ("max_demand_active_import", "0.1234".to_owned(), Some("kW"), Quality::Suspect),
    ];
    assert_eq!(shown, expected, "records are left out");
    assert_eq!(full.body.readings[2].at.as_deref(), Some("2026-11-20T18:30"));
    assert_eq!(full.body.readings[2].primary.unwrap().to_string(), "1.8510");
    assert_eq!(full.body.failures[0].reason, Reason::Refused);
}

#[test]
fn no_register_is_called_as_a_key_beside_the_values() {
    let tables = [Catalogue::dlt645_2007(), Catalogue::dlt645_1997()];
    let profiles = Profile::all().map(Profile::catalogue);
    let names: HashSet<String> = tables
        .into_iter()
        .chain(profiles)
        .flat_map(Catalogue::registers)
        .map(|register| register.name().to_string())
        .collect();
    assert!(names.len() > 1000, "{}", names.len());
    for name in &names {
        assert!(!RESERVED.contains(&name.as_str()), "{name}");
        for beside in [PRIMARY, AT] {
            assert!(!names.contains(&format!("{name}{beside}")), "{name}{beside}");
        }
    }
}

#[test]
fn the_keys_that_are_reserved_are_those_beside_the_values() {
    let schema = super::super::schema_flat().to_value();
    let keys: HashSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, RESERVED.into_iter().collect());
}
