//! What a slot of a task brought over all buses, described by `fixtures/schema/round.schema.json`; retained.

use super::{happening, second};
use crate::config::Plan;
use crate::mqtt::{PAYLOAD_VERSION, topics};
use crate::reading::Reason;
use crate::rounds::Round;
use crate::schedule::Slots;
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
    /// Of how many none was read, by reason. All of these, and `gone`, add up to `planned`.
    pub failed: Vec<FailedJson>,
    /// Seconds from the slot until the last of them had reported; of values that meters keep, from the first report to
    /// the end of the first pass.
    pub seconds: u64,
    /// Of how many every register was read at the first pass (一次采集成功). This and what follows is only there of values
    /// that meters keep; such a round is told again whenever some of it was fetched later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    pub first_pass: Option<usize>,
    /// Of how many it was fetched later (补抄); with `first_pass` they make `read`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    pub backfilled: Option<usize>,
    /// Of how many something is missing: `partly` and all `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    pub missing: Option<usize>,
    /// How many do not have the slot: it will never be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    pub gone: Option<usize>,
    /// The day that the slot closes (数据日期), where it closes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date"))]
    pub day: Option<String>,
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
    let (from, to) =
        round.kept.map_or((round.slot, round.at), |kept| (kept.began, kept.ended.unwrap_or(round.at)));
    let took = to.duration_since(from).as_secs();
    let task = plan.tasks.iter().find(|task| task.name.as_str() == round.task);
    let day = task
        .filter(|_| round.kept.is_some())
        .and_then(|task| Slots::of(&task.when, task.read, plan.gateway.zone.clone()).day(round.slot));
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
        first_pass: round.kept.map(|kept| kept.first),
        backfilled: round.kept.map(|kept| round.read.saturating_sub(kept.first)),
        missing: round.kept.map(|kept| round.planned.saturating_sub(round.read + kept.gone)),
        gone: round.kept.map(|kept| kept.gone),
        day: day.map(|day| day.to_string()),
    };
    let topic = topics::round(&plan.mqtt.prefix, &body.gateway, &body.task);
    let retain = topics::Kind::Round.retain();
    happening(topic, &body, retain)
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
