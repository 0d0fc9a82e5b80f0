//! A whole load record (DL/T 645-2007 Annex B, all six classes) to its 28 registers with names, against a minimal pass
//! by hand over the same octets.
#![expect(clippy::expect_used, reason = "a bench of what fails measures nothing")]

#[path = "../../dlt645/benches/timing/mod.rs"]
mod timing;

use catalogue::Catalogue;
use dlt645::Di;
use std::hint::black_box;

/// 2026-11-21T10:00, after -33H: A0 A0, length, time, six groups each closed by AA, sum, E5.
const RECORD: &str = concat!(
    "A0A06200102111260522102299213412000012000013800050AA238100002700012700222700001000000300",
    "000300000400AA9209930992099009AA67452301000100000020000000030000AA0020000000000000000000",
    "0000030000AA008100000900AAB6E5",
);

/// Octets of the values of each group: how many and how long.
const GROUPS: [&[(usize, usize)]; 6] =
    [&[(3, 2), (3, 3), (1, 2)], &[(8, 3)], &[(4, 2)], &[(4, 4)], &[(4, 4)], &[(2, 3)]];

fn main() {
    let digits: Vec<u8> = RECORD.bytes().filter(u8::is_ascii_hexdigit).collect();
    let record: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits"))
        .collect();
    let decoded = Catalogue::dlt645_2007().decode(Di::new(0x0600_0002), &record);
    let by_hand = minimal(&record).expect("the record is sound");
    assert_eq!(decoded.len(), by_hand.len(), "both find the same values");
    assert!(decoded.iter().all(|d| matches!(d.value, Some(Ok(_)))), "{decoded:?}");
    timing::compare(
        "load record to 28 registers",
        record.len(),
        || Catalogue::dlt645_2007().decode(Di::new(0x0600_0002), black_box(&record)),
        || minimal(black_box(&record)),
    );
}

/// Checks the frame of the record, its sum and each nibble, for all six groups and no other.
#[inline(never)]
fn minimal(octets: &[u8]) -> Option<Vec<i64>> {
    let [0xA0, 0xA0, len, ..] = *octets else { return None };
    let sum_at = usize::from(len) + 3;
    let sum = octets.get(..sum_at)?.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet));
    if octets.get(sum_at..)? != [sum, 0xE5] {
        return None;
    }
    let mut values = Vec::new();
    let mut at = 8;
    for group in GROUPS {
        for &(count, each) in group {
            for item in octets.get(at..at + count * each)?.chunks_exact(each) {
                let mut value = 0i64;
                for octet in item.iter().rev() {
                    value = value * 100 + i64::from(octet >> 4) * 10 + i64::from(octet & 0x0F);
                }
                values.push(value);
            }
            at += count * each;
        }
        if *octets.get(at)? != 0xAA {
            return None;
        }
        at += 1;
    }
    Some(values)
}
