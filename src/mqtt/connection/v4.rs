//! MQTT 3.1.1.

use super::access::Access;
use super::{CONNECT_TIMEOUT_S, Event, Fault, KEEP_ALIVE, MAX_PACKET, Options, Publish, REQUESTS};
use super::{bracketed, in_words, of_system, of_tls, refusal};
use crate::config::Mqtt;
use crate::mqtt::session::{self, Properties, Qos};
use rumqttc::{
    AsyncClient, ConnectionError, EventLoop, Incoming, LastWill, MqttOptions, NetworkOptions, Outgoing, QoS,
    StateError, SubscribeReasonCode, TlsConfiguration, TlsError, Transport,
};
use std::convert::Infallible;
use tokio::sync::mpsc;

pub(super) fn open(options: &Options, access: Access) -> (AsyncClient, EventLoop) {
    let Mqtt { host, port, window, .. } = &options.mqtt;
    let host = bracketed(host, access.tls.is_some());
    let mut mqtt = MqttOptions::new(&options.client_id, host, *port);
    if let Some((user, password)) = access.login {
        mqtt.set_credentials(user, password.reveal());
    }
    if let Some(tls) = access.tls {
        mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    }
    mqtt.set_clean_session(true)
        .set_keep_alive(KEEP_ALIVE)
        .set_inflight(*window)
        .set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize);
    if let Some(Publish { topic, payload }) = options.last_will.clone() {
        mqtt.set_last_will(LastWill::new(topic, payload, QoS::AtLeastOnce, true));
    }
    let (client, mut eventloop) = AsyncClient::new(mqtt, REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT_S);
    eventloop.set_network_options(network);
    (client, eventloop)
}

pub(super) async fn pump(mut eventloop: EventLoop, events: mpsc::Sender<Event>) -> Infallible {
    loop {
        let event = match eventloop.poll().await {
            Ok(rumqttc::Event::Incoming(packet)) => incoming(packet),
            Ok(rumqttc::Event::Outgoing(packet)) => outgoing(&packet),
            Err(error) => Some(Event::Fault(fault(error))),
        };
        let Some(event) = event else { continue };
        let last = matches!(event, Event::Fault(_));
        if events.send(event).await.is_err() || last {
            // Polling on would connect again with the library's own idea of what is pending.
            return std::future::pending().await;
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum; the rest does not concern a client at QoS 1"
)]
fn incoming(packet: Incoming) -> Option<Event> {
    match packet {
        Incoming::ConnAck(_) => {
            Some(Event::Connected { receive_max: u16::MAX, max_packet: MAX_PACKET as usize })
        }
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

pub(super) const fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; its own words say the rest")]
fn fault(error: ConnectionError) -> Fault {
    if let Some(fault) = of_tls(&error) {
        return fault;
    }
    match error {
        ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout
        | ConnectionError::MqttState(StateError::AwaitPingResp) => Fault::Silent,
        ConnectionError::ConnectionRefused(code) => {
            Fault::NotAccepted(refusal::of_connection(&in_words(code)))
        }
        ConnectionError::Io(error)
        | ConnectionError::MqttState(StateError::Io(error))
        | ConnectionError::Tls(TlsError::Io(error)) => Fault::Lost(of_system(&error)),
        ConnectionError::MqttState(state) => Fault::Lost(state.to_string()),
        other => Fault::Lost(other.to_string()),
    }
}
