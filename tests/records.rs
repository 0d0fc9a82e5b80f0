//! A task reads records as it reads registers: one reading with all fields, or none and the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use catalogue::{Catalogue, Register};
use meterd::bus::port::memory;
use meterd::clock::Clock;
use meterd::daemon::Daemon;
use meterd::mqtt::payload::{Body, DataMessage, RegisterJson, compose};
use meterd::reading::Reason;
use std::collections::BTreeMap;
use std::time::Duration;
use support::{asked, reply};

const CONFIGURATION: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "$DATA"

[[bus]]
name = "riser-1"
port = "/dev/null"

[[meter]]
name = "flat-101"
bus = "riser-1"
address = "101"
ct = "75/5"

[[task]]
name = "records"
every = "1m"
registers = [$REGISTERS]
"#;

fn register(name: &str) -> Register {
    Catalogue::dlt645_2007().find(name, 4).unwrap()[0]
}

/// The message of one slot of a task that reads these registers from a meter that answers with these octets.
async fn read(held: &[(&str, Vec<u8>)]) -> (String, Body) {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::virtual_at("2026-11-21T10:00:30Z".parse().unwrap());
    let (supply, opener) = memory::opener();
    let (port, mut wire) = memory::pair();
    supply.send(port).await.unwrap();
    let names: Vec<String> = held.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let plan = support::plan(&CONFIGURATION.replace("$REGISTERS", &names.join(", ")), data.path());
    let answers: BTreeMap<String, Vec<u8>> =
        held.iter().map(|(name, octets)| (register(name).id().to_string(), octets.clone())).collect();
    let running = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
    let meter = tokio::spawn(async move {
        while let Some(request) = wire.hear().await {
            let (di, address) = asked(&request);
            tokio::time::sleep(Duration::from_millis(60)).await;
            if let Some(octets) = answers.get(&di) {
                wire.say(&reply(&address, &di, octets)).await;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(75)).await;
    let mut outbox = running.store().offer(0, 10).await.unwrap();
    outbox.retain(|pending| pending.topic.contains("/data/"));
    running.stop().await;
    meter.await.unwrap();
    assert_eq!(outbox.len(), 1);
    let payload = compose("8f3c", outbox[0].seq, &outbox[0].body);
    (outbox[0].body.clone(), DataMessage::parse(&payload).unwrap().body)
}

/// So many octets of different digits.
fn digits(count: usize) -> Vec<u8> {
    (0..count).map(|n| ((n % 7) << 4 | (n % 3)) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn a_record_is_a_reading_with_the_fields_that_decode_shows() {
    let names = [
        "voltage_loss_totals",
        "programming_record1",
        "04010001",
        "daily_freeze_day1",
        "active_report_status",
    ];
    let mut held: Vec<_> = names.map(|name| (name, digits(register(name).octets()))).into();
    held.push(("voltage_l1", vec![0x00, 0x22]));
    let (text, body) = read(&held).await;
    assert_eq!(body.failures, []);
    assert_eq!(body.readings.len(), held.len(), "{text}");
    for (name, octets) in &held[..names.len()] {
        let di = register(name).id();
        let [decoded] = &RegisterJson::of_reply(Catalogue::dlt645_2007(), di, octets)[..] else {
            panic!("{name} is one record")
        };
        let reading = body.readings.iter().find(|r| r.di == di.to_string()).unwrap();
        assert!(!decoded.fields.is_empty(), "{name}");
        assert_eq!((reading.fields.len(), &reading.at), (decoded.fields.len(), &decoded.at), "{name}");
        assert_eq!((&reading.value, &reading.primary, &reading.raw), (&None, &None, &None), "{name}");
        let fields = serde_json::to_string(&decoded.fields).unwrap();
        assert!(text.contains(&format!("\"fields\":{fields}")), "{name}: digit for digit");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fits_no_layout_or_was_never_written_is_a_failure_and_the_rest_is_read() {
    let (_, body) = read(&[
        ("voltage_loss_totals", vec![0x12; 17]),
        ("undervoltage_totals", vec![0xFF; 18]),
        ("programming_record1", vec![0; register("programming_record1").octets()]),
        ("voltage_l1", vec![0x00, 0x22]),
    ])
    .await;
    let failures: Vec<_> =
        body.failures.iter().map(|f| (f.register.as_str(), f.reason, f.raw.clone().unwrap())).collect();
    let zeros = "00".repeat(register("programming_record1").octets());
    let expected = [
        ("voltage_loss_totals", Reason::Implausible, "12".repeat(17)),
        ("undervoltage_totals", Reason::Missing, "FF".repeat(18)),
        ("programming_record1", Reason::Missing, zeros),
    ];
    assert_eq!(failures, expected);
    assert_eq!(body.readings.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_bits_of_a_word_stand_beside_its_value() {
    let (text, body) = read(&[("status_word_1", vec![0x04, 0x80])]).await;
    let bits = body.readings[0].bits.as_ref().unwrap();
    assert_eq!(bits.len(), 2, "{bits:?}");
    assert!(text.contains(r#""di":"04000501","value":"8004","bits":[""#), "{text}");
    let decoded =
        &RegisterJson::of_reply(Catalogue::dlt645_2007(), register("status_word_1").id(), &[0x04, 0x80])[0];
    assert_eq!((Some(bits), &body.readings[0].value), (decoded.bits.as_ref(), &decoded.value));
}
