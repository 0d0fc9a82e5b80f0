//! Checksums of rows: SQLite notices a page that makes no sense, not a bit that flipped in a text.

use crc32fast::Hasher;

/// Everything of a message that is published or that decides what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summed<'a> {
    pub(super) seq: i64,
    pub(super) topic: &'a str,
    pub(super) body: &'a str,
    pub(super) retain: bool,
    pub(super) at: Option<i64>,
    pub(super) worth: i64,
    pub(super) slotless: bool,
}

/// CRC-32 of a message; lengths are in it, so that no octet can move from topic to body.
pub(super) fn message(of: Summed<'_>) -> i64 {
    let mut hasher = Hasher::new();
    hasher.update(&of.seq.to_be_bytes());
    hasher.update(&of.at.unwrap_or(i64::MIN).to_be_bytes());
    hasher.update(&of.worth.to_be_bytes());
    hasher.update(&[u8::from(of.retain), u8::from(of.slotless)]);
    for text in [of.topic, of.body] {
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    i64::from(hasher.finalize().cast_signed())
}

/// CRC-32 of a row of numbers and texts; lengths are in it.
pub(super) fn of(numbers: &[i64], texts: &[&str]) -> u32 {
    let mut hasher = Hasher::new();
    numbers.iter().for_each(|number| hasher.update(&number.to_be_bytes()));
    for text in texts {
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}

/// 15 bits of a place in the outbox, which take two octets in the file.
pub(super) fn place(rank: i64, seq: i64) -> i64 {
    let mut hasher = Hasher::new();
    hasher.update(&rank.to_be_bytes());
    hasher.update(&seq.to_be_bytes());
    i64::from(hasher.finalize() & 0x7FFF)
}
