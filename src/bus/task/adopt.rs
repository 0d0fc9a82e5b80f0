//! How a bus goes on under another configuration: between two exchanges, with everything that it knows and has begun.
//!
//! All that the task has by index is renumbered in one go, and what it says carries the plan of its indices, so that
//! nothing is ever credited to another meter. What is in the new configuration no more is reported under the old one.

use super::current::Current;
use super::{BusTask, Given};
use crate::bus::learned::{Learned, Memory};
use crate::bus::round::Round;
use crate::bus::talk::Talk;
use crate::bus::timing::Turnaround;
use crate::config::{Plan, Same, Shift};
use crate::planner::Line;
use crate::reading::Reason;
use crate::schedule::{Adopted, AdoptedKept, GivenUp, Job, KeptSlots, Past, Schedule, Slots};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Why nothing came of what the new configuration does not have.
const CHANGED: &str = "a new configuration came before it was read";

/// The next configuration of a bus that goes on in it.
#[derive(Clone, Debug)]
pub struct Step {
    /// From the one that it has.
    pub shift: Arc<Shift>,
    /// What is known of the meters that are new on it, by their new indices.
    pub learned: Vec<Learned>,
    /// What the store knows of their kept slots.
    pub past: Past,
}

/// What is left of a bus that has ended, for the one that takes its place.
#[derive(Debug)]
pub struct Remains {
    schedule: Schedule,
    kept: KeptSlots,
    memory: Memory,
}

impl Remains {
    pub(super) fn of(task: BusTask) -> Self {
        Self { schedule: task.schedule, kept: task.kept, memory: task.memory }
    }
}

impl BusTask {
    /// A task in the place of one that has ended, since the bus has another port or other settings: it goes on with the
    /// slots, and knows what the other one learned. `shift` leads from the plan of the other one to that of `given`.
    pub fn after(remains: Remains, shift: &Shift, mut given: Given, talk: Talk) -> Self {
        let learned = std::mem::take(&mut given.learned);
        let mut task = Self::new(given, talk);
        let pinned = shift.after().buses.get(task.given.bus).and_then(|bus| bus.turnaround);
        task.memory = remains.memory;
        task.memory.renumber(|meter| shift.meter(meter, Same::Meter), learned);
        task.memory.turnaround = match pinned {
            Some(pause) => Turnaround::pinned(pause),
            None => task.memory.turnaround.learned(),
        };
        task.arrived = arrived(shift.after(), task.given.bus, &task.memory);
        task.schedule = remains.schedule;
        let now = task.given.clock.now();
        // Whatever was due has been reported when the other one ended.
        adopted(&mut task.schedule, shift, task.given.bus, now);
        let past = std::mem::replace(&mut task.kept, remains.kept);
        // The one that has ended knew of them, and the store may say them once more after a restart.
        let given_up = adopted_kept(&mut task.kept, shift, task.given.bus, past.into_past());
        task.given_up = given_up;
        task
    }

    /// Takes over the next configuration.
    pub(super) async fn adopt(&mut self, step: Step) {
        let Step { shift, learned, past } = step;
        let Some(bus) = shift.bus(self.given.bus).index() else {
            tracing::error!(bus = self.name(), "a configuration came that does not have this bus");
            return;
        };
        // A slot that has come meanwhile is one of the old configuration.
        let now = self.given.clock.now();
        if self.given.trust.borrow().is_ok() {
            self.open(now).await;
        }
        let under_way = match self.current.take() {
            Some(Current::Round(job, round)) => self.carried(job, *round, &shift).await,
            // What is kept is there afterwards, too, and so is the clock.
            Some(current) => {
                self.over(current.abandoned(CHANGED)).await;
                None
            }
            None => None,
        };
        self.keep_energies(|meter| shift.meter(meter, Same::Meter).is_none()).await;
        let over = adopted(&mut self.schedule, &shift, bus, now);
        for job in over {
            self.report_all(job, Reason::Expired, CHANGED).await;
        }
        self.given_up.extend(adopted_kept(&mut self.kept, &shift, bus, past));
        self.given.plan = Arc::clone(shift.after());
        self.given.bus = bus;
        let to = |meter| shift.meter(meter, Same::Meter);
        self.memory.renumber(to, learned);
        self.arrived = arrived(shift.after(), bus, &self.memory);
        self.standings.renumber(to, shift.arrived(bus));
        self.reports.renumber(to);
        self.current = under_way.map(|(job, round)| Current::Round(job, Box::new(round)));
    }

    /// The round under way as it goes on; `None` where it cannot: then it ends here, under the old configuration.
    async fn carried(&mut self, job: Job, mut round: Round, shift: &Shift) -> Option<(Job, Round)> {
        let to = shift.meter(job.meter, Same::All).zip(shift.task(job.task));
        let is_wanted = |(meter, task): &(usize, usize)| {
            shift.after().tasks.get(*task).is_some_and(|task| task.meters.contains(meter))
        };
        match to.filter(is_wanted) {
            Some((meter, task)) => Some((Job { meter, task, slot: job.slot }, round)),
            None => {
                round.abandon(Reason::Expired, CHANGED);
                self.finish(job, round).await;
                None
            }
        }
    }
}

/// The schedule under the new configuration; the jobs that are over, as they were.
fn adopted(schedule: &mut Schedule, shift: &Shift, bus: usize, now: Timestamp) -> Vec<Job> {
    let plan = shift.after();
    let live = plan.tasks.iter().enumerate().filter(|(_, task)| !task.read.is_kept());
    let tasks = live.map(|(index, task)| Adopted {
        task: index,
        before: shift.task_before(index),
        slots: Slots::of(&task.when, task.read, plan.gateway.zone.clone()),
        meters: meters_here(plan, bus, index),
    });
    let groups = groups(plan, bus);
    let group = |meter: usize| groups.get(&meter).copied().unwrap_or(0);
    schedule.adopt(tasks.collect(), |meter| shift.meter(meter, Same::Point), group, now)
}

/// The kept slots under the new configuration. A task whose slots are at other instants now begins anew.
fn adopted_kept(kept: &mut KeptSlots, shift: &Shift, bus: usize, past: Past) -> Vec<GivenUp> {
    let plan = shift.after();
    let tasks = super::kept::tasks(plan, bus);
    let tasks = tasks.map(|kept| AdoptedKept { before: shift.kept_before(kept.task), kept }).collect();
    let is_point = |meter: &usize| shift.meter(*meter, Same::Point).is_some();
    let has_other = |meter: &usize| is_point(meter) && shift.meter(*meter, Same::Meter).is_none();
    let exchanged: BTreeSet<usize> = (0..shift.before().meters.len())
        .filter(has_other)
        .filter_map(|meter| shift.meter(meter, Same::Point))
        .collect();
    let is_exchanged = |meter: usize| exchanged.contains(&meter);
    kept.adopt(tasks, |meter| shift.meter(meter, Same::Point), groups(plan, bus), past, is_exchanged)
}

/// The meters of a task on a bus.
pub(super) fn meters_here(plan: &Plan, bus: usize, task: usize) -> Vec<usize> {
    let here = |meter: &usize| plan.meters.get(*meter).is_some_and(|meter| meter.bus == bus);
    let task = plan.tasks.get(task);
    task.map_or_else(Vec::new, |task| task.meters.iter().copied().filter(here).collect())
}

/// Meters of a bus that are not kept yet as those at their points.
pub(super) fn arrived(plan: &Plan, bus: usize, memory: &Memory) -> Vec<usize> {
    let here = plan.meters.iter().enumerate().filter(|(_, meter)| meter.bus == bus).map(|(index, _)| index);
    here.filter(|meter| !memory.in_service.contains(meter)).collect()
}

/// The meters of a bus; those with the same number share rate and character.
pub(super) fn groups(plan: &Plan, bus: usize) -> BTreeMap<usize, u32> {
    let mut numbers: HashMap<Line, u32> = HashMap::new();
    let here = plan.meters.iter().enumerate().filter(|(_, meter)| meter.bus == bus);
    here.map(|(index, meter)| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        (index, *numbers.entry(meter.line).or_insert(next))
    })
    .collect()
}
