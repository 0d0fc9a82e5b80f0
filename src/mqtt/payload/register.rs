//! A register, or a field of one, as the catalogue reads it: the object of `meterd decode --json`, of a record's
//! fields and of events.

use super::{hex, with_address};
use crate::mqtt::json::{self, Number, Scalar};
use crate::reading::Reason;
use catalogue::{Bit, Catalogue, Decoded, Field, Identifier, Register};
use dlt645::format::{Date, NoValue, Time, Value, load};
use jiff::civil::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A register, or a field of one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RegisterJson {
    /// Stable name of the register, or the field's within its record; left out where the DI is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub register: Option<String>,
    /// The Chinese name; for people, it is in no message.
    #[serde(skip)]
    pub name_zh: Option<String>,
    /// Its OBIS code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub obis: Option<String>,
    /// Its DL/T 645 data identifier; a field has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub di: Option<String>,
    /// What the meter sent, digit for digit; a string for dates, times, words and digits that are no quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Scalar")]
    pub value: Option<Scalar>,
    /// Unit of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub unit: Option<String>,
    /// When a demand occurred or a state was frozen, by the meter's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub at: Option<String>,
    /// What the bits of a bit word say: names, or `bit N` for a bit that is set and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub bits: Option<Vec<String>>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reason")]
    pub reason: Option<Reason>,
    /// The same in a sentence, or what speaks against the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub detail: Option<String>,
    /// Octets that were no value, hexadecimal, low byte first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub raw: Option<String>,
    /// The fields of a record, in wire order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<RegisterJson>,
}

impl RegisterJson {
    /// The registers of a whole reply (octets after the DI, after -33H), in wire order.
    pub fn of_reply(table: &'static Catalogue, id: Identifier, octets: &[u8]) -> Vec<Self> {
        table.decode(id, octets).iter().map(Self::of).collect()
    }

    /// A register of a Modbus answer: its octets as they came, and what they were read as.
    pub fn of_value(register: Register, octets: &[u8], value: Result<Value, NoValue>) -> Self {
        let word = value.ok().and_then(|value| value.bits());
        Self::of(&Decoded {
            id: register.id(),
            name: Some(register.name().to_string()),
            name_zh: Some(register.name_zh().to_string()),
            obis: register.obis().map(|code| code.to_string()),
            octets,
            value: Some(value),
            unit: register.unit(),
            at: None,
            bits: word.into_iter().flat_map(|word| register.bits(word)).collect(),
            fields: Vec::new(),
            doubt: None,
        })
    }

    /// The load records of a reply with their registers as fields, each with its time where it has one.
    pub fn of_load_records(record: Register, octets: &[u8]) -> Vec<(Option<DateTime>, Self)> {
        let found = load::records(record.di_byte(2), octets).map(|found| {
            let (own, at) = match &found {
                Ok(found) => (found.octets, found.at.ok()),
                Err((_, octets)) => (*octets, None),
            };
            let decoded = Catalogue::of_standard(record.standard()).decode(record.id(), own);
            match decoded.as_slice() {
                // No record, or groups that fit no layout: it stands for itself.
                [one] if one.name.as_deref() == Some(record.name().to_string().as_str()) => {
                    (None, Self::of(one))
                }
                fields => {
                    let at = at.map(minute);
                    let own = Self {
                        register: Some(record.name().to_string()),
                        name_zh: Some(record.name_zh().to_string()),
                        di: Some(record.id().to_string()),
                        at: at.clone(),
                        fields: fields
                            .iter()
                            .map(|one| Self { di: None, at: None, ..Self::of(one) })
                            .collect(),
                        ..Self::default()
                    };
                    (at.and_then(|at| at.parse().ok()), own)
                }
            }
        });
        found.collect()
    }

    /// Takes over what the catalogue read.
    fn of(decoded: &Decoded<'_>) -> Self {
        let mut json = Self {
            register: decoded.name.clone(),
            name_zh: decoded.name_zh.clone(),
            obis: decoded.obis.clone(),
            di: Some(decoded.id.to_string()),
            unit: decoded.unit.map(|unit| unit.text().to_owned()),
            at: decoded.at.map(minute),
            fields: decoded.fields.iter().map(Self::of_field).collect(),
            ..Self::default()
        };
        match &decoded.value {
            Some(value) => json.put(value, decoded.octets, decoded.bits.iter().copied()),
            None if json.fields.is_empty() => json.raw = Some(hex(decoded.octets)),
            None => {}
        }
        json.doubt(decoded.doubt);
        json
    }

    fn of_field(field: &Field<'_>) -> Self {
        let mut json = Self {
            register: Some(field.name().to_string()),
            name_zh: Some(field.name_zh().to_string()),
            unit: field.unit.map(|unit| unit.text().to_owned()),
            at: field.at.map(minute),
            ..Self::default()
        };
        json.put(&field.value, field.octets, field.bits());
        json.doubt(field.doubt);
        json
    }

    /// The value, or why there is none with the octets that were no value.
    fn put(&mut self, value: &Result<Value, NoValue>, octets: &[u8], said: impl Iterator<Item = Bit>) {
        match value {
            Ok(value) => {
                self.value = Some(scalar(value));
                self.bits = value.bits().map(|_| said.map(bit).collect());
                self.at = value.at().map(minute).or(self.at.take());
            }
            Err(no_value) => {
                self.unit = None;
                self.reason = Some(Reason::of(*no_value));
                self.detail = Some(no_value.to_string());
                self.raw = Some(hex(octets));
            }
        }
    }

    fn doubt(&mut self, doubt: Option<&'static str>) {
        if self.detail.is_none() {
            self.detail = doubt.map(str::to_owned);
        }
    }

    /// One line of `meterd read --json`: the object with the address first.
    pub fn line(&self, address: &str) -> String {
        with_address(address, &json::text(self))
    }

    /// What the bits of the register and of its fields say.
    pub fn said(&self) -> Vec<&str> {
        let own = self.bits.iter().flatten().map(String::as_str);
        own.chain(self.fields.iter().flat_map(Self::said)).collect()
    }
}

/// A number with the digits that were sent, anything else as a text.
pub(super) fn scalar(value: &Value) -> Scalar {
    value.number().map_or_else(|| Scalar::Text(value.to_string()), |number| Scalar::Number(Number(number)))
}

/// The instant of a demand, of a freeze.
pub(super) fn minute((date, time): (Date, Time)) -> String {
    format!("{date}T{time}")
}

/// What is said of a bit: its name, or which it is.
pub(super) fn bit(bit: Bit) -> String {
    bit.name.map_or_else(|| format!("bit {}", bit.first), str::to_owned)
}
