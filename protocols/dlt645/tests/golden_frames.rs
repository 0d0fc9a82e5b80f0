//! The frames of fixtures/frames read as an independent reader read them; damaged ones give no frame.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be read fails the test")]

use dlt645::frame::{Frame, emit};
use dlt645::pdu::{Reply, Request};
use dlt645::scanner::{Found, Scanner};
use std::path::Path;

/// One line of a file of fixtures/frames; its head explains the columns.
struct Golden {
    id: String,
    kind: String,
    address: String,
    control: String,
    di: String,
    data: Vec<u8>,
    octets: Vec<u8>,
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn golden(file: &str) -> Vec<Golden> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/frames").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    let all: Vec<_> = lines
        .map(|line| {
            let [id, kind, address, control, di, data, hex, _origin, source] =
                line.split(',').collect::<Vec<_>>().try_into().expect("nine columns");
            assert!(!source.is_empty(), "{id} has no source");
            Golden {
                id: id.into(),
                kind: kind.into(),
                address: address.into(),
                control: control.into(),
                di: di.into(),
                data: octets(data),
                octets: octets(hex),
            }
        })
        .collect();
    assert!(all.len() > 10, "{file} is there");
    all
}

/// All sound frames of a stream, and how many octets belong to none.
fn scan(stream: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut scanner = Scanner::default();
    scanner.push(stream);
    scanner.end();
    let (mut frames, mut noise) = (Vec::new(), 0);
    while let Some(found) = scanner.next() {
        match found {
            Found::Frame { frame, .. } => frames.push(frame.octets().to_vec()),
            Found::Noise(octets) => noise += octets,
            Found::Damaged(_) => {}
        }
    }
    (frames, noise)
}

fn check(golden: &Golden) {
    let id = &golden.id;
    let (frames, noise) = scan(&golden.octets);
    if golden.kind == "damaged" {
        assert_eq!(frames, Vec::<Vec<u8>>::new(), "{id}");
        assert_eq!(noise, golden.octets.len(), "{id}");
        return;
    }
    assert_eq!(frames.len(), 1, "{id}");
    assert_eq!(noise > 0, golden.kind == "inside", "{id}");
    let frame = Frame::parse(&frames[0]).unwrap();
    assert_eq!(frame.address().to_string(), golden.address, "{id}");
    assert_eq!(frame.control().to_string(), golden.control, "{id}");
    assert_eq!(frame.data().collect::<Vec<_>>(), golden.data, "{id}");
    assert_eq!(frame.data_len(), golden.data.len(), "{id}");
    if !golden.di.is_empty() {
        assert!(frame.to_string().contains(&format!(" DI {}", golden.di)), "{id}: {frame}");
    }
    let mut again = Vec::new();
    emit(frame.address(), frame.control(), &golden.data, &mut again).unwrap();
    assert_eq!(again, frames[0], "{id}");
}

/// Reads with the types of 2007 what they cover; false if they do not cover it.
fn check_pdu(golden: &Golden) -> bool {
    let id = &golden.id;
    let (frames, _) = scan(&golden.octets);
    let frame = Frame::parse(&frames[0]).unwrap();
    let mut again = Vec::new();
    match golden.control.as_str() {
        "11" if golden.data.len() == 4 => {
            let request = Request::parse(&frame).unwrap();
            let Request::Read { address, di } = request else { panic!("{id}: {request:?}") };
            assert_eq!((address.to_string(), di.to_string()), (golden.address.clone(), golden.di.clone()));
            request.emit(0, &mut again);
        }
        "12" | "13" => Request::parse(&frame).unwrap().emit(0, &mut again),
        "91" => {
            let reply = Reply::parse(&frame).unwrap();
            let Reply::Data { from, di, octets, more: false } = reply.clone() else { panic!("{id}") };
            assert_eq!((from.to_string(), di.to_string()), (golden.address.clone(), golden.di.clone()));
            assert_eq!(octets.collect::<Vec<_>>(), golden.data[4..], "{id}");
            reply.emit(&mut again).unwrap();
        }
        "93" => {
            let reply = Reply::parse(&frame).unwrap();
            let Reply::Address { from, address } = reply else { panic!("{id}") };
            assert_eq!(from, address, "{id}");
            reply.emit(&mut again).unwrap();
        }
        "D1" => {
            let reply = Reply::parse(&frame).unwrap();
            let Reply::Refused { function: 0x11, word, .. } = reply else { panic!("{id}") };
            assert_eq!([word.0], golden.data[..], "{id}");
            reply.emit(&mut again).unwrap();
        }
        _ => {
            assert!(Request::parse(&frame).is_err() && Reply::parse(&frame).is_err(), "{id}");
            return false;
        }
    }
    assert_eq!(again, frames[0], "{id}");
    true
}

#[test]
fn frames_of_2007_are_read_as_their_sources_say() {
    let all = golden("dlt645-2007.csv");
    all.iter().for_each(check);
    let read =
        all.iter().filter(|golden| golden.kind != "damaged").filter(|golden| check_pdu(golden)).count();
    // 11H and 12H, 13H, 91H, 93H and D1H of the file.
    assert_eq!(read, 207);
}

#[test]
fn frames_of_1997_are_frames_too_and_no_reply_of_2007() {
    for golden in golden("dlt645-1997.csv") {
        check(&golden);
        if golden.kind != "damaged" && !golden.control.starts_with('C') {
            assert!(!check_pdu(&golden), "{}", golden.id);
        }
    }
}

#[test]
fn worked_frames_of_the_standard_are_read() {
    let all = golden("worked.csv");
    all.iter().for_each(check);
    all.iter().for_each(|golden| {
        check_pdu(golden);
    });
}
