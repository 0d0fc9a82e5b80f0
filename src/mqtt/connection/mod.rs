//! One connection to a broker, from CONNECT to its first fault; there is no second life in it.
//!
//! The library's types stay in here: its packets and its state of a connection, one module for each version of the
//! protocol; the socket is ours. A connection is a [`Client`] that takes packets, [`Events`] that come out, and a
//! [`Pump`] that must be polled beside them.

pub(super) mod access;
mod prompt;
mod pump;
mod refusal;
mod v4;
mod v5;

use crate::config::{Mqtt, MqttVersion};
use crate::mqtt::PAYLOAD_VERSION;
use crate::mqtt::session::{Direct, Incoming, Properties, Qos};
use access::Access;
use pump::{Ask, Broker};
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// Packets that may wait between us and the library; the window is smaller, so that it is never full.
const REQUESTS: usize = 128;
/// Events that may wait for us. When it is full the pump waits, and with it the socket.
const EVENTS: usize = 128;
/// How long TCP, TLS, CONNECT and CONNACK may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest packet that we take or send by ourselves; a broker may name a smaller one.
const MAX_PACKET: u32 = 1024 * 1024;
/// MQTT keep alive (MQTT 3.1.1 clause 3.1.2.10); a silent peer is noticed within twice this.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Whom to connect to, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) mqtt: Mqtt,
    pub(super) client_id: String,
    /// Retained, QoS 1.
    pub(super) last_will: Option<Publish>,
}

/// A topic and what is published there.
#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// What happens on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// The broker took us in (CONNACK).
    Connected {
        /// The most messages in flight that the broker allows (MQTT 5).
        receive_max: u16,
        /// The largest packet that the broker takes.
        max_packet: usize,
    },
    /// The oldest message not yet sent goes out with this packet id; 0 at QoS 0, which has no receipt.
    Sent(u16),
    /// The broker signed for this packet id (PUBACK).
    Signed(u16),
    /// The broker refuses this packet id (PUBACK with a reason from 80H, MQTT 5), in its words.
    Refused(u16, Reason, String),
    /// A message for us.
    Received(Incoming),
    /// The broker refuses a subscription.
    NotSubscribed,
    /// Our DISCONNECT left.
    Disconnected,
    /// The end; no event follows.
    Fault(Fault),
}

/// Why a message was refused (MQTT 5 clause 3.4.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// 97H: the broker has had enough for now.
    Quota,
    /// 87H.
    NotAuthorised,
    /// 90H.
    Topic,
    /// 99H.
    Payload,
    /// Any other.
    Other,
}

impl Reason {
    /// What to do about it.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::Quota => "it is left alone for a while; raise its quota for this client if it comes again",
            Self::NotAuthorised => "allow this user to write to the topic at the broker",
            Self::Topic => "let the broker take topics of this form, or write another prefix under [mqtt]",
            Self::Payload => "let the broker take JSON there",
            Self::Other => "look at the broker's log",
        }
    }
}

/// Why a connection ended, or never began.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Fault {
    /// No connection, or it broke; in the words of the system or the library.
    #[error("{0}")]
    Lost(String),
    /// No CONNACK, or no answer to a ping.
    #[error("the broker does not answer")]
    Silent,
    /// The broker refuses us (CONNACK); in the protocol's words.
    #[error("the broker refuses the connection: {0}")]
    NotAccepted(String),
    /// We have nothing to sign in with.
    #[error("{0}")]
    Access(#[from] access::AccessError),
    /// The two sides do not believe each other.
    #[error("{0}")]
    Tls(String),
    /// The library would hold a message back behind a packet id in use; the window makes it impossible.
    #[error("packet id {0} was still in use")]
    Collision(u16),
}

/// A packet that was not taken: the queue is full, the connection has ended, or the topic is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the packet was not taken")]
pub(super) struct NotTaken;

/// What takes our packets.
#[derive(Debug)]
pub(super) struct Client(mpsc::Sender<Ask>);

/// What comes out of a connection; the last one is a fault.
pub(super) type Events = mpsc::Receiver<Event>;
/// What moves the connection; it never ends by itself.
pub(super) type Pump = Pin<Box<dyn Future<Output = Infallible> + Send>>;

/// Makes a connection; nothing moves until the pump is polled.
///
/// # Errors
/// Password, certificates or keys cannot be read. They are read anew for each connection: who replaces
/// them need not restart anything.
pub(super) fn open(options: &Options) -> Result<(Client, Events, Pump), Fault> {
    let (to_us, events) = mpsc::channel(EVENTS);
    let (client, asks) = mpsc::channel(REQUESTS);
    let Access { login, tls } = Access::read(&options.mqtt)?;
    let to = Broker { host: options.mqtt.host.clone(), port: options.mqtt.port, tls };
    let pump: Pump = match options.mqtt.version {
        MqttVersion::V4 => Box::pin(pump::pump(v4::Wire::new(options, login), to, asks, to_us)),
        MqttVersion::V5 => Box::pin(pump::pump(v5::Wire::new(options, login), to, asks, to_us)),
    };
    Ok((Client(client), events, pump))
}

impl Client {
    /// Publishes a message of the store with QoS 1, at once or not at all.
    pub(super) fn publish(&self, publish: Publish, retain: bool) -> Result<(), NotTaken> {
        let is_topic = rumqttc::valid_topic(&publish.topic);
        if is_topic { self.ask(Ask::Publish(publish, retain)) } else { Err(NotTaken) }
    }

    /// Publishes what is not in the store; its properties are left out by MQTT 3.1.1.
    pub(super) fn send(&self, direct: Direct) -> Result<(), NotTaken> {
        let is_topic = rumqttc::valid_topic(&direct.topic);
        if is_topic { self.ask(Ask::Direct(direct)) } else { Err(NotTaken) }
    }

    /// Subscribes. An onlooker needs no receipt (QoS 0); what must not be missed has one.
    pub(super) fn subscribe(&self, filter: String, most: Qos) -> Result<(), NotTaken> {
        if rumqttc::valid_filter(&filter) { self.ask(Ask::Subscribe(filter, most)) } else { Err(NotTaken) }
    }

    /// Says farewell; the broker then forgets the last will.
    pub(super) fn disconnect(&self) -> Result<(), NotTaken> {
        self.ask(Ask::Disconnect)
    }

    fn ask(&self, ask: Ask) -> Result<(), NotTaken> {
        self.0.try_send(ask).or(Err(NotTaken))
    }
}

/// What a message of the store says of itself with MQTT 5: 28 octets, and 5 for the expiry.
fn of_the_store(expiry: Option<Duration>) -> Properties {
    Properties {
        content_type: Some("application/json".to_owned()),
        user: vec![("v".to_owned(), PAYLOAD_VERSION.to_string())],
        expiry,
        ..Properties::default()
    }
}

/// What TLS has against it, however deep the library has packed it; `None` if it is not of TLS.
fn of_tls(error: &(dyn std::error::Error + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(Fault::Tls(refusal::of_tls(tls)));
        }
        let packed = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = packed.map(|packed| packed as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    None
}

/// `NotAuthorized` as `not authorized`.
fn in_words(code: impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for (place, c) in format!("{code:?}").char_indices() {
        if c.is_uppercase() && place > 0 {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// An operating system's error without the number that follows it.
fn of_system(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(said, _)| said.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_errors_are_read_by_people() {
        assert_eq!(in_words(rumqttc::ConnectReturnCode::NotAuthorized), "not authorized");
        let refused = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(of_system(&refused), "connection refused");
    }
}
