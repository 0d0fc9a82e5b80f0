//! An implementation of Modbus that shares nothing with this one, the Python package pymodbus, plays meters with the
//! registers of their makers' maps; meterd reads every one of them digit for digit, on each kind of line.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the daemon's tests have use for more of it")]
#[path = "interop/program.rs"]
mod program;

use program::{Program, python, script};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Texts by the name of a register.
type Values = BTreeMap<String, String>;

/// A JSON object with the digits that were sent.
type Object = BTreeMap<String, Box<RawValue>>;

/// How the meters are reached.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// What the server calls it.
    server: &'static str,
    protocol: &'static str,
}

const TCP: Way = Way { server: "tcp", protocol: "modbus-tcp" };
const RTU_OVER_TCP: Way = Way { server: "rtu-over-tcp", protocol: "modbus-rtu" };
const RTU: Way = Way { server: "rtu", protocol: "modbus-rtu" };

/// A meter of the server.
struct Meter {
    address: &'static str,
    profile: &'static str,
    /// The parts of the table that it has.
    parts: &'static [&'static str],
    /// The part that others of its model have instead.
    others: &'static str,
}

const METERS: [Meter; 4] = [
    Meter { address: "1", profile: "eastron-sdm630", parts: &["sdm630"], others: "" },
    Meter {
        address: "17",
        profile: "chint-dtsu666",
        parts: &["dtsu666", "dtsu666-101e"],
        others: "dtsu666-401e",
    },
    Meter {
        address: "18",
        profile: "chint-dtsu666",
        parts: &["dtsu666", "dtsu666-401e"],
        others: "dtsu666-101e",
    },
    Meter { address: "71", profile: "carlo-gavazzi-em24", parts: &["em24"], others: "" },
];

/// One register of the table that meters are set up by and judged by.
struct Row {
    part: String,
    name: String,
    /// Its value in the catalogue's unit.
    reads: String,
}

/// The rows that have a name.
fn table() -> Vec<Row> {
    let text = std::fs::read_to_string(script("modbus_meters.csv")).unwrap();
    let mut lines = text.lines();
    let head = lines.next().unwrap();
    assert_eq!(head, "meter,functions,address,type,first_word,scale,unit,value,name,reads");
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [part, .., name, reads] = fields.as_slice() else { panic!("{line}") };
        let [part, name, reads] = [part, name, reads].map(|field| (*field).to_owned());
        Row { part, name, reads }
    };
    lines.map(row).filter(|row| !row.name.is_empty()).collect()
}

/// What is read of these parts of the table.
fn values(parts: &[&str]) -> Values {
    let rows = table().into_iter().filter(|row| parts.contains(&row.part.as_str()));
    rows.map(|row| (row.name, row.reads)).collect()
}

/// The server, and where it listens.
fn server(way: Way) -> Option<(Program, String)> {
    let python = python("pymodbus, serial")?;
    let mut command = Command::new(python);
    command.arg(script("modbus_server.py")).arg(way.server).arg(script("modbus_meters.csv"));
    let server = Program::start(&mut command);
    let port = server.line("READY ");
    Some((server, port))
}

/// What `meterd read --json` said.
struct Read {
    values: Values,
    /// Details by name.
    failures: Values,
    code: Option<i32>,
    complaints: String,
}

fn read(way: Way, port: &str, address: &str, profile: &str) -> Read {
    let mut meterd = Command::new(env!("CARGO_BIN_EXE_meterd"));
    meterd.env_remove("METERD_LOG").args(["read", "--json", "--timeout", "5s", "--retries", "0"]);
    meterd.args([
        "--protocol",
        way.protocol,
        "--profile",
        profile,
        "--port",
        port,
        "--address",
        address,
        "*",
    ]);
    let ended = Program::start(&mut meterd).end();
    let (mut values, mut failures) = (Values::new(), Values::new());
    for line in &ended.lines {
        let object: Object = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let text = |key: &str| object.get(key).map(|raw| raw.get().trim_matches('"').to_owned());
        assert_eq!(text("address").as_deref(), Some(address), "{line}");
        let name = text("register").unwrap();
        let twice = if text("reason").is_some() {
            failures.insert(name, text("detail").unwrap())
        } else {
            assert_eq!(text("quality").as_deref(), Some("good"), "{line}");
            values.insert(name, text("value").unwrap())
        };
        assert_eq!(twice, None, "one line a register: {line}");
    }
    Read { values, failures, code: ended.code, complaints: ended.complaints }
}

/// Reads every register of every meter that is reached so.
fn every_value_is_read(way: Way) {
    let Some((server, port)) = server(way) else { return };
    for Meter { address, profile, parts, others } in METERS {
        let read = read(way, &port, address, profile);
        let expected = values(parts);
        assert_eq!(
            read.values, expected,
            "{way:?} {address} {profile}: {:?} {}",
            read.failures, read.complaints
        );
        let lacking: BTreeSet<String> =
            values(&[others]).into_keys().filter(|name| !expected.contains_key(name)).collect();
        assert_eq!(read.failures.keys().cloned().collect::<BTreeSet<_>>(), lacking, "{address} {profile}");
        assert_eq!(read.code, Some(i32::from(!lacking.is_empty())), "{address} {profile}");
        assert_eq!(read.complaints, "");
    }
    let ended = server.end();
    // No request but the probe of a map that it does not have reached over what a meter has.
    assert_eq!(ended.lines, ["refused 18 3 2"], "{way:?}");
    assert_eq!((ended.code, ended.complaints.as_str()), (Some(0), ""), "{way:?}");
}

#[test]
fn every_value_of_an_independent_modbus_server_is_read_as_it_was_set_over_modbus_tcp() {
    every_value_is_read(TCP);
}

#[test]
fn every_value_of_an_independent_modbus_server_is_read_as_it_was_set_over_a_serial_server() {
    every_value_is_read(RTU_OVER_TCP);
}

#[test]
fn every_value_of_an_independent_modbus_server_is_read_as_it_was_set_on_a_serial_line() {
    every_value_is_read(RTU);
}

#[test]
fn a_meter_of_another_model_is_refused_by_its_identification_and_yields_no_value() {
    let Some((server, port)) = server(RTU_OVER_TCP) else { return };
    let read = read(RTU_OVER_TCP, &port, "72", "carlo-gavazzi-em24");
    let why = "its identification is 1648, which is none of its profile; look at its model".to_owned();
    let refused: Values = values(&["em24"]).into_keys().map(|name| (name, why.clone())).collect();
    assert_eq!(
        (read.values, read.failures, read.code),
        (Values::new(), refused, Some(1)),
        "{}",
        read.complaints
    );
    drop(server);
}

#[test]
fn no_two_registers_of_an_independent_meter_read_alike() {
    // Else one that is taken for another would not show.
    for meter in METERS {
        let values = values(meter.parts);
        assert!(values.len() >= 33, "{} has {}", meter.profile, values.len());
        let texts: BTreeSet<&String> = values.values().collect();
        assert_eq!(texts.len(), values.len(), "{}", meter.profile);
    }
}
