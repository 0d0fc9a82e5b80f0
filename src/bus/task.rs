//! The task that owns a line: commands first, then what is due, one exchange at a time.

use super::round::Round;
use super::talk::{NoReply, Talk};
use crate::clock::{Clock, Distrust};
use crate::command::{Answer, Command, Verb};
use crate::config::Plan;
use crate::planner::Costs;
use crate::reading::{Failure, Reason, Report, Source};
use crate::schedule::{Job, Next, Schedule, Skipped, Slots};
use crate::telemetry::Counts;
use dlt645::Di;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the wall clock is looked at while nothing is due: it may be stepped meanwhile.
const LOOK: Duration = Duration::from_secs(1);
/// The longest wait before a port is tried again.
const MAX_BACK_OFF: Duration = Duration::from_secs(30);

/// What an exchange under way is given when the daemon ends: most end within it, and the whole
/// daemon has 5 s.
const GRACE: Duration = Duration::from_secs(1);

/// What a bus says to the rest of the daemon.
#[derive(Clone, PartialEq, Debug)]
pub enum Said {
    /// One meter was read for one slot, or could not be.
    Report(Report),
    /// A meter has been found not to have a block of registers.
    NotSupported {
        /// Index of the meter in the plan.
        meter: usize,
        /// The block.
        di: Di,
    },
    /// Nothing more is due: what was said so far is to be made durable.
    RoundOver,
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
    pub said: mpsc::Sender<Said>,
    /// Commands for this bus.
    pub commands: mpsc::Receiver<Command>,
    /// True when the daemon ends.
    pub stop: watch::Receiver<bool>,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// Blocks that meters refused, by meter, as learned earlier.
    pub refused: BTreeMap<usize, BTreeSet<Di>>,
}

/// The task.
#[derive(Debug)]
pub struct BusTask {
    given: Given,
    talk: Talk,
    schedule: Schedule,
    current: Option<(Job, Round)>,
    back_off: BackOff,
    unsaid: bool,
    /// Meters that said nothing in their last round.
    silent: BTreeSet<usize>,
}

/// Comes when the daemon ends and an exchange under way has had its time.
async fn stopping(mut stop: watch::Receiver<bool>) {
    // An error means that the daemon is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(GRACE).await;
}

/// When a port that failed is tried again.
#[derive(Clone, Copy, Debug, Default)]
struct BackOff {
    wait: Duration,
    until: Duration,
}

impl BusTask {
    /// A task that talks on `talk` for the meters of one bus.
    pub fn new(given: Given, talk: Talk) -> Self {
        let mut schedule = Schedule::new();
        for (index, task) in given.plan.tasks.iter().enumerate() {
            let here = |meter: &&usize| given.plan.meters.get(**meter).is_some_and(|m| m.bus == given.bus);
            let meters = task.meters.iter().filter(here).copied().collect();
            schedule.add(index, Slots::new(task.every, given.plan.gateway.zone.clone()), meters);
        }
        Self {
            given,
            talk,
            schedule,
            current: None,
            back_off: BackOff::default(),
            unsaid: false,
            silent: BTreeSet::new(),
        }
    }

    /// Runs until the daemon ends; what was read before is reported.
    pub async fn run(mut self) {
        loop {
            if *self.given.stop.borrow() {
                break;
            }
            self.given.counts.turned(self.given.bus, self.given.clock.elapsed());
            if let Ok(command) = self.given.commands.try_recv() {
                self.obey(command).await;
            } else if self.current.is_some() {
                self.exchange().await;
            } else if let Some(wait) = self.begin().await {
                let Given { commands, stop, .. } = &mut self.given;
                tokio::select! {
                    biased;
                    _ = stop.changed() => {}
                    command = commands.recv() => match command {
                        Some(command) => self.obey(command).await,
                        // Nobody can command any more: the daemon is about to end.
                        None => tokio::time::sleep(wait).await,
                    },
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
        self.end().await;
    }

    /// Opens slots and begins the next round; or says how long there is nothing to do.
    async fn begin(&mut self) -> Option<Duration> {
        let trusted = *self.given.trust.borrow();
        if trusted.is_err() {
            return Some(LOOK);
        }
        let now = self.given.clock.now();
        let opened = self.schedule.open(now);
        for skipped in opened.skipped {
            self.announce(skipped);
        }
        for job in opened.expired {
            self.report_all(job, Reason::Expired, "the next slot came before it was this meter's turn").await;
        }
        match self.schedule.next(now) {
            Next::Now(job) => {
                self.given.counts.is_busy(self.given.bus, true);
                if self.port_rests() {
                    self.schedule.done(job);
                    self.report_all(job, Reason::PortGone, "the port is closed and will be tried again")
                        .await;
                } else {
                    self.start(job);
                }
                None
            }
            Next::NotBefore(at) => {
                self.round_over().await;
                let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                // A wake-up just short of the slot would spin; a millisecond late is on time.
                Some(wait.clamp(Duration::from_millis(1), LOOK))
            }
            Next::Nothing => {
                self.round_over().await;
                Some(LOOK)
            }
        }
    }

    fn start(&mut self, job: Job) {
        let Given { plan, refused, bus, .. } = &self.given;
        let (Some(meter), Some(task), Some(bus)) =
            (plan.meters.get(job.meter), plan.tasks.get(job.task), plan.buses.get(*bus))
        else {
            // The schedule was made of this plan.
            tracing::error!(?job, "a job that is in no plan");
            self.schedule.done(job);
            return;
        };
        let none = BTreeSet::new();
        let refused = refused.get(&job.meter).unwrap_or(&none);
        let wanted = task.registers.of(meter.dialect());
        let costs = Costs::usual(bus.line);
        let round = Round::of_wiring(meter.wiring, wanted, refused, costs, meter.transformers);
        self.current = Some((job, round));
    }

    /// One exchange of the round that is under way, and its end if nothing is left to ask.
    async fn exchange(&mut self) {
        let Some((job, mut round)) = self.current.take() else { return };
        self.step(job.meter, &mut round).await;
        if round.next().is_some() {
            self.current = Some((job, round));
        } else {
            self.schedule.done(job);
            self.finish(job, round).await;
        }
    }

    async fn step(&mut self, meter: usize, round: &mut Round) {
        let Some(ask) = round.next() else { return };
        let plan = Arc::clone(&self.given.plan);
        let Some(asked) = plan.meters.get(meter) else {
            round.abandon(Reason::Expired, "the meter is in no file any more");
            return;
        };
        let di = ask.subject.di();
        let was_open = self.talk.is_open();
        let came = tokio::select! {
            biased;
            came = self.talk.read(asked.protocol, di) => came,
            () = stopping(self.given.stop.clone()) => Err(NoReply::stopped()),
        };
        match &came {
            Err(no_reply) if no_reply.reason == Reason::PortGone => {
                self.port_failed(was_open, &no_reply.detail)
            }
            Err(no_reply) if no_reply.reason == Reason::Expired => {}
            Ok(_) | Err(_) => self.port_works(was_open),
        }
        if let Err(no_reply) = &came {
            let bus = plan.buses.get(self.given.bus).map(|b| b.name.as_str());
            let (meter, detail) = (asked.name.as_str(), no_reply.detail.as_str());
            tracing::debug!(bus, meter, %di, reason = no_reply.reason.word(), detail, "not read");
        }
        round.take(came);
    }

    async fn finish(&mut self, job: Job, round: Round) {
        self.learn(job.meter, &round).await;
        let decoded = round.finish();
        let nothing =
            decoded.readings.is_empty() && decoded.failures.iter().all(|f| f.reason == Reason::Silent);
        self.heard(job.meter, nothing);
        self.say(Report {
            meter: job.meter,
            task: job.task,
            slot: job.slot,
            source: Source::Present,
            readings: decoded.readings,
            failures: decoded.failures,
        })
        .await;
    }

    /// Says once that a meter has fallen silent, and once that it is back.
    fn heard(&mut self, meter: usize, nothing: bool) {
        let plan = &self.given.plan;
        let bus = plan.buses.get(self.given.bus).map(|b| b.name.as_str());
        let known = plan.meters.get(meter);
        let (name, address) = (known.map(|m| m.name.as_str()), known.map(|m| m.protocol.address()));
        if nothing && self.silent.insert(meter) {
            tracing::warn!(
                bus,
                meter = name,
                address,
                "the meter does not answer; it is asked again at each slot"
            );
        } else if !nothing && self.silent.remove(&meter) {
            tracing::info!(bus, meter = name, address, "the meter answers again");
        }
    }

    async fn obey(&mut self, command: Command) {
        let Command { expires, verb, answer, .. } = command;
        let answered = match verb {
            _ if self.given.clock.now() >= expires => Answer::Expired,
            Verb::Read { meter, registers } => {
                let plan = Arc::clone(&self.given.plan);
                let here = plan.meters.get(meter).filter(|m| m.bus == self.given.bus);
                match (here, plan.buses.get(self.given.bus)) {
                    (Some(asked), Some(bus)) => {
                        let refused = self.given.refused.get(&meter).cloned().unwrap_or_default();
                        let costs = Costs::usual(bus.line);
                        let mut round =
                            Round::of_wiring(asked.wiring, &registers, &refused, costs, asked.transformers);
                        while round.next().is_some() {
                            if self.given.clock.now() >= expires || *self.given.stop.borrow() {
                                round.abandon(Reason::Expired, "the command's time was over");
                            } else {
                                self.step(meter, &mut round).await;
                            }
                        }
                        self.learn(meter, &round).await;
                        Answer::Read(round.finish())
                    }
                    _ => Answer::UnknownMeter,
                }
            }
        };
        if answer.send(answered).is_err() {
            tracing::debug!("nobody waits for the answer to a command any more");
        }
    }

    /// Remembers what the round taught of the meter, here and in the store.
    async fn learn(&mut self, meter: usize, round: &Round) {
        for &di in round.not_supported() {
            if self.given.refused.entry(meter).or_default().insert(di)
                && self.given.said.send(Said::NotSupported { meter, di }).await.is_err()
            {
                tracing::error!("the store has ended before its buses");
            }
        }
    }

    /// Reports that nothing could be read for a job.
    async fn report_all(&mut self, job: Job, reason: Reason, detail: &str) {
        let Given { plan, .. } = &self.given;
        let meter = plan.meters.get(job.meter);
        let registers = plan
            .tasks
            .get(job.task)
            .zip(meter)
            .map_or_else(Vec::new, |(task, meter)| task.registers.of(meter.dialect()).to_vec());
        let failures = registers
            .into_iter()
            .map(|register| Failure { register, reason, detail: detail.to_owned(), raw: None })
            .collect();
        let Job { meter, task, slot } = job;
        self.say(Report { meter, task, slot, source: Source::Present, readings: Vec::new(), failures }).await;
    }

    async fn say(&mut self, report: Report) {
        self.given.counts.read(report.readings.len(), report.failures.len());
        self.unsaid = true;
        if self.given.said.send(Said::Report(report)).await.is_err() {
            tracing::error!("a report was lost: the store has ended before its buses");
        }
    }

    async fn round_over(&mut self) {
        self.given.counts.is_busy(self.given.bus, false);
        if self.unsaid {
            self.unsaid = false;
            if self.given.said.send(Said::RoundOver).await.is_err() {
                tracing::error!("the store has ended before its buses");
            }
        }
    }

    async fn end(mut self) {
        if let Some((job, mut round)) = self.current.take() {
            self.schedule.done(job);
            round.abandon(Reason::Expired, "the daemon was stopped");
            self.finish(job, round).await;
        }
        for job in self.schedule.abandon() {
            self.report_all(job, Reason::Expired, "the daemon was stopped").await;
        }
        self.round_over().await;
    }

    fn announce(&self, skipped: Skipped) {
        let task = self.given.plan.tasks.get(skipped.task).map(|t| t.name.as_str());
        let zone = &self.given.plan.gateway.zone;
        let show = |t: Timestamp| t.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        tracing::warn!(
            task,
            first = show(skipped.first),
            until = show(skipped.until),
            "slots passed unread: the line was busy for longer than a period, or the clock was stepped forward or not trusted"
        );
    }

    fn port_rests(&self) -> bool {
        !self.talk.is_open() && self.given.clock.elapsed() < self.back_off.until
    }

    fn port_failed(&mut self, was_open: bool, detail: &str) {
        let first = self.back_off.wait.is_zero();
        self.back_off.wait = (self.back_off.wait * 2).clamp(Duration::from_secs(1), MAX_BACK_OFF);
        self.back_off.until = self.given.clock.elapsed() + self.back_off.wait;
        self.talk.close();
        let bus = self.given.plan.buses.get(self.given.bus).map(|b| b.name.as_str());
        if was_open || first {
            tracing::warn!(bus, detail, again_in_s = self.back_off.wait.as_secs(), "the port failed");
        } else {
            tracing::debug!(bus, detail, again_in_s = self.back_off.wait.as_secs(), "the port is still gone");
        }
    }

    fn port_works(&mut self, was_open: bool) {
        if !was_open || !self.back_off.wait.is_zero() {
            let bus = self.given.plan.buses.get(self.given.bus);
            tracing::info!(
                bus = bus.map(|b| b.name.as_str()),
                port = bus.map(|b| b.port.to_string()),
                line = bus.map(|b| b.line.to_string()),
                "the port is open"
            );
            self.back_off = BackOff::default();
        }
    }
}
