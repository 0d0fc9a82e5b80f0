//! Any octets, cut anywhere: the same frames, each octet accounted for, bounded memory.
#![no_main]

use dlt645::scanner::{Found, Scanner};
use libfuzzer_sys::fuzz_target;

/// Frames found, and octets that were frame, preamble or noise.
fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, usize) {
    let (mut scanner, mut frames, mut counted) = (Scanner::default(), Vec::new(), 0);
    let mut drain = |scanner: &mut Scanner| {
        while let Some(found) = scanner.next() {
            match found {
                Found::Frame { frame, preamble } => {
                    counted += preamble + frame.octets().len();
                    frames.push(frame.octets().to_vec());
                }
                Found::Noise(octets) => counted += octets,
                Found::Damaged(_) => {}
            }
        }
    };
    for piece in pieces {
        scanner.push(piece);
        drain(&mut scanner);
    }
    scanner.end();
    drain(&mut scanner);
    (frames, counted)
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, octets)) = data.split_first() else { return };
    let whole = scan([octets]);
    let cut = scan(octets.chunks(usize::from(step).max(1)));
    assert_eq!(whole, cut, "cutting the stream changed what was found");
    assert_eq!(whole.1, octets.len(), "an octet is unaccounted for");
});
