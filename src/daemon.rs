//! Starts, joins and ends what the daemon is made of: store, buses, MQTT session; judges the clock.
//!
//! Readings flow from the buses through the collector into the store and from there to the session;
//! receipts flow back. No part waits for one that stands behind the store.

use crate::bus::learned::Learned;
use crate::bus::port::dial_in::{self, Listening};
use crate::bus::port::{Opener, memory};
use crate::bus::talk::Talk;
use crate::bus::task::{BusTask, Given, Said};
use crate::clock::{Clock, Distrust, Kernel, trusted};
use crate::command::{self, Lane};
use crate::config::Plan;
use crate::mqtt::{self, payload};
use crate::store::{self, About, Fact, Scope, StoreError, Writer};
use crate::telemetry::{Counts, Snapshot};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Reports on their way to the store; when it is full the buses wait for the disk.
const REPORTS: usize = 64;
/// How often the clock is judged.
const JUDGE: Duration = Duration::from_secs(1);
/// How often the kernel is asked about its clock while there is nothing to wait for.
const ASK_KERNEL: Duration = Duration::from_secs(60);
/// A bus that has not gone round its loop for so long is stuck: the longest exchange with its retry
/// and the opening of a port together take less than half of it.
const STUCK: Duration = Duration::from_secs(60);
/// Messages wait in memory for so long at most before they are on disk.
pub const EXPOSURE: Duration = Duration::from_secs(1);
/// A daemon that is not running yet.
#[derive(Debug)]
pub struct Daemon {
    plan: Arc<Plan>,
    clock: Clock,
    lines: BTreeMap<usize, memory::MemoryOpener>,
    broker: bool,
}

/// A daemon that runs.
#[derive(Debug)]
pub struct Running {
    store: store::Handle,
    writer: JoinHandle<Result<Writer, store::Lost>>,
    sent: Arc<mqtt::Counters>,
    buses: Vec<JoinHandle<()>>,
    listening: Listening,
    lanes: Vec<Lane>,
    collector: JoinHandle<()>,
    session: Option<JoinHandle<mqtt::Counts>>,
    judge: JoinHandle<()>,
    stop_buses: watch::Sender<bool>,
    stop_session: watch::Sender<bool>,
    counts: Arc<Counts>,
    clock: Clock,
    plan: Arc<Plan>,
}

impl Daemon {
    /// A daemon for a proved configuration.
    pub fn new(plan: Plan, clock: Clock) -> Self {
        Self { plan: Arc::new(plan), clock, lines: BTreeMap::new(), broker: true }
    }

    /// Puts a line in memory in the place of a bus's port: for tests on virtual time.
    #[must_use]
    pub fn with_line(mut self, bus: usize, opener: memory::MemoryOpener) -> Self {
        self.lines.insert(bus, opener);
        self
    }

    /// Leaves the MQTT session out: a test signs the outbox itself.
    #[must_use]
    pub fn without_broker(mut self) -> Self {
        self.broker = false;
        self
    }

    /// Opens the store and starts everything.
    ///
    /// # Errors
    /// Why the store cannot be opened, with what to do about it.
    pub fn start(mut self) -> Result<Running, store::OpenError> {
        let plan = Arc::clone(&self.plan);
        let mut writer = Writer::open(&plan.gateway.data_dir)?;
        let newest = writer.newest().map_err(|e| unreadable(&plan, e))?;
        let mut learned = learned(&mut writer, &plan).map_err(|e| unreadable(&plan, e))?;
        let (store, writer) = store::start(writer, EXPOSURE);
        let counts = Arc::new(Counts::new(plan.buses.len()));
        let (stop_buses, stop) = watch::channel(false);
        let (stop_session, stopped) = watch::channel(false);

        let (newest_in, newest_out) = watch::channel(newest);
        let (judge, trust, status) = judge(&plan, &self.clock, newest_out, stopped.clone());

        let (said, heard) = mpsc::channel(REPORTS);
        let collector = Collector {
            plan: Arc::clone(&plan),
            bodies: payload::Bodies::new(Arc::clone(&plan)),
            store: store.clone(),
            clock: self.clock.clone(),
            newest: newest_in,
        };
        let collector = tokio::spawn(collector.run(heard));

        let listening = dial_in::listen(&plan.buses, &stop);
        let mut lanes = Vec::new();
        let mut buses = Vec::new();
        for (index, bus) in plan.buses.iter().enumerate() {
            let (lane, commands) = command::lane();
            let opener = match (self.lines.remove(&index), listening.seat(index)) {
                (Some(memory), _) => Opener::Memory(memory),
                (None, Some(seat)) => Opener::Dtu(seat.clone()),
                (None, None) => Opener::to(&bus.port, &bus.settings),
            };
            let given = Given {
                plan: Arc::clone(&plan),
                bus: index,
                clock: self.clock.clone(),
                trust: trust.clone(),
                said: said.clone(),
                commands,
                stop: stop.clone(),
                counts: Arc::clone(&counts),
                learned: learned.get_mut(index).map(std::mem::take).unwrap_or_default(),
            };
            let talk = Talk::new(opener, bus.line, self.clock.clone());
            buses.push(tokio::spawn(BusTask::new(given, talk).run()));
            lanes.push(lane);
        }
        let sent = Arc::<mqtt::Counters>::default();
        let session = self.broker.then(|| {
            let (settings, clock) = (mqtt::Settings::of(&plan), self.clock.clone());
            tokio::spawn(mqtt::session::run(
                settings,
                store.clone(),
                clock,
                status,
                Arc::clone(&sent),
                stopped,
            ))
        });
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            gateway = plan.gateway.id.as_str(),
            meters = plan.meters.len(),
            buses = plan.buses.len(),
            store = %plan.gateway.data_dir.display(),
            "meterd runs; readings wait on disk until the broker has signed for them"
        );
        Ok(Running {
            store,
            writer,
            sent,
            buses,
            listening,
            lanes,
            collector,
            session,
            judge,
            stop_buses,
            stop_session,
            counts,
            clock: self.clock,
            plan,
        })
    }
}

impl Running {
    /// The store, as the MQTT session has it.
    pub fn store(&self) -> &store::Handle {
        &self.store
    }

    /// The ports that DTUs dial in to.
    pub const fn listening(&self) -> &Listening {
        &self.listening
    }

    /// The way of commands to each bus, by index.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// What the buses did so far.
    pub fn counts(&self) -> Snapshot {
        self.counts.now()
    }

    /// What the session did so far.
    pub fn sent(&self) -> mqtt::Counts {
        self.sent.counts()
    }

    /// Waits until no bus has anything to do, or `limit` is over.
    pub async fn quiet(&self, limit: Duration) {
        let until = self.clock.elapsed() + limit;
        while !self.counts.all_idle() && self.clock.elapsed() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Buses that stand still, by name: a reason not to feed the watchdog.
    pub fn stuck(&self) -> Vec<&str> {
        self.counts
            .stuck(self.clock.elapsed(), STUCK)
            .filter_map(|bus| self.plan.buses.get(bus))
            .map(|bus| bus.name.as_str())
            .collect()
    }

    /// Stops the buses and waits until what they read is durable; delivery goes on.
    pub async fn stop_polling(&mut self) {
        self.stop_buses.send_replace(true);
        for bus in self.buses.drain(..) {
            joined("bus", bus.await);
        }
        self.listening.ended().await;
        // The last bus gone, the collector has heard all.
        if let Err(store::Closed) = self.store.flush().await {
            tracing::error!("the store has ended before the daemon");
        }
    }

    /// Ends everything, in the order of the readings' way; what was read is durable afterwards.
    pub async fn stop(mut self) -> (Snapshot, mqtt::Counts) {
        self.stop_polling().await;
        joined("collector", self.collector.await);
        if let Err(store::Closed) = self.store.flush().await {
            tracing::error!("the store has ended before the daemon");
        }
        self.stop_session.send_replace(true);
        if let Some(session) = self.session {
            joined("session", session.await.map(drop));
        }
        joined("judge", self.judge.await);
        drop(self.store);
        match self.writer.await {
            Ok(Ok(_)) => {}
            Ok(Err(lost)) => tracing::error!("{lost}"),
            Err(died) => joined("store", Err(died)),
        }
        (self.counts.now(), self.sent.counts())
    }
}

/// A task that panicked is a bug; in release builds the process is gone by then.
fn joined(part: &str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(e) = ended {
        tracing::error!(part, "a part of the daemon died: {e}");
    }
}

/// Takes what the buses say and hands it to the store.
struct Collector {
    plan: Arc<Plan>,
    bodies: payload::Bodies,
    store: store::Handle,
    clock: Clock,
    newest: watch::Sender<Option<Timestamp>>,
}

impl Collector {
    async fn run(mut self, mut heard: mpsc::Receiver<Said>) {
        while let Some(said) = heard.recv().await {
            let handed = match said {
                Said::Report(report) => {
                    self.newest.send_if_modified(|newest| {
                        let later = newest.is_none_or(|n| report.slot > n);
                        if later {
                            *newest = Some(report.slot);
                        }
                        later
                    });
                    self.store.put(self.bodies.entry(&report)).await
                }
                Said::Learned { bus, learned } => self.learn(bus, learned).await,
                Said::Event(event) => self.store.put(payload::event(&event, &self.plan)).await,
                Said::RoundOver => self.store.round_over().await,
            };
            if let Err(store::Closed) = handed {
                tracing::error!("readings were lost: the store has ended before the buses");
            }
        }
    }
}

impl Collector {
    async fn learn(&self, bus: usize, learned: Learned) -> Result<(), store::Closed> {
        let (about, address) = match learned.meter() {
            Some(meter) => match self.plan.meters.get(meter) {
                Some(known) => (About::Meter(known.name.to_string()), known.protocol.address()),
                None => return Ok(()),
            },
            None => match self.plan.buses.get(bus) {
                Some(known) => (About::Bus(known.name.to_string()), String::new()),
                None => return Ok(()),
            },
        };
        match learned.fact(&address) {
            (key, Some(value)) => self.store.learn(about, Fact { key, value, at: self.clock.now() }).await,
            (key, None) => self.store.unlearn(about, key).await,
        }
    }
}

fn unreadable(plan: &Plan, cause: StoreError) -> store::OpenError {
    store::OpenError::Store { path: plan.gateway.data_dir.clone(), cause }
}

/// What each bus learned in earlier runs, by bus.
fn learned(writer: &mut Writer, plan: &Plan) -> Result<Vec<Vec<Learned>>, StoreError> {
    let mut all = Vec::with_capacity(plan.buses.len());
    for bus in &plan.buses {
        let facts = writer.facts(Scope::Bus(bus.name.as_str()))?;
        all.push(facts.iter().filter_map(|fact| Learned::of_bus(&fact.key, &fact.value)).collect::<Vec<_>>());
    }
    for (index, meter) in plan.meters.iter().enumerate() {
        let address = meter.protocol.address();
        let facts = writer.facts(Scope::Meter(meter.name.as_str()))?;
        if let Some(bus) = all.get_mut(meter.bus) {
            bus.extend(facts.iter().filter_map(|f| Learned::of_meter(index, &address, &f.key, &f.value)));
        }
    }
    Ok(all)
}

type Trusted = watch::Receiver<Result<(), Distrust>>;

/// Judges the clock once a second, for the buses and for the status.
fn judge(
    plan: &Plan,
    clock: &Clock,
    newest: watch::Receiver<Option<Timestamp>>,
    mut stop: watch::Receiver<bool>,
) -> (JoinHandle<()>, Trusted, watch::Receiver<mqtt::Status>) {
    let (clock, trust) = (clock.clone(), plan.gateway.clock);
    let verdict = move |kernel: Kernel, clock: &Clock| trusted(clock.now(), *newest.borrow(), kernel, trust);
    let mut kernel = clock.kernel();
    let first = verdict(kernel, &clock);
    say_verdict(first);
    let (trust_in, trust_out) = watch::channel(first);
    let (status_in, status_out) = watch::channel(mqtt::Status { distrust: first.err() });
    let task = tokio::spawn(async move {
        let mut asked = clock.elapsed();
        loop {
            tokio::select! {
                biased;
                stopped = stop.changed() => if stopped.is_err() || *stop.borrow() { return },
                () = tokio::time::sleep(JUDGE) => {}
            }
            if kernel == Kernel::Waiting || clock.elapsed() - asked >= ASK_KERNEL {
                kernel = clock.kernel();
                asked = clock.elapsed();
            }
            let now = verdict(kernel, &clock);
            let changed = trust_in.send_if_modified(|before| {
                let other = before.is_ok() != now.is_ok();
                *before = now;
                other
            });
            if changed {
                say_verdict(now);
                status_in.send_replace(mqtt::Status { distrust: now.err() });
            }
        }
    });
    (task, trust_out, status_out)
}

fn say_verdict(verdict: Result<(), Distrust>) {
    match verdict {
        Ok(()) => tracing::info!("the clock is trusted: slots open"),
        Err(why) => tracing::warn!(%why, "the clock is not trusted: no slot opens until it is set"),
    }
}
