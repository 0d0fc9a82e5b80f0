//! JSON with the digits that the meter sent. Never by f64, never by `serde_json::Value`: both lose zeros.

use rust_decimal::Decimal;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A decimal that is a JSON number with all its digits: 220.0 stays 220.0. Zero has no sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number(pub Decimal);

/// A value: a number, or a text for dates, times of day and digits that are no quantity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scalar {
    /// A quantity.
    Number(Number),
    /// Anything else.
    Text(String),
}

/// The scale counts: 220.0 and 220.00 are different texts, and equal numbers.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unsigned_zero = self.0;
        if unsigned_zero.is_zero() {
            unsigned_zero.set_sign_positive(true);
        }
        unsigned_zero.fmt(f)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Decimal::from_str_exact(raw.get()).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('"') {
            serde_json::from_str(raw.get()).map(Self::Text).map_err(D::Error::custom)
        } else {
            serde_json::from_str(raw.get()).map(Self::Number).map_err(D::Error::custom)
        }
    }
}

impl JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"] })
    }
}

/// JSON Schema (2020-12) of a message as it is written.
pub(crate) fn schema<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// The text of one of our own messages.
#[expect(
    clippy::expect_used,
    reason = "keys are literals and a Decimal prints as a JSON number: nothing can fail"
)]
pub(crate) fn text<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).expect("a message of our own is JSON")
}

/// Appends a string as JSON has it, with its quotes.
pub(super) fn quote(out: &mut String, string: &str) {
    if string.bytes().any(|octet| octet < b' ' || matches!(octet, b'"' | b'\\')) {
        out.push_str(&text(&string));
    } else {
        out.push('"');
        out.push_str(string);
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn number_keeps_the_digits_that_the_meter_sent() {
        for digits in ["220.0", "0.50", "-12.3456", "0.00", "123456.78", "0", "99999999.9999"] {
            let number = Number(digits.parse().unwrap());
            assert_eq!(text(&number), digits);
            let back: Number = serde_json::from_str(digits).unwrap();
            assert_eq!(back.to_string(), digits);
        }
    }

    #[test]
    fn zero_has_no_sign() {
        let mut zero = Decimal::new(0, 2);
        zero.set_sign_negative(true);
        assert_eq!(text(&Number(zero)), "0.00");
    }

    #[test]
    fn text_value_is_a_string_and_a_quantity_a_number() {
        assert_eq!(text(&Scalar::Text("000012345678".into())), "\"000012345678\"");
        let read = |json: &str| serde_json::from_str::<Scalar>(json);
        assert_eq!(read("\"2026-11-21\"").unwrap(), Scalar::Text("2026-11-21".into()));
        assert_eq!(read("\"\\u4e00\"").unwrap(), Scalar::Text("一".into()));
        assert_eq!(text(&read("1.50").unwrap()), "1.50");
        for neither in ["null", "true", "[]", "{}", "1e400"] {
            assert!(read(neither).is_err(), "{neither}");
        }
    }

    proptest! {
        #[test]
        fn a_string_is_quoted_as_serde_quotes_it(string in "\\PC{0,9}|[\\x00-\\x7f]{0,9}|[\"\\\\a总]{0,9}") {
            let mut quoted = "x".to_owned();
            quote(&mut quoted, &string);
            prop_assert_eq!(quoted, format!("x{}", text(&string)));
        }

        #[test]
        fn any_decimal_survives_json_digit_for_digit(mantissa in any::<i64>(), scale in 0u32..12) {
            let number = Number(Decimal::new(mantissa, scale));
            let back: Number = serde_json::from_str(&text(&number)).unwrap();
            prop_assert_eq!(back.to_string(), number.to_string());
        }
    }
}
