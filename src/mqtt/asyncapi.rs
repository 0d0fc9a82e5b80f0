//! The AsyncAPI document (<https://www.asyncapi.com/docs/reference/specification/v3.0.0>) of all topics,
//! `fixtures/schema/asyncapi.json`: what programs that make clients and documentation read.

use super::Qos;
use super::topics::Kind;
use crate::command::Word;
use serde_json::{Map, Value, json};

/// Version of the specification.
const VERSION: &str = "3.0.0";
/// Version of the MQTT binding.
const BINDING: &str = "0.2.0";

/// What the document says of a kind.
struct About {
    /// Its key in the document.
    id: &'static str,
    summary: &'static str,
    /// Files of the schemas that describe its messages, beside the document, without `.schema.json`.
    schemas: &'static [&'static str],
}

const fn about(kind: Kind) -> About {
    let (id, summary, schemas): (_, _, &[_]) = match kind {
        Kind::Status => ("status", "How the gateway is; also its last will.", &["status"]),
        Kind::Birth => (
            "birth",
            "The archive of meters (档案) and the tasks in force, or how many parts of them there are.",
            &["birth"],
        ),
        Kind::BirthPart => {
            ("birthPart", "Part n of archive and tasks, from 1 on, where there are parts.", &["birth"])
        }
        Kind::Round => ("round", "What the last slot of a task brought, over all buses.", &["round"]),
        Kind::Event => {
            ("event", "What happened to the gateway; the last level is its key `event`.", &["event"])
        }
        Kind::MeterStatus => {
            ("meterStatus", "Whether a meter answers, why and since when.", &["meter-status"])
        }
        Kind::Data => (
            "data",
            "Readings of a meter, a task and a slot: full, or flat where the configuration says so.",
            &["data", "flat"],
        ),
        Kind::MeterEvent => (
            "meterEvent",
            "What else happened to a meter; the last level is its key `event`. `clock_off` has a channel of its own.",
            &["event"],
        ),
        Kind::ClockOff => (
            "clockOff",
            "Whether a meter's clock is off (时钟超差): once when it is, and once when it is right again.",
            &["event"],
        ),
        Kind::Command => ("command", "What the head-end asks of the gateway.", &["command"]),
        Kind::Reply => ("reply", "The answer to a command that names no response topic.", &["reply"]),
        Kind::Discovery => (
            "homeAssistant",
            "A meter for Home Assistant to find; empty if there is none any more.",
            &["home-assistant"],
        ),
    };
    About { id, summary, schemas }
}

/// What a level of a topic is; `None` if it is none of ours.
fn parameter(name: &str) -> Option<Value> {
    let about = match name {
        "prefix" => {
            json!({ "description": "`[mqtt] prefix`; it may have several levels.", "default": "meterd/v1" })
        }
        "gateway" => json!({ "description": "`[gateway] id`." }),
        "meter" => json!({ "description": "Name of the meter point." }),
        "task" => json!({ "description": "Name of the task." }),
        "kind" => json!({ "description": "What happened: the key `event` of the message." }),
        "n" => json!({ "description": "Number of the part, from 1 on." }),
        "verb" => {
            let verbs = Word::ALL.map(Word::text);
            json!({ "description": "What to do.", "enum": verbs })
        }
        "home_assistant" => {
            json!({ "description": "`[mqtt] home_assistant`.", "default": "homeassistant" })
        }
        _ => return None,
    };
    Some(about)
}

/// The document.
pub fn document() -> Value {
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for kind in Kind::ALL {
        let About { id, summary, schemas } = about(kind);
        let to = |message: &str| json!({ "$ref": format!("#/components/messages/{message}") });
        let address = kind.template();
        let names = address.split(['{', '}']).skip(1).step_by(2);
        let parameters: Map<_, _> =
            names.filter_map(|name| Some((name.to_owned(), parameter(name)?))).collect();
        let own: Map<_, _> = schemas.iter().map(|schema| ((*schema).to_owned(), to(schema))).collect();
        channels.insert(
            id.to_owned(),
            json!({ "address": address, "summary": summary, "parameters": parameters, "messages": own }),
        );
        operations.insert(id.to_owned(), operation(kind, id, summary));
        for schema in schemas {
            let payload = json!({
                "schemaFormat": "application/schema+json;version=draft-2020-12",
                "schema": { "$ref": format!("./{schema}.schema.json") },
            });
            let message = json!({ "name": schema, "contentType": "application/json", "payload": payload });
            messages.insert((*schema).to_owned(), message);
        }
    }
    json!({
        "asyncapi": VERSION,
        "info": {
            "title": "meterd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a meterd gateway publishes over MQTT 3.1.1 or 5, and what it listens to. Each message \
                that has a `seq` comes through the store: it is sent again until the broker has signed for it, and `store` \
                with `seq` tells a message that came twice.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages },
    })
}

fn operation(kind: Kind, id: &str, summary: &str) -> Value {
    let qos = match kind.qos() {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce => 1,
    };
    let mut operation = json!({
        "action": if kind == Kind::Command { "receive" } else { "send" },
        "channel": { "$ref": format!("#/channels/{id}") },
        "summary": summary,
        "bindings": { "mqtt": { "qos": qos, "retain": kind.retain(), "bindingVersion": BINDING } },
    });
    if kind == Kind::Command {
        operation["reply"] = json!({
            "address": {
                "description": "MQTT 5: the response topic that the command names. Else the channel `reply`.",
                "location": "$message.header#/responseTopic",
            },
            "channel": { "$ref": format!("#/channels/{}", about(Kind::Reply).id) },
        });
    }
    operation
}
