//! MQTT 5.

use super::access::Access;
use super::{CONNECT_TIMEOUT_S, Event, Fault, KEEP_ALIVE, MAX_PACKET, Options, Publish, REQUESTS, Reason};
use super::{bracketed, in_words, of_system, of_tls, refusal, v4};
use crate::config::Mqtt;
use crate::mqtt::session::{self, Properties, Qos};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{LastWill, PubAckReason, PublishProperties, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, EventLoop, Incoming, MqttOptions, StateError};
use rumqttc::{NetworkOptions, TlsConfiguration, TlsError, Transport};
use std::convert::Infallible;
use std::time::Duration;
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
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT_S);
    mqtt.set_clean_start(true)
        .set_keep_alive(KEEP_ALIVE)
        .set_outgoing_inflight_upper_limit(*window)
        // Left alone, the library takes 10 KiB at most.
        .set_max_packet_size(Some(MAX_PACKET))
        .set_connection_timeout(CONNECT_TIMEOUT_S)
        .set_network_options(network);
    if let Some(Publish { topic, payload }) = options.last_will.clone() {
        mqtt.set_last_will(LastWill::new(topic, payload, QoS::AtLeastOnce, true, None));
    }
    AsyncClient::new(mqtt, REQUESTS)
}

pub(super) async fn pump(mut eventloop: EventLoop, events: mpsc::Sender<Event>) -> Infallible {
    loop {
        let event = match eventloop.poll().await {
            Ok(rumqttc::v5::Event::Incoming(packet)) => incoming(packet),
            Ok(rumqttc::v5::Event::Outgoing(packet)) => v4::outgoing(&packet),
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

pub(super) const fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

/// The properties of a message of the store, which is UTF-8 text. What is retained is the present state and
/// does not expire.
pub(super) fn of_text(standing: &Properties, retain: bool) -> PublishProperties {
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

pub(super) fn outgoing(properties: Properties) -> PublishProperties {
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
fn fault(error: ConnectionError) -> Fault {
    // This one does not say what it came from.
    let packed = match &error {
        ConnectionError::MqttState(StateError::Deserialization(error)) => of_tls(error),
        error => of_tls(error),
    };
    if let Some(fault) = packed {
        return fault;
    }
    match error {
        ConnectionError::Timeout(_) | ConnectionError::MqttState(StateError::AwaitPingResp) => Fault::Silent,
        ConnectionError::ConnectionRefused(code) => {
            Fault::NotAccepted(refusal::of_connection(&in_words(code)))
        }
        ConnectionError::Io(error)
        | ConnectionError::MqttState(StateError::Io(error))
        | ConnectionError::Tls(TlsError::Io(error)) => Fault::Lost(of_system(&error)),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let said = reason_string.map(|said| format!(" ({said})")).unwrap_or_default();
            Fault::Lost(format!("the broker ended the connection: {}{said}", in_words(reason_code)))
        }
        ConnectionError::MqttState(state) => Fault::Lost(state.to_string()),
        other => Fault::Lost(other.to_string()),
    }
}
