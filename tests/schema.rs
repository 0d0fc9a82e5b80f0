//! The schemas under fixtures/schema describe what is published, and nothing else is.
//!
//! `METERD_REWRITE_SCHEMAS=1 cargo test --test schema` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use catalogue::{Catalogue, Register};
use dlt645::Address;
use dlt645::format::{Date, Time, Value, Word};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use meterd::clock::Trust;
use meterd::command::{order, reply};
use meterd::config::{
    Bus, Gateway, Meter, Mqtt, MqttVersion, Name, Plan, PortAddress, PortSettings, Protocol, Read, Task,
};
use meterd::event::{Broadcast, ClockOff, Event, Gap, Kind, Line as OfLine, Of, Passed};
use meterd::mqtt::payload::{
    self, BirthMessage, DataMessage, EventMessage, MeterStatusMessage, RoundMessage, schema_birth,
    schema_data, schema_event, schema_flat, schema_meter_status, schema_round, schema_status,
};
use meterd::planner::Line;
use meterd::reading::{Content, Failure, Origin, Quality, Reading, Reason, Report, Source, Transformers};
use meterd::rounds::{Kept, Round};
use meterd::store::Identity;
use rust_decimal::Decimal;
use serde_json::Value as Json;
use std::path::Path;
use std::time::Duration;

fn held_equal(file: &str, schema: &impl serde::Serialize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/schema").join(file);
    let generated = serde_json::to_string_pretty(schema).unwrap() + "\n";
    if std::env::var_os("METERD_REWRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "{file} is not what the code publishes; METERD_REWRITE_SCHEMAS=1 writes it anew"
    );
}

#[test]
fn committed_schemas_are_those_of_the_code() {
    held_equal("data.schema.json", &schema_data());
    held_equal("flat.schema.json", &schema_flat());
    held_equal("home-assistant.schema.json", &meterd::mqtt::home_assistant::schema());
    held_equal("event.schema.json", &schema_event());
    held_equal("meter-status.schema.json", &schema_meter_status());
    held_equal("command.schema.json", &order::schema());
    held_equal("reply.schema.json", &reply::schema());
    held_equal("status.schema.json", &schema_status());
    held_equal("birth.schema.json", &schema_birth());
    held_equal("round.schema.json", &schema_round());
    held_equal("asyncapi.json", &meterd::mqtt::asyncapi::document());
}

/// Faults of a message: what the schema refuses, and keys that it does not name.
fn faults(schema: &schemars::Schema, message: &[u8]) -> Vec<String> {
    let (schema, message): (Json, Json) =
        (schema.clone().to_value(), serde_json::from_slice(message).unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut faults: Vec<_> = validator.iter_errors(&message).map(|fault| fault.to_string()).collect();
    unnamed(&schema, &schema, &message, &mut faults);
    faults
}

/// A reader must leave unknown keys alone, so the schema is open; what we write must be in it all the same.
fn unnamed(root: &Json, schema: &Json, message: &Json, faults: &mut Vec<String>) {
    let named = |key: &str| parts(root, schema).into_iter().find_map(|part| part["properties"].get(key));
    let items = || parts(root, schema).into_iter().find_map(|part| part.get("items"));
    match message {
        Json::Object(keys) => {
            for (key, value) in keys {
                match named(key) {
                    Some(named) => unnamed(root, named, value, faults),
                    None => faults.push(format!("the schema does not name {key}")),
                }
            }
        }
        Json::Array(all) => {
            let items = items().unwrap_or(&Json::Null);
            all.iter().for_each(|item| unnamed(root, items, item, faults));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// A schema with all that it refers to and chooses between.
fn parts<'a>(root: &'a Json, schema: &'a Json) -> Vec<&'a Json> {
    let mut all = vec![schema];
    if let Some(pointer) = schema["$ref"].as_str() {
        all.extend(parts(root, root.pointer(pointer.trim_start_matches('#')).unwrap()));
    }
    for choice in ["oneOf", "anyOf", "allOf"].iter().filter_map(|key| schema[key].as_array()).flatten() {
        all.extend(parts(root, choice));
    }
    all
}

const LONGHAND: &str = r#"{"v":1,"store":"8f3c2a","seq":12345,"gateway":"gw01","meter":"flat-101",
    "address":"000012345678","archive":"0123456789ab","task":"live","source":"present",
    "slot":"2026-11-21T10:15:00+08:00","day":null,"meter_time":null,"clock_offset_s":null,"backfilled":false,
    "readings":[
      {"register":"voltage_l1","obis":"1-0:32.7.0","di":"02010100","value":220.0,"unit":"V","quality":"good",
       "taken_at":"2026-11-21T10:15:00.431+08:00"},
      {"register":"meter_address","di":"04000401","value":"000012345678","quality":"suspect","why":"changed",
       "raw":"785634120000","taken_at":"2026-11-21T10:15:00.431+08:00"}],
    "failures":[{"register":"current_l1","di":"02020100","reason":"refused","detail":"no requested data"}]}"#;

#[test]
fn message_of_the_documentation_fits_the_schema() {
    assert_eq!(faults(&schema_data(), LONGHAND.as_bytes()), [""; 0]);
    DataMessage::parse(LONGHAND.as_bytes()).unwrap();
}

#[test]
fn message_that_breaks_the_contract_does_not_fit() {
    for (from, to) in [
        ("\"v\":1", "\"v\":2"),
        ("\"seq\":12345", "\"seq\":-1"),
        ("\"seq\":12345,", ""),
        ("\"readings\"", "\"reading\""),
        ("\"value\":220.0", "\"value\":null"),
        ("\"quality\":\"good\"", "\"quality\":\"fine\""),
        ("\"reason\":\"refused\"", "\"reason\":\"other\""),
        ("\"day\":null,", ""),
        ("\"backfilled\":false", "\"backfilled\":\"no\""),
        ("\"unit\"", "\"units\""),
        ("\"value\":220.0,", ""),
        ("\"value\":220.0", "\"value\":220.0,\"fields\":[{\"register\":\"count\",\"value\":1}]"),
        ("\"value\":220.0", "\"fields\":[{\"register\":1}]"),
    ] {
        assert!(LONGHAND.contains(from), "{from}");
        assert_ne!(faults(&schema_data(), LONGHAND.replace(from, to).as_bytes()), [""; 0], "{from} → {to}");
    }
}

#[test]
fn status_messages_fit_the_schema() {
    for message in [
        r#"{"v":1,"state":"offline","gateway":"gw01","reason":"connection_lost"}"#,
        r#"{"v":1,"state":"offline","gateway":"gw01","since":"2026-11-21T10:15:00+08:00","reason":"shutdown"}"#,
        r#"{"v":1,"state":"online","gateway":"gw01","version":"0.1.0","since":"2026-11-21T10:15:00+08:00",
            "store":"8f3c","clock":"unsynchronised","clock_detail":"the time service has not set the clock",
            "backlog":{"messages":7,"oldest":"2026-11-21T10:15:00+08:00"},
            "disk":{"bytes":4096,"max_bytes":16777216,"trouble":"full","trouble_detail":"the disk is full"},
            "alarms":[{"alarm":"clock_not_trusted","since":"2026-11-21T10:15:00.000+08:00"},
              {"alarm":"line_jammed","bus":"east","since":"2026-11-21T10:15:00.000+08:00"}]}"#,
    ] {
        assert_eq!(faults(&schema_status(), message.as_bytes()), [""; 0]);
    }
    assert_ne!(faults(&schema_status(), br#"{"v":1,"state":"away","gateway":"gw01"}"#), [""; 0]);
}

fn register(name: &str) -> Register {
    Catalogue::dlt645_2007().find(name, 4).unwrap()[0]
}

fn plan() -> Plan {
    let name = |text| Name::new(text).unwrap();
    let address: Address = "000012345678".parse().unwrap();
    let port = PortAddress::Serial("/dev/ttyUSB0".into());
    Plan {
        gateway: Gateway {
            id: name("gw01"),
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
            data_dir: "/var/lib/meterd".into(),
            clock: Trust::Auto,
            clock_bound: Gateway::CLOCK_BOUND,
        },
        mqtt: Mqtt { version: MqttVersion::V4, ..Mqtt::at("broker", 1883) },
        store: meterd::config::Store::default(),
        buses: vec![Bus {
            name: name("east"),
            settings: PortSettings::usual(&port),
            port,
            line: Line::DEFAULT,
            turnaround: None,
        }],
        meters: vec![Meter {
            name: name("flat-101"),
            bus: 0,
            line: Line::DEFAULT,
            preamble: 4,
            protocol: Protocol::Dlt645_2007(address),
            wiring: None,
            profile: None,
            transformers: Transformers { ct: Some("75/5".parse().unwrap()), pt: None, multiplier: None },
            point: meterd::config::Point::default(),
        }],
        tasks: vec![Task {
            name: name("live"),
            when: meterd::config::When::Every(Duration::from_secs(900)),
            read: Read::Live,
            priority: 5,
            window: None,
            backfill: 3,
            broadcast: None,
            registers: meterd::config::Registers::default(),
            meters: vec![0],
        }],
        commands: meterd::config::Commands::default(),
        archive: "0123456789ab".into(),
    }
}

fn reading(plan: &Plan, name: &str, value: Value) -> Reading {
    let register = register(name);
    Reading {
        register,
        content: Content::Value(value),
        quality: Quality::Good,
        why: None,
        raw: None,
        taken_at: "2026-11-21T02:15:00.431Z".parse::<Timestamp>().unwrap(),
        primary: plan.meters[0].transformers.primary(register.quantity(), &value),
    }
}

fn number(digits: &str) -> Value {
    Value::Number(digits.parse::<Decimal>().unwrap())
}

#[test]
fn message_of_a_report_fits_the_schema_and_keeps_every_digit() {
    let plan = plan();
    let at = (Date { year: 26, month: 11, day: 20 }, Time { hour: 18, minute: 30, second: None });
    let demand = Value::Demand { value: "0.1234".parse().unwrap(), at: Some(at) };
    let suspect = Reading {
        quality: Quality::Suspect,
        why: Some("it fell".into()),
        raw: Some(vec![0x50, 0x00]),
        ..reading(&plan, "active_energy_import", number("123456.50"))
    };
    let record = Reading {
        content: Content::Record(vec![0x10, 0, 0, 0x20, 0, 0]),
        primary: None,
        ..reading(&plan, "total_voltage_loss_totals", number("0"))
    };
    let report = Report {
        meter: 0,
        task: 0,
        slot: "2026-11-21T02:15:00Z".parse().unwrap(),
        origin: Origin::default(),
        readings: vec![
            reading(&plan, "voltage_l1", number("220.0")),
            reading(&plan, "current_l1", number("-1.500")),
            reading(&plan, "01010000", demand),
            suspect,
            reading(&plan, "status_word_1", Value::Bits(Word::from_wire(&[0x04, 0x00]).unwrap())),
            record,
        ],
        failures: vec![Failure {
            register: register("current_l2"),
            reason: Reason::Implausible,
            detail: "a nibble above 9".into(),
            raw: Some(vec![0xAB, 0xCD, 0xEF]),
        }],
    };
    let entry = payload::Bodies::new(plan.into()).entry(&report);
    assert_eq!(entry.topic, "meterd/v1/gw01/meter/flat-101/data/live");
    let registers = report.readings.iter().map(|r| r.register.name().to_string()).collect();
    let (meter, task, slot) = ("flat-101".to_owned(), "live".to_owned(), report.slot);
    assert_eq!(entry.identity, Some(Identity { meter, task, slot, registers }));

    let text = String::from_utf8(payload::compose("8f3c2a", 7, &entry.body)).unwrap();
    assert_eq!(faults(&schema_data(), text.as_bytes()), [""; 0]);
    for part in [
        r#"{"v":1,"store":"8f3c2a","seq":7,"gateway":"gw01","meter":"flat-101","address":"000012345678","#,
        r#""slot":"2026-11-21T10:15:00+08:00","#,
        r#"{"register":"voltage_l1","obis":"1-0:32.7.0","di":"02010100","value":220.0,"unit":"V","ratio":1,"primary":220.0,"quality":"good","taken_at":"2026-11-21T10:15:00.431+08:00"}"#,
        r#""di":"02020100","value":-1.500,"unit":"A","ratio":15,"primary":-22.500,"quality":"good""#,
        r#""di":"01010000","value":0.1234,"at":"2026-11-20T18:30","unit":"kW","ratio":15,"primary":1.8510,"#,
        r#""value":123456.50,"unit":"kWh","ratio":15,"primary":1851847.50,"quality":"suspect","why":"it fell","raw":"5000","#,
        r#"{"register":"status_word_1","di":"04000501","value":"0004","bits":[""#,
        r#"{"register":"total_voltage_loss_totals","di":"03050000","fields":[{"register":"count","value":10},{"register":"minutes","value":20,"unit":"min"}],"quality":"good""#,
        r#""failures":[{"register":"current_l2","di":"02020200","reason":"implausible","detail":"a nibble above 9","raw":"ABCDEF"}]}"#,
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}

/// The message of an active report with these octets.
fn report(octets: &[u8]) -> String {
    let at = "2026-11-21T02:15:00.431Z".parse().unwrap();
    let event = Event { of: Of::Meter(0), at, kind: Kind::ActiveReport { octets: octets.to_vec() } };
    let entry = payload::event(&event, &plan());
    assert_eq!(entry.topic, "meterd/v1/gw01/meter/flat-101/event/active_report");
    assert_eq!((entry.retain, entry.identity), (false, None));
    String::from_utf8(payload::compose("8f3c2a", 7, &entry.body)).unwrap()
}

#[test]
fn an_active_report_fits_the_schema_with_its_bits_and_its_octets() {
    let text = report(&[0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x01]);
    assert_eq!(faults(&schema_event(), text.as_bytes()), [""; 0]);
    let start = r#"{"v":1,"store":"8f3c2a","seq":7,"gateway":"gw01","meter":"flat-101","address":"000012345678","archive":"0123456789ab","taken_at":"2026-11-21T10:15:00.431+08:00","event":"active_report","registers":[{"register":"active_report_status","di":"04001501","fields":[{"register":"active_report_status_word","value":""#;
    assert!(text.starts_with(start), "{text}");
    for part in
        [r#""bits":["#, r#"{"register":"count_1","value":2}"#, r#""raw":"0500000000000000000000000201"}"#]
    {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    let message = EventMessage::parse(text.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&message).unwrap(), text, "it is read as it was written");
    // Octets that are no report go along all the same.
    let odd = report(&[0x05, 0x01]);
    assert_eq!(faults(&schema_event(), odd.as_bytes()), [""; 0]);
    assert!(odd.contains(r#""reason":"implausible""#) && odd.ends_with(r#""raw":"0501"}"#), "{odd}");
}

#[test]
fn an_event_that_breaks_the_contract_does_not_fit() {
    let text = report(&[0x05; 12]);
    for (from, to) in [
        ("\"v\":1", "\"v\":2"),
        ("\"seq\":7,", ""),
        ("\"event\":\"active_report\"", "\"event\":\"other\""),
        ("\"registers\"", "\"register\""),
        ("\"meter\":\"flat-101\"", "\"meter\":null"),
        ("\"raw\"", "\"octets\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert_ne!(faults(&schema_event(), text.replace(from, to).as_bytes()), [""; 0], "{from} → {to}");
    }
}

#[test]
fn a_jump_of_an_energy_fits_the_schema_with_both_values() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let last = Some((Decimal::new(9_999_998, 2), at("2026-11-21T02:14:00.431Z")));
    let jump = |last| meterd::event::Jump {
        register: register("active_energy_import_t1"),
        last,
        value: Decimal::new(50, 2),
        why: "it fell".to_owned(),
    };
    let of_both = r#""register":"active_energy_import_t1","di":"00010100","unit":"kWh","last_value":99999.98,"last_taken_at":"2026-11-21T10:14:00.431+08:00","value":0.50,"why":"it fell"}"#;
    let of_one = r#""di":"00010100","unit":"kWh","value":0.50,"why":"it fell"}"#;
    for (kind, word, end) in [
        (Kind::Suspect(jump(last)), "suspect", of_both),
        (Kind::Rollover(jump(last)), "rollover", of_both),
        (Kind::Suspect(jump(None)), "suspect", of_one),
    ] {
        let event = Event { of: Of::Meter(0), at: at("2026-11-21T02:15:00.431Z"), kind };
        let entry = payload::event(&event, &plan());
        assert_eq!(entry.topic, format!("meterd/v1/gw01/meter/flat-101/event/{word}"));
        let text = String::from_utf8(payload::compose("8f3c2a", 7, &entry.body)).unwrap();
        assert_eq!(faults(&schema_event(), text.as_bytes()), [""; 0]);
        assert!(
            text.contains(&format!("\"event\":\"{word}\",\"register\"")) && text.ends_with(end),
            "{text}"
        );
        let message = EventMessage::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&message).unwrap(), text, "it is read as it was written");
    }
}

#[test]
fn an_event_of_the_gateway_names_no_meter() {
    for what in [
        OfLine::Silent,
        OfLine::Back,
        OfLine::Jammed,
        OfLine::Quiet,
        OfLine::Echo,
        OfLine::PortGone { detail: "unplugged".to_owned() },
        OfLine::PortBack,
    ] {
        let kind = Kind::Bus { bus: 0, what };
        let word = kind.word();
        let entry = payload::event(&Event { of: Of::Gateway, at: Timestamp::UNIX_EPOCH, kind }, &plan());
        assert_eq!(
            (entry.topic.as_str(), entry.retain),
            (format!("meterd/v1/gw01/event/{word}").as_str(), false)
        );
        let text = payload::compose("8f3c2a", 7, &entry.body);
        assert_eq!(faults(&schema_event(), &text), [""; 0]);
        let message = EventMessage::parse(&text).unwrap();
        assert_eq!(
            serde_json::to_string(&message).unwrap().into_bytes(),
            text,
            "it is read as it was written"
        );
        let text = String::from_utf8(text).unwrap();
        assert!(
            !text.contains("\"meter\"") && text.contains(&format!("\"event\":\"{word}\",\"bus\":\"east\""))
        );
    }
}

#[test]
fn what_is_missing_and_what_happened_to_the_gateway_fits_the_schema_and_reads_back() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let (before, after) = (at("2026-11-21T02:15:00Z"), at("2026-11-21T02:25:00.4Z"));
    let gap = Gap {
        task: 0,
        source: Source::Present,
        first: before,
        until: after,
        why: Passed::ClockNotTrusted,
        detail: None,
    };
    let revisions = ("0123456789ab".to_owned(), "ba9876543210".to_owned());
    for (of, kind, end) in [
        (
            Of::Meter(0),
            Kind::Gap(gap),
            r#""event":"gap","task":"live","source":"present","first":"2026-11-21T10:15:00+08:00","until":"2026-11-21T10:25:00+08:00","reason":"clock_not_trusted"}"#,
        ),
        (
            Of::Gateway,
            Kind::PowerBack { away_since: before },
            r#""event":"power_back","away_since":"2026-11-21T10:15:00.000+08:00"}"#,
        ),
        (
            Of::Gateway,
            Kind::ClockStepped { before, after },
            r#""event":"clock_stepped","before":"2026-11-21T10:15:00.000+08:00","after":"2026-11-21T10:25:00.400+08:00","by_s":600}"#,
        ),
        (
            Of::Gateway,
            Kind::ArchiveChanged { before: revisions.0, after: revisions.1 },
            r#""event":"archive_changed","before":"0123456789ab","after":"ba9876543210"}"#,
        ),
    ] {
        let word = kind.word();
        let entry = payload::event(&Event { of, at: after, kind }, &plan());
        assert!(entry.topic.ends_with(&format!("/event/{word}")) && !entry.retain, "{}", entry.topic);
        assert!(!is_retained_by_the_document(&entry.topic), "{}", entry.topic);
        let text = String::from_utf8(payload::compose("8f3c2a", 7, &entry.body)).unwrap();
        assert_eq!(faults(&schema_event(), text.as_bytes()), [""; 0]);
        assert!(text.ends_with(end), "{text}");
        let message = EventMessage::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&message).unwrap(), text, "it is read as it was written");
    }
}

/// What the AsyncAPI document says of a topic of this gateway, by the channel that names it most exactly.
fn is_retained_by_the_document(topic: &str) -> bool {
    let document = meterd::mqtt::asyncapi::document();
    let is_of = |channel: &Json| {
        let address = channel["address"].as_str().unwrap().replace("{prefix}", "meterd/v1");
        let (own, levels): (Vec<_>, Vec<_>) = (address.split('/').collect(), topic.split('/').collect());
        let fits = own.iter().zip(&levels).all(|(own, level)| own == level || own.starts_with('{'));
        (own.len() == levels.len() && fits).then(|| own.iter().filter(|own| own.starts_with('{')).count())
    };
    let channels = document["channels"].as_object().unwrap().iter();
    let of = channels.filter_map(|(id, channel)| Some((is_of(channel)?, id))).min().unwrap().1;
    document["operations"][of]["bindings"]["mqtt"]["retain"] == true
}

#[test]
fn a_clock_that_is_off_is_retained_and_a_broadcast_says_whether_it_went_out() {
    let at = "2026-11-21T02:17:00.431Z".parse::<Timestamp>().unwrap();
    let ms = jiff::SignedDuration::from_millis;
    let off = |offset: Option<i64>, is_off| {
        Kind::ClockOff(ClockOff {
            is_off,
            offset: offset.map(ms),
            within: offset.map(|_| ms(515)),
            bound: ms(300_000),
            needs_visit: is_off,
            why: "its clock …".to_owned(),
        })
    };
    let of_bus = |refused| Kind::Broadcast { bus: 0, what: Broadcast::Time, refused };
    for (of, kind, end) in [
        (
            Of::Meter(0),
            off(Some(-372_400), true),
            r#""event":"clock_off","off":true,"offset_s":-372,"within_s":1,"bound_s":300,"needs_visit":true,"why":"its clock …"}"#,
        ),
        (
            Of::Meter(0),
            off(None, true),
            r#""event":"clock_off","off":true,"bound_s":300,"needs_visit":true,"why":"its clock …"}"#,
        ),
        (
            Of::Meter(0),
            off(Some(0), false),
            r#""event":"clock_off","off":false,"offset_s":0,"within_s":1,"bound_s":300,"needs_visit":false,"why":"its clock …"}"#,
        ),
        (Of::Gateway, of_bus(None), r#""event":"broadcast","bus":"east","what":"time","sent":true}"#),
        (
            Of::Gateway,
            of_bus(Some(("near_midnight", "it is late".to_owned()))),
            r#""event":"broadcast","bus":"east","what":"time","sent":false,"refused":"near_midnight","why":"it is late"}"#,
        ),
    ] {
        let word = kind.word();
        let entry = payload::event(&Event { of, at, kind }, &plan());
        assert!(entry.topic.ends_with(&format!("/event/{word}")), "{}", entry.topic);
        assert_eq!(entry.retain, word == "clock_off");
        assert_eq!(entry.retain, is_retained_by_the_document(&entry.topic), "{}", entry.topic);
        let text = String::from_utf8(payload::compose("8f3c2a", 7, &entry.body)).unwrap();
        assert_eq!(faults(&schema_event(), text.as_bytes()), [""; 0]);
        assert!(text.ends_with(end), "{text}");
        let message = EventMessage::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&message).unwrap(), text, "it is read as it was written");
    }
}

#[test]
fn a_round_and_a_birth_fit_their_schemas_and_read_back() {
    let slot = "2026-11-21T02:15:00Z".parse::<Timestamp>().unwrap();
    let round = Round {
        task: "live".to_owned(),
        slot,
        planned: 4,
        read: 1,
        partly: 1,
        failed: [(Reason::Silent, 2)].into(),
        at: slot + jiff::SignedDuration::from_millis(12_700),
        kept: None,
    };
    let entry = payload::round(&round, &plan());
    assert_eq!((entry.topic.as_str(), entry.retain), ("meterd/v1/gw01/round/live", true));
    let text = payload::compose("8f3c2a", 7, &entry.body);
    assert_eq!(faults(&schema_round(), &text), [""; 0]);
    let message = RoundMessage::parse(&text).unwrap();
    assert_eq!(serde_json::to_string(&message).unwrap().into_bytes(), text);
    let end = r#""slot":"2026-11-21T10:15:00+08:00","planned":4,"read":1,"partly":1,"failed":[{"reason":"silent","meters":2}],"seconds":12}"#;
    assert!(String::from_utf8(text).unwrap().ends_with(end));

    let (began, minute) = (slot + jiff::SignedDuration::from_mins(5), jiff::SignedDuration::from_mins(1));
    let kept = Kept { first: 1, gone: 1, began, ended: Some(began + minute) };
    let (read, failed) = (2, [(Reason::Silent, 1)].into());
    let backfilled = Round { planned: 5, read, failed, at: began + 60 * minute, kept: Some(kept), ..round };
    let text = payload::compose("8f3c2a", 8, &payload::round(&backfilled, &plan()).body);
    assert_eq!(faults(&schema_round(), &text), [""; 0]);
    let end = r#","planned":5,"read":2,"partly":1,"failed":[{"reason":"silent","meters":1}],"seconds":60,"first_pass":1,"backfilled":1,"missing":2,"gone":1}"#;
    assert!(String::from_utf8(text).unwrap().ends_with(end));

    let mut plan = plan();
    plan.meters[0].point = meterd::config::Point {
        customer: Some("31".into()),
        digits: "6.2".parse().ok(),
        tariffs: vec!["峰".into()],
        capacity: "315".parse().ok(),
        metering: Some(meterd::config::Metering::HvLv),
        total_meter: Some("total".into()),
        major_class: Some(5),
        installed: "2025-03-01".parse().ok(),
        state: Some(meterd::config::InUse::Suspended),
        state_since: "2026-11-01".parse().ok(),
        exchanges: vec![meterd::config::Exchange {
            date: "2026-11-15".parse().unwrap(),
            time: "10:30".parse().ok(),
            address: Some("000000000009".into()),
            asset: None,
            digits: "5.2".parse().ok(),
            registers: vec![meterd::config::Joint {
                register: "active_energy_import".into(),
                last: "12345.60".parse().unwrap(),
                first: "0.00".parse().unwrap(),
            }],
        }],
        ..Default::default()
    };
    plan.meters[0].transformers.pt = "10000/100".parse().ok();
    let birth = payload::birth(&plan);
    assert_eq!((birth.len(), birth[0].topic.as_str()), (1, "meterd/v1/gw01/birth"));
    assert_eq!(faults(&schema_birth(), &birth[0].payload), [""; 0]);
    let message = BirthMessage::parse(&birth[0].payload).unwrap();
    assert_eq!(serde_json::to_string(&message).unwrap().into_bytes(), birth[0].payload);
    let text = String::from_utf8(birth[0].payload.clone()).unwrap();
    for part in [
        r#""ct":"75/5","pt":"10000/100","multiplier":1500,"#,
        r#""metering":"hv_lv","capacity":"315 kVA","digits":"6.2","installed":"2025-03-01","state":"suspended","state_since":"2026-11-01","#,
        r#""exchanges":[{"date":"2026-11-15","time":"10:30:00","address":"000000000009","digits":"5.2","registers":[{"register":"active_energy_import","last":12345.60,"first":0.00}]}]"#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn the_status_of_a_meter_is_retained_and_says_why_and_since_when() {
    let at = "2026-11-21T02:15:00.431Z".parse().unwrap();
    for (kind, state) in [
        (Kind::Online, "\"state\":\"online\""),
        (Kind::Offline { reason: Reason::Silent }, "\"state\":\"offline\",\"reason\":\"silent\""),
    ] {
        let entry = payload::event(&Event { of: Of::Meter(0), at, kind }, &plan());
        assert_eq!((entry.topic.as_str(), entry.retain), ("meterd/v1/gw01/meter/flat-101/status", true));
        let text = payload::compose("8f3c2a", 7, &entry.body);
        assert_eq!(faults(&schema_meter_status(), &text), [""; 0]);
        let message = MeterStatusMessage::parse(&text).unwrap();
        assert_eq!(serde_json::to_string(&message).unwrap().into_bytes(), text);
        let text = String::from_utf8(text).unwrap();
        let since = "\"since\":\"2026-11-21T10:15:00.431+08:00\"";
        assert!(text.contains(&format!("\"bus\":\"east\",{state},{since}")), "{text}");
    }
}

#[test]
fn line_of_read_is_the_same_object_with_the_address_first() {
    let plan = plan();
    let line =
        payload::reading_line("000012345678", &reading(&plan, "voltage_l1", number("220.0")), &TimeZone::UTC);
    let start = r#"{"address":"000012345678","register":"voltage_l1","obis":"1-0:32.7.0","di":"02010100","value":220.0,"#;
    assert!(line.starts_with(start), "{line}");
    let failure = Failure {
        register: register("current_l1"),
        reason: Reason::Silent,
        detail: "no answer".into(),
        raw: None,
    };
    assert_eq!(
        payload::failure_line("000012345678", &failure),
        r#"{"address":"000012345678","register":"current_l1","di":"02020100","reason":"silent","detail":"no answer"}"#
    );
}
