//! Frames from the world, each with its source, from both sides.
#![allow(clippy::unwrap_used, reason = "a frame that cannot be read fails the test")]

use modbus::rtu::{BadFrame, Frame, Piece, Reply, Request, Side, pieces};
use modbus::tcp;

/// One line of the file.
struct Golden {
    transport: String,
    side: Side,
    octets: Vec<u8>,
    is_sound: bool,
    model: String,
}

fn golden() -> Vec<Golden> {
    let text = include_str!("../../../fixtures/frames/modbus.csv");
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let octets = cells[2].split(' ').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
        Golden {
            transport: cells[0].to_owned(),
            side: if cells[1] == "reader" { Side::Reader } else { Side::Meter },
            octets,
            is_sound: cells[3] == "sound",
            model: cells[4].to_owned(),
        }
    };
    text.lines().skip(1).map(line).collect()
}

#[test]
fn frames_from_the_world_are_read_and_made_again_octet_by_octet() {
    let (mut sound, mut unsound) = (0, 0);
    for one in golden().iter().filter(|one| one.transport == "rtu") {
        let made = match one.side {
            Side::Reader => {
                Request::parse(&one.octets).map(|request| (request.to_rtu(), request.to_string()))
            }
            Side::Meter => Reply::parse(&one.octets).map(|reply| (reply.to_rtu(), reply.to_string())),
        };
        match made {
            Ok((octets, words)) => {
                assert!(one.is_sound, "{}: {words}", one.model);
                assert_eq!(octets, one.octets, "{}", one.model);
                assert!(words.starts_with("unit "), "{words}");
                sound += 1;
            }
            Err(bad) => {
                assert!(!one.is_sound, "{}: {bad}", one.model);
                unsound += 1;
            }
        }
    }
    assert_eq!((sound, unsound), (34, 4));
}

#[test]
fn a_frame_over_tcp_is_read_and_made_again() {
    for one in golden().iter().filter(|one| one.transport == "tcp") {
        let frame = tcp::Frame::parse(&one.octets).unwrap();
        let mut made = Vec::new();
        frame.emit(&mut made);
        assert_eq!((made.as_slice(), frame.octets()), (one.octets.as_slice(), one.octets.len()));
        for length in 0..one.octets.len() {
            assert_eq!(tcp::Frame::parse(&one.octets[..length]), Err(tcp::BadFrame::Incomplete), "{length}");
        }
        if one.side == Side::Meter {
            assert_eq!(Reply::of_pdu(frame.unit, frame.pdu).unwrap().words().unwrap().len(), 28);
        }
    }
}

#[test]
fn any_one_bit_that_turns_is_found_by_the_crc() {
    for one in golden().iter().filter(|one| one.is_sound && one.transport == "rtu") {
        for bit in 0..one.octets.len() * 8 {
            let mut octets = one.octets.clone();
            octets[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::checked(&octets), Err(BadFrame::NotAFrame), "{} bit {bit}", one.model);
        }
    }
}

#[test]
fn every_sound_answer_is_found_in_one_stream_of_them_all() {
    let golden = golden();
    let answers: Vec<&Vec<u8>> = golden
        .iter()
        .filter(|one| one.side == Side::Meter && one.is_sound && one.transport == "rtu")
        .map(|one| &one.octets)
        .collect();
    let stream: Vec<u8> = answers.iter().flat_map(|octets| [&octets[..], &[0xFE, 0x68]].concat()).collect();
    let found: Vec<Vec<u8>> = pieces(&stream, Side::Meter)
        .filter_map(|piece| match piece {
            Piece::Frame(_, octets) => Some(octets.to_vec()),
            Piece::Noise(_) => None,
        })
        .collect();
    assert_eq!(found.len(), answers.len());
    assert!(found.iter().zip(answers).all(|(found, sent)| found == sent));
}
