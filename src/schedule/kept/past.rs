//! What earlier runs left of the slots: which were read, and which are missing and why. Pure.

use super::Missing;
use super::of_meter::Lack;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What earlier runs left.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// By task and meter.
    slots: BTreeMap<(usize, usize), OfMeter>,
    /// Points at which another meter hung when something was last learned there.
    exchanged: BTreeSet<usize>,
}

/// What is known of the slots of one meter and task.
#[derive(Clone, Debug, Default)]
pub(super) struct OfMeter {
    /// Slots that need no more, in seconds; ascending once all are there.
    settled: Vec<i64>,
    /// Slots that were asked for and are missing: the registers, all if there are none, and how often they were asked for.
    open: BTreeMap<Timestamp, (Missing, u32)>,
}

impl Past {
    /// Something of the slot was read, or it turned out that nothing ever will be. [`Past::is_missing`] goes before it.
    pub fn is_settled(&mut self, task: usize, meter: usize, slot: Timestamp) {
        self.slots.entry((task, meter)).or_default().settled.push(slot.as_second());
    }

    /// The slot is still missing; of these registers, or all.
    pub fn is_missing(
        &mut self,
        task: usize,
        meter: usize,
        slot: Timestamp,
        (missing, tries): (Missing, u32),
    ) {
        self.slots.entry((task, meter)).or_default().open.insert(slot, (missing, tries));
    }

    /// Another meter hangs at the point than did in the earlier runs (换表).
    pub fn exchange(&mut self, meter: usize) {
        self.exchanged.insert(meter);
    }

    /// Adds what is known of others.
    pub fn extend(&mut self, more: Self) {
        self.slots.extend(more.slots);
        self.exchanged.extend(more.exchanged);
    }

    pub(super) fn is_exchanged(&self, meter: usize) -> bool {
        self.exchanged.contains(&meter)
    }

    pub(super) fn take(&mut self, task: usize, meter: usize) -> OfMeter {
        let mut of = self.slots.remove(&(task, meter)).unwrap_or_default();
        of.settled.sort_unstable();
        of
    }

    /// Under the indices of another configuration.
    pub(super) fn renumber(
        &mut self,
        task: impl Fn(usize) -> Option<usize>,
        meter: impl Fn(usize) -> Option<usize>,
    ) {
        let all = std::mem::take(&mut self.slots).into_iter();
        self.slots = all.filter_map(|((of, own), known)| Some(((task(of)?, meter(own)?), known))).collect();
        self.exchanged = std::mem::take(&mut self.exchanged).into_iter().filter_map(meter).collect();
    }
}

impl OfMeter {
    pub(super) fn is_settled(&self, slot: Timestamp) -> bool {
        !self.open.contains_key(&slot) && self.settled.binary_search(&slot.as_second()).is_ok()
    }

    pub(super) fn lack(&self, slot: Timestamp) -> Lack {
        let (missing, tries) = self.open.get(&slot).cloned().unwrap_or_default();
        let is_noted = self.open.contains_key(&slot);
        Lack { slot, missing, tries, is_due: true, is_passed: is_noted, is_late: false, is_noted, again: 0 }
    }
}
