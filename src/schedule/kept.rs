//! Slots of values that meters keep: which are missing on one bus, and when they are fetched. Pure: time is an argument.
//!
//! A slot opens when its task runs, and is missing until a visit settles it. What the first pass does not bring is
//! fetched in the backfill passes (补抄), and when the meter is back, until it is there, the meter turns out not to have
//! it, or the days for it are over. Slots of meters without a freeze open at their own instant, since their delay is
//! their error.

mod adopt;
mod of_meter;
mod past;
#[cfg(test)]
mod tests;

pub use adopt::Adopted;
pub use past::Past;

use of_meter::{Lack, OfMeter};

use super::Slots;
use crate::config::{Class, Read, When};
use catalogue::Register;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long after its instant a record is asked for: clocks of meters are off by minutes, and a full hour is busy.
const RECORDED: SignedDuration = SignedDuration::from_mins(5);
/// How long present registers may stand in for a freeze, as the visit has it.
const STANDS_IN: SignedDuration = crate::bus::freeze::STANDS_IN;
/// The backfill passes of a day: after the first pass, early in the morning, then each hour off the busy minutes.
const PASSES: [(i8, i8); 4] = [(0, 30), (1, 0), (2, 0), (6, 0)];
const HOURLY: std::ops::RangeInclusive<i8> = 7..=22;
const OFF_BUSY: i8 = 40;

/// A task whose values meters keep.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its index.
    pub task: usize,
    /// What is read.
    pub read: Read,
    /// When it runs, and for which slots.
    pub slots: Slots,
    /// Lower numbers go first.
    pub priority: u8,
    /// From when to when on a day it may run.
    pub window: Option<(Time, Time)>,
    /// So many days back slots are fetched.
    pub days: u8,
    /// Its meters on this bus, ascending.
    pub meters: Vec<Own>,
}

/// A meter of a kept task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Own {
    /// Its index.
    pub meter: usize,
    /// Its customer's kind: key meters go first, then totals.
    pub class: Option<Class>,
    /// Slots before this are not its own: it hangs there since then.
    pub since: Option<Timestamp>,
}

/// Slots of one meter to be fetched in one visit.
#[derive(Clone, PartialEq, Debug)]
pub struct Errand {
    /// Index of the task.
    pub task: usize,
    /// Index of the meter.
    pub meter: usize,
    /// The slots, ascending.
    pub slots: Vec<Wanted>,
    /// The registers that are still missing of them; all where it is `None`.
    pub missing: Missing,
}

/// The registers that are still missing of a slot; all of its task where it is `None`.
pub type Missing = Option<Arc<[Register]>>;

/// A slot that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its instant.
    pub slot: Timestamp,
    /// How often it was asked for.
    pub tries: u32,
    /// Whether this is its first pass.
    pub is_first: bool,
    /// Whether what comes is backfilled: it is not of the newest slot, or was not there at the first pass.
    pub is_backfill: bool,
    /// Whether the store has a note of it.
    pub is_noted: bool,
}

/// Slots of a meter that are not fetched any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GivenUp {
    /// Index of the task.
    pub task: usize,
    /// Index of the meter.
    pub meter: usize,
    /// The slots with their tries, ascending.
    pub slots: Vec<(Timestamp, u32)>,
    /// Whether another meter hangs at the point now (换表): what that one has frozen is not the point's. Else the days for
    /// fetching them are over.
    pub is_exchanged: bool,
}

/// What became of a slot.
#[derive(Clone, PartialEq, Debug)]
pub enum Came {
    /// It needs no more.
    Over,
    /// It is still missing; of these registers, or all.
    Missing(Missing),
}

/// All kept slots of one bus.
#[derive(Debug)]
pub struct KeptSlots {
    zone: TimeZone,
    tasks: Vec<TaskState>,
    passes: Slots,
    /// The next backfill pass; `None` until the first look at the clock.
    next_pass: Option<Timestamp>,
    groups: BTreeMap<usize, u32>,
    /// What the store knows of earlier runs, until it was used.
    past: Past,
    services: u64,
    last_group: Option<u32>,
}

#[derive(Debug)]
struct TaskState {
    kept: Kept,
    meters: Vec<OfMeter>,
    /// When the next slot opens, for meters with a freeze or without.
    opens: Option<Timestamp>,
}

impl KeptSlots {
    /// No tasks yet; `past` is what earlier runs left.
    pub fn new(zone: TimeZone, past: Past) -> Self {
        let times = PASSES.into_iter().chain(HOURLY.map(|hour| (hour, OFF_BUSY)));
        let times = times.filter_map(|(hour, minute)| Time::new(hour, minute, 0, 0).ok()).collect();
        Self {
            passes: Slots::of(&When::Daily(times), Read::Live, zone.clone()),
            zone,
            tasks: Vec::new(),
            next_pass: None,
            groups: BTreeMap::new(),
            past,
            services: 0,
            last_group: None,
        }
    }

    /// Adds a task that has meters here.
    pub fn add(&mut self, kept: Kept) {
        if kept.meters.is_empty() {
            return;
        }
        let meters = kept.meters.iter().map(|own| OfMeter::new(*own)).collect();
        self.tasks.push(TaskState { kept, meters, opens: None });
    }

    /// Says that a meter needs the settings of this group of the line; all others are of group 0.
    pub fn group(&mut self, meter: usize, group: u32) {
        self.groups.insert(meter, group);
    }

    /// Whether a meter has no freeze.
    pub fn has_no_freeze(&mut self, meter: usize, has_none: bool) {
        for task in self.tasks.iter_mut().filter(|task| task.kept.read == Read::DailyFreeze) {
            for of in
                task.meters.iter_mut().filter(|of| of.own.meter == meter && of.has_no_freeze != has_none)
            {
                of.has_no_freeze = has_none;
                task.opens = None;
            }
        }
    }

    /// Opens what has come by `now`, and says which slots are given up.
    pub fn open(&mut self, now: Timestamp) -> Vec<GivenUp> {
        let mut given_up = Vec::new();
        for task in &mut self.tasks {
            // A clock that went back is looked at anew.
            let long = SignedDuration::from_hours(24 * 31);
            if task.opens.is_none_or(|opens| now >= opens || opens.duration_since(now) > long) {
                task.open(now, &self.zone, &mut self.past, &mut given_up);
            }
        }
        // Whoever is here has taken what was his.
        self.past = Past::default();
        // A clock that went back is looked at anew, as above.
        let waits = |at: &Timestamp| now < *at && at.duration_since(now) <= SignedDuration::from_hours(24);
        if self.next_pass.as_ref().is_some_and(waits) {
            return given_up;
        }
        let comes = self.next_pass.is_some_and(|at| now >= at);
        self.next_pass = Some(self.passes.after(now));
        if !comes {
            return given_up;
        }
        for task in &mut self.tasks {
            let horizon = task.kept.horizon(now, &self.zone);
            for of in &mut task.meters {
                let over = of.lacks.partition_point(|lack| lack.slot < horizon);
                if over > 0 {
                    let slots = of.lacks.drain(..over).map(|lack| (lack.slot, lack.tries)).collect();
                    let (task, meter) = (task.kept.task, of.own.meter);
                    given_up.push(GivenUp { task, meter, slots, is_exchanged: false });
                }
                of.lacks.iter_mut().for_each(|lack| (lack.is_due, lack.again) = (true, 0));
            }
        }
        given_up
    }

    /// What is to be fetched next, with the priority of its task, and whether it is the slot of a meter without a freeze,
    /// which cannot wait.
    pub fn next(&self, now: Timestamp) -> Option<(Errand, u8, bool)> {
        let of_day = self.zone.to_datetime(now).time();
        let due = self.tasks.iter().flat_map(|task| {
            let is_open = task.kept.window.is_none_or(|window| is_within(window, of_day));
            task.meters.iter().filter_map(move |of| {
                let newest = of.lacks.iter().rfind(|lack| lack.is_due)?;
                let hastes = of.has_no_freeze && now.duration_since(newest.slot) <= STANDS_IN;
                (is_open || hastes).then_some((task, of, newest, hastes))
            })
        });
        let (task, of, newest, hastes) = due.min_by_key(|(task, of, newest, hastes)| {
            let group = self.groups.get(&of.own.meter).copied().unwrap_or(0);
            let is_older = of.opened != Some(newest.slot);
            (
                !hastes,
                task.kept.priority,
                is_older,
                rank(of.own.class),
                self.last_group != Some(group),
                of.served,
                of.own.meter,
            )
        })?;
        let errand = of.errand(task.kept.task, task.kept.read, newest, now);
        Some((errand, task.kept.priority, hastes))
    }

    /// When something opens or becomes due next; `None` where there are no kept tasks.
    pub fn not_before(&self, now: Timestamp) -> Option<Timestamp> {
        let has_lacks = self.tasks.iter().any(|task| task.meters.iter().any(|of| !of.lacks.is_empty()));
        let of_tasks = self.tasks.iter().flat_map(|task| {
            let is_due = task.meters.iter().any(|of| of.lacks.iter().any(|lack| lack.is_due));
            let window = task.kept.window.filter(|_| is_due).map(|(from, _)| {
                Slots::of(&When::Daily(vec![from]), Read::Live, self.zone.clone()).after(now)
            });
            [task.opens, window]
        });
        of_tasks.chain([self.next_pass.filter(|_| has_lacks)]).flatten().min()
    }

    /// Whether any slot of a meter is missing and due.
    pub fn is_due(&self, meter: usize) -> bool {
        let mut own = self.tasks.iter().flat_map(|task| &task.meters).filter(|of| of.own.meter == meter);
        own.any(|of| of.lacks.iter().any(|lack| lack.is_due))
    }

    /// A visit is over for a slot, whatever it brought.
    pub fn done(&mut self, (task, meter, slot): (usize, usize, Timestamp), came: Came) {
        self.services += 1;
        self.last_group = Some(self.groups.get(&meter).copied().unwrap_or(0));
        let services = self.services;
        let Some(of) = self.of(task, meter) else { return };
        of.served = services;
        let Ok(at) = of.lacks.binary_search_by_key(&slot, |lack| lack.slot) else { return };
        match came {
            Came::Over => drop(of.lacks.remove(at)),
            Came::Missing(missing) => {
                if let Some(lack) = of.lacks.get_mut(at) {
                    let tries = lack.tries.saturating_add(1);
                    *lack = Lack {
                        missing,
                        tries,
                        is_due: false,
                        is_passed: true,
                        is_noted: true,
                        ..lack.clone()
                    };
                }
            }
        }
    }

    /// It is no use to ask the meter in this pass. The slots of which nobody has said so yet.
    pub fn postpone(&mut self, task: usize, meter: usize) -> Vec<Timestamp> {
        let Some(of) = self.of(task, meter) else { return Vec::new() };
        let due = of.lacks.iter_mut().filter(|lack| lack.is_due);
        let fresh = due.filter_map(|lack| {
            let is_fresh = !lack.is_passed;
            (lack.is_due, lack.is_passed, lack.is_noted) = (false, true, true);
            is_fresh.then_some(lack.slot)
        });
        fresh.collect()
    }

    /// The meter answers again, or with `None` all may: what is missing of it is due.
    pub fn back(&mut self, meter: Option<usize>) {
        for of in self.tasks.iter_mut().flat_map(|task| &mut task.meters) {
            if meter.is_none_or(|meter| meter == of.own.meter) {
                of.lacks.iter_mut().for_each(Lack::is_had_back);
            }
        }
    }

    /// What it was begun with and has not used yet.
    pub fn into_past(self) -> Past {
        self.past
    }

    fn of(&mut self, task: usize, meter: usize) -> Option<&mut OfMeter> {
        let task = self.tasks.iter_mut().find(|state| state.kept.task == task)?;
        task.meters.iter_mut().find(|of| of.own.meter == meter)
    }
}

impl Kept {
    /// Slots before it are not fetched any more.
    fn horizon(&self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let today = zone.to_datetime(now).date();
        let first = today.saturating_sub(jiff::Span::new().days(i64::from(self.days)));
        let first = if self.read == Read::Month { first.first_of_month() } else { first };
        zone.to_ambiguous_timestamp(first.at(0, 0, 0, 0)).compatible().unwrap_or(Timestamp::MIN)
    }

    /// How long after its instant a slot is asked for at the earliest.
    const fn delay(&self) -> SignedDuration {
        match self.read {
            Read::LoadProfile => RECORDED,
            Read::DailyFreeze | Read::Month | Read::Live | Read::Events | Read::Clock | Read::Nameplate => {
                SignedDuration::ZERO
            }
        }
    }
}

impl TaskState {
    /// Opens the slots that have come.
    fn open(&mut self, now: Timestamp, zone: &TimeZone, past: &mut Past, given_up: &mut Vec<GivenUp>) {
        let Self { kept, meters, opens } = self;
        let delay = kept.delay();
        let looked = now.saturating_sub(delay).unwrap_or(now);
        let run = kept.slots.at_or_before(looked);
        let next_run = kept.slots.after(looked);
        let (slot, next_slot) = (kept.slots.slot(run), kept.slots.slot(next_run));
        let horizon = kept.horizon(now, zone);
        let mut comes = next_run.saturating_add(delay).unwrap_or(Timestamp::MAX);
        for of in &mut *meters {
            let newest = if of.has_no_freeze && next_slot <= now { next_slot } else { slot };
            if of.has_no_freeze && next_slot > now {
                comes = comes.min(next_slot);
            }
            if of.opened.is_none_or(|opened| opened < newest) {
                let is_exchanged = of.opened.is_none() && past.is_exchanged(of.own.meter);
                of.open(kept, now, (newest, horizon), past);
                given_up.extend(is_exchanged.then(|| of.give_up(kept.task)).flatten());
            }
            if of.has_no_freeze {
                comes = comes.min(of.hasten(now));
            }
        }
        *opens = Some(comes);
    }
}

/// Key meters go first, then the totals of areas, whose line losses wait for them.
const fn rank(class: Option<Class>) -> u8 {
    match class {
        Some(Class::Key) => 0,
        Some(Class::Total) => 1,
        Some(Class::Household | Class::Other) | None => 2,
    }
}

/// Whether a time of day lies in a window, which may go over midnight.
fn is_within((from, to): (Time, Time), at: Time) -> bool {
    if from < to { from <= at && at < to } else { from <= at || at < to }
}
