//! What goes out beside the outbox, and what comes in: answers, what the broker keeps, commands.

use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tracing::warn;

/// Answers that may wait for the session; whoever puts one more waits, or drops it.
pub const DIRECTS: usize = 64;
/// Messages for us that may wait; one that comes to a full queue is dropped, with a line in the log.
pub const INCOMING: usize = 64;

/// A message that goes out as it is, and is not in the store: nobody keeps it if the connection breaks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Direct {
    /// Where to; without wildcards.
    pub topic: String,
    /// What; empty and retained: the broker forgets what it kept there.
    pub payload: Vec<u8>,
    /// The broker keeps it for who subscribes later.
    pub retain: bool,
    /// Whether the broker has to sign for it.
    pub qos: Qos,
    /// Sent with MQTT 5 only; 3.1.1 has no place for them.
    pub properties: Properties,
}

/// Quality of service; we speak no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Qos {
    /// QoS 0: once or never.
    AtMostOnce,
    /// QoS 1: the broker signs for it.
    #[default]
    AtLeastOnce,
}

/// Properties of a message of MQTT 5 (clause 3.3.2.3). With 3.1.1 all of them are absent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Properties {
    /// Where the sender wants the answer.
    pub response_topic: Option<String>,
    /// What the sender knows the answer by.
    pub correlation_data: Option<Bytes>,
    /// A MIME type such as `application/json`.
    pub content_type: Option<String>,
    /// Name and value, in order; a name may come twice.
    pub user: Vec<(String, String)>,
    /// How long the broker may keep the message for who is not connected; whole seconds are sent.
    pub expiry: Option<Duration>,
}

/// A message that came for us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incoming {
    /// Where it was published.
    pub topic: String,
    /// As it came.
    pub payload: Bytes,
    /// As they came.
    pub properties: Properties,
}

/// The ways between the session and the rest of the daemon that do not go through the store.
#[derive(Debug)]
pub struct Ways {
    /// What the broker is to keep: sent after every connect; when it changes, what is new or different.
    pub retained: watch::Receiver<Arc<[Direct]>>,
    /// Answers: sent once; dropped, with a line in the log, while there is no connection.
    pub direct: mpsc::Receiver<Direct>,
    /// What the subscriptions bring. The session never waits for whoever reads it.
    pub incoming: mpsc::Sender<Incoming>,
    /// Topic filters to subscribe to after every connect, with QoS 1.
    pub subscribe: Vec<String>,
}

impl Ways {
    /// Nothing goes out beside the outbox, and nothing comes in.
    pub fn none() -> Self {
        let nothing: Arc<[Direct]> = Arc::new([]);
        Self {
            retained: watch::channel(nothing).1,
            direct: mpsc::channel(1).1,
            incoming: mpsc::channel(1).0,
            subscribe: Vec::new(),
        }
    }

    /// Drops answers while there is no connection; those who asked have a deadline of their own.
    pub(super) async fn drop_directs(&mut self) -> Infallible {
        loop {
            let Direct { topic, .. } = next(&mut self.direct).await;
            warn!(%topic, "an answer is dropped: there is no connection to the broker");
        }
    }

    /// Hands on what came.
    pub(super) fn received(&self, incoming: Incoming) {
        match self.incoming.try_send(incoming) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(Incoming { topic, .. })) => {
                warn!(%topic, "a message for us is dropped: {INCOMING} wait already; send it again later");
            }
            Err(mpsc::error::TrySendError::Closed(Incoming { topic, .. })) => {
                tracing::debug!(%topic, "nobody takes what comes");
            }
        }
    }
}

/// The next answer to send; waits for ever once nobody can give one.
pub(super) async fn next(directs: &mut mpsc::Receiver<Direct>) -> Direct {
    match directs.recv().await {
        Some(direct) => direct,
        None => std::future::pending().await,
    }
}

/// What of the retained messages is still to be sent on this connection.
#[derive(Debug)]
pub(super) struct Retained {
    all: Arc<[Direct]>,
    /// Places in `all`.
    due: VecDeque<usize>,
}

impl Retained {
    /// All of them: the connection is new.
    pub(super) fn new(all: Arc<[Direct]>) -> Self {
        Self { due: (0..all.len()).collect(), all }
    }

    /// All of them once more.
    pub(super) fn again(&mut self) {
        self.due = (0..self.all.len()).collect();
    }

    /// They are others now: what is new, different, or was not sent yet is due.
    pub(super) fn change(&mut self, new: Arc<[Direct]>) {
        let mut sent: HashMap<&str, &Direct> =
            self.all.iter().map(|direct| (direct.topic.as_str(), direct)).collect();
        for place in &self.due {
            sent.remove(self.all[*place].topic.as_str());
        }
        let is_due = |place: &usize| sent.get(new[*place].topic.as_str()) != Some(&&new[*place]);
        let due = (0..new.len()).filter(is_due).collect();
        self.all = new;
        self.due = due;
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Direct> {
        self.due.pop_front().and_then(|place| self.all.get(place)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(all: &[(&str, &str)]) -> Arc<[Direct]> {
        let direct = |(topic, text): &(&str, &str)| Direct {
            topic: (*topic).to_owned(),
            payload: text.as_bytes().to_vec(),
            ..Direct::default()
        };
        all.iter().map(direct).collect()
    }

    fn rest(retained: &mut Retained) -> Vec<String> {
        std::iter::from_fn(|| retained.next())
            .map(|d| format!("{}={}", d.topic, String::from_utf8(d.payload).unwrap()))
            .collect()
    }

    #[test]
    fn a_new_connection_gets_all_and_a_change_what_is_new_or_different() {
        let mut retained = Retained::new(list(&[("a", "1"), ("b", "1")]));
        assert_eq!(rest(&mut retained), ["a=1", "b=1"]);
        retained.change(list(&[("a", "1"), ("b", "2"), ("c", "1")]));
        assert_eq!(rest(&mut retained), ["b=2", "c=1"]);
        retained.change(list(&[("a", "1"), ("b", "2")]));
        assert_eq!(retained.next(), None);
    }

    #[test]
    fn what_was_still_due_when_it_changed_is_sent_once_as_it_is_now() {
        let mut retained = Retained::new(list(&[("a", "1"), ("b", "1"), ("c", "1")]));
        assert_eq!(retained.next().unwrap().topic, "a");
        retained.change(list(&[("c", "1"), ("b", "2"), ("a", "1")]));
        assert_eq!(rest(&mut retained), ["c=1", "b=2"]);
    }
}
