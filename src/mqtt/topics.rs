//! Topics: a public contract. Written from names, and read back into names; nothing else builds a topic.
//!
//! ```text
//!                                                  QoS retain seq
//! {prefix}/{gateway}/status                        1   yes    no   how the gateway is; also the last will
//! {prefix}/{gateway}/birth                         1   yes    no   the archive of meters and the tasks in force
//! {prefix}/{gateway}/birth/{n}                     1   yes    no   part n of it from 1 on, where it has parts
//! {prefix}/{gateway}/round/{task}                  1   yes    yes  what the last slot of a task brought, over all buses
//! {prefix}/{gateway}/event/{kind}                  1   no     yes  what happened to the gateway
//! {prefix}/{gateway}/meter/{meter}/status          1   yes    yes  the event that made a meter's state what it is
//! {prefix}/{gateway}/meter/{meter}/data/{task}     1   no     yes  one message for a meter, a task and a slot
//! {prefix}/{gateway}/meter/{meter}/event/clock_off 1   yes    yes  whether the meter's clock is off
//! {prefix}/{gateway}/meter/{meter}/event/{kind}     1   no     yes  what else happened to the meter
//! {prefix}/{gateway}/command/{verb}                           to the gateway: what the head-end asks
//! {prefix}/{gateway}/reply/{verb}                  1   no     no   the answer where the question names no other topic
//! {home_assistant}/device/{gateway}/{meter}/config  1   yes    no   a meter for Home Assistant to find, where that is asked for
//! ```
//!
//! Of the events of a meter `clock_off` alone is retained: it stands until the next, so that the topics of all meters
//! together list the clocks that are off. What has a seq comes through the store, again until the broker has signed for it. [`Kind`] is the same table for the
//! program.

use super::Qos;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write;

/// The one event of a meter that is retained.
const CLOCK_OFF: &str = "clock_off";

/// The kinds of messages of a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A gateway's status.
    Status,
    /// Archive and tasks, or how many parts of them there are.
    Birth,
    /// One of the parts.
    BirthPart,
    /// What a slot of a task brought.
    Round,
    /// What happened to a gateway.
    Event,
    /// The state of a meter point.
    MeterStatus,
    /// Readings.
    Data,
    /// Whether the clock of a meter is off, which is so until the next.
    ClockOff,
    /// What else happened to a meter point.
    MeterEvent,
    /// What the head-end asks.
    Command,
    /// An answer to a command.
    Reply,
    /// A device for Home Assistant.
    Discovery,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Status,
        Self::Birth,
        Self::BirthPart,
        Self::Round,
        Self::Event,
        Self::MeterStatus,
        Self::Data,
        Self::ClockOff,
        Self::MeterEvent,
        Self::Command,
        Self::Reply,
        Self::Discovery,
    ];

    /// Its topics, with names in braces.
    pub fn template(self) -> String {
        let (prefix, gateway, meter, task) = ("{prefix}", "{gateway}", "{meter}", "{task}");
        match self {
            Self::Status => status(prefix, gateway),
            Self::Birth => birth(prefix, gateway),
            Self::BirthPart => birth_part(prefix, gateway, "{n}"),
            Self::Round => round(prefix, gateway, task),
            Self::Event => event(prefix, gateway, "{kind}"),
            Self::MeterStatus => meter_status(prefix, gateway, meter),
            Self::Data => data(prefix, gateway, meter, task),
            Self::ClockOff => meter_event(prefix, gateway, meter, CLOCK_OFF),
            Self::MeterEvent => meter_event(prefix, gateway, meter, "{kind}"),
            Self::Command => command(prefix, gateway, "{verb}"),
            Self::Reply => reply(prefix, gateway, "{verb}"),
            Self::Discovery => discovery("{home_assistant}", gateway, meter),
        }
    }

    /// Of what happened to a meter point, by its word.
    pub fn of_meter_event(word: &str) -> Self {
        if word == CLOCK_OFF { Self::ClockOff } else { Self::MeterEvent }
    }

    /// Whether the broker keeps the last one for who subscribes later: what is so until the next one.
    pub const fn retain(self) -> bool {
        match self {
            Self::Status
            | Self::Birth
            | Self::BirthPart
            | Self::Round
            | Self::MeterStatus
            | Self::ClockOff
            | Self::Discovery => true,
            Self::Event | Self::Data | Self::MeterEvent | Self::Command | Self::Reply => false,
        }
    }

    /// Whether the broker signs for it: for all of them.
    pub const fn qos(self) -> Qos {
        match self {
            Self::Status
            | Self::Birth
            | Self::BirthPart
            | Self::Round
            | Self::MeterStatus
            | Self::Event
            | Self::Data
            | Self::ClockOff
            | Self::MeterEvent
            | Self::Command
            | Self::Reply
            | Self::Discovery => Qos::AtLeastOnce,
        }
    }
}

/// The topic of a gateway's status.
pub fn status(prefix: &str, gateway: &str) -> String {
    format!("{prefix}/{gateway}/status")
}

/// The topic of the archive and the tasks in force.
pub fn birth(prefix: &str, gateway: &str) -> String {
    format!("{prefix}/{gateway}/birth")
}

/// The topic of part `n` of it, from 1 on.
pub fn birth_part(prefix: &str, gateway: &str, n: impl std::fmt::Display) -> String {
    format!("{prefix}/{gateway}/birth/{n}")
}

/// The topic of what the last slot of a task brought.
pub fn round(prefix: &str, gateway: &str, task: &str) -> String {
    format!("{prefix}/{gateway}/round/{task}")
}

/// The topic of the readings of one meter point by one task.
pub fn data(prefix: &str, gateway: &str, meter: &str, task: &str) -> String {
    format!("{prefix}/{gateway}/meter/{meter}/data/{task}")
}

/// The topic of what happened to the gateway itself.
pub fn event(prefix: &str, gateway: &str, kind: &str) -> String {
    format!("{prefix}/{gateway}/event/{kind}")
}

/// The topic of what happened to one meter point.
pub fn meter_event(prefix: &str, gateway: &str, meter: &str, kind: &str) -> String {
    format!("{prefix}/{gateway}/meter/{meter}/event/{kind}")
}

/// The topic of commands to a gateway.
pub fn command(prefix: &str, gateway: &str, verb: &str) -> String {
    format!("{prefix}/{gateway}/command/{verb}")
}

/// The topic of answers to a verb, where the question names no other.
pub fn reply(prefix: &str, gateway: &str, verb: &str) -> String {
    format!("{prefix}/{gateway}/reply/{verb}")
}

/// The topic of the state of one meter point.
pub fn meter_status(prefix: &str, gateway: &str, meter: &str) -> String {
    format!("{prefix}/{gateway}/meter/{meter}/status")
}

/// The topic by which Home Assistant finds a meter. It takes letters, digits, `_` and `-` only: a name with others gets
/// eight digits of its SHA-256 in their place.
pub fn home_assistant(prefix: &str, gateway: &str, meter: &str) -> String {
    discovery(prefix, &plain(gateway), &plain(meter))
}

fn discovery(prefix: &str, gateway: &str, meter: &str) -> String {
    format!("{prefix}/device/{gateway}/{meter}/config")
}

fn plain(name: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.chars().all(is_plain) {
        return name.into();
    }
    let mut text: String = name.chars().filter(|c| is_plain(*c)).collect();
    text.push('_');
    for octet in Sha256::digest(name).iter().take(4) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    text.into()
}

/// What to subscribe to for one gateway or, with `+`, all of them; likewise meters.
pub fn filters(prefix: &str, gateway: &str, meter: &str) -> [String; 7] {
    [
        status(prefix, gateway),
        // The parts too.
        format!("{}/#", birth(prefix, gateway)),
        round(prefix, gateway, "+"),
        event(prefix, gateway, "+"),
        meter_status(prefix, gateway, meter),
        data(prefix, gateway, meter, "+"),
        meter_event(prefix, gateway, meter, "+"),
    ]
}

/// A topic of ours, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic<'a> {
    /// A gateway's status.
    Status {
        /// Which gateway.
        gateway: &'a str,
    },
    /// Archive and tasks.
    Birth {
        /// Which gateway.
        gateway: &'a str,
        /// Which part, from 1 on; `None` for what says how many there are.
        part: Option<usize>,
    },
    /// What the last slot of a task brought.
    Round {
        /// Which gateway.
        gateway: &'a str,
        /// Which task.
        task: &'a str,
    },
    /// Readings.
    Data {
        /// Which gateway.
        gateway: &'a str,
        /// Which meter point.
        meter: &'a str,
        /// Which task.
        task: &'a str,
    },
    /// What happened to a gateway.
    Event {
        /// Which gateway.
        gateway: &'a str,
        /// What.
        kind: &'a str,
    },
    /// What happened to a meter point.
    MeterEvent {
        /// Which gateway.
        gateway: &'a str,
        /// Which meter point.
        meter: &'a str,
        /// What.
        kind: &'a str,
    },
    /// The state of a meter point.
    MeterStatus {
        /// Which gateway.
        gateway: &'a str,
        /// Which meter point.
        meter: &'a str,
    },
    /// What a head-end asks.
    Command {
        /// Which gateway.
        gateway: &'a str,
        /// What.
        verb: &'a str,
    },
    /// The answer to it.
    Reply {
        /// Which gateway.
        gateway: &'a str,
        /// To what.
        verb: &'a str,
    },
}

impl<'a> Topic<'a> {
    /// Takes a topic apart; `None` if it is none of ours below `prefix`.
    pub fn parse(prefix: &str, topic: &'a str) -> Option<Self> {
        let levels = topic.strip_prefix(prefix)?.strip_prefix('/')?;
        let mut levels = levels.split('/');
        let mut next = || levels.next().filter(|level| !level.is_empty());
        let gateway = next()?;
        let word = next()?;
        let topic = match word {
            "status" => Self::Status { gateway },
            "birth" => match next() {
                // `birth/` is none of ours.
                None if topic.ends_with('/') => return None,
                None => Self::Birth { gateway, part: None },
                Some(n) => Self::Birth { gateway, part: Some(number(n)?) },
            },
            "round" => Self::Round { gateway, task: next()? },
            "command" => Self::Command { gateway, verb: next()? },
            "reply" => Self::Reply { gateway, verb: next()? },
            "event" => Self::Event { gateway, kind: next()? },
            "meter" => {
                let meter = next()?;
                match next()? {
                    "data" => Self::Data { gateway, meter, task: next()? },
                    "event" => Self::MeterEvent { gateway, meter, kind: next()? },
                    "status" => Self::MeterStatus { gateway, meter },
                    _ => return None,
                }
            }
            _ => return None,
        };
        levels.next().is_none().then_some(topic)
    }
}

/// A number as we write it: from 1 on, without sign and zeros at the front.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n: &usize| *n > 0 && n.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn topics_are_those_of_the_contract() {
        assert_eq!(status("meterd/v1", "gw01"), "meterd/v1/gw01/status");
        assert_eq!(data("meterd/v1", "gw01", "flat-101", "live"), "meterd/v1/gw01/meter/flat-101/data/live");
        assert_eq!(event("meterd/v1", "gw01", "kind"), "meterd/v1/gw01/event/kind");
        assert_eq!(meter_status("meterd/v1", "gw01", "flat-101"), "meterd/v1/gw01/meter/flat-101/status");
        let report = "meterd/v1/gw01/meter/flat-101/event/active_report";
        assert_eq!(meter_event("meterd/v1", "gw01", "flat-101", "active_report"), report);
        let all = [
            "meterd/v1/+/status",
            "meterd/v1/+/birth/#",
            "meterd/v1/+/round/+",
            "meterd/v1/+/event/+",
            "meterd/v1/+/meter/+/status",
            "meterd/v1/+/meter/+/data/+",
            "meterd/v1/+/meter/+/event/+",
        ];
        assert_eq!(filters("meterd/v1", "+", "+"), all);
    }

    #[test]
    fn a_discovery_topic_has_no_letter_that_home_assistant_does_not_take_and_is_one_meters_own() {
        let of = |meter: &str| home_assistant("homeassistant", "gw-01", meter);
        assert_eq!(of("flat_101"), "homeassistant/device/gw-01/flat_101/config");
        let names = ["总表", "电表", "flat 101", "flat.101", "flat101"];
        let topics: std::collections::BTreeSet<String> = names.map(of).into();
        assert_eq!(topics.len(), names.len());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
        assert!(topics.iter().all(|topic| topic.chars().all(is_plain)), "{topics:?}");
    }

    #[test]
    fn what_is_no_topic_of_ours_is_none() {
        for topic in [
            "",
            "meterd/v1",
            "meterd/v1/",
            "meterd/v1//status",
            "meterd/v1/gw01",
            "meterd/v1/gw01/status/more",
            "meterd/v1/gw01/meter/m/data",
            "meterd/v1/gw01/meter/m/data/",
            "meterd/v1/gw01/meter/m/data/live/more",
            "meterd/v1/gw01/meter/m/other/live",
            "meterd/v1/gw01/meter/m/status/more",
            "meterd/v1/gw01/meter/m/event",
            "meterd/v1/gw01/meter/m/event/kind/more",
            "meterd/v1/gw01/event",
            "meterd/v1/gw01/event/",
            "meterd/v1/gw01/event/kind/more",
            "meterd/v1/gw01/birth/",
            "meterd/v1/gw01/birth/0",
            "meterd/v1/gw01/birth/01",
            "meterd/v1/gw01/birth/+1",
            "meterd/v1/gw01/birth/1/2",
            "meterd/v1/gw01/round",
            "meterd/v1/gw01/round/live/more",
            "meterd/v1/gw01/command",
            "meterd/v10/gw01/status",
            "other/gw01/status",
        ] {
            assert_eq!(Topic::parse("meterd/v1", topic), None, "{topic}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(gateway in "[^/+#\\x00-\\x1f$]{1,9}", meter in "[^/+#]{1,9}", task in "[^/+#]{1,9}") {
            let (g, m, t) = (gateway.as_str(), meter.as_str(), task.as_str());
            let (status, data) = (status("p/q", g), data("p/q", g, m, t));
            prop_assert_eq!(Topic::parse("p/q", &status), Some(Topic::Status { gateway: g }));
            let (whole, part) = (birth("p/q", g), birth_part("p/q", g, 12));
            prop_assert_eq!(Topic::parse("p/q", &whole), Some(Topic::Birth { gateway: g, part: None }));
            prop_assert_eq!(Topic::parse("p/q", &part), Some(Topic::Birth { gateway: g, part: Some(12) }));
            let (done, asked, answer) = (round("p/q", g, t), command("p/q", g, t), reply("p/q", g, t));
            prop_assert_eq!(Topic::parse("p/q", &done), Some(Topic::Round { gateway: g, task: t }));
            prop_assert_eq!(Topic::parse("p/q", &asked), Some(Topic::Command { gateway: g, verb: t }));
            prop_assert_eq!(Topic::parse("p/q", &answer), Some(Topic::Reply { gateway: g, verb: t }));
            let expected = Topic::Data { gateway: g, meter: m, task: t };
            prop_assert_eq!(Topic::parse("p/q", &data), Some(expected));
            let (own, of_meter, state) =
                (event("p/q", g, t), meter_event("p/q", g, m, t), meter_status("p/q", g, m));
            prop_assert_eq!(Topic::parse("p/q", &own), Some(Topic::Event { gateway: g, kind: t }));
            let expected = Topic::MeterEvent { gateway: g, meter: m, kind: t };
            prop_assert_eq!(Topic::parse("p/q", &of_meter), Some(expected));
            prop_assert_eq!(Topic::parse("p/q", &state), Some(Topic::MeterStatus { gateway: g, meter: m }));
        }
    }
}
