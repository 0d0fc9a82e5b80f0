//! Octets that a DTU sends of itself: registration (注册包) and heartbeat (心跳包).

use std::fmt;

/// The longest packet that can be written: far above an IMEI, an ICCID or a text of its maker.
const LONGEST: usize = 128;

/// One to 128 octets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Packet(Vec<u8>);

/// A text that is no packet, with what to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPacket {
    /// Nothing, or too much.
    #[error("a packet has 1 to {LONGEST} octets")]
    Length,
    /// No pairs of hexadecimal digits.
    #[error("write each octet as two hexadecimal digits, \"0A0B\"")]
    Hex,
}

impl Packet {
    /// The octets as they are sent.
    ///
    /// # Errors
    /// [`BadPacket::Length`].
    pub fn new(octets: Vec<u8>) -> Result<Self, BadPacket> {
        if (1..=LONGEST).contains(&octets.len()) { Ok(Self(octets)) } else { Err(BadPacket::Length) }
    }

    /// Hexadecimal digits, with spaces between octets or without.
    ///
    /// # Errors
    /// [`BadPacket`] with what to write.
    pub fn from_hex(text: &str) -> Result<Self, BadPacket> {
        let digits: Vec<u8> = text.bytes().filter(|b| *b != b' ').collect();
        let octet = |pair: &[u8]| match pair {
            [high, low] => {
                let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
                Some(digit(*high)? << 4 | digit(*low)?)
            }
            _ => None,
        };
        let octets: Option<Vec<u8>> = digits.chunks(2).map(octet).collect();
        Self::new(octets.ok_or(BadPacket::Hex)?)
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// As it is written in the configuration: `registration = "0001"`, or `registration_hex = "0A0B"` where
/// it is no printable text.
pub fn written(key: &str, octets: &[u8]) -> String {
    match text(octets) {
        Some(text) => format!("{key} = {text}"),
        None => format!("{key}_hex = \"{}\"", hex(octets)),
    }
}

/// A TOML text, or nothing if the octets are no text that can be seen.
fn text(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let seen = |c: char| !c.is_control() || matches!(c, '\r' | '\n' | '\t');
    if !text.chars().all(seen) {
        return None;
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.push('"');
    Some(out)
}

/// Two digits an octet, without spaces.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

/// The text in quotes, or the digits.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match text(&self.0) {
            Some(text) => f.write_str(&text),
            None => f.write_str(&hex(&self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hexadecimal_octets_are_pairs_of_digits() {
        assert_eq!(Packet::from_hex("0A0b"), Packet::new(vec![0x0A, 0x0B]));
        assert_eq!(Packet::from_hex("0A 0B"), Packet::new(vec![0x0A, 0x0B]));
        for bad in ["0A0", "0x0A", "G0", "电表"] {
            assert_eq!(Packet::from_hex(bad), Err(BadPacket::Hex), "{bad}");
        }
        assert_eq!(Packet::from_hex(""), Err(BadPacket::Length));
        assert_eq!(Packet::new(vec![0; 129]), Err(BadPacket::Length));
    }

    proptest! {
        #[test]
        fn what_is_shown_of_a_packet_can_be_written_as_it_is_shown(
            octets in prop_oneof![
                prop::collection::vec(any::<u8>(), 1..20),
                "[ -~\r\n\t电表]{1,12}".prop_map(String::into_bytes),
            ],
        ) {
            let line = written("registration", &octets);
            let table: toml::Table = line.parse().unwrap();
            let back = match (table.get("registration"), table.get("registration_hex")) {
                (Some(text), None) => Packet::new(text.as_str().unwrap().as_bytes().to_vec()),
                (None, Some(digits)) => Packet::from_hex(digits.as_str().unwrap()),
                _ => panic!("{line}"),
            };
            prop_assert_eq!(back, Packet::new(octets));
        }
    }
}
