//! What README.md shows is what happens: each command is run, and what it prints is compared; the
//! Chinese page has the same headings, commands and tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking; what tests share is used by several"
)]

#[path = "readme/asked.rs"]
mod asked;
#[path = "readme/both.rs"]
mod both;
#[path = "readme/modbus.rs"]
mod modbus_meters;
#[path = "readme/page.rs"]
mod page;
#[path = "readme/programs.rs"]
mod programs;
mod support;

use dlt645::frame::{Control, Frame};
use meterd::store::StoreError;
use page::{CHINESE, ENGLISH, assert_in_both, commands, only_block, transcript};
use programs::{Line, Running, SIMULATE_SCENARIO, configuration, run, words};
use rustix::process::Signal;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use support::broker::Broker;
use support::{frame, reply};
use tempfile::TempDir;

const DEMO: &str = "cargo run --release -- demo";
const DEMO_LINES: &str = "cargo run --release -- demo --lines --for 8s";
const READ_ADDRESS: &str = "meterd read --port /dev/ttyUSB0 --address AAAAAAAAAAAA communication_address";
const READ_TWO: &str = "meterd read --port /dev/ttyUSB0 --address 000012345678,000087654321 \
                        active_energy_import voltage_l1";
const CHECK: &str = "meterd check --config /etc/meterd/meterd.toml";
const RUN: &str = "meterd run --config /etc/meterd/meterd.toml";
const WATCH: &str = "meterd watch --url mqtt://127.0.0.1:1883";
const WATCH_JSON: &str = "meterd watch --url mqtt://127.0.0.1:1883 --meter 'transformer-*' --json";
const SIMULATE: &str = "meterd simulate --meters 8 --listen tcp://127.0.0.1:4001";
const TRACE: &str = "meterd read --port /tmp/bus1 --address 000012345678 --trace active_energy_import";
const READ_JSON: &str = "meterd read --port /tmp/bus1 --address 000012345678 --json max_demand_active_import";

const DECODE: &str = "meterd decode FE FE 68 78 56 34 12 00 00 68 91 08 33 33 34 33 78 5B 74 33 C4 16";
const REGISTERS: &str = "meterd registers 正向有功 --protocol dlt645-1997";
const PROFILES: &str = "meterd profiles";
const PROFILES_TEST: &str = "meterd profiles test protocols/dlt645/profiles/line-voltage.toml";

/// Commands of the page that a test here runs.
const OURS: [&str; 16] = [
    DEMO,
    DEMO_LINES,
    READ_ADDRESS,
    READ_TWO,
    CHECK,
    RUN,
    WATCH,
    WATCH_JSON,
    SIMULATE,
    SIMULATE_SCENARIO,
    TRACE,
    READ_JSON,
    DECODE,
    REGISTERS,
    PROFILES,
    PROFILES_TEST,
];
/// Commands of other programs: the build and the tests themselves, and what only an installer may do.
const OTHERS: [&str; 9] = [
    "cargo test --workspace",
    "cargo build --release",
    "sudo install -Dm755 target/release/meterd /usr/bin/meterd",
    "sudo useradd --system --no-create-home --groups dialout meterd",
    "sudo install -Dm644 deploy/config/meterd.example.toml /etc/meterd/meterd.toml",
    "sudo install -Dm644 deploy/systemd/meterd.service /etc/systemd/system/meterd.service",
    "sudo install -Dm644 deploy/udev/70-meterd.rules /etc/udev/rules.d/70-meterd.rules",
    "sudo systemctl enable --now meterd",
    "sudo systemctl reload meterd",
];

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_command_of_the_page_is_run_by_a_test_here() {
    let known: BTreeSet<&str> =
        OURS.into_iter().chain(asked::ASKED).chain(modbus_meters::SHOWN).chain(OTHERS).collect();
    let shown = commands(ENGLISH);
    let shown: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
    assert_eq!(shown, known);
    // Each constant is used where it is run, once more than where it is listed.
    let source = include_str!("readme.rs");
    for name in [
        "DEMO",
        "DEMO_LINES",
        "READ_ADDRESS",
        "READ_TWO",
        "CHECK",
        "RUN",
        "WATCH",
        "WATCH_JSON",
        "SIMULATE",
        "SIMULATE_SCENARIO",
        "TRACE",
        "READ_JSON",
        "DECODE",
        "REGISTERS",
        "PROFILES",
        "PROFILES_TEST",
    ] {
        assert!(source.contains(&format!("words({name}, ")), "{name} is not run");
    }
}

#[test]
fn commands_of_an_installer_name_files_that_are_there_and_the_user_of_the_service() {
    let unit = include_str!("../deploy/systemd/meterd.service");
    for command in OTHERS {
        if let Some(rest) = command.strip_prefix("sudo install -Dm644 ") {
            assert!(root(rest.split(' ').next().unwrap()).is_file(), "{command}");
        }
    }
    assert!(unit.contains("ExecStart=/usr/bin/meterd run --config /etc/meterd/meterd.toml"));
    assert!(unit.contains("User=meterd") && unit.contains("SupplementaryGroups=dialout"));
}

#[cfg(feature = "demo")]
#[test]
fn demo_shows_readings_until_it_is_ended_and_leaves_none_behind() {
    let demo = Running::start(&words(DEMO, &[]));
    demo.line("a reading", |line| line.ends_with(" good"));
    let (ended, printed) = demo.end(Signal::INT);
    assert!(
        ended.success() && printed.contains(" and 0 failures in ") && printed.ends_with("not signed for 0\n"),
        "{printed}"
    );
}

#[cfg(feature = "demo")]
#[test]
fn demo_ends_by_itself_and_prints_as_shown() {
    let ended = run(&words(DEMO_LINES, &[]));
    assert!(ended.status.success(), "{}", ended.err);
    // In the ten minutes after its run a freeze is not late.
    let form = |line: &str| {
        line.trim_end_matches(", late")
            .split_whitespace()
            .map(|w| if w.starts_with(|c: char| c.is_ascii_digit()) { "1" } else { w })
            .collect::<Vec<_>>()
            .join(" ")
    };
    let printed: Vec<String> = ended.out.lines().map(form).collect();
    for shown in transcript(DEMO_LINES).lines().map(form) {
        assert!(printed.contains(&shown), "{shown} is not in\n{}", ended.out);
    }
}

#[test]
fn the_only_meter_of_a_line_tells_its_address() {
    let folder = TempDir::new().unwrap();
    let scenario = folder.path().join("one.toml");
    let both = include_str!("../fixtures/scenarios/example.toml");
    std::fs::write(&scenario, both.split("# Behind transformers").next().unwrap()).unwrap();
    let port = folder.path().join("bus1").display().to_string();
    let places = [("fixtures/scenarios/example.toml", scenario.to_str().unwrap()), ("/tmp/bus1", &port)];
    let simulator = Running::start(&words(SIMULATE_SCENARIO, &places));
    simulator.line("ready", |line| line.starts_with("READY"));
    let ended = run(&words(READ_ADDRESS, &[("/dev/ttyUSB0", &port)]));
    assert!(ended.status.success(), "{}", ended.err);
    assert_eq!(
        ended.out.split_whitespace().collect::<Vec<_>>(),
        ["000012345678", "communication_address", "000012345678"]
    );
}

#[test]
fn meters_are_read_as_shown() {
    let line = Line::start();
    let ended = run(&words(READ_TWO, &[("/dev/ttyUSB0", &line.port)]));
    assert!(ended.status.success(), "{}", ended.err);
    assert_eq!(ended.out, transcript(READ_TWO));
}

#[test]
fn frames_are_traced_as_shown() {
    let line = Line::start();
    let ended = run(&words(TRACE, &[("/tmp/bus1", &line.port)]));
    assert!(ended.status.success());
    assert_eq!(format!("{}{}", ended.err, ended.out), transcript(TRACE));
}

#[test]
fn a_line_of_json_is_the_object_of_the_payload() {
    let line = Line::start();
    let ended = run(&words(READ_JSON, &[("/tmp/bus1", &line.port)]));
    assert!(ended.status.success(), "{}", ended.err);
    assert!(
        ended.out.starts_with(r#"{"address":"000012345678","register":"max_demand_active_import","#),
        "{}",
        ended.out
    );
    assert!(ended.out.contains(r#""value":3.1520,"at":"2026-11-14T19:30","unit":"kW""#), "{}", ended.out);
}

#[test]
fn octets_of_the_first_screen_are_the_reading_of_the_first_screen() {
    let line = Line::start();
    let (octets, rest) = ENGLISH.split_once("on the line   ").unwrap().1.split_once('\n').unwrap();
    assert!(rest.lines().count() > 300, "it is the first screen");
    let wire: Vec<u8> = octets.split(' ').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    assert_eq!(Frame::parse(&wire[4..]).unwrap().address().to_string(), "000012345678");
    let mut asked = words(TRACE, &[("/tmp/bus1", &line.port)]);
    asked.push("--json".to_owned());
    let ended = run(&asked);
    assert!(ended.err.contains(&format!("< {octets}\n")), "{}", ended.err);
    let shown = &rest[rest.find('{').unwrap()..=rest.find('}').unwrap()];
    let (mut shown, mut read) = (json(shown), json(&ended.out));
    shown.as_object_mut().unwrap().remove("taken_at").unwrap();
    let read_keys = read.as_object_mut().unwrap();
    read_keys.remove("taken_at").unwrap();
    read_keys.remove("address").unwrap();
    assert_eq!(shown, read);
}

#[test]
fn exit_codes_are_those_of_the_page() {
    let folder = TempDir::new().unwrap();
    let nowhere = folder.path().join("none").display().to_string();
    let ended = run(&words(READ_TWO, &[("/dev/ttyUSB0", &nowhere)]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.out.contains("port_gone"), "{}", ended.out);
    let usage = run(&words(READ_TWO, &[("voltage_l1", "voltage_l9"), ("/dev/ttyUSB0", &nowhere)]));
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn the_plan_is_printed_as_shown() {
    let folder = TempDir::new().unwrap();
    let path = configuration(folder.path(), &[]);
    let ended = run(&words(CHECK, &[("/etc/meterd/meterd.toml", &path)]));
    assert!(ended.status.success(), "{}", ended.err);
    assert_eq!(ended.out.replace(&path, "/etc/meterd/meterd.toml"), transcript(CHECK));
}

#[test]
fn profiles_are_listed_and_tested_as_shown() {
    let listed = run(&words(PROFILES, &[]));
    assert!(listed.status.success(), "{}", listed.err);
    let profiles = |of: &str| std::fs::read_dir(root(&format!("protocols/{of}/profiles"))).unwrap().count();
    let shipped = profiles("dlt645");
    let modbus = profiles("modbus");
    assert_eq!(listed.out.lines().count(), shipped + modbus);
    for page in [ENGLISH, CHINESE] {
        assert!(page.contains(&format!("[{shipped}")), "{shipped} profiles");
        assert!(page.contains(&format!("[{modbus} ")), "{modbus} profiles of Modbus");
    }
    let tested = run(&words(PROFILES_TEST, &[]));
    assert!(tested.status.success(), "{}", tested.err);
    assert!(tested.out.contains("tests passed 2"), "{}", tested.out);
}

#[test]
fn a_frame_is_explained_as_shown_and_registers_are_found() {
    let explained = run(&words(DECODE, &[]));
    assert!(explained.status.success(), "{}", explained.err);
    // The block ends with an empty line, which the page leaves out.
    assert_eq!(explained.out.trim_end(), transcript(DECODE).trim_end());
    let found = run(&words(REGISTERS, &[]));
    assert!(found.status.success() && found.out.contains("active_energy_import"), "{}", found.out);
}

#[test]
fn households_are_simulated_on_a_socket() {
    let simulator = Running::start(&words(SIMULATE, &[("4001", "0")]));
    for number in 1..=8 {
        simulator.line("a meter", |line| line.starts_with(&format!("meter {number:012}")));
    }
    simulator.line("ready", |line| line.starts_with("READY tcp://127.0.0.1:"));
    assert!(simulator.end(Signal::TERM).0.success());
}

#[tokio::test]
async fn the_daemon_runs_and_is_watched_as_shown() {
    let Some(mut broker) = Broker::start().await else { return };
    let (line, folder) = (Line::start(), TempDir::new().unwrap());
    let at = broker.port().to_string();
    let data = format!("id = \"gw01\"\ndata_dir = \"{}\"", folder.path().join("store").display());
    let path = configuration(
        folder.path(),
        &[("id = \"gw01\"", &data), ("1883", &at), ("/dev/ttyUSB0", &line.port), ("\"15m\"", "\"5s\"")],
    );
    let watch = Running::start(&words(WATCH, &[("1883", &at)]));
    let payloads = Running::start(&words(WATCH_JSON, &[("1883", &at)]));
    for watch in [&watch, &payloads] {
        watch.line("it is connected", |line| line.starts_with("connected"));
    }
    let daemon = Running::start(&words(RUN, &[("/etc/meterd/meterd.toml", &path)]));
    // All but the time of day.
    for shown in transcript(WATCH).lines() {
        watch.line(shown, |line| line.get(9..) == shown.get(9..));
    }
    let shown = only_block("json");
    let published = payloads.line("the message that is shown", |line| {
        line.contains("\"task\":\"energy\"") && line.contains("\"readings\"")
    });
    let digits = r#""value":1204.77,"unit":"kWh","ratio":1500,"primary":1807155.00,"#;
    assert!(published.contains(digits) && shown.replace([' ', '\n'], "").contains(digits), "{published}");
    let [mut shown, mut published] = [json(&shown), json(&published)];
    for message in [&mut shown, &mut published] {
        for changing in ["store", "seq", "slot"] {
            message.as_object_mut().unwrap().remove(changing).unwrap();
        }
        message["readings"][0].as_object_mut().unwrap().remove("taken_at").unwrap();
    }
    assert_eq!(published, shown);
    broker.kill();
    let log = "unsigned messages stay in the store and are sent again after reconnecting";
    assert!(ENGLISH.contains(log) && CHINESE.contains(log));
    daemon.line("the log of an outage", |line| line.contains(log));
    let (ended, log) = daemon.end(Signal::TERM);
    assert!(ended.success() && log.contains("what the broker has not signed for is kept"), "{log}");
    for watch in [watch, payloads] {
        assert!(watch.end(Signal::INT).0.success());
    }
}

/// A serial server that answers each request as `answer` says.
fn fake_line(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        while let Ok(count @ 1..) = stream.read(&mut request) {
            if stream.write_all(&answer(&request[..count])).is_err() {
                break;
            }
        }
    });
    port
}

#[test]
fn failures_table_says_what_meterd_prints() {
    const SELF: &str = "000000000099";
    let good = || reply(SELF, "00010000", &[0x45, 0x28, 0x41, 0x00]);
    type Answer = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;
    let cases: [(Answer, &[&str]); 7] = [
        // A and B swapped: each bit upside down.
        (
            Box::new(move |_| good().iter().map(|octet| !octet).collect()),
            &["octets came and never a frame, asked 2 times: look at parity and baud (2400 8E1)"],
        ),
        // 8E1 read as 8N1 by a serial server: the top bits are parity.
        (
            Box::new(move |_| {
                good().iter().map(|o| (o & 0x7F) | ((o & 0x7F).count_ones() as u8 % 2 * 0x80)).collect()
            }),
            &["damaged", "octets came and never a frame"],
        ),
        (Box::new(|_| Vec::new()), &["silent", "no octet of an answer, asked 2 times"]),
        // Two meters drive the line at once: a 0 of either wins.
        (
            Box::new(move |_| {
                let other = reply(SELF, "00010000", &[0x99, 0x17, 0x02, 0x00]);
                good().iter().zip(&other).map(|(a, b)| a & b).collect()
            }),
            &["damaged"],
        ),
        (
            Box::new(|_| reply("000000000007", "00010000", &[1, 2, 3, 4])),
            &["stray", "frame(s) came that answer another question"],
        ),
        (Box::new(<[u8]>::to_vec), &["silent", "the adapter echoes"]),
        (Box::new(|_| frame(SELF, Control::refusal(0x11), &[0x02])), &["refused", "no requested data"]),
    ];
    for (answer, told) in cases {
        let port = fake_line(answer);
        let asked: Vec<String> =
            ["read", "--port", &port, "--address", SELF, "active_energy_import"].map(str::to_owned).into();
        let ended = run(&asked);
        assert_eq!(ended.status.code(), Some(1));
        // Long details are wrapped.
        let printed = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in told {
            assert!(printed.contains(text), "{text} is not in {}", ended.out);
            assert_in_both(text);
        }
    }
    let full = StoreError::Full { detail: String::new() }.to_string();
    assert_in_both(full.split(" (").next().unwrap());
    // What needs a plug pulled or a clock without its time: the words stand in the source.
    for (text, source) in [
        ("the port failed", include_str!("../src/bus/task/hearing.rs")),
        ("the meter does not answer", include_str!("../src/bus/task/hearing.rs")),
        ("no meter of the line answers", include_str!("../src/bus/task/hearing.rs")),
        ("the line is jammed", include_str!("../src/bus/task/hearing.rs")),
        ("the line is noisy", include_str!("../src/bus/task/hearing.rs")),
        ("not asked: it does not answer since", include_str!("../src/bus/task/choose.rs")),
        ("no meter of the line answers since", include_str!("../src/bus/task/choose.rs")),
        ("the line is jammed since", include_str!("../src/bus/task/choose.rs")),
        ("no DTU has dialled in", include_str!("../src/bus/port/mod.rs")),
        ("the connection is half-open", include_str!("../src/bus/port/mod.rs")),
        ("an unknown DTU has dialled in", include_str!("../src/bus/port/dial_in.rs")),
        ("the clock is not trusted: no slot opens until it is set", include_str!("../src/daemon/judge.rs")),
    ] {
        assert!(source.contains(text), "{text}");
        assert_in_both(text);
    }
}
