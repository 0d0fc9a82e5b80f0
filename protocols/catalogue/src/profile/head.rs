//! The keys of a profile's head that say how its meters want to be asked.

use super::modbus::keys::{flag_of, number_of};
use super::read::Reader;
use crate::{Manner, TextOrder, Wrong};
use std::time::Duration;
use toml::de::DeTable;

/// Keys that a profile of any protocol can have.
pub(super) const COMMON: [&str; 2] = ["line", "pause_ms"];
/// Keys that only one of DL/T 645 can have.
pub(super) const DLT645: [&str; 3] = ["preamble", "blocks", "text_order"];
/// Keys and tables that only one of Modbus can have.
pub(super) const MODBUS: [&str; 7] = ["most_registers", "align", "gaps", "ct", "pt", "defaults", "map"];

/// The longest rest that is of use.
const MOST_PAUSE: u16 = 5000;
/// FE octets at most, as of a meter in the configuration.
const MOST_PREAMBLE: u16 = 16;
/// Rates that lines have.
const RATES: [&str; 10] = ["300", "600", "1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200"];

/// Rate and character as shipped.
pub(super) fn line(reader: &mut Reader<'_>, root: &DeTable<'_>) -> Option<Box<str>> {
    let (line, at) = reader.text_of(root, "line")?;
    let is_sound = line.split_once(' ').is_some_and(|(rate, frame)| {
        let frame = matches!(frame.as_bytes(), [b'7' | b'8', b'N' | b'E' | b'O', b'1' | b'2']);
        RATES.contains(&rate) && frame
    });
    if !is_sound {
        let write = "rate and frame, \"9600 8E1\", the rate one of 300, 600, 1200, 2400, 4800, 9600 …";
        reader.fault(at, "line", Wrong::Value { found: line, write });
        return None;
    }
    Some(line.into())
}

/// The rest before the next request.
pub(super) fn pause(reader: &mut Reader<'_>, root: &DeTable<'_>) -> Duration {
    let millis = number_of(reader, root, "pause_ms", 0, MOST_PAUSE).unwrap_or(0);
    Duration::from_millis(millis.into())
}

/// How meters of DL/T 645 want to be asked; `None` where no key says it.
pub(super) fn dlt645(reader: &mut Reader<'_>, root: &DeTable<'_>) -> Option<Manner> {
    const AS_TYPED: &str = "as-typed";
    if !COMMON.iter().chain(&DLT645).any(|key| root.contains_key(*key)) {
        return None;
    }
    let text_order = match reader.text_of(root, "text_order") {
        Some((word, _)) if word == AS_TYPED => TextOrder::AsTyped,
        Some((found, at)) => {
            let write = "\"as-typed\", or leave it out: the standard's order is the reverse";
            reader.fault(at, "text_order", Wrong::Value { found, write });
            TextOrder::Reversed
        }
        None => TextOrder::Reversed,
    };
    let preamble = number_of(reader, root, "preamble", 0, MOST_PREAMBLE);
    Some(Manner {
        line: line(reader, root),
        pause: pause(reader, root),
        preamble: preamble.and_then(|count| u8::try_from(count).ok()),
        blocks: flag_of(reader, root, "blocks").unwrap_or(true),
        text_order,
        ..Manner::default()
    })
}
