//! The birth message, described by `fixtures/schema/birth.schema.json`: what the gateway reads, by the archive and the
//! tasks in force. Retained, and sent anew when the configuration changes.
//!
//! One message as long as it is under [`MOST`] octets. Else the topic `birth` says how many parts there are, and
//! `birth/{n}` has part n of the tasks and meters, whole ones in each; only a task with very many registers is
//! in several, each time with other registers. Parts belong together if they have the same `archive` and `parts`.

use crate::config::{Dialect, Digits, Exchange, Joint, Plan, Point, Read};
use crate::mqtt::json::Number;
use crate::mqtt::{Direct, PAYLOAD_VERSION, Properties, json, topics};
use jiff::civil::{Date, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Octets of a message at most; brokers on small boxes take no packets of 256 KiB.
const MOST: usize = 128 << 10;
/// Registers of one entry of `tasks` at most, so that an entry fits a part.
const REGISTERS: usize = 500;

/// A message on a birth topic: the whole, the number of its parts, or one of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "meterd birth message")]
pub struct BirthMessage {
    /// Version of the payload.
    #[schemars(extend("const" = PAYLOAD_VERSION))]
    pub v: u8,
    /// Name of the gateway.
    pub gateway: String,
    /// Version of meterd.
    pub version: String,
    /// Zone of slots and published times, by its IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub timezone: Option<String>,
    /// Revision of the archive of meters (档案).
    pub archive: String,
    /// How many parts there are, if it is not one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    pub parts: Option<usize>,
    /// Which of them this is, from 1 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    pub part: Option<usize>,
    /// What is read when.
    pub tasks: Vec<BirthTask>,
    /// Meter points.
    pub meters: Vec<BirthMeter>,
}

/// What a task reads of the meters of one protocol and profile.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BirthTask {
    /// Name of the task.
    pub task: String,
    /// From slot to slot, in seconds.
    pub every_s: u64,
    /// What kind of value.
    pub read: Read,
    /// The protocol of these meters.
    pub protocol: String,
    /// Their profile, where they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub profile: Option<String>,
    /// Its registers.
    pub registers: Vec<BirthRegister>,
}

/// A register that is read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BirthRegister {
    /// Stable name.
    pub register: String,
    /// DL/T 645 data identifier.
    pub di: String,
    /// OBIS code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub obis: Option<String>,
    /// Unit, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub unit: Option<String>,
}

/// A meter point.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BirthMeter {
    /// Name of the meter point.
    pub meter: String,
    /// Address of its meter, as on its plate.
    pub address: String,
    /// Name of its bus.
    pub bus: String,
    /// What it speaks.
    pub protocol: String,
    /// What its model has beside the standard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub profile: Option<String>,
    /// How it is wired (接线方式).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub wiring: Option<String>,
    /// Current transformer, such as 75/5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub ct: Option<String>,
    /// Voltage transformer, such as 10000/100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub pt: Option<String>,
    /// Of both together (综合倍率): CT times PT, or as it is written where neither is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Number")]
    pub multiplier: Option<Number>,
    /// What the archive says of it beside.
    #[serde(flatten)]
    pub point: Point,
    /// Meters that were exchanged at this point (换表), by their dates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<BirthExchange>,
    /// Names of the tasks that read it.
    pub tasks: Vec<String>,
}

/// A meter was taken down at a point, and another one put up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BirthExchange {
    /// The day, in the gateway's zone.
    #[schemars(with = "String", extend("format" = "date"))]
    pub date: Date,
    /// The time of that day, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub time: Option<Time>,
    /// Address of the meter that was taken down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub address: Option<String>,
    /// Its asset number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub asset: Option<String>,
    /// Digits of its registers, where they were not those of the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub digits: Option<Digits>,
    /// What registers of both showed.
    pub registers: Vec<BirthJoint>,
}

/// A register at an exchange, in its unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BirthJoint {
    /// Name of the register.
    pub register: String,
    /// The old meter's last value (止码).
    pub last: Number,
    /// The new meter's first value (起码).
    pub first: Number,
}

impl BirthMessage {
    fn bare(plan: &Plan) -> Self {
        Self {
            v: PAYLOAD_VERSION,
            gateway: plan.gateway.id.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            timezone: plan.gateway.zone.iana_name().map(str::to_owned),
            archive: plan.archive.clone(),
            parts: None,
            part: None,
            tasks: Vec::new(),
            meters: Vec::new(),
        }
    }

    /// Reads a payload. Keys that it does not know are left alone, as a reader of version 1 must do.
    ///
    /// # Errors
    /// Those of serde_json: no JSON, or a key missing.
    pub fn parse(payload: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(payload)
    }
}

fn tasks(plan: &Plan) -> impl Iterator<Item = BirthTask> {
    plan.tasks.iter().flat_map(|task| {
        task.registers.dialects().flat_map(move |dialect: Dialect| {
            task.registers.of(dialect).chunks(REGISTERS).map(move |registers| BirthTask {
                task: task.name.to_string(),
                every_s: task.when.every().as_secs(),
                read: task.read,
                protocol: dialect.standard.word().to_owned(),
                profile: dialect.profile.map(|profile| profile.name().to_owned()),
                registers: registers
                    .iter()
                    .map(|register| BirthRegister {
                        register: register.name().to_string(),
                        di: register.id().to_string(),
                        obis: register.obis().map(|code| code.to_string()),
                        unit: register.unit().map(|unit| unit.text().to_owned()),
                    })
                    .collect(),
            })
        })
    })
}

fn meters(plan: &Plan) -> impl Iterator<Item = BirthMeter> {
    let mut read_by: Vec<Vec<String>> = plan.meters.iter().map(|_| Vec::new()).collect();
    for task in &plan.tasks {
        for meter in &task.meters {
            if let Some(tasks) = read_by.get_mut(*meter) {
                tasks.push(task.name.to_string());
            }
        }
    }
    plan.meters.iter().zip(read_by).map(|(meter, tasks)| BirthMeter {
        meter: meter.name.to_string(),
        address: meter.protocol.address(),
        bus: plan.buses.get(meter.bus).map(|bus| bus.name.to_string()).unwrap_or_default(),
        protocol: meter.protocol.word().to_owned(),
        profile: meter.profile.map(|profile| profile.name().to_owned()),
        wiring: meter.wiring.map(|wiring| wiring.word().to_owned()),
        ct: meter.ct().map(|ratio| ratio.to_string()),
        pt: meter.pt().map(|ratio| ratio.to_string()),
        multiplier: meter.transformers.multiplier().map(Number),
        // Exchanges stand beside, as a reader of this message finds them.
        point: Point { exchanges: Vec::new(), ..meter.point.clone() },
        exchanges: meter.point.exchanges.iter().map(exchange).collect(),
        tasks,
    })
}

fn exchange(exchange: &Exchange) -> BirthExchange {
    let Exchange { date, time, address, asset, digits, registers } = exchange.clone();
    let joint =
        |Joint { register, last, first }| BirthJoint { register, last: Number(last), first: Number(first) };
    let registers = registers.into_iter().map(joint).collect();
    BirthExchange { date, time, address, asset, digits, registers }
}

/// The messages for a configuration: one, or one with the number of parts and the parts.
pub fn birth(plan: &Plan) -> Vec<Direct> {
    let (prefix, gateway) = (plan.mqtt.prefix.as_str(), plan.gateway.id.as_str());
    let mut parts = Parts::new(BirthMessage::bare(plan));
    for task in tasks(plan) {
        let octets = json::text(&task).len();
        parts.room(octets).tasks.push(task);
    }
    for meter in meters(plan) {
        let octets = json::text(&meter).len();
        parts.room(octets).meters.push(meter);
    }
    let Parts { bare, mut all, .. } = parts;
    let count = all.len();
    if count == 1 {
        return all.iter().map(|whole| direct(topics::birth(prefix, gateway), whole)).collect();
    }
    let head = BirthMessage { parts: Some(count), ..bare };
    let mut directs = vec![direct(topics::birth(prefix, gateway), &head)];
    for (n, part) in all.iter_mut().enumerate() {
        (part.parts, part.part) = (Some(count), Some(n + 1));
        directs.push(direct(topics::birth_part(prefix, gateway, n + 1), part));
    }
    directs
}

fn direct(topic: String, message: &BirthMessage) -> Direct {
    Direct {
        topic,
        payload: json::text(message).into_bytes(),
        retain: topics::Kind::Birth.retain(),
        qos: topics::Kind::Birth.qos(),
        properties: Properties { content_type: Some("application/json".to_owned()), ..Properties::default() },
    }
}

/// Messages that are filled one after the other.
struct Parts {
    bare: BirthMessage,
    /// Octets of a message without tasks and meters, with what `parts` and `part` take at most.
    head: usize,
    all: Vec<BirthMessage>,
    /// Octets of the last one.
    filled: usize,
}

impl Parts {
    fn new(bare: BirthMessage) -> Self {
        let numbered = BirthMessage { parts: Some(usize::MAX), part: Some(usize::MAX), ..bare.clone() };
        let head = json::text(&numbered).len();
        Self { head, all: vec![bare.clone()], filled: head, bare }
    }

    /// The message with room for so many octets and their comma.
    fn room(&mut self, octets: usize) -> &mut BirthMessage {
        if self.all.is_empty() || self.filled + octets + 1 > MOST {
            self.all.push(self.bare.clone());
            self.filled = self.head;
        }
        self.filled += octets + 1;
        let last = self.all.len() - 1;
        &mut self.all[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_from_text;
    use std::fmt::Write;
    use std::path::Path;

    fn plan(meters: usize, registers: &str) -> Plan {
        let mut text = "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\n".to_owned();
        for bus in 0..meters.div_ceil(200) {
            let _ = write!(text, "[[bus]]\nname = \"b{bus}\"\nport = \"/dev/ttyS{bus}\"\n");
        }
        for n in 0..meters {
            let bus = n / 200;
            let _ = write!(text, "[[meter]]\nname = \"m{n}\"\nbus = \"b{bus}\"\naddress = \"{n}\"\n");
        }
        let _ = write!(text, "[[task]]\nname = \"t\"\nevery = \"1d\"\nregisters = {registers}\n");
        plan_from_text("meterd.toml", &text, Path::new("/")).unwrap().plan
    }

    fn read(direct: &Direct) -> BirthMessage {
        assert!(direct.payload.len() <= MOST && direct.retain, "{} octets", direct.payload.len());
        BirthMessage::parse(&direct.payload).unwrap()
    }

    #[test]
    fn a_small_fleet_is_one_message() {
        let directs = birth(&plan(100, "[\"voltage_l1\"]"));
        assert_eq!(directs.len(), 1);
        let whole = read(&directs[0]);
        assert_eq!((whole.parts, whole.part, whole.meters.len()), (None, None, 100));
    }

    #[test]
    fn a_big_fleet_comes_in_parts_of_which_none_is_too_large_and_no_meter_is_missing() {
        let plan = plan(3000, "[\"voltage_l1\", \"*energy*\"]");
        let directs = birth(&plan);
        let head = read(&directs[0]);
        assert_eq!((head.parts, head.part), (Some(directs.len() - 1), None));
        assert!(head.meters.is_empty() && head.tasks.is_empty() && directs.len() > 3);
        let (mut meters, mut registers) = (Vec::new(), 0);
        for (n, direct) in directs.iter().enumerate().skip(1) {
            assert_eq!(direct.topic, format!("meterd/v1/gw/birth/{n}"));
            let part = read(direct);
            assert_eq!((part.parts, part.part), (head.parts, Some(n)));
            assert_eq!(part.archive, plan.archive);
            meters.extend(part.meters.into_iter().map(|meter| meter.meter));
            registers += part.tasks.iter().map(|task| task.registers.len()).sum::<usize>();
        }
        assert_eq!(meters, plan.meters.iter().map(|meter| meter.name.to_string()).collect::<Vec<_>>());
        let of_plan = &plan.tasks[0].registers;
        assert_eq!(registers, of_plan.dialects().map(|dialect| of_plan.of(dialect).len()).sum::<usize>());
    }
}
