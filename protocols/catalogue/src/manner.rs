//! How the meters of one profile want to be asked, and how they answer.

use modbus::{Format, Span};
use std::time::Duration;

/// How the meters of one profile want to be asked, and how they answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manner {
    /// Rate and character as the meter is shipped, `9600 8N1`.
    pub line: Option<Box<str>>,
    /// Silence before the next request; of a Modbus meter beyond the 3.5 characters that end a frame.
    pub pause: Duration,
    /// FE octets before a request of DL/T 645 (唤醒符); none where the profile does not say it.
    pub preamble: Option<u8>,
    /// Whether the meter answers blocks of DL/T 645 (数据块), and not single registers alone.
    pub blocks: bool,
    /// How texts of DL/T 645 stand on the wire.
    pub text_order: TextOrder,
    /// Registers of one request of Modbus at most.
    pub most: u16,
    /// Start addresses of Modbus are multiples of it.
    pub align: u16,
    /// Whether a request of Modbus may reach over addresses that the profile has no register at.
    pub gaps: bool,
    /// The register that holds the meter's own CT ratio.
    pub ct: Option<Box<str>>,
    /// The register that holds the meter's own PT ratio.
    pub pt: Option<Box<str>>,
    /// Maps of which a Modbus meter has one: the first whose probe fits.
    pub maps: Vec<Map>,
}

/// How the characters of a text of DL/T 645 stand on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextOrder {
    /// The last first, as the standard has it; a text that is padded on the wire's end alone was sent as typed.
    Reversed,
    /// As they are typed, whatever the padding.
    AsTyped,
}

/// One of several maps of a model, and how a meter that has it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map {
    /// What the profile calls it.
    pub name: Box<str>,
    /// What is asked for.
    pub probe: Span,
    /// How the answer is read.
    pub format: Format,
    /// What the answer must be; empty where it is enough that the meter answers.
    pub values: Box<[u64]>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            line: None,
            pause: Duration::ZERO,
            preamble: None,
            blocks: true,
            text_order: TextOrder::Reversed,
            most: MOST,
            align: 1,
            gaps: true,
            ct: None,
            pt: None,
            maps: Vec::new(),
        }
    }
}

/// Registers that one answer has room for (Modbus application protocol 1.1b3, section 6.3).
pub(crate) const MOST: u16 = 125;
