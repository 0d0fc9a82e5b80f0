//! Runs of tasks whose values meters keep: what the first pass brought, and what is there by now. Pure.
//!
//! The first pass is over when each meter has reported once, or when that of a later slot is. What comes afterwards is
//! backfill (补抄). So many of the newest runs of a task are followed; older ones are counted from the store alone.

use super::{Kept, Round, Rounds};
use crate::reading::Reason;
use crate::store::Run;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Runs of a task that are followed: so many days are fetched later by themselves, and today's.
pub const FOLLOWED: usize = 4;

/// What a visit of one meter for one slot came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    /// Whether it was the first for this slot.
    pub first: bool,
    /// What came.
    pub came: Came,
}

/// What is there of one slot of one meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// Every register that the meter has.
    Whole,
    /// Some registers, and others not for this reason.
    Partly(Reason),
    /// Nothing, for this reason.
    None(Reason),
    /// Nothing, and it will never be there.
    Gone,
}

/// All runs of kept tasks.
#[derive(Debug, Default)]
pub(super) struct Runs {
    tasks: BTreeMap<String, BTreeMap<Timestamp, Followed>>,
    /// Numbers of meters, so that a run takes few octets of each.
    meters: HashMap<String, usize>,
}

#[derive(Debug)]
struct Followed {
    planned: usize,
    /// By the numbers of the meters.
    came: Vec<Option<Came>>,
    reported: usize,
    first: usize,
    began: Timestamp,
    ended: Option<Timestamp>,
    /// Whether something came since it was told.
    is_news: bool,
}

impl Rounds {
    /// Takes what a visit of `meter` came to for a slot of a kept task, which has `planned` meters over all buses. Gives the
    /// runs that begin by it or whose first pass is over, the oldest first.
    pub fn kept(
        &mut self,
        task: &str,
        planned: usize,
        meter: &str,
        slot: Timestamp,
        pass: Pass,
        now: Timestamp,
    ) -> Vec<Round> {
        let number = self.runs.number(meter);
        let runs = self.runs.of(task);
        if runs.len() >= FOLLOWED && runs.first_key_value().is_some_and(|(oldest, _)| slot < *oldest) {
            return Vec::new();
        }
        let begins = !runs.contains_key(&slot);
        let run = runs.entry(slot).or_insert_with(|| Followed::new(planned, now));
        run.planned = planned;
        run.take(number, pass);
        let is_over = run.ended.is_none() && run.reported >= planned;
        let mut told = Vec::new();
        for (of, run) in runs.range_mut(..=slot).filter(|(_, run)| is_over && run.ended.is_none()) {
            told.push(run.end(task, *of, now));
        }
        if begins
            && !is_over
            && let Some(run) = runs.get(&slot)
        {
            told.push(run.round(task, slot, now));
        }
        while runs.len() > FOLLOWED
            && let Some((of, run)) = runs.pop_first()
        {
            // Of many slots at once, as when hours are fetched for days back, nobody knows yet who will not have them.
            if run.ended.is_none() || run.is_news {
                told.insert(0, run.round(task, of, now));
            }
        }
        told
    }

    /// The runs of which something came since they were told, the oldest first. The newest one of a task is always
    /// among them, at its end: what is retained is of the newest slot.
    pub fn settle(&mut self, now: Timestamp) -> Vec<Round> {
        let mut told = Vec::new();
        for (task, runs) in &mut self.runs.tasks {
            let newest = runs.iter().rev().find(|(_, run)| run.ended.is_some()).map(|(slot, _)| *slot);
            if !runs.values().any(|run| run.is_news && run.ended.is_some()) {
                continue;
            }
            for (slot, run) in runs.iter_mut().filter(|(_, run)| run.ended.is_some()) {
                if std::mem::take(&mut run.is_news) || Some(*slot) == newest {
                    told.push(run.round(task, *slot, now));
                }
            }
        }
        told
    }

    /// Goes on with a run of before a restart. `known` is what is there of each meter that reported, and whether that came
    /// at the first pass.
    pub fn resume(&mut self, run: &Run, known: impl IntoIterator<Item = (String, Pass)>) {
        let numbered: Vec<(usize, Pass)> =
            known.into_iter().map(|(meter, pass)| (self.runs.number(&meter), pass)).collect();
        let runs = self.runs.of(&run.task);
        let planned = usize::try_from(run.planned).unwrap_or(usize::MAX);
        let mut followed = Followed { ended: run.ended, ..Followed::new(planned, run.began) };
        numbered.into_iter().for_each(|(meter, pass)| followed.take(meter, pass));
        // What was stored without its run having been told.
        followed.is_news =
            run.ended.is_some() && followed.round(&run.task, run.slot, run.began).run().as_ref() != Some(run);
        runs.insert(run.slot, followed);
        while runs.len() > FOLLOWED {
            runs.pop_first();
        }
    }
}

impl Runs {
    fn number(&mut self, meter: &str) -> usize {
        if let Some(number) = self.meters.get(meter) {
            return *number;
        }
        let number = self.meters.len();
        self.meters.insert(meter.to_owned(), number);
        number
    }

    fn of(&mut self, task: &str) -> &mut BTreeMap<Timestamp, Followed> {
        self.tasks.entry(task.to_owned()).or_default()
    }
}

impl Followed {
    fn new(planned: usize, began: Timestamp) -> Self {
        Self { planned, came: Vec::new(), reported: 0, first: 0, began, ended: None, is_news: false }
    }

    fn take(&mut self, meter: usize, Pass { first, came }: Pass) {
        if self.came.len() <= meter {
            self.came.resize(meter + 1, None);
        }
        let Some(own) = self.came.get_mut(meter) else { return };
        let next = match (*own, came) {
            // What was read stays read.
            (Some(Came::Whole), _) => Came::Whole,
            (Some(Came::Partly(_)), Came::None(reason)) => Came::Partly(reason),
            (_, came) => came,
        };
        if own.is_none() {
            self.reported += 1;
            self.first += usize::from(first && came == Came::Whole);
        }
        self.is_news |= *own != Some(next);
        *own = Some(next);
    }

    fn end(&mut self, task: &str, slot: Timestamp, now: Timestamp) -> Round {
        self.ended.get_or_insert(now);
        self.is_news = false;
        self.round(task, slot, now)
    }

    fn round(&self, task: &str, slot: Timestamp, now: Timestamp) -> Round {
        let (mut read, mut partly, mut gone) = (0, 0, 0);
        let mut failed: BTreeMap<Reason, usize> = BTreeMap::new();
        for came in self.came.iter().flatten() {
            match came {
                Came::Whole => read += 1,
                Came::Partly(_) => partly += 1,
                Came::Gone => gone += 1,
                Came::None(reason) => *failed.entry(*reason).or_default() += 1,
            }
        }
        let unsaid = self.planned.saturating_sub(self.reported);
        if unsaid > 0 && self.ended.is_some() {
            *failed.entry(Reason::Expired).or_default() += unsaid;
        }
        let kept = Kept { first: self.first, gone, began: self.began, ended: self.ended };
        let (task, planned) = (task.to_owned(), self.planned);
        Round { task, slot, planned, read, partly, failed, at: now, kept: Some(kept) }
    }
}

impl Round {
    /// As the store keeps it; `None` of a live task.
    pub fn run(&self) -> Option<Run> {
        let Kept { first, gone, began, ended } = self.kept?;
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let milli = |at: Timestamp| Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        Some(Run {
            task: self.task.clone(),
            slot: milli(self.slot),
            planned: narrow(self.planned),
            first: narrow(first),
            read: narrow(self.read),
            partly: narrow(self.partly),
            gone: narrow(gone),
            failed: self.failed.iter().map(|(reason, count)| (*reason, narrow(*count))).collect(),
            began: milli(began),
            ended: ended.map(milli),
        })
    }

    /// Whether its first pass is over; until then it is kept, but not told to anybody.
    pub fn is_over(&self) -> bool {
        self.kept.is_none_or(|kept| kept.ended.is_some())
    }
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
