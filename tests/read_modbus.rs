//! `meterd read` of Modbus meters: by name and by address, over a serial server and over Modbus TCP.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

use assert_cmd::Command;
use modbus::rtu::{Reply, Request};
use modbus::{Exception, Function, tcp};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::thread;
use std::time::Duration;

const METERD: &str = env!("CARGO_BIN_EXE_meterd");
/// A program that takes so long hangs; it is ended then.
const HANGS: Duration = Duration::from_secs(60);

/// A meter answers once the request is out on its line, which at 9600 takes 9 ms: what comes sooner answers another.
const RESPONSE: Duration = Duration::from_millis(20);

/// Registers from here on, of either function; all others are refused.
const WORDS: [(u16, &[u16]); 3] = [
    (0x0000, &[0x4366, 0x3334, 0x4366, 0x8000, 0x4365, 0xCCCD]),
    (0x0034, &[0x41B6, 0x353F]),
    (0x0100, &[1, 2]),
];

fn answer(request: &Request) -> Reply {
    let (unit, function) = (request.unit(), request.function());
    let words = request.span().and_then(|span| {
        let (from, words) = WORDS
            .into_iter()
            .find(|(from, words)| (*from..*from + words.len() as u16).contains(&span.address))?;
        let first = usize::from(span.address - from);
        words.get(first..first + usize::from(span.count))
    });
    match words {
        Some(words) => Reply::registers(unit, Function::of(function).unwrap(), words),
        None => Reply::refusal(unit, function, Exception::IllegalDataAddress),
    }
}

/// One connection to a meter; it ends with the program that reads.
fn serve(mut stream: TcpStream, over_tcp: bool) {
    let mut heard = Vec::new();
    let mut octets = [0; 512];
    while let Ok(count) = stream.read(&mut octets) {
        if count == 0 {
            return;
        }
        heard.extend_from_slice(&octets[..count]);
        let reply = if over_tcp {
            let Ok(frame) = tcp::Frame::parse(&heard) else { continue };
            let reply = answer(&Request::of_pdu(frame.unit, frame.pdu).unwrap());
            let mut out = Vec::new();
            let pdu = reply.pdu();
            tcp::Frame { transaction: frame.transaction, unit: reply.unit(), pdu: &pdu }.emit(&mut out);
            out
        } else {
            let Ok(request) = Request::parse(&heard) else { continue };
            answer(&request).to_rtu()
        };
        heard.clear();
        thread::sleep(RESPONSE);
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

/// What `meterd read` says of a meter that is there for as long as it asks.
fn read(over_tcp: bool, args: &[&str]) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), over_tcp);
        }
    });
    let own = ["read", "--port", &port, "--address", "1"];
    Command::new(METERD).args(own).args(args).env_remove("METERD_LOG").timeout(HANGS).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

#[test]
fn registers_of_a_profile_are_read_by_name_with_every_frame_explained() {
    let output = read(false, &["--profile", "eastron-sdm630", "--trace", "voltage_l*"]);
    assert_eq!(
        text(&output.stdout),
        "1\n  voltage_l1                                  230.2 V\n  voltage_l2                                  230.5 V\n  voltage_l3                                  229.8 V\n"
    );
    assert_eq!(
        text(&output.stderr),
        "> 01 04 00 00 00 06 70 08\n    unit 1, read input registers (04), 0000+6  (voltage_l1 and on)\n\
         < 01 04 0C 43 66 33 34 43 66 80 00 43 65 CC CD 2A D9\n    unit 1, read input registers (04): 4366 3334 4366 8000 4365 CCCD\n"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_register_is_read_by_its_address_without_a_profile() {
    let output = read(false, &["0x0034:f32", "04:0x0034:u32", "0x0100:u32:le", "0x0100:u32"]);
    assert_eq!(
        text(&output.stdout),
        "1\n  holding_0034_f32                        22.775999\n  input_0034_u32                         1102460223\n  holding_0100_u32_le                        131073\n  holding_0100_u32                            65538\n"
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn what_the_meter_refuses_is_said_by_name_and_the_rest_is_read() {
    let output =
        read(false, &["--profile", "eastron-sdm630", "--json", "voltage_l1", "frequency", "0x0034:u16"]);
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<String> = lines
        .iter()
        .map(|line| {
            assert_eq!(line["address"], "1");
            format!("{} {} {}", line["register"], line["value"], line["detail"])
        })
        .collect();
    assert_eq!(
        said,
        [
            "\"voltage_l1\" 230.2 null",
            "\"holding_0034_u16\" 16822 null",
            "\"frequency\" null \"illegal data address (02)\"",
        ]
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn modbus_tcp_is_read_and_traced_as_rtu_is() {
    let args = ["--protocol", "modbus-tcp", "--profile", "eastron-sdm120", "--trace", "voltage_l1"];
    let output = read(true, &args);
    assert_eq!(text(&output.stdout), "1\n  voltage_l1                                  230.2 V\n");
    let trace = text(&output.stderr);
    let explained: Vec<&str> = trace.lines().filter(|line| line.starts_with("    ")).collect();
    assert_eq!(
        explained,
        [
            "    unit 1, read input registers (04), 0000+2  (voltage_l1 A相电压)",
            "    unit 1, read input registers (04): 4366 3334",
        ]
    );
    assert_eq!(output.status.code(), Some(0));
}
