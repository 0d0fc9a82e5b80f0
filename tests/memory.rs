//! `meterd read` against the memory of virtual meters: load records and freezes over a real port.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

use assert_cmd::Command;
use dlt645::format::{Date, Time, load};
use dlt645::meter::{Answering, Manner, answer};
use dlt645::pdu::Request;
use dlt645::scanner::Scanner;
use dlt645::{Di, ErrorWord};
use meterd::clock::Clock;
use meterd::simulator::{self, Bound, Listen, Running, Said, Scenario};
use rust_decimal::Decimal;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

const METERD: &str = env!("CARGO_BIN_EXE_meterd");
/// A program that takes so long hangs; it is ended then.
const HANGS: Duration = Duration::from_secs(120);

/// A serial server with one meter behind it, whose answers are `respond`'s.
fn meter(
    mut respond: impl FnMut(&Request, &mut Vec<u8>) -> Result<(), ErrorWord> + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let own = "1".parse().unwrap();
        while let Ok((mut stream, _)) = listener.accept() {
            let (mut scanner, mut answering) = (Scanner::default(), Answering::default());
            let mut octets = [0; 64];
            while let Ok(n @ 1..) = stream.read(&mut octets) {
                scanner.push(&octets[..n]);
                while let Some(frame) = scanner.next_frame() {
                    if let Some(frame) = answer(own, Manner::E2007, &mut answering, &frame, &mut respond) {
                        stream.write_all(&frame).unwrap();
                    }
                }
            }
        }
    });
    port
}

/// A record of class 3 at this time of 2026-11-21, of a power factor of 1.000.
fn record(hour: u8, minute: u8) -> Vec<u8> {
    let (date, time) = (Date { year: 26, month: 11, day: 21 }, Time { hour, minute, second: None });
    let factors: &[u8] = &[0x00, 0x10].repeat(4);
    let mut out = Vec::new();
    load::emit((date, time), [&[], &[], factors, &[], &[], &[]], &mut out).unwrap();
    out
}

const FROM_TEN: [&str; 4] = ["--json", "--from", "2026-11-21T10:00", "load_record_3"];

#[tokio::test]
async fn a_meter_that_gives_one_record_at_a_time_is_asked_for_one() {
    let port = meter(|request, out| {
        if let Request::ReadRecords { count, from: Some(from), .. } = request {
            let parts = from.parts().filter(|[.., hour, _]| count.get() == Some(1) && *hour < 12);
            let [.., hour, minute] = parts.ok_or(ErrorWord::NO_REQUESTED_DATA)?;
            out.extend(record(hour, minute));
            return Ok(());
        }
        // The interval of class 3: half an hour.
        let interval = matches!(request, Request::Read { di, .. } if di.get() == 0x0400_0A04);
        out.extend([0x30, 0x00]);
        if interval { Ok(()) } else { Err(ErrorWord::NO_REQUESTED_DATA) }
    });
    let output = read(&port, "1", &FROM_TEN).await;
    let found = objects(&output);
    assert_eq!(times(&found), ["10:00", "10:30", "11:00", "11:30"].map(|t| format!("2026-11-21T{t}")));
    assert_eq!(out(&output).matches("\"value\":1.000").count(), 4 * 4, "{}", out(&output));
}

#[tokio::test]
async fn a_block_that_the_meter_cannot_read_is_told_and_passed() {
    let port = meter(|request, out| {
        let Request::ReadRecords { from: Some(from), .. } = request else {
            return Err(ErrorWord::NO_REQUESTED_DATA);
        };
        match from.parts() {
            Some([.., 10, 0]) => {
                out.extend(record(10, 0));
                let mut bad = record(10, 1);
                bad[..2].fill(0xE0);
                out.extend(bad);
            }
            Some([.., 10, 1]) => out.extend([0xE0, 0xE0].into_iter().chain(record(10, 1).split_off(2))),
            Some([.., 10, 2]) => out.extend(record(10, 2)),
            _ => {}
        }
        Ok(())
    });
    let output = read(&port, "1", &FROM_TEN).await;
    assert_eq!(output.status.code(), Some(1), "one block was lost");
    let found: Vec<Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = found.iter().map(|o| o["at"].as_str().or(o["reason"].as_str()).unwrap()).collect();
    assert_eq!(told, ["2026-11-21T10:00", "implausible", "implausible", "2026-11-21T10:02"]);
    assert!(found[1]["detail"].as_str().unwrap().starts_with("E0 E0") && found[1].get("raw").is_some());
}

#[tokio::test]
async fn a_meter_that_always_begins_at_its_oldest_record_does_not_keep_the_reader_for_ever() {
    let port = meter(|request, out| {
        if !matches!(request, Request::ReadRecords { .. }) {
            return Err(ErrorWord::NO_REQUESTED_DATA);
        }
        out.extend([record(9, 0), record(10, 0), record(10, 30)].concat());
        Ok(())
    });
    let found = objects(&read(&port, "1", &FROM_TEN).await);
    assert_eq!(times(&found), ["2026-11-21T10:00", "2026-11-21T10:30"]);
}

const METERS: &str = r#"
    installed = "2020-01-01"
    [[meter]]
    address = "1"
    energy = "1234.56"
    preamble = 0
    response_delay = "0ms"
    power_cuts = [["2020-01-02T00:20", "2020-01-02T03:10"]]
    [[meter]]
    address = "2"
    phases = 3
    response_delay = "0ms"
    load_record = [false, false, false, "1h", false, false]
    [[meter]]
    address = "3"
    response_delay = "0ms"
    load_record = false
    daily_freeze = false
"#;

async fn line(listen: &Listen) -> Running {
    let scenario = Scenario::parse("memory.toml", METERS).unwrap();
    let noon = Clock::virtual_at("2026-11-21T04:00:00Z".parse().unwrap());
    simulator::spawn(scenario.line(), listen, noon, 256).await.unwrap()
}

async fn tcp() -> (Running, String) {
    let running = line(&"tcp://127.0.0.1:0".parse().unwrap()).await;
    let Bound::Tcp(at) = *running.bound() else { panic!() };
    (running, format!("tcp://{at}"))
}

async fn read(port: &str, address: &str, rest: &[&str]) -> Output {
    let args: Vec<String> =
        ["read", "--port", port, "--address", address].iter().chain(rest).map(|a| (*a).to_owned()).collect();
    let program =
        move || Command::new(METERD).args(args).env_remove("METERD_LOG").timeout(HANGS).output().unwrap();
    tokio::task::spawn_blocking(program).await.unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}{}", out(output), String::from_utf8_lossy(&output.stderr));
    out(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn times(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["at"].as_str().unwrap()).collect()
}

fn field<'o>(object: &'o Value, name: &str) -> &'o Value {
    object["fields"].as_array().unwrap().iter().find(|f| f["register"] == name).unwrap()
}

/// Twelve records of 103 octets go over two questions, with follow-up frames each.
#[tokio::test]
async fn load_records_from_a_time_are_fetched_in_several_exchanges_and_are_what_the_meter_said() {
    let (running, port) = tcp().await;
    let asked = ["--json", "--from", "2020-01-01T22:05", "--count", "12", "load_record"];
    let objects = objects(&read(&port, "1", &asked).await);
    // The cut took 00:30 to 03:00.
    let quarters =
        ["22:15", "22:30", "22:45", "23:00", "23:15", "23:30", "23:45"].map(|t| format!("2020-01-01T{t}"));
    let next_day = ["00:00", "00:15", "03:15", "03:30", "03:45"].map(|t| format!("2020-01-02T{t}"));
    assert_eq!(times(&objects), [&quarters[..], &next_day[..]].concat());
    let said: Vec<u8> = running
        .sent()
        .into_iter()
        .filter(|sent| sent.frame[8] & 0x1F == 0x11)
        .filter_map(|sent| match sent.said {
            Said::Data { di, octets } if di == Di::new(0x0600_0001) => Some(octets),
            Said::Data { .. }
            | Said::Refused { .. }
            | Said::Registers { .. }
            | Said::Exception { .. }
            | Said::Nothing
            | Said::Other => None,
        })
        .flatten()
        .collect();
    assert_eq!(said.len(), 12 * 103);
    for (object, record) in objects.iter().zip(said.chunks(103)) {
        assert_eq!((&object["register"], &object["di"]), (&"load_record_from".into(), &"06000001".into()));
        assert_eq!(object["address"], "000000000001");
        assert_eq!(object["fields"].as_array().unwrap().len(), 29);
        // Forward active energy stands behind three groups: four octets, low byte first.
        let at = 8 + 18 + 25 + 9;
        let digits: String = record[at..at + 4].iter().rev().map(|o| format!("{o:02X}")).collect();
        let energy: Decimal = field(object, "active_energy_import")["value"].to_string().parse().unwrap();
        assert_eq!(energy, Decimal::new(digits.parse().unwrap(), 2));
        assert_eq!(field(object, "voltage_l2")["reason"], "missing", "a single-phase meter");
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn load_records_of_one_class_end_where_the_meter_has_no_more() {
    let (running, port) = tcp().await;
    let latest = objects(&read(&port, "2", &["--json", "--count", "3", "load_record_4"]).await);
    assert_eq!(latest.len(), 3);
    assert_eq!(latest[0]["fields"].as_array().unwrap().len(), 4);
    assert_eq!(latest[0]["register"], "load_record_latest_4");
    // From the first of them on, without a count: to the end.
    assert_eq!(times(&latest), ["10:00", "11:00", "12:00"].map(|t| format!("2026-11-21T{t}")));
    let first = times(&latest)[0].to_owned();
    let rest = objects(&read(&port, "2", &["--json", "--from", &first, "load_record_4"]).await);
    assert_eq!(times(&rest), times(&latest));
    let earliest = objects(&read(&port, "2", &["--json", "--count", "11", "load_record_earliest_4"]).await);
    assert_eq!(earliest.len(), 11, "the eleventh is of a second question, from the tenth on");
    assert_eq!((times(&earliest)[0], times(&earliest)[10]), ("2020-01-01T00:00", "2020-01-01T10:00"));
    let other_class = read(&port, "2", &["--json", "load_record_1"]).await;
    assert_eq!(other_class.status.code(), Some(1));
    assert!(out(&other_class).contains("the meter has no load record"), "{}", out(&other_class));
    let none = read(&port, "3", &["--json", "load_record"]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(out(&none).contains("\"refused\""), "{}", out(&none));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn load_records_are_read_over_a_pty_and_printed_with_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("bus1");
    let running = line(&Listen::Pty(link.clone())).await;
    let asked = ["--from", "2020-01-05T10:00", "--count", "2", "load_record", "tariff_count"];
    let output = read(link.to_str().unwrap(), "1", &asked).await;
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let lines: Vec<&str> = out(&output).lines().collect();
    assert_eq!(lines.len(), 1 + 1 + 2 * 30, "{lines:#?}");
    assert_eq!(lines[0], "000000000001");
    assert!(lines[1].starts_with("  tariff_count "), "{}", lines[1]);
    assert!(
        lines[2].starts_with("  load_record_from ") && lines[2].contains("at 2020-01-05T10:00"),
        "{}",
        lines[2]
    );
    assert!(lines[3].starts_with("    voltage_l1 ") && lines[3].contains(" V "), "{}", lines[3]);
    assert!(lines[32].contains("at 2020-01-05T10:15"), "{}", lines[32]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_freeze_is_read_with_its_time() {
    let (running, port) = tcp().await;
    let found = objects(
        &read(&port, "1", &["--json", "active_energy_import_day2", "active_energy_import_t1_day2"]).await,
    );
    let registers: Vec<&str> = found.iter().map(|o| o["register"].as_str().unwrap()).collect();
    assert_eq!(
        registers,
        ["daily_freeze_time_day2", "active_energy_import_day2", "active_energy_import_t1_day2"]
    );
    let stamp = "2026-11-20T00:00";
    assert_eq!(found[0]["value"], stamp);
    let whole = objects(&read(&port, "1", &["--json", "daily_freeze_day2"]).await);
    assert_eq!(whole[0]["at"], stamp);
    for register in &registers[1..] {
        let own = register.trim_end_matches("_day2");
        let single = found.iter().find(|o| o["register"] == *register).unwrap();
        assert_eq!(field(&whole[0], own)["value"], single["value"]);
    }
    let none = read(&port, "3", &["active_energy_import_day1"]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(out(&none).contains("refused"), "{}", out(&none));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_range_that_does_not_go_with_the_registers_is_told_what_to_write() {
    for (args, said) in [
        (&["--from", "2020-01-01T00:00", "voltage_l1"][..], "--from goes with load records"),
        (&["--count", "3", "voltage_l1"], "--count goes with load records"),
        (&["load_record_from"], "load_record_from needs the time to begin with"),
        (&["--from", "2020-01-01T00:00", "load_record_latest"], "--from does not go with load_record_latest"),
        (&["--count", "61", "load_record"], "60 of the latest at most"),
        (&["--from", "2020-01-01", "load_record"], "write day and minute by the meter's clock"),
        (&["--from", "1999-01-01T00:00", "load_record"], "write day and minute by the meter's clock"),
        (&["--count", "0", "load_record"], "0 is not in"),
        (&["load_record_7"], "no register is called load_record_latest_7"),
        (&["--protocol", "dlt645-1997", "load_record"], "no register is called load_record"),
    ] {
        let output = read("/dev/ttyUSB0", "1", args).await;
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?} {err}");
        assert!(err.contains(said), "{args:?} {err}");
    }
}
