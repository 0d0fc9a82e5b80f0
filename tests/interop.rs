//! An implementation of DL/T 645-2007 that shares nothing with this one, the Python package dlt645, is read
//! by meterd and reads its simulator; both agree digit for digit.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

#[path = "interop/program.rs"]
mod program;

use meterd::clock::Clock;
use program::{Program, python, script};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::broker::{Broker, Gate, Message, Onlooker, Way};
use support::until;
use tempfile::TempDir;

const ADDRESS: &str = "000012345678";

/// Texts by data identifier; a demand is `12.3456 at 2026-11-20T18:30`.
type Values = BTreeMap<String, String>;

/// A JSON object with the digits that were sent.
type Object = BTreeMap<String, Box<RawValue>>;

fn meterd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meterd"));
    command.env_remove("METERD_LOG");
    command
}

/// The independent meter.
struct Meter {
    program: Program,
    port: String,
    /// What it was set to.
    values: Values,
    dir: TempDir,
}

impl Meter {
    fn start() -> Option<Self> {
        let (python, dir) = (python("dlt645")?, TempDir::new().unwrap());
        let file = dir.path().join("values.json");
        let program = Program::start(Command::new(python).arg(script("meter.py")).arg(ADDRESS).arg(&file));
        let ready = program.line("READY ");
        let (host, port) = ready.split_once(' ').unwrap();
        let values = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        Some(Self { program, port: format!("tcp://{host}:{port}"), values, dir })
    }

    /// Those of its values whose identifier begins so.
    fn some(&self, beginnings: &[&str]) -> Values {
        let wanted = |di: &str| beginnings.iter().any(|beginning| di.starts_with(beginning));
        self.values.iter().filter(|(di, _)| wanted(di)).map(|(di, v)| (di.clone(), v.clone())).collect()
    }

    /// Starts a daemon that reads these registers of it.
    fn daemon(&self, broker: u16, every: &str, dis: &[&str]) -> Program {
        let (data, port) = (self.dir.path().join("data"), &self.port);
        let text = format!(
            r#"
            gateway = {{ id = "gw01", timezone = "Asia/Shanghai", clock = "set", data_dir = {data:?} }}
            mqtt.url = "mqtt://127.0.0.1:{broker}"
            [[bus]]
            name = "dtu"
            port = "{port}"
            baud = 115200
            [[meter]]
            name = "shop-1"
            bus = "dtu"
            address = "{ADDRESS}"
            wiring = "3p4w"
            [[task]]
            name = "live"
            every = "{every}"
            registers = {dis:?}
            "#
        );
        let file = self.dir.path().join("meterd.toml");
        std::fs::write(&file, text).unwrap();
        Program::start(meterd().arg("run").arg("--config").arg(&file))
    }
}

/// What `meterd read --json` said.
struct Read {
    values: Values,
    /// Reasons by data identifier.
    failures: Values,
    code: Option<i32>,
    complaints: String,
}

fn read<'a>(port: &str, address: &str, registers: impl IntoIterator<Item = &'a str>) -> Read {
    let options = ["read", "--json", "--timeout", "5s", "--port", port, "--address", address];
    let ended = Program::start(meterd().args(options).args(registers)).end();
    let (mut values, mut failures) = (Values::new(), Values::new());
    for line in &ended.lines {
        let object: Object = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(text(&object, "address").as_deref(), Some(address));
        let of = if object.contains_key("reason") {
            failures.insert(text(&object, "di").unwrap(), text(&object, "reason").unwrap())
        } else {
            values.insert(text(&object, "di").unwrap(), value(&object))
        };
        assert_eq!(of, None, "one line a register: {line}");
    }
    Read { values, failures, code: ended.code, complaints: ended.complaints }
}

fn text(object: &Object, key: &str) -> Option<String> {
    object.get(key).map(|raw| raw.get().trim_matches('"').to_owned())
}

fn value(reading: &Object) -> String {
    assert_eq!(text(reading, "quality").as_deref(), Some("good"), "{reading:?}");
    let value = text(reading, "value").unwrap();
    text(reading, "at").map_or(value.clone(), |at| format!("{value} at {at}"))
}

#[test]
fn every_value_of_an_independent_meter_is_read_digit_for_digit() {
    let Some(meter) = Meter::start() else { return };
    assert!(meter.values.len() > 100, "{}", meter.values.len());
    let read = read(&meter.port, ADDRESS, meter.values.keys().map(String::as_str));
    assert_eq!(read.values, meter.values);
    assert_eq!((read.failures, read.code, read.complaints.as_str()), (Values::new(), Some(0), ""));
    // It refuses blocks: they were tried, and then its registers one by one.
    for asked in ["0001FF00", "00010000", "00010400", "0201FF00", "02010300"] {
        meter.program.line(&format!("asked {ADDRESS} {asked}"));
    }
}

#[test]
fn an_independent_meter_is_found_by_the_address_that_it_tells() {
    let Some(meter) = Meter::start() else { return };
    let options = ["read", "--json", "--port", &meter.port, "--address", "AAAAAAAAAAAA", "00010000"];
    let ended = Program::start(meterd().args(options)).end();
    let object: Object = serde_json::from_str(&ended.lines[0]).unwrap();
    assert_eq!(text(&object, "address").as_deref(), Some(ADDRESS));
    assert_eq!((value(&object), ended.lines.len(), ended.code), ("999999.99".to_owned(), 1, Some(0)));
}

#[test]
fn a_wrong_address_yields_failures_only() {
    let Some(meter) = Meter::start() else { return };
    let registers = ["00010000", "00010100", "02010100", "04000101"];
    let read = read(&meter.port, "000012345679", registers);
    // This meter speaks up where a real one is silent.
    let refused = registers.map(|di| (di.to_owned(), "refused".to_owned()));
    assert_eq!((read.values, read.failures), (Values::new(), Values::from(refused)));
    assert_eq!(read.code, Some(1));
}

#[test]
fn an_unknown_register_is_answered_with_the_nearest_name_and_nothing_is_asked() {
    let read = read("tcp://127.0.0.1:1", ADDRESS, ["voltage_l1", "active_powr"]);
    assert_eq!((read.values, read.failures, read.code), (Values::new(), Values::new(), Some(2)));
    let nearest = "active_powr; did you mean active_power?";
    assert!(read.complaints.contains(nearest), "{}", read.complaints);
}

const DATA: &str = "meterd/v1/gw01/meter/shop-1/data/live";
const STATUS: &str = "meterd/v1/gw01/status";
const BIRTH: &str = "meterd/v1/gw01/birth";

/// A data message: its number, its slot, its readings, how many registers have none.
struct Data {
    seq: u64,
    slot: jiff::Timestamp,
    values: Values,
    failures: usize,
}

fn seq(message: &Message) -> u64 {
    let object: Object = serde_json::from_str(&message.payload).unwrap();
    text(&object, "seq").unwrap().parse().unwrap()
}

fn data(message: &Message) -> Data {
    assert_eq!(message.topic, DATA);
    let object: Object = serde_json::from_str(&message.payload).unwrap();
    let list = |key: &str| serde_json::from_str::<Vec<Object>>(object[key].get()).unwrap();
    Data {
        seq: seq(message),
        slot: text(&object, "slot").unwrap().parse().unwrap(),
        values: list("readings").iter().map(|r| (text(r, "di").unwrap(), value(r))).collect(),
        failures: list("failures").len(),
    }
}

#[tokio::test]
async fn an_independent_meter_reaches_the_broker_digit_for_digit_and_sigterm_ends_the_daemon() {
    let Some(meter) = Meter::start() else { return };
    let Some(broker) = Broker::start().await else { return };
    let wanted = meter.some(&["0001", "0101", "0203", "0206", "0280000", "040001"]);
    let mut onlooker = Onlooker::of(broker.port(), DATA).await;
    let dis: Vec<_> = wanted.keys().map(String::as_str).collect();
    let mut daemon = meter.daemon(broker.port(), "5s", &dis);
    let first = data(&onlooker.next().await);
    // The first one says that the meter is online.
    assert_eq!((first.seq, first.failures), (2, 0), "{}", daemon.complaints());
    assert_eq!(first.values, wanted);

    let status = Onlooker::of(broker.port(), STATUS).await.next().await;
    assert!(status.retained && status.payload.contains(r#""state":"online""#), "{status:?}");

    daemon.terminate();
    let ended = tokio::time::timeout(Duration::from_secs(5), until("it ends", || daemon.has_ended())).await;
    assert_eq!(ended.expect("it has 5 s to end").code(), Some(0), "{}", daemon.complaints());
    let status = Onlooker::of(broker.port(), STATUS).await.next().await;
    assert!(status.retained && status.payload.contains(r#""reason":"shutdown""#), "{status:?}");
}

#[tokio::test]
async fn broker_that_is_stopped_and_started_again_has_every_slot_of_an_independent_meter() {
    let Some(meter) = Meter::start() else { return };
    let Some(mut broker) = Broker::start().await else { return };
    let gate = Gate::before(broker.port()).await;
    let mut onlooker = Onlooker::of(broker.port(), "meterd/v1/gw01/#").await;
    let dis = ["00010000", "02010100", "02030000"];
    let wanted = meter.some(&dis);
    let daemon = meter.daemon(gate.port(), "1s", &dis);
    let (mut seen, mut numbers) = (Vec::new(), BTreeSet::new());
    let mut see = |message: &Message, seen: &mut Vec<Data>| {
        if message.topic != STATUS && message.topic != BIRTH {
            numbers.insert(seq(message));
        }
        if message.topic == DATA {
            seen.push(data(message));
        }
    };
    while seen.len() < 3 {
        see(&onlooker.next().await, &mut seen);
    }
    // All that was signed for has come to the onlooker once the last will has; only then the broker dies.
    gate.set(Way::Shut);
    loop {
        let message = onlooker.next().await;
        see(&message, &mut seen);
        if message.topic == STATUS && message.payload.contains("connection_lost") {
            break;
        }
    }
    broker.kill();
    let down = Clock::system().now();
    // What was asked until now counts no more.
    meter.program.came("");
    let mut rounds = 0;
    until("three slots were read while the broker was away", || {
        rounds += meter.program.came(&format!("asked {ADDRESS} 02030000"));
        (rounds >= 3).then_some(())
    })
    .await;

    broker.start_again().await;
    let mut onlooker = Onlooker::of(broker.port(), "meterd/v1/gw01/#").await;
    gate.set(Way::Open);
    let up = Clock::system().now();
    while seen.iter().filter(|data| data.slot > up).count() < 3 {
        see(&onlooker.next().await, &mut seen);
    }
    let last = *numbers.last().unwrap();
    assert!(numbers.into_iter().eq(1..=last), "seq has a hole\n{}", daemon.complaints());
    assert!(seen.iter().filter(|data| down < data.slot && data.slot < up).count() >= 2);
    for data in &seen {
        assert_eq!((&data.values, data.failures), (&wanted, 0), "seq {}", data.seq);
    }
}

/// What the simulator answers: below 800000, since the package takes bit 7 of every energy as a sign.
const FIXED: [(&str, &str); 33] = [
    ("00000000", "-1234.56"),
    ("00010000", "799999.99"),
    ("00010100", "11111.11"),
    ("00010200", "0.00"),
    ("00010300", "33333.33"),
    ("00010400", "755555.55"),
    ("00020000", "98.76"),
    ("00030000", "-0.01"),
    ("01010000", "12.3456 at 2026-11-20T10:30"),
    ("02010100", "220.1"),
    ("02010200", "0.0"),
    ("02010300", "799.9"),
    ("02020100", "1.234"),
    ("02020200", "-2.345"),
    ("02020300", "-799.999"),
    ("02030000", "-12.3456"),
    ("02030100", "79.9999"),
    ("02030200", "-0.0002"),
    ("02030300", "4.0000"),
    ("02040000", "-1.5000"),
    ("02040100", "0.5000"),
    ("02040200", "0.0000"),
    ("02040300", "0.0001"),
    ("02060000", "0.999"),
    ("02060100", "1.000"),
    ("02060200", "-0.500"),
    ("02060300", "-1.000"),
    ("02800001", "-0.012"),
    ("02800002", "49.98"),
    ("04000101", "2026-11-21"),
    ("04000102", "22:30:15"),
    ("04000401", ADDRESS),
    ("04000402", "990000000001"),
];

/// The simulator with these values; where it listens.
fn simulator(listen: &str, dir: &Path) -> (Program, String) {
    let fixed: String = FIXED.iter().map(|(di, value)| format!("\"{di}\" = \"{value}\"\n")).collect();
    let file = dir.join("scenario.toml");
    let scenario = format!("[[meter]]\naddress = \"{ADDRESS}\"\nphases = 3\n[meter.fixed]\n{fixed}");
    std::fs::write(&file, scenario).unwrap();
    let simulator = Program::start(meterd().args(["simulate", "--listen", listen, "--scenario"]).arg(file));
    let port = simulator.line("READY ");
    (simulator, port)
}

fn both_read(listen: &str, dir: &Path) {
    let Some(python) = python("dlt645") else { return };
    let (simulator, port) = simulator(listen, dir);
    let mut expected: Values = FIXED.iter().map(|(di, v)| ((*di).to_owned(), (*v).to_owned())).collect();
    let dis = || FIXED.iter().map(|(di, _)| *di);

    let ours = read(&port, ADDRESS, dis());
    assert_eq!((&ours.values, ours.code), (&expected, Some(0)), "{}", ours.complaints);

    let reader =
        Program::start(Command::new(python).arg(script("reader.py")).args([&port, ADDRESS]).args(dis()));
    let ended = reader.end();
    let [line] = ended.lines.as_slice() else { panic!("{}", ended.complaints) };
    let theirs: BTreeMap<String, Option<String>> = serde_json::from_str(line).unwrap();
    let theirs: Values = theirs.into_iter().map(|(di, v)| (di, v.unwrap_or_default())).collect();
    expected.insert("address".to_owned(), ADDRESS.to_owned());
    assert_eq!(theirs, expected);
    drop(simulator);
}

#[test]
fn an_independent_reader_reads_our_meter_over_tcp_as_we_do() {
    both_read("tcp://127.0.0.1:0", TempDir::new().unwrap().path());
}

#[test]
fn an_independent_reader_reads_our_meter_on_a_serial_line_as_we_do() {
    let dir = TempDir::new().unwrap();
    both_read(&format!("pty:{}", dir.path().join("bus1").display()), dir.path());
}
