//! Events of what is missing, and of the gateway itself.

use super::event::{EventBody, EventJson};
use super::{Digits, happening, instant, second};
use crate::config::Plan;
use crate::event::{Gap, Passed};
use crate::mqtt::topics;
use crate::reading::Source;
use crate::store::{self, Dropped, Why};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Slots of one meter that passed unread, and are in no data message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GapJson {
    /// Name of the task.
    pub task: String,
    /// Where in the meter its values come from.
    pub source: Source,
    /// The first slot that passed.
    #[schemars(extend("format" = "date-time"))]
    pub first: String,
    /// The first slot behind it that did not.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
    /// Why.
    pub reason: Passed,
    /// The same in a sentence, where there is more to say than the word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub detail: Option<String>,
}

impl GapJson {
    pub(super) fn of(gap: &Gap, plan: &Plan) -> Self {
        let zone = &plan.gateway.zone;
        Self {
            task: plan.tasks.get(gap.task).map(|task| task.name.to_string()).unwrap_or_default(),
            source: gap.source,
            first: second(gap.first, zone),
            until: second(gap.until, zone),
            reason: gap.why,
            detail: gap.detail.clone(),
        }
    }

    /// For a person; times to the minute, local to the gateway.
    pub fn sentence(&self) -> String {
        let minute = |instant: &str| instant.get(5..16).unwrap_or(instant).replace('T', " ");
        let why = match self.reason {
            Passed::Late => "the line was busy for longer than a period",
            Passed::ClockStepped => "the clock was stepped forward",
            Passed::ClockNotTrusted => "the clock was not trusted",
            Passed::NotHeld => self.detail.as_deref().unwrap_or("the meter does not keep them"),
            Passed::Exchanged => self.detail.as_deref().unwrap_or("the meter was exchanged"),
            Passed::NotRead => self.detail.as_deref().unwrap_or("they could not be read in the days for it"),
        };
        format!("{} from {} until {} unread: {why}", self.task, minute(&self.first), minute(&self.until))
    }
}

/// The gateway runs again after an end that was not in order: its power was cut, or it was killed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PowerBackJson {
    /// The last that is known of it: its newest slot, or its start.
    #[schemars(extend("format" = "date-time"))]
    pub away_since: String,
}

/// The gateway's clock was stepped by 2 s or more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClockSteppedJson {
    /// What it would have shown.
    #[schemars(extend("format" = "date-time"))]
    pub before: String,
    /// What it showed in place of it.
    #[schemars(extend("format" = "date-time"))]
    pub after: String,
    /// By how many whole seconds; positive if it went forward.
    pub by_s: i64,
}

impl ClockSteppedJson {
    pub(super) fn of(before: Timestamp, after: Timestamp, zone: &TimeZone) -> Self {
        let milliseconds = after.as_millisecond() - before.as_millisecond();
        Self {
            before: instant(before, zone, Digits::Milliseconds),
            after: instant(after, zone, Digits::Milliseconds),
            // To the nearest; halves away from 0.
            by_s: (milliseconds + 500 * milliseconds.signum()) / 1000,
        }
    }
}

/// Another archive of meters is in force; the birth message has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveChangedJson {
    /// Revision of the one before.
    pub before: String,
    /// Its own.
    pub after: String,
}

/// Messages that are gone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RowsDroppedJson {
    /// How many, as far as is known.
    pub messages: u64,
    /// Their numbers (`seq`) as ranges, first and last; empty of messages that never got a number.
    pub ranges: Vec<[u64; 2]>,
    /// Why.
    pub why: DroppedJson,
}

impl RowsDroppedJson {
    /// For a person.
    pub fn sentence(&self) -> String {
        let why = match self.why {
            DroppedJson::Space => "the store is full",
            DroppedJson::Age => "too old",
            DroppedJson::Refused => "the disk took nothing",
            DroppedJson::Damaged => "the store was damaged",
        };
        let ranges: Vec<String> = self.ranges.iter().map(|[first, last]| format!("{first}-{last}")).collect();
        let behind = if ranges.is_empty() { String::new() } else { format!(" (seq {})", ranges.join(", ")) };
        format!("{} messages lost: {why}{behind}", self.messages)
    }
}

/// Why messages are gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DroppedJson {
    /// The store is at its bound of bytes.
    Space,
    /// They were older than the store keeps them.
    Age,
    /// The disk took nothing for so long that memory was full.
    Refused,
    /// The store's file was damaged; it is made anew, so `store` is another from here on.
    Damaged,
}

/// What the store had to drop, on its way into the store; `at` is when.
pub fn rows_dropped(dropped: &Dropped, at: Timestamp, plan: &Plan) -> store::Entry {
    let body = EventBody {
        gateway: plan.gateway.id.to_string(),
        meter: None,
        address: None,
        archive: plan.archive.clone(),
        taken_at: instant(at, &plan.gateway.zone, Digits::Milliseconds),
        event: EventJson::RowsDropped(RowsDroppedJson {
            messages: dropped.messages,
            ranges: dropped.ranges.iter().map(|range| [*range.start(), *range.end()]).collect(),
            why: match dropped.why {
                Why::Space => DroppedJson::Space,
                Why::Age => DroppedJson::Age,
                Why::Refused => DroppedJson::Refused,
                Why::Damaged => DroppedJson::Damaged,
            },
        }),
    };
    let topic = topics::event(&plan.mqtt.prefix, &body.gateway, "rows_dropped");
    let retain = topics::Kind::Event.retain();
    happening(topic, &body, retain)
}
