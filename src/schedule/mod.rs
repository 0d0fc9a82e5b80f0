//! What is due on one bus, by wall time. Pure: time is an argument.
//!
//! It never reads a meter and never decides whether the clock can be trusted. Slots are aligned to
//! wall time in the gateway's zone. A live slot that passed unread is not read later under its name:
//! it is handed back as expired, so that somebody says so.

mod adopt;
mod kept;
mod slots;

pub use adopt::Adopted;
pub use kept::{Adopted as AdoptedKept, Came, Errand, GivenUp, Kept, KeptSlots, Missing, Own, Past, Wanted};
pub use slots::Slots;

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// One meter to be read for one slot of one task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Job {
    /// Index of the task in the plan.
    pub task: usize,
    /// The instant that the readings are for.
    pub slot: Timestamp,
    /// Index of the meter in the plan.
    pub meter: usize,
}

/// What is next on the bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// This, now.
    Now(Job),
    /// Nothing before this instant.
    NotBefore(Timestamp),
    /// No task concerns this bus.
    Nothing,
}

/// What opening the slots of an instant brought.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Opened {
    /// Jobs whose slot was over before it was their turn.
    pub expired: Vec<Job>,
    /// Slots that nobody could have read, per task: the clock stepped forward, or was not trusted.
    pub skipped: Vec<Skipped>,
}

/// Slots of one task that were passed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Index of the task.
    pub task: usize,
    /// The first one passed over.
    pub first: Timestamp,
    /// The first one not passed over.
    pub until: Timestamp,
}

/// The tasks of one bus and where they stand.
#[derive(Debug)]
pub struct Schedule {
    tasks: Vec<TaskState>,
    due: Vec<Job>,
    /// Jobs that were given up while their slot still runs: the meter may be back before it is over.
    missed: Vec<Job>,
    /// How often each of them was had back.
    again: BTreeMap<Job, u8>,
    meters: BTreeMap<usize, Meter>,
    services: u64,
    /// The slot and the group that were served last.
    last: Option<(Timestamp, u32)>,
}

/// A live slot is not read any more when it has run for so long, whatever its period.
const LATE: SignedDuration = SignedDuration::from_mins(15);
/// A job is not had back more often: a meter that answers other questions may be silent for just these.
const AGAIN: u8 = 3;

/// What the order of jobs depends on.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    /// Meters that share the settings of the line (rate, character) have the same number.
    group: u32,
    /// When it was last served, as a count of services.
    served: u64,
}

#[derive(Debug)]
struct TaskState {
    task: usize,
    slots: Slots,
    meters: Vec<usize>,
    /// The newest slot that was opened or passed over; `None` until the first look at the clock.
    newest: Option<Timestamp>,
}

impl Schedule {
    /// A schedule of nothing.
    pub fn new() -> Self {
        Self {
            tasks: Vec::new(),
            due: Vec::new(),
            missed: Vec::new(),
            again: BTreeMap::new(),
            meters: BTreeMap::new(),
            services: 0,
            last: None,
        }
    }

    /// Says that a meter needs the settings of this group; all others are of group 0. Within a slot the
    /// meters of a group are served one after the other, so that the line is switched as seldom as can be.
    pub fn group(&mut self, meter: usize, group: u32) {
        self.meters.entry(meter).or_default().group = group;
    }

    /// Adds a task; `meters` are those of this bus only.
    pub fn add(&mut self, task: usize, slots: Slots, meters: Vec<usize>) {
        if !meters.is_empty() {
            self.tasks.push(TaskState { task, slots, meters, newest: None });
        }
    }

    /// Opens the slots that have come by `now`. The slot that runs at the first look is left alone:
    /// its instant is past. A clock that went back opens nothing until it is where it was.
    pub fn open(&mut self, now: Timestamp) -> Opened {
        let mut opened = Opened::default();
        for state in &mut self.tasks {
            let current = state.slots.at_or_before(now);
            let Some(newest) = state.newest else {
                state.newest = Some(current);
                // A first look at the very instant of a slot is on time.
                if current == now {
                    open_slot(&mut self.due, state, current);
                }
                continue;
            };
            if current <= newest {
                continue;
            }
            let first = state.slots.after(newest);
            if first < current {
                opened.skipped.push(Skipped { task: state.task, first, until: current });
            }
            let task = state.task;
            self.due.retain(|job| {
                let old = job.task == task;
                if old {
                    opened.expired.push(*job);
                }
                !old
            });
            self.missed.retain(|job| job.task != task);
            self.again.retain(|job, _| job.task != task);
            state.newest = Some(current);
            open_slot(&mut self.due, state, current);
        }
        opened
    }

    /// What is next: the earliest slot; in it the group that is being served, or else that of the meter that was
    /// served longest ago; in it that meter.
    pub fn next(&self, now: Timestamp) -> Next {
        let order = |job: &&Job| {
            let Meter { group, served } = self.meters.get(&job.meter).copied().unwrap_or_default();
            let elsewhere = self.last != Some((job.slot, group));
            (job.slot, elsewhere, served, job.task, job.meter)
        };
        if let Some(job) = self.due.iter().min_by_key(order) {
            return Next::Now(*job);
        }
        self.tasks
            .iter()
            .map(|state| state.slots.after(state.newest.map_or(now, |n| n.max(now))))
            .min()
            .map_or(Next::Nothing, Next::NotBefore)
    }

    /// Whether anything of a task is due.
    pub fn has_due(&self, task: usize) -> bool {
        self.due.iter().any(|job| job.task == task)
    }

    /// The job has been served, whatever came of it.
    pub fn done(&mut self, job: Job) {
        self.due.retain(|due| *due != job);
        self.services += 1;
        let meter = self.meters.entry(job.meter).or_default();
        meter.served = self.services;
        self.last = Some((job.slot, meter.group));
    }

    /// The job has brought nothing at all; it may be had back by [`Schedule::again`].
    pub fn miss(&mut self, job: Job) {
        self.done(job);
        self.missed.push(job);
    }

    /// The meter answers, or with `None` all may: what was missed of it becomes due again, as long as less than
    /// half of its slot is over, and 15 min at most. A live value read later would not be one of that slot.
    pub fn again(&mut self, meter: Option<usize>, now: Timestamp) {
        for job in self.missed.extract_if(.., |job| meter.is_none_or(|meter| job.meter == meter)) {
            let Some(state) = self.tasks.iter().find(|state| state.task == job.task) else { continue };
            let whole = state.slots.after(job.slot).duration_since(job.slot);
            let again = self.again.entry(job).or_default();
            if *again < AGAIN && now.duration_since(job.slot) <= (whole / 2).min(LATE) {
                *again += 1;
                self.due.push(job);
            }
        }
    }

    /// Hands back all that is due, as when the daemon ends.
    pub fn abandon(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.due)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new()
    }
}

fn open_slot(due: &mut Vec<Job>, state: &TaskState, slot: Timestamp) {
    due.extend(state.meters.iter().map(|&meter| Job { task: state.task, slot, meter }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn minutely(meters: Vec<usize>) -> Schedule {
        let mut schedule = Schedule::new();
        schedule.add(0, Slots::new(Duration::from_secs(60), jiff::tz::TimeZone::UTC), meters);
        schedule
    }

    fn drain(schedule: &mut Schedule, now: Timestamp) -> Vec<usize> {
        let mut meters = Vec::new();
        while let Next::Now(job) = schedule.next(now) {
            meters.push(job.meter);
            schedule.done(job);
        }
        meters
    }

    #[test]
    fn slots_are_aligned_to_wall_time_and_the_running_one_is_left_alone() {
        let mut schedule = minutely(vec![3]);
        let start = at("2026-11-21T10:00:20Z");
        assert_eq!(schedule.open(start), Opened::default());
        assert_eq!(schedule.next(start), Next::NotBefore(at("2026-11-21T10:01:00Z")));
        let slot = at("2026-11-21T10:01:00Z");
        schedule.open(slot);
        assert_eq!(schedule.next(slot), Next::Now(Job { task: 0, slot, meter: 3 }));
        assert_eq!(drain(&mut schedule, slot), [3]);
        assert_eq!(schedule.next(slot), Next::NotBefore(at("2026-11-21T10:02:00Z")));
    }

    #[test]
    fn what_was_not_reached_in_its_slot_expires_and_is_said() {
        let mut schedule = minutely(vec![0, 1, 2]);
        schedule.open(at("2026-11-21T10:00:00Z"));
        let Next::Now(first) = schedule.next(at("2026-11-21T10:00:00Z")) else { panic!() };
        schedule.done(first);
        let opened = schedule.open(at("2026-11-21T10:01:00Z"));
        assert_eq!(opened.expired.iter().map(|j| j.meter).collect::<Vec<_>>(), [1, 2]);
        assert!(opened.skipped.is_empty());
        // Those who missed their turn come first in the next round.
        assert_eq!(drain(&mut schedule, at("2026-11-21T10:01:00Z")), [1, 2, 0]);
    }

    #[test]
    fn a_step_forward_skips_live_slots_and_announces_them() {
        let mut schedule = minutely(vec![0]);
        schedule.open(at("2026-11-21T10:00:30Z"));
        let opened = schedule.open(at("2026-11-21T11:00:10Z"));
        assert_eq!(
            opened.skipped,
            [Skipped { task: 0, first: at("2026-11-21T10:01:00Z"), until: at("2026-11-21T11:00:00Z") }]
        );
        let now = at("2026-11-21T11:00:10Z");
        assert_eq!(
            schedule.next(now),
            Next::Now(Job { task: 0, slot: at("2026-11-21T11:00:00Z"), meter: 0 })
        );
    }

    #[test]
    fn a_step_back_reads_no_slot_twice() {
        let mut schedule = minutely(vec![0]);
        let mut now = at("2026-11-21T10:59:30Z");
        schedule.open(now);
        now = at("2026-11-21T11:00:00Z");
        schedule.open(now);
        assert_eq!(drain(&mut schedule, now), [0]);
        now -= SignedDuration::from_hours(1);
        for _ in 0..60 {
            assert_eq!(schedule.open(now), Opened::default());
            assert_eq!(schedule.next(now), Next::NotBefore(at("2026-11-21T11:01:00Z")));
            now += SignedDuration::from_secs(60);
        }
        schedule.open(at("2026-11-21T11:01:00Z"));
        assert_eq!(drain(&mut schedule, at("2026-11-21T11:01:00Z")), [0]);
    }

    #[test]
    fn of_several_tasks_the_earlier_slot_goes_first() {
        let mut schedule = minutely(vec![0]);
        schedule.add(1, Slots::new(Duration::from_secs(1), jiff::tz::TimeZone::UTC), vec![1]);
        schedule.open(at("2026-11-21T10:00:00Z"));
        schedule.open(at("2026-11-21T10:00:01Z"));
        let Next::Now(job) = schedule.next(at("2026-11-21T10:00:01Z")) else { panic!() };
        assert_eq!((job.task, job.meter), (0, 0));
    }

    #[test]
    fn meters_of_one_rate_are_served_one_after_the_other_and_none_starves() {
        let mut schedule = minutely(vec![0, 1, 2, 3]);
        schedule.group(1, 1);
        schedule.group(3, 1);
        let mut now = at("2026-11-21T10:00:00Z");
        schedule.open(now);
        assert_eq!(drain(&mut schedule, now), [0, 2, 1, 3]);
        // A line that has time for two meters in a slot serves the others in the next one.
        let mut served = BTreeMap::<usize, u32>::new();
        for _ in 0..20 {
            now += SignedDuration::from_secs(60);
            schedule.open(now);
            for _ in 0..2 {
                let Next::Now(job) = schedule.next(now) else { panic!() };
                *served.entry(job.meter).or_default() += 1;
                schedule.done(job);
            }
        }
        assert_eq!(served.into_values().collect::<Vec<_>>(), [10; 4]);
    }

    #[test]
    fn a_missed_job_is_due_again_when_its_meter_is_back_in_time() {
        let mut schedule = minutely(vec![0, 1]);
        let slot = at("2026-11-21T10:00:00Z");
        schedule.open(slot);
        for meter in [0, 1] {
            schedule.miss(Job { task: 0, slot, meter });
        }
        assert!(matches!(schedule.next(slot), Next::NotBefore(_)));
        schedule.again(Some(1), at("2026-11-21T10:00:20Z"));
        assert_eq!(drain(&mut schedule, at("2026-11-21T10:00:20Z")), [1]);
        schedule.again(None, at("2026-11-21T10:00:40Z"));
        let late = drain(&mut schedule, at("2026-11-21T10:00:40Z"));
        assert!(late.is_empty(), "more than half of the slot is over");
        schedule.open(at("2026-11-21T10:01:00Z"));
        schedule.again(None, at("2026-11-21T10:01:01Z"));
        let new = drain(&mut schedule, at("2026-11-21T10:01:01Z"));
        assert_eq!(new, [0, 1], "the new slot, and nothing of the old");
    }
}
