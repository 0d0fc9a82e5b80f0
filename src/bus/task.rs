//! The task that owns a line: commands first, then what is due, one exchange at a time.

mod adopt;
mod ask;
mod choose;
mod clocks;
mod current;
mod gaps;
mod hearing;
mod kept;
mod obey;
mod report;

pub use adopt::{Remains, Step};
pub use kept::{GapSaid, Note, SlotSaid, State};

use super::learned::{Learned, Memory};
use super::port::back_off::BackOff;
use super::reports::Reports;
use super::standing::Standings;
use super::talk::{STOPPED, Talk};
use crate::clock::{Clock, Distrust};
use crate::command::Command;
use crate::config::Plan;
use crate::event::Event;
use crate::planner::Plans;
use crate::reading::{Reason, Report};
use crate::schedule::{GivenUp, KeptSlots, Past, Schedule, Slots};
use crate::telemetry::{Counts, Pulse};
use current::Current;
use gaps::Looks;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often is looked again at a clock that is not trusted, and the longest that is listened.
const LOOK: Duration = Duration::from_secs(1);
/// The longest rest without a look at what is due.
const REST: Duration = Duration::from_secs(20);
/// Silence after which a jammed line is free again, and how long it is listened to in one go.
const QUIET: Duration = Duration::from_millis(200);
/// A jam that is over by then costs no job: they wait so long.
const HOLD: Duration = Duration::from_secs(10);
/// Seconds after local midnight in which meters are busy with their freezes.
const MIDNIGHT: i64 = 10 * 60;
const DAY: i64 = 86_400;

/// Live jobs that may go before a visit of the same priority.
const IN_A_ROW: u8 = 3;

/// What an exchange under way is given when the daemon ends: most end within it, and the whole
/// daemon has 5 s.
const GRACE: Duration = Duration::from_secs(1);

/// What a bus says to the rest of the daemon.
#[derive(Clone, PartialEq, Debug)]
pub enum Said {
    /// One meter was read for one slot, or could not be.
    Report(Report),
    /// Something was learned that is to be kept.
    Learned {
        /// Index of the bus.
        bus: usize,
        /// What.
        learned: Learned,
    },
    /// Something happened that is no reading.
    Event(Event),
    /// One meter was read for one slot of a kept task, or could not be.
    Slot(Box<SlotSaid>),
    /// Slots of one meter will never be read.
    Gap(Box<GapSaid>),
    /// Nothing more is due: what was said so far is to be made durable.
    RoundOver,
}

/// The same with the plan that its indices are of: the daemon's may be another one by now.
#[derive(Clone, Debug)]
pub struct Told {
    /// The plan that the bus works by.
    pub plan: Arc<Plan>,
    /// What it says.
    pub said: Said,
}

/// What a bus task is given.
#[derive(Debug)]
pub struct Given {
    /// The proved configuration.
    pub plan: Arc<Plan>,
    /// Index of this bus.
    pub bus: usize,
    /// Time.
    pub clock: Clock,
    /// Whether wall time can be trusted; slots open only then. Sent again when the wall clock was stepped.
    pub trust: watch::Receiver<Result<(), Distrust>>,
    /// Where reports go; when it is full the bus waits for the store.
    pub said: mpsc::Sender<Told>,
    /// Commands for this bus.
    pub commands: mpsc::Receiver<Command>,
    /// Configurations in which this bus goes on, in their order.
    pub steps: mpsc::Receiver<Step>,
    /// True when the bus is to end.
    pub stop: watch::Receiver<bool>,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// Signs of life.
    pub pulse: Arc<Pulse>,
    /// What was learned in earlier runs.
    pub learned: Vec<Learned>,
    /// What earlier runs left of the slots of kept tasks.
    pub past: Past,
}

/// The task.
#[derive(Debug)]
pub struct BusTask {
    given: Given,
    talk: Talk,
    schedule: Schedule,
    kept: KeptSlots,
    plans: Plans,
    current: Option<Current>,
    /// Slots of which nobody has said yet that they are not fetched any more.
    given_up: Vec<GivenUp>,
    /// The last instant of which a freeze was to be broadcast in this run, and when it arrived.
    frozen: Option<(Timestamp, Option<Timestamp>)>,
    /// Live jobs since the last visit.
    in_a_row: u8,
    memory: Memory,
    /// Meters that are not kept yet as those at their points.
    arrived: Vec<usize>,
    standings: Standings,
    back_off: BackOff,
    unsaid: bool,
    /// Since when somebody talks without end.
    jammed: Option<Duration>,
    echo_said: bool,
    reports: Reports,
    looks: Looks,
}

/// Comes when the bus is to end and an exchange under way has had its time.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that the daemon is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(GRACE).await;
}

/// Rests for so long, or until it is said that the wall clock was stepped or is not trusted. One task looks at it for all
/// lines, so that a small machine wakes once.
async fn rest(trust: &mut watch::Receiver<Result<(), Distrust>>, wait: Duration) {
    let said = async {
        if trust.changed().await.is_err() {
            // Nobody judges the clock any more: the daemon is about to end.
            std::future::pending::<()>().await;
        }
    };
    // An error means that all of the rest is over.
    let _ = tokio::time::timeout(wait, said).await;
}

impl BusTask {
    /// A task that talks on `talk` for the meters of one bus.
    pub fn new(mut given: Given, talk: Talk) -> Self {
        let plan = Arc::clone(&given.plan);
        let mut schedule = Schedule::new();
        for (index, task) in plan.tasks.iter().enumerate().filter(|(_, task)| !task.read.is_kept()) {
            let slots = Slots::of(&task.when, task.read, plan.gateway.zone.clone());
            schedule.add(index, slots, adopt::meters_here(&plan, given.bus, index));
        }
        let bus = given.bus;
        let groups = adopt::groups(&plan, bus);
        groups.iter().for_each(|(meter, group)| schedule.group(*meter, *group));
        let meters = groups.into_keys();
        // Lines of one gateway, and gateways behind one server, are not to come back together.
        let seed = [plan.gateway.id.as_str(), plan.buses.get(given.bus).map_or("", |bus| bus.name.as_str())]
            .iter()
            .flat_map(|name| name.bytes())
            .fold(0, |seed: u64, octet| seed.wrapping_mul(31).wrapping_add(octet.into()));
        let pinned = plan.buses.get(given.bus).and_then(|bus| bus.turnaround);
        let memory = Memory::of(std::mem::take(&mut given.learned), pinned);
        let mut kept = kept::kept(&plan, given.bus, std::mem::take(&mut given.past));
        adopt::groups(&plan, given.bus)
            .into_keys()
            .filter(|meter| memory.habits.has_no_freeze(*meter))
            .for_each(|meter| kept.has_no_freeze(meter, true));
        Self {
            given,
            talk,
            schedule,
            kept,
            plans: Plans::default(),
            current: None,
            given_up: Vec::new(),
            frozen: None,
            in_a_row: 0,
            arrived: adopt::arrived(&plan, bus, &memory),
            memory,
            standings: Standings::new(meters),
            back_off: BackOff::new(seed),
            unsaid: false,
            jammed: None,
            echo_said: false,
            reports: Reports::default(),
            looks: Looks::default(),
        }
    }

    /// Runs until the bus is to end; what was read before is reported. What the bus is when it starts anew is given
    /// back, with the line closed.
    pub async fn run(mut self) -> Remains {
        loop {
            // An error means that the daemon is gone.
            if *self.given.stop.borrow() || self.given.stop.has_changed().is_err() {
                break;
            }
            self.given.pulse.turned(self.given.clock.elapsed());
            if let Ok(step) = self.given.steps.try_recv() {
                self.adopt(step).await;
            } else if let Ok(command) = self.given.commands.try_recv() {
                self.obey(command).await;
            } else if let Some((slot, meters)) = self.is_to_freeze() {
                self.freeze_all(slot, meters).await;
            } else if let Some(current) = self.current.take() {
                self.exchange(current).await;
            } else if let Some(wait) = self.begin().await {
                let Given { trust, commands, steps, stop, .. } = &mut self.given;
                tokio::select! {
                    biased;
                    _ = stop.changed() => {}
                    Some(step) = steps.recv() => self.adopt(step).await,
                    command = commands.recv() => match command {
                        Some(command) => self.obey(command).await,
                        // Nobody can command any more: the daemon is about to end.
                        None => tokio::time::sleep(wait.min(LOOK)).await,
                    },
                    () = rest(trust, wait) => {}
                }
            }
        }
        while let Ok(step) = self.given.steps.try_recv() {
            self.adopt(step).await;
        }
        self.end().await
    }

    async fn end(mut self) -> Remains {
        if let Some(current) = self.current.take() {
            self.over(current.abandoned(STOPPED)).await;
        }
        for job in self.schedule.abandon() {
            self.report_all(job, Reason::Expired, STOPPED).await;
        }
        self.keep_energies(|_| true).await;
        self.round_over().await;
        Remains::of(self)
    }

    fn port_rests(&self) -> bool {
        let rests = self.back_off.rests(self.given.clock.elapsed());
        rests && self.talk.backs_off() && !self.talk.is_open()
    }
}
