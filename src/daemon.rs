//! Starts, joins and ends what the daemon is made of: store, buses, MQTT session; judges the clock.
//!
//! Readings flow from the buses through the collector into the store and from there to the session;
//! receipts flow back. No part waits for one that stands behind the store.

mod alarms;
mod announcer;
mod buses;
mod collector;
mod herald;
mod judge;
mod link;
mod office;
mod past;
mod reload;
mod runs;
mod slots;
mod stop;

pub use reload::{Changed, Refused};

use crate::bus::learned::Learned;
use crate::bus::port::dial_in::{self, Listening};
use crate::bus::port::memory;
use crate::clock::Clock;
use crate::command::Lane;
use crate::command::desk::Wish;
use crate::config::Plan;
use crate::mqtt::{self, payload};
use crate::store::{self, Dropped, Rules, Scope, StoreError, Writer};
use crate::telemetry::{Counts, Snapshot};
use alarms::Alarms;
use buses::{Before, Ground, Line};
use collector::Collector;
use herald::Herald;
use judge::judge;
use link::Link;
use office::Office;
use past::Past;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Reports on their way to the store; when it is full the buses wait for the disk.
const REPORTS: usize = 64;
/// A bus that has not gone round its loop for so long is stuck: the longest exchange with its retry
/// and the opening of a port together take less than half of it.
const STUCK: Duration = Duration::from_secs(60);
/// A daemon that is not running yet.
#[derive(Debug)]
pub struct Daemon {
    plan: Arc<Plan>,
    clock: Clock,
    lines: Vec<(String, memory::MemoryOpener)>,
    broker: bool,
}

/// A daemon that runs.
#[derive(Debug)]
pub struct Running {
    plan: Arc<Plan>,
    /// The same, for who works by it and is not started anew.
    in_force: watch::Sender<Arc<Plan>>,
    clock: Clock,
    store: store::Handle,
    writer: JoinHandle<Result<Writer, store::Lost>>,
    counts: Arc<Counts>,
    /// What buses are started on; gone once polling has been stopped.
    ground: Option<Ground>,
    /// The buses, by index.
    buses: Vec<Line>,
    /// Buses that were told to end by a reload.
    ending: Vec<Line>,
    lanes: Vec<Lane>,
    listening: Listening,
    collector: Option<JoinHandle<()>>,
    link: Option<Link>,
    /// What the session has, where a test stands in for it.
    ways: Option<mqtt::Ways>,
    office: Office,
    judge: JoinHandle<()>,
    herald: JoinHandle<()>,
    teller: JoinHandle<()>,
    announcer: JoinHandle<()>,
    /// Those of lines.
    alarms: watch::Sender<Alarms>,
    stop_judge: watch::Sender<bool>,
    status: watch::Receiver<mqtt::Status>,
    sent: Arc<mqtt::Counters>,
}

impl Daemon {
    /// A daemon for a proved configuration.
    pub fn new(plan: Plan, clock: Clock) -> Self {
        Self { plan: Arc::new(plan), clock, lines: Vec::new(), broker: true }
    }

    /// Puts a line in memory in the place of a bus's port: for tests on virtual time.
    #[must_use]
    pub fn with_line(self, bus: usize, opener: memory::MemoryOpener) -> Self {
        let name = self.plan.buses.get(bus).map_or_else(String::new, |bus| bus.name.to_string());
        self.with_line_of(&name, opener)
    }

    /// The same for the bus of this name, which may come with a later configuration. The second one of a name is for
    /// when the bus is started anew.
    #[must_use]
    pub fn with_line_of(mut self, bus: &str, opener: memory::MemoryOpener) -> Self {
        self.lines.push((bus.to_owned(), opener));
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
    pub fn start(self) -> Result<Running, store::OpenError> {
        let Self { plan, clock, lines, broker } = self;
        let mut writer = Writer::open(&plan.gateway.data_dir)?;
        let newest = writer.newest().map_err(|e| unreadable(&plan, e))?;
        let past = Past::look(&mut writer, &plan, newest, clock.now()).map_err(|e| unreadable(&plan, e))?;
        let (learned, exchanged) = learned(&mut writer, &plan).map_err(|e| unreadable(&plan, e))?;
        let mut slots = slots::past(&mut writer, &plan, |_, _| true).map_err(|e| unreadable(&plan, e))?;
        for (bus, meter) in exchanged {
            if let Some(past) = slots.get_mut(bus) {
                past.exchange(meter);
            }
        }
        let rounds = runs::resume(&mut writer, &plan).map_err(|e| unreadable(&plan, e))?;
        let facts = writer.facts(Scope::Gateway).map_err(|e| unreadable(&plan, e))?;
        let (in_force, in_force_out) = watch::channel(Arc::clone(&plan));
        let announce = {
            let (plan, clock) = (in_force_out.clone(), clock.clone());
            Arc::new(move |dropped: &Dropped| payload::rows_dropped(dropped, clock.now(), &plan.borrow()))
        };
        let rules = Rules { known: slots::known(&plan), ..Rules::of(&plan.store, &plan.gateway.data_dir) };
        let (store, writer) = store::start(writer, rules, clock.clone(), announce);
        let counts = Arc::<Counts>::default();
        let (stop_judge, stopped) = watch::channel(false);

        let (newest_in, newest_out) = watch::channel(newest);
        let (events, happened) = mpsc::channel(herald::EVENTS);
        let teller = tokio::spawn(herald::tell(in_force_out.clone(), store.clone(), happened));
        let (judge, trust) = judge(in_force_out.clone(), &clock, newest_out, events.clone(), stopped.clone());
        let (lines_in, alarms) = watch::channel(Alarms::default());
        let state = store.state();
        let first = mqtt::Status {
            distrust: trust.borrow().err(),
            store: Some(state.borrow().clone()),
            alarms: Vec::new(),
        };
        let (status_in, status) = watch::channel(first);
        let (ear, announcer, announced) =
            announcer::announcer(in_force_out.clone(), store.clone(), clock.clone(), &facts);
        let announcer = tokio::spawn(announcer.run());
        let born = payload::birth(&plan);
        let (retained_in, retained) = watch::channel(born.clone().into());
        let herald = Herald {
            in_force: in_force_out,
            clock: clock.clone(),
            trust: trust.clone(),
            store: state,
            lines: alarms,
            past,
            events,
            status: status_in,
            retained: retained_in,
            born,
            announced,
        };
        let herald = tokio::spawn(herald.run(stopped.clone()));

        let (said, heard) = mpsc::channel(REPORTS);
        let bodies = payload::Bodies::new(Arc::clone(&plan));
        let collector = Collector {
            store: store.clone(),
            clock: clock.clone(),
            newest: newest_in,
            lines: lines_in.clone(),
            rounds,
            ear,
            bodies,
        };
        let collector = tokio::spawn(collector.run(heard));

        let listening = dial_in::listen(&plan.buses);
        let mut ground = Ground { clock: clock.clone(), trust, said, counts: Arc::clone(&counts), lines };
        let buses: Vec<Line> = learned
            .into_iter()
            .zip(slots)
            .enumerate()
            .map(|(bus, known)| ground.start(&plan, bus, listening.seat(bus), known, Before::default()))
            .collect();
        let lanes: Vec<Lane> = buses.iter().map(|line| line.lane.clone()).collect();
        let sent = Arc::<mqtt::Counters>::default();
        let (mut ways, office) = office::open(&plan, lanes.clone(), &store, &clock, status.clone(), stopped);
        ways.subscribe = office::subscriptions(&plan);
        ways.retained = retained;
        let (link, ways) = if broker {
            (Some(link::open(&plan, &store, &clock, status.clone(), &sent, From::from(ways))), None)
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
            plan,
            in_force,
            clock,
            store,
            writer,
            counts,
            ground: Some(ground),
            buses,
            ending: Vec::new(),
            lanes,
            listening,
            collector: Some(collector),
            link,
            ways,
            office,
            judge,
            herald,
            teller,
            announcer,
            alarms: lines_in,
            stop_judge,
            status,
            sent,
        })
    }
}

impl Running {
    /// The store, as the MQTT session has it.
    pub fn store(&self) -> &store::Handle {
        &self.store
    }

    /// The configuration in force.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
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
        while !self.buses.iter().all(|line| line.pulse.is_idle()) && self.clock.elapsed() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Buses that stand still, by name: a reason not to feed the watchdog.
    pub fn stuck(&self) -> Vec<&str> {
        let now = self.clock.elapsed();
        self.buses
            .iter()
            .filter(|line| line.pulse.is_stuck(now, STUCK))
            .map(|line| line.name.as_str())
            .collect()
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

/// What each bus learned in earlier runs, by bus; and the points, with their bus, at which another meter hung then.
type Known = (Vec<Vec<Learned>>, Vec<(usize, usize)>);

fn learned(writer: &mut Writer, plan: &Plan) -> Result<Known, StoreError> {
    let mut all = Vec::with_capacity(plan.buses.len());
    for bus in &plan.buses {
        let facts = writer.facts(Scope::Bus(bus.name.as_str()))?;
        all.push(facts.iter().filter_map(|fact| Learned::of_bus(&fact.key, &fact.value)).collect::<Vec<_>>());
    }
    let mut exchanged = Vec::new();
    for (index, meter) in plan.meters.iter().enumerate() {
        let facts = writer.facts(Scope::Meter(meter.name.as_str()))?;
        if past::is_exchanged(&meter.protocol.address(), &facts) {
            exchanged.push((meter.bus, index));
        }
        if let Some(bus) = all.get_mut(meter.bus) {
            bus.extend(past::recalled(plan, index, &facts));
        }
    }
    Ok((all, exchanged))
}
