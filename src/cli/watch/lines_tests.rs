//! Lines as they are shown.

use super::*;
use crate::mqtt::payload::{DataMessage, EventMessage, RoundMessage};

const MESSAGE: &str = r#"{"v":1,"store":"8f3c","seq":7,"gateway":"gw01","meter":"flat-101",
    "address":"000012345678","archive":"a","task":"live","source":"present",
    "slot":"2026-11-21T10:15:00+08:00","day":null,"meter_time":null,"clock_offset_s":null,"backfilled":false,
    "readings":[
      {"register":"voltage_l1","obis":"1-0:32.7.0","di":"02010100","value":220.0,"unit":"V","quality":"good",
       "taken_at":"2026-11-21T10:15:00.431+08:00"},
      {"register":"reactive_energy_combined_1","di":"00030000","value":123456.78,"unit":"kvarh",
       "quality":"suspect","why":"it fell","taken_at":"2026-11-21T10:15:01.431+08:00"},
      {"register":"demand_active_import_max","di":"01010000","value":0.1234,"at":"2026-11-20T18:30","unit":"kW",
       "quality":"good","taken_at":"2026-11-21T10:15:02.000+08:00"},
      {"register":"meter_address","di":"04000401","value":"000012345678","quality":"good",
       "taken_at":"2026-11-21T10:15:03.000+08:00"}],
    "failures":[{"register":"current_l1","di":"02020100","reason":"refused","detail":"no requested data"}]}"#;

fn shown(message: &str, paint: Paint) -> Vec<String> {
    data(&DataMessage::parse(message.as_bytes()).unwrap().body, paint)
}

#[test]
fn a_reading_is_a_line_with_the_value_under_the_value() {
    let expected = [
        "10:15:00 flat-101      voltage_l1                         220.0 V     good",
        "10:15:01 flat-101      reactive_energy_combined_1     123456.78 kvarh suspect, it fell",
        "10:15:02 flat-101      demand_active_import_max          0.1234 kW    good, at 2026-11-20T18:30",
        "10:15:03 flat-101      meter_address               000012345678       good",
        "10:15:00 flat-101      current_l1                  refused: no requested data",
    ];
    assert_eq!(shown(MESSAGE, Paint::Plain), expected);
}

#[test]
fn what_a_meter_kept_is_shown_with_its_day_or_hour_and_whether_it_came_late() {
    let of = |source: &str, day: &str, slot: &str, backfilled: bool| {
        let message = MESSAGE
            .replace("voltage_l1\",\"obis\":\"1-0:32.7.0", "active_energy_import")
            .replace("\"present\"", &format!("\"{source}\""))
            .replace("\"slot\":\"2026-11-21T10:15", &format!("\"slot\":\"{slot}"))
            .replace("\"day\":null", &format!("\"day\":{day}"))
            .replace("\"backfilled\":false", &format!("\"backfilled\":{backfilled}"));
        let line = shown(&message, Paint::Plain).swap_remove(0);
        assert!(columns(&line) <= 80, "{line}");
        line
    };
    let [midnight, hour] = ["2026-11-21T00:00", "2026-11-20T13:00"];
    for (line, expected) in [
        (
            of("daily_freeze", "\"2026-11-20\"", midnight, false),
            "active_energy_import of 11-20      220.0 V     good",
        ),
        (
            of("daily_freeze", "\"2026-11-20\"", midnight, true),
            "active_energy_import of 11-20      220.0 V     good, late",
        ),
        (
            of("present", "\"2026-11-20\"", midnight, false),
            "active_energy_import of 11-20      220.0 V     good",
        ),
        (of("load_record", "null", midnight, false), "active_energy_import 00:00         220.0 V     good"),
        (of("load_record", "null", hour, true), "active_energy_import 11-20 13:00   220.0 V     good, late"),
    ] {
        assert_eq!(line, format!("10:15:00 flat-101      {expected}"));
    }
}

#[test]
fn a_record_has_its_fields_below_it() {
    let reading = r#"{"register":"meter_address","di":"04000401","value":"000012345678","quality":"good","#;
    let record = r#"{"register":"programming_record1","di":"03300001","fields":[
        {"register":"operator","value":"00000001"},{"register":"active_energy_import","value":1.50,"unit":"kWh"},
        {"register":"word","value":"0005","bits":["one","bit 2"]},
        {"register":"time","reason":"missing","raw":"FF"}],"quality":"good","#;
    let lines = shown(&MESSAGE.replace(reading, record), Paint::Plain);
    let expected = [
        "10:15:03 flat-101      programming_record1             4 fields       good",
        "                       operator                        00000001",
        "                       active_energy_import                1.50 kWh",
        "                       word                                0005 one, bit 2",
        "                       time                             missing",
    ];
    assert_eq!(lines[3..8], expected);
}

#[test]
fn a_line_of_usual_names_has_80_columns_at_most() {
    let frozen = MESSAGE.replace("\"good\"", "\"not_frozen\"").replace(",\"why\":\"it fell\"", "");
    let frozen = frozen.replace(",\"at\":\"2026-11-20T18:30\"", "");
    for line in shown(&frozen, Paint::Plain) {
        assert!(columns(&line) <= 80, "{} columns: {line}", columns(&line));
    }
}

#[test]
fn chinese_names_keep_the_columns() {
    let lines = shown(&MESSAGE.replace("flat-101", "总表"), Paint::Plain);
    assert_eq!(lines[0], "10:15:00 总表          voltage_l1                         220.0 V     good");
}

#[test]
fn only_what_is_not_good_has_colour() {
    let lines = shown(MESSAGE, Paint::Colour);
    assert!(!lines[0].contains('\x1b'), "{}", lines[0]);
    assert!(lines[1].starts_with(YELLOW) && lines[1].ends_with("\x1b[0m"));
    assert!(lines[4].starts_with(RED));
}

#[test]
fn an_active_report_is_a_line_of_what_its_bits_say() {
    let line = |registers: &str| {
        let message = format!(
            r#"{{"v":1,"store":"8f","seq":7,"gateway":"gw01","meter":"flat-101","address":"000012345678",
            "archive":"a","taken_at":"2026-11-21T10:15:00.431+08:00","event":"active_report",
            "registers":[{registers}],"raw":"0102"}}"#
        );
        event(&EventMessage::parse(message.as_bytes()).unwrap().body, Paint::Plain)
    };
    let named = r#"{"register":"r","di":"04001501","fields":[{"register":"w","value":"03","bits":["bit 0","bit 1"]}]}"#;
    let head = "10:15:00 flat-101      event active_report         ";
    assert_eq!(line(named), format!("{head}bit 0, bit 1"));
    assert_eq!(
        line(r#"{"di":"04001501","reason":"implausible","raw":"0102"}"#),
        format!("{head}octets 0102")
    );
}

#[test]
fn a_jump_of_an_energy_is_a_line_that_says_why() {
    let line = |word: &str| {
        let message = format!(
            r#"{{"v":1,"store":"8f","seq":7,"gateway":"gw01","meter":"flat-101","address":"000012345678",
            "archive":"a","taken_at":"2026-11-21T10:15:00.431+08:00","event":"{word}",
            "register":"active_energy_import","di":"00010000","unit":"kWh","value":0.07,"why":"it fell"}}"#
        );
        event(&EventMessage::parse(message.as_bytes()).unwrap().body, Paint::Plain)
    };
    let said = "active_energy_import: it fell";
    assert_eq!(line("suspect"), format!("10:15:00 flat-101      event suspect               {said}"));
    assert_eq!(line("rollover"), format!("10:15:00 flat-101      event rollover              {said}"));
}

#[test]
fn status_is_said_in_words() {
    let line = |json: &str| status(&serde_json::from_str(json).unwrap(), Paint::Plain);
    let online = r#"{"v":1,"state":"online","gateway":"gw01","version":"0.1.0","since":"2026-11-21T10:15:00+08:00","store":"8f","clock":"trusted"}"#;
    assert_eq!(line(online), "10:15:00 gateway gw01 is online with meterd 0.1.0");
    let unsure = online.replace("\"trusted\"", "\"unsynchronised\",\"clock_detail\":\"not set\"");
    assert_eq!(
        line(&unsure),
        "10:15:00 gateway gw01 is online with meterd 0.1.0; it does not trust its clock: not set"
    );
    let lost = r#"{"v":1,"state":"offline","gateway":"gw01","reason":"connection_lost"}"#;
    assert_eq!(line(lost), "--:--:-- gateway gw01 is offline: connection lost");
}

#[test]
fn gaps_rounds_births_and_what_happened_to_the_gateway_are_a_line_each() {
    let event = |of: &str, rest: &str| {
        let message = format!(
            r#"{{"v":1,"store":"8f","seq":7,"gateway":"gw01",{of}"archive":"a",
            "taken_at":"2026-11-21T10:15:00.431+08:00",{rest}}}"#
        );
        event(&EventMessage::parse(message.as_bytes()).unwrap().body, Paint::Plain)
    };
    let gap = r#""event":"gap","task":"live","source":"present","first":"2026-11-21T10:00:00+08:00",
        "until":"2026-11-21T10:15:00+08:00","reason":"late""#;
    assert_eq!(
        event(r#""meter":"flat-101","address":"1","#, gap),
        "10:15:00 flat-101      event gap                   live from 11-21 10:00 until 11-21 10:15 \
         unread: the line was busy for longer than a period"
    );
    for (rest, shown) in [
        (
            r#""event":"power_back","away_since":"2026-11-21T10:00:00+08:00""#,
            "away since 2026-11-21T10:00:00+08:00",
        ),
        (r#""event":"clock_stepped","before":"B","after":"A","by_s":-3"#, "by -3 s, from B"),
        (r#""event":"archive_changed","before":"0a","after":"0b""#, "from 0a to 0b"),
    ] {
        let line = event("", rest);
        assert!(line.starts_with("10:15:00 gw01          event ") && line.ends_with(shown), "{line}");
    }

    let shown = r#"{"v":1,"store":"8f","seq":7,"gateway":"gw01","archive":"a","task":"live",
        "slot":"2026-11-21T10:15:00+08:00","planned":32,"read":29,"partly":1,"failed":[{"reason":"silent","meters":2}],"seconds":12}"#;
    assert_eq!(
        round(&serde_json::from_str::<RoundMessage>(shown).unwrap().body, Paint::Plain),
        "10:15:00 round live: 29 of 32 meters read, 1 partly, 2 silent; 12 s"
    );
    let of_birth = |rest: &str| {
        let message = format!(
            r#"{{"v":1,"gateway":"gw01","version":"0.1.0","archive":"0a",{rest}"tasks":[],"meters":[]}}"#
        );
        birth(&BirthMessage::parse(message.as_bytes()).unwrap())
    };
    assert_eq!(of_birth(""), "--:--:-- gateway gw01 has 0 meters, archive 0a");
    assert_eq!(of_birth("\"parts\":3,"), "--:--:-- gateway gw01 announces its meters in 3 parts, archive 0a");
    assert_eq!(
        of_birth("\"parts\":3,\"part\":2,"),
        "--:--:-- gateway gw01 has 0 meters in part 2 of 3, archive 0a"
    );
}

#[test]
fn backlog_and_alarms_are_said_behind_the_status() {
    let online = r#"{"v":1,"state":"online","gateway":"gw01","version":"0.1.0","since":"2026-11-21T10:15:00+08:00",
        "store":"8f","clock":"trusted","backlog":{"messages":7},
        "alarms":[{"alarm":"store_trouble","since":"S"},{"alarm":"port_gone","bus":"east","since":"S"}]}"#;
    assert_eq!(
        status(&serde_json::from_str(online).unwrap(), Paint::Plain),
        "10:15:00 gateway gw01 is online with meterd 0.1.0; 7 messages wait; nothing is stored; \
         the port is gone on east"
    );
}
