//! The state of a meter, described by `fixtures/schema/meter-status.schema.json`: retained, so that who
//! subscribes later knows it.

use super::{Digits, happening, instant};
use crate::config::Plan;
use crate::event::{Event, Kind, Of};
use crate::mqtt::{PAYLOAD_VERSION, topics};
use crate::reading::Reason;
use crate::store;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One message on a meter's status topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "meterd meter status message")]
pub struct MeterStatusMessage {
    /// Version of the payload.
    #[schemars(extend("const" = PAYLOAD_VERSION))]
    pub v: u8,
    /// Id of the store whose number `seq` is. A store made anew has a new id.
    pub store: String,
    /// Number of the message in its store, counted together with data messages.
    pub seq: u64,
    /// All the rest.
    #[serde(flatten)]
    pub body: MeterStatusBody,
}

/// A meter status message without its number, as it lies in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MeterStatusBody {
    /// Name of the gateway.
    pub gateway: String,
    /// Name of the meter point.
    pub meter: String,
    /// Address of its meter, as on its plate.
    pub address: String,
    /// Revision of the archive of meters that was in force.
    pub archive: String,
    /// Name of its bus.
    pub bus: String,
    /// Whether the meter answers.
    pub state: MeterState,
    /// Why it is offline: what its last exchange failed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reason")]
    pub reason: Option<Reason>,
    /// Since when: of a meter that is offline, when it was first missed.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
}

/// Whether a meter answers. While its whole line is silent, the event `line_silent` says so in its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeterState {
    /// It answers (在线).
    Online,
    /// It does not (离线), and is probed until it does.
    Offline,
}

/// The state that `event` makes of its meter.
pub(super) fn entry(event: &Event, plan: &Plan) -> store::Entry {
    let meter = match event.of {
        Of::Meter(index) => plan.meters.get(index),
        Of::Gateway => None,
    };
    let (state, reason) = match event.kind {
        Kind::Offline { reason } => (MeterState::Offline, Some(reason)),
        Kind::Online
        | Kind::ActiveReport { .. }
        | Kind::Suspect(_)
        | Kind::Rollover(_)
        | Kind::Gap(_)
        | Kind::PowerBack { .. }
        | Kind::ClockStepped { .. }
        | Kind::ClockOff(_)
        | Kind::Broadcast { .. }
        | Kind::ArchiveChanged { .. }
        | Kind::Bus { .. } => (MeterState::Online, None),
    };
    let bus = meter.and_then(|meter| plan.buses.get(meter.bus));
    let body = MeterStatusBody {
        gateway: plan.gateway.id.to_string(),
        meter: meter.map(|meter| meter.name.to_string()).unwrap_or_default(),
        address: meter.map(|meter| meter.protocol.address()).unwrap_or_default(),
        archive: plan.archive.clone(),
        bus: bus.map(|bus| bus.name.to_string()).unwrap_or_default(),
        state,
        reason,
        since: instant(event.at, &plan.gateway.zone, Digits::Milliseconds),
    };
    let topic = topics::meter_status(&plan.mqtt.prefix, &body.gateway, &body.meter);
    let retain = topics::Kind::MeterStatus.retain();
    happening(topic, &body, retain)
}

impl MeterStatusMessage {
    /// Reads a payload. Keys that it does not know are left alone, as a reader of version 1 must do.
    ///
    /// # Errors
    /// Those of serde_json: no JSON, or a key missing.
    pub fn parse(payload: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(payload)
    }
}
