//! What a meter speaks (规约), and its address there, from what is written of it.

use super::findings::{At, Findings};
use super::keys::not_among;
use super::plan::Protocol;
use super::point::cells::{ROUNDED, is_rounded};
use catalogue::Standard;
use dlt645::{Address, Edition};
use modbus::UnitId;

const PROTOCOLS: [&str; 4] = ["dlt645-2007", "dlt645-1997", "modbus-rtu", "modbus-tcp"];

/// What a meter speaks, without its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speaks {
    /// DL/T 645.
    Dlt645(Edition),
    /// Modbus in RTU frames.
    ModbusRtu,
    /// Modbus over TCP.
    ModbusTcp,
}

impl Speaks {
    /// Where nothing is written.
    pub(super) const USUAL: Self = Self::Dlt645(Edition::E2007);

    /// The standard that it is of.
    pub(super) const fn standard(self) -> Standard {
        match self {
            Self::Dlt645(edition) => Standard::Dlt645(edition),
            Self::ModbusRtu | Self::ModbusTcp => Standard::Modbus,
        }
    }

    /// Whether it is Modbus.
    pub(super) const fn is_modbus(self) -> bool {
        match self {
            Self::Dlt645(_) => false,
            Self::ModbusRtu | Self::ModbusTcp => true,
        }
    }

    /// The word of the configuration.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Dlt645(_) => self.standard().word(),
            Self::ModbusRtu => "modbus-rtu",
            Self::ModbusTcp => "modbus-tcp",
        }
    }

    /// The word of the configuration, or what the trade writes: DL/T 645-2007, 645-2007, MODBUS-RTU; and the number of
    /// Q/GDW 376.1, F10. Modbus alone is in RTU frames.
    pub(super) fn read(text: &At<String>, findings: &mut Findings) -> Option<Self> {
        let plain: String = text.value.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        let trade = plain.to_ascii_uppercase();
        match trade.strip_prefix("DLT").unwrap_or(&trade) {
            "6451997" | "64597" | "1" => return Some(Self::Dlt645(Edition::E1997)),
            "6452007" | "64507" | "30" => return Some(Self::Dlt645(Edition::E2007)),
            "MODBUS" | "MODBUSRTU" => return Some(Self::ModbusRtu),
            "MODBUSTCP" | "MODBUSTCPIP" => return Some(Self::ModbusTcp),
            "31" => findings.fault(
                &text.here,
                "protocol 31 is a power line carrier module (载波), which is on no RS-485 line; leave its meters out",
            ),
            "MODBUSASCII" => findings.fault(
                &text.here,
                "Modbus ASCII is not spoken here; set the meter to RTU and write \"modbus-rtu\"",
            ),
            _ => findings.fault(&text.here, not_among("protocol", &text.value, &PROTOCOLS)),
        }
        None
    }

    /// An address of a meter that speaks so.
    pub(super) fn at(self, text: &At<String>, findings: &mut Findings) -> Option<Protocol> {
        let asked = text.value.as_str();
        if is_rounded(asked) || asked.contains(['.', '+']) {
            findings.fault(&text.here, format!("address \"{asked}\" {ROUNDED}"));
            return None;
        }
        match self {
            Self::Dlt645(edition) => {
                digits_of(text, findings).map(|address| Protocol::dlt645(edition, address))
            }
            Self::ModbusRtu => unit_of(text, findings).map(Protocol::ModbusRtu),
            Self::ModbusTcp => unit_of(text, findings).map(Protocol::ModbusTcp),
        }
    }
}

fn digits_of(text: &At<String>, findings: &mut Findings) -> Option<Address> {
    let asked = text.value.as_str();
    let fault = match asked.parse::<Address>() {
        Ok(address) if address.is_one_meter() => return Some(address),
        Ok(address) if address.has_wildcard() => {
            "has the wildcard A, which any meter answers; write the twelve digits on this meter".to_owned()
        }
        Ok(_) => "is the broadcast address, which no meter answers; write the twelve digits on this meter"
            .to_owned(),
        Err(bad) => format!("cannot be used: {bad}"),
    };
    findings.fault(&text.here, format!("address \"{asked}\" {fault}"));
    None
}

/// The unit id (从站地址) of a Modbus meter.
fn unit_of(text: &At<String>, findings: &mut Findings) -> Option<UnitId> {
    let asked = text.value.as_str();
    match asked.parse() {
        Ok(unit) => Some(unit),
        Err(bad) => {
            findings.fault(
                &text.here,
                format!(
                    "address \"{asked}\" cannot be used for Modbus, where it is the unit id (从站地址): {bad}"
                ),
            );
            None
        }
    }
}
