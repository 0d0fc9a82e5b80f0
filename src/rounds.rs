//! What a slot of a task brought over all buses: how many meters were read whole, in part, or not at all. Pure.
//!
//! A round is over when each of its meters has reported once. A meter that reports once more, since it was back in
//! time, is not counted again. Each bus reports what it did not reach when the next slot opens, so a round lasts little
//! longer than its slot; one of which a bus says nothing is over when a later one is, or when a second one has begun
//! behind it, and the rest of its meters count as `expired`.

mod kept;

pub use kept::{Came, FOLLOWED, Pass};

use crate::reading::{Reason, Report};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashSet};

/// Rounds of a task that may be under way at a time: buses are not on the same slot at its end.
const OPEN: usize = 2;

/// Rounds under way. Tasks and meters go by their names, so that another configuration changes nothing here.
#[derive(Debug, Default)]
pub struct Rounds {
    tasks: BTreeMap<String, Task>,
    runs: kept::Runs,
}

#[derive(Debug, Default)]
struct Task {
    open: BTreeMap<Timestamp, Open>,
    /// The newest slot whose round is over.
    over: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Open {
    planned: usize,
    reported: HashSet<String>,
    read: usize,
    partly: usize,
    failed: BTreeMap<Reason, usize>,
}

/// A round that is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Round {
    /// Name of the task.
    pub task: String,
    /// The instant that its readings are for.
    pub slot: Timestamp,
    /// How many meters the task has.
    pub planned: usize,
    /// Of how many of them every register was read.
    pub read: usize,
    /// Of how many some were, and others not.
    pub partly: usize,
    /// Of how many none was, by the first reason in the order of [`Reason`].
    pub failed: BTreeMap<Reason, usize>,
    /// When it was over, or is told anew.
    pub at: Timestamp,
    /// What is told of a task whose values meters keep; its other numbers are those by now, with what was fetched later.
    pub kept: Option<Kept>,
}

/// What is told of a run of a task whose values meters keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Of how many meters every register was read at the first pass.
    pub first: usize,
    /// How many do not have the slot.
    pub gone: usize,
    /// When the first meter reported.
    pub began: Timestamp,
    /// When the first pass was over; `None` before.
    pub ended: Option<Timestamp>,
}

impl Rounds {
    /// Takes a report of `meter` for `task`, which has `planned` meters over all buses; gives the rounds that are over
    /// by it, the oldest first.
    pub fn take(
        &mut self,
        task: &str,
        planned: usize,
        meter: &str,
        report: &Report,
        now: Timestamp,
    ) -> Vec<Round> {
        if !self.tasks.contains_key(task) {
            self.tasks.insert(task.to_owned(), Task::default());
        }
        let Some(own) = self.tasks.get_mut(task) else { return Vec::new() };
        if own.over.is_some_and(|over| report.slot <= over) {
            return Vec::new();
        }
        let open = own.open.entry(report.slot).or_default();
        open.planned = planned;
        open.take(meter, report);
        let whole = open.reported.len() >= planned;
        let mut done = Vec::new();
        let is_over = |slot: Timestamp, open: usize| (whole && slot <= report.slot) || open > OPEN;
        while own.open.first_key_value().is_some_and(|(slot, _)| is_over(*slot, own.open.len())) {
            let Some((slot, open)) = own.open.pop_first() else { break };
            own.over = Some(slot);
            done.push(open.end(task, slot, now));
        }
        done
    }
}

impl Open {
    fn take(&mut self, meter: &str, report: &Report) {
        if !self.reported.insert(meter.to_owned()) {
            return;
        }
        match (report.readings.is_empty(), report.failures.iter().map(|f| f.reason).min()) {
            (_, None) => self.read += 1,
            (false, Some(_)) => self.partly += 1,
            (true, Some(reason)) => *self.failed.entry(reason).or_default() += 1,
        }
    }

    fn end(mut self, task: &str, slot: Timestamp, at: Timestamp) -> Round {
        let unsaid = self.planned.saturating_sub(self.reported.len());
        if unsaid > 0 {
            *self.failed.entry(Reason::Expired).or_default() += unsaid;
        }
        let Self { planned, read, partly, failed, .. } = self;
        Round { task: task.to_owned(), slot, planned, read, partly, failed, at, kept: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Content, Failure, Origin, Quality, Reading};
    use catalogue::Catalogue;
    use dlt645::format::Value;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    /// A report of minute `slot` with a value or not, and failures.
    fn report(slot: i64, value: bool, failures: &[Reason]) -> Report {
        let register = Catalogue::dlt645_2007().find("voltage_l1", 4).unwrap()[0];
        let reading = Reading {
            register,
            content: Content::Value(Value::Number(1.into())),
            quality: Quality::Good,
            why: None,
            raw: None,
            taken_at: at(slot),
            primary: None,
        };
        let failure =
            |reason: &Reason| Failure { register, reason: *reason, detail: String::new(), raw: None };
        Report {
            meter: 0,
            task: 0,
            slot: at(slot),
            origin: Origin::default(),
            readings: if value { vec![reading] } else { Vec::new() },
            failures: failures.iter().map(failure).collect(),
        }
    }

    fn good(slot: i64) -> Report {
        report(slot, true, &[])
    }

    #[test]
    fn a_round_is_told_once_when_each_meter_has_reported() {
        let mut rounds = Rounds::default();
        let mut take = |meter: &str, report: &Report| rounds.take("live", 4, meter, report, at(1));
        assert_eq!(take("a", &good(0)), []);
        assert_eq!(take("b", &report(0, true, &[Reason::Refused])), []);
        assert_eq!(take("c", &report(0, false, &[Reason::Silent, Reason::Damaged])), []);
        assert_eq!(take("a", &good(0)), [], "one that reports twice counts once");
        let expected = Round {
            task: "live".to_owned(),
            slot: at(0),
            planned: 4,
            read: 1,
            partly: 1,
            failed: BTreeMap::from([(Reason::Damaged, 1), (Reason::Silent, 1)]),
            at: at(1),
            kept: None,
        };
        assert_eq!(take("d", &report(0, false, &[Reason::Silent])), [expected]);
        assert_eq!(take("d", &good(0)), [], "it was back in time: its own message says so");
    }

    #[test]
    fn a_slot_that_a_bus_says_nothing_of_ends_with_a_later_one_and_its_meters_expire() {
        let mut rounds = Rounds::default();
        let mut take = |meter: &str, slot: i64| {
            let done = rounds.take("live", 2, meter, &good(slot), at(slot + 1));
            done.iter().map(|r| (r.slot, r.read, r.failed.clone())).collect::<Vec<_>>()
        };
        let expired = || BTreeMap::from([(Reason::Expired, 1)]);
        assert_eq!(take("a", 0), []);
        assert_eq!(take("a", 1), [], "the other bus may still be at slot 0");
        assert_eq!(take("b", 1), [(at(0), 1, expired()), (at(1), 2, BTreeMap::new())]);
        assert_eq!(take("b", 0), [], "and what comes later for it counts no more");
        assert_eq!(take("a", 2), []);
        assert_eq!(take("a", 3), []);
        assert_eq!(take("a", 4), [(at(2), 1, expired())]);
    }

    #[test]
    fn tasks_do_not_end_each_others_rounds() {
        let mut rounds = Rounds::default();
        assert_eq!(rounds.take("energy", 2, "a", &good(0), at(0)), []);
        for slot in 0..9 {
            assert_eq!(rounds.take("live", 1, "a", &good(slot), at(slot)).len(), 1);
        }
        assert_eq!(rounds.take("energy", 2, "b", &good(0), at(9))[0].read, 2);
    }
}
