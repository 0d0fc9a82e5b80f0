//! What passes on a line, for a person: octets as they are, frames explained.

mod modbus;

use super::profiles::dialect;
use super::protocol::Asked;
use crate::bus::exchange::Passed;
use catalogue::{Entry, Profile};
use dlt645::frame::Frame;
use dlt645::scanner::{Damage, Found, Scanner};
use dlt645::{Di, Edition};

/// What passes on a line, by what the meters speak.
#[derive(Debug)]
pub(super) enum Trace {
    /// DL/T 645.
    Dlt645(Box<Line>),
    /// Modbus.
    Modbus(modbus::Line),
}

/// Collects what comes until it is a frame, or is known to be none.
#[derive(Debug, Default)]
pub(super) struct Line {
    scanner: Scanner,
    /// Octets that came and have not been shown.
    unshown: Vec<u8>,
    /// What its meters have beside the standard.
    profile: Option<&'static Profile>,
}

impl Trace {
    /// Names registers of a profile as well.
    pub(super) fn of(speaks: Asked, profile: Option<&'static Profile>) -> Self {
        match speaks {
            Asked::Dlt645_2007 | Asked::Dlt645_1997 => {
                Self::Dlt645(Box::new(Line { profile, ..Line::default() }))
            }
            Asked::ModbusRtu => Self::Modbus(modbus::Line::new(profile, false)),
            Asked::ModbusTcp => Self::Modbus(modbus::Line::new(profile, true)),
        }
    }

    /// The lines to print after `passed`.
    pub(super) fn take(&mut self, passed: Passed<'_>) -> Vec<String> {
        match self {
            Self::Dlt645(line) => line.take(passed),
            Self::Modbus(line) => line.take(passed),
        }
    }

    /// What is left when nothing more comes.
    pub(super) fn rest(&mut self) -> Vec<String> {
        match self {
            Self::Dlt645(line) => line.rest(),
            Self::Modbus(line) => line.rest(),
        }
    }
}

impl Line {
    fn take(&mut self, passed: Passed<'_>) -> Vec<String> {
        match passed {
            Passed::Sent(octets) => {
                let mut lines = self.rest();
                lines.push(format!("> {}", hex(octets)));
                let mut scanner = Scanner::default();
                scanner.push(octets);
                lines.extend(scanner.next_frame().map(|frame| explained(&frame, self.profile)));
                lines
            }
            Passed::Came(octets) => {
                self.unshown.extend_from_slice(octets);
                self.scanner.push(octets);
                self.found()
            }
            Passed::CameDamaged(octet) => {
                self.unshown.push(octet);
                self.scanner.push_damaged(octet);
                self.found()
            }
        }
    }

    fn rest(&mut self) -> Vec<String> {
        self.scanner.end();
        self.found()
    }

    fn found(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(found) = self.scanner.next() {
            match found {
                Found::Frame { frame, preamble } => {
                    let octets = preamble + frame.octets().len();
                    let explained = explained(&frame, self.profile);
                    lines.push(format!("< {}", hex(&take(&mut self.unshown, octets))));
                    lines.push(explained);
                }
                Found::Damaged(Damage::Checksum { stated, computed }) => {
                    lines.push(format!("    damaged: checksum is {stated:02X}, computed {computed:02X}"));
                }
                Found::Damaged(Damage::Octet) => {
                    lines.push("    damaged: the line reported a parity or framing error".to_owned());
                }
                Found::Noise(octets) => {
                    lines.push(format!("< {}", hex(&take(&mut self.unshown, octets))));
                    lines.push(format!("    {octets} octets that are no frame"));
                }
            }
        }
        lines
    }
}

fn take(from: &mut Vec<u8>, count: usize) -> Vec<u8> {
    from.drain(..count.min(from.len())).collect()
}

/// The frame in words, with the name of the register that it is about.
fn explained(frame: &Frame<'_>, profile: Option<&'static Profile>) -> String {
    let edition = match frame.control().function() {
        0x01 | 0x02 => Some(Edition::E1997),
        0x11 | 0x12 => Some(Edition::E2007),
        _ => None,
    };
    let di =
        edition.filter(|_| !frame.control().abnormal()).and_then(|edition| frame.data().take_di(edition));
    let name = di.and_then(|di| name(di, profile)).map(|n| format!("  ({n})")).unwrap_or_default();
    format!("    {frame}{name}")
}

fn name(di: Di, profile: Option<&'static Profile>) -> Option<String> {
    match dialect(profile, di.edition()).catalogue().by_di(di)? {
        Entry::Register(register) => Some(format!("{} {}", register.name(), register.name_zh())),
        Entry::Block(block) => block.registers(4).next().map(|first| format!("{} and on", first.name())),
    }
}

/// `68 10 AA`.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(" ")
}
