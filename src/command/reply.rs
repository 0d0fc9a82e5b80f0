//! Answers to commands, described by `fixtures/schema/reply.schema.json`.

use crate::config::Plan;
use crate::mqtt::json;
use crate::mqtt::payload::{FailureJson, ReadingJson};
use crate::mqtt::{PAYLOAD_VERSION, StatusMessage};
use schemars::{JsonSchema, Schema};
use serde::Serialize;

/// What came of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// One of several answers; the last one has another word.
    Part,
    /// It was carried out.
    Done,
    /// The payload is no command; nothing was done.
    Malformed,
    /// The payload is too long; nothing was done.
    TooLarge,
    /// There is no such verb; nothing was done.
    UnknownVerb,
    /// The configuration does not allow it; nothing was done.
    NotAllowed,
    /// It came too late, or its time was over before it was whole.
    Expired,
    /// A command of this author and id came before; nothing was done now.
    Repeated,
    /// Too many commands are under way; nothing was done, and it may be sent again.
    Busy,
    /// What was sent has faults, and the old one stays in force.
    Refused,
    /// It could not be carried out.
    Failed,
}

impl Outcome {
    /// The word as it is published.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Part => "part",
            Self::Done => "done",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::UnknownVerb => "unknown_verb",
            Self::NotAllowed => "not_allowed",
            Self::Expired => "expired",
            Self::Repeated => "repeated",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One answer. Which keys stand beside the first ones depends on the verb.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[schemars(title = "meterd reply")]
pub struct ReplyMessage {
    /// Version of the payload.
    #[schemars(extend("const" = PAYLOAD_VERSION))]
    pub v: u8,
    /// Name of the gateway.
    pub gateway: String,
    /// The verb, as it stood in the topic.
    pub verb: String,
    /// The caller's id, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub id: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// The same in a sentence, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub detail: Option<String>,
    /// What the verb brings.
    #[serde(flatten)]
    pub brought: Brought,
}

/// What a verb brings.
#[derive(Clone, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct Brought {
    /// `read`, `clock`: name of the meter point of this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub meter: Option<String>,
    /// Address of its meter, as on its plate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub address: Option<String>,
    /// `read`, `clock`: registers with a value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<ReadingJson>,
    /// `read`, `clock`: registers without one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureJson>,
    /// `clock`: the meter's clock, without an offset from UTC as the meter has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub meter_time: Option<String>,
    /// `clock`: how far it is ahead of the gateway's clock, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub clock_offset_s: Option<i64>,
    /// `read`, `clock`, in the last answer: how many meters have a part each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    pub meters: Option<usize>,
    /// `resend`: how many messages were published once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub messages: Option<u64>,
    /// `raw`: frames as they came, hexadecimal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
    /// `archive`, `tasks`: every fault, with its line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// `plan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PlanJson")]
    pub plan: Option<PlanJson>,
    /// `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "StatusMessage")]
    pub status: Option<StatusMessage>,
}

/// What the gateway works by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct PlanJson {
    /// Revision of the archive of meters.
    pub archive: String,
    /// The lines.
    pub buses: Vec<BusJson>,
    /// The tasks.
    pub tasks: Vec<TaskJson>,
}

/// A line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct BusJson {
    /// Its name.
    pub bus: String,
    /// Its port as configured.
    pub port: String,
    /// Names of its meter points.
    pub meters: Vec<String>,
}

/// A task.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct TaskJson {
    /// Its name.
    pub task: String,
    /// Its period, in seconds.
    pub every_s: u64,
    /// How many meters it reads.
    pub meters: usize,
    /// Names of its registers, of all dialects, each once.
    pub registers: Vec<String>,
}

impl PlanJson {
    /// That of a plan.
    pub fn of(plan: &Plan) -> Self {
        let bus = |(index, bus): (usize, &crate::config::Bus)| BusJson {
            bus: bus.name.to_string(),
            port: bus.port.to_string(),
            meters: plan.meters.iter().filter(|m| m.bus == index).map(|m| m.name.to_string()).collect(),
        };
        let task = |task: &crate::config::Task| {
            let mut registers: Vec<String> = Vec::new();
            for register in task.registers.dialects().flat_map(|dialect| task.registers.of(dialect)) {
                let name = register.name().to_string();
                if !registers.contains(&name) {
                    registers.push(name);
                }
            }
            TaskJson {
                task: task.name.to_string(),
                every_s: task.when.every().as_secs(),
                meters: task.meters.len(),
                registers,
            }
        };
        Self {
            archive: plan.archive.clone(),
            buses: plan.buses.iter().enumerate().map(bus).collect(),
            tasks: plan.tasks.iter().map(task).collect(),
        }
    }
}

impl ReplyMessage {
    /// An answer without anything beside its outcome.
    pub fn new(gateway: &str, verb: &str, id: Option<&str>, outcome: Outcome) -> Self {
        Self {
            v: PAYLOAD_VERSION,
            gateway: gateway.to_owned(),
            verb: verb.to_owned(),
            id: id.map(str::to_owned),
            outcome,
            detail: None,
            brought: Brought::default(),
        }
    }

    /// The same with a sentence.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with what the verb brings.
    #[must_use]
    pub fn bringing(mut self, brought: Brought) -> Self {
        self.brought = brought;
        self
    }

    /// The payload.
    pub fn to_json(&self) -> Vec<u8> {
        json::text(self).into_bytes()
    }
}

/// JSON Schema (2020-12) of a reply.
pub fn schema() -> Schema {
    json::schema::<ReplyMessage>()
}
