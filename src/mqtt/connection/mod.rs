//! One connection to a broker, from CONNECT to its first fault; there is no second life in it.
//!
//! The library's types stay in here. A connection is a [`Client`] that takes packets, [`Events`] that
//! come out, and a [`Pump`] that must be polled beside them. The pump is never cancelled half-way
//! through a packet: the library would then hold a message for sent that never left.

pub(super) mod access;
mod refusal;
mod v4;
mod v5;

use crate::config::{Mqtt, MqttVersion};
use crate::mqtt::PAYLOAD_VERSION;
use crate::mqtt::session::{Direct, Incoming, Properties, Qos};
use access::Access;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// Packets that may wait between us and the library; the window is smaller, so that it is never full.
const REQUESTS: usize = 128;
/// Events that may wait for us. When it is full the pump waits, and with it the socket.
const EVENTS: usize = 128;
/// How long TCP, CONNECT and CONNACK may take together.
const CONNECT_TIMEOUT_S: u64 = 10;
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
    /// The oldest message not yet sent left with this packet id; 0 at QoS 0, which has no receipt.
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

/// A packet that the library did not take: its queue is full, or it has ended, or the topic has a wildcard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the packet was not taken")]
pub(super) struct NotTaken;

/// What takes our packets.
#[derive(Debug)]
pub(super) enum Client {
    V4(rumqttc::AsyncClient),
    /// With the properties of each message of the store.
    V5(rumqttc::v5::AsyncClient, Properties),
}

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
    let (sender, events) = mpsc::channel(EVENTS);
    let access = Access::read(&options.mqtt)?;
    Ok(match options.mqtt.version {
        MqttVersion::V4 => {
            let (client, eventloop) = v4::open(options, access);
            (Client::V4(client), events, Box::pin(v4::pump(eventloop, sender)))
        }
        MqttVersion::V5 => {
            let (client, eventloop) = v5::open(options, access);
            let standing = of_the_store(options.mqtt.expiry);
            (Client::V5(client, standing), events, Box::pin(v5::pump(eventloop, sender)))
        }
    })
}

impl Client {
    /// Publishes with QoS 1, at once or not at all.
    pub(super) fn publish(&self, publish: Publish, retain: bool) -> Result<(), NotTaken> {
        let Publish { topic, payload } = publish;
        match self {
            Self::V4(c) => c.try_publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload).or(Err(NotTaken)),
            Self::V5(c, standing) => {
                let properties = v5::of_text(standing, retain);
                c.try_publish_with_properties(topic, v5::qos(Qos::AtLeastOnce), retain, payload, properties)
                    .or(Err(NotTaken))
            }
        }
    }

    /// Publishes what is not in the store; its properties are left out by MQTT 3.1.1.
    pub(super) fn send(&self, direct: Direct) -> Result<(), NotTaken> {
        let Direct { topic, payload, retain, qos, properties } = direct;
        match self {
            Self::V4(c) => c.try_publish(topic, v4::qos(qos), retain, payload).or(Err(NotTaken)),
            Self::V5(c, _) => c
                .try_publish_with_properties(topic, v5::qos(qos), retain, payload, v5::outgoing(properties))
                .or(Err(NotTaken)),
        }
    }

    /// Subscribes. An onlooker needs no receipt (QoS 0); what must not be missed has one.
    pub(super) fn subscribe(&self, filter: String, most: Qos) -> Result<(), NotTaken> {
        match self {
            Self::V4(c) => c.try_subscribe(filter, v4::qos(most)).or(Err(NotTaken)),
            Self::V5(c, _) => c.try_subscribe(filter, v5::qos(most)).or(Err(NotTaken)),
        }
    }

    /// Says farewell; the broker then forgets the last will.
    pub(super) fn disconnect(&self) -> Result<(), NotTaken> {
        match self {
            Self::V4(c) => c.try_disconnect().or(Err(NotTaken)),
            Self::V5(c, _) => c.try_disconnect().or(Err(NotTaken)),
        }
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

/// The library joins host and port with a colon, so an IPv6 address needs its brackets; for TLS it must not
/// have them, since what it is given is also the name that it looks for in the certificate.
fn bracketed(host: &str, tls: bool) -> String {
    if host.contains(':') && !tls { format!("[{host}]") } else { host.to_owned() }
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
    fn an_ipv6_host_has_brackets_but_for_tls() {
        assert_eq!(bracketed("::1", false), "[::1]");
        assert_eq!(bracketed("::1", true), "::1");
        assert_eq!(bracketed("broker.example", false), "broker.example");
    }

    #[test]
    fn codes_and_errors_are_read_by_people() {
        assert_eq!(in_words(rumqttc::ConnectReturnCode::NotAuthorized), "not authorized");
        let refused = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(of_system(&refused), "connection refused");
    }
}
