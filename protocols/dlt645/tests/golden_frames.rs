//! The frames of fixtures/frames read as an independent reader read them; damaged ones give no frame.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be read fails the test")]

use dlt645::Edition;
use dlt645::frame::{Frame, emit};
use dlt645::pdu::{Reply, Request, Unread};
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

/// Reads the frame as a request or reply of its edition and sends it again; why not, if it is none.
fn check_pdu(golden: &Golden, edition: Edition) -> Result<(), Unread> {
    let id = &golden.id;
    let (frames, _) = scan(&golden.octets);
    let frame = Frame::parse(&frames[0]).unwrap();
    let mut again = Vec::new();
    let mut said = Vec::new();
    let mut di = String::new();
    let address;
    if frame.control().from_meter() {
        let reply = Reply::parse_of(&frame, Some(edition))?;
        reply.emit(&mut again).unwrap();
        address = reply.from().to_string();
        match reply {
            Reply::Data { di: read, octets, .. }
            | Reply::More { di: read, octets, .. }
            | Reply::Repeated { di: read, octets, .. }
            | Reply::Security { di: read, octets, .. } => {
                di = read.to_string();
                said = octets.collect();
            }
            Reply::Address { from, address } => assert_eq!(from, address, "{id}"),
            Reply::Refused { word, .. } => assert_eq!([word.bits() as u8], golden.data[..], "{id}"),
            Reply::Done { .. } | Reply::Rate { .. } | Reply::Password { .. } | Reply::Output { .. } => {}
        }
    } else {
        let request = Request::parse_of(&frame, Some(edition))?;
        request.emit(0, &mut again);
        assert_eq!(request.frame_len(), frame.octets().len(), "{id}");
        address = request.address().to_string();
        match request {
            Request::Read { di: asked, .. }
            | Request::ReadRecords { di: asked, .. }
            | Request::ReadMore { di: asked, .. } => di = asked.to_string(),
            Request::Write { di: asked, data, .. } => {
                di = asked.to_string();
                said = data.to_vec();
            }
            _ => {}
        }
    }
    assert_eq!(again, frames[0], "{id}");
    assert_eq!(address, golden.address, "{id}");
    if !di.is_empty() {
        assert_eq!(di, golden.di, "{id}");
    }
    assert!(golden.data.windows(said.len().max(1)).any(|part| part == said) || said.is_empty(), "{id}");
    Ok(())
}

/// The rows that are no request or reply of their edition, and why.
fn unread(all: &[Golden], edition: Edition) -> Vec<(&str, Unread)> {
    all.iter()
        .filter(|golden| golden.kind != "damaged")
        .filter_map(|golden| check_pdu(golden, edition).err().map(|unread| (golden.id.as_str(), unread)))
        .collect()
}

#[test]
fn frames_of_2007_are_read_as_their_sources_say() {
    let all = golden("dlt645-2007.csv");
    all.iter().for_each(check);
    assert_eq!(unread(&all, Edition::E2007), [("dlt07q-060", Unread::Control(0x1F))]);
}

#[test]
fn frames_of_1997_are_read_as_their_sources_say() {
    let all = golden("dlt645-1997.csv");
    all.iter().for_each(check);
    // Functions 05H and 07H of a maker, and refusals of 05H with three octets.
    let of_a_maker = [
        ("dlt97r-003", Unread::Length(3)),
        ("dlt97q-018", Unread::Control(0x07)),
        ("dlt97r-006", Unread::Length(3)),
        ("dlt97r-007", Unread::Control(0x87)),
        ("dlt97r-009", Unread::Length(3)),
        ("dlt97r-012", Unread::Length(3)),
    ];
    assert_eq!(unread(&all, Edition::E1997), of_a_maker);
}

#[test]
fn frame_of_one_edition_is_none_of_the_other() {
    for golden in golden("dlt645-1997.csv").iter().filter(|golden| golden.kind != "damaged") {
        assert!(
            check_pdu(golden, Edition::E2007).is_err() || golden.control.starts_with("C5"),
            "{}",
            golden.id
        );
    }
    for golden in golden("dlt645-2007.csv").iter().filter(|golden| golden.kind != "damaged") {
        // The broadcast time is the same in both.
        assert!(check_pdu(golden, Edition::E1997).is_err() || golden.control == "08", "{}", golden.id);
    }
}

#[test]
fn worked_frames_of_the_standard_are_read() {
    let all = golden("worked.csv");
    all.iter().for_each(check);
    assert_eq!(unread(&all, Edition::E2007), []);
}
