//! One connection to a broker, from CONNECT to its first fault; there is no second life in it.
//!
//! The library's types stay in here: its packets and its state of a connection, one module for each version of the
//! protocol; the socket is ours. A connection is a [`Client`] that takes packets, [`Events`] that come out, and a
//! [`Pump`] that must be polled beside them.

mod pump;
mod v4;
mod v5;

use crate::config::MqttVersion;
use pump::Ask;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// Packets that may wait between us and the library; the window is smaller, so that it is never full.
const REQUESTS: usize = 128;
/// Events that may wait for us. When it is full the pump waits, and with it the socket.
const EVENTS: usize = 128;
/// How long TCP, CONNECT and CONNACK may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest packet that we take or send by ourselves; a broker may name a smaller one.
const MAX_PACKET: u32 = 1024 * 1024;
/// MQTT keep alive (MQTT 3.1.1 clause 3.1.2.10); a silent peer is noticed within twice this.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Whom to connect to, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) version: MqttVersion,
    pub(super) client_id: String,
    /// Retained, QoS 1.
    pub(super) last_will: Option<Publish>,
    /// The most messages in flight, at least 1.
    pub(super) window: u16,
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
    /// The oldest message not yet sent goes out with this packet id.
    Sent(u16),
    /// The broker signed for this packet id (PUBACK).
    Signed(u16),
    /// The broker refuses this packet id (PUBACK with a reason from 80H, MQTT 5).
    Refused(u16, String),
    /// A message for us.
    Received(Publish),
    /// The broker refuses a subscription.
    NotSubscribed,
    /// Our DISCONNECT left.
    Disconnected,
    /// The end; no event follows.
    Fault(Fault),
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
pub(super) fn open(options: &Options) -> (Client, Events, Pump) {
    let (to_us, events) = mpsc::channel(EVENTS);
    let (client, asks) = mpsc::channel(REQUESTS);
    let to = (options.host.clone(), options.port);
    let pump: Pump = match options.version {
        MqttVersion::V4 => Box::pin(pump::pump(v4::Wire::new(options), to, asks, to_us)),
        MqttVersion::V5 => Box::pin(pump::pump(v5::Wire::new(options), to, asks, to_us)),
    };
    (Client(client), events, pump)
}

impl Client {
    /// Publishes with QoS 1, at once or not at all.
    pub(super) fn publish(&self, publish: Publish, retain: bool) -> Result<(), NotTaken> {
        let is_topic = rumqttc::valid_topic(&publish.topic);
        if is_topic { self.ask(Ask::Publish(publish, retain)) } else { Err(NotTaken) }
    }

    /// Subscribes with QoS 0: an onlooker needs no receipt.
    pub(super) fn subscribe(&self, filter: String) -> Result<(), NotTaken> {
        if rumqttc::valid_filter(&filter) { self.ask(Ask::Subscribe(filter)) } else { Err(NotTaken) }
    }

    /// Says farewell; the broker then forgets the last will.
    pub(super) fn disconnect(&self) -> Result<(), NotTaken> {
        self.ask(Ask::Disconnect)
    }

    fn ask(&self, ask: Ask) -> Result<(), NotTaken> {
        self.0.try_send(ask).or(Err(NotTaken))
    }
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
