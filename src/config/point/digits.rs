//! Digits of a register (示数位数), and a capacity (容量): short texts that stand for numbers.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Digits of an energy register before and behind the point.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Digits {
    /// Before the point, 1 to 9.
    pub before: u8,
    /// Behind it, 0 to 4.
    pub behind: u8,
}

/// A text that says no digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("write the digits before and behind the point, such as \"6.2\": 1 to 9 before, 0 to 4 behind")]
pub struct BadDigits;

impl FromStr for Digits {
    type Err = BadDigits;

    fn from_str(text: &str) -> Result<Self, BadDigits> {
        let (before, behind) = text.split_once('.').ok_or(BadDigits)?;
        let one = |part: &str| match part.as_bytes() {
            [digit @ b'0'..=b'9'] => Ok(digit - b'0'),
            _ => Err(BadDigits),
        };
        match (one(before)?, one(behind)?) {
            (before @ 1..=9, behind @ 0..=4) => Ok(Self { before, behind }),
            _ => Err(BadDigits),
        }
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.before, self.behind)
    }
}

impl Serialize for Digits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Digits {
    /// Behind the last value that they can show: 1000000 of 6.2.
    pub fn range(self) -> Decimal {
        Decimal::from(10_u64.pow(u32::from(self.before)))
    }

    /// Whether a register of so many digits can show this: no digit too many before or behind the point.
    pub fn can_show(self, value: Decimal) -> bool {
        !value.is_sign_negative()
            && value < self.range()
            && value.normalize().scale() <= u32::from(self.behind)
    }
}

/// A contracted capacity (合同容量) in kVA, exact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Capacity(Decimal);

/// A text that is no capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("write the contracted capacity in kVA, such as \"315 kVA\"")]
pub struct BadCapacity;

impl Capacity {
    /// In kVA.
    pub const fn kva(self) -> Decimal {
        self.0
    }
}

/// A number with `kVA` behind it; a number alone is in kVA as well, since a spreadsheet has the unit in its head.
impl FromStr for Capacity {
    type Err = BadCapacity;

    fn from_str(text: &str) -> Result<Self, BadCapacity> {
        let unit = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit);
        let number = number.trim().parse::<Decimal>().map_err(|_| BadCapacity)?;
        let is_kva = unit.is_empty() || unit.eq_ignore_ascii_case("kVA");
        if is_kva && number > Decimal::ZERO { Ok(Self(number.normalize())) } else { Err(BadCapacity) }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kVA", self.0)
    }
}

impl Serialize for Capacity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capacity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_one_before_and_one_behind_the_point() {
        for text in ["6.2", "1.0", "9.4"] {
            assert_eq!(text.parse::<Digits>().unwrap().to_string(), text);
        }
        for text in ["", "6", "0.2", "6.5", "10.2", "6.", "6.2.1", "a.b", "6,2"] {
            assert_eq!(text.parse::<Digits>(), Err(BadDigits), "{text}");
        }
    }

    #[test]
    fn a_register_shows_no_more_digits_than_it_has() {
        let can = |value: &str| "6.2".parse::<Digits>().unwrap().can_show(value.parse().unwrap());
        assert!(["0", "999999.99", "12.30", "12.300"].into_iter().all(can));
        assert!(!["1000000", "-1", "0.001"].into_iter().any(can));
    }

    #[test]
    fn a_capacity_is_in_kva_whether_its_cell_or_its_head_says_so() {
        for (text, shown) in [("315 kVA", "315 kVA"), ("315", "315 kVA"), ("31.50kva", "31.5 kVA")] {
            assert_eq!(text.parse::<Capacity>().unwrap().to_string(), shown);
        }
        for text in ["", "kVA", "315 kW", "0", "-5", "1,000"] {
            assert_eq!(text.parse::<Capacity>(), Err(BadCapacity), "{text}");
        }
    }
}
