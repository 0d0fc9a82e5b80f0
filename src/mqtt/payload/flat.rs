//! The flat form of a data message (`[mqtt] payload = "flat"`), described by `fixtures/schema/flat.schema.json`: a key
//! for each register, for consumers that take a flat object with numbers.
//!
//! It says less than the full form: no units, OBIS codes, DIs, ratios and bits, and no sentence of why. What it says
//! is digit for digit the same.

use super::register::{minute, scalar};
use super::{Body, DataMessage, Digits, FailureJson, ReadingJson, RegisterJson, fragment, instant};
use crate::config::Plan;
use crate::mqtt::PAYLOAD_VERSION;
use crate::mqtt::json::{Number, Scalar};
use crate::reading::{Content, Quality, Reading, Reason, Report, Source};
use catalogue::Catalogue;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Behind a register's name: its value on the primary side of the transformers.
const PRIMARY: &str = "_primary";
/// Behind a register's name: when a maximum demand occurred, by the meter's clock.
const AT: &str = "_at";

/// One message on a data topic in the flat form: a meter, a task and a slot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(title = "meterd flat data message")]
pub struct FlatMessage {
    /// Version of the payload.
    #[schemars(extend("const" = PAYLOAD_VERSION))]
    pub v: u8,
    /// Id of the store whose number `seq` is. A store made anew has a new id.
    pub store: String,
    /// Number of the message in its store, gapless from 1. A message that is sent again keeps it.
    pub seq: u64,
    /// All the rest.
    #[serde(flatten)]
    pub body: FlatBody,
}

/// A flat data message without its number, as it lies in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct FlatBody {
    /// All but the values.
    #[serde(flatten)]
    pub head: FlatHead,
    /// The values.
    #[serde(flatten)]
    pub values: FlatValues,
}

/// What stands beside the values of a flat data message. No register has one of these names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FlatHead {
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
    /// The instant that the values are for.
    #[schemars(extend("format" = "date-time"))]
    pub slot: String,
    /// The day that the values close; null for values that close none.
    #[schemars(extend("format" = "date"))]
    pub day: Option<String>,
    /// When the last answer came, by the gateway's clock; left out where no register has a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub taken_at: Option<String>,
    /// True if the slot was missed and then read from the meter's memory.
    pub backfilled: bool,
    /// How far the values are to be believed: `good` if all are, else the worst word; left out where no register has a
    /// value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quality")]
    pub quality: Option<Quality>,
    /// Names of the registers whose value is not good.
    pub suspect: Vec<String>,
    /// Registers without a value, by name, and why.
    pub failures: BTreeMap<String, Reason>,
}

/// The values, in the order in which they were read: a register's name and what the meter sent; beside a number
/// `NAME_primary` where a ratio is configured, beside a maximum demand `NAME_at`; of a record its fields.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlatValues(pub Vec<(String, FlatValue)>);

/// A value of a flat data message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum FlatValue {
    /// A number with the digits of the meter, or a text.
    Scalar(Scalar),
    /// Fields of a record, as in the full form.
    Record(Vec<RegisterJson>),
}

impl Serialize for FlatValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl JsonSchema for FlatValues {
    fn schema_name() -> Cow<'static, str> {
        "FlatValues".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<Vec<RegisterJson>>();
        json_schema!({
            "type": "object",
            "additionalProperties": { "anyOf": [{ "type": ["number", "string"] }, fields] },
        })
    }
}

/// A report's body in the flat form.
pub(super) fn flat(report: &Report, plan: &Plan) -> String {
    let (meter, task) = (&plan.meters[report.meter], &plan.tasks[report.task]);
    let zone = &plan.gateway.zone;
    let name = |reading: &Reading| reading.register.name().to_string();
    let suspect = report.readings.iter().filter(|reading| reading.quality != Quality::Good);
    fragment(&FlatBody {
        head: FlatHead {
            gateway: plan.gateway.id.to_string(),
            meter: meter.name.to_string(),
            address: meter.protocol.address(),
            archive: plan.archive.clone(),
            task: task.name.to_string(),
            source: report.origin.source,
            slot: instant(report.slot, zone, Digits::Seconds),
            day: report.origin.day.map(super::day),
            taken_at: report
                .readings
                .iter()
                .map(|reading| reading.taken_at)
                .max()
                .map(|at| instant(at, zone, Digits::Milliseconds)),
            backfilled: report.origin.backfilled,
            quality: report.readings.iter().map(|reading| reading.quality).max_by_key(|q| badness(*q)),
            suspect: suspect.map(name).collect(),
            failures: report.failures.iter().map(|f| (f.register.name().to_string(), f.reason)).collect(),
        },
        values: FlatValues(report.readings.iter().flat_map(values).collect()),
    })
}

/// Orders the words from good on.
const fn badness(quality: Quality) -> u8 {
    match quality {
        Quality::Good => 0,
        Quality::NotFrozen => 1,
        Quality::ClockOff => 2,
        Quality::Suspect => 3,
    }
}

/// The keys of one reading.
fn values(reading: &Reading) -> impl Iterator<Item = (String, FlatValue)> + use<> {
    let register = &reading.register;
    let name = register.name().to_string();
    let text = |text| FlatValue::Scalar(Scalar::Text(text));
    let (value, at) = match &reading.content {
        Content::Value(value) => (FlatValue::Scalar(scalar(value)), value.at().map(minute)),
        Content::Record(octets) => {
            let records = RegisterJson::of_reply(register.table(), register.id(), octets);
            let at = records.iter().find_map(|record| record.at.clone());
            (FlatValue::Record(records.into_iter().flat_map(|record| record.fields).collect()), at)
        }
    };
    let at = at.map(|at| (format!("{name}{AT}"), text(at)));
    let primary = reading.primary.map(|primary| {
        (format!("{name}{PRIMARY}"), FlatValue::Scalar(Scalar::Number(Number(primary.value))))
    });
    std::iter::once((name, value)).chain(primary).chain(at)
}

impl FlatMessage {
    /// Reads a payload. Keys that are neither a register's nor known otherwise are left alone, and so are records.
    ///
    /// # Errors
    /// Those of serde_json: no JSON, or a key missing.
    pub fn parse(payload: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Numbered {
            v: u8,
            store: String,
            seq: u64,
        }
        // Three times over the text: a flattened struct would go through serde's buffer and lose digits.
        let Numbered { v, store, seq } = serde_json::from_slice(payload)?;
        let head = serde_json::from_slice(payload)?;
        let Keys(keys) = serde_json::from_slice(payload)?;
        let values = keys
            .into_iter()
            .filter(|(name, _)| !RESERVED.contains(&name.as_str()))
            .filter_map(|(name, raw)| Some((name, FlatValue::Scalar(serde_json::from_str(raw.get()).ok()?))))
            .collect();
        Ok(Self { v, store, seq, body: FlatBody { head, values: FlatValues(values) } })
    }

    /// The same as a full message, as far as it is said; units are those of the standard's registers.
    pub fn unfold(self) -> DataMessage {
        let FlatBody { head, values: FlatValues(values) } = self.body;
        let taken_at = head.taken_at.unwrap_or_else(|| head.slot.clone());
        let bad = head.quality.unwrap_or(Quality::Suspect);
        let mut readings: Vec<ReadingJson> = Vec::new();
        for (name, value) in values {
            let FlatValue::Scalar(value) = value else { continue };
            if let Some(last) = readings.last_mut()
                && let Some(beside) = name.strip_prefix(last.register.as_str())
            {
                match (beside, value.clone()) {
                    (PRIMARY, Scalar::Number(primary)) => last.primary = Some(primary),
                    (AT, Scalar::Text(at)) => last.at = Some(at),
                    (_, value) => readings.push(bare(name, value, &taken_at)),
                }
            } else {
                readings.push(bare(name, value, &taken_at));
            }
        }
        for reading in readings.iter_mut().filter(|reading| head.suspect.contains(&reading.register)) {
            reading.quality = bad;
        }
        let failures = head.failures.into_iter().map(|(register, reason)| FailureJson {
            register,
            di: String::new(),
            reason,
            detail: String::new(),
            raw: None,
        });
        let body = Body {
            gateway: head.gateway,
            meter: head.meter,
            address: head.address,
            archive: head.archive,
            task: head.task,
            source: head.source,
            slot: head.slot,
            day: head.day,
            meter_time: None,
            clock_offset_s: None,
            backfilled: head.backfilled,
            failures: failures.collect(),
            readings,
        };
        DataMessage { v: self.v, store: self.store, seq: self.seq, body }
    }
}

/// A reading of which no more than this is known.
fn bare(register: String, value: Scalar, taken_at: &str) -> ReadingJson {
    let tables = [Catalogue::dlt645_2007(), Catalogue::dlt645_1997()];
    let known = tables.into_iter().find_map(|table| table.find(&register, 1).ok()?.first().copied());
    ReadingJson {
        unit: known.and_then(|known| known.unit()).map(|unit| unit.text().to_owned()),
        register,
        obis: None,
        di: String::new(),
        value: Some(value),
        at: None,
        bits: None,
        fields: Vec::new(),
        ratio: None,
        primary: None,
        quality: Quality::Good,
        why: None,
        raw: None,
        taken_at: taken_at.to_owned(),
    }
}

/// Keys that are not of a register.
const RESERVED: [&str; 16] = [
    "v",
    "store",
    "seq",
    "gateway",
    "meter",
    "address",
    "archive",
    "task",
    "source",
    "slot",
    "day",
    "taken_at",
    "backfilled",
    "quality",
    "suspect",
    "failures",
];

/// All keys of an object in their order, with their text.
struct Keys(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Keys;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    keys.push(entry);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(InOrder).map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[path = "flat_tests.rs"]
mod tests;
