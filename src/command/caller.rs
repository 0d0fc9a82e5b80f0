//! Who is answered, and where.

use super::reply::{Brought, Outcome, ReplyMessage};
use crate::config::Plan;
use crate::mqtt::{Direct, Properties, topics};
use tokio::sync::mpsc;

/// A command's sender.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    gateway: String,
    verb: String,
    id: Option<String>,
    topic: String,
    properties: Properties,
    direct: mpsc::Sender<Direct>,
}

impl Caller {
    /// By the response topic of MQTT 5, else by the verb's own topic.
    pub(super) fn of(plan: &Plan, verb: &str, asked: &Properties, direct: mpsc::Sender<Direct>) -> Self {
        let (prefix, gateway) = (&plan.mqtt.prefix, plan.gateway.id.as_str());
        let own = topics::reply(prefix, gateway, verb);
        let wished = asked.response_topic.as_deref().filter(|topic| may_answer(topic, prefix, gateway));
        if wished.is_none() && asked.response_topic.is_some() {
            tracing::warn!(topic = asked.response_topic, "no place for an answer; it goes to {own}");
        }
        Self {
            gateway: gateway.to_owned(),
            verb: verb.to_owned(),
            id: None,
            topic: wished.map_or(own, str::to_owned),
            properties: Properties {
                correlation_data: asked.correlation_data.clone(),
                content_type: Some("application/json".to_owned()),
                ..Properties::default()
            },
            direct,
        }
    }

    /// The same, known by its id.
    pub(super) fn named(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Answers that nothing was done.
    pub(super) async fn refuse(mut self, id: Option<String>, outcome: Outcome, detail: String) {
        tracing::info!(
            verb = self.verb,
            id,
            outcome = outcome.word(),
            detail,
            "a command is not carried out"
        );
        self.id = id;
        self.answer(outcome, Some(detail), Brought::default()).await;
    }

    /// Answers.
    pub(super) async fn answer(&self, outcome: Outcome, detail: Option<String>, brought: Brought) {
        let mut message =
            ReplyMessage::new(&self.gateway, &self.verb, self.id.as_deref(), outcome).bringing(brought);
        message.detail = detail;
        let direct = Direct {
            topic: self.topic.clone(),
            payload: message.to_json(),
            properties: self.properties.clone(),
            ..Direct::default()
        };
        self.publish(direct).await;
    }

    /// Publishes beside the outbox; waits while the session is busy.
    pub(super) async fn publish(&self, direct: Direct) {
        if self.direct.send(direct).await.is_err() {
            tracing::debug!("the session has ended before an answer");
        }
    }
}

/// A caller may be answered anywhere but on what the gateway itself says, which others believe.
fn may_answer(topic: &str, prefix: &str, gateway: &str) -> bool {
    let is_topic = !topic.is_empty() && !topic.starts_with('$') && !topic.contains(['+', '#', '\0']);
    let own = topic.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).is_some();
    is_topic && (!own || topic.starts_with(&topics::reply(prefix, gateway, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_cannot_have_the_gateway_speak_in_its_own_name() {
        for bad in ["", "a/+", "#", "$SYS/x", "meterd/v1/gw01/status", "meterd/v1/gw02/meter/a/data/live"] {
            assert!(!may_answer(bad, "meterd/v1", "gw01"), "{bad}");
        }
        for good in ["head/answers/7", "meterd/v1/gw01/reply/read", "meterd/v10/x"] {
            assert!(may_answer(good, "meterd/v1", "gw01"), "{good}");
        }
    }
}
