//! What the session does with a broker that behaves as no real one would, and with one that is frozen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/broker.rs"]
mod broker;
#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/stub/mod.rs"]
#[allow(clippy::wildcard_enum_match_arm, reason = "the stub reads foreign enums")]
mod stub;

use broker::{Broker, Onlooker, within};
use gateway::{Gateway, PREFIX, seq};
use meterd::config::{Mqtt, MqttVersion};
use meterd::mqtt::{Direct, Incoming, Properties, Ways};
use meterd::store::Entry;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use stub::{Acks, Manners, Open, PubAckReason, Published, Stub};
use tokio::sync::{mpsc, watch};

const PATIENT: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(60);

/// Numbers of the messages of meters, in the order of arrival.
fn data(published: &[Published]) -> Vec<u64> {
    let of_meters = published.iter().filter(|p| p.topic.contains("/meter/"));
    of_meters.map(|p| seq(std::str::from_utf8(&p.payload).unwrap())).collect()
}

/// Each number once, where it came first.
fn firsts(seqs: &[u64]) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    seqs.iter().copied().filter(|seq| seen.insert(*seq)).collect()
}

#[tokio::test]
async fn acks_in_any_order_and_a_window_of_one_lose_and_repeat_nothing() {
    for (acks, receive_max) in
        [(Acks::Backwards(7), None), (Acks::Backwards(7), Some(10)), (Acks::InOrder, Some(1))]
    {
        let stub = Stub::start(Manners { acks, receive_max, ..Manners::default() }).await;
        let gateway = Gateway::start(stub.port(), MqttVersion::V5);
        gateway.put(0, 200).await;
        gateway.all_signed().await;
        assert_eq!(stub.look(|r| data(&r.published)), (1..=200).collect::<Vec<_>>(), "{acks:?}");
        assert_eq!(stub.look(|r| r.wrong.clone()), Vec::<String>::new());
        gateway.stop().await;
    }
}

#[tokio::test]
async fn window_of_the_configuration_is_the_most_that_is_in_flight() {
    for (ours, theirs, both) in [(7, None, 7), (7, Some(3), 3), (100, Some(20), 20)] {
        let stub =
            Stub::start(Manners { acks: Acks::Never, receive_max: theirs, ..Manners::default() }).await;
        let mqtt = Mqtt { window: ours, ..Mqtt::at("127.0.0.1", stub.port()) };
        let gateway = Gateway::start_to(mqtt, Duration::from_millis(300), Ways::none());
        gateway.put(0, 150).await;
        // The second connection has begun: the first one had time for all that it would send.
        assert!(stub.until(LIMIT, |r| r.connections.len() > 1).await);
        let first = stub.look(|r| r.published.iter().filter(|p| p.connection == 0).count());
        assert_eq!(first, both, "{ours} and {theirs:?}");
        stub.set(Manners::default());
        gateway.all_signed().await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_small_window_does_not_wait_for_the_exposure() {
    let stub = Stub::start(Manners::default()).await;
    let mqtt = Mqtt { window: 7, ..Mqtt::at("127.0.0.1", stub.port()) };
    let gateway = Gateway::start_exposed("gw01", mqtt, PATIENT, Ways::none(), Duration::from_secs(3600));
    gateway.put(0, 60).await;
    let signed =
        |r: &stub::Record| r.published.iter().filter(|p| p.is_signed() && p.topic.contains("/data/")).count();
    assert!(stub.until(LIMIT, |r| signed(r) == 60).await, "{}", stub.look(|r| signed(r)));
    gateway.stop().await;
}

#[tokio::test]
async fn a_broker_that_has_had_enough_is_left_alone_and_gets_all_in_order_without_a_new_connection() {
    let refuses = Some((40, PubAckReason::QuotaExceeded));
    let stub = Stub::start(Manners { refuses, receive_max: Some(1), ..Manners::default() }).await;
    let gateway = Gateway::start(stub.port(), MqttVersion::V5);
    gateway.put(0, 100).await;
    gateway.all_signed().await;
    let signed: Vec<Published> =
        stub.look(|r| r.published.iter().filter(|p| p.is_signed()).cloned().collect());
    assert_eq!(data(&signed), (1..=100).collect::<Vec<_>>(), "signed for once each, in order");
    assert_eq!(stub.look(|r| r.connections.len()), 1);
    assert!(gateway.stop().await.refused >= 2);
}

#[tokio::test]
async fn one_message_that_the_broker_will_not_have_holds_up_no_other() {
    for reason in
        [PubAckReason::NotAuthorized, PubAckReason::TopicNameInvalid, PubAckReason::PayloadFormatInvalid]
    {
        let refuses = Some((30, reason));
        let stub = Stub::start(Manners { refuses, ..Manners::default() }).await;
        let gateway = Gateway::start(stub.port(), MqttVersion::V5);
        gateway.put(0, 50).await;
        within("one is left", async {
            while gateway.unsigned().await.len() != 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        gateway.put(50, 5).await;
        assert!(stub.until(LIMIT, |r| data(&r.published).contains(&55)).await);
        assert_eq!(stub.look(|r| r.connections.len()), 1, "{reason:?}");
        // A session that starts again tries it again.
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_session_that_the_broker_has_dropped_or_kept_across_a_cut_costs_no_message() {
    for version in [MqttVersion::V4, MqttVersion::V5] {
        for session_present in [false, true] {
            let stub = Stub::start(Manners { acks: Acks::Never, ..Manners::default() }).await;
            let gateway = Gateway::start(stub.port(), version);
            gateway.put(0, 50).await;
            assert!(stub.until(LIMIT, |r| data(&r.published).len() == 50).await);
            stub.set(Manners { open: Open::No, ..Manners::default() });
            assert!(stub.until(LIMIT, |r| r.connections[0].ended.is_some()).await);
            assert_eq!(gateway.unsigned().await.len(), 50);
            stub.set(Manners { session_present, ..Manners::default() });
            gateway.all_signed().await;
            let all = (1..=50).collect::<Vec<_>>();
            let of = |published: &[Published], connection: usize| {
                let of = published.iter().filter(|one| one.connection == connection);
                data(&of.cloned().collect::<Vec<_>>())
            };
            let last = stub.look(|r| r.connections.len() - 1);
            assert_eq!(stub.look(|r| firsts(&of(&r.published, last))), all, "{version:?} {session_present}");
            assert_eq!(stub.look(|r| r.wrong.clone()), Vec::<String>::new());
            gateway.stop().await;
        }
    }
}

#[tokio::test]
async fn receipts_for_what_nobody_sent_sign_for_nothing_and_all_is_delivered_once_they_end() {
    for version in [MqttVersion::V4, MqttVersion::V5] {
        let stub = Stub::start(Manners { unknown_ids: true, ..Manners::default() }).await;
        let gateway = Gateway::start(stub.port(), version);
        gateway.put(0, 30).await;
        assert!(stub.until(LIMIT, |r| r.connections.len() > 1).await, "it is left");
        let waiting: BTreeSet<u64> = gateway.unsigned().await.into_iter().collect();
        let signed: Vec<Published> =
            stub.look(|r| r.published.iter().filter(|p| p.is_signed()).cloned().collect());
        let signed: BTreeSet<u64> = data(&signed).into_iter().collect();
        assert!(
            (1..=30).all(|seq| waiting.contains(&seq) || signed.contains(&seq)),
            "{waiting:?} {signed:?}"
        );
        stub.set(Manners::default());
        gateway.all_signed().await;
        assert_eq!(stub.look(|r| firsts(&data(&r.published))), (1..=30).collect::<Vec<_>>());
        gateway.stop().await;
    }
}

#[tokio::test]
async fn what_the_broker_keeps_answers_and_subscriptions_go_beside_the_outbox() {
    let stub = Stub::start(Manners { receive_max: Some(1), ..Manners::default() }).await;
    let topic = |name: &str| format!("{PREFIX}/gw01/{name}");
    let direct = |name: &str, payload: &str| Direct {
        topic: topic(name),
        payload: payload.as_bytes().to_vec(),
        retain: true,
        properties: Properties { correlation_data: Some("id-7".into()), ..Properties::default() },
        ..Direct::default()
    };
    let (birth, retained) =
        watch::channel::<Arc<[Direct]>>(Arc::new([direct("birth", "1"), direct("b", "1")]));
    let (answers, answered) = mpsc::channel(64);
    let (incoming, _heard) = mpsc::channel(64);
    let subscribe = vec![topic("command/+")];
    let ways = Ways { retained, direct: answered, incoming, subscribe };
    let gateway = Gateway::start_to(Mqtt::at("127.0.0.1", stub.port()), PATIENT, ways);
    assert!(stub.until(LIMIT, |r| !r.published.is_empty()).await, "there is a connection");
    gateway.put(0, 100).await;
    answers.send(Direct { retain: false, ..direct("reply/read", "x") }).await.unwrap();
    birth.send_replace(Arc::new([direct("birth", "2"), direct("b", "1")]));
    gateway.all_signed().await;
    let has = |r: &stub::Record, name: &str, payload: &str| {
        r.published.iter().any(|p| p.topic == topic(name) && p.payload == payload.as_bytes())
    };
    assert!(
        stub.until(LIMIT, |r| has(r, "birth", "2") && has(r, "b", "1") && has(r, "reply/read", "x")).await
    );
    let reply = stub.look(|r| r.published.iter().find(|p| p.topic == topic("reply/read")).cloned()).unwrap();
    assert!(!reply.retain);
    assert_eq!(reply.properties.unwrap().correlation_data.as_deref(), Some(&b"id-7"[..]));
    assert_eq!(stub.look(|r| r.connections[0].subscribed.clone()), [topic("command/+")]);
    gateway.stop().await;
}

#[tokio::test]
async fn messages_say_what_they_are_and_expire_where_the_user_wants_it_but_not_what_is_retained() {
    let stub = Stub::start(Manners::default()).await;
    let mqtt = Mqtt { expiry: Some(Duration::from_secs(3600)), ..Mqtt::at("127.0.0.1", stub.port()) };
    let gateway = Gateway::start_to(mqtt, PATIENT, Ways::none());
    gateway.put(0, 1).await;
    let topic = format!("{PREFIX}/gw01/meter/flat-101/status");
    let kept = Entry {
        topic,
        body: "\"state\":\"ok\"}".into(),
        retain: true,
        worth: meterd::store::Worth::Event,
        identity: None,
        notes: Vec::new(),
    };
    gateway.store.put(kept).await.unwrap();
    gateway.store.flush().await.unwrap();
    gateway.all_signed().await;
    let of = |end: &str| {
        let found = stub.look(|r| r.published.iter().find(|p| p.topic.ends_with(end)).cloned());
        found.unwrap().properties.unwrap()
    };
    let data = of("data/live");
    assert_eq!(data.content_type.as_deref(), Some("application/json"));
    assert_eq!(data.user_properties, [("v".to_owned(), "1".to_owned())]);
    assert_eq!((data.payload_format_indicator, data.message_expiry_interval), (Some(1), Some(3600)));
    assert_eq!(of("flat-101/status").message_expiry_interval, None);
    gateway.stop().await;
}

#[tokio::test]
async fn commands_come_in_with_their_properties() {
    let Some(broker) = Broker::start().await else { return };
    let (incoming, mut heard) = mpsc::channel::<Incoming>(64);
    let topic = format!("{PREFIX}/gw01/command/read");
    let ways = Ways { incoming, subscribe: vec![format!("{PREFIX}/gw01/command/+")], ..Ways::none() };
    let gateway = Gateway::start_to(Mqtt::at("127.0.0.1", broker.port()), PATIENT, ways);
    gateway.put(0, 1).await;
    gateway.all_signed().await;
    // A second session asks, as a head-end would.
    let (asked, direct) = mpsc::channel(1);
    let other = Ways { direct, ..Ways::none() };
    let head_end = Gateway::start_named("head-end", Mqtt::at("127.0.0.1", broker.port()), PATIENT, other);
    head_end.put(0, 1).await;
    head_end.all_signed().await;
    let properties = Properties {
        response_topic: Some("answers/here".into()),
        correlation_data: Some("7".into()),
        ..Properties::default()
    };
    let direct = Direct { topic: topic.clone(), payload: b"{}".to_vec(), properties, ..Direct::default() };
    asked.send(direct).await.unwrap();
    let came = within("the command comes", heard.recv()).await.unwrap();
    assert_eq!((came.topic, &came.payload[..]), (topic, &b"{}"[..]));
    assert_eq!(came.properties.response_topic.as_deref(), Some("answers/here"));
    head_end.stop().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_broker_frozen_by_sigstop_is_left_at_the_deadline_and_gets_all_when_it_goes_on() {
    let Some(broker) = Broker::start().await else { return };
    let mut onlooker = Onlooker::of(broker.port(), &format!("{PREFIX}/gw01/meter/+/data/+")).await;
    let gateway = Gateway::start_with(broker.port(), MqttVersion::V5, Duration::from_millis(300));
    gateway.put(0, 10).await;
    gateway.all_signed().await;
    broker.freeze();
    gateway.put(10, 150).await;
    within("a window is on its way", async {
        while gateway.counters.counts().published < 30 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // Each connection listens to the status, and so does the session between two.
    within("the connection is given up", async {
        while gateway.status.receiver_count() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(gateway.unsigned().await.len(), 150, "nothing leaves the store without a receipt");
    broker.thaw();
    let mut seqs = Vec::new();
    while firsts(&seqs).len() < 160 {
        seqs.push(seq(&onlooker.next().await.payload));
    }
    assert_eq!(firsts(&seqs), (1..=160).collect::<Vec<_>>(), "first deliveries are in order");
    gateway.all_signed().await;
    gateway.stop().await;
}
