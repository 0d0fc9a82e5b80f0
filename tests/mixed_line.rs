//! Meters of DL/T 645 and of Modbus on one line, and the whole daemon but the broker on virtual time: what is
//! published is what the meters sent to the question, also where the line is faulty.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use catalogue::{Profile, Register};
use jiff::{SignedDuration, Timestamp};
use meterd::clock::Clock;
use meterd::daemon::Daemon;
use meterd::mqtt::payload::{self, DataMessage, ReadingJson};
use meterd::planner::Line;
use meterd::simulator::{Injection, Said, Scenario, Sent, in_memory};
use std::collections::BTreeMap;
use std::time::Duration;

const SCENARIO: &str = r#"
seed = 7
[[meter]]
address = "101"
energy = "1234.56"
[[meter]]
address = "102"
[[meter]]
protocol = "modbus-rtu"
profile = "eastron-sdm630"
address = "17"
baud = 9600
energy = "412.88"
[[meter]]
protocol = "modbus-rtu"
profile = "chint-dtsu666"
map = "401e"
address = "18"
baud = 9600
"#;

const CONFIGURATION: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "$DATA"
clock = "set"

[[bus]]
name = "riser-1"
port = "/dev/null"

[[meter]]
name = "flat-101"
bus = "riser-1"
address = "101"

[[meter]]
name = "flat-102"
bus = "riser-1"
address = "102"

[[meter]]
name = "press"
bus = "riser-1"
protocol = "modbus-rtu"
address = "17"
profile = "eastron-sdm630"
wiring = "3p4w"

[[meter]]
name = "pump"
bus = "riser-1"
protocol = "modbus-rtu"
address = "18"
profile = "chint-dtsu666"
wiring = "3p4w"

[[task]]
name = "live"
every = "1m"
registers = ["active_energy_import", "voltage_l*", "active_power", "frequency"]
"#;

const MODELS: [(&str, &str, &str); 2] = [("press", "17", "eastron-sdm630"), ("pump", "18", "chint-dtsu666")];

/// Reads the line for some minutes: all data messages, and what the meters sent.
async fn read(faults: &[&str], minutes: u64) -> (Vec<DataMessage>, Vec<Sent>) {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::virtual_at("2026-11-21T10:00:30Z".parse().unwrap());
    let injections: Vec<Injection> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let scenario = Scenario::parse("mixed", SCENARIO).unwrap();
    let pair = scenario.pair().at(Line::DEFAULT).with_faults(&injections, 3, true);
    let (opener, line) = in_memory(pair, clock.clone(), 100_000);
    let plan = support::plan(CONFIGURATION, data.path());
    let daemon = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
    tokio::time::sleep(Duration::from_secs(minutes * 60)).await;
    let store = daemon.store();
    let pending = store.offer(0, 100_000).await.unwrap();
    let data = pending.iter().filter(|pending| pending.topic.contains("/data/"));
    let messages =
        data.map(|own| DataMessage::parse(&payload::compose(&store.id(), own.seq, &own.body)).unwrap());
    let messages = messages.collect();
    let sent = line.sent();
    daemon.stop().await;
    (messages, sent)
}

/// What a register was in an answer; none where the answer does not have it.
fn text_in(register: Register, said: &Said) -> Option<String> {
    let Said::Registers { span, words } = said else { return None };
    let own = register.location().unwrap().span;
    let first = usize::from(own.address.checked_sub(span.address).filter(|_| span.contains(&own))?);
    let words = words.get(first..first + usize::from(own.count))?;
    register.decode_words(words, 0).ok().map(|value| value.to_string())
}

/// Whether the unit sent this value of the register when the reading was taken.
fn was_sent(reading: &ReadingJson, (unit, profile): (&str, &str), sent: &[Sent]) -> bool {
    let catalogue = Profile::named(profile).unwrap().catalogue();
    let taken_at: Timestamp = reading.taken_at.parse().unwrap();
    let near = |sent: &&Sent| {
        sent.meter.unit().is_some_and(|own| own.to_string() == unit)
            && taken_at.duration_since(sent.begun).abs() < SignedDuration::from_millis(20)
    };
    // A model with two maps has some names twice.
    let rows = || catalogue.registers().filter(|row| row.name().to_string() == reading.register);
    let value = reading.value.as_ref().unwrap().to_string();
    sent.iter().filter(near).any(|sent| rows().any(|row| text_in(row, &sent.said).as_ref() == Some(&value)))
}

fn wrong(messages: &[DataMessage], sent: &[Sent]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (meter, unit, profile) in MODELS {
        let readings = messages.iter().filter(|message| message.body.meter == meter);
        for reading in readings.flat_map(|message| &message.body.readings) {
            if !was_sent(reading, (unit, profile), sent) {
                wrong.push(format!("{meter}: {reading:?}"));
            }
        }
    }
    wrong
}

#[tokio::test(start_paused = true)]
async fn meters_of_both_kinds_are_read_on_one_line_and_each_value_is_its_own_meters() {
    let (messages, sent) = read(&[], 5).await;
    let mut read: BTreeMap<&str, usize> = BTreeMap::new();
    for message in &messages {
        // A flat has one phase alone.
        let failures = message.body.failures.iter().filter(|one| !one.register.starts_with("voltage_l"));
        assert_eq!(failures.count(), 0, "{message:?}");
        *read.entry(&message.body.meter).or_default() += message.body.readings.len();
    }
    assert_eq!(read.keys().copied().collect::<Vec<_>>(), ["flat-101", "flat-102", "press", "pump"]);
    // Energy, power, frequency, and the voltages of one phase or of three.
    assert!(read["flat-101"] >= 4 * 4 && read["press"] >= 6 * 4 && read["pump"] >= 6 * 4, "{read:?}");
    assert_eq!(wrong(&messages, &sent), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_faulty_line_gives_fewer_values_and_no_wrong_ones() {
    let faults = [
        "silent=0.05",
        "late=0.05",
        "cut=0.05",
        "damaged=0.05",
        "echo=0.3",
        "stray=0.05",
        "glued=0.1",
        "split=0.05",
        "busy=0.05",
        "device_failure=0.05",
        "refuse_blocks=0.05",
    ];
    let (messages, sent) = read(&faults, 120).await;
    let own = |meter: &str| {
        let own = messages.iter().filter(|message| message.body.meter == meter);
        own.map(|message| message.body.readings.len()).sum::<usize>()
    };
    assert!(own("press") > 300 && own("pump") > 300, "{} {}", own("press"), own("pump"));
    assert_eq!(wrong(&messages, &sent), Vec::<String>::new());
}
