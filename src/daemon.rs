//! Starts, joins and ends what the daemon is made of: store, buses, MQTT session; judges the clock.
//!
//! Readings flow from the buses through the collector into the store and from there to the session;
//! receipts flow back. No part waits for one that stands behind the store.

mod alarms;
mod collector;
mod herald;
mod judge;
mod office;
mod past;

use crate::bus::learned::Learned;
use crate::bus::port::dial_in::{self, Listening};
use crate::bus::port::{Opener, memory};
use crate::bus::talk::Talk;
use crate::bus::task::{BusTask, Given};
use crate::clock::Clock;
use crate::command::desk::Wish;
use crate::command::{self, Lane};
use crate::config::Plan;
use crate::mqtt::{self, payload};
use crate::rounds::Rounds;
use crate::store::{self, Dropped, Rules, Scope, StoreError, Writer};
use crate::telemetry::{Counts, Snapshot};
use alarms::Alarms;
use collector::Collector;
use herald::Herald;
use judge::judge;
use office::Office;
use past::Past;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Reports on their way to the store; when it is full the buses wait for the disk.
const REPORTS: usize = 64;
/// A bus that has not gone round its loop for so long is stuck: the longest exchange with its retry
/// and the opening of a port together take less than half of it.
const STUCK: Duration = Duration::from_secs(60);
/// When the daemon ends: what an exchange under way and the reports behind it may take, and then a flush. A disk that
/// takes nothing does not hold the end up; what it did not take is tried once more when the store is closed.
const POLLING_ENDS: Duration = Duration::from_millis(1500);
const FLUSH_ENDS: Duration = Duration::from_millis(500);
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
    /// What the session has, where a test stands in for it.
    ways: Option<mqtt::Ways>,
    office: Office,
    judge: JoinHandle<()>,
    herald: JoinHandle<()>,
    teller: JoinHandle<()>,
    status: watch::Receiver<mqtt::Status>,
    /// The configuration in force, for who works by it and is not started anew.
    in_force: watch::Sender<Arc<Plan>>,
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
        let past =
            Past::look(&mut writer, &plan, newest, self.clock.now()).map_err(|e| unreadable(&plan, e))?;
        let mut learned = learned(&mut writer, &plan).map_err(|e| unreadable(&plan, e))?;
        let announce = {
            let (plan, clock) = (Arc::clone(&plan), self.clock.clone());
            Arc::new(move |dropped: &Dropped| payload::rows_dropped(dropped, clock.now(), &plan))
        };
        let (store, writer) = store::start(
            writer,
            Rules::of(&plan.store, &plan.gateway.data_dir),
            self.clock.clone(),
            announce,
        );
        let counts = Arc::new(Counts::new(plan.buses.len()));
        let (stop_buses, stop) = watch::channel(false);
        let (stop_session, stopped) = watch::channel(false);

        let (newest_in, newest_out) = watch::channel(newest);
        let (in_force, in_force_out) = watch::channel(Arc::clone(&plan));
        let (events, happened) = mpsc::channel(herald::EVENTS);
        let teller = tokio::spawn(herald::tell(in_force_out.clone(), store.clone(), happened));
        let (judge, trust) = judge(&plan, &self.clock, newest_out, events.clone(), stopped.clone());
        let (lines_in, lines) = watch::channel(Alarms::default());
        let state = store.state();
        let first = mqtt::Status {
            distrust: trust.borrow().err(),
            store: Some(state.borrow().clone()),
            alarms: Vec::new(),
        };
        let (status_in, status) = watch::channel(first);
        let (retained_in, retained) = watch::channel(payload::birth(&plan).into());
        let herald = Herald {
            in_force: in_force_out,
            clock: self.clock.clone(),
            trust: trust.clone(),
            store: state,
            lines,
            past,
            events,
            status: status_in,
            retained: retained_in,
        };
        let herald = tokio::spawn(herald.run(stopped.clone()));

        let (said, heard) = mpsc::channel(REPORTS);
        let collector = Collector {
            plan: Arc::clone(&plan),
            store: store.clone(),
            clock: self.clock.clone(),
            newest: newest_in,
            lines: lines_in,
            rounds: Rounds::default(),
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
        let (mut ways, office) =
            office::open(&plan, lanes.clone(), &store, &self.clock, status.clone(), stopped.clone());
        ways.retained = retained;
        let shown = status.clone();
        let (session, ways) = if self.broker {
            let (settings, clock) = (mqtt::Settings::of(&plan), self.clock.clone());
            let (store, counters) = (store.clone(), Arc::clone(&sent));
            let session = mqtt::session::run(settings, store, clock, status, ways, counters, stopped);
            (Some(tokio::spawn(session)), None)
        } else {
            (None, Some(ways))
        };
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
            ways,
            office,
            judge,
            herald,
            teller,
            status: shown,
            in_force,
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

    /// What the gateway says of itself, as the session publishes it.
    pub fn status(&self) -> watch::Receiver<mqtt::Status> {
        self.status.clone()
    }

    /// The way of commands to each bus, by index.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The ways beside the outbox, once, where the session was left out ([`Daemon::without_broker`]): a test sends
    /// commands and hears the answers.
    pub const fn take_ways(&mut self) -> Option<mqtt::Ways> {
        self.ways.take()
    }

    /// The next archive or list of tasks that the head-end sends, for who has the configuration's file; waits for ever
    /// where the configuration allows none.
    pub async fn wish(&mut self) -> Wish {
        self.office.wish().await
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

    /// Stops the buses and waits until what they read is durable, unless the disk takes nothing; delivery goes on.
    pub async fn stop_polling(&mut self) {
        self.stop_buses.send_replace(true);
        let until = self.clock.instant(self.clock.elapsed() + POLLING_ENDS);
        for bus in self.buses.drain(..) {
            joined_by(until, "bus", bus).await;
        }
        self.listening.ended().await;
        // The last bus gone, the collector has heard all.
        flushed(&self.store).await;
    }

    /// Ends everything, in the order of the readings' way; what was read is durable afterwards, or an error was logged.
    pub async fn stop(mut self) -> (Snapshot, mqtt::Counts) {
        self.stop_polling().await;
        let until = self.clock.instant(self.clock.elapsed() + FLUSH_ENDS);
        joined_by(until, "collector", self.collector).await;
        flushed(&self.store).await;
        self.stop_session.send_replace(true);
        if let Some(session) = self.session {
            joined("session", session.await.map(drop));
        }
        self.office.ended().await;
        joined("judge", self.judge.await);
        joined("herald", self.herald.await);
        drop(self.in_force);
        let until = self.clock.instant(self.clock.elapsed() + FLUSH_ENDS);
        joined_by(until, "teller", self.teller).await;
        drop(self.store);
        match self.writer.await {
            Ok(Ok(mut writer)) => past::ended(&mut writer),
            Ok(Err(lost)) => tracing::error!("{lost}"),
            Err(died) => joined("store", Err(died)),
        }
        (self.counts.now(), self.sent.counts())
    }
}

/// Makes durable what was put, if the disk takes it.
async fn flushed(store: &store::Handle) {
    match tokio::time::timeout(FLUSH_ENDS, store.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(store::Closed)) => tracing::error!("the store has ended before the daemon"),
        Err(_) => tracing::warn!("the disk has not taken the last messages yet; tried again at the end"),
    }
}

/// Waits for a task, and cuts it off at an instant: it waits for a disk that takes nothing.
async fn joined_by(until: tokio::time::Instant, part: &str, mut task: JoinHandle<()>) {
    match tokio::time::timeout_at(until, &mut task).await {
        Ok(ended) => joined(part, ended),
        Err(_) => {
            tracing::error!(part, "readings are lost: the store takes nothing, and the daemon is to end");
            task.abort();
            // Cancelled, as it was asked to be.
            let _ = task.await;
        }
    }
}

/// A task that panicked is a bug; in release builds the process is gone by then.
fn joined(part: &str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(e) = ended {
        tracing::error!(part, "a part of the daemon died: {e}");
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
