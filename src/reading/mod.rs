//! What was read: readings with their value, and failures with their reason.
//!
//! A reading always has a value, or the fields of a record; what has none is a failure, by one list of words. This part
//! never estimates, never rounds, and never decides what to do about a failure.

pub mod clock;
mod decode;
pub mod plausible;
mod ratio;

pub(crate) use decode::one;
pub use decode::{Decoded, NotThisBlock, decode};
pub use ratio::{BadRatio, Ratio};

use catalogue::{Quantity, Register};
use dlt645::format::{NoValue, Value};
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a reading is to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Nothing speaks against it.
    Good,
    /// It was confirmed by a second reading and is still odd, or the line is noisy and no two answers agree on it; `why`
    /// says how.
    Suspect,
    /// The present register stands in for a freeze that the meter does not have.
    NotFrozen,
    /// The meter's clock was past the bound when it froze.
    ClockOff,
}

impl Quality {
    /// The word as it is published.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Suspect => "suspect",
            Self::NotFrozen => "not_frozen",
            Self::ClockOff => "clock_off",
        }
    }
}

/// Where a value comes from in the meter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The present register.
    #[default]
    Present,
    /// The daily freeze (日冻结, 05 06).
    DailyFreeze,
    /// The hourly freeze (整点冻结, 05 04).
    HourlyFreeze,
    /// The timed freeze (定时冻结, 05 00).
    TimedFreeze,
    /// An instant freeze that was commanded (瞬时冻结, 05 01).
    InstantFreeze,
    /// A settlement register (结算日; of a 1997 meter the last month's).
    Settlement,
    /// A load record (负荷记录, 06).
    LoadRecord,
}

/// Where readings come from, and how their instant is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// Where in the meter.
    pub source: Source,
    /// The day that they close (数据日期), where they close one.
    pub day: Option<Date>,
    /// Their instant by the meter's own clock: the stamp of a freeze or of a record.
    pub meter_time: Option<DateTime>,
    /// How far the meter's clock was ahead when it was last measured.
    pub clock_offset: Option<SignedDuration>,
    /// Whether their slot was missed and they were read from the meter's memory later (补抄).
    pub backfilled: bool,
}

/// Why there is no value, by who must act; the same words stand in MQTT, in `read --json` and in the log.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Octets came, but no whole frame: checksum, parity, length (校验错).
    Damaged,
    /// A sound frame came that answers another question (串扰).
    Stray,
    /// No octet came in time (无应答).
    Silent,
    /// The meter answered with an error word (否认).
    Refused,
    /// The meter answered FF fill: it has no value.
    Missing,
    /// Octets that are no value; they go along as `raw`.
    Implausible,
    /// The port or the connection is gone.
    PortGone,
    /// The time for it was over before it was its turn.
    Expired,
}

impl Reason {
    /// The word as it is published.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Stray => "stray",
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Implausible => "implausible",
            Self::PortGone => "port_gone",
            Self::Expired => "expired",
        }
    }
}

impl Reason {
    /// The reason with this word, if there is one.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(word)).ok()
    }

    /// What octets that are no value are a failure by.
    pub const fn of(no_value: NoValue) -> Self {
        match no_value {
            NoValue::Missing | NoValue::Unset => Self::Missing,
            NoValue::Implausible(_) => Self::Implausible,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a register held.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// One value.
    Value(Value),
    /// A record: octets (after -33H) that fit a layout of it, so that [`Register::record`] gives its fields.
    Record(Vec<u8>),
}

/// What one register of one meter point held, as the meter sent it.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// Which register.
    pub register: Register,
    /// What the meter sent (抄见示数).
    pub content: Content,
    /// How far it is to be believed.
    pub quality: Quality,
    /// Why the quality is not good.
    pub why: Option<String>,
    /// The octets after -33H, low byte first, where they help.
    pub raw: Option<Vec<u8>>,
    /// The instant of the reply's first octet.
    pub taken_at: Timestamp,
    /// Ratio and primary value, where a ratio is configured for the meter point.
    pub primary: Option<Primary>,
}

impl Reading {
    /// Its value; a record has none of its own.
    pub const fn value(&self) -> Option<&Value> {
        match &self.content {
            Content::Value(value) => Some(value),
            Content::Record(_) => None,
        }
    }
}

/// What the reading is on the primary side of the transformers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Primary {
    /// The ratio as it applies: CT for current, PT for voltage, both for power, energy and demand (倍率).
    pub ratio: Decimal,
    /// `value` times `ratio`, exactly.
    pub value: Decimal,
}

/// One register without a value.
#[derive(Clone, PartialEq, Debug)]
pub struct Failure {
    /// Which register.
    pub register: Register,
    /// By the one list of words.
    pub reason: Reason,
    /// A sentence for a person.
    pub detail: String,
    /// The octets that were no value, where there were any.
    pub raw: Option<Vec<u8>>,
}

/// What one run of a task brought of one meter for one slot; it becomes one message.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// Index of the meter in the plan.
    pub meter: usize,
    /// Index of the task in the plan.
    pub task: usize,
    /// The instant that the readings are for (数据时标).
    pub slot: Timestamp,
    /// Where they come from.
    pub origin: Origin,
    /// Values.
    pub readings: Vec<Reading>,
    /// Registers without a value.
    pub failures: Vec<Failure>,
}

/// The transformers of a meter point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Transformers {
    /// Current transformer (电流互感器), e.g. 75/5.
    pub ct: Option<Ratio>,
    /// Voltage transformer (电压互感器), e.g. 10000/100.
    pub pt: Option<Ratio>,
    /// What is known of both together (倍率), where neither is.
    pub multiplier: Option<Decimal>,
}

impl Transformers {
    /// Of both together (综合倍率): CT times PT, else what is known of both; `None` where nothing is.
    pub fn multiplier(self) -> Option<Decimal> {
        let of = |r: Option<Ratio>| r.map_or(Decimal::ONE, Ratio::exact);
        if self.ct.is_none() && self.pt.is_none() {
            return self.multiplier;
        }
        Some((of(self.ct) * of(self.pt)).normalize())
    }

    /// The primary side of a value; `None` where no ratio is configured for it or the value is no quantity. A multiplier
    /// alone says nothing of current and voltage; one of 1 is as none.
    pub fn primary(self, quantity: Quantity, value: &Value) -> Option<Primary> {
        let of = |r: Option<Ratio>| r.map_or(Decimal::ONE, Ratio::exact);
        let is_known = self.ct.is_some() || self.pt.is_some();
        let both = self.multiplier().filter(|both| is_known || *both != Decimal::ONE)?;
        let number = value.number()?;
        let ratio = match quantity.transformed() {
            catalogue::Transformed::ByCurrent if is_known => of(self.ct),
            catalogue::Transformed::ByVoltage if is_known => of(self.pt),
            // What of a multiplier is the current's, and what the voltage's, nobody knows.
            catalogue::Transformed::ByCurrent | catalogue::Transformed::ByVoltage => return None,
            catalogue::Transformed::ByBoth => both,
            catalogue::Transformed::Not => Decimal::ONE,
        };
        Some(Primary { ratio, value: (number * ratio).normalize_keeping(number.scale()) })
    }
}

/// Drops the zeros that a multiplication adds, down to the digits that the meter sent.
trait NormalizeKeeping {
    fn normalize_keeping(self, scale: u32) -> Self;
}

impl NormalizeKeeping for Decimal {
    fn normalize_keeping(self, scale: u32) -> Self {
        let mut plain = self.normalize();
        if plain.scale() < scale {
            plain.rescale(scale);
        }
        plain
    }
}
