//! Payloads: a public contract, described by the schemas of `fixtures/schema`.
//!
//! A message is made once, when its report goes into the store, without its number; the number is
//! put before it when it is published. Nothing here rounds, scales or estimates.

mod birth;
mod bodies;
mod clocks;
mod event;
mod flat;
mod happened;
mod meter_status;
mod register;
mod round;
mod times;

pub use birth::{BirthMessage, BirthMeter, BirthRegister, BirthTask, birth};
pub use bodies::Bodies;
pub use clocks::{BroadcastJson, ClockOffJson};
pub use event::{ActiveReportJson, EventBody, EventJson, EventMessage, JumpJson, LineJson, event};
pub use flat::{FlatBody, FlatHead, FlatMessage, FlatValue, FlatValues};
pub use happened::{
    ArchiveChangedJson, ClockSteppedJson, DroppedJson, GapJson, PowerBackJson, RowsDroppedJson, rows_dropped,
};
pub use meter_status::{MeterState, MeterStatusBody, MeterStatusMessage};
pub use register::RegisterJson;
pub use round::{FailedJson, RoundBody, RoundMessage, round};

use super::json::{self, Number, Scalar};
use super::{PAYLOAD_VERSION, StatusMessage};
use crate::reading::{Content, Failure, Quality, Reading, Reason, Source};
use crate::store;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// One message on a data topic: a meter, a task and a slot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(title = "meterd data message")]
pub struct DataMessage {
    /// Version of the payload.
    #[schemars(extend("const" = PAYLOAD_VERSION))]
    pub v: u8,
    /// Id of the store whose number `seq` is. A store made anew has a new id.
    pub store: String,
    /// Number of the message in its store, gapless from 1. A message that is sent again keeps it.
    pub seq: u64,
    /// All the rest.
    #[serde(flatten)]
    pub body: Body,
}

/// A data message without its number, as it lies in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Body {
    /// Name of the gateway.
    pub gateway: String,
    /// Name of the meter point; it stays when the meter is exchanged.
    pub meter: String,
    /// Address of the meter that was asked, as on its plate.
    pub address: String,
    /// Revision of the archive of meters that was in force.
    pub archive: String,
    /// Name of the task.
    pub task: String,
    /// Where in the meter the values come from.
    pub source: Source,
    /// The instant that the readings are for.
    #[schemars(extend("format" = "date-time"))]
    pub slot: String,
    /// The day that the readings close; null for values that close none.
    #[schemars(extend("format" = "date"))]
    pub day: Option<String>,
    /// The instant by the meter's own clock; null where it is not known.
    pub meter_time: Option<String>,
    /// How far the meter's clock is ahead, in seconds; null where it is not known.
    pub clock_offset_s: Option<i64>,
    /// True if the slot was missed and then read from the meter's memory.
    pub backfilled: bool,
    /// Registers with a value.
    pub readings: Vec<ReadingJson>,
    /// Registers without one.
    pub failures: Vec<FailureJson>,
}

/// One register with its value, or a record with its fields.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("oneOf" = [{ "required": ["value"] }, { "required": ["fields"] }]))]
pub struct ReadingJson {
    /// Stable name of the register.
    pub register: String,
    /// Its OBIS code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obis: Option<String>,
    /// Its DL/T 645 data identifier.
    pub di: String,
    /// What the meter sent, digit for digit; a string for dates, times, words and digits that are no quantity. A record
    /// has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Scalar")]
    pub value: Option<Scalar>,
    /// When a maximum demand occurred or a record was frozen, by the meter's clock; left out where the meter has no
    /// instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Unit of `value` and `primary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What the bits of a bit word say: names, or `bit N` for a bit that is set and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub bits: Option<Vec<String>>,
    /// The fields of a record, in wire order, as `meterd decode --json` shows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<RegisterJson>,
    /// The ratio as it applies to this register, where a ratio is configured for the meter point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Number>,
    /// `value` times `ratio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Number>,
    /// How far it is to be believed.
    pub quality: Quality,
    /// Why it is not good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Octets as the meter sent them, hexadecimal, low byte first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// When the answer came, by the gateway's clock.
    #[schemars(extend("format" = "date-time"))]
    pub taken_at: String,
}

/// One register without a value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FailureJson {
    /// Stable name of the register.
    pub register: String,
    /// Its DL/T 645 data identifier.
    pub di: String,
    /// Why there is no value.
    pub reason: Reason,
    /// The same in a sentence.
    pub detail: String,
    /// Octets that were no value, hexadecimal, low byte first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl ReadingJson {
    /// Takes a reading over, with its time in `zone`.
    pub fn of(reading: &Reading, zone: &TimeZone) -> Self {
        let register = &reading.register;
        let (value, at, bits, fields) = match &reading.content {
            Content::Value(value) => {
                let bits = value.bits().map(|word| register.bits(word).map(register::bit).collect());
                (Some(register::scalar(value)), value.at().map(register::minute), bits, Vec::new())
            }
            Content::Record(octets) => {
                let records = RegisterJson::of_reply(register.table(), register.id(), octets);
                let at = records.iter().find_map(|record| record.at.clone());
                (None, at, None, records.into_iter().flat_map(|record| record.fields).collect())
            }
        };
        Self {
            register: register.name().to_string(),
            obis: register.obis().map(|code| code.to_string()),
            di: register.id().to_string(),
            value,
            at,
            unit: register.unit().map(|unit| unit.text().to_owned()),
            bits,
            fields,
            ratio: reading.primary.map(|p| Number(p.ratio)),
            primary: reading.primary.map(|p| Number(p.value)),
            quality: reading.quality,
            why: reading.why.clone(),
            raw: reading.raw.as_deref().map(hex),
            taken_at: instant(reading.taken_at, zone, Digits::Milliseconds),
        }
    }
}

impl FailureJson {
    /// Takes a failure over.
    pub fn of(failure: &Failure) -> Self {
        Self {
            register: failure.register.name().to_string(),
            di: failure.register.id().to_string(),
            reason: failure.reason,
            detail: failure.detail.clone(),
            raw: failure.raw.as_deref().map(hex),
        }
    }
}

/// Octets in the order of the wire.
fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02X}");
        text
    })
}

/// How exact a time is written.
#[derive(Clone, Copy)]
pub(super) enum Digits {
    /// For instants that are aligned: slots.
    Seconds,
    /// For instants that were measured.
    Milliseconds,
}

/// A time with the offset that `zone` has then: RFC 3339.
pub(super) fn instant(at: Timestamp, zone: &TimeZone, digits: Digits) -> String {
    let format = match digits {
        Digits::Seconds => "%Y-%m-%dT%H:%M:%S%:z",
        Digits::Milliseconds => "%Y-%m-%dT%H:%M:%S%.3f%:z",
    };
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

/// An instant that is to be shown, to the second.
pub(crate) fn second(at: Timestamp, zone: &TimeZone) -> String {
    instant(at, zone, Digits::Seconds)
}

/// A day as it is written: ISO 8601.
pub(super) fn day(day: Date) -> String {
    day.to_string()
}

/// An instant of a meter's own clock, which has no zone and, in freezes, no seconds.
pub(super) fn meter_time(at: DateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

/// A body's text behind its number: all keys and the closing brace, without the opening one.
fn fragment<T: Serialize>(body: &T) -> String {
    let mut text = json::text(body);
    text.remove(0);
    text
}

/// A message of something that happened: it is of no slot.
fn happening<T: Serialize>(topic: String, body: &T, retain: bool) -> store::Entry {
    store::Entry {
        topic,
        body: fragment(body),
        retain,
        worth: store::Worth::Event,
        identity: None,
        notes: Vec::new(),
    }
}

/// The whole payload: the number before what lies in the store. `body` is as [`store::Entry::body`].
pub fn compose(store_id: &str, seq: u64, body: &str) -> Vec<u8> {
    let store = json::text(&store_id);
    format!("{{\"v\":{PAYLOAD_VERSION},\"store\":{store},\"seq\":{seq},{body}").into_bytes()
}

/// A reading as one line of `meterd read --json`: the same object with the address first.
pub fn reading_line(address: &str, reading: &Reading, zone: &TimeZone) -> String {
    with_address(address, &json::text(&ReadingJson::of(reading, zone)))
}

/// A failure as one line of `meterd read --json`: the same object with the address first.
pub fn failure_line(address: &str, failure: &Failure) -> String {
    with_address(address, &json::text(&FailureJson::of(failure)))
}

/// `object` is the text of an object with at least one key.
fn with_address(address: &str, object: &str) -> String {
    format!("{{\"address\":{},{}", json::text(&address), &object[1..])
}

impl DataMessage {
    /// Reads a payload. Keys that it does not know are left alone, as a reader of version 1 must do.
    ///
    /// # Errors
    /// Those of serde_json: no JSON, or a key missing.
    pub fn parse(payload: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Number {
            v: u8,
            store: String,
            seq: u64,
        }
        // Twice over the text: a flattened struct would go through serde's buffer and lose digits.
        let Number { v, store, seq } = serde_json::from_slice(payload)?;
        Ok(Self { v, store, seq, body: serde_json::from_slice(payload)? })
    }
}

/// JSON Schema (2020-12) of a data message.
pub fn schema_data() -> Schema {
    json::schema::<DataMessage>()
}

/// JSON Schema (2020-12) of a data message in the flat form.
pub fn schema_flat() -> Schema {
    json::schema::<FlatMessage>()
}

/// JSON Schema (2020-12) of an event message.
pub fn schema_event() -> Schema {
    json::schema::<EventMessage>()
}

/// JSON Schema (2020-12) of a meter status message.
pub fn schema_meter_status() -> Schema {
    json::schema::<MeterStatusMessage>()
}

/// JSON Schema (2020-12) of a birth message, whole or in parts.
pub fn schema_birth() -> Schema {
    json::schema::<BirthMessage>()
}

/// JSON Schema (2020-12) of a round message.
pub fn schema_round() -> Schema {
    json::schema::<RoundMessage>()
}

/// JSON Schema (2020-12) of a status message.
pub fn schema_status() -> Schema {
    json::schema::<StatusMessage>()
}

#[cfg(test)]
mod tests;
