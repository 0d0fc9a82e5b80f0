//! Promises of the formats.

use super::instant::{NO_DATE, NO_TIME};
use super::*;
use alloc::string::ToString;

const ENERGY: Format = Format::Number { decimals: 2, signed: false };
const POWER: Format = Format::Number { decimals: 4, signed: true };
const DEMAND: Format = Format::Demand { decimals: 4, signed: false };

fn text(format: Format, octets: &[u8]) -> alloc::string::String {
    format.decode(octets).map_or_else(|e| e.to_string(), |v| v.to_string())
}

#[test]
fn unsigned_energy_of_999999_99_stays_999999_99() {
    assert_eq!(text(ENERGY, &[0x99, 0x99, 0x99, 0x99]), "999999.99");
}

#[test]
fn top_bit_of_a_signed_register_is_a_minus_and_digits_stay() {
    assert_eq!(text(POWER, &[0x56, 0x34, 0x92]), "-12.3456");
    assert_eq!(text(POWER, &[0x00, 0x00, 0x01]), "1.0000");
    assert_eq!(text(POWER, &[0x00, 0x00, 0x80]), "0.0000");
    assert_eq!(text(Format::Number { decimals: 1, signed: false }, &[0x00, 0x22]), "220.0");
}

#[test]
fn ff_fill_is_missing_and_any_other_nibble_above_9_is_implausible() {
    assert_eq!(ENERGY.decode(&[0xFF; 4]), Err(NoValue::Missing));
    assert_eq!(ENERGY.decode(&[0xFF, 0xFF, 0xFF, 0x00]), Err(NOT_BCD));
    assert_eq!(POWER.decode(&[0x00, 0x00, 0xA0]), Ok(Value::Number(Decimal::new(-200_000, 4))));
    assert_eq!(POWER.decode(&[0x0A, 0x00, 0x00]), Err(NOT_BCD));
    assert_eq!(DEMAND.decode(&[0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0]), Err(NoValue::Missing));
}

#[test]
fn demand_has_its_instant_and_zeros_are_none() {
    let octets = [0x56, 0x34, 0x12, 0x30, 0x18, 0x20, 0x11, 0x26];
    let Ok(Value::Demand { value, at: Some((date, time)) }) = DEMAND.decode(&octets) else { panic!() };
    assert_eq!(value.to_string(), "12.3456");
    assert_eq!(alloc::format!("{date}T{time}"), "2026-11-20T18:30");
    assert!(matches!(DEMAND.decode(&[0, 0, 0, 0, 0, 0, 0, 0]), Ok(Value::Demand { at: None, .. })));
    assert_eq!(DEMAND.decode(&[0, 0, 0, 0x60, 0x18, 0x20, 0x11, 0x26]), Err(NO_TIME));
}

#[test]
fn dates_and_times_are_of_the_calendar_or_implausible() {
    assert_eq!(text(Format::Date, &[0x06, 0x21, 0x11, 0x26]), "2026-11-21");
    assert_eq!(Format::Date.decode(&[0x00, 0x29, 0x02, 0x26]), Err(NO_DATE));
    assert_eq!(text(Format::Date, &[0x04, 0x29, 0x02, 0x24]), "2024-02-29");
    assert_eq!(text(Format::Time, &[0x15, 0x30, 0x22]), "22:30:15");
    assert_eq!(Format::Time.decode(&[0x15, 0x30, 0x24]), Err(NO_TIME));
    assert_eq!(text(Format::DateTime, &[0x15, 0x30, 0x22, 0x06, 0x21, 0x11, 0x26]), "2026-11-21T22:30:15");
}

#[test]
fn a_length_that_fits_nothing_is_implausible() {
    assert_eq!(ENERGY.decode(&[]), Err(BAD_LENGTH));
    assert_eq!(ENERGY.decode(&[0; 8]), Err(BAD_LENGTH));
    assert_eq!(Format::Date.decode(&[0x21, 0x11, 0x26]), Err(BAD_LENGTH));
    assert_eq!(DEMAND.decode(&[0; 5]), Err(BAD_LENGTH));
}

#[test]
fn what_is_encoded_decodes_to_itself() {
    let mut octets = [0; 3];
    POWER.encode(Value::Number(Decimal::new(-123_456, 4)), &mut octets).unwrap();
    assert_eq!(octets, [0x56, 0x34, 0x92]);
    let mut octets = [0; 4];
    let day = Date { year: 26, month: 11, day: 21 };
    Format::Date.encode(Value::Date(day), &mut octets).unwrap();
    assert_eq!(octets, [0x06, 0x21, 0x11, 0x26]);
    assert_eq!(ENERGY.encode(Value::Number(Decimal::new(-1, 2)), &mut octets), Err(DoesNotFit));
    assert_eq!(ENERGY.encode(Value::Number(Decimal::new(100_000_000, 2)), &mut octets), Err(DoesNotFit));
    assert_eq!(ENERGY.encode(Value::Number(Decimal::new(1, 3)), &mut octets), Err(DoesNotFit));
}

#[test]
fn every_form_of_a_day_or_a_time_is_read_smallest_part_first() {
    for (format, octets, wanted) in [
        (Format::Minute, &[0x30, 0x18, 0x20, 0x11, 0x26][..], "2026-11-20T18:30"),
        (Format::Second, &[0x59, 0x30, 0x18, 0x20, 0x11, 0x26], "2026-11-20T18:30:59"),
        (Format::YearlyMinute, &[0x30, 0x18, 0x20, 0x11], "--11-20T18:30"),
        (Format::YearlyDay, &[0x29, 0x02], "--02-29"),
        (Format::MonthlyHour, &[0x00, 0x01], "---01T00:00"),
        (Format::DailyMinute, &[0x00, 0x00], "00:00"),
        (Format::Period, &[0x02, 0x00, 0x08], "08:00 2"),
        (Format::Period, &[0x01, 0x00, 0x00], "00:00 1"),
        (Format::Zone, &[0x01, 0x01, 0x03], "--03-01 1"),
        (Format::Holiday, &[0x03, 0x01, 0x10, 0x26], "2026-10-01 3"),
    ] {
        assert_eq!(text(format, octets), wanted);
        let mut back = alloc::vec![0; octets.len()];
        format.encode(format.decode(octets).unwrap(), &mut back).unwrap();
        assert_eq!(back, octets, "{format:?}");
        assert_eq!(format.decode(&octets[1..]), Err(BAD_LENGTH), "{format:?}");
    }
}

#[test]
fn nines_and_zeros_that_are_no_day_mean_that_nothing_is_set() {
    for format in [Format::Minute, Format::YearlyMinute, Format::MonthlyHour, Format::Zone, Format::Holiday] {
        let octets = format.fixed_octets().unwrap();
        assert_eq!(format.decode(&[0x99; 5][..octets]), Err(NoValue::Unset), "{format:?}");
        assert_eq!(format.decode(&[0x00; 5][..octets]), Err(NoValue::Unset), "{format:?}");
        assert_eq!(format.decode(&[0xFF; 5][..octets]), Err(NoValue::Missing), "{format:?}");
    }
    assert_eq!(text(Format::Time, &[0, 0, 0]), "00:00:00");
    assert_eq!(Format::DailyMinute.decode(&[0x99, 0x99]), Err(NoValue::Unset));
    assert_eq!(Format::MonthlyHour.decode(&[0x24, 0x01]), Err(NO_TIME));
    assert_eq!(Format::MonthlyHour.decode(&[0x00, 0x32]), Err(NO_DATE));
}

#[test]
fn a_text_is_reversed_unless_its_padding_shows_that_it_was_typed() {
    for octets in [b"\0\0\0\x30\x32\x32", b"220\0\0\0", b"   022", b"220   ", b"\0 022\0"] {
        assert_eq!(text(Format::Text, octets), "220", "{octets:?}");
    }
    assert_eq!(text(Format::Text, b"A)06(5"), "5(60)A");
    assert_eq!(Format::Text.decode(&[0; 6]), Err(NoValue::Unset));
    // Of a meter that is known to send as typed nothing is to be guessed.
    for octets in [&b"220"[..], b"220\0\0\0", b"  220 ", b"\0\0\x00220"] {
        assert_eq!(text(Format::TextAsTyped, octets), "220", "{octets:?}");
    }
    assert_eq!(Format::TextAsTyped.decode(&[0; 6]), Err(NoValue::Unset));
    assert_eq!(Format::TextAsTyped.decode(&[0xFF; 6]), Err(NoValue::Missing));
    let mut octets = [0xFF; 8];
    Format::TextAsTyped.encode(Format::TextAsTyped.decode(b"5(60)A").unwrap(), &mut octets).unwrap();
    assert_eq!(octets, *b"5(60)A\0\0");
    let long = Format::TextAsTyped.decode(&[0x41; 9]).unwrap();
    assert_eq!(Format::TextAsTyped.encode(long, &mut octets), Err(DoesNotFit));
    assert_eq!(Format::Text.decode(&[0xFF; 6]), Err(NoValue::Missing));
    assert!(matches!(Format::Text.decode(&[0x32, 0x07, 0x32]), Err(NoValue::Implausible(_))));
    assert_eq!(Format::Text.decode(&[0x41; 33]), Err(BAD_LENGTH));
    let mut octets = [0xEE; 6];
    Format::Text.encode(Value::Text(Text::new("220").unwrap()), &mut octets).unwrap();
    assert_eq!(&octets, b"\0\0\x00022");
    for wrong in ["", " 220", "220 ", "电", "123456789012345678901234567890123"] {
        assert_eq!(Text::new(wrong), None, "{wrong}");
    }
}

#[test]
fn bits_are_counted_from_the_first_octet_and_ff_is_all_of_them() {
    let Ok(Value::Bits(word)) = Format::Bits.decode(&[0x05, 0x80]) else { panic!() };
    assert_eq!(word.to_string(), "8005");
    assert_eq!((0..20).filter(|&n| word.bit(n)).collect::<alloc::vec::Vec<_>>(), [0, 2, 15]);
    assert_eq!((word.bits(0, 2), word.bits(1, 2), word.len()), (5, 2, 16));
    assert!(matches!(Format::Bits.decode(&[0xFF]), Ok(Value::Bits(_))));
    assert_eq!(Format::Bits.decode(&[0; 13]), Err(BAD_LENGTH));
}

#[test]
fn codes_and_binary_numbers_need_not_be_bcd() {
    assert_eq!(text(Format::Hex, &[0x00, 0xFF, 0x01, 0x00]), "0001FF00");
    assert_eq!(Format::Hex.decode(&[0xFF; 4]), Err(NoValue::Missing));
    assert_eq!(text(Format::Binary, &[0x62, 0x01]), "354");
    assert_eq!(Format::Binary.encode(Value::Number(Decimal::new(256, 0)), &mut [0]), Err(DoesNotFit));
    assert!(matches!(Format::Composite.decode(&[0; 4]), Err(NoValue::Implausible(_))));
}
