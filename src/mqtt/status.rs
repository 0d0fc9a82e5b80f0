//! The status of a gateway: online with what its clock is worth, or offline with the reason. Retained.

use super::PAYLOAD_VERSION;
use super::json;
use crate::clock::Distrust;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the daemon tells the session of itself; a change is published at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Why wall time is not trusted, if it is not: then no slot opens.
    pub distrust: Option<Distrust>,
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
    pub(crate) fn online(gateway: &str, store: &str, since: String, status: Status) -> Self {
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

    #[test]
    fn online_says_version_since_store_and_clock() {
        let message =
            StatusMessage::online("gw01", "8f3c", "2026-11-21T10:15:00+08:00".into(), Status::default());
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            r#"{{"v":1,"state":"online","gateway":"gw01","version":"{version}","since":"2026-11-21T10:15:00+08:00","store":"8f3c","clock":"trusted"}}"#
        );
        assert_eq!(text(&message), expected);
    }

    #[test]
    fn a_distrusted_clock_is_said_by_a_word_and_a_sentence() {
        let status = Status { distrust: Some(Distrust::Unsynchronised) };
        let message = text(&StatusMessage::online("gw01", "8f3c", String::new(), status));
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
