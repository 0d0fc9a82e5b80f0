//! What the meters of a virtual line really sent, as text that is made by hand.
#![allow(dead_code, reason = "each test uses its part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use meterd::mqtt::payload::ReadingJson;
use meterd::simulator::{Said, Sent};

/// Where a register stands in a block, and how its octets are written (DL/T 645-2007 Annex A.1, A.3, A.5).
pub(crate) struct Place {
    pub(crate) register: &'static str,
    di: &'static str,
    block: &'static str,
    index: usize,
    octets: usize,
    /// Digits behind the point, or none for a time of day.
    decimals: Option<usize>,
}

const fn place(
    register: &'static str,
    di: &'static str,
    (block, index): (&'static str, usize),
    octets: usize,
    decimals: Option<usize>,
) -> Place {
    Place { register, di, block, index, octets, decimals }
}

pub(crate) const PLACES: [Place; 8] = [
    place("active_energy_import", "00010000", ("0001FF00", 0), 4, Some(2)),
    place("active_energy_import_t1", "00010100", ("0001FF00", 1), 4, Some(2)),
    place("active_energy_import_t4", "00010400", ("0001FF00", 4), 4, Some(2)),
    place("voltage_l1", "02010100", ("0201FF00", 0), 2, Some(1)),
    place("voltage_l3", "02010300", ("0201FF00", 2), 2, Some(1)),
    place("active_power", "02030000", ("0203FF00", 0), 3, Some(4)),
    place("frequency", "02800002", ("", 0), 2, Some(2)),
    place("clock_time", "04000102", ("", 0), 3, None),
];

/// The text of octets, low byte first, by hand.
fn by_hand(place: &Place, octets: &[u8]) -> String {
    let mut digits: String = octets.iter().rev().map(|octet| format!("{octet:02X}")).collect();
    let Some(decimals) = place.decimals else {
        return format!("{}:{}:{}", &digits[..2], &digits[2..4], &digits[4..]);
    };
    digits.insert(digits.len() - decimals, '.');
    let text = digits.trim_start_matches('0');
    if text.starts_with('.') { format!("0{text}") } else { text.to_owned() }
}

/// The register's text in an answer; `None` if the answer does not hold it.
pub(crate) fn text_in(place: &Place, said: &Said) -> Option<String> {
    let Said::Data { di, octets } = said else { return None };
    let di = di.to_string();
    let from = place.index * place.octets;
    let own = if di == place.di {
        Some(octets.as_slice())
    } else if di == place.block {
        octets.get(from..from + place.octets)
    } else {
        None
    };
    own.map(|own| by_hand(place, own))
}

/// What this meter last sent of a register before the reading was taken.
pub(crate) fn sent_for(reading: &ReadingJson, address: &str, sent: &[Sent]) -> String {
    let place = PLACES.iter().find(|p| p.register == reading.register).unwrap();
    let taken_at: jiff::Timestamp = reading.taken_at.parse().unwrap();
    let own = sent.iter().rev().filter(|s| s.meter.to_string() == address && s.at <= taken_at);
    let text = own.filter_map(|s| text_in(place, &s.said)).next();
    text.unwrap_or_else(|| panic!("{address} never sent {}", reading.register))
}
