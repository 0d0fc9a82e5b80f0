//! Event messages, described by `fixtures/schema/event.schema.json`.

use super::clocks::{BroadcastJson, ClockOffJson};
use super::happened::{ArchiveChangedJson, ClockSteppedJson, GapJson, PowerBackJson, RowsDroppedJson};
use super::{Digits, RegisterJson, happening, hex, instant, meter_status};
use crate::config::Plan;
use crate::event::{Event, Jump, Kind, Line, Of};
use crate::mqtt::json::Number;
use crate::mqtt::{PAYLOAD_VERSION, topics};
use crate::store;
use catalogue::Catalogue;
use dlt645::exchange::ACTIVE_REPORT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One message on an event topic: what happened to a meter or to the gateway.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(title = "meterd event message")]
pub struct EventMessage {
    /// Version of the payload.
    #[schemars(extend("const" = PAYLOAD_VERSION))]
    pub v: u8,
    /// Id of the store whose number `seq` is. A store made anew has a new id.
    pub store: String,
    /// Number of the message in its store, counted together with data messages. A message that is sent again
    /// keeps it.
    pub seq: u64,
    /// All the rest.
    #[serde(flatten)]
    pub body: EventBody,
}

/// An event message without its number, as it lies in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct EventBody {
    /// Name of the gateway.
    pub gateway: String,
    /// Name of the meter point; left out of an event of the gateway itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub meter: Option<String>,
    /// Address of its meter, as on its plate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub address: Option<String>,
    /// Revision of the archive of meters that was in force.
    pub archive: String,
    /// When it was seen, by the gateway's clock; of what a meter said, the instant of its first octet.
    #[schemars(extend("format" = "date-time"))]
    pub taken_at: String,
    /// What happened.
    #[serde(flatten)]
    pub event: EventJson,
}

/// What happened: the word is the last level of the topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventJson {
    /// A meter gave its active report (主动上报, DI 04001501) in place of an answer.
    ActiveReport(ActiveReportJson),
    /// A value that cannot be right by what is known of the meter was confirmed by a second reading: it fell, rose by
    /// more than the meter's rated current gives, or is not the sum of its tariffs. The reading is published with
    /// quality `suspect`; those after it are judged by it.
    Suspect(JumpJson),
    /// A register began again at 0 behind its last digit (翻转); its reading is good.
    Rollover(JumpJson),
    /// No meter of the line answers any more: power, cable or serial server.
    LineSilent(LineJson),
    /// A meter of the line answers again.
    LineBack(LineJson),
    /// Somebody talks on the line without end.
    LineJammed(LineJson),
    /// The line is quiet again.
    LineQuiet(LineJson),
    /// The adapter of the line gives back what it sends.
    LineEcho(LineJson),
    /// The line's port cannot be used.
    PortGone(LineJson),
    /// The line's port is open again.
    PortBack(LineJson),
    /// Messages are gone that nobody had signed for.
    RowsDropped(RowsDroppedJson),
    /// Slots of a meter passed unread, and are in no data message.
    Gap(GapJson),
    /// The gateway runs again after an end that was not in order.
    PowerBack(PowerBackJson),
    /// The gateway's clock was stepped.
    ClockStepped(ClockSteppedJson),
    /// A meter's clock went past the bound, or came right again (时钟超差); retained, so that the topics of all meters
    /// together list the clocks that are off.
    ClockOff(ClockOffJson),
    /// Something was broadcast to all meters of a line, or was to be and was refused.
    Broadcast(BroadcastJson),
    /// Another archive of meters is in force.
    ArchiveChanged(ArchiveChangedJson),
}

/// A line, and what is to be said of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LineJson {
    /// Name of the bus.
    pub bus: String,
    /// What the system said, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub detail: Option<String>,
}

/// A value that does not go on from the one before it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct JumpJson {
    /// Stable name of the register.
    pub register: String,
    /// Its DL/T 645 data identifier.
    pub di: String,
    /// Unit of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub unit: Option<String>,
    /// The last value that was believed; left out where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Number")]
    pub last_value: Option<Number>,
    /// When it was taken, by the gateway's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_taken_at: Option<String>,
    /// What the meter sent now, digit for digit.
    pub value: Number,
    /// What speaks against it, in a sentence.
    pub why: String,
}

impl JumpJson {
    fn of(jump: &Jump, plan: &Plan) -> Self {
        let Jump { register, last, value, why } = jump;
        Self {
            register: register.name().to_string(),
            di: register.id().to_string(),
            unit: register.unit().map(|unit| unit.text().to_owned()),
            last_value: last.map(|(value, _)| Number(value)),
            last_taken_at: last.map(|(_, at)| instant(at, &plan.gateway.zone, Digits::Milliseconds)),
            value: Number(*value),
            why: why.clone(),
        }
    }
}

/// An active report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActiveReportJson {
    /// What it says, as `meterd decode --json` shows it.
    pub registers: Vec<RegisterJson>,
    /// Octets as the meter sent them, hexadecimal, low byte first.
    pub raw: String,
}

impl EventJson {
    /// `None` for what is a meter's state and no event.
    fn of(kind: &Kind, plan: &Plan) -> Option<Self> {
        Some(match kind {
            Kind::ActiveReport { octets } => Self::ActiveReport(ActiveReportJson {
                registers: RegisterJson::of_reply(Catalogue::dlt645_2007(), ACTIVE_REPORT.into(), octets),
                raw: hex(octets),
            }),
            Kind::Suspect(jump) => Self::Suspect(JumpJson::of(jump, plan)),
            Kind::Rollover(jump) => Self::Rollover(JumpJson::of(jump, plan)),
            Kind::Online | Kind::Offline { .. } => return None,
            Kind::Gap(gap) => Self::Gap(GapJson::of(gap, plan)),
            Kind::PowerBack { away_since } => Self::PowerBack(PowerBackJson {
                away_since: instant(*away_since, &plan.gateway.zone, Digits::Milliseconds),
            }),
            Kind::ClockStepped { before, after } => {
                Self::ClockStepped(ClockSteppedJson::of(*before, *after, &plan.gateway.zone))
            }
            Kind::ClockOff(off) => Self::ClockOff(ClockOffJson::of(off)),
            Kind::Broadcast { bus, what, refused } => {
                let bus = plan.buses.get(*bus).map(|bus| bus.name.to_string()).unwrap_or_default();
                Self::Broadcast(BroadcastJson::of(bus, *what, refused.as_ref()))
            }
            Kind::ArchiveChanged { before, after } => {
                Self::ArchiveChanged(ArchiveChangedJson { before: before.clone(), after: after.clone() })
            }
            Kind::Bus { bus, what } => {
                let bus = plan.buses.get(*bus).map(|bus| bus.name.to_string()).unwrap_or_default();
                let line = LineJson { bus, detail: None };
                match what {
                    Line::Silent => Self::LineSilent(line),
                    Line::Back => Self::LineBack(line),
                    Line::Jammed => Self::LineJammed(line),
                    Line::Quiet => Self::LineQuiet(line),
                    Line::Echo => Self::LineEcho(line),
                    Line::PortGone { detail } => {
                        Self::PortGone(LineJson { detail: Some(detail.clone()), ..line })
                    }
                    Line::PortBack => Self::PortBack(line),
                }
            }
        })
    }
}

/// An event, or the state that it makes of a meter, on its way into the store.
pub fn event(event: &Event, plan: &Plan) -> store::Entry {
    let Some(json) = EventJson::of(&event.kind, plan) else { return meter_status::entry(event, plan) };
    let meter = match event.of {
        Of::Gateway => None,
        Of::Meter(index) => Some(&plan.meters[index]),
    };
    let (prefix, gateway, word) = (plan.mqtt.prefix.as_str(), plan.gateway.id.as_str(), event.kind.word());
    let (topic, kind) = match meter {
        None => (topics::event(prefix, gateway, word), topics::Kind::Event),
        Some(meter) => {
            let topic = topics::meter_event(prefix, gateway, meter.name.as_str(), word);
            (topic, topics::Kind::of_meter_event(word))
        }
    };
    let body = EventBody {
        gateway: gateway.to_owned(),
        meter: meter.map(|meter| meter.name.to_string()),
        address: meter.map(|meter| meter.protocol.address()),
        archive: plan.archive.clone(),
        taken_at: instant(event.at, &plan.gateway.zone, Digits::Milliseconds),
        event: json,
    };
    happening(topic, &body, kind.retain())
}

impl EventMessage {
    /// Reads a payload. Keys that it does not know are left alone, as a reader of version 1 must do.
    ///
    /// # Errors
    /// Those of serde_json: no JSON, a key missing, or an event that this version does not know.
    pub fn parse(payload: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            v: u8,
            store: String,
            seq: u64,
            gateway: String,
            meter: Option<String>,
            address: Option<String>,
            archive: String,
            taken_at: String,
            event: Word,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Word {
            ActiveReport,
            Suspect,
            Rollover,
            LineSilent,
            LineBack,
            LineJammed,
            LineQuiet,
            LineEcho,
            PortGone,
            PortBack,
            RowsDropped,
            Gap,
            PowerBack,
            ClockStepped,
            ClockOff,
            Broadcast,
            ArchiveChanged,
        }
        // Twice over the text: a flattened struct would go through serde's buffer and lose digits.
        let Head { v, store, seq, gateway, meter, address, archive, taken_at, event } =
            serde_json::from_slice(payload)?;
        let event = match event {
            Word::ActiveReport => EventJson::ActiveReport(serde_json::from_slice(payload)?),
            Word::Suspect => EventJson::Suspect(serde_json::from_slice(payload)?),
            Word::Rollover => EventJson::Rollover(serde_json::from_slice(payload)?),
            Word::LineSilent => EventJson::LineSilent(serde_json::from_slice(payload)?),
            Word::LineBack => EventJson::LineBack(serde_json::from_slice(payload)?),
            Word::LineJammed => EventJson::LineJammed(serde_json::from_slice(payload)?),
            Word::LineQuiet => EventJson::LineQuiet(serde_json::from_slice(payload)?),
            Word::LineEcho => EventJson::LineEcho(serde_json::from_slice(payload)?),
            Word::PortGone => EventJson::PortGone(serde_json::from_slice(payload)?),
            Word::PortBack => EventJson::PortBack(serde_json::from_slice(payload)?),
            Word::RowsDropped => EventJson::RowsDropped(serde_json::from_slice(payload)?),
            Word::Gap => EventJson::Gap(serde_json::from_slice(payload)?),
            Word::PowerBack => EventJson::PowerBack(serde_json::from_slice(payload)?),
            Word::ClockStepped => EventJson::ClockStepped(serde_json::from_slice(payload)?),
            Word::ClockOff => EventJson::ClockOff(serde_json::from_slice(payload)?),
            Word::Broadcast => EventJson::Broadcast(serde_json::from_slice(payload)?),
            Word::ArchiveChanged => EventJson::ArchiveChanged(serde_json::from_slice(payload)?),
        };
        Ok(Self { v, store, seq, body: EventBody { gateway, meter, address, archive, taken_at, event } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::payload::compose;

    const BODY: &str = r#""gateway":"gw01","meter":"flat-101","address":"000012345678","archive":"a",
        "taken_at":"2026-11-21T10:15:00.431+08:00","event":"active_report",
        "registers":[{"register":"active_report_status","di":"04001501","fields":[
          {"register":"count_1","value":3},{"register":"x","value":0.50}]}],"raw":"0102"}"#;

    #[test]
    fn an_event_reads_back_with_every_digit() {
        let message = EventMessage::parse(&compose("8f3c", 7, BODY)).unwrap();
        let EventJson::ActiveReport(report) = &message.body.event else { panic!() };
        assert_eq!(report.registers[0].fields[1].value.as_ref().unwrap().to_string(), "0.50");
        let again = compose("8f3c", 7, &super::super::fragment(&message.body));
        assert_eq!(EventMessage::parse(&again).unwrap(), message);
        assert_eq!(crate::mqtt::json::text(&message).into_bytes(), again);
    }

    #[test]
    fn an_event_that_is_not_known_is_no_message_of_this_version() {
        let other = BODY.replace("active_report\",", "other\",");
        assert!(EventMessage::parse(&compose("8f3c", 7, &other)).is_err());
    }
}
