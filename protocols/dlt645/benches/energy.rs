//! An energy reply to its decimal value with all checks, and the request for it, against a minimal pass by hand over
//! the same octets.
//!
//! `cargo bench -p dlt645` prints times; with `repeat N` it only decodes N times, for `benches/instructions.sh`.
#![expect(clippy::expect_used, reason = "a bench of what fails measures nothing")]

mod reply;
mod timing;

use dlt645::pdu::Request;
use reply::{ENERGY, METER, REPLY, energy};
use std::hint::black_box;

fn main() {
    let value = energy(&REPLY).expect("the reply is sound");
    assert_eq!((value.mantissa(), value.scale()), (1_234_567, 2));
    let mut args = std::env::args().skip_while(|arg| arg != "repeat").skip(1);
    if let Some(times) = args.next() {
        for _ in 0..times.parse::<u64>().expect("repeat is followed by a number") {
            black_box(energy(black_box(&REPLY)));
        }
        return;
    }
    assert_eq!(minimal_decode(&REPLY), Some(1_234_567));
    timing::compare(
        "energy reply to decimal",
        REPLY.len(),
        || energy(black_box(&REPLY)),
        || minimal_decode(black_box(&REPLY)),
    );

    let read = Request::Read { address: METER, di: ENERGY };
    let (mut out, mut by_hand) = (Vec::new(), [0; 20]);
    read.emit(4, &mut out);
    minimal_encode(METER.to_wire(), ENERGY.get(), &mut by_hand);
    assert_eq!(out, by_hand);
    timing::compare(
        "read of an energy to octets",
        out.len(),
        || {
            out.clear();
            black_box(&read).emit(4, &mut out);
            black_box(&out);
        },
        || {
            minimal_encode(black_box(METER.to_wire()), black_box(ENERGY.get()), &mut by_hand);
            black_box(&by_hand);
        },
    );
}

/// The same checks for this one reply and no other.
#[inline(never)]
fn minimal_decode(octets: &[u8]) -> Option<i64> {
    let octets: &[u8; 20] = octets.first_chunk()?;
    let sum = octets[..18].iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet));
    let head = [0x68, 0x34, 0x12, 0, 0, 0, 0, 0x68, 0x91, 0x08, 0x33, 0x33, 0x34, 0x33];
    if octets[..14] != head || octets[18] != sum || octets[19] != 0x16 {
        return None;
    }
    let mut value = 0;
    for octet in octets[14..18].iter().rev() {
        let octet = octet.wrapping_sub(0x33);
        if octet >> 4 > 9 || octet & 0x0F > 9 {
            return None;
        }
        value = value * 100 + i64::from(octet >> 4) * 10 + i64::from(octet & 0x0F);
    }
    Some(value)
}

#[inline(never)]
fn minimal_encode(address: [u8; 6], di: u32, out: &mut [u8; 20]) {
    out[..5].copy_from_slice(&[0xFE, 0xFE, 0xFE, 0xFE, 0x68]);
    out[5..11].copy_from_slice(&address);
    out[11..14].copy_from_slice(&[0x68, 0x11, 4]);
    for (octet, di) in out[14..18].iter_mut().zip(di.to_le_bytes()) {
        *octet = di.wrapping_add(0x33);
    }
    out[18] = out[4..18].iter().fold(0, |sum, octet| sum.wrapping_add(*octet));
    out[19] = 0x16;
}
