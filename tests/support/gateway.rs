//! The MQTT session at work on a store of its own.
#![allow(dead_code, reason = "each test that includes this uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

use super::broker::within;
use jiff::tz::TimeZone;
use meterd::clock::Clock;
use meterd::config::{Mqtt, MqttVersion, Name};
use meterd::mqtt::{Counters, Counts, Settings, Status, Ways, session};
use meterd::store::{self, Dropped, Entry, Handle, Identity, Rules, Worth, Writer};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// First levels of all topics.
pub(crate) const PREFIX: &str = "meterd/v1";

/// A session at work on a store of its own.
pub(crate) struct Gateway {
    pub(crate) store: Handle,
    pub(crate) counters: Arc<Counters>,
    pub(crate) status: watch::Sender<Status>,
    stop: watch::Sender<bool>,
    session: JoinHandle<Counts>,
    _dir: TempDir,
}

impl Gateway {
    pub(crate) fn start(port: u16, version: MqttVersion) -> Self {
        Self::start_with(port, version, Duration::from_secs(30))
    }

    pub(crate) fn start_with(port: u16, version: MqttVersion, ack_deadline: Duration) -> Self {
        let mqtt = Mqtt { version, ..Mqtt::at("127.0.0.1", port) };
        Self::start_to(mqtt, ack_deadline, Ways::none())
    }

    pub(crate) fn start_to(mqtt: Mqtt, ack_deadline: Duration, ways: Ways) -> Self {
        Self::start_named("gw01", mqtt, ack_deadline, ways)
    }

    /// Under another name.
    pub(crate) fn start_named(gateway: &str, mqtt: Mqtt, ack_deadline: Duration, ways: Ways) -> Self {
        Self::start_exposed(gateway, mqtt, ack_deadline, ways, Duration::from_millis(20))
    }

    /// With another exposure.
    pub(crate) fn start_exposed(
        gateway: &str,
        mqtt: Mqtt,
        ack_deadline: Duration,
        ways: Ways,
        exposure: Duration,
    ) -> Self {
        let dir = TempDir::new().unwrap();
        let rules = Rules { exposure, ..Rules::default() };
        let announce = |dropped: &Dropped| -> Entry { panic!("dropped: {dropped:?}") };
        let writer = Writer::open(dir.path()).unwrap();
        let (store, _task) = store::start(writer, rules, Clock::system(), Arc::new(announce));
        let settings = Settings {
            mqtt,
            gateway: Name::new(gateway).unwrap(),
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
            ack_deadline,
        };
        let counters = Arc::<Counters>::default();
        let (status, seen) = watch::channel(Status::default());
        let (stop, stopped) = watch::channel(false);
        let clock = Clock::system();
        let (of, counted) = (store.clone(), counters.clone());
        let mut ways = ways;
        let run = async move { session::run(settings, of, clock, seen, &mut ways, counted, stopped).await };
        Self { store, counters, status, stop, session: tokio::spawn(run), _dir: dir }
    }

    /// Puts messages for as many slots, from slot number `from` on.
    pub(crate) async fn put(&self, from: i64, count: i64) {
        self.put_of("flat-101", from, count).await;
    }

    pub(crate) async fn put_of(&self, meter: &str, from: i64, count: i64) {
        for number in from..from + count {
            let slot = jiff::Timestamp::from_second(1_795_000_000 + 60 * number).unwrap();
            let entry = Entry {
                topic: format!("{PREFIX}/gw01/meter/{meter}/data/live"),
                body: body(meter, slot),
                retain: false,
                worth: Worth::Live,
                identity: Some(Identity {
                    meter: meter.into(),
                    task: "live".into(),
                    slot,
                    registers: ["voltage_l1".into()].into(),
                }),
                notes: Vec::new(),
            };
            self.store.put(entry).await.unwrap();
        }
        self.store.flush().await.unwrap();
    }

    /// Numbers of the messages that nobody signed for.
    pub(crate) async fn unsigned(&self) -> Vec<u64> {
        self.store.offer(0, 10_000).await.unwrap().iter().map(|pending| pending.seq).collect()
    }

    pub(crate) async fn all_signed(&self) {
        within("the store has nothing left to offer", async {
            while !self.unsigned().await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub(crate) async fn stop(self) -> Counts {
        self.stop.send(true).unwrap();
        within("the session ends", self.session).await.unwrap()
    }
}

/// A message of about a kilobyte, as it lies in the store.
pub(crate) fn body(meter: &str, slot: jiff::Timestamp) -> String {
    let readings = [r#"{"register":"voltage_l1","obis":"1-0:32.7.0","di":"02010100","value":220.0,"unit":"V","quality":"good","taken_at":"2026-11-21T10:15:00.431+08:00"}"#;
        6];
    format!(
        r#""gateway":"gw01","meter":"{meter}","address":"000012345678","archive":"0123456789ab","task":"live","source":"present","slot":"{slot}","day":null,"meter_time":null,"clock_offset_s":null,"backfilled":false,"readings":[{}],"failures":[]}}"#,
        readings.join(",")
    )
}

pub(crate) fn seq(payload: &str) -> u64 {
    let message: serde_json::Value = serde_json::from_str(payload).unwrap();
    assert_eq!(message["v"], 1);
    message["seq"].as_u64().unwrap()
}
