//! The stub of a broker does what a real one will not, and writes down what happened: held against a client of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/stub/mod.rs"]
mod stub;

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS};
use std::time::Duration;
use stub::{Acks, Cut, Ended, Manners, Open, PubAckReason, Record, Stub};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client of MQTT 3.1.1 that sends so many messages and takes what comes until its connection ends.
async fn client(port: u16, messages: u8) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("one", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(5));
    let (client, events) = AsyncClient::new(options, 100);
    for n in 0..messages {
        client.try_publish("a/b", QoS::AtLeastOnce, false, [n]).unwrap();
    }
    (client, events)
}

/// Packet ids of receipts, until there are `count` or the connection ends.
async fn receipts(events: &mut EventLoop, count: usize) -> Vec<u16> {
    let mut ids = Vec::new();
    while ids.len() < count {
        match tokio::time::timeout(PATIENCE, events.poll()).await.unwrap() {
            Ok(Event::Incoming(Incoming::PubAck(ack))) => ids.push(ack.pkid),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    ids
}

fn payloads(record: &Record) -> Vec<u8> {
    record.published.iter().map(|one| one.payload[0]).collect()
}

#[tokio::test]
async fn stub_signs_in_order_and_writes_down_what_it_signed() {
    let stub = Stub::start(Manners::default()).await;
    let (client, mut events) = client(stub.port(), 4).await;
    assert_eq!(receipts(&mut events, 4).await, [1, 2, 3, 4]);
    assert!(stub.until(PATIENCE, |record| record.pubacks == 4).await);
    stub.look(|record| {
        assert_eq!(payloads(record), [0, 1, 2, 3]);
        assert!(record.published.iter().all(stub::Published::is_signed) && record.wrong.is_empty());
        assert_eq!((record.connections[0].version, record.connections[0].clean), (4, true));
    });
    client.try_disconnect().unwrap();
    let leaving = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    assert!(stub.until(PATIENCE, |r| r.connections[0].ended == Some(Ended::Goodbye)).await);
    leaving.abort();
}

#[tokio::test]
async fn stub_that_never_signs_answers_pings_and_signs_backwards_when_it_is_told_to() {
    let stub = Stub::start(Manners { acks: Acks::Never, ..Manners::default() }).await;
    let (_client, mut events) = client(stub.port(), 3).await;
    let polling = tokio::spawn(async move { receipts(&mut events, 3).await });
    assert!(stub.until(PATIENCE, |record| record.published.len() == 3).await);
    assert_eq!(stub.look(|record| record.pubacks), 0);
    stub.set(Manners { acks: Acks::Backwards(3), ..Manners::default() });
    assert_eq!(polling.await.unwrap(), [3, 2, 1]);
}

#[tokio::test]
async fn stub_cuts_in_a_publish_and_behind_a_puback() {
    for (cut, whole, signed) in [(Cut::MidPublish(2), 2, 2), (Cut::AfterPuback(3), 3, 3)] {
        let stub = Stub::start(Manners { cut: Some(cut), ..Manners::default() }).await;
        let (_client, mut events) = client(stub.port(), 5).await;
        assert!(receipts(&mut events, 5).await.len() <= signed);
        assert!(stub.until(PATIENCE, |r| r.connections[0].ended == Some(Ended::Cut)).await);
        stub.look(|record| {
            assert_eq!((record.published.len(), record.pubacks), (whole, signed as u64), "{cut:?}");
        });
    }
}

#[tokio::test]
async fn stub_that_is_away_or_frozen_gives_no_answer_and_comes_back() {
    let stub = Stub::start(Manners { open: Open::No, ..Manners::default() }).await;
    let (_client, mut events) = client(stub.port(), 1).await;
    assert!(receipts(&mut events, 1).await.is_empty());
    stub.set(Manners { open: Open::Frozen, ..Manners::default() });
    let polling = tokio::spawn(async move { receipts(&mut events, 1).await });
    assert!(!stub.until(Duration::from_millis(50), |record| !record.connections.is_empty()).await);
    stub.set(Manners::default());
    assert_eq!(polling.await.unwrap(), [1]);
}

#[tokio::test]
async fn stub_of_mqtt_5_refuses_with_a_reason_signs_for_unknown_ids_and_limits_what_is_under_way() {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
    let refuses = Some((2, PubAckReason::QuotaExceeded));
    let manners = Manners { refuses, receive_max: Some(7), ..Manners::default() };
    let stub = Stub::start(manners).await;
    let (client, mut events) = AsyncClient::new(MqttOptions::new("one", "127.0.0.1", stub.port()), 10);
    for n in 0..2 {
        client.try_publish("a/b", QoS::AtLeastOnce, false, vec![n]).unwrap();
    }
    let (mut came, mut receive_max) = (Vec::new(), None);
    while came.len() < 2 {
        match tokio::time::timeout(PATIENCE, events.poll()).await.unwrap().unwrap() {
            Event::Incoming(Incoming::PubAck(ack)) => came.push((ack.pkid, ack.reason)),
            Event::Incoming(Incoming::ConnAck(ack)) => receive_max = ack.properties.unwrap().receive_max,
            _ => {}
        }
    }
    assert_eq!(came, [(1, PubAckReason::Success), (2, PubAckReason::QuotaExceeded)]);
    assert_eq!(receive_max, Some(7));
    assert_eq!(
        stub.look(|r| r.published.iter().map(stub::Published::is_signed).collect::<Vec<_>>()),
        [true, false]
    );

    stub.set(Manners { unknown_ids: true, ..Manners::default() });
    client.try_publish("a/b", QoS::AtLeastOnce, false, vec![2]).unwrap();
    let unsolicited = async { while events.poll().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, unsolicited).await.unwrap();
}
