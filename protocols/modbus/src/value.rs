//! Words of a register to its value and back. Exact: no float is calculated with.

use crate::Scale;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use rust_decimal::{Decimal, RoundingStrategy};

/// What the words of a register are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// One word without a sign.
    U16,
    /// One word, two's complement.
    I16,
    /// Two words without a sign.
    U32,
    /// Two words, two's complement.
    I32,
    /// Four words without a sign.
    U64,
    /// Four words, two's complement.
    I64,
    /// IEEE 754 in two words.
    F32,
    /// IEEE 754 in four words.
    F64,
    /// Two decimal digits an octet.
    Bcd {
        /// How many words, 4 at most.
        words: u16,
    },
    /// Printable characters, padded at the end.
    Text {
        /// How many words.
        words: u16,
    },
    /// Bits, 4 words at most.
    Bits {
        /// How many words.
        words: u16,
    },
}

/// In which order the words and octets of a value come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Order {
    /// The low word comes first.
    pub low_word_first: bool,
    /// The low octet of each word comes first.
    pub low_byte_first: bool,
}

/// How the words of a register are its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    /// What the words are.
    pub kind: Type,
    /// In which order they come.
    pub order: Order,
    /// What the raw number is multiplied by, for the meter's own unit.
    pub scale: Scale,
    /// How many digits behind the point are true, in the meter's own unit; of whole numbers those of the scale where
    /// nothing is said.
    pub digits: Option<u8>,
    /// Raw patterns that mean that there is no value.
    pub missing: Vec<u64>,
    /// The power of ten from the meter's unit to the one that is wanted: -3 from W to kW.
    pub shift: i8,
}

/// What a register holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A quantity, with the digits that the meter gave.
    Number(Decimal),
    /// Characters.
    Text(String),
    /// Bits.
    Bits(u64),
}

/// Why words are no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoValue {
    /// The meter says that it has none.
    Missing,
    /// They cannot be a value.
    Implausible(&'static str),
}

/// A value that the format has no room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the value does not fit the register")]
pub struct DoesNotFit;

/// Digits of a decimal at most.
const PLACES: u32 = 28;
/// What a float cannot be, so that it is not even printed: no meter measures it.
const HUGE: f64 = 1e18;

impl Type {
    /// How many words it has.
    pub const fn words(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
            Self::Bcd { words } | Self::Text { words } | Self::Bits { words } => words,
        }
    }
}

impl Format {
    /// Digits behind the point of its values, in the unit that is wanted.
    pub fn decimals(&self) -> u8 {
        let own = self.digits.or(self.scale.decimals()).unwrap_or(0);
        u8::try_from(i16::from(own) - i16::from(self.shift)).unwrap_or(0)
    }

    /// All of its bits, the high word first; `None` of another number of words, and of more than four.
    pub fn raw(&self, words: &[u16]) -> Option<u64> {
        if words.len() != usize::from(self.kind.words()) || words.len() > 4 {
            return None;
        }
        let own = |word: &u16| if self.order.low_byte_first { word.swap_bytes() } else { *word };
        let join = |all: u64, word: u16| all << 16 | u64::from(word);
        Some(if self.order.low_word_first {
            words.iter().rev().map(own).fold(0, join)
        } else {
            words.iter().map(own).fold(0, join)
        })
    }

    /// Decodes the words of the register.
    ///
    /// # Errors
    /// [`NoValue`] where they are none.
    pub fn decode(&self, words: &[u16]) -> Result<Value, NoValue> {
        self.decode_with(words, 0)
    }

    /// The same, with a power of ten that another register gave.
    ///
    /// # Errors
    /// As [`Format::decode`].
    pub fn decode_with(&self, words: &[u16], exponent: i32) -> Result<Value, NoValue> {
        if words.len() != usize::from(self.kind.words()) {
            return Err(NoValue::Implausible("a number of words that is not the register's"));
        }
        if let Type::Text { .. } = self.kind {
            return self.text(words);
        }
        let raw = self.raw(words).ok_or(NoValue::Implausible("more words than a number has"))?;
        if self.missing.contains(&raw) {
            return Err(NoValue::Missing);
        }
        let number = match self.kind {
            Type::U16 | Type::U32 | Type::U64 => Decimal::from(raw),
            Type::I16 => Decimal::from(raw as u16 as i16),
            Type::I32 => Decimal::from(raw as u32 as i32),
            Type::I64 => Decimal::from(raw as i64),
            Type::F32 => float(f64::from(f32::from_bits(raw as u32)))?,
            Type::F64 => float(f64::from_bits(raw))?,
            Type::Bcd { words } => bcd(raw, words)?,
            Type::Bits { .. } => return Ok(Value::Bits(raw)),
            Type::Text { .. } => return Err(NoValue::Implausible("no number")),
        };
        const LARGE: NoValue = NoValue::Implausible("a number with more digits than a meter has");
        let scaled = self.scale.times(number).ok_or(LARGE)?;
        let scaled = shifted(self.with_room(scaled, exponent), exponent).ok_or(LARGE)?;
        let rounded = self.rounded(scaled, exponent);
        let mut value = shifted(rounded, self.shift.into()).ok_or(LARGE)?;
        if value.is_zero() {
            value.set_sign_positive(true);
        }
        Ok(Value::Number(value))
    }

    /// A number that is rounded anyhow, with so few digits that there is room for a power of ten below one.
    fn with_room(&self, number: Decimal, exponent: i32) -> Decimal {
        if self.digits.is_none() || exponent >= 0 {
            return number;
        }
        let places = PLACES.saturating_sub(exponent.unsigned_abs());
        number.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven)
    }

    /// With the digits that the meter gave, in its own unit.
    fn rounded(&self, number: Decimal, exponent: i32) -> Decimal {
        let own = self.digits.or(self.scale.decimals()).unwrap_or(0);
        // Of whole numbers the power of ten says how many digits there are.
        let is_whole = self.digits.is_none();
        let places = if is_whole { i32::from(own).saturating_sub(exponent).max(0) } else { own.into() };
        let places = u32::try_from(places).unwrap_or(0).min(PLACES);
        let mut number = number.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven);
        number.rescale(places);
        number
    }

    fn text(&self, words: &[u16]) -> Result<Value, NoValue> {
        let own =
            |word: &u16| if self.order.low_byte_first { word.to_le_bytes() } else { word.to_be_bytes() };
        let octets: Vec<u8> = if self.order.low_word_first {
            words.iter().rev().flat_map(own).collect()
        } else {
            words.iter().flat_map(own).collect()
        };
        let end =
            octets.iter().rposition(|octet| !matches!(octet, 0 | b' ' | 0xFF)).map_or(0, |last| last + 1);
        let text = octets.get(..end).unwrap_or_default();
        if text.is_empty() {
            return Err(NoValue::Missing);
        }
        if !text.iter().all(|octet| matches!(octet, b' '..=b'~')) {
            return Err(NoValue::Implausible("characters that cannot be printed"));
        }
        Ok(Value::Text(text.iter().map(|octet| char::from(*octet)).collect()))
    }

    /// The words of a value: of a float the nearest that there is.
    ///
    /// # Errors
    /// [`DoesNotFit`] where there is no room for it, and of text and bits.
    pub fn encode(&self, value: Decimal) -> Result<Vec<u16>, DoesNotFit> {
        let own = shifted(value, -i32::from(self.shift)).ok_or(DoesNotFit)?;
        let raw = self.scale.undone(own).ok_or(DoesNotFit)?;
        let whole = raw.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
        let unsigned = |most: u64| u64::try_from(whole).ok().filter(|raw| *raw <= most).ok_or(DoesNotFit);
        let signed = |least: i64, most: i64| {
            i64::try_from(whole).ok().filter(|raw| (least..=most).contains(raw)).ok_or(DoesNotFit)
        };
        let bits = match self.kind {
            Type::U16 => unsigned(u16::MAX.into())?,
            Type::U32 => unsigned(u32::MAX.into())?,
            Type::U64 => unsigned(u64::MAX)?,
            Type::I16 => u64::from(signed(i16::MIN.into(), i16::MAX.into())? as i16 as u16),
            Type::I32 => u64::from(signed(i32::MIN.into(), i32::MAX.into())? as i32 as u32),
            Type::I64 => signed(i64::MIN, i64::MAX)? as u64,
            // By its text: the nearest float, whatever a division on the way would lose.
            Type::F32 => u64::from(format!("{raw}").parse::<f32>().map_err(|_| DoesNotFit)?.to_bits()),
            Type::F64 => format!("{raw}").parse::<f64>().map_err(|_| DoesNotFit)?.to_bits(),
            Type::Bcd { words } => to_bcd(unsigned(u64::MAX)?, words).ok_or(DoesNotFit)?,
            Type::Text { .. } | Type::Bits { .. } => return Err(DoesNotFit),
        };
        Ok(self.words(bits))
    }

    /// The words of a text, padded with zeros.
    ///
    /// # Errors
    /// [`DoesNotFit`] where it is too long or cannot be printed, and of any other type.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u16>, DoesNotFit> {
        let Type::Text { words } = self.kind else { return Err(DoesNotFit) };
        let room = 2 * usize::from(words);
        if text.len() > room || !text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            return Err(DoesNotFit);
        }
        let octets = text.bytes().chain(core::iter::repeat(0)).take(room).collect::<Vec<_>>();
        let word = |pair: &[u8]| match (pair, self.order.low_byte_first) {
            ([first, second], false) => u16::from_be_bytes([*first, *second]),
            ([first, second], true) => u16::from_le_bytes([*first, *second]),
            (_, _) => 0,
        };
        let words = octets.chunks(2).map(word);
        Ok(if self.order.low_word_first { words.rev().collect() } else { words.collect() })
    }

    /// The words of these bits, in the register's order.
    pub fn words(&self, bits: u64) -> Vec<u16> {
        let count = self.kind.words().min(4);
        let word = |n: u16| {
            let word = (bits >> (16 * u32::from(n))) as u16;
            if self.order.low_byte_first { word.swap_bytes() } else { word }
        };
        if self.order.low_word_first {
            (0..count).map(word).collect()
        } else {
            (0..count).rev().map(word).collect()
        }
    }
}

/// The number that a float is, as exactly as a decimal holds it.
fn float(float: f64) -> Result<Decimal, NoValue> {
    if float.is_nan() {
        return Err(NoValue::Missing);
    }
    if !(-HUGE..=HUGE).contains(&float) {
        return Err(NoValue::Implausible("a float that no meter measures"));
    }
    // Printed exactly, with as many digits as fit beside those before the point.
    let before = format!("{float:.0}").trim_start_matches('-').len();
    let places = (PLACES as usize).saturating_sub(before + 1);
    let text = format!("{float:.places$}");
    text.parse().map_err(|_| NoValue::Implausible("a float that is no decimal"))
}

/// The number times a power of ten, with the digits that it has.
fn shifted(number: Decimal, power: i32) -> Option<Decimal> {
    let scale = i64::from(number.scale()) - i64::from(power);
    if (0..=i64::from(PLACES)).contains(&scale) {
        return Decimal::try_from_i128_with_scale(number.mantissa(), u32::try_from(scale).ok()?).ok();
    }
    if scale > 0 {
        return Some(Decimal::ZERO).filter(|_| number.is_zero());
    }
    let more = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
    Decimal::try_from_i128_with_scale(number.mantissa().checked_mul(more)?, 0).ok()
}

fn bcd(raw: u64, words: u16) -> Result<Decimal, NoValue> {
    let digits = u32::from(words) * 4;
    let nibbles = (0..digits).rev().map(|n| (raw >> (4 * n)) as u8 & 0x0F);
    if nibbles.clone().all(|nibble| nibble == 0x0F) {
        return Err(NoValue::Missing);
    }
    let number = nibbles.map(|nibble| (nibble <= 9).then_some(u64::from(nibble)));
    let number = number.reduce(|all, digit| Some(all? * 10 + digit?)).flatten();
    number.map(Decimal::from).ok_or(NoValue::Implausible("a nibble above 9"))
}

fn to_bcd(number: u64, words: u16) -> Option<u64> {
    let (mut left, mut bits) = (number, 0);
    for n in 0..u32::from(words.min(4)) * 4 {
        bits |= (left % 10) << (4 * n);
        left /= 10;
    }
    (left == 0).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn format(kind: Type, scale: &str, shift: i8) -> Format {
        let digits = matches!(kind, Type::F32 | Type::F64).then_some(2);
        Format {
            kind,
            order: Order::default(),
            scale: scale.parse().unwrap(),
            digits,
            missing: Vec::new(),
            shift,
        }
    }

    fn text(format: &Format, words: &[u16]) -> String {
        match format.decode(words) {
            Ok(Value::Number(number)) => number.to_string(),
            Ok(Value::Text(text)) => text,
            Ok(Value::Bits(bits)) => alloc::format!("{bits:X}"),
            Err(NoValue::Missing) => "missing".to_string(),
            Err(NoValue::Implausible(_)) => "implausible".to_string(),
        }
    }

    #[test]
    fn whole_numbers_keep_the_digits_that_the_meter_gave() {
        assert_eq!(text(&format(Type::U16, "0.1", 0), &[2200]), "220.0");
        assert_eq!(text(&format(Type::I16, "0.001", 0), &[0xFFFF]), "-0.001");
        assert_eq!(text(&format(Type::U32, "1", -3), &[0x0001, 0x0000]), "65.536");
        assert_eq!(text(&format(Type::I32, "0.1", -3), &[0xFFFF, 0xFFFF]), "-0.0001");
        assert_eq!(text(&format(Type::U64, "0.01", 0), &[0, 0, 0, 0]), "0.00");
        assert_eq!(text(&format(Type::I64, "1", -3), &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE]), "-0.002");
        assert_eq!(text(&format(Type::U16, "10", 0), &[7]), "70");
        assert_eq!(text(&format(Type::U16, "1", 3), &[7]), "7000");
    }

    #[test]
    fn floats_are_rounded_to_the_digits_that_are_true_and_zero_has_no_sign() {
        let float = |value: f32| {
            let bits = value.to_bits();
            [(bits >> 16) as u16, bits as u16]
        };
        assert_eq!(text(&format(Type::F32, "1", 0), &[0x4366, 0x3333]), "230.20");
        assert_eq!(text(&format(Type::F32, "1", -3), &float(1750.335)), "1.75033");
        assert_eq!(text(&format(Type::F32, "0.1", 0), &float(2301.0)), "230.10");
        assert_eq!(text(&format(Type::F32, "1", 0), &float(-0.0)), "0.00");
        assert_eq!(
            text(&format(Type::F32, "1", 0), &float(0.125)),
            "0.12",
            "half to even, of the exact value"
        );
        assert_eq!(text(&format(Type::F32, "1", 0), &float(f32::NAN)), "missing");
        assert_eq!(text(&format(Type::F32, "1", 0), &float(f32::INFINITY)), "implausible");
        assert_eq!(text(&format(Type::F32, "1", 0), &float(f32::MAX)), "implausible");
        assert_eq!(text(&format(Type::F64, "1", 0), &[0x406C, 0xC666, 0x6666, 0x6666]), "230.20");
    }

    #[test]
    fn words_and_octets_come_in_the_order_of_the_maker() {
        let mut low = format(Type::U32, "1", 0);
        low.order.low_word_first = true;
        assert_eq!(text(&low, &[0x0000, 0x0001]), "65536");
        low.order.low_byte_first = true;
        assert_eq!(text(&low, &[0x0000, 0x0100]), "65536");
    }

    #[test]
    fn a_pattern_for_no_value_is_none_and_never_a_number() {
        let none = Format { missing: vec![0xFFFF_FFFF, 0x7FFF_FFFF], ..format(Type::U32, "0.1", 0) };
        assert_eq!(text(&none, &[0xFFFF, 0xFFFF]), "missing");
        assert_eq!(text(&none, &[0x7FFF, 0xFFFF]), "missing");
        assert_eq!(text(&none, &[0x7FFF, 0xFFFE]), "214748364.6");
    }

    #[test]
    fn a_power_of_ten_of_another_register_makes_the_digits() {
        let whole = format(Type::I16, "1", 0);
        let with = |exponent| match whole.decode_with(&[1234], exponent) {
            Ok(Value::Number(number)) => number.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!([with(-2), with(0), with(2)], ["12.34", "1234", "123400"]);
    }

    #[test]
    fn a_power_of_ten_below_one_leaves_a_float_its_digits() {
        let with = |format: &Format, words: &[u16], exponent| match format.decode_with(words, exponent) {
            Ok(Value::Number(number)) => number.to_string(),
            other => panic!("{other:?}"),
        };
        let float = Format { digits: Some(3), ..format(Type::F32, "1", 0) };
        assert_eq!([-1, -2, -3].map(|n| with(&float, &[0x4366, 0x3333], n)), ["23.020", "2.302", "0.230"]);
        let endless = Format { digits: Some(4), ..format(Type::U16, "1/3600", 0) };
        assert_eq!([0, -1, -2].map(|n| with(&endless, &[70], n)), ["0.0194", "0.0019", "0.0002"]);
    }

    #[test]
    fn bcd_text_and_bits() {
        assert_eq!(text(&format(Type::Bcd { words: 2 }, "0.01", 0), &[0x0012, 0x3456]), "1234.56");
        assert_eq!(text(&format(Type::Bcd { words: 1 }, "1", 0), &[0x00A0]), "implausible");
        assert_eq!(text(&format(Type::Bcd { words: 1 }, "1", 0), &[0xFFFF]), "missing");
        assert_eq!(text(&format(Type::Text { words: 2 }, "1", 0), &[0x4142, 0x4320]), "ABC");
        assert_eq!(text(&format(Type::Text { words: 1 }, "1", 0), &[0]), "missing");
        assert_eq!(text(&format(Type::Bits { words: 1 }, "1", 0), &[0xFFFF]), "FFFF");
        assert_eq!(text(&format(Type::U32, "1", 0), &[1]), "implausible");
    }

    proptest! {
        #[test]
        fn whole_numbers_are_encoded_to_the_words_that_they_came_from(
            bits: u64, kind in 0..6_usize, low_word_first: bool, low_byte_first: bool, shift in -3..=3_i8, scale in 0..4_usize,
        ) {
            let kind = [Type::U16, Type::I16, Type::U32, Type::I32, Type::U64, Type::I64][kind];
            let order = Order { low_word_first, low_byte_first };
            let scale = ["1", "0.1", "0.001", "10"][scale];
            let format = Format { order, ..format(kind, scale, shift) };
            let words = format.words(bits);
            if let Ok(Value::Number(number)) = format.decode(&words) {
                prop_assert_eq!(format.encode(number), Ok(words));
            }
        }

        #[test]
        fn no_words_make_it_panic(
            words in proptest::collection::vec(any::<u16>(), 0..6), kind in 0..11_usize, exponent in -20..20_i32,
        ) {
            let kinds = [
                Type::U16, Type::I16, Type::U32, Type::I32, Type::U64, Type::I64, Type::F32, Type::F64,
                Type::Bcd { words: 2 }, Type::Text { words: 3 }, Type::Bits { words: 4 },
            ];
            let format = format(kinds[kind], "1/3600", -3);
            let _ = format.decode_with(&words, exponent);
        }
    }
}
