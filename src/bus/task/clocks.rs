//! The meters' clocks: what a look at one brings, and what is broadcast to all of a line.

use super::{BusTask, Given};
use crate::bus::clock_check::{Checked, ClockCheck, Want};
use crate::bus::clocks::{Judged, Measure};
use crate::bus::learned::Learned;
use crate::bus::settlements::Days;
use crate::bus::sync::{self, Sending};
use crate::bus::talk::{Asked, Patience};
use crate::config::{Meter, Plan, Protocol, Read, Task};
use crate::event::{Broadcast, Event, Kind, Of};
use crate::planner::Line;
use crate::reading::{Origin, Reason};
use crate::schedule::{Job, Slots};
use dlt645::{Address, Edition};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// A freeze that found the line busy for longer is refused; until then it is tried.
const LATE: SignedDuration = SignedDuration::from_secs(30);

/// The word of what could not be sent.
const PORT_GONE: &str = Reason::PortGone.word();

impl BusTask {
    pub(super) fn check(&mut self, index: usize, meter: &Meter, task: &Task) -> ClockCheck {
        let wanted = task.registers.of(meter.dialect()).to_vec();
        let (costs, refused) = self.costs(index, meter, &wanted);
        ClockCheck::new(Want {
            standard: meter.protocol.standard(),
            zone: self.given.plan.gateway.zone.clone(),
            bound: self.clock_bound(),
            wanted,
            refused,
            costs,
            point: self.point(index, meter),
            settlements: task.broadcast == Some(Broadcast::Time) && !self.memory.settling.is_known(index),
        })
    }

    pub(super) fn clock_bound(&self) -> SignedDuration {
        SignedDuration::try_from(self.given.plan.gateway.clock_bound).unwrap_or(SignedDuration::MAX)
    }

    /// A look at a meter's clock is over.
    pub(super) async fn end_check(&mut self, job: Job, check: ClockCheck) {
        self.learn_lessons(job.meter, check.lessons().collect::<Vec<_>>()).await;
        let is_answered = check.is_answered();
        let Checked { decoded, finding, settlements } = check.finish();
        self.heard_settlements(job.meter, settlements).await;
        let mut origin = Origin::default();
        if let Some(finding) = finding {
            origin.clock_offset = finding.offset();
            let plan = Arc::clone(&self.given.plan);
            let measure =
                Measure { bound: self.clock_bound(), zone: &plan.gateway.zone, synced: self.memory.synced };
            let Judged { keep, event } = self.memory.clocks.take(job.meter, &finding, measure);
            if let Some(kept) = keep {
                self.keep(Learned::Clock { meter: job.meter, kept }).await;
            }
            if let Some(kind) = event {
                self.happened(Event { of: Of::Meter(job.meter), at: finding.at(), kind }).await;
            }
        }
        self.conclude(job, is_answered, decoded, origin).await;
        self.sync_behind(job.task).await;
    }

    /// Remembers when a meter settles, here and in the store.
    pub(super) async fn heard_settlements(&mut self, meter: usize, heard: Days) {
        let edition = self.given.plan.meters.get(meter).and_then(|meter| meter.protocol.edition());
        let news = edition.and_then(|edition| self.memory.settling.take(meter, edition, heard));
        if let Some(days) = news {
            self.keep(Learned::Settles { meter, days }).await;
        }
    }

    /// Broadcasts the time behind the last look at a clock of a task that has it so.
    pub(super) async fn sync_behind(&mut self, task: usize) {
        let broadcast = self.given.plan.tasks.get(task).and_then(|task| task.broadcast);
        if broadcast == Some(Broadcast::Time) && !self.schedule.has_due(task) {
            self.sync(task).await;
        }
    }

    /// Broadcasts the time, if it does good to any clock that was looked at, and may be.
    async fn sync(&mut self, task: usize) {
        let plan = Arc::clone(&self.given.plan);
        let meters = super::adopt::meters_here(&plan, self.given.bus, task);
        if !self.memory.clocks.is_any_curable(meters.iter().copied(), sync::LEAST) {
            return;
        }
        let settlements = self.memory.settling.of_all(hearers(&plan, self.given.bus, &meters));
        if let Err(refused) = sync::may_sync(self.known(&plan, self.memory.synced), &settlements) {
            self.told(Broadcast::Time, Some(refused.told())).await;
            return;
        }
        for (line, preamble) in settings(&plan, meters) {
            self.talk.prepare(line).await;
            match sync::time(self.given.clock.now(), line, preamble, &plan.gateway.zone) {
                Ok(sending) => {
                    if let Err(detail) = self.broadcast(&sending, line, preamble).await {
                        return self.told(Broadcast::Time, Some((PORT_GONE, detail))).await;
                    }
                    // Once a day, also where the next rate finds no port.
                    self.memory.synced = Some(sending.arrives);
                    self.keep(Learned::Synced(sending.arrives)).await;
                }
                Err(refused) => return self.told(Broadcast::Time, Some(refused.told())).await,
            }
        }
        self.told(Broadcast::Time, None).await;
    }

    /// The instant of which a freeze is to be broadcast next, and when the line is to be left free for it; with its meters.
    pub(super) fn next_freeze(&self, now: Timestamp) -> Option<(Timestamp, Timestamp, Vec<usize>)> {
        let plan = &self.given.plan;
        let wants = |task: &&Task| task.broadcast == Some(Broadcast::Freeze);
        if !plan.tasks.iter().any(|task| wants(&task)) {
            return None;
        }
        let tasks = plan.tasks.iter().enumerate().filter(|(_, task)| wants(task));
        let next = tasks.filter_map(|(index, task)| {
            let slots = Slots::of(&task.when, task.read, plan.gateway.zone.clone());
            let past = now.saturating_sub(LATE).unwrap_or(now);
            let slot = slots.next_slot(past);
            let is_served = |meter: &usize| {
                let of_2007 =
                    plan.meters.get(*meter).is_some_and(|m| m.protocol.standard().is(Edition::E2007));
                of_2007 && sync::is_served_by_freeze(self.memory.habits.freezes(*meter, now))
            };
            let here = super::adopt::meters_here(plan, self.given.bus, index);
            let meters: Vec<usize> = here.into_iter().filter(is_served).collect();
            let is_over = self.frozen.is_some_and(|(over, _)| over >= slot);
            let ahead = sync::ahead(&settings(plan, meters.iter().copied()));
            (!meters.is_empty() && !is_over)
                .then(|| (slot, slot.saturating_sub(ahead).unwrap_or(slot), meters))
        });
        next.min_by_key(|(slot, ..)| *slot)
    }

    /// Broadcasts the freeze of an instant to these meters, or says why not.
    pub(super) async fn freeze_all(&mut self, slot: Timestamp, meters: Vec<usize>) {
        let plan = Arc::clone(&self.given.plan);
        self.frozen = Some((slot, None));
        if let Err(refused) = sync::may_freeze(self.known(&plan, self.memory.frozen), slot) {
            self.told(Broadcast::Freeze, Some(refused.told())).await;
            return;
        }
        for (line, preamble) in settings(&plan, meters) {
            self.talk.prepare(line).await;
            let sending = sync::freeze(self.given.clock.now(), slot, line, preamble);
            if let Err(detail) = self.broadcast(&sending, line, preamble).await {
                return self.told(Broadcast::Freeze, Some((PORT_GONE, detail))).await;
            }
            self.frozen = Some((slot, Some(sending.arrives)));
        }
        self.memory.frozen = Some(slot);
        self.keep(Learned::Frozen(slot)).await;
        self.told(Broadcast::Freeze, None).await;
    }

    /// When the freeze of a slot was broadcast, as far as is known.
    pub(super) fn commanded(&self, slot: Timestamp) -> Option<Timestamp> {
        match self.frozen {
            Some((of, arrived)) if of == slot => arrived,
            // In a run before, at its instant or a few seconds later.
            Some(_) | None => self.memory.frozen.filter(|of| *of == slot),
        }
    }

    fn known<'a>(&self, plan: &'a Plan, last: Option<Timestamp>) -> sync::Given<'a> {
        let Given { clock, trust, .. } = &self.given;
        sync::Given {
            now: clock.now(),
            zone: &plan.gateway.zone,
            trusted: *trust.borrow(),
            kernel: clock.kernel(),
            trust: plan.gateway.clock,
            last,
        }
    }

    /// Sends one frame at its time.
    ///
    /// # Errors
    /// The port is gone: what the system said.
    async fn broadcast(&mut self, sending: &Sending, line: Line, preamble: u8) -> Result<(), String> {
        let until = sending.begin.duration_since(self.given.clock.now());
        tokio::time::sleep(Duration::try_from(until).unwrap_or_default()).await;
        let asked = Asked { protocol: Protocol::dlt645(Edition::E2007, Address::BROADCAST), line, preamble };
        let patience = Patience {
            first_octet: Duration::ZERO,
            again: Duration::ZERO,
            retries: 0,
            turnaround: Duration::ZERO,
        };
        let was_open = self.talk.is_open();
        let (_, failed) = self.talk.raw(sending.request.clone(), asked, patience).await;
        match failed {
            Some(failed) => {
                self.port_failed(was_open, &failed.detail).await;
                Err(failed.detail)
            }
            None => Ok(()),
        }
    }

    async fn told(&mut self, what: Broadcast, refused: Option<(&'static str, String)>) {
        let bus = self.name();
        match &refused {
            Some((word, why)) => tracing::warn!(bus, ?what, word, why, "not broadcast"),
            None => tracing::info!(bus, ?what, "broadcast to all meters of the line"),
        }
        let kind = Kind::Broadcast { bus: self.given.bus, what, refused };
        self.happened(Event { of: Of::Gateway, at: self.given.clock.now(), kind }).await;
    }
}

/// The settings of the line that these meters listen at.
fn settings(plan: &Plan, meters: impl IntoIterator<Item = usize>) -> Vec<(Line, u8)> {
    // A Modbus meter takes no broadcast of DL/T 645.
    let hears = |meter: &&Meter| meter.protocol.edition().is_some();
    let of = |meter: usize| plan.meters.get(meter).filter(hears).map(|meter| (meter.line, meter.preamble));
    sync::settings(meters.into_iter().filter_map(of))
}

/// All meters of the bus that hear what goes out for these, be they looked at or not: those at their settings of the line.
fn hearers<'a>(plan: &'a Plan, bus: usize, meters: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    let settings = settings(plan, meters.iter().copied());
    let hears = move |line: Line| settings.iter().any(|(own, _)| *own == line);
    let here = plan.meters.iter().enumerate().filter(move |(_, meter)| meter.bus == bus);
    here.filter(move |(_, meter)| meter.protocol.edition().is_some() && hears(meter.line))
        .map(|(index, _)| index)
}

/// Whether a task looks at clocks.
pub(super) fn is_check(task: &Task) -> bool {
    task.read == Read::Clock
}
