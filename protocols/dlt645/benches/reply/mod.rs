//! One energy reply to its decimal value, with all checks; measured by the bench, counted by the tests.
#![allow(dead_code, unreachable_pub, reason = "a bench and a test use it")]

use dlt645::format::{Format, Value};
use dlt645::frame::Frame;
use dlt645::pdu::Reply;
use dlt645::{Address, Di, Edition};
use rust_decimal::Decimal;
use std::hint::black_box;

/// Whom was asked.
pub const METER: Address = Address::from_wire([0x34, 0x12, 0, 0, 0, 0]);
/// Forward active total energy, two digits behind the point.
pub const ENERGY: Di = Di::new(0x0001_0000);
const FORMAT: Format = Format::Number { decimals: 2, signed: false };

/// 12345.67 kWh (fixtures/frames/worked.csv, reply-energy).
pub const REPLY: [u8; 20] = [
    0x68, 0x34, 0x12, 0, 0, 0, 0, 0x68, 0x91, 0x08, 0x33, 0x33, 0x34, 0x33, 0x9A, 0x78, 0x56, 0x34, 0x18,
    0x16,
];

/// Checks frame and checksum, address, function, DI, length, and each nibble; `None` if one is wrong.
#[inline(never)]
pub fn energy(octets: &[u8]) -> Option<Decimal> {
    // A reader knows these from its table, not when it is compiled.
    let (edition, format) = black_box((Edition::E2007, FORMAT));
    let frame = Frame::parse(octets).ok()?;
    let Reply::Data { from, di, octets, more: false } = Reply::parse_of(&frame, Some(edition)).ok()? else {
        return None;
    };
    if !METER.is_answered_by(from, edition) || di != ENERGY || octets.len() != 4 {
        return None;
    }
    let mut own = [0; 4];
    own.iter_mut().zip(octets).for_each(|(own, octet)| *own = octet);
    if let Value::Number(value) = format.decode(&own).ok()? { Some(value) } else { None }
}
