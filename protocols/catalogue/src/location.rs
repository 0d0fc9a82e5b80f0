//! Where a register of a Modbus meter is, and how its words are read.

use crate::Register;
use dlt645::format::{DoesNotFit, NoValue, Text, Value, Word};
use modbus::{Format, Span};

/// Where a register of a Modbus meter is, and how its words are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// What is asked for.
    pub span: Span,
    /// How its words are read, to the catalogue's unit.
    pub format: Format,
    /// Read by itself, never in one request with its neighbours.
    pub alone: bool,
    /// The value is of the primary side already.
    pub primary: bool,
    /// Which of the profile's maps it is of; none where all meters of the profile have it.
    pub map: Option<u8>,
    /// The register of the same profile that the power of ten of this one stands in.
    pub exponent: Option<Box<str>>,
    /// Where this row is from.
    pub source: Box<str>,
    /// What else there is to know of it.
    pub notes: Option<Box<str>>,
}

impl Register {
    /// Decodes the words of a Modbus meter; `exponent` is the power of ten that another register gave, 0 where there is
    /// none.
    ///
    /// # Errors
    /// As [`Register::decode`]; a register of no Modbus meter, and words of another number than its own, are
    /// [`NoValue::Implausible`].
    pub fn decode_words(&self, words: &[u16], exponent: i32) -> Result<Value, NoValue> {
        const LENGTH: NoValue = NoValue::Implausible("a number of words that does not fit the register");
        let location = self.location().ok_or(LENGTH)?;
        if words.len() != usize::from(location.span.count) {
            return Err(LENGTH);
        }
        match location.format.decode_with(words, exponent) {
            Ok(modbus::Value::Number(number)) => Ok(Value::Number(number)),
            Ok(modbus::Value::Bits(bits)) => {
                let low_first = bits.to_le_bytes();
                let own = low_first.get(..words.len() * 2).unwrap_or(&low_first);
                Word::from_wire(own).map(Value::Bits).ok_or(LENGTH)
            }
            Ok(modbus::Value::Text(text)) => {
                Text::new(&text).map(Value::Text).ok_or(NoValue::Implausible("no printable text"))
            }
            Err(modbus::NoValue::Missing) => Err(NoValue::Missing),
            Err(modbus::NoValue::Implausible(why)) => Err(NoValue::Implausible(why)),
        }
    }

    /// The words that a Modbus meter gives for a value in the catalogue's unit: of a float the nearest that there is.
    ///
    /// # Errors
    /// [`DoesNotFit`], and for a register of no Modbus meter.
    pub fn encode_words(&self, value: Value) -> Result<Vec<u16>, DoesNotFit> {
        let format = &self.location().ok_or(DoesNotFit)?.format;
        let bits =
            |octets: &[u8]| octets.iter().rev().fold(0, |all: u64, octet| all << 8 | u64::from(*octet));
        match value {
            Value::Number(number) => format.encode(number).map_err(|_| DoesNotFit),
            Value::Bits(word) | Value::Hex(word) => Ok(format.words(bits(word.to_wire()))),
            Value::Text(text) => format.encode_text(text.as_str()).map_err(|_| DoesNotFit),
            Value::Demand { .. }
            | Value::Date(_)
            | Value::Time(_)
            | Value::DateTime(..)
            | Value::Recurring(_)
            | Value::Slot(_)
            | Value::Digits(_) => Err(DoesNotFit),
        }
    }

    /// The words of the octets of an answer, the high octet of each first.
    pub(crate) fn words(octets: &[u8]) -> Vec<u16> {
        octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }
}
