//! MQTT 3.1.1.

use super::access::Secret;
use super::pump::{self, Ask};
use super::{Event, Fault, KEEP_ALIVE, MAX_PACKET, Options, Publish, in_words, of_system, refusal};
use crate::mqtt::session::{self, Direct, Properties, Qos};
use bytes::BytesMut;
use rumqttc::{
    Connect, ConnectReturnCode, Disconnect, Incoming, LastWill, Login, MqttState, Outgoing, Packet, PingReq,
    QoS, Request, StateError, Subscribe, SubscribeReasonCode,
};
use std::time::Duration;

/// One connection.
pub(super) struct Wire {
    connect: Connect,
    state: MqttState,
    /// The broker's yes, until it is told.
    connected: Option<Event>,
    is_open: bool,
}

impl Wire {
    pub(super) fn new(options: &Options, login: Option<(String, Secret)>) -> Self {
        let mut connect = Connect::new(&options.client_id);
        connect.keep_alive = KEEP_ALIVE.as_secs() as u16;
        connect.last_will = options
            .last_will
            .clone()
            .map(|Publish { topic, payload }| LastWill::new(topic, payload, QoS::AtLeastOnce, true));
        connect.login = login.map(|(user, password)| Login::new(user, password.reveal()));
        let state = MqttState::new(options.mqtt.window.max(1), false);
        Self { connect, state, connected: None, is_open: false }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum; whatever it is, it is not the first packet"
    )]
    /// The first packet must be the broker's yes.
    fn begin(&mut self, packet: Incoming) -> Result<(), Fault> {
        match packet {
            Incoming::ConnAck(ack) if ack.code == ConnectReturnCode::Success => {
                let max_packet = MAX_PACKET as usize;
                self.connected = Some(Event::Connected { receive_max: u16::MAX, max_packet });
                self.is_open = true;
                Ok(())
            }
            Incoming::ConnAck(ack) => Err(Fault::NotAccepted(refusal::of_connection(&in_words(ack.code)))),
            other => Err(Fault::Lost(format!("the broker began with {other:?} in place of CONNACK"))),
        }
    }
}

impl pump::Wire for Wire {
    fn hello(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        write(&Packet::Connect(self.connect.clone()), out)
    }

    fn send(&mut self, ask: Ask, out: &mut BytesMut) -> Result<(), Fault> {
        let request = match ask {
            Ask::Publish(Publish { topic, payload }, retain) => {
                let mut publish = rumqttc::Publish::new(topic, QoS::AtLeastOnce, payload);
                publish.retain = retain;
                Request::Publish(publish)
            }
            Ask::Direct(Direct { topic, payload, retain, qos: of, properties: _ }) => {
                let mut publish = rumqttc::Publish::new(topic, qos(of), payload);
                publish.retain = retain;
                Request::Publish(publish)
            }
            Ask::Subscribe(filter, most) => Request::Subscribe(Subscribe::new(filter, qos(most))),
            Ask::Ping => Request::PingReq(PingReq),
            Ask::Disconnect => Request::Disconnect(Disconnect),
        };
        let packet = self.state.handle_outgoing_packet(request).map_err(fault)?;
        packet.map_or(Ok(()), |packet| write(&packet, out))
    }

    fn receive(&mut self, read: &mut BytesMut, out: &mut BytesMut) -> Result<bool, Fault> {
        let packet = match Packet::read(read, MAX_PACKET as usize) {
            Ok(packet) => packet,
            Err(rumqttc::Error::InsufficientBytes(_)) => return Ok(false),
            Err(error) => return Err(Fault::Lost(error.to_string())),
        };
        if self.is_open {
            let answer = self.state.handle_incoming_packet(packet).map_err(fault)?;
            answer.map_or(Ok(()), |answer| write(&answer, out))?;
        } else {
            self.begin(packet)?;
        }
        Ok(true)
    }

    fn event(&mut self) -> Option<Event> {
        if let Some(connected) = self.connected.take() {
            return Some(connected);
        }
        loop {
            let event = match self.state.events.pop_front()? {
                rumqttc::Event::Incoming(packet) => incoming(packet),
                rumqttc::Event::Outgoing(packet) => outgoing(&packet),
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn keep_alive(&self) -> Duration {
        KEEP_ALIVE
    }
}

fn write(packet: &Packet, out: &mut BytesMut) -> Result<(), Fault> {
    packet.write(out, MAX_PACKET as usize).map(drop).map_err(|error| Fault::Lost(error.to_string()))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum; the rest does not concern a client at QoS 1"
)]
fn incoming(packet: Incoming) -> Option<Event> {
    match packet {
        Incoming::PubAck(ack) => Some(Event::Signed(ack.pkid)),
        Incoming::Publish(p) => Some(Event::Received(session::Incoming {
            topic: p.topic,
            payload: p.payload,
            properties: Properties::default(),
        })),
        Incoming::SubAck(ack) if ack.return_codes.contains(&SubscribeReasonCode::Failure) => {
            Some(Event::NotSubscribed)
        }
        _ => None,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum; the rest does not concern a client at QoS 1"
)]
pub(super) fn outgoing(packet: &Outgoing) -> Option<Event> {
    match packet {
        Outgoing::Publish(pkid) => Some(Event::Sent(*pkid)),
        Outgoing::AwaitAck(pkid) => Some(Event::Fault(Fault::Collision(*pkid))),
        Outgoing::Disconnect => Some(Event::Disconnected),
        _ => None,
    }
}

const fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; its own words say the rest")]
fn fault(error: StateError) -> Fault {
    match error {
        StateError::AwaitPingResp => Fault::Silent,
        StateError::Io(error) => Fault::Lost(of_system(&error)),
        other => Fault::Lost(other.to_string()),
    }
}
