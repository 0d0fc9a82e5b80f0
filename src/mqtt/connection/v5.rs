//! MQTT 5.

use super::access::Secret;
use super::pump::{self, Ask};
use super::{Event, Fault, KEEP_ALIVE, MAX_PACKET, Options, Publish, Reason};
use super::{in_words, of_system, of_the_store, refusal, v4};
use crate::mqtt::session::{self, Direct, Properties, Qos};
use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectProperties, ConnectReturnCode, Filter, LastWill, Login, Packet, PubAckReason,
    PublishProperties, Subscribe, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{self, QoS};
use rumqttc::v5::{Incoming, MqttState, Request, StateError};
use std::time::Duration;

/// One connection.
pub(super) struct Wire {
    connect: Connect,
    last_will: Option<LastWill>,
    login: Option<Login>,
    /// What each message of the store says of itself.
    standing: Properties,
    state: MqttState,
    is_open: bool,
    /// The largest packet that the broker takes, where it named one.
    max_packet: Option<u32>,
    keep_alive: Duration,
}

impl Wire {
    pub(super) fn new(options: &Options, login: Option<(String, Secret)>) -> Self {
        let properties = ConnectProperties { max_packet_size: Some(MAX_PACKET), ..ConnectProperties::new() };
        let connect = Connect {
            keep_alive: KEEP_ALIVE.as_secs() as u16,
            client_id: options.client_id.clone(),
            clean_start: true,
            properties: Some(properties),
        };
        let last_will = options
            .last_will
            .clone()
            .map(|Publish { topic, payload }| LastWill::new(topic, payload, QoS::AtLeastOnce, true, None));
        let login = login.map(|(user, password)| Login::new(user, password.reveal()));
        Self {
            connect,
            last_will,
            login,
            standing: of_the_store(options.mqtt.expiry),
            state: MqttState::new(options.mqtt.window.max(1), false),
            is_open: false,
            max_packet: None,
            keep_alive: KEEP_ALIVE,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum; whatever it is, it is not the first packet"
    )]
    /// The first packet must be the broker's yes, with what it wants of us.
    fn begin(&mut self, packet: &Incoming) -> Result<(), Fault> {
        match packet {
            Incoming::ConnAck(ack) if ack.code == ConnectReturnCode::Success => {
                if let Some(properties) = &ack.properties {
                    self.max_packet = properties.max_packet_size;
                    // 0 is never; a sign of life is no harm then.
                    if let Some(seconds) = properties.server_keep_alive.filter(|seconds| *seconds > 0) {
                        self.keep_alive = Duration::from_secs(seconds.into());
                    }
                }
                self.is_open = true;
                Ok(())
            }
            Incoming::ConnAck(ack) => Err(Fault::NotAccepted(refusal::of_connection(&in_words(ack.code)))),
            other => Err(Fault::Lost(format!("the broker began with {other:?} in place of CONNACK"))),
        }
    }

    fn write(&self, packet: &Packet, out: &mut BytesMut) -> Result<(), Fault> {
        packet.write(out, self.max_packet).map(drop).map_err(|error| Fault::Lost(error.to_string()))
    }
}

impl pump::Wire for Wire {
    fn hello(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        let connect = Packet::Connect(self.connect.clone(), self.last_will.clone(), self.login.clone());
        self.write(&connect, out)
    }

    fn send(&mut self, ask: Ask, out: &mut BytesMut) -> Result<(), Fault> {
        let request = match ask {
            Ask::Publish(Publish { topic, payload }, retain) => {
                let properties = Some(of_text(&self.standing, retain));
                let mut publish = mqttbytes::v5::Publish::new(topic, QoS::AtLeastOnce, payload, properties);
                publish.retain = retain;
                Request::Publish(publish)
            }
            Ask::Direct(Direct { topic, payload, retain, qos: of, properties }) => {
                let properties = Some(outgoing(properties));
                let mut publish = mqttbytes::v5::Publish::new(topic, qos(of), payload, properties);
                publish.retain = retain;
                Request::Publish(publish)
            }
            Ask::Subscribe(filter, most) => {
                Request::Subscribe(Subscribe::new(Filter::new(filter, qos(most)), None))
            }
            Ask::Ping => Request::PingReq,
            Ask::Disconnect => Request::Disconnect,
        };
        let packet = self.state.handle_outgoing_packet(request).map_err(fault)?;
        packet.map_or(Ok(()), |packet| self.write(&packet, out))
    }

    fn receive(&mut self, read: &mut BytesMut, out: &mut BytesMut) -> Result<bool, Fault> {
        let packet = match Packet::read(read, Some(MAX_PACKET)) {
            Ok(packet) => packet,
            Err(mqttbytes::Error::InsufficientBytes(_)) => return Ok(false),
            Err(error) => return Err(Fault::Lost(error.to_string())),
        };
        if !self.is_open {
            self.begin(&packet)?;
        }
        let answer = self.state.handle_incoming_packet(packet).map_err(fault)?;
        answer.map_or(Ok(()), |answer| self.write(&answer, out))?;
        Ok(true)
    }

    fn event(&mut self) -> Option<Event> {
        loop {
            let event = match self.state.events.pop_front()? {
                rumqttc::v5::Event::Incoming(packet) => incoming(packet),
                rumqttc::v5::Event::Outgoing(packet) => v4::outgoing(&packet),
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn keep_alive(&self) -> Duration {
        self.keep_alive
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum; the rest does not concern a client at QoS 1"
)]
fn incoming(packet: Incoming) -> Option<Event> {
    match packet {
        Incoming::ConnAck(ack) => {
            let (receive_max, max_packet) =
                ack.properties.map_or((None, None), |p| (p.receive_max, p.max_packet_size));
            Some(Event::Connected {
                receive_max: receive_max.unwrap_or(u16::MAX),
                max_packet: max_packet.unwrap_or(MAX_PACKET) as usize,
            })
        }
        Incoming::PubAck(ack) => Some(match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Event::Signed(ack.pkid),
            refused => {
                let said = ack.properties.and_then(|p| p.reason_string);
                let reason = reason(refused);
                let words = in_words(refused);
                Event::Refused(
                    ack.pkid,
                    reason,
                    said.map_or(words.clone(), |said| format!("{words} ({said})")),
                )
            }
        }),
        Incoming::Publish(p) => Some(Event::Received(session::Incoming {
            topic: String::from_utf8_lossy(&p.topic).into_owned(),
            payload: p.payload,
            properties: p.properties.map(received).unwrap_or_default(),
        })),
        Incoming::SubAck(ack)
            if !ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) =>
        {
            Some(Event::NotSubscribed)
        }
        _ => None,
    }
}

const fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

/// The properties of a message of the store, which is UTF-8 text. What is retained is the present state and
/// does not expire.
fn of_text(standing: &Properties, retain: bool) -> PublishProperties {
    let mut properties = outgoing(standing.clone());
    properties.payload_format_indicator = Some(1);
    if retain {
        properties.message_expiry_interval = None;
    }
    properties
}

const fn reason(reason: PubAckReason) -> Reason {
    match reason {
        PubAckReason::QuotaExceeded => Reason::Quota,
        PubAckReason::NotAuthorized => Reason::NotAuthorised,
        PubAckReason::TopicNameInvalid => Reason::Topic,
        PubAckReason::PayloadFormatInvalid => Reason::Payload,
        PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError
        | PubAckReason::PacketIdentifierInUse
        | PubAckReason::Success
        | PubAckReason::NoMatchingSubscribers => Reason::Other,
    }
}

fn outgoing(properties: Properties) -> PublishProperties {
    let Properties { response_topic, correlation_data, content_type, user, expiry } = properties;
    let expiry = expiry.map(|expiry| u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX));
    PublishProperties {
        message_expiry_interval: expiry,
        response_topic,
        correlation_data,
        content_type,
        user_properties: user,
        ..PublishProperties::default()
    }
}

fn received(properties: PublishProperties) -> Properties {
    let PublishProperties { response_topic, correlation_data, content_type, .. } = properties;
    let expiry = properties.message_expiry_interval.map(|s| Duration::from_secs(s.into()));
    Properties { response_topic, correlation_data, content_type, user: properties.user_properties, expiry }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; its own words say the rest")]
fn fault(error: StateError) -> Fault {
    match error {
        StateError::AwaitPingResp => Fault::Silent,
        StateError::Io(error) => Fault::Lost(of_system(&error)),
        StateError::ServerDisconnect { reason_code, reason_string } => {
            let said = reason_string.map(|said| format!(" ({said})")).unwrap_or_default();
            Fault::Lost(format!("the broker ended the connection: {}{said}", in_words(reason_code)))
        }
        other => Fault::Lost(other.to_string()),
    }
}
