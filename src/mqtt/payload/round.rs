//! What a slot of a task brought over all buses, described by `fixtures/schema/round.schema.json`; retained.

use super::{fragment, second};
use crate::config::Plan;
use crate::mqtt::{PAYLOAD_VERSION, topics};
use crate::reading::Reason;
use crate::rounds::Round;
use crate::store;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One message on a round topic: a slot of a task, over all meters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "meterd round message")]
pub struct RoundMessage {
    /// Version of the payload.
    #[schemars(extend("const" = PAYLOAD_VERSION))]
    pub v: u8,
    /// Id of the store whose number `seq` is. A store made anew has a new id.
    pub store: String,
    /// Number of the message in its store, counted together with data messages.
    pub seq: u64,
    /// All the rest.
    #[serde(flatten)]
    pub body: RoundBody,
}

/// A round message without its number, as it lies in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RoundBody {
    /// Name of the gateway.
    pub gateway: String,
    /// Revision of the archive of meters that was in force.
    pub archive: String,
    /// Name of the task.
    pub task: String,
    /// The instant that its readings are for.
    #[schemars(extend("format" = "date-time"))]
    pub slot: String,
    /// How many meters the task has (应抄).
    pub planned: usize,
    /// Of how many every register was read (抄通).
    pub read: usize,
    /// Of how many some registers were read and others not.
    pub partly: usize,
    /// Of how many none was read, by reason. All of these add up to `planned`.
    pub failed: Vec<FailedJson>,
    /// Seconds from the slot until the last of them had reported.
    pub seconds: u64,
}

/// Meters of which nothing was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FailedJson {
    /// Why, by the first reason of their registers in the order damaged, stray, silent and so on.
    pub reason: Reason,
    /// How many.
    pub meters: usize,
}

/// A round on its way into the store.
pub fn round(round: &Round, plan: &Plan) -> store::Entry {
    let took = round.at.duration_since(round.slot).as_secs();
    let body = RoundBody {
        gateway: plan.gateway.id.to_string(),
        archive: plan.archive.clone(),
        task: round.task.clone(),
        slot: second(round.slot, &plan.gateway.zone),
        planned: round.planned,
        read: round.read,
        partly: round.partly,
        failed: round
            .failed
            .iter()
            .map(|(reason, meters)| FailedJson { reason: *reason, meters: *meters })
            .collect(),
        // A clock that went back meanwhile makes none.
        seconds: u64::try_from(took).unwrap_or(0),
    };
    let topic = topics::round(&plan.mqtt.prefix, &body.gateway, &body.task);
    let retain = topics::Kind::Round.retain();
    store::Entry { topic, body: fragment(&body), retain, worth: store::Worth::Event, identity: None }
}

impl RoundBody {
    /// How many meters brought nothing.
    pub fn unread(&self) -> usize {
        self.failed.iter().map(|failed| failed.meters).sum()
    }
}

impl RoundMessage {
    /// Reads a payload. Keys that it does not know are left alone, as a reader of version 1 must do.
    ///
    /// # Errors
    /// Those of serde_json: no JSON, or a key missing.
    pub fn parse(payload: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(payload)
    }
}
