//! Both versions of MQTT as one: what a client says, what the stub answers. The octets are the codec library's.

use bytes::BytesMut;
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::v5;

/// Packets of a gateway are no larger.
const MAX: usize = 1 << 20;

/// What a client says.
#[derive(Debug)]
pub(super) enum Heard {
    Connect {
        client_id: String,
        clean: bool,
        will: Option<String>,
    },
    Publish(Box<Said>),
    Subscribe {
        pkid: u16,
        filters: Vec<String>,
    },
    Ping,
    Goodbye,
    /// Nothing that the stub answers to.
    Other,
}

/// A PUBLISH of either version.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) pkid: u16,
    pub(super) qos: u8,
    pub(super) dup: bool,
    pub(super) retain: bool,
    pub(super) properties: Option<v5::PublishProperties>,
}

/// The version of the CONNECT that a stream begins with; `None` while too little of it is there.
pub(super) fn version(stream: &[u8]) -> Option<u8> {
    let length = stream.get(1..)?.iter().position(|octet| octet & 0x80 == 0)? + 1;
    // The type, the length, and "MQTT" behind its own length.
    stream.get(1 + length + 6).copied()
}

/// The next packet; `None` while it is not whole.
///
/// # Errors
/// What is wrong with it, in the library's words.
pub(super) fn read(version: u8, stream: &mut BytesMut) -> Result<Option<Heard>, String> {
    if version == 5 { read_5(stream) } else { read_4(stream) }
}

fn read_4(stream: &mut BytesMut) -> Result<Option<Heard>, String> {
    let packet = match v4::Packet::read(stream, MAX) {
        Ok(packet) => packet,
        Err(mqttbytes::Error::InsufficientBytes(_)) => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    Ok(Some(match packet {
        v4::Packet::Connect(c) => {
            let will = c.last_will.map(|will| will.topic);
            Heard::Connect { client_id: c.client_id, clean: c.clean_session, will }
        }
        v4::Packet::Publish(p) => Heard::Publish(Box::new(Said {
            topic: p.topic,
            payload: p.payload.to_vec(),
            pkid: p.pkid,
            qos: p.qos as u8,
            dup: p.dup,
            retain: p.retain,
            properties: None,
        })),
        v4::Packet::Subscribe(s) => {
            Heard::Subscribe { pkid: s.pkid, filters: s.filters.into_iter().map(|f| f.path).collect() }
        }
        v4::Packet::PingReq => Heard::Ping,
        v4::Packet::Disconnect => Heard::Goodbye,
        _ => Heard::Other,
    }))
}

fn read_5(stream: &mut BytesMut) -> Result<Option<Heard>, String> {
    // A DISCONNECT without a reason has no body, which the library does not read.
    if stream.starts_with(&[0xE0, 0]) {
        return Ok(Some(Heard::Goodbye));
    }
    let packet = match v5::Packet::read(stream, Some(MAX as u32)) {
        Ok(packet) => packet,
        Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    Ok(Some(match packet {
        v5::Packet::Connect(c, will, _) => {
            let will = will.map(|will| text(&will.topic));
            Heard::Connect { client_id: c.client_id, clean: c.clean_start, will }
        }
        v5::Packet::Publish(p) => Heard::Publish(Box::new(Said {
            topic: text(&p.topic),
            payload: p.payload.to_vec(),
            pkid: p.pkid,
            qos: p.qos as u8,
            dup: p.dup,
            retain: p.retain,
            properties: p.properties,
        })),
        v5::Packet::Subscribe(s) => {
            Heard::Subscribe { pkid: s.pkid, filters: s.filters.into_iter().map(|f| f.path).collect() }
        }
        v5::Packet::PingReq(_) => Heard::Ping,
        v5::Packet::Disconnect(_) => Heard::Goodbye,
        _ => Heard::Other,
    }))
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

pub(super) fn connack(version: u8, session_present: bool, receive_max: Option<u16>) -> BytesMut {
    let mut out = BytesMut::new();
    if version == 5 {
        let properties = v5::ConnAckProperties {
            session_expiry_interval: None,
            receive_max,
            max_qos: None,
            retain_available: None,
            max_packet_size: None,
            assigned_client_identifier: None,
            topic_alias_max: None,
            reason_string: None,
            user_properties: Vec::new(),
            wildcard_subscription_available: None,
            subscription_identifiers_available: None,
            shared_subscription_available: None,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
        };
        let code = v5::ConnectReturnCode::Success;
        let ack = v5::ConnAck { session_present, code, properties: Some(properties) };
        v5::Packet::ConnAck(ack).write(&mut out, None).unwrap();
    } else {
        let ack = v4::ConnAck::new(v4::ConnectReturnCode::Success, session_present);
        v4::Packet::ConnAck(ack).write(&mut out, MAX).unwrap();
    }
    out
}

/// `reason` is of MQTT 5; 3.1.1 has none.
pub(super) fn puback(version: u8, pkid: u16, reason: v5::PubAckReason) -> BytesMut {
    let mut out = BytesMut::new();
    if version == 5 {
        let ack = v5::PubAck { pkid, reason, properties: None };
        v5::Packet::PubAck(ack).write(&mut out, None).unwrap();
    } else {
        v4::Packet::PubAck(v4::PubAck::new(pkid)).write(&mut out, MAX).unwrap();
    }
    out
}

pub(super) fn suback(version: u8, pkid: u16, filters: usize) -> BytesMut {
    let mut out = BytesMut::new();
    if version == 5 {
        let code = v5::SubscribeReasonCode::Success(rumqttc::v5::mqttbytes::QoS::AtLeastOnce);
        let ack = v5::SubAck { pkid, return_codes: vec![code; filters], properties: None };
        v5::Packet::SubAck(ack).write(&mut out, None).unwrap();
    } else {
        let code = v4::SubscribeReasonCode::Success(mqttbytes::QoS::AtLeastOnce);
        v4::Packet::SubAck(v4::SubAck::new(pkid, vec![code; filters])).write(&mut out, MAX).unwrap();
    }
    out
}

pub(super) fn pong(version: u8) -> BytesMut {
    let mut out = BytesMut::new();
    if version == 5 {
        v5::Packet::PingResp(v5::PingResp).write(&mut out, None).unwrap();
    } else {
        v4::Packet::PingResp.write(&mut out, MAX).unwrap();
    }
    out
}
