//! Compressed BCD with an implied point, and plain binary numbers.

use super::{BAD_LENGTH, DoesNotFit, NOT_BCD, NoValue, bcd, is_bcd};
use rust_decimal::Decimal;

/// The longest BCD number: 7 octets, 14 digits, fit an i64 with room.
const MAX_NUMBER: usize = 7;

pub(super) fn decode(octets: &[u8], decimals: u8, signed: bool) -> Result<Decimal, NoValue> {
    if octets.len() > MAX_NUMBER {
        return Err(BAD_LENGTH);
    }
    let mut magnitude = 0i64;
    let mut negative = false;
    for (place, &octet) in octets.iter().rev().enumerate() {
        let mut octet = octet;
        if place == 0 && signed {
            negative = octet & 0x80 != 0;
            octet &= 0x7F;
        }
        if !is_bcd(octet) {
            return Err(NOT_BCD);
        }
        magnitude = magnitude * 100 + i64::from(octet >> 4) * 10 + i64::from(octet & 0x0F);
    }
    // Zero has no sign: -0 would be another text for the same value.
    Decimal::try_new(if negative { -magnitude } else { magnitude }, u32::from(decimals))
        .map_err(|_| NoValue::Implausible("a format with more decimals than a number can have"))
}

pub(super) fn encode(
    value: Decimal,
    decimals: u8,
    signed: bool,
    octets: &mut [u8],
) -> Result<(), DoesNotFit> {
    let mut scaled = value;
    scaled.rescale(u32::from(decimals));
    if scaled != value || octets.is_empty() || octets.len() > MAX_NUMBER {
        return Err(DoesNotFit);
    }
    let mut rest = scaled.mantissa().unsigned_abs();
    for octet in octets.iter_mut() {
        *octet = bcd((rest % 100) as u8);
        rest /= 100;
    }
    let last = octets.last_mut().ok_or(DoesNotFit)?;
    if rest != 0
        || (signed && *last & 0x80 != 0)
        || (scaled.is_sign_negative() && !scaled.is_zero() && !signed)
    {
        return Err(DoesNotFit);
    }
    if signed && scaled.is_sign_negative() && !scaled.is_zero() {
        *last |= 0x80;
    }
    Ok(())
}

/// At most 7 octets, so that the number fits an i64.
pub(super) fn decode_binary(octets: &[u8]) -> Result<Decimal, NoValue> {
    if octets.len() > MAX_NUMBER {
        return Err(BAD_LENGTH);
    }
    Ok(octets.iter().rev().fold(0i64, |number, &octet| number << 8 | i64::from(octet)).into())
}

pub(super) fn encode_binary(value: Decimal, octets: &mut [u8]) -> Result<(), DoesNotFit> {
    if value.is_sign_negative() || !value.fract().is_zero() || octets.len() > MAX_NUMBER {
        return Err(DoesNotFit);
    }
    let mut rest = value.trunc().mantissa().unsigned_abs();
    for octet in octets.iter_mut() {
        *octet = (rest & 0xFF) as u8;
        rest >>= 8;
    }
    if rest == 0 { Ok(()) } else { Err(DoesNotFit) }
}
