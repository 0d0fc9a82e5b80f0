//! The frames of fixtures/frames read as an independent reader read them; damaged ones give no frame.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be read fails the test")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test means all the others")]

use dlt645::Edition;
use dlt645::frame::{Frame, emit};
use dlt645::pdu::{Reply, Request, Unread};
use dlt645::scanner::{Found, Scanner};

mod golden;
use golden::{Golden, golden};

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
            Reply::Refused { word, .. } => {
                assert_eq!(&word.bits().to_le_bytes()[..golden.data.len()], golden.data, "{id}");
            }
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

#[test]
fn frames_of_every_function_are_read() {
    for (file, edition) in [("exchanges-2007.csv", Edition::E2007), ("exchanges-1997.csv", Edition::E1997)] {
        let all = golden(file);
        all.iter().for_each(check);
        assert_eq!(unread(&all, edition), []);
    }
}
