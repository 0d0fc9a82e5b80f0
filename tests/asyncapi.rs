//! The AsyncAPI document against a real broker: every message is one of its channels', and every channel has messages.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use jiff::SignedDuration;
use jsonschema::Validator;
use meterd::clock::Clock;
use meterd::daemon::{Daemon, Running};
use meterd::simulator::{InMemory, MeterSettings, VirtualLine, VirtualMeter, in_memory};
use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use support::broker::{Broker, Message, Onlooker, within};
use tempfile::TempDir;

/// The document as it lies in the project.
struct Document {
    json: Json,
    /// By the name of the message.
    schemas: BTreeMap<String, Validator>,
}

impl Document {
    fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/schema");
        let file = |name: &str| serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        let json: Json = file("asyncapi.json");
        let messages = json["components"]["messages"].as_object().unwrap();
        let schemas = messages.iter().map(|(name, message)| {
            let schema: Json = file(message["payload"]["schema"]["$ref"].as_str().unwrap());
            (name.clone(), jsonschema::validator_for(&schema).unwrap())
        });
        Self { schemas: schemas.collect(), json }
    }

    fn channels(&self) -> &serde_json::Map<String, Json> {
        self.json["channels"].as_object().unwrap()
    }

    /// Channels with each of their messages.
    fn all(&self) -> BTreeSet<(String, String)> {
        let of = |(id, channel): (&String, &Json)| {
            let messages = channel["messages"].as_object().unwrap().keys();
            messages.map(|message| (id.clone(), message.clone())).collect::<Vec<_>>()
        };
        self.channels().iter().flat_map(of).collect()
    }

    /// The one channel that a topic is of.
    fn channel(&self, topic: &str) -> &str {
        let of = |(id, channel): (&'_ String, &Json)| is_of(channel, topic).then(|| id.clone());
        let found: Vec<_> = self.channels().iter().filter_map(of).collect();
        // One that names all levels goes before one with a parameter for the last.
        let exact = found.iter().find(|id| id.as_str() == "clockOff").or(found.first()).unwrap();
        assert!(found.iter().all(|id| id == exact || id == "meterEvent"), "{topic} is of {found:?}");
        self.channels().get_key_value(exact).unwrap().0
    }

    fn binding(&self, channel: &str) -> &Json {
        &self.json["operations"][channel]["bindings"]["mqtt"]
    }

    /// The one message of the channel that this is.
    fn message(&self, channel: &str, message: &Message) -> String {
        let payload: Json = serde_json::from_str(&message.payload).unwrap();
        let names = self.channels()[channel]["messages"].as_object().unwrap().keys();
        let fits: Vec<_> = names.filter(|name| self.schemas[*name].is_valid(&payload)).collect();
        assert_eq!(fits.len(), 1, "{channel}: {message:?}");
        fits[0].clone()
    }
}

/// Whether a topic is one of a channel, with what a parameter is if nothing else is said.
fn is_of(channel: &Json, topic: &str) -> bool {
    let parameters = &channel["parameters"];
    let mut address = channel["address"].as_str().unwrap().to_owned();
    for (name, parameter) in parameters.as_object().unwrap() {
        if let Some(usual) = parameter["default"].as_str() {
            address = address.replace(&format!("{{{name}}}"), usual);
        }
    }
    let (levels, own): (Vec<_>, Vec<_>) = (topic.split('/').collect(), address.split('/').collect());
    let fits =
        |(level, own): (&&str, &&str)| match own.strip_prefix('{').and_then(|own| own.strip_suffix('}')) {
            Some(name) => match parameters[name]["enum"].as_array() {
                Some(known) => known.contains(&json!(level)),
                None => !level.is_empty(),
            },
            None => level == own,
        };
    levels.len() == own.len() && levels.iter().zip(&own).all(fits)
}

struct Gateway {
    running: Running,
    clock: Clock,
    _line: InMemory,
    _data: TempDir,
}

impl Gateway {
    /// One line, of whose meters the first one is there, with a clock that is off.
    fn start(id: &str, port: u16, payload: &str, meters: usize) -> Self {
        let data = TempDir::new().unwrap();
        let mut text = format!(
            "[gateway]\nid = \"{id}\"\ntimezone = \"Asia/Shanghai\"\ndata_dir = \"$DATA\"\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\npayload = \"{payload}\"\n\
             home_assistant = \"homeassistant\"\n[commands]\nallow = [\"status\"]\n\
             [[bus]]\nname = \"riser-1\"\nport = \"/dev/null\"\nbaud = 115200\n\
             [[task]]\nname = \"live\"\nevery = \"1s\"\nregisters = [\"voltage_l1\"]\nmeters = [\"flat-1\", \"flat-2\"]\n\
             [[task]]\nname = \"clocks\"\nread = \"clock\"\nevery = \"1s\"\nmeters = [\"flat-1\"]\n"
        );
        for meter in 1..=meters {
            let long = "a-very-long-name-".repeat(7);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "[[meter]]\nname = \"flat-{meter}\"\nbus = \"riser-1\"\naddress = \"{meter}\"\ncustomer = \"{long}\"\nasset = \"{long}\"\n"
            );
        }
        let clock = Clock::virtual_at("2026-11-21T10:00:30Z".parse().unwrap());
        let mut settings = MeterSettings::household("1".parse().unwrap());
        settings.clock_offset = SignedDuration::from_mins(-20);
        let meter = VirtualMeter::new(settings, 1);
        let (opener, line) = in_memory(VirtualLine::new(vec![meter]), clock.clone(), 0);
        let daemon = Daemon::new(support::plan(&text, data.path()), clock.clone()).with_line(0, opener);
        Self { running: daemon.start().unwrap(), clock, _line: line, _data: data }
    }
}

#[tokio::test]
async fn every_message_is_of_one_channel_of_the_document_and_every_channel_has_messages() {
    let Some(broker) = Broker::start().await else { return };
    let document = Document::read();
    let mut onlooker = Onlooker::of(broker.port(), "#").await;
    let gateways = [("gw-full", "full", 2), ("gw-flat", "flat", 400)]
        .map(|(id, payload, meters)| Gateway::start(id, broker.port(), payload, meters));
    let (mut missing, mut kept) = (document.all(), BTreeSet::new());
    let (client, mut connection) =
        AsyncClient::new(MqttOptions::new("head-end", "127.0.0.1", broker.port()), 10);
    let polled = tokio::spawn(async move { while connection.poll().await.is_ok() {} });
    let mut stepped = false;
    within("every channel", async {
        while !missing.is_empty() {
            let message = onlooker.next().await;
            let channel = document.channel(&message.topic).to_owned();
            let binding = document.binding(&channel);
            assert_eq!(binding["qos"], message.qos, "{message:?}");
            let name = document.message(&channel, &message);
            if binding["retain"] == true {
                kept.insert(message.topic.clone());
            }
            missing.remove(&(channel.clone(), name));
            if channel == "data" && !stepped {
                // Slots pass unread, and the head-end asks.
                stepped = true;
                gateways[0].clock.step(SignedDuration::from_mins(10));
                let asked = r#"{"id":"1"}"#;
                client
                    .publish("meterd/v1/gw-full/command/status", QoS::AtLeastOnce, false, asked)
                    .await
                    .unwrap();
            }
        }
    })
    .await;
    // What the broker keeps is what the document says that it keeps.
    for gateway in gateways {
        gateway.running.stop().await;
    }
    let mut later = Onlooker::of(broker.port(), "#").await;
    within("what is retained", async {
        while !kept.is_empty() {
            let message = later.next().await;
            assert!(message.retained, "{message:?}");
            let channel = document.channel(&message.topic);
            assert_eq!(document.binding(channel)["retain"], true, "{message:?}");
            kept.remove(&message.topic);
        }
    })
    .await;
    polled.abort();
}
