//! The session with the broker: it offers what the store holds, and forgets what the broker signed for.
//!
//! Each connection starts from nothing: all that the store still holds is offered again, in order
//! from the oldest, because the library and many brokers forget what was on its way. A receipt
//! (PUBACK) counts only for the packet of the same connection. So a message may come twice, with the
//! same `seq`, and none is lost. The session holds at most a window of messages in memory and never
//! makes the buses wait.

mod conversation;
mod directs;
mod farewell;
mod feed;
mod outage;
mod refusals;
mod ways;
mod window;

pub(super) use outage::Backoff;
pub use ways::{DIRECTS, Direct, INCOMING, Incoming, Properties, Qos, Ways};

use super::connection::{self, Options, Publish};
use super::status::{Offline, Status, StatusMessage};
use super::topics;
use crate::clock::Clock;
use crate::config::{self, Plan};
use crate::store;
use conversation::{Broken, Conversation, End, Given, Kept};
use jiff::tz::TimeZone;
use outage::Outage;
use refusals::Refusals;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// How long a packet may be the oldest without its receipt. A broker that never signs raises no error.
const ACK_DEADLINE: Duration = Duration::from_secs(30);

/// What a session needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Broker, version of MQTT, prefix of topics.
    pub mqtt: config::Mqtt,
    /// Name of the gateway: second level of topics, and `meterd-{gateway}` as client id.
    pub gateway: config::Name,
    /// Zone of published times.
    pub zone: TimeZone,
    /// How long a packet may be the oldest without its receipt, before the connection is given up.
    pub ack_deadline: Duration,
}

impl Settings {
    /// As the configuration says, with the deadline of 30 s.
    pub fn of(plan: &Plan) -> Self {
        Self {
            mqtt: plan.mqtt.clone(),
            gateway: plan.gateway.id.clone(),
            zone: plan.gateway.zone.clone(),
            ack_deadline: ACK_DEADLINE,
        }
    }

    fn broker(&self) -> String {
        self.mqtt.authority()
    }

    /// Octets of topics before `meter/{meter}/`.
    fn topic_skip(&self) -> usize {
        self.mqtt.prefix.len() + self.gateway.as_str().len() + 2
    }

    fn status_topic(&self) -> String {
        topics::status(&self.mqtt.prefix, self.gateway.as_str())
    }

    fn options(&self) -> Options {
        let will = StatusMessage::offline(self.gateway.as_str(), Offline::ConnectionLost, None);
        Options {
            mqtt: self.mqtt.clone(),
            client_id: format!("meterd-{}", self.gateway),
            last_will: Some(Publish { topic: self.status_topic(), payload: will.to_json() }),
        }
    }
}

/// What a session has done so far; shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Counters {
    published: AtomicU64,
    signed_for: AtomicU64,
    refused: AtomicU64,
    connections: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Messages of the store handed to a connection; one that is sent again counts again.
    pub published: u64,
    /// Messages that the broker signed for.
    pub signed_for: u64,
    /// Messages that the broker refused (MQTT 5); they stay in the store and are sent again.
    pub refused: u64,
    /// Connections after the first.
    pub reconnects: u64,
}

impl Counters {
    /// The counters now.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            published: read(&self.published),
            signed_for: read(&self.signed_for),
            refused: read(&self.refused),
            reconnects: read(&self.connections).saturating_sub(1),
        }
    }
}

/// Serves the store until `stop` turns true (or its sender is gone): then it says that the gateway is
/// offline, waits up to 3 s for receipts, and disconnects. It ends early only if the store is closed.
pub async fn run(
    settings: Settings,
    store: store::Handle,
    clock: Clock,
    status: watch::Receiver<Status>,
    ways: &mut Ways,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) -> Counts {
    let broker = settings.broker();
    let options = settings.options();
    let mut backoff = Backoff::seeded();
    let mut outage = Outage::default();
    let mut refusals = Refusals::new(Backoff::seeded());
    for warning in connection::access::open_to_others(&settings.mqtt) {
        warn!("{warning}");
    }
    info!(%broker, "connecting to the broker");
    let given = Given { settings: &settings, store: &store, clock: &clock, counters: &counters };
    while !*stop.borrow() {
        let end = match connection::open(&options) {
            Ok((client, events, pump)) => {
                let kept = Kept { ways: &mut *ways, outage: &mut outage, refusals: &mut refusals };
                let mut conversation = Conversation::new(given, kept, status.clone(), client);
                tokio::select! {
                    end = conversation.run(events, &mut stop) => end,
                    never = pump => match never {},
                }
            }
            Err(fault) => End::Broken { why: fault.into(), useful: false },
        };
        match end {
            End::Stopped => break,
            End::StoreClosed => {
                error!(%broker, "the store was closed while the session still served it");
                break;
            }
            End::Broken { why, useful } => {
                if useful {
                    backoff.reset();
                }
                let wait = backoff.next();
                say(&broker, &why, outage.fault(clock.elapsed()), wait);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stopped(&mut stop) => break,
                    never = ways.drop_directs() => match never {},
                }
            }
        }
    }
    let counts = counters.counts();
    info!(%broker, published = counts.published, signed_for = counts.signed_for, "session ended");
    counts
}

/// Ends when the session is to stop. The value that it waited for is a lock; it goes no further than here.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn say(broker: &str, why: &Broken, told: Option<outage::Told>, wait: Duration) {
    let retry_in_ms = wait.as_millis() as u64;
    match told {
        Some(told) if told.faults == 1 => {
            warn!(%broker, retry_in_ms, "{why}; unsigned messages stay in the store and are sent again after reconnecting");
        }
        Some(told) => {
            let (faults, for_s) = (told.faults, told.lasted.as_secs());
            warn!(%broker, faults, for_s, retry_in_ms, "still no sound connection: {why}; messages stay in the store");
        }
        None => tracing::debug!(%broker, retry_in_ms, "{why}"),
    }
}
