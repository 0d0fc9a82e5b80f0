//! An onlooker: reads what gateways publish, and never publishes.
//!
//! It needs no receipts and remembers nothing: what is published while it has no connection is not seen.

use super::connection::{self, Event, Events, Options};
use super::payload::{
    BirthMessage, DataMessage, EventMessage, FlatMessage, MeterStatusMessage, RoundMessage,
};
use super::session::{Backoff, Incoming, Qos};
use super::status::StatusMessage;
use super::topics::{self, Topic};
use crate::config;
use std::ops::ControlFlow;
use std::time::Duration;

/// Whom to look at.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Broker, version of MQTT, prefix of topics.
    pub mqtt: config::Mqtt,
    /// Name of a gateway, or `+` for all.
    pub gateway: String,
    /// Meter points.
    pub meters: Pattern,
}

/// What an onlooker sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// The connection is there.
    Connected,
    /// The connection is not there, or broke.
    Lost {
        /// Why.
        why: String,
        /// How long until the next attempt.
        retry_in: Duration,
    },
    /// Readings.
    Data {
        /// As read.
        message: DataMessage,
        /// As it came.
        payload: Vec<u8>,
    },
    /// What happened to a meter or a gateway.
    Event {
        /// As read.
        message: EventMessage,
        /// As it came.
        payload: Vec<u8>,
    },
    /// A meter's state.
    MeterStatus {
        /// As read.
        message: MeterStatusMessage,
        /// As it came.
        payload: Vec<u8>,
    },
    /// A gateway's status.
    Status {
        /// As read.
        message: StatusMessage,
        /// As it came.
        payload: Vec<u8>,
    },
    /// What a gateway reads.
    Birth {
        /// As read.
        message: BirthMessage,
        /// As it came.
        payload: Vec<u8>,
    },
    /// What a slot of a task brought.
    Round {
        /// As read.
        message: RoundMessage,
        /// As it came.
        payload: Vec<u8>,
    },
    /// A message on a topic of ours that cannot be read.
    Unreadable {
        /// Where.
        topic: String,
        /// Why.
        why: String,
    },
}

/// Names of meter points: `*` stands for any text, `?` for one character.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern(String);

impl Pattern {
    /// Takes a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// True if `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name): (Vec<char>, Vec<char>) = (self.0.chars().collect(), name.chars().collect());
        let (mut p, mut n) = (0, 0);
        // Where to go on if the last star has to take one character more.
        let mut star = None;
        while n < name.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(&c) if c == '?' || c == name[n] => {
                    p += 1;
                    n += 1;
                }
                Some(_) | None => {
                    let Some((at, taken)) = star else { return false };
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
            }
        }
        pattern[p..].iter().all(|&c| c == '*')
    }

    /// The level of a topic filter that lets all through that may match.
    fn level(&self) -> &str {
        if self.0.contains(['*', '?']) { "+" } else { &self.0 }
    }
}

/// Tells `see` what comes, reconnecting for ever, until it breaks off. To stop it from outside, drop it.
pub async fn follow(watch: &Watch, mut see: impl FnMut(Seen) -> ControlFlow<()>) {
    let mut backoff = Backoff::seeded();
    let options = Options {
        mqtt: watch.mqtt.clone(),
        // Another client of the same name would be thrown out by the broker.
        client_id: format!("meterd-watch-{:08x}", getrandom::u32().unwrap_or(std::process::id())),
        last_will: None,
    };
    loop {
        let end = match connection::open(&options) {
            Ok((client, events, pump)) => tokio::select! {
                end = look(watch, &client, events, &mut backoff, &mut see) => end,
                never = pump => match never {},
            },
            Err(fault) => ControlFlow::Continue(fault.to_string()),
        };
        let ControlFlow::Continue(why) = end else { return };
        let retry_in = backoff.next();
        if see(Seen::Lost { why, retry_in }).is_break() {
            return;
        }
        tokio::time::sleep(retry_in).await;
    }
}

/// One connection; why it ended, or a break if that was asked for.
async fn look(
    watch: &Watch,
    client: &connection::Client,
    mut events: Events,
    backoff: &mut Backoff,
    see: &mut impl FnMut(Seen) -> ControlFlow<()>,
) -> ControlFlow<(), String> {
    while let Some(event) = events.recv().await {
        match event {
            Event::Connected { .. } => {
                backoff.reset();
                for filter in topics::filters(&watch.mqtt.prefix, &watch.gateway, watch.meters.level()) {
                    if let Err(fault) = client.subscribe(filter, Qos::AtMostOnce) {
                        return ControlFlow::Continue(fault.to_string());
                    }
                }
                see(Seen::Connected)?;
            }
            Event::Received(incoming) => {
                if let Some(seen) = watch.read(incoming) {
                    see(seen)?;
                }
            }
            Event::NotSubscribed => {
                return ControlFlow::Continue("the broker refuses the subscription".to_owned());
            }
            Event::Fault(fault) => return ControlFlow::Continue(fault.to_string()),
            Event::Sent(_) | Event::Signed(_) | Event::Refused(..) | Event::Disconnected => {}
        }
    }
    ControlFlow::Continue("the connection ended".to_owned())
}

impl Watch {
    /// Reads a message; `None` if it is not of a meter that is looked at.
    fn read(&self, Incoming { topic, payload, .. }: Incoming) -> Option<Seen> {
        let payload = payload.to_vec();
        let unreadable = |why: String| Seen::Unreadable { topic: topic.clone(), why };
        let seen = match Topic::parse(&self.mqtt.prefix, &topic)? {
            Topic::Data { meter, .. }
            | Topic::MeterEvent { meter, .. }
            | Topic::MeterStatus { meter, .. }
                if !self.meters.matches(meter) =>
            {
                return None;
            }
            Topic::Data { .. } => match data(&payload) {
                Ok(message) => Seen::Data { message, payload },
                Err(error) => unreadable(error.to_string()),
            },
            Topic::Event { .. } | Topic::MeterEvent { .. } => match EventMessage::parse(&payload) {
                Ok(message) => Seen::Event { message, payload },
                Err(error) => unreadable(error.to_string()),
            },
            Topic::MeterStatus { .. } => match MeterStatusMessage::parse(&payload) {
                Ok(message) => Seen::MeterStatus { message, payload },
                Err(error) => unreadable(error.to_string()),
            },
            Topic::Status { .. } => match serde_json::from_slice(&payload) {
                Ok(message) => Seen::Status { message, payload },
                Err(error) => unreadable(error.to_string()),
            },
            // Of a part that is no more.
            Topic::Birth { .. } if payload.is_empty() => return None,
            Topic::Birth { .. } => match BirthMessage::parse(&payload) {
                Ok(message) => Seen::Birth { message, payload },
                Err(error) => unreadable(error.to_string()),
            },
            Topic::Round { .. } => match RoundMessage::parse(&payload) {
                Ok(message) => Seen::Round { message, payload },
                Err(error) => unreadable(error.to_string()),
            },
            Topic::Command { .. } | Topic::Reply { .. } => return None,
        };
        Some(seen)
    }
}

/// A data message in whichever form.
fn data(payload: &[u8]) -> serde_json::Result<DataMessage> {
    DataMessage::parse(payload)
        .or_else(|full| FlatMessage::parse(payload).map(FlatMessage::unfold).map_err(|_| full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::Properties;

    fn watch(meters: &str) -> Watch {
        let mqtt = config::Mqtt { prefix: "p".into(), ..config::Mqtt::at("127.0.0.1", 1883) };
        Watch { mqtt, gateway: "+".into(), meters: Pattern::new(meters) }
    }

    #[test]
    fn pattern_has_stars_and_question_marks_and_nothing_else() {
        for (pattern, fits, does_not) in [
            ("*", vec!["", "flat-101", "总表"], vec![]),
            ("flat-*", vec!["flat-", "flat-101"], vec!["flat", "a-flat-1"]),
            ("*-1?", vec!["flat-11", "x-1-12"], vec!["flat-1", "flat-111"]),
            ("a*b*c", vec!["abc", "aXbYc", "abbcc"], vec!["ab", "acb", "abcd"]),
            ("flat.101", vec!["flat.101"], vec!["flat-101"]),
        ] {
            let pattern = Pattern::new(pattern);
            assert!(fits.iter().all(|name| pattern.matches(name)), "{pattern:?}");
            assert!(!does_not.iter().any(|name| pattern.matches(name)), "{pattern:?}");
        }
    }

    #[test]
    fn a_plain_name_is_filtered_by_the_broker_and_a_pattern_here() {
        assert_eq!(Pattern::new("flat-101").level(), "flat-101");
        assert_eq!(Pattern::new("flat-*").level(), "+");
    }

    #[test]
    fn what_cannot_be_read_is_shown_and_what_is_not_watched_is_not() {
        let read = |meters: &str, topic: &str| {
            let (payload, properties) = ("{}".into(), Properties::default());
            watch(meters).read(Incoming { topic: topic.into(), payload, properties })
        };
        assert!(matches!(read("*", "p/gw/meter/m/data/t"), Some(Seen::Unreadable { .. })));
        assert!(matches!(read("*", "p/gw/status"), Some(Seen::Unreadable { .. })));
        assert!(matches!(read("*", "p/gw/meter/m/event/k"), Some(Seen::Unreadable { .. })));
        assert!(matches!(read("other", "p/gw/event/k"), Some(Seen::Unreadable { .. })));
        assert_eq!(read("other", "p/gw/meter/m/data/t"), None);
        assert_eq!(read("other", "p/gw/meter/m/event/k"), None);
        assert_eq!(read("other", "p/gw/meter/m/status"), None);
        assert_eq!(read("*", "q/gw/meter/m/data/t"), None);
    }
}
