//! Any octets, some damaged, cut anywhere: the same findings, each octet accounted for, bounded memory.
//!
//! Input: how long the pieces are (0: all in one), which octets are damaged (every n-th, 0: none), the stream.

use super::Input;
use dlt645::frame::{Frame, MAX_LEN};
use dlt645::scanner::{Damage, Found, Scanner};

/// A finding that outlives its scanner.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Frame(Vec<u8>, usize),
    Damaged(Damage),
    Noise(usize),
}

/// Fails if a promise is broken; what the stream holds.
pub fn scanner(data: &[u8]) -> Vec<Seen> {
    let mut input = Input(data);
    let (step, every) = (usize::from(input.octet()), usize::from(input.octet()));
    let stream = input.0;
    let damaged = |at: usize| every > 0 && at % every == every - 1;
    let whole = scan(stream, damaged, stream.len());
    assert_eq!(whole, scan(stream, damaged, step), "cutting the stream changed what is found");
    assert_eq!(whole, scan(stream, damaged, 1), "octet by octet something else is found");
    let mut at = 0;
    for seen in &whole {
        match seen {
            Seen::Frame(octets, preamble) => {
                assert_eq!(&stream[at + preamble..at + preamble + octets.len()], octets);
                assert!(stream[at..at + preamble].iter().all(|&octet| octet == 0xFE));
                assert!(Frame::parse(octets).is_ok_and(|frame| frame.octets() == octets));
                let end = at + preamble + octets.len();
                assert!(!(at..end).any(damaged), "a frame with a damaged octet");
                at = end;
            }
            Seen::Noise(octets) => at += octets,
            Seen::Damaged(_) => {}
        }
    }
    assert_eq!(at, stream.len(), "an octet is unaccounted for, or counted twice");
    whole
}

fn scan(stream: &[u8], damaged: impl Fn(usize) -> bool, step: usize) -> Vec<Seen> {
    let (mut scanner, mut seen, mut at) = (Scanner::default(), Vec::new(), 0);
    for piece in stream.chunks(step.max(1)) {
        push(&mut scanner, piece, at, &damaged);
        at += piece.len();
        drain(&mut scanner, &mut seen);
        assert!(at as u64 - scanner.decided() < MAX_LEN as u64, "more than a frame is kept");
    }
    scanner.end();
    drain(&mut scanner, &mut seen);
    assert_eq!(scanner.decided(), stream.len() as u64);
    assert_eq!(scanner.missing(), None);
    seen
}

/// Gives a piece that begins at `at` of the stream, its damaged octets one by one.
fn push(scanner: &mut Scanner, piece: &[u8], at: usize, damaged: impl Fn(usize) -> bool) {
    let mut sound = 0;
    for (n, &octet) in piece.iter().enumerate() {
        if damaged(at + n) {
            scanner.push(&piece[sound..n]);
            scanner.push_damaged(octet);
            sound = n + 1;
        }
    }
    scanner.push(&piece[sound..]);
}

fn drain(scanner: &mut Scanner, seen: &mut Vec<Seen>) {
    while let Some(found) = scanner.next() {
        seen.push(match found {
            Found::Frame { frame, preamble } => Seen::Frame(frame.octets().to_vec(), preamble),
            Found::Damaged(damage) => Seen::Damaged(damage),
            Found::Noise(octets) => Seen::Noise(octets),
        });
    }
}
