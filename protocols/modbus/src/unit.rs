//! The address of a meter.

use core::fmt;
use core::str::FromStr;

/// The address of a meter on its line (从站地址), 1 to 247.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnitId(u8);

/// A text that is no address of one meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadUnitId {
    /// No number.
    #[error("it is no number; write the meter's Modbus address, 1 to 247, in decimal")]
    Form,
    /// The broadcast address.
    #[error("0 is the broadcast, which no meter answers; write the meter's Modbus address, 1 to 247")]
    Broadcast,
    /// An address that no meter may have.
    #[error(
        "above 247 there are no meters (248, F8H, is answered by any PZEM); write its own address, 1 to 247"
    )]
    Reserved,
}

impl UnitId {
    /// The address by its number; `None` for the broadcast and for what is reserved.
    pub const fn new(number: u8) -> Option<Self> {
        if matches!(number, 1..=247) { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UnitId {
    type Err = BadUnitId;

    fn from_str(text: &str) -> Result<Self, BadUnitId> {
        if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(BadUnitId::Form);
        }
        match text.parse::<u8>() {
            Ok(0) => Err(BadUnitId::Broadcast),
            Ok(number) => Self::new(number).ok_or(BadUnitId::Reserved),
            Err(_) => Err(BadUnitId::Reserved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_id_is_1_to_247_in_decimal() {
        assert_eq!(
            ["1", "017", "247"].map(|text| text.parse::<UnitId>().map(UnitId::get)),
            [Ok(1), Ok(17), Ok(247)]
        );
        assert_eq!("0".parse::<UnitId>(), Err(BadUnitId::Broadcast));
        assert_eq!(["248", "1000"].map(|text| text.parse::<UnitId>()), [Err(BadUnitId::Reserved); 2]);
        assert_eq!(
            ["", "0x11", "-1", "+1", " 1"].map(|text| text.parse::<UnitId>()),
            [Err(BadUnitId::Form); 5]
        );
    }
}
