//! What a person at the command line is told: transcripts of `meterd`, and `meterd read` against virtual
//! meters, against silence, and against lines that only make noise.
//!
//! `TRYCMD=overwrite cargo test --test cli` writes the transcripts anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "a test fails loudly")]

mod support;

use assert_cmd::Command;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::Duration;
use support::reply;
use unicode_width::UnicodeWidthStr;

const METERD: &str = env!("CARGO_BIN_EXE_meterd");
/// A program that takes so long hangs; it is ended then.
const HANGS: Duration = Duration::from_secs(120);
const EDGES: &str = "fixtures/scenarios/edge-values.toml";

fn meterd(args: &[&str]) -> Output {
    Command::new(METERD).args(args).env_remove("METERD_LOG").timeout(HANGS).output().unwrap()
}

/// `meterd read` with what all these tests have in common.
fn read(port: &str, address: &str, rest: &[&str]) -> Output {
    meterd(&[&["read", "--port", port, "--address", address], rest].concat())
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The lines of `--json`, which are objects, one a line.
fn objects(output: &Output) -> Vec<Value> {
    out(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A `meterd simulate` that may be read from; it ends with this.
struct Simulator {
    child: Child,
    port: String,
}

impl Simulator {
    fn start(args: &[&str]) -> Self {
        let mut child = std::process::Command::new(METERD)
            .arg("simulate")
            .args(args)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // Held at once, so that it ends also if there is no READY.
        let mut simulator = Self { child, port: String::new() };
        let ready =
            stdout.lines().map(Result::unwrap).find_map(|l| l.strip_prefix("READY ").map(str::to_owned));
        simulator.port = ready.expect("it said READY before it ended");
        simulator
    }

    fn edges() -> Self {
        Self::start(&["--scenario", EDGES, "--listen", "tcp://127.0.0.1:0"])
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A serial server whose line is played by `line`, one connection after the other.
fn serial_server(mut line: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            line(stream);
        }
    });
    port
}

/// Waits for a whole request: it ends with 16H and has its length. False when the reader has gone.
fn request_came(stream: &mut TcpStream) -> bool {
    let mut heard = Vec::new();
    let mut octets = [0; 64];
    loop {
        match stream.read(&mut octets) {
            Ok(0) | Err(_) => return false,
            Ok(n) => heard.extend_from_slice(&octets[..n]),
        }
        if heard.iter().position(|o| *o == 0x68).is_some_and(|start| heard.len() >= start + 16) {
            return true;
        }
    }
}

#[test]
fn transcripts_of_the_command_line_are_as_written() {
    let cases = trycmd::TestCases::new();
    cases.default_bin_path(METERD).env("COLUMNS", "80").case("tests/cli/*.trycmd");
    if !cfg!(feature = "demo") {
        cases.skip("tests/cli/help.trycmd");
    }
}

#[test]
fn every_help_fits_a_terminal_of_80_columns() {
    let help = out(&meterd(&["--help"])).to_owned();
    let subcommands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(subcommands.len() >= 5 && subcommands.contains(&"read"), "{subcommands:?}");
    for subcommand in subcommands {
        let output = meterd(&[subcommand, "--help"]);
        assert!(out(&output).contains("Usage: meterd"), "{subcommand}");
        for line in out(&output).lines().chain(help.lines()) {
            assert!(line.width() <= 80, "{subcommand}: {} columns: {line}", line.width());
        }
    }
}

#[test]
fn without_a_configuration_at_the_usual_place_check_says_where_it_looked() {
    let usual = Path::new("/etc/meterd/meterd.toml");
    if usual.exists() {
        assert!(std::env::var("CI").is_err(), "{} is there", usual.display());
        eprintln!("left out: {} is there", usual.display());
        return;
    }
    let output = meterd(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        err(&output),
        "/etc/meterd/meterd.toml: does not exist\n\
         meterd: 1 fault 处错误, the daemon would not start; --config FILE names another file\n"
    );
}

#[test]
fn readings_are_printed_with_their_unit_and_the_exit_code_is_0() {
    let simulator = Simulator::edges();
    let output = read(&simulator.port, "101", &["active_energy_import", "active_power", "power_factor"]);
    assert_eq!((output.status.code(), err(&output)), (Some(0), ""));
    assert_eq!(
        out(&output),
        "000000000101\n  \
           active_energy_import                    999999.99 kWh\n  \
           active_power                             -12.3456 kW\n  \
           power_factor                               -1.000\n"
    );
}

#[test]
fn json_has_one_object_a_line_with_the_digits_that_the_meter_sent() {
    let simulator = Simulator::edges();
    let registers = ["active_energy_import", "active_power", "active_energy_export", "voltage_l1"];
    let output = read(&simulator.port, "101", &[&["--json"][..], &registers].concat());
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output).lines().count(), registers.len());
    for ((object, line), register) in objects(&output).iter().zip(out(&output).lines()).zip(registers) {
        assert_eq!(object["address"], "000000000101", "{line}");
        assert_eq!(object["register"], register, "{line}");
    }
    let digits: Vec<_> = registers.iter().map(|r| support::digits_of(out(&output), r)).collect();
    assert_eq!(digits, [Some("999999.99"), Some("-12.3456"), Some("0.50"), Some("0.0")]);
}

#[test]
fn what_is_no_value_is_a_failure_with_its_reason_and_its_octets() {
    let simulator = Simulator::edges();
    let registers = ["active_energy_import", "active_power", "active_energy_export"];
    let output = read(&simulator.port, "102", &[&["--json"][..], &registers].concat());
    assert_eq!(output.status.code(), Some(1), "one came, two did not");
    let objects = objects(&output);
    let of = |register: &str| objects.iter().find(|o| o["register"] == register).unwrap();
    let (fill, no_bcd) = (of("active_energy_import"), of("active_power"));
    assert_eq!((&fill["reason"], &fill["raw"]), (&"missing".into(), &"FFFFFFFF".into()));
    assert_eq!((&no_bcd["reason"], &no_bcd["raw"]), (&"implausible".into(), &"0A0000".into()));
    assert!(objects.iter().all(|o| o["address"] == "000000000102"));
    for failed in [fill, no_bcd] {
        assert!(failed.get("value").is_none(), "{failed}");
    }
    assert!(of("active_energy_export").get("value").is_some());

    let text = read(&simulator.port, "102", &["active_energy_import", "active_power"]);
    assert_eq!(text.status.code(), Some(1));
    assert!(out(&text).contains("missing") && out(&text).contains("raw FF FF FF FF"), "{}", out(&text));
    assert!(out(&text).contains("implausible") && out(&text).contains("raw 0A 00 00"), "{}", out(&text));
}

#[test]
fn a_record_is_read_with_its_fields_and_a_bit_word_as_hexadecimal() {
    let simulator = Simulator::edges();
    let asked = ["voltage_loss_totals", "status_word_3"];
    let output = read(&simulator.port, "105", &[&["--json"], &asked[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let found = objects(&output);
    let record = found.iter().find(|o| o["register"] == "voltage_loss_totals").unwrap();
    assert_eq!(record["address"], "000000000105");
    let fields: Vec<_> =
        record["fields"].as_array().unwrap().iter().map(|f| (&f["register"], &f["value"])).collect();
    assert_eq!(fields[0], (&Value::from("count_l1"), &Value::from(1)));
    assert_eq!(fields[5], (&Value::from("minutes_l3"), &Value::from(6)));
    assert_eq!(found.iter().find(|o| o["register"] == "status_word_3").unwrap()["value"], "0010");
    let text = read(&simulator.port, "105", &asked);
    assert!(out(&text).contains("minutes_l3") && out(&text).contains("C相总累计时间"), "{}", out(&text));
}

#[test]
fn a_refusal_fails_its_register_and_no_other() {
    let simulator = Simulator::edges();
    let output = read(&simulator.port, "103", &["--json", "current_l1", "voltage_l1"]);
    assert_eq!(output.status.code(), Some(1));
    let objects = objects(&output);
    let reasons: Vec<_> = objects.iter().map(|o| (o["register"].as_str(), o["reason"].as_str())).collect();
    assert!(reasons.contains(&(Some("current_l1"), Some("refused"))), "{reasons:?}");
    assert!(reasons.contains(&(Some("voltage_l1"), None)), "{reasons:?}");
}

#[test]
fn a_trace_explains_every_frame_on_standard_error() {
    let simulator = Simulator::edges();
    let output = read(&simulator.port, "101", &["--trace", "active_energy_import"]);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&str> = err(&output).lines().collect();
    assert_eq!(lines.len(), 4, "two frames, each with its words: {lines:?}");
    assert!(lines[0].starts_with("> FE FE FE FE 68 01 01 00 00 00 00 68 11 04 33 33 34 33"), "{lines:?}");
    assert!(lines[2].starts_with("< ") && lines[2].contains("68 91 08"), "{lines:?}");
    for explained in [lines[1], lines[3]] {
        assert!(explained.starts_with("    ") && explained.contains("000000000101"), "{lines:?}");
        assert!(explained.contains("active_energy_import"), "{lines:?}");
    }
    assert!(!out(&output).contains("68 91 08"), "the output stays readings alone");
}

#[test]
fn several_addresses_are_read_one_after_the_other() {
    let simulator = Simulator::edges();
    let output = read(&simulator.port, "104,101", &["--json", "active_energy_import"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let addresses: Vec<_> = objects(&output).iter().map(|o| o["address"].clone()).collect();
    assert_eq!(addresses, ["000000000104", "000000000101"]);
}

#[test]
fn nobody_at_an_address_is_silent_and_hides_no_other_meter() {
    let simulator = Simulator::edges();
    let impatient = ["--json", "--timeout", "50ms", "--retries", "0", "voltage_l1"];
    let output = read(&simulator.port, "999", &impatient);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(objects(&output)[0]["reason"], "silent");
    let output = read(&simulator.port, "999,101", &["--json", "voltage_l1"]);
    assert_eq!(output.status.code(), Some(1));
    let objects = objects(&output);
    assert_eq!((&objects[0]["reason"], &objects[1]["address"]), (&"silent".into(), &"000000000101".into()));
}

#[test]
fn the_only_meter_on_the_line_is_found_by_address_aa() {
    let simulator =
        Simulator::start(&["--meters", "1", "--start-address", "31415926", "--listen", "tcp://127.0.0.1:0"]);
    let output = read(&simulator.port, "AAAAAAAAAAAA", &["--json", "--trace", "voltage_l1"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(objects(&output)[0]["address"], "000031415926");
    // It asked for the address with 13H before it read with 11H.
    let sent: Vec<&str> = err(&output).lines().filter(|line| line.starts_with("> ")).collect();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].contains("68 AA AA AA AA AA AA 68 13 00"), "{sent:?}");
    assert!(sent[1].contains("68 26 59 41 31 00 00 68 11 04"), "{sent:?}");
}

#[test]
fn a_port_that_does_not_exist_is_said_with_what_to_look_at() {
    let output = read("/dev/no-such-port", "1", &["--json", "voltage_l1", "current_l1"]);
    assert_eq!(output.status.code(), Some(1));
    let objects = objects(&output);
    assert_eq!(objects.len(), 2);
    for object in &objects {
        assert_eq!(object["reason"], "port_gone", "{object}");
        let detail = object["detail"].as_str().unwrap();
        assert!(detail.contains("/dev/no-such-port") && detail.contains("plugged in"), "{detail}");
    }
    let text = read("/dev/no-such-port", "1", &["voltage_l1", "current_l1"]);
    assert_eq!(out(&text).matches("/dev/no-such-port").count(), 1, "once is enough: {}", out(&text));
    assert!(out(&text).lines().all(|line| line.width() <= 80), "{}", out(&text));

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = read(&format!("tcp://{closed}"), "1", &["--json", "voltage_l1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("port_gone") && out(&output).contains("serial server"), "{}", out(&output));
}

#[test]
fn a_line_that_only_makes_noise_is_a_hint_at_parity_and_baud() {
    let port = serial_server(|mut stream| {
        while request_came(&mut stream) {
            // What 8E1 looks like where 8N1 is expected: many octets, and none of them a start.
            let _ = stream.write_all(&[0xE8, 0x5A, 0x00, 0xB3, 0x96, 0x33, 0xC7, 0x7F, 0x12, 0x96]);
        }
    });
    let output = read(&port, "1", &["--retries", "0", "--timeout", "200ms", "voltage_l1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("damaged"), "{}", out(&output));
    let hint = err(&output);
    for word in ["never a frame", "parity", "baud", "2400 8E1", "A and B", "校验位", "波特率"] {
        assert!(hint.contains(word), "{word}: {hint}");
    }
    assert!(hint.lines().all(|line| line.width() <= 80), "{hint}");
}

#[test]
fn a_silent_line_is_no_hint_at_parity() {
    let port = serial_server(|mut stream| while request_came(&mut stream) {});
    let output = read(&port, "1", &["--retries", "0", "--timeout", "50ms", "voltage_l1"]);
    assert_eq!((output.status.code(), err(&output)), (Some(1), ""));
    assert!(out(&output).contains("silent"), "{}", out(&output));
}

#[test]
fn a_question_is_asked_once_more_than_there_are_retries() {
    let (count, counted) = std::sync::mpsc::channel();
    let port = serial_server(move |mut stream| {
        let mut asked = 0;
        while request_came(&mut stream) {
            asked += 1;
        }
        count.send(asked).unwrap();
    });
    for (retries, said, asked) in [("0", "asked once", 1), ("2", "asked 3 times", 3)] {
        let output = read(&port, "1", &["--retries", retries, "--timeout", "20ms", "voltage_l1"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(out(&output).contains(said), "{}", out(&output));
        assert_eq!(counted.recv_timeout(HANGS), Ok(asked), "--retries {retries}");
    }
}

/// Of two readers of lines that say nothing yet, the patient one still waits when the impatient one,
/// who came later, has given up.
#[test]
fn an_answer_is_waited_for_as_long_as_the_timeout_says() {
    let (asked, is_asked) = std::sync::mpsc::channel();
    let (answer, may_answer) = std::sync::mpsc::channel::<()>();
    let slow = serial_server(move |mut stream| {
        if request_came(&mut stream) {
            asked.send(()).unwrap();
            let _ = may_answer.recv();
            let _ = stream.write_all(&reply("000000000001", "02010100", &[0x01, 0x22]));
            // Not closed before the reader has it.
            while request_came(&mut stream) {}
        }
    });
    let patient =
        thread::spawn(move || read(&slow, "1", &["--retries", "0", "--timeout", "100s", "voltage_l1"]));
    is_asked.recv_timeout(HANGS).unwrap();
    let silent = serial_server(|mut stream| while request_came(&mut stream) {});
    let impatient = read(&silent, "1", &["--retries", "3", "--timeout", "300ms", "voltage_l1"]);
    assert!(out(&impatient).contains("silent"), "{}", out(&impatient));
    answer.send(()).unwrap();
    let patient = patient.join().unwrap();
    assert_eq!(patient.status.code(), Some(0), "{}", out(&patient));
    assert!(out(&patient).contains("220.1 V"), "{}", out(&patient));
}

#[test]
fn a_pty_is_read_with_the_default_8e1() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("bus1");
    let simulator = Simulator::start(&["--scenario", EDGES, "--listen", &format!("pty:{}", link.display())]);
    assert_eq!(simulator.port, link.display().to_string());
    let output = read(&simulator.port, "101", &["--json", "active_energy_import", "voltage_l1"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert_eq!(support::digits_of(out(&output), "active_energy_import"), Some("999999.99"));
}
