//! Home Assistant's MQTT discovery: a device for each meter and a sensor for each register that was really read,
//! described by `fixtures/schema/home-assistant.schema.json`. Retained.
//!
//! Keys, units and classes are those of <https://www.home-assistant.io/integrations/mqtt/>,
//! <https://www.home-assistant.io/integrations/sensor.mqtt/> and <https://www.home-assistant.io/integrations/sensor/>.
//! Texts, bit words and records are not announced: a sensor with a unit or a class takes numbers, and ignores
//! what its template gives nothing of.

use super::{Direct, Properties, json, topics};
use crate::config::{Meter, PayloadForm, Plan, Task};
use crate::reading::{Quality, Reading};
use catalogue::{Quantity, Register, Unit};
use dlt645::format::{Format, Value};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Registers that are announced of one meter at most: its message stays under 128 KiB.
pub const REGISTERS: usize = 128;
/// A sensor is unavailable when so many slots have brought nothing.
const SLOTS: u64 = 3;

/// What was read of a meter point; kept in the store, so that a restart announces no less.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// Where it was announced last.
    pub topic: String,
    /// Address of the meter that it was read of, as on its plate.
    pub address: String,
    /// Registers by name, and the task that read them. Without a task: announced once, and not to be any more.
    pub registers: BTreeMap<String, String>,
}

/// A message on a discovery topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(title = "meterd discovery message for Home Assistant")]
pub struct DiscoveryMessage {
    /// The meter.
    pub device: Device,
    /// Who announces it.
    pub origin: Origin,
    /// Where it stands whether gateway and meter are there.
    pub availability: Vec<Availability>,
    /// Both have to be.
    #[schemars(extend("const" = "all"))]
    pub availability_mode: &'static str,
    /// QoS that Home Assistant subscribes with.
    pub qos: u8,
    /// Its sensors by the name of the register.
    pub components: BTreeMap<String, Component>,
}

/// The meter as a device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Device {
    /// What it is known by.
    pub identifiers: [String; 1],
    /// Name of the meter point.
    pub name: String,
    /// Model by its profile, or the protocol.
    pub model: String,
    /// Address, as on its plate.
    pub serial_number: String,
}

/// The program that announces.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Origin {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub sw_version: &'static str,
}

/// A status topic; its `state` is `online` or `offline`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Availability {
    /// The topic.
    pub topic: String,
    /// How to read its message.
    pub value_template: &'static str,
}

/// A sensor. With nothing but its platform: Home Assistant removes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Component {
    /// What it is.
    #[schemars(extend("const" = "sensor"))]
    pub platform: &'static str,
    /// All the rest.
    #[serde(flatten)]
    pub sensor: Option<Sensor>,
}

/// How a register becomes a sensor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Sensor {
    /// What Home Assistant knows it by: never another one's.
    pub unique_id: String,
    /// What a person calls it.
    pub name: String,
    /// Where its values come.
    pub state_topic: String,
    /// How to read a message; gives nothing where the register has no good value, or an old one.
    pub value_template: String,
    /// Unit of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub unit_of_measurement: Option<&'static str>,
    /// Class of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub device_class: Option<&'static str>,
    /// How statistics are made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub state_class: Option<&'static str>,
    /// `diagnostic` for what is set in the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub entity_category: Option<&'static str>,
    /// Seconds until it is unavailable if no value comes.
    pub expire_after: u64,
}

/// What Home Assistant is told of a register's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Class {
    device: Option<&'static str>,
    state: Option<&'static str>,
    category: Option<&'static str>,
}

/// The class of a register; `None` if no number with a meaning of its own comes of it.
fn class(register: &Register) -> Option<Class> {
    let (Format::Number { signed, .. } | Format::Demand { signed, .. }) = register.format() else {
        return None;
    };
    let unit = register.unit();
    let (device, state, category) = match register.quantity() {
        Quantity::ActiveEnergy => (Some("energy"), Some(total(signed)), None),
        Quantity::ReactiveEnergy => (Some("reactive_energy"), Some(total(signed)), None),
        Quantity::ApparentEnergy => (None, Some(total(signed)), None),
        Quantity::MaxDemand
        | Quantity::Demand
        | Quantity::ActivePower
        | Quantity::ReactivePower
        | Quantity::ApparentPower => (power(unit), Some("measurement"), None),
        Quantity::Voltage => (Some("voltage"), Some("measurement"), None),
        Quantity::Current => (Some("current"), Some("measurement"), None),
        Quantity::PowerFactor => (Some("power_factor"), Some("measurement"), None),
        Quantity::Frequency => (Some("frequency"), Some("measurement"), None),
        Quantity::Temperature => (Some("temperature"), Some("measurement"), None),
        Quantity::Angle | Quantity::Thd | Quantity::Harmonic => (None, Some("measurement"), None),
        Quantity::Battery => (of_battery(unit), Some("measurement"), Some("diagnostic")),
        Quantity::Counter => (None, Some("total_increasing"), Some("diagnostic")),
        Quantity::Duration => (Some("duration"), None, Some("diagnostic")),
        Quantity::Charge => (None, None, None),
        Quantity::Prepayment => (None, None, None),
        Quantity::Parameter | Quantity::Nameplate => (None, None, Some("diagnostic")),
        Quantity::Instant | Quantity::Bits | Quantity::Record => return None,
    };
    // What the meter froze is no total that goes on.
    let state = state.filter(|_| register.is_present());
    let is_numeric = unit.is_some() || device.is_some() || state.is_some();
    is_numeric.then_some(Class { device, state, category })
}

const fn total(signed: bool) -> &'static str {
    if signed { "total" } else { "total_increasing" }
}

fn power(unit: Option<Unit>) -> Option<&'static str> {
    among(unit, &[(Unit::KW, "power"), (Unit::Kvar, "reactive_power"), (Unit::KVA, "apparent_power")])
}

fn of_battery(unit: Option<Unit>) -> Option<&'static str> {
    among(unit, &[(Unit::V, "voltage"), (Unit::Minute, "duration")])
}

fn among(unit: Option<Unit>, classes: &[(Unit, &'static str)]) -> Option<&'static str> {
    classes.iter().find(|(of, _)| Some(*of) == unit).map(|(_, class)| *class)
}

/// Whether a reading is one that its register may be announced by: good, and a number.
pub fn announces(reading: &Reading) -> bool {
    reading.quality == Quality::Good
        && reading.value().and_then(Value::number).is_some()
        && class(&reading.register).is_some()
}

/// The messages for what was read, of the meters that the configuration still has; none if it has no
/// `home_assistant`.
pub fn announcements(plan: &Plan, known: &BTreeMap<String, Known>) -> Vec<Direct> {
    let Some(prefix) = &plan.mqtt.home_assistant else { return Vec::new() };
    let mut read_by: Vec<Vec<&Task>> = plan.meters.iter().map(|_| Vec::new()).collect();
    for task in &plan.tasks {
        for meter in &task.meters {
            if let Some(tasks) = read_by.get_mut(*meter) {
                tasks.push(task);
            }
        }
    }
    let meters = plan.meters.iter().zip(read_by);
    meters
        .filter_map(|(meter, tasks)| Some((meter, tasks, known.get(meter.name.as_str())?)))
        .map(|(meter, tasks, known)| {
            let topic = topics::home_assistant(prefix, plan.gateway.id.as_str(), meter.name.as_str());
            let message = message(plan, meter, &tasks, known);
            Direct { payload: json::text(&message).into_bytes(), ..forget(topic) }
        })
        .collect()
}

/// What makes the broker, and Home Assistant, forget a device.
pub fn forget(topic: String) -> Direct {
    Direct {
        topic,
        payload: Vec::new(),
        retain: topics::Kind::Discovery.retain(),
        qos: topics::Kind::Discovery.qos(),
        properties: Properties { content_type: Some("application/json".to_owned()), ..Properties::default() },
    }
}

fn message(plan: &Plan, meter: &Meter, tasks: &[&Task], known: &Known) -> DiscoveryMessage {
    let (prefix, gateway, name) = (plan.mqtt.prefix.as_str(), plan.gateway.id.as_str(), meter.name.as_str());
    let address = meter.protocol.address();
    let gone = |register: &String| (register.clone(), Component { platform: "sensor", sensor: None });
    let mut components: BTreeMap<String, Component> = known.registers.keys().map(gone).collect();
    // Another meter is in its place: what it has is not known yet.
    let tasks = if known.address == address { tasks } else { &[] };
    for task in tasks {
        for register in task.registers.of(meter.dialect()) {
            let of = register.name().to_string();
            let is_its = known.registers.get(&of).is_some_and(|by| by == task.name.as_str());
            let (true, Some(class)) = (is_its, class(register)) else { continue };
            let expire_after = SLOTS * task.when.every().as_secs();
            let sensor = Sensor {
                unique_id: format!("meterd/{gateway}/{name}/{of}"),
                name: sentence(&of),
                state_topic: topics::data(prefix, gateway, name, task.name.as_str()),
                value_template: template(plan.mqtt.payload, &of, is_primary(meter), expire_after),
                unit_of_measurement: register.unit().map(Unit::text),
                device_class: class.device,
                state_class: class.state,
                entity_category: class.category,
                expire_after,
            };
            components.insert(of, Component { platform: "sensor", sensor: Some(sensor) });
        }
    }
    let availability = [topics::status(prefix, gateway), topics::meter_status(prefix, gateway, name)];
    DiscoveryMessage {
        device: Device {
            identifiers: [format!("meterd/{gateway}/{name}")],
            name: name.to_owned(),
            model: meter
                .profile
                .map_or_else(|| meter.protocol.word().to_owned(), |profile| profile.model().to_owned()),
            serial_number: address,
        },
        origin: Origin { name: "meterd", sw_version: env!("CARGO_PKG_VERSION") },
        availability: availability
            .map(|topic| Availability { topic, value_template: "{{ value_json.state }}" })
            .into(),
        availability_mode: "all",
        qos: 1,
        components,
    }
}

/// Whether values stand on the primary side too: those are what flows.
const fn is_primary(meter: &Meter) -> bool {
    meter.ct().is_some() || meter.pt().is_some()
}

/// Gives the value of a register out of a message of this form, if it is good and not of a slot so long ago that it
/// would be no value of now: a message that waited for the broker.
fn template(form: PayloadForm, register: &str, primary: bool, expire_after: u64) -> String {
    let (begin, end) = match form {
        PayloadForm::Full => {
            let key = if primary { "primary" } else { "value" };
            (
                String::new(),
                format!(
                    "{{% for r in value_json.readings if r.register == '{register}' and r.quality == 'good' %}}\
                     {{{{ r.{key} }}}}{{% endfor %}}"
                ),
            )
        }
        PayloadForm::Flat => {
            let key = if primary { format!("{register}_primary") } else { register.to_owned() };
            (
                format!(" and '{key}' in value_json and '{register}' not in value_json.suspect"),
                format!("{{{{ value_json['{key}'] }}}}"),
            )
        }
    };
    format!(
        "{{% if as_timestamp(now()) - as_timestamp(value_json.slot) < {expire_after} \
         and not value_json.backfilled{begin} %}}{end}{{% endif %}}"
    )
}

/// `Voltage l1` of `voltage_l1`.
fn sentence(register: &str) -> String {
    let mut text = register.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// JSON Schema (2020-12) of a discovery message.
pub fn schema() -> Schema {
    json::schema::<DiscoveryMessage>()
}

#[cfg(test)]
#[path = "home_assistant_tests.rs"]
mod tests;
