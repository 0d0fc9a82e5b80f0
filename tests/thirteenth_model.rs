//! A model that is not built in, added as protocols/README.md says under "How to add a Modbus meter": its example is
//! written into a file, and from there on the program alone does the work.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

use assert_cmd::Command;
use catalogue::Profile;
use jiff::Timestamp;
use meterd::clock::Clock;
use meterd::config;
use meterd::daemon::Daemon;
use meterd::mqtt::payload::{DataMessage, compose};
use meterd::planner::{CharFormat, Line, Parity};
use meterd::simulator::{
    self, FixedWords, Listen, MeterSettings, ModbusMeter, ModbusSettings, Pair, VirtualLine, VirtualMeter,
};
use modbus::rtu::Reply;
use modbus::{Function, Span, UnitId};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

const METERD: &str = env!("CARGO_BIN_EXE_meterd");
/// A program that takes so long hangs; it is ended then.
const HANGS: Duration = Duration::from_secs(120);

const README: &str = include_str!("../protocols/README.md");
const FILE: &str = "circutor-cvm-nrg96.toml";
/// As the page calls a file of one's own.
const ITS_FILE: &str = "my-meter.toml";
const ITS_PORT: &str = "/dev/ttyUSB0";
const UNIT: u8 = 10;
/// What the manual says its example's answer means, in the units of the names.
const OF_THE_MANUAL: [(&str, &str, &str); 5] = [
    ("voltage_l1", "212.5", "V"),
    ("current_l1", "9.000", "A"),
    ("active_power_l1", "4.000", "kW"),
    ("reactive_power_l1", "0.144", "kvar"),
    ("power_factor_l1", "0.96", ""),
];

const CONFIGURATION: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "store"

[[bus]]
name = "riser-1"
port = "/dev/ttyUSB0"

[[meter]]
name = "flat-101"
bus = "riser-1"
address = "101"

[[meter]]
name = "workshop"
bus = "riser-1"
protocol = "modbus-rtu"
profile = "circutor-cvm-nrg96"
address = "10"

[[task]]
name = "live"
every = "1m"
registers = ["voltage_l1", "current_l1", "active_power_l1", "reactive_power_l1", "power_factor_l1"]
"#;

/// What the page has under the heading, up to the next one.
fn section() -> &'static str {
    let rest = README.split_once("\n## How to add a Modbus meter\n").expect("the heading").1;
    rest.split("\n## ").next().unwrap()
}

fn example() -> &'static str {
    section().split_once("```toml\n").expect("an example").1.split_once("```").unwrap().0
}

/// The words of a command that the page shows for a file of one's own, with `places` of this test for its own.
fn shown(command: &str, places: &[(&str, &str)]) -> Vec<String> {
    let quoted = section().split('`').skip(1).step_by(2);
    let mut text = quoted.filter(|text| text.starts_with(command)).last().expect(command).to_owned();
    for (its, own) in places {
        assert!(text.contains(its), "{text} has no {its}");
        text = text.replace(its, own);
    }
    let words = text.strip_prefix("meterd ").unwrap().split(' ');
    words.map(|word| word.trim_matches('\'').to_owned()).collect()
}

/// Runs it where the file is.
fn meterd(folder: &Path, words: &[String]) -> Output {
    let mut command = Command::new(METERD);
    command.args(words).current_dir(folder).env_remove("METERD_LOG").timeout(HANGS).output().unwrap()
}

fn out(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The meter of the manual's page: its registers hold the words of the answer that is printed there.
fn meter(profile: &'static Profile) -> ModbusMeter {
    let example: toml::Table = example().parse().unwrap();
    let frame = example["test"][0]["frame"].as_str().unwrap();
    let octets: Vec<u8> = frame.split(' ').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    let reply = Reply::parse(&octets).unwrap();
    assert_eq!(reply.unit(), UNIT);
    // Unit, function and length in front, and the CRC behind.
    let words: Vec<u16> =
        octets[3..octets.len() - 2].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let mut settings = ModbusSettings::new(UnitId::new(UNIT).unwrap(), profile);
    settings.meter.baud = Some(9600);
    for (at, pair) in (0..).step_by(2).zip(words.chunks(2)) {
        let span = Span { function: Function::Input, address: at, count: 2 };
        settings.fixed.insert(span, FixedWords::Words(pair.to_vec()));
    }
    ModbusMeter::new(settings, 1)
}

/// Step 5 of the page, and the same for all that the manual has in its example: the lines that are printed.
async fn read_by_hand(folder: &Path, profile: &'static Profile) -> Vec<Vec<String>> {
    let pair = Pair::from(VirtualLine::new(Vec::new()).with_modbus(vec![meter(profile)]));
    let listen: Listen = "tcp://127.0.0.1:0".parse().unwrap();
    let line = simulator::spawn(pair, &listen, Clock::system(), 0).await.unwrap();
    let port = line.bound().port_address().to_string();
    let one = shown("meterd read ", &[(ITS_FILE, FILE), (ITS_PORT, &port)]);
    let all = one.iter().filter(|word| *word != "voltage_l*").cloned();
    let all: Vec<String> = all.chain(OF_THE_MANUAL.map(|(name, ..)| name.to_owned())).collect();
    let mut printed = Vec::new();
    for words in [one, all] {
        let folder = folder.to_owned();
        let output = tokio::task::spawn_blocking(move || meterd(&folder, &words)).await.unwrap();
        let lines = out(&output).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        printed.push(lines.collect());
    }
    line.stop().await.unwrap();
    printed
}

/// What a gateway stores of the meter in its first minutes, on a line with a DL/T 645 meter: each message by register.
async fn read_by_the_gateway(folder: &Path, profile: &'static Profile) -> Vec<BTreeMap<String, String>> {
    let plan = config::load(&folder.join("meterd.toml")).unwrap().plan;
    let clock = Clock::virtual_at("2026-11-21T10:00:30Z".parse::<Timestamp>().unwrap());
    let flat = VirtualMeter::new(MeterSettings::household("101".parse().unwrap()), 1);
    let own = Line { baud: 9600, frame: CharFormat { parity: Parity::None, ..CharFormat::EVEN } };
    let line = VirtualLine::new(vec![flat]).with_modbus(vec![meter(profile)]);
    let (opener, line) = simulator::in_memory(Pair::from(line).at(Line::DEFAULT), clock.clone(), 100);
    assert_eq!(plan.meters[1].line, own, "as the profile says that it is shipped");
    let daemon = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
    tokio::time::sleep(Duration::from_secs(150)).await;
    let store = daemon.store();
    store.flush().await.unwrap();
    let pending = store.offer(0, 1000).await.unwrap();
    let own = pending.iter().filter(|pending| pending.topic.contains("/workshop/data/"));
    let messages = own.map(|own| {
        let message = DataMessage::parse(&compose(&store.id(), own.seq, &own.body)).unwrap();
        assert_eq!(message.body.failures.len(), 0, "{:?}", message.body.failures);
        let readings = message.body.readings.into_iter();
        readings
            .map(|own| (own.register, format!("{} {}", own.value.unwrap(), own.unit.unwrap_or_default())))
            .collect()
    });
    let messages = messages.collect();
    daemon.stop().await;
    assert!(line.sent().iter().any(|sent| sent.meter.unit().is_none()), "the other meter answers too");
    messages
}

fn wait_for<T>(work: impl Future<Output = T>, is_virtual: bool) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(is_virtual).build().unwrap().block_on(work)
}

#[test]
fn a_thirteenth_model_is_added_by_one_file_as_the_readme_of_protocols_says() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("profiles.d");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join(FILE), example()).unwrap();
    std::fs::write(folder.path().join("meterd.toml"), CONFIGURATION).unwrap();
    let built_in = Profile::all().filter(|profile| profile.standard() == catalogue::Standard::Modbus);
    assert!(Profile::named("circutor-cvm-nrg96").is_err() && built_in.count() == 12, "it is the thirteenth");

    let tested = meterd(&profiles, &shown("meterd profiles test ", &[(ITS_FILE, FILE)]));
    assert_eq!(out(&tested), format!("{FILE}: rows of registers 5, tests passed 1\n"));
    let checked = meterd(folder.path(), &["check", "--config", "meterd.toml"].map(str::to_owned));
    let row = out(&checked).lines().find(|line| line.contains("workshop")).unwrap();
    assert!(row.contains("modbus-rtu") && row.ends_with("circutor-cvm-nrg96"), "{row}");
    assert!(out(&checked).ends_with("meterd.toml can run\n"), "{}", out(&checked));

    let profile = config::profile(FILE, &profiles).unwrap();
    let printed = wait_for(read_by_hand(&profiles, profile), false);
    let line =
        |(name, value, unit): (&str, &str, &str)| format!("{name} {value} {unit}").trim_end().to_owned();
    let unit = UNIT.to_string();
    assert_eq!(printed[0], [unit.clone(), line(OF_THE_MANUAL[0])]);
    assert_eq!(printed[1][0], unit);
    assert_eq!(printed[1][1..], OF_THE_MANUAL.map(line));

    let messages = wait_for(read_by_the_gateway(folder.path(), profile), true);
    assert_eq!(messages.len(), 2, "{messages:?}");
    let all = OF_THE_MANUAL.map(|(name, value, unit)| (name.to_owned(), format!("{value} {unit}")));
    for message in messages {
        assert_eq!(message, BTreeMap::from(all.clone()));
    }
}
