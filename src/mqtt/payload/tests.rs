use super::register::{minute, scalar};
use super::*;
use dlt645::format::{Date, Digits as Plate, Time, Value};
use rust_decimal::Decimal;

fn body_of(readings: Vec<ReadingJson>, failures: Vec<FailureJson>) -> Body {
    Body {
        gateway: "gw01".into(),
        meter: "flat-101".into(),
        address: "000012345678".into(),
        archive: "0123456789ab".into(),
        task: "live".into(),
        source: Source::Present,
        slot: "2026-11-21T10:15:00+08:00".into(),
        day: None,
        meter_time: None,
        clock_offset_s: None,
        backfilled: false,
        readings,
        failures,
    }
}

fn voltage(digits: &str) -> ReadingJson {
    ReadingJson {
        register: "voltage_l1".into(),
        obis: Some("1-0:32.7.0".into()),
        di: "02010100".into(),
        value: Some(Scalar::Number(Number(digits.parse().unwrap()))),
        at: None,
        unit: Some("V".into()),
        bits: None,
        fields: Vec::new(),
        ratio: None,
        primary: None,
        quality: Quality::Good,
        why: None,
        raw: None,
        taken_at: "2026-11-21T10:15:00.431+08:00".into(),
    }
}

fn refused() -> FailureJson {
    FailureJson {
        register: "current_l1".into(),
        di: "02020100".into(),
        reason: Reason::Refused,
        detail: "no requested data".into(),
        raw: None,
    }
}

#[test]
fn message_is_the_text_of_the_contract() {
    let body = fragment(&body_of(vec![voltage("220.0")], vec![refused()]));
    let text = String::from_utf8(compose("8f3c2a", 12345, &body)).unwrap();
    let expected = concat!(
        r#"{"v":1,"store":"8f3c2a","seq":12345,"gateway":"gw01","meter":"flat-101","#,
        r#""address":"000012345678","archive":"0123456789ab","task":"live","source":"present","#,
        r#""slot":"2026-11-21T10:15:00+08:00","day":null,"meter_time":null,"clock_offset_s":null,"#,
        r#""backfilled":false,"readings":[{"register":"voltage_l1","obis":"1-0:32.7.0","#,
        r#""di":"02010100","value":220.0,"unit":"V","quality":"good","#,
        r#""taken_at":"2026-11-21T10:15:00.431+08:00"}],"#,
        r#""failures":[{"register":"current_l1","di":"02020100","reason":"refused","#,
        r#""detail":"no requested data"}]}"#,
    );
    assert_eq!(text, expected);
}

#[test]
fn message_reads_back_as_it_was_composed() {
    let body = body_of(vec![voltage("0.50"), voltage("-12.3456")], vec![refused()]);
    let payload = compose("8f3c2a", 7, &fragment(&body));
    let message = DataMessage::parse(&payload).unwrap();
    assert_eq!(message, DataMessage { v: 1, store: "8f3c2a".into(), seq: 7, body });
    assert_eq!(message.body.readings[0].value.as_ref().unwrap().to_string(), "0.50");
    // What is composed as text is what the documented struct would have been.
    assert_eq!(json::text(&message).into_bytes(), payload);
}

#[test]
fn both_arrays_are_there_when_empty() {
    let text = json::text(&body_of(Vec::new(), Vec::new()));
    assert!(text.ends_with(r#""readings":[],"failures":[]}"#), "{text}");
}

#[test]
fn a_reader_of_version_1_leaves_unknown_keys_alone() {
    let body = fragment(&body_of(vec![voltage("1.0")], Vec::new()))
        .replace("\"gateway\"", "\"new\":{\"a\":[1]},\"gateway\"");
    assert!(DataMessage::parse(&compose("s", 1, &body)).is_ok());
    assert!(DataMessage::parse(b"{}").is_err());
}

#[test]
fn a_demand_has_its_instant_and_a_demand_without_one_has_none() {
    let date = Date { year: 26, month: 11, day: 20 };
    let time = Time { hour: 18, minute: 30, second: None };
    let value = Decimal::new(1234, 4);
    let demand = Value::Demand { value, at: Some((date, time)) };
    assert_eq!(scalar(&demand).to_string(), "0.1234");
    assert_eq!(demand.at().map(minute).as_deref(), Some("2026-11-20T18:30"));
    assert_eq!(Value::Demand { value, at: None }.at(), None);
}

#[test]
fn dates_times_and_digits_are_texts() {
    let date = Date { year: 26, month: 11, day: 20 };
    let time = Time { hour: 8, minute: 5, second: Some(9) };
    let plate = Plate::from_wire(&[0x78, 0x56, 0x34, 0x12, 0, 0]).unwrap();
    for (value, text) in [
        (Value::Date(date), "2026-11-20"),
        (Value::Time(time), "08:05:09"),
        (Value::DateTime(date, time), "2026-11-20T08:05:09"),
        (Value::Digits(plate), "000012345678"),
    ] {
        assert_eq!((scalar(&value), value.at()), (Scalar::Text(text.into()), None));
    }
}

#[test]
fn times_stand_in_the_gateways_zone_with_their_offset() {
    let at: Timestamp = "2026-11-21T02:15:00.4319Z".parse().unwrap();
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    assert_eq!(instant(at, &zone, Digits::Seconds), "2026-11-21T10:15:00+08:00");
    assert_eq!(instant(at, &zone, Digits::Milliseconds), "2026-11-21T10:15:00.431+08:00");
    assert_eq!(instant(at, &TimeZone::UTC, Digits::Milliseconds), "2026-11-21T02:15:00.431+00:00");
    let half = TimeZone::get("Asia/Kolkata").unwrap();
    assert_eq!(instant(at, &half, Digits::Seconds), "2026-11-21T07:45:00+05:30");
}

#[test]
fn octets_are_hexadecimal_in_the_order_of_the_wire() {
    assert_eq!(hex(&[0x00, 0x0A, 0xFF]), "000AFF");
}

#[test]
fn line_of_read_has_the_address_first_and_then_the_same_object() {
    let line = with_address("000012345678", &json::text(&refused()));
    assert!(line.starts_with(r#"{"address":"000012345678","register":"current_l1","di""#), "{line}");
    assert_eq!(serde_json::from_str::<FailureJson>(&line).unwrap(), refused());
}
