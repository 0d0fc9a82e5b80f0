//! The ten replies that hold the 27 registers of a three-phase meter, decoded to values with all checks, against a
//! minimal pass by hand over the same octets.
#![expect(clippy::expect_used, reason = "a bench of what fails measures nothing")]

#[path = "../../dlt645/benches/timing/mod.rs"]
mod timing;

use catalogue::{Catalogue, Entry, Register};
use dlt645::format::Value;
use dlt645::frame::{Control, Frame, emit};
use dlt645::pdu::{Reply, function};
use dlt645::{Address, Di, Edition};
use std::hint::black_box;

const METER: Address = Address::from_wire([0x34, 0x12, 0, 0, 0, 0]);

/// What is asked, and what the meter sends after the DI: energies, voltages, currents, powers, power factors,
/// frequency, date and time.
const REPLIES: [(u32, &[u8]); 10] = [
    (
        0x0001_FF00,
        &[0x67, 0x45, 0x23, 0x01, 0x00, 0x10, 0x20, 0x00, 0x67, 0x35, 0x03, 0x01, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    (0x0002_0000, &[0x26, 0x01, 0, 0]),
    (0x0201_FF00, &[0x05, 0x22, 0x11, 0x22, 0x98, 0x21]),
    (0x0202_FF00, &[0x34, 0x12, 0, 0x56, 0x12, 0x80, 0x78, 0x12, 0]),
    (0x0203_FF00, &[0x45, 0x23, 0x81, 0x15, 0x41, 0x80, 0x15, 0x41, 0x80, 0x15, 0x41, 0x80]),
    (0x0204_FF00, &[0x12, 0x34, 0, 0x04, 0x11, 0, 0x04, 0x11, 0, 0x04, 0x12, 0]),
    (0x0206_FF00, &[0x98, 0x09, 0x97, 0x89, 0x99, 0x09, 0, 0x10]),
    (0x0280_0002, &[0x01, 0x50]),
    (0x0400_0101, &[0x06, 0x21, 0x11, 0x26]),
    (0x0400_0102, &[0x15, 0x30, 0x22]),
];

/// Octets of each item, whether its top bit is a sign, how many items.
const LAYOUTS: [(usize, bool, usize); 10] = [
    (4, false, 5),
    (4, false, 1),
    (2, false, 3),
    (3, true, 3),
    (3, true, 4),
    (3, true, 4),
    (2, true, 4),
    (2, false, 1),
    (4, false, 1),
    (3, false, 1),
];

fn main() {
    let replies = REPLIES.map(|(di, octets)| {
        let data = [&Di::new(di).to_wire()[..], octets].concat();
        let mut out = Vec::new();
        emit(METER, Control::reply(function::READ, false), &data, &mut out).expect("the data fit a frame");
        out
    });
    let mut values = Vec::new();
    let mut by_hand = [0; 27];
    decode(&replies, &mut values).expect("the replies are sound");
    minimal(&replies, &mut by_hand).expect("the replies are sound");
    assert_eq!(values.len(), by_hand.len());
    for ((register, value), by_hand) in values.iter().zip(by_hand) {
        if let Value::Number(value) = value {
            assert_eq!(value.mantissa(), i128::from(by_hand), "{register:?}");
        }
    }
    timing::compare(
        "ten replies to 27 registers",
        replies.iter().map(Vec::len).sum(),
        || {
            values.clear();
            decode(black_box(&replies), &mut values)
        },
        || minimal(black_box(&replies), &mut by_hand),
    );
}

/// Checks frame and checksum, address, function, DI, the layout of the block, and each nibble.
#[inline(never)]
fn decode(replies: &[Vec<u8>; 10], values: &mut Vec<(Register, Value)>) -> Option<()> {
    for (octets, (asked, _)) in replies.iter().zip(REPLIES) {
        let frame = Frame::parse(octets).ok()?;
        let Ok(Reply::Data { from, di, octets, more: false }) = Reply::parse_of(&frame, Some(Edition::E2007))
        else {
            return None;
        };
        if !METER.is_answered_by(from, Edition::E2007) || di != Di::new(asked) {
            return None;
        }
        let octets: Vec<u8> = octets.collect();
        match Catalogue::dlt645_2007().by_di(di)? {
            Entry::Register(register) => values.push((register, register.decode(&octets).ok()?)),
            Entry::Block(block) => {
                for item in block.items(&octets).ok()? {
                    values.push((item.register, item.register.decode(item.octets).ok()?));
                }
            }
        }
    }
    Some(())
}

/// The same checks for these ten layouts and no others; dates and times are digits to it.
#[inline(never)]
fn minimal(replies: &[Vec<u8>; 10], values: &mut [i64; 27]) -> Option<()> {
    let mut at = values.iter_mut();
    for ((octets, (di, _)), (each, signed, items)) in replies.iter().zip(REPLIES).zip(LAYOUTS) {
        let (frame, [stated, end]) = octets.split_last_chunk::<2>()?;
        let (head, data) = frame.split_first_chunk::<14>()?;
        let [0x68, address @ .., 0x68, 0x91, _, _, _, _, _] = head else { return None };
        let sum = frame.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet));
        if *address != METER.to_wire()
            || sum != *stated
            || *end != 0x16
            || usize::from(head[9]) != data.len() + 4
            || di.to_le_bytes().map(|octet| octet.wrapping_add(0x33)) != head[10..]
            || data.len() != each * items
        {
            return None;
        }
        for item in data.chunks_exact(each) {
            let (mut value, mut negative) = (0, false);
            for (place, octet) in item.iter().rev().enumerate() {
                let mut octet = octet.wrapping_sub(0x33);
                if place == 0 && signed {
                    negative = octet & 0x80 != 0;
                    octet &= 0x7F;
                }
                if octet >> 4 > 9 || octet & 0x0F > 9 {
                    return None;
                }
                value = value * 100 + i64::from(octet >> 4) * 10 + i64::from(octet & 0x0F);
            }
            *at.next()? = if negative { -value } else { value };
        }
    }
    at.next().is_none().then_some(())
}
