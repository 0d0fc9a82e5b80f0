//! One frame as one line for a person: what `decode`, traces and logs print.

use super::Frame;
use crate::ErrorWord;
use core::fmt;

/// The functions of 2007 (clause 5.2.3 and the State Grid additions) and those of 1997 that 2007 gave up.
fn name(function: u8) -> Option<&'static str> {
    Some(match function {
        0x01 => "read (1997)",
        0x02 => "read follow-up (1997)",
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

/// How many octets of DI the data begin with, by function and direction.
fn di_octets(function: u8, from_meter: bool) -> usize {
    match function {
        0x03 | 0x11 | 0x12 => 4,
        0x14 | 0x18 if !from_meter => 4,
        0x01 | 0x02 => 2,
        0x04 if !from_meter => 2,
        _ => 0,
    }
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let control = self.control();
        let function = control.function();
        let direction = if control.from_meter() { "reply" } else { "request" };
        write!(f, "{direction} {} ", self.address())?;
        match name(function) {
            Some(name) => write!(f, "{name} {control}")?,
            None => write!(f, "function {control}")?,
        }
        let mut data = self.data();
        if control.abnormal() {
            f.write_str(" refused")?;
            match (data.len(), data.clone().next()) {
                (0, _) => return f.write_str(", no error word"),
                (1, Some(word)) => return write!(f, " {word:02X}: {}", ErrorWord(word)),
                _ => {}
            }
        }
        if control.more() {
            f.write_str(", more to follow")?;
        }
        let di = di_octets(function, control.from_meter());
        if !control.abnormal() && di > 0 && data.len() >= di {
            f.write_str(" DI ")?;
            // DI0 comes first and is printed last.
            data.clone().take(di).rev().try_for_each(|octet| write!(f, "{octet:02X}"))?;
            data.by_ref().take(di).for_each(drop);
        }
        let sequence = if function == 0x12 && !control.abnormal() { data.next_back() } else { None };
        if data.len() > 0 {
            f.write_str(" data")?;
            data.try_for_each(|octet| write!(f, " {octet:02X}"))?;
        }
        sequence.map_or(Ok(()), |sequence| write!(f, " SEQ {sequence}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Control, emit};
    use super::*;
    use crate::Address;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    fn line(control: u8, data: &[u8]) -> String {
        let mut out = Vec::new();
        let address = Address::from_wire([0x78, 0x56, 0x34, 0x12, 0, 0]);
        emit(address, Control::new(control), data, &mut out).unwrap();
        Frame::parse(&out).unwrap().to_string()
    }

    #[test]
    fn frame_is_printed_as_one_line() {
        assert_eq!(line(0x11, &[0, 1, 1, 2]), "request 000012345678 read 11 DI 02010100");
        assert_eq!(
            line(0x91, &[0, 1, 1, 2, 0x05, 0x22]),
            "reply 000012345678 read 91 DI 02010100 data 05 22"
        );
        assert_eq!(
            line(0xB1, &[0, 1, 1, 2, 0x05]),
            "reply 000012345678 read B1, more to follow DI 02010100 data 05"
        );
        assert_eq!(
            line(0x92, &[0, 1, 1, 2, 0x22, 3]),
            "reply 000012345678 read follow-up 92 DI 02010100 data 22 SEQ 3"
        );
        assert_eq!(line(0x13, &[]), "request 000012345678 read address 13");
        assert_eq!(
            line(0x93, &[0x78, 0x56, 0x34, 0x12, 0, 0]),
            "reply 000012345678 read address 93 data 78 56 34 12 00 00"
        );
        assert_eq!(line(0x81, &[0x10, 0x90, 1]), "reply 000012345678 read (1997) 81 DI 9010 data 01");
        assert_eq!(line(0x1F, &[1]), "request 000012345678 function 1F data 01");
    }

    #[test]
    fn refusal_is_printed_with_its_meaning() {
        assert_eq!(line(0xD1, &[2]), "reply 000012345678 read D1 refused 02: no requested data");
        assert_eq!(line(0xD1, &[]), "reply 000012345678 read D1 refused, no error word");
        assert_eq!(line(0xC3, &[1, 0]), "reply 000012345678 security authentication C3 refused data 01 00");
    }

    #[test]
    fn data_too_short_for_its_di_is_printed_as_data() {
        assert_eq!(line(0x91, &[0, 1]), "reply 000012345678 read 91 data 00 01");
        assert_eq!(line(0x92, &[]), "reply 000012345678 read follow-up 92");
    }
}
