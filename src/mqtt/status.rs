//! The status of a gateway: online with what its clock is worth, or offline with the reason. Retained.

use super::PAYLOAD_VERSION;
use super::json;
use super::payload::{Digits, instant, second};
use crate::clock::Distrust;
use crate::store::{self, StoreError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the daemon tells the session of itself; a change is published at once, so whoever tells it holds back numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Why wall time is not trusted, if it is not: then no slot opens.
    pub distrust: Option<Distrust>,
    /// How the store is, where it is known.
    pub store: Option<store::State>,
    /// What is not as it should be.
    pub alarms: Vec<Alarm>,
}

/// Something that is not as it should be, as long as it is so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// What.
    pub word: AlarmWord,
    /// Since when.
    pub since: Timestamp,
    /// Name of the bus, of an alarm of a line.
    pub bus: Option<String>,
}

/// The message on a gateway's status topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "meterd status message")]
pub struct StatusMessage {
    /// Version of the payload.
    #[schemars(extend("const" = PAYLOAD_VERSION))]
    pub v: u8,
    /// Online or offline.
    pub state: State,
    /// Name of the gateway.
    pub gateway: String,
    /// Version of meterd; of an online gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When the connection began (online), or when the daemon ended it (offline by shutdown). The last
    /// will has none: it was written before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub since: Option<String>,
    /// Id of the store whose numbers `seq` are; of an online gateway. A store made anew has a new id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Whether the gateway trusts its clock; of an online gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockWord>,
    /// Why the clock is not trusted, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_detail: Option<String>,
    /// Why it is offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Offline>,
    /// What waits for the broker; of an online gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BacklogJson")]
    pub backlog: Option<BacklogJson>,
    /// The store's files; of an online gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DiskJson")]
    pub disk: Option<DiskJson>,
    /// What is not as it should be; left out if nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmJson>,
}

/// Messages that the broker has not signed for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BacklogJson {
    /// How many.
    pub messages: u64,
    /// The oldest: the slot of readings, else when it was stored; left out if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub oldest: Option<String>,
}

/// The store's files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DiskJson {
    /// Octets in use.
    pub bytes: u64,
    /// Octets that it may use.
    pub max_bytes: u64,
    /// Why nothing is stored at present, if so; what is read waits in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TroubleWord")]
    pub trouble: Option<TroubleWord>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub trouble_detail: Option<String>,
}

/// Why nothing is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TroubleWord {
    /// No room (磁盘满).
    Full,
    /// Reading or writing failed.
    Io,
    /// Read-only, or not accessible.
    ReadOnly,
    /// Another program holds the file.
    Busy,
    /// Another store stands in its place.
    Exchanged,
    /// The file is damaged.
    Damaged,
    /// A fault of meterd.
    Bug,
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AlarmJson {
    /// What.
    pub alarm: AlarmWord,
    /// Name of the bus, of an alarm of a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub bus: Option<String>,
    /// Since when, by the gateway's clock.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
}

/// What is not as it should be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmWord {
    /// The clock is not trusted, so no slot opens (时钟不可信).
    ClockNotTrusted,
    /// Nothing is stored; `disk` says why.
    StoreTrouble,
    /// No meter of the line answers (整条总线无应答).
    LineSilent,
    /// Somebody talks on the line without end (总线堵塞).
    LineJammed,
    /// The line's port cannot be used (端口脱落).
    PortGone,
}

impl AlarmWord {
    /// For a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ClockNotTrusted => "the clock is not trusted",
            Self::StoreTrouble => "nothing is stored",
            Self::LineSilent => "no meter answers",
            Self::LineJammed => "somebody talks without end",
            Self::PortGone => "the port is gone",
        }
    }
}

impl TroubleWord {
    const fn of(trouble: &StoreError) -> Self {
        match trouble {
            StoreError::Full { .. } => Self::Full,
            StoreError::Io { .. } => Self::Io,
            StoreError::ReadOnly { .. } => Self::ReadOnly,
            StoreError::Busy { .. } => Self::Busy,
            StoreError::Exchanged { .. } => Self::Exchanged,
            StoreError::Damaged { .. } => Self::Damaged,
            StoreError::Bug { .. } => Self::Bug,
        }
    }
}

/// Whether the gateway is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is connected.
    Online,
    /// It is not.
    Offline,
}

/// Why a gateway is offline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Offline {
    /// The broker lost the connection and published the last will.
    ConnectionLost,
    /// The daemon was stopped in order.
    Shutdown,
}

/// What the gateway thinks of its clock. No slot is read while it is not `trusted`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockWord {
    /// Slots are read.
    Trusted,
    /// The clock shows a time before this version was released.
    BeforeRelease,
    /// The clock shows a time before the newest reading in the store.
    BeforeStore,
    /// The time service has not set the clock since boot.
    Unsynchronised,
}

impl StatusMessage {
    /// `online`, after each connect and whenever the status changes.
    pub(crate) fn online(
        gateway: &str,
        store: &str,
        since: String,
        status: &Status,
        zone: &TimeZone,
    ) -> Self {
        let clock = match status.distrust {
            None => ClockWord::Trusted,
            Some(Distrust::BeforeRelease(_)) => ClockWord::BeforeRelease,
            Some(Distrust::BeforeStore { .. }) => ClockWord::BeforeStore,
            Some(Distrust::Unsynchronised) => ClockWord::Unsynchronised,
        };
        Self {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            since: Some(since),
            store: Some(store.to_owned()),
            clock: Some(clock),
            clock_detail: status.distrust.map(|why| why.to_string()),
            backlog: status.store.as_ref().map(|store| BacklogJson {
                messages: store.backlog,
                oldest: store.oldest.map(|at| second(at, zone)),
            }),
            disk: status.store.as_ref().map(|store| DiskJson {
                bytes: store.bytes,
                max_bytes: store.max_bytes,
                trouble: store.trouble.as_ref().map(TroubleWord::of),
                trouble_detail: store.trouble.as_ref().map(ToString::to_string),
            }),
            alarms: status
                .alarms
                .iter()
                .map(|alarm| AlarmJson {
                    alarm: alarm.word,
                    bus: alarm.bus.clone(),
                    since: instant(alarm.since, zone, Digits::Milliseconds),
                })
                .collect(),
            ..Self::bare(gateway, State::Online)
        }
    }

    /// `offline`: the last will with no time, or the daemon's own word.
    pub(crate) fn offline(gateway: &str, reason: Offline, since: Option<String>) -> Self {
        Self { reason: Some(reason), since, ..Self::bare(gateway, State::Offline) }
    }

    fn bare(gateway: &str, state: State) -> Self {
        Self {
            v: PAYLOAD_VERSION,
            state,
            gateway: gateway.to_owned(),
            version: None,
            since: None,
            store: None,
            clock: None,
            clock_detail: None,
            reason: None,
            backlog: None,
            disk: None,
            alarms: Vec::new(),
        }
    }

    /// The payload.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        json::text(self).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &StatusMessage) -> String {
        String::from_utf8(message.to_json()).unwrap()
    }

    fn online(since: &str, status: &Status) -> StatusMessage {
        StatusMessage::online("gw01", "8f3c", since.to_owned(), status, &TimeZone::UTC)
    }

    #[test]
    fn backlog_store_and_alarms_are_said_with_since_when() {
        let at = "2026-11-21T02:15:00.431Z".parse().unwrap();
        let store = store::State {
            id: "8f3c".into(),
            backlog: 7,
            oldest: Some(at),
            bytes: 4096,
            max_bytes: 1 << 24,
            trouble: Some(StoreError::Full { detail: "13".to_owned() }),
        };
        let alarm = |word, bus: Option<&str>| Alarm { word, since: at, bus: bus.map(str::to_owned) };
        let alarms = vec![alarm(AlarmWord::StoreTrouble, None), alarm(AlarmWord::PortGone, Some("east"))];
        let message = text(&online("", &Status { store: Some(store), alarms, distrust: None }));
        for part in [
            r#""backlog":{"messages":7,"oldest":"2026-11-21T02:15:00+00:00"},"disk":{"bytes":4096,"max_bytes":16777216,"trouble":"full","trouble_detail":"the disk is full: "#,
            r#""alarms":[{"alarm":"store_trouble","since":"2026-11-21T02:15:00.431+00:00"},{"alarm":"port_gone","bus":"east","since":"#,
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }

    #[test]
    fn online_says_version_since_store_and_clock() {
        let message = online("2026-11-21T10:15:00+08:00", &Status::default());
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            r#"{{"v":1,"state":"online","gateway":"gw01","version":"{version}","since":"2026-11-21T10:15:00+08:00","store":"8f3c","clock":"trusted"}}"#
        );
        assert_eq!(text(&message), expected);
    }

    #[test]
    fn a_distrusted_clock_is_said_by_a_word_and_a_sentence() {
        let status = Status { distrust: Some(Distrust::Unsynchronised), ..Status::default() };
        let message = text(&online("", &status));
        let told =
            r#""clock":"unsynchronised","clock_detail":"the time service has not set the clock since boot""#;
        assert!(message.contains(told), "{message}");
    }

    #[test]
    fn offline_says_why() {
        let will = StatusMessage::offline("gw01", Offline::ConnectionLost, None);
        assert_eq!(text(&will), r#"{"v":1,"state":"offline","gateway":"gw01","reason":"connection_lost"}"#);
        let stop = text(&StatusMessage::offline("gw01", Offline::Shutdown, Some("2026".into())));
        assert_eq!(stop, r#"{"v":1,"state":"offline","gateway":"gw01","since":"2026","reason":"shutdown"}"#);
    }
}
