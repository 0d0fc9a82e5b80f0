//! The task that owns a line: commands first, then what is due, one exchange at a time.

mod adopt;
mod gaps;
mod hearing;
mod obey;
mod report;

pub use adopt::{Remains, Step};

use super::learned::{Learned, Memory};
use super::port::back_off::BackOff;
use super::reports::Reports;
use super::round::{Point, Round};
use super::standing::Standings;
use super::talk::{Asked, NoReply, Patience, STOPPED, Talk};
use super::timing::Class;
use crate::clock::{Clock, Distrust};
use crate::command::Command;
use crate::config::{Meter, Plan};
use crate::event::{Event, Kind, Of};
use crate::planner::{Costs, Plans};
use crate::reading::{Reason, Report};
use crate::schedule::{Job, Next, Schedule, Slots};
use crate::telemetry::{Counts, Pulse};
use dlt645::Di;
use gaps::Looks;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the wall clock is looked at while nothing is due: it may be stepped meanwhile.
const LOOK: Duration = Duration::from_secs(1);
/// Silence after which a jammed line is free again, and how long it is listened to in one go.
const QUIET: Duration = Duration::from_millis(200);
/// A jam that is over by then costs no job: they wait so long.
const HOLD: Duration = Duration::from_secs(10);
/// Seconds after local midnight in which meters are busy with their freezes.
const MIDNIGHT: i64 = 10 * 60;
const DAY: i64 = 86_400;

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
    /// Whether wall time can be trusted; slots open only then.
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
}

/// The task.
#[derive(Debug)]
pub struct BusTask {
    given: Given,
    talk: Talk,
    schedule: Schedule,
    plans: Plans,
    current: Option<(Job, Round)>,
    memory: Memory,
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

impl BusTask {
    /// A task that talks on `talk` for the meters of one bus.
    pub fn new(mut given: Given, talk: Talk) -> Self {
        let plan = Arc::clone(&given.plan);
        let mut schedule = Schedule::new();
        for (index, task) in plan.tasks.iter().enumerate() {
            let slots = Slots::new(task.every, plan.gateway.zone.clone());
            schedule.add(index, slots, adopt::meters_here(&plan, given.bus, index));
        }
        let groups = adopt::groups(&plan, given.bus);
        groups.iter().for_each(|(meter, group)| schedule.group(*meter, *group));
        let meters = groups.into_keys();
        // Lines of one gateway, and gateways behind one server, are not to come back together.
        let seed = [plan.gateway.id.as_str(), plan.buses.get(given.bus).map_or("", |bus| bus.name.as_str())]
            .iter()
            .flat_map(|name| name.bytes())
            .fold(0, |seed: u64, octet| seed.wrapping_mul(31).wrapping_add(octet.into()));
        let pinned = plan.buses.get(given.bus).and_then(|bus| bus.turnaround);
        let memory = Memory::of(std::mem::take(&mut given.learned), pinned);
        Self {
            given,
            talk,
            schedule,
            plans: Plans::default(),
            current: None,
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
            if *self.given.stop.borrow() {
                break;
            }
            self.given.pulse.turned(self.given.clock.elapsed());
            if let Ok(step) = self.given.steps.try_recv() {
                self.adopt(step).await;
            } else if let Ok(command) = self.given.commands.try_recv() {
                self.obey(command).await;
            } else if self.current.is_some() {
                self.exchange().await;
            } else if let Some(wait) = self.begin().await {
                let Given { commands, steps, stop, .. } = &mut self.given;
                tokio::select! {
                    biased;
                    _ = stop.changed() => {}
                    Some(step) = steps.recv() => self.adopt(step).await,
                    command = commands.recv() => match command {
                        Some(command) => self.obey(command).await,
                        // Nobody can command any more: the daemon is about to end.
                        None => tokio::time::sleep(wait).await,
                    },
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
        while let Ok(step) = self.given.steps.try_recv() {
            self.adopt(step).await;
        }
        self.end().await
    }

    /// Opens slots and begins the next round; or says how long there is nothing to do.
    async fn begin(&mut self) -> Option<Duration> {
        if self.jammed.is_some() {
            self.listen().await;
        }
        let trusted = *self.given.trust.borrow();
        if trusted.is_err() {
            self.looks.distrusted();
            return Some(LOOK);
        }
        let now = self.given.clock.now();
        self.open(now).await;
        if self.jammed.is_some_and(|since| self.given.clock.elapsed() < since + HOLD) {
            return None;
        }
        if self.probe().await {
            return None;
        }
        match self.schedule.next(now) {
            Next::Now(job) => {
                self.given.pulse.is_busy(true);
                match self.hopeless(job.meter) {
                    Some((reason, detail)) => {
                        self.schedule.miss(job);
                        self.report_all(job, reason, &detail).await;
                    }
                    None => self.start(job),
                }
                None
            }
            Next::NotBefore(at) => {
                self.round_over().await;
                let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                // A wake-up just short of the slot would spin; a millisecond late is on time.
                Some(self.until_probe(wait).clamp(Duration::from_millis(1), LOOK))
            }
            Next::Nothing => {
                self.round_over().await;
                Some(self.until_probe(LOOK).max(Duration::from_millis(1)))
            }
        }
    }

    /// Opens the slots that have come; says which jobs are too late for that.
    async fn open(&mut self, now: Timestamp) {
        let passed = self.looks.at(self.given.clock.elapsed(), now);
        let opened = self.schedule.open(now);
        for skipped in opened.skipped {
            self.announce(skipped, passed).await;
        }
        for job in opened.expired {
            self.report_all(job, Reason::Expired, "the next slot came before it was this meter's turn").await;
        }
    }

    /// Why it is no use to ask this meter now, in a word and a sentence.
    fn hopeless(&self, meter: usize) -> Option<(Reason, String)> {
        let since = |since| self.show(self.wall(since));
        if self.port_rests() {
            Some((Reason::PortGone, "the port is closed and will be tried again".to_owned()))
        } else if let Some(jammed) = self.jammed {
            let detail = format!("the line is jammed since {}: somebody talks without end", since(jammed));
            Some((Reason::Damaged, detail))
        } else if let Some(outage) = self.standings.outage() {
            let detail = format!("no meter of the line answers since {}: power or cable", since(outage));
            Some((Reason::Silent, detail))
        } else {
            let missed = self.standings.missed_since(meter)?;
            let detail = format!("not asked: it does not answer since {}, and is probed", since(missed));
            Some((Reason::Silent, detail))
        }
    }

    fn start(&mut self, job: Job) {
        let plan = Arc::clone(&self.given.plan);
        let (Some(meter), Some(task)) = (plan.meters.get(job.meter), plan.tasks.get(job.task)) else {
            // The schedule was made of this plan.
            tracing::error!(?job, "a job that is in no plan");
            self.schedule.done(job);
            return;
        };
        let wanted = task.registers.of(meter.dialect());
        self.current = Some((job, self.round(job.meter, meter, wanted)));
    }

    /// The questions to a meter by what is known of it.
    fn round(&mut self, index: usize, meter: &Meter, wanted: &[catalogue::Register]) -> Round {
        let costs = Costs {
            preamble: meter.preamble,
            turnaround: self.memory.turnaround.pause(),
            ..Costs::usual(meter.line)
        };
        let usual = wanted.first().map_or(Duration::ZERO, |first| costs.single(first));
        let refused = self.memory.refusals.of(index, self.given.clock.elapsed(), usual);
        let known = self.memory.energies.of(index, self.given.clock.elapsed());
        let of = Point { wiring: meter.wiring, transformers: meter.transformers };
        Round::by(&mut self.plans, wanted, refused, costs, of).judged_by(known)
    }

    /// One exchange of the round that is under way, and its end if nothing is left to ask.
    async fn exchange(&mut self) {
        let Some((job, mut round)) = self.current.take() else { return };
        self.step(job.meter, &mut round).await;
        if round.next().is_some() {
            self.current = Some((job, round));
        } else {
            self.finish(job, round).await;
        }
    }

    async fn step(&mut self, meter: usize, round: &mut Round) {
        let Some(di) = round.next().map(|ask| ask.subject.di()) else { return };
        let came = self.ask(meter, di, Patience::RETRIES).await;
        let jammed = came.as_ref().is_err_and(|no_reply| no_reply.jammed);
        round.over_noise(self.talk.is_noisy());
        round.take(came);
        if jammed {
            round.abandon(Reason::Damaged, "the line is jammed: somebody talks without end");
        }
    }

    /// One question to one meter; what its answer or its silence teaches of the line is taken.
    async fn ask(&mut self, meter: usize, di: Di, retries: u32) -> Result<super::talk::Answer, NoReply> {
        let plan = Arc::clone(&self.given.plan);
        let Some(known) = plan.meters.get(meter) else {
            return Err(NoReply::of(Reason::Expired, "the meter is in no file any more"));
        };
        let class = self.class(di);
        let turnaround = self.memory.turnaround.pause();
        let patience = Patience {
            first_octet: self.memory.deadlines.first_octet(meter, class),
            again: self.memory.deadlines.again(meter, class),
            retries,
            turnaround,
        };
        let back_to_back = self.talk.quiet_for() < turnaround * 2;
        let was_open = self.talk.is_open();
        let asked = Asked { protocol: known.protocol, line: known.line, preamble: known.preamble };
        let came = tokio::select! {
            biased;
            came = self.talk.read(asked, di, patience) => came,
            () = stopping(&mut self.given.stop) => Err(NoReply::stopped()),
        };
        for report in self.talk.take_reports() {
            if self.reports.take(meter, &report.octets) {
                let kind = Kind::ActiveReport { octets: report.octets };
                self.happened(Event { of: Of::Meter(meter), at: report.taken_at, kind }).await;
            }
        }
        match &came {
            Err(no_reply) if no_reply.reason == Reason::PortGone => {
                self.port_failed(was_open, &no_reply.detail).await;
            }
            Err(no_reply) if no_reply.reason == Reason::Expired => {}
            Ok(_) | Err(_) => self.port_works(was_open).await,
        }
        if let Err(no_reply) = &came {
            let bus = plan.buses.get(self.given.bus).map(|b| b.name.as_str());
            let (meter, detail) = (known.name.as_str(), no_reply.detail.as_str());
            tracing::debug!(bus, meter, %di, reason = no_reply.reason.word(), detail, "not read");
        }
        self.hear(meter, class, &came, back_to_back).await;
        if let Some(turn) = self.talk.take_turn() {
            self.log_noise(turn);
        }
        came
    }

    /// The kind of a question now.
    fn class(&self, di: Di) -> Class {
        let now = self.given.clock.now();
        let offset = self.given.plan.gateway.zone.to_offset(now).seconds();
        let of_day = (now.as_second() + i64::from(offset)).rem_euclid(DAY);
        if of_day < MIDNIGHT { Class::Midnight } else { Class::of(di) }
    }

    async fn end(mut self) -> Remains {
        if let Some((job, mut round)) = self.current.take() {
            round.abandon(Reason::Expired, STOPPED);
            self.finish(job, round).await;
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
