//! A schedule that goes on under another configuration. Pure.

use super::{Job, Schedule, Slots, TaskState};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A task of the new configuration.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// Its index.
    pub task: usize,
    /// The index that it had, and whether its slots are at the same instants; none for one that is new.
    pub before: Option<(usize, bool)>,
    /// When it is due.
    pub slots: Slots,
    /// Its meters on this bus, by their new indices, ascending.
    pub meters: Vec<usize>,
}

impl Schedule {
    /// Takes over the tasks of a new configuration at `now`; `meter` gives the new index of a meter point that stays, and
    /// `group` the group of a meter by its new index. What is due stays due under its new indices, no slot opens twice,
    /// and what is new begins with the next slot. Jobs that are in the new configuration no more are handed back, as they
    /// were.
    pub fn adopt(
        &mut self,
        tasks: Vec<Adopted>,
        meter: impl Fn(usize) -> Option<usize>,
        group: impl Fn(usize) -> u32,
        now: Timestamp,
    ) -> Vec<Job> {
        let newest: BTreeMap<usize, Option<Timestamp>> =
            self.tasks.iter().map(|state| (state.task, state.newest)).collect();
        let renumber = |job: &Job| {
            let meter = meter(job.meter)?;
            let is_it = |task: &&Adopted| task.before.is_some_and(|(before, _)| before == job.task);
            let task = tasks.iter().find(is_it).filter(|task| task.meters.binary_search(&meter).is_ok())?;
            Some(Job { task: task.task, slot: job.slot, meter })
        };
        let mut over = Vec::new();
        let mut due = Vec::with_capacity(self.due.len());
        for job in self.due.drain(..) {
            match renumber(&job) {
                Some(job) => due.push(job),
                None => over.push(job),
            }
        }
        self.due = due;
        self.missed = self.missed.iter().filter_map(renumber).collect();
        self.again = self.again.iter().filter_map(|(job, times)| Some((renumber(job)?, *times))).collect();
        self.last = self.last.and_then(|(slot, before)| {
            let mut served = self.meters.iter().filter(|(_, known)| known.group == before);
            served.find_map(|(of, _)| meter(*of)).map(|of| (slot, group(of)))
        });
        let known = std::mem::take(&mut self.meters).into_iter();
        self.meters = known.filter_map(|(of, known)| Some((meter(of)?, known))).collect();
        for of in tasks.iter().flat_map(|task| &task.meters) {
            self.meters.entry(*of).or_default().group = group(*of);
        }
        self.tasks = tasks
            .into_iter()
            .filter(|task| !task.meters.is_empty())
            .map(|Adopted { task, before, slots, meters }| {
                let opened = before.and_then(|(old, same)| {
                    let newest = newest.get(&old).copied().flatten()?;
                    // Instants that were none of its slots before are not opened afterwards.
                    Some(if same { newest } else { newest.max(slots.at_or_before(now)) })
                });
                TaskState { task, slots, meters, newest: opened }
            })
            .collect();
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Next, Opened};
    use jiff::SignedDuration;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn slots(seconds: u64) -> Slots {
        Slots::new(Duration::from_secs(seconds), TimeZone::UTC)
    }

    fn schedule(meters: Vec<usize>) -> Schedule {
        let mut schedule = Schedule::new();
        schedule.add(0, slots(60), meters);
        schedule
    }

    fn drain(schedule: &mut Schedule, now: Timestamp) -> Vec<Job> {
        let mut jobs = Vec::new();
        while let Next::Now(job) = schedule.next(now) {
            jobs.push(job);
            schedule.done(job);
        }
        jobs
    }

    #[test]
    fn what_is_due_stays_due_under_its_new_indices_and_what_is_no_more_is_handed_back() {
        let mut schedule = schedule(vec![0, 1, 2]);
        let slot = at("2026-11-21T10:00:00Z");
        schedule.open(slot);
        schedule.miss(Job { task: 0, slot, meter: 0 });
        // Meter 1 is gone, and a meter and a task came before the others.
        let to = |meter: usize| [Some(1), None, Some(2)].get(meter).copied().flatten();
        let task = Adopted { task: 1, before: Some((0, true)), slots: slots(60), meters: vec![0, 1, 2] };
        let over = schedule.adopt(vec![task], to, |_| 0, slot);
        assert_eq!(over, [Job { task: 0, slot, meter: 1 }]);
        assert_eq!(drain(&mut schedule, slot), [Job { task: 1, slot, meter: 2 }]);
        schedule.again(Some(1), slot);
        assert_eq!(drain(&mut schedule, slot), [Job { task: 1, slot, meter: 1 }], "what was missed too");
        assert_eq!(schedule.open(at("2026-11-21T10:00:59Z")), Opened::default());
        let next = at("2026-11-21T10:01:00Z");
        schedule.open(next);
        assert_eq!(drain(&mut schedule, next).len(), 3, "the new meter joins with the next slot");
    }

    #[test]
    fn a_task_with_another_period_opens_its_next_slot_and_none_that_was_not_its() {
        for (seconds, next) in [(900, "2026-11-21T10:15:00Z"), (10, "2026-11-21T10:01:40Z")] {
            let mut schedule = schedule(vec![0]);
            let now = at("2026-11-21T10:01:35Z");
            schedule.open(at("2026-11-21T10:00:30Z"));
            schedule.open(now);
            let task = Adopted { task: 0, before: Some((0, false)), slots: slots(seconds), meters: vec![0] };
            assert_eq!(schedule.adopt(vec![task], Some, |_| 0, now), []);
            assert_eq!(drain(&mut schedule, now).len(), 1, "the slot that runs is not lost");
            assert_eq!(schedule.open(now), Opened::default());
            assert_eq!(schedule.next(now), Next::NotBefore(at(next)));
            assert_eq!(schedule.open(at(next)), Opened::default(), "nothing is taken to have been skipped");
            assert_eq!(drain(&mut schedule, at(next)).len(), 1);
        }
    }

    proptest! {
        /// Whatever is changed and when, no meter is due twice for a slot of a task, and whatever was opened is served,
        /// or handed back as expired or as over.
        #[test]
        fn no_slot_opens_twice_and_none_is_lost(
            steps in proptest::collection::vec((0..200i64, 0..3usize, any::<[bool; 4]>(), any::<bool>()), 1..40)
        ) {
            let mut schedule = schedule(vec![0, 1, 2, 3]);
            let mut period = 60;
            let mut now = at("2026-11-21T09:59:00Z");
            let (mut opened, mut ended) = (BTreeSet::new(), BTreeSet::new());
            for (seconds, serve, stays, other) in steps {
                now += SignedDuration::from_secs(seconds);
                let before: BTreeSet<Job> = schedule.due.iter().copied().collect();
                let brought = schedule.open(now);
                for job in brought.expired {
                    prop_assert!(ended.insert(job), "{job:?} ended twice");
                }
                for job in schedule.due.iter().filter(|job| !before.contains(job)) {
                    prop_assert!(opened.insert(*job), "{job:?} opened twice");
                }
                for _ in 0..serve {
                    if let Next::Now(job) = schedule.next(now) {
                        schedule.done(job);
                        prop_assert!(ended.insert(job));
                    }
                }
                if other {
                    period = if period == 60 { 90 } else { 60 };
                }
                let meters = (0..4).filter(|meter| stays[*meter]).collect();
                let task = Adopted { task: 0, before: Some((0, !other)), slots: slots(period), meters };
                for job in schedule.adopt(vec![task], Some, |_| 0, now) {
                    prop_assert!(ended.insert(job));
                }
            }
            ended.extend(schedule.abandon());
            prop_assert_eq!(opened, ended);
        }
    }
}
