//! Events of clocks, and of what is broadcast to them.

use crate::event::{Broadcast, ClockOff};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A meter's clock against its bound. The last one of a meter stands until the next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClockOffJson {
    /// Whether it is past the bound; false when it came right again.
    pub off: bool,
    /// How far it is ahead of the gateway's, in whole seconds; left out where it shows no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub offset_s: Option<i64>,
    /// By how much the offset may be wrong either way, in seconds, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub within_s: Option<i64>,
    /// The bound in seconds.
    pub bound_s: i64,
    /// Whether no broadcast cures it: it has to be set on site (现场校时).
    pub needs_visit: bool,
    /// A sentence for a person.
    pub why: String,
}

impl ClockOffJson {
    pub(super) fn of(clock: &ClockOff) -> Self {
        let ClockOff { is_off, offset, within, bound, needs_visit, why } = clock;
        Self {
            off: *is_off,
            offset_s: offset.map(|offset| offset.as_secs()),
            within_s: within.map(|within| within.as_secs() + i64::from(within.subsec_nanos() > 0)),
            bound_s: bound.as_secs(),
            needs_visit: *needs_visit,
            why: why.clone(),
        }
    }
}

/// What was broadcast to all meters of a line, or was to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastJson {
    /// Name of the bus.
    pub bus: String,
    /// What.
    pub what: Broadcast,
    /// Whether it went out. Nobody answers a broadcast: what came of it is read later.
    pub sent: bool,
    /// By what rule it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub refused: Option<String>,
    /// Why it was refused, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub why: Option<String>,
}

impl BroadcastJson {
    pub(super) fn of(bus: String, what: Broadcast, refused: Option<&(&'static str, String)>) -> Self {
        Self {
            bus,
            what,
            sent: refused.is_none(),
            refused: refused.map(|(word, _)| (*word).to_owned()),
            why: refused.map(|(_, why)| why.clone()),
        }
    }
}
