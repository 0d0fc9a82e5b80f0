//! One frame as one line for a person: what `decode`, traces and logs print. Passwords are masked.

use super::{Data, Frame};
use crate::pdu::{
    ClockTime, EventScope, FreezeAt, Operator, OutputSignal, Rate, RecordTime, RelayAction, function,
};
use crate::{Address, Edition, ErrorWord};
use core::fmt;

/// The functions of 2007 (clause 5.2.3 and the State Grid additions) and those of 1997 that 2007 gave up.
fn name(function: u8, edition: Edition) -> Option<&'static str> {
    Some(match function {
        0x01 => "read (1997)",
        0x02 => "read follow-up (1997)",
        0x03 if edition == Edition::E1997 => "read again (1997)",
        0x03 => "security authentication",
        0x04 => "write (1997)",
        0x08 => "broadcast time",
        0x0A => "write address (1997)",
        0x0C => "set baud rate (1997)",
        0x0F => "set password (1997)",
        0x10 => "reset maximum demand (1997)",
        0x11 => "read",
        0x12 => "read follow-up",
        0x13 => "read address",
        0x14 => "write",
        0x15 => "write address",
        0x16 => "freeze",
        0x17 => "set baud rate",
        0x18 => "set password",
        0x19 => "reset maximum demand",
        0x1A => "clear meter",
        0x1B => "clear events",
        0x1C => "relay control",
        0x1D => "output control",
        _ => return None,
    })
}

/// What the data begin with. A field whose octets are not all there is printed as data.
#[derive(Clone, Copy)]
enum Field {
    Di,
    Records,
    Password,
    NewPassword,
    Operator,
    Sequence,
    NewAddress,
    Time,
    Freeze,
    Rate,
    Scope,
    Relay,
    Signal,
}

/// The fields of a request, or of a reply that is no refusal.
fn fields(function: u8, edition: Edition, from_meter: bool) -> &'static [Field] {
    use Field::{
        Di, Freeze, NewAddress, NewPassword, Operator, Password, Rate, Records, Relay, Scope, Sequence,
        Signal, Time,
    };
    match (function, from_meter) {
        (0x01 | 0x02, _) | (0x11, true) => &[Di],
        (0x03, true) => &[Di],
        (0x03, false) if edition == Edition::E2007 => &[Di, Operator],
        (0x04, false) => &[Di, Password],
        (0x08, false) => &[Time],
        (0x0A | 0x15, false) => &[NewAddress],
        (0x0C | 0x17, _) => &[Rate],
        (0x0F, false) => &[Password, NewPassword],
        (0x0F | 0x18, true) => &[NewPassword],
        (0x10, false) => &[Password],
        (0x11, false) => &[Di, Records],
        (0x12, _) => &[Di, Sequence],
        (0x14, false) => &[Di, Password, Operator],
        (0x16, false) => &[Freeze],
        (0x18, false) => &[Di, Password, NewPassword],
        (0x19 | 0x1A, false) => &[Password, Operator],
        (0x1B, false) => &[Password, Operator, Scope],
        (0x1C, false) => &[Password, Operator, Relay],
        (0x1D, _) => &[Signal],
        _ => &[],
    }
}

/// Items whose octets are a password.
fn is_password(di: crate::Di) -> bool {
    match di.edition() {
        Edition::E1997 => di.get() == 0xC212,
        Edition::E2007 => di.get() & 0xFFFF_FF00 == 0x0400_0C00,
    }
}

/// The next `N` octets, if there are so many; otherwise nothing is taken.
fn take<const N: usize>(data: &mut Data<'_>) -> Option<[u8; N]> {
    if data.len() < N {
        return None;
    }
    let mut octets = [0; N];
    octets.iter_mut().zip(data).for_each(|(octet, own)| *octet = own);
    Some(octets)
}

impl Field {
    fn print(self, f: &mut fmt::Formatter<'_>, edition: Edition, data: &mut Data<'_>) -> fmt::Result {
        match self {
            Self::Di => match data.take_di(edition) {
                Some(di) => write!(f, " DI {di}"),
                None => Ok(()),
            },
            Self::Records => match (data.len(), data.clone().next()) {
                (1, Some(count)) => {
                    data.by_ref().for_each(drop);
                    write!(f, " records {count:02X}")
                }
                (6, Some(count)) => match take::<6>(data) {
                    Some([_, from @ ..]) => {
                        write!(f, " records {count:02X} from {}", RecordTime::from_wire(from))
                    }
                    None => Ok(()),
                },
                _ => Ok(()),
            },
            Self::Password | Self::NewPassword => {
                // However few its octets are, they are not shown.
                if data.len() == 0 {
                    return Ok(());
                }
                data.by_ref().take(4).for_each(drop);
                let label = if matches!(self, Self::NewPassword) { "new password" } else { "password" };
                write!(f, " {label} ******")
            }
            Self::Operator => match take(data) {
                Some(octets) => write!(f, " operator {}", Operator(octets)),
                None => Ok(()),
            },
            // The last octet: it is printed behind the data.
            Self::Sequence => Ok(()),
            Self::NewAddress => match take(data) {
                Some(octets) => write!(f, " new address {}", Address::from_wire(octets)),
                None => Ok(()),
            },
            Self::Time => match take(data) {
                Some(octets) => write!(f, " {}", ClockTime::from_wire(octets)),
                None => Ok(()),
            },
            Self::Freeze => match take(data) {
                Some(octets) => write!(f, " {}", FreezeAt::from_wire(octets)),
                None => Ok(()),
            },
            Self::Rate => match data.next() {
                Some(word) => write!(f, " {}", Rate::from_wire(edition, word)),
                None => Ok(()),
            },
            Self::Scope => match take(data) {
                Some(octets) => write!(f, " {}", EventScope::from_wire(octets)),
                None => Ok(()),
            },
            Self::Relay if data.len() == 8 => match take::<8>(data) {
                Some([action, delay, until @ ..]) => {
                    write!(f, " {}", RelayAction(action))?;
                    if delay != 0 {
                        write!(f, " {delay:02X}")?;
                    }
                    write!(f, " valid until {}", ClockTime::from_wire(until))
                }
                None => Ok(()),
            },
            Self::Relay => Ok(()),
            Self::Signal => match data.next() {
                Some(signal) => write!(f, " {}", OutputSignal(signal)),
                None => Ok(()),
            },
        }
    }
}

/// By the function code; 03H by the rule of the [pdu](crate::pdu).
fn edition(frame: &Frame<'_>) -> Edition {
    let control = frame.control();
    let data = frame.data();
    let guessed = match (control.function(), control.from_meter(), control.abnormal()) {
        (function::SECURITY, false, _) => data.len() > 0,
        (function::SECURITY, true, true) => data.len() >= 2,
        (function::SECURITY, true, false) => data.clone().nth(3) == Some(0x07),
        _ => true,
    };
    let guessed = if guessed { Edition::E2007 } else { Edition::E1997 };
    function::edition(control.function()).unwrap_or(guessed)
}

impl Frame<'_> {
    /// The edition that the frame is of, by its function code; 03H by the rule of the [pdu](crate::pdu).
    pub fn edition(&self) -> Edition {
        edition(self)
    }

    /// What its function is called: `read`, `write address`; `None` for a code of no standard.
    pub fn function_name(&self) -> Option<&'static str> {
        name(self.control().function(), edition(self))
    }
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let control = self.control();
        let function = control.function();
        let edition = edition(self);
        let direction = if control.from_meter() { "reply" } else { "request" };
        write!(f, "{direction} {} ", self.address())?;
        match name(function, edition) {
            Some(name) => write!(f, "{name} {control}")?,
            None => write!(f, "function {control}")?,
        }
        let mut data = self.data();
        if control.abnormal() {
            f.write_str(" refused")?;
            let security = function == function::SECURITY && edition == Edition::E2007;
            let mut first_two = data.clone();
            match (data.len(), first_two.next(), first_two.next()) {
                (0, ..) => return f.write_str(", no error word"),
                (1, Some(word), _) => {
                    let meaning = match edition {
                        Edition::E1997 => ErrorWord::Of1997(word),
                        Edition::E2007 => ErrorWord::Of2007(word),
                    };
                    return write!(f, " {word:02X}: {meaning}");
                }
                (2, Some(low), Some(high)) if security => {
                    let word = u16::from_le_bytes([low, high]);
                    return write!(f, " {word:04X}: {}", ErrorWord::Security(word));
                }
                _ => {}
            }
        }
        if control.more() {
            f.write_str(", more to follow")?;
        }
        let mut sequence = None;
        if !control.abnormal() {
            let fields = fields(function, edition, control.from_meter());
            let di = data.clone().take_di(edition).filter(|_| matches!(fields, [Field::Di, ..]));
            for field in fields {
                field.print(f, edition, &mut data)?;
            }
            if fields.iter().any(|field| matches!(field, Field::Sequence)) {
                sequence = data.next_back();
            }
            if data.len() > 0 && di.is_some_and(is_password) {
                data.by_ref().for_each(drop);
                f.write_str(" data ******")?;
            }
        }
        if data.len() > 0 {
            f.write_str(" data")?;
            data.try_for_each(|octet| write!(f, " {octet:02X}"))?;
        }
        sequence.map_or(Ok(()), |sequence| write!(f, " SEQ {sequence}"))
    }
}

#[cfg(test)]
mod tests;
