//! Delivery to a real broker: killed, restarted, never acknowledging; nothing may be lost.
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

use broker::{Broker, Gate, Onlooker, Way, within};
use gateway::{Gateway, PREFIX, seq};
use meterd::clock::Distrust;
use meterd::config::{Mqtt, MqttVersion};
use meterd::mqtt::status::State;
use meterd::mqtt::watch::{Pattern, Seen, Watch, follow};
use meterd::mqtt::{Counts, Status};
use meterd::store::{Entry, Worth};
use std::ops::ControlFlow;
use std::time::Duration;
use tempfile::TempDir;

async fn data(onlooker: &mut Onlooker, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        seqs.push(seq(&onlooker.next().await.payload));
    }
    seqs
}

const DATA: &str = "meterd/v1/gw01/meter/+/data/+";
const STATUS: &str = "meterd/v1/gw01/status";

async fn published_once_in_order(version: MqttVersion) {
    let Some(broker) = Broker::start().await else { return };
    let mut onlooker = Onlooker::of(broker.port(), DATA).await;
    let gateway = Gateway::start(broker.port(), version);
    // Two and a half windows that are there at once, then some that come while the session waits.
    gateway.put(0, 250).await;
    assert_eq!(data(&mut onlooker, 250).await, (1..=250).collect::<Vec<_>>());
    for number in 250..260 {
        gateway.put(number, 1).await;
    }
    assert_eq!(data(&mut onlooker, 10).await, (251..=260).collect::<Vec<_>>());
    gateway.all_signed().await;
    let counts = gateway.stop().await;
    assert_eq!(counts, Counts { published: 260, signed_for: 260, refused: 0, reconnects: 0 });
    assert_eq!(onlooker.rest(), []);
}

#[tokio::test]
async fn every_message_is_published_once_in_order_and_forgotten_after_its_ack() {
    published_once_in_order(MqttVersion::V4).await;
}

#[tokio::test]
async fn every_message_is_published_once_in_order_and_forgotten_after_its_ack_with_mqtt_5() {
    published_once_in_order(MqttVersion::V5).await;
}

#[tokio::test]
async fn a_message_to_be_retained_is_there_for_who_subscribes_later_and_another_is_not() {
    let Some(broker) = Broker::start().await else { return };
    for version in [MqttVersion::V4, MqttVersion::V5] {
        let gateway = Gateway::start(broker.port(), version);
        for (level, retain) in [("status", true), ("event/active_report", false)] {
            let topic = format!("{PREFIX}/gw01/meter/flat-101/{level}");
            let body = format!(r#""gateway":"gw01","level":"{level}"}}"#);
            gateway
                .store
                .put(Entry { topic, body, retain, worth: Worth::Event, identity: None, notes: Vec::new() })
                .await
                .unwrap();
        }
        gateway.store.flush().await.unwrap();
        gateway.all_signed().await;
        let mut late = Onlooker::of(broker.port(), &format!("{PREFIX}/gw01/meter/#")).await;
        let seen = late.next().await;
        assert!(seen.retained && seen.topic.ends_with("/meter/flat-101/status"), "{seen:?}");
        assert_eq!(seq(&seen.payload), 1);
        gateway.put(0, 1).await;
        let next = late.next().await;
        assert_eq!((seq(&next.payload), next.retained), (3, false), "the event was not kept");
        gateway.stop().await;
    }
}

async fn stopped_and_started_again(version: MqttVersion, window: usize) {
    let Some(mut broker) = Broker::start().await else { return };
    let mut onlooker = Onlooker::of(broker.port(), DATA).await;
    let gate = Gate::before(broker.port()).await;
    let gateway = Gateway::start(gate.port(), version);
    gateway.put(0, 30).await;
    let mut seqs = data(&mut onlooker, 30).await;
    gateway.all_signed().await;

    // From here on receipts do not come back: a whole window is published and unsigned for certain.
    gate.set(Way::Deaf);
    gateway.put(30, 250).await;
    seqs.extend(data(&mut onlooker, window).await);
    assert_eq!(onlooker.rest(), [], "more than a window was in flight");
    assert_eq!(gateway.unsigned().await, (31..=280).collect::<Vec<_>>(), "forgotten without a receipt");

    broker.kill();
    gate.set(Way::Shut);
    broker.start_again().await;
    let mut onlooker = Onlooker::of(broker.port(), DATA).await;
    gate.set(Way::Open);
    seqs.extend(data(&mut onlooker, 250).await);
    gateway.all_signed().await;

    let again = &seqs[30 + window..];
    assert_eq!(again, (31..=280).collect::<Vec<_>>(), "offered again from the oldest unsigned one, in order");
    let mut first = Vec::new();
    for seq in seqs {
        if !first.contains(&seq) {
            first.push(seq);
        }
    }
    assert_eq!(first, (1..=280).collect::<Vec<_>>(), "no number is missing, first deliveries are in order");
    let counts = gateway.stop().await;
    assert_eq!((counts.signed_for, counts.published), (280, 280 + window as u64));
    assert!(counts.reconnects >= 1, "{counts:?}");
}

#[tokio::test]
async fn broker_stopped_and_started_again_leaves_no_hole_in_seq() {
    stopped_and_started_again(MqttVersion::V4, 100).await;
}

#[tokio::test]
async fn broker_stopped_and_started_again_leaves_no_hole_in_seq_with_mqtt_5() {
    // Receive Maximum of mosquitto, unless it is configured.
    stopped_and_started_again(MqttVersion::V5, 20).await;
}

#[tokio::test]
async fn broker_that_never_acknowledges_is_left_at_the_deadline_and_offered_all_again() {
    let Some(broker) = Broker::start().await else { return };
    let mut onlooker = Onlooker::of(broker.port(), DATA).await;
    let gate = Gate::before(broker.port()).await;
    let gateway = Gateway::start_with(gate.port(), MqttVersion::V4, Duration::from_millis(300));
    gateway.put(0, 1).await;
    gateway.all_signed().await;
    gate.set(Way::Deaf);
    gateway.put(1, 20).await;
    assert_eq!(data(&mut onlooker, 21).await, (1..=21).collect::<Vec<_>>());
    // The next connection waits for its CONNACK behind the same gate; that it was made is enough.
    let mut connections = Onlooker::of(broker.port(), STATUS).await;
    while !connections.next().await.payload.contains("connection_lost") {}
    assert_eq!(gateway.unsigned().await, (2..=21).collect::<Vec<_>>());
    gate.set(Way::Open);
    assert_eq!(data(&mut onlooker, 20).await, (2..=21).collect::<Vec<_>>());
    gateway.all_signed().await;
    assert!(gateway.stop().await.reconnects >= 1);
}

#[tokio::test]
async fn last_will_says_offline() {
    let Some(broker) = Broker::start().await else { return };
    for version in [MqttVersion::V4, MqttVersion::V5] {
        let gate = Gate::before(broker.port()).await;
        let mut onlooker = Onlooker::of(broker.port(), STATUS).await;
        let gateway = Gateway::start(gate.port(), version);
        while !onlooker.next().await.payload.contains("\"state\":\"online\"") {}
        gate.set(Way::Shut);
        let will = onlooker.next().await;
        assert_eq!(will.topic, STATUS);
        assert_eq!(will.payload, r#"{"v":1,"state":"offline","gateway":"gw01","reason":"connection_lost"}"#);
        // And it is kept for those who come later.
        assert!(Onlooker::of(broker.port(), STATUS).await.next().await.retained);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn status_is_retained() {
    let Some(broker) = Broker::start().await else { return };
    for version in [MqttVersion::V4, MqttVersion::V5] {
        let mut live = Onlooker::of(broker.port(), STATUS).await;
        let gateway = Gateway::start(broker.port(), version);
        let store_id = gateway.store.id().to_owned();
        while !live.next().await.payload.contains("\"state\":\"online\"") {}
        let kept = Onlooker::of(broker.port(), STATUS).await.next().await;
        assert!(kept.retained);
        let status: serde_json::Value = serde_json::from_str(&kept.payload).unwrap();
        assert_eq!(status["gateway"], "gw01");
        assert_eq!(status["store"], *store_id);
        assert_eq!(status["clock"], "trusted");
        assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));

        gateway
            .status
            .send(Status { distrust: Some(Distrust::Unsynchronised), ..Status::default() })
            .unwrap();
        assert!(
            live.next().await.payload.contains("\"clock\":\"unsynchronised\""),
            "a change is told at once"
        );

        gateway.stop().await;
        let kept = Onlooker::of(broker.port(), STATUS).await.next().await;
        assert!(kept.retained && kept.payload.contains("\"reason\":\"shutdown\""), "{kept:?}");
    }
}

#[tokio::test]
async fn refused_message_stays_in_the_store_and_the_rest_is_delivered() {
    let dir = TempDir::new().unwrap();
    let rights = dir.path().join("rights");
    std::fs::write(
        &rights,
        "topic read #\ntopic write meterd/v1/gw01/status\ntopic write meterd/v1/gw01/meter/flat-101/#\n",
    )
    .unwrap();
    let Some(broker) = Broker::start_with(&format!("user root\nacl_file {}", rights.display())).await else {
        return;
    };
    let mut onlooker = Onlooker::of(broker.port(), DATA).await;
    let gateway = Gateway::start(broker.port(), MqttVersion::V5);
    gateway.put_of("forbidden", 0, 1).await;
    gateway.put(1, 50).await;
    let mut seqs = std::collections::BTreeSet::new();
    while seqs.len() < 50 {
        seqs.insert(seq(&onlooker.next().await.payload));
    }
    assert_eq!(seqs, (2..=51).collect());
    within("only the refused one is left", async {
        while gateway.unsigned().await != [1] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let counts = gateway.stop().await;
    assert!(counts.refused >= 1, "{counts:?}");
    assert_eq!(counts.signed_for, 50);
}

#[tokio::test]
async fn onlooker_of_meterd_reads_what_is_published_and_survives_a_restart_of_the_broker() {
    let Some(mut broker) = Broker::start().await else { return };
    for version in [MqttVersion::V4, MqttVersion::V5] {
        let mqtt = Mqtt { version, ..Mqtt::at("127.0.0.1", broker.port()) };
        let watch = Watch { mqtt, gateway: "+".into(), meters: Pattern::new("flat-*") };
        let (sender, mut seen) = tokio::sync::mpsc::channel(1000);
        let following = tokio::spawn(async move {
            follow(&watch, |seen| {
                sender.try_send(seen).unwrap();
                ControlFlow::Continue(())
            })
            .await;
        });
        let connected = |seen: &Seen| matches!(seen, Seen::Connected);
        until(&mut seen, connected).await;
        broker.kill();
        until(&mut seen, |seen| matches!(seen, Seen::Lost { .. })).await;
        broker.start_again().await;
        until(&mut seen, connected).await;

        let gateway = Gateway::start(broker.port(), version);
        gateway.put_of("total", 0, 1).await;
        gateway.put(1, 1).await;
        let online =
            |seen: &Seen| matches!(seen, Seen::Status { message, .. } if message.state == State::Online);
        until(&mut seen, online).await;
        // The pattern leaves the total meter out.
        let data = until(&mut seen, |seen| matches!(seen, Seen::Data { .. })).await;
        let Seen::Data { message, .. } = data else { unreachable!() };
        assert_eq!((message.seq, message.body.meter.as_str()), (2, "flat-101"));
        assert_eq!(message.body.readings[0].value.as_ref().unwrap().to_string(), "220.0");
        gateway.stop().await;
        let offline =
            |seen: &Seen| matches!(seen, Seen::Status { message, .. } if message.state == State::Offline);
        until(&mut seen, offline).await;
        following.abort();
    }
}

async fn until(seen: &mut tokio::sync::mpsc::Receiver<Seen>, wanted: impl Fn(&Seen) -> bool) -> Seen {
    loop {
        let seen = within("the onlooker sees something", seen.recv()).await.unwrap();
        if wanted(&seen) {
            return seen;
        }
    }
}

#[tokio::test]
async fn farewell_to_a_broker_that_does_not_answer_is_cut_short_and_the_last_will_speaks() {
    let Some(broker) = Broker::start().await else { return };
    let mut onlooker = Onlooker::of(broker.port(), STATUS).await;
    let gate = Gate::before(broker.port()).await;
    let gateway = Gateway::start(gate.port(), MqttVersion::V5);
    while !onlooker.next().await.payload.contains("\"state\":\"online\"") {}
    gateway.put(0, 1).await;
    gateway.all_signed().await;
    gate.set(Way::Deaf);
    gateway.put(1, 5).await;
    let store = gateway.store.clone();
    // Well below the 5 s that a daemon has to end.
    tokio::time::timeout(Duration::from_millis(4500), gateway.stop())
        .await
        .expect("the session ended too late");
    assert_eq!(store.offer(0, 100).await.unwrap().len(), 5);
    assert!(onlooker.next().await.payload.contains("\"reason\":\"shutdown\""));
    assert!(onlooker.next().await.payload.contains("\"reason\":\"connection_lost\""));
}

#[tokio::test]
async fn session_stops_at_once_while_the_broker_is_away() {
    let gate = Gate::before(1).await;
    gate.set(Way::Shut);
    let gateway = Gateway::start(gate.port(), MqttVersion::V5);
    gateway.put(0, 3).await;
    let counters = gateway.counters.clone();
    gateway.stop().await;
    assert_eq!(counters.counts(), Counts::default());
}
