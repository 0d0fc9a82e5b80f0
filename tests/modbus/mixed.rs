//! A mixed line: DL/T 645-2007, DL/T 645-1997 and Modbus meters on one pair of wires, each at its own rate.

use catalogue::Profile;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use meterd::clock::Clock;
use meterd::config::plan_from_text;
use meterd::daemon::Daemon;
use meterd::mqtt::payload::{Body, EventJson, EventMessage, compose};
use meterd::planner::Line;
use meterd::simulator::{
    InMemory, MeterSettings, ModbusMeter, ModbusSettings, Pair, Said, VirtualLine, VirtualMeter, in_memory,
};
use modbus::UnitId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

const START: &str = "2026-11-21T10:00:30Z";
const MODELS: [&str; 6] =
    ["eastron-sdm630", "chint-dtsu666", "acrel-adl400", "carlo-gavazzi-em24", "abb-b23", "peacefair-pzem016"];
const MINUTES: i64 = 10;
/// The local time of the meters from which on one of each kind has no power, and when it has it again.
const DARK: (&str, &str) = ("2026-11-21T18:04:40", "2026-11-22T18:00:00");

/// 8 of 2007 at 2400, 4 of 1997 at 1200, 6 Modbus at 9600; `dying` has the first of each kind lose its power.
fn meters(dying: bool) -> (Vec<VirtualMeter>, Vec<ModbusMeter>) {
    let dark = |settings: &mut MeterSettings, first: bool| {
        if dying && first {
            let [from, to] = [DARK.0, DARK.1].map(|at| at.parse::<DateTime>().unwrap());
            settings.memory.power_cuts = vec![(from, to)];
        }
    };
    let dlt645 = (0..12).map(|n| {
        let mut settings = MeterSettings::household((100 + n).to_string().parse().unwrap());
        settings.energy = 1_234_567;
        if n >= 8 {
            settings.edition = dlt645::Edition::E1997;
            settings.baud = Some(1200);
        }
        dark(&mut settings, n == 0 || n == 8);
        VirtualMeter::new(settings, 7)
    });
    let modbus = MODELS.iter().zip(1..).map(|(model, unit)| {
        let mut settings = ModbusSettings::new(UnitId::new(unit).unwrap(), Profile::named(model).unwrap());
        settings.meter.baud = Some(9600);
        settings.meter.energy = 1_234_567;
        dark(&mut settings.meter, unit == 1);
        ModbusMeter::new(settings, 7)
    });
    (dlt645.collect(), modbus.collect())
}

fn configuration(data: &std::path::Path) -> meterd::config::Plan {
    let mut text = format!(
        "[gateway]\nid = \"gw\"\ntimezone = \"Asia/Shanghai\"\ndata_dir = \"{}\"\n\
         [[bus]]\nname = \"riser\"\nport = \"/dev/null\"\nbaud = 2400\nframe = \"8E1\"\n",
        data.display()
    );
    for n in 0..12 {
        let own = if n >= 8 { "protocol = \"dlt645-1997\"\nbaud = 1200\n" } else { "" };
        writeln!(text, "[[meter]]\nname = \"d{n}\"\nbus = \"riser\"\naddress = \"{}\"\n{own}", 100 + n)
            .unwrap();
    }
    for (model, unit) in MODELS.iter().zip(1..) {
        let at = "baud = 9600\nframe = \"8N1\"\n";
        writeln!(
            text,
            "[[meter]]\nname = \"m{unit}\"\nbus = \"riser\"\nprotocol = \"modbus-rtu\"\nprofile = \"{model}\"\n\
             address = \"{unit}\"\n{at}"
        )
        .unwrap();
    }
    text += "[[task]]\nname = \"live\"\nevery = \"1m\"\n\
             registers = [\"active_energy_import\", \"voltage_l1\", \"current_l1\", \"active_power\"]\n";
    match plan_from_text("mixed.toml", &text, data) {
        Ok(loaded) => loaded.plan,
        Err(faults) => panic!("{faults}"),
    }
}

/// What was read: by meter and slot the values by register.
type Read = BTreeMap<(String, Timestamp), BTreeMap<String, String>>;

/// Runs a gateway for some minutes on a mixed line.
async fn run(dying: bool) -> (Read, Vec<(Option<String>, String)>, InMemory) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::virtual_at(START.parse::<Timestamp>().unwrap());
    let (dlt645, modbus) = meters(dying);
    let pair =
        Pair::from(VirtualLine::new(dlt645).with_modbus(modbus)).at(Line { baud: 2400, ..Line::DEFAULT });
    let (opener, line) = in_memory(pair, clock.clone(), 1_000_000);
    let plan = configuration(folder.path());
    let running = Daemon::new(plan, clock.clone()).with_line(0, opener).without_broker().start().unwrap();
    tokio::time::sleep(Duration::from_secs(60 * MINUTES as u64)).await;
    running.store().flush().await.unwrap();
    let all = running.store().offer(0, 1_000_000).await.unwrap();
    let mut read = Read::new();
    for pending in all.iter().filter(|pending| pending.topic.contains("/data/")) {
        let body: Body = serde_json::from_str(&format!("{{{}", pending.body)).unwrap();
        let slot: Timestamp = body.slot.parse().unwrap();
        let values = read.entry((body.meter.clone(), slot)).or_default();
        for reading in &body.readings {
            values.insert(reading.register.clone(), reading.value.as_ref().unwrap().to_string());
        }
    }
    let event = |pending: &meterd::store::Pending| {
        let message = EventMessage::parse(&compose("", pending.seq, &pending.body)).unwrap();
        (message.body.meter, word(&message.body.event))
    };
    let events = all.iter().filter(|pending| pending.topic.contains("/event/")).map(event).collect();
    running.stop().await;
    (read, events, line)
}

fn word(event: &EventJson) -> String {
    serde_json::to_value(event).unwrap()["event"].as_str().unwrap_or_default().to_owned()
}

fn slots() -> Vec<Timestamp> {
    let first: Timestamp = "2026-11-21T10:01:00Z".parse().unwrap();
    (0..MINUTES - 1).map(|n| first + SignedDuration::from_mins(n)).collect()
}

fn names() -> Vec<String> {
    (0..12).map(|n| format!("d{n}")).chain((1..=6).map(|n| format!("m{n}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn all_meters_of_a_mixed_line_are_read_every_minute_and_every_value_is_the_meters_own() {
    let (read, events, line) = run(false).await;
    for slot in slots() {
        for name in names() {
            let values =
                read.get(&(name.clone(), slot)).unwrap_or_else(|| panic!("{name} at {slot}: {events:?}"));
            // The household meters of 2007 and 1997, and the models that measure one phase, have all four too.
            assert_eq!(values.len(), 4, "{name} at {slot}: {values:?}");
        }
    }
    // What a Modbus meter's words say by its own profile is what was published of it.
    let mut said: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for sent in line.sent() {
        let (Some(unit), Said::Registers { span, words }) = (sent.meter.unit(), &sent.said) else { continue };
        let profile = Profile::named(MODELS[usize::from(unit.get()) - 1]).unwrap();
        for register in profile.catalogue().registers() {
            let Some(location) = register.location().filter(|own| span.contains(&own.span)) else { continue };
            let from = usize::from(location.span.address - span.address);
            let own = &words[from..from + usize::from(location.span.count)];
            if let Ok(value) = register.decode_words(own, 0) {
                let name = register.name().to_string();
                said.entry((format!("m{unit}"), name)).or_default().insert(value.to_string());
            }
        }
    }
    let mut compared = 0;
    for ((meter, slot), values) in read.iter().filter(|((meter, _), _)| meter.starts_with('m')) {
        for (register, value) in values {
            let own = said.get(&(meter.clone(), register.clone()));
            assert!(own.is_some_and(|own| own.contains(value)), "{meter} {register} at {slot}: {value}");
            compared += 1;
        }
    }
    println!(
        "a mixed line: {} meters, {} minutes, {compared} Modbus values compared",
        names().len(),
        slots().len()
    );
    assert!(compared >= 6 * 4 * slots().len(), "{compared}");
}

#[tokio::test(start_paused = true)]
async fn one_dying_meter_of_each_kind_disturbs_no_other() {
    let (read, events, _) = run(true).await;
    let dying = ["d0", "d8", "m1"];
    let dark: Timestamp = "2026-11-21T10:05:00Z".parse().unwrap();
    for slot in slots() {
        for name in names() {
            let is_read = read.get(&(name.clone(), slot)).is_some_and(|values| values.len() == 4);
            let is_dead = dying.contains(&name.as_str()) && slot >= dark;
            assert_eq!(
                is_read,
                !is_dead,
                "{name} at {slot}: {:?} {events:?}",
                read.get(&(name.clone(), slot))
            );
        }
    }
}
