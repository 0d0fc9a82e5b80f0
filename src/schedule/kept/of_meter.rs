//! What is missing of one meter and task. Pure.

use super::{Errand, GivenUp, Kept, Missing, Own, Past, STANDS_IN, Wanted, past};
use crate::config::Read;
use jiff::{SignedDuration, Timestamp};

/// Records that one visit asks for at most; the line has others waiting.
const AT_ONCE: usize = 24;
/// A slot that opens later than so after its task ran was missed: what comes is backfilled.
const LATE: SignedDuration = SignedDuration::from_mins(10);
#[derive(Debug)]
pub(super) struct OfMeter {
    pub(super) own: Own,
    /// Whether it has no freeze, so that its slots open at their own instant.
    pub(super) has_no_freeze: bool,
    /// The newest slot that was opened.
    pub(super) opened: Option<Timestamp>,
    /// Missing slots, ascending.
    pub(super) lacks: Vec<Lack>,
    pub(super) served: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Lack {
    pub(super) slot: Timestamp,
    pub(super) missing: Missing,
    pub(super) tries: u32,
    /// Whether it is asked for in the pass that is under way.
    pub(super) is_due: bool,
    /// Whether a pass was over for it.
    pub(super) is_passed: bool,
    /// Whether nobody was there when its task ran.
    pub(super) is_late: bool,
    pub(super) is_noted: bool,
    /// How often it was had back in this pass.
    pub(super) again: u8,
}

/// A slot is not had back more often in one pass: a meter that answers other questions may be silent for just these.
const AGAIN: u8 = 3;

impl Lack {
    pub(super) const fn is_had_back(&mut self) {
        if !self.is_due && self.again < AGAIN {
            self.is_due = true;
            self.again += 1;
        }
    }
}

/// While present registers can stand in, who did not answer is asked again, and once more when they cannot any more.
const HASTE: [SignedDuration; 2] = [SignedDuration::from_mins(10), SignedDuration::from_mins(16)];

impl OfMeter {
    pub(super) const fn new(own: Own) -> Self {
        Self { own, has_no_freeze: false, opened: None, lacks: Vec::new(), served: 0 }
    }

    /// Opens all slots behind the newest that was opened, up to `newest`; at the first look those that earlier runs left.
    pub(super) fn open(
        &mut self,
        kept: &Kept,
        now: Timestamp,
        (newest, horizon): (Timestamp, Timestamp),
        past: &mut Past,
    ) {
        let begin = self.opened.map_or(horizon, |opened| opened.max(horizon));
        let is_behind = |slot: Timestamp| match self.opened {
            Some(opened) => slot > opened && slot >= horizon,
            None => slot >= horizon,
        };
        let known = match self.opened {
            None => past.take(kept.task, self.own.meter),
            Some(_) => past::OfMeter::default(),
        };
        let mut run = kept.slots.at_or_before(begin);
        loop {
            let slot = kept.slots.slot(run);
            if slot > newest || run == Timestamp::MAX {
                break;
            }
            let is_new = self.lacks.last().is_none_or(|last| last.slot < slot);
            let is_own = self.own.since.is_none_or(|since| slot >= since);
            if is_new && is_own && is_behind(slot) && !known.is_settled(slot) {
                let since_run = now.duration_since(run) - kept.delay();
                self.lacks.push(Lack { is_late: since_run > LATE, ..known.lack(slot) });
            }
            run = kept.slots.after(run);
        }
        self.opened = Some(newest);
    }

    /// Another meter hangs there now: what is missing was the other one's.
    pub(super) fn give_up(&mut self, task: usize) -> Option<GivenUp> {
        let slots: Vec<_> = self.lacks.drain(..).map(|lack| (lack.slot, lack.tries)).collect();
        let meter = self.own.meter;
        (!slots.is_empty()).then_some(GivenUp { task, meter, slots, is_exchanged: true })
    }

    /// What is missing of a meter without a freeze is due again while it can be had. When that is to be looked at next.
    pub(super) fn hasten(&mut self, now: Timestamp) -> Timestamp {
        let Some(newest) = self.lacks.last_mut() else { return Timestamp::MAX };
        let age = now.duration_since(newest.slot);
        newest.is_due |= HASTE.last().is_some_and(|last| age <= *last + SignedDuration::from_mins(1));
        let next = HASTE.into_iter().find(|after| age < *after);
        next.and_then(|after| newest.slot.saturating_add(after).ok()).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn errand(&self, task: usize, read: Read, newest: &Lack, now: Timestamp) -> Errand {
        let wanted = |lack: &Lack| {
            let is_newest = self.opened == Some(lack.slot);
            let stands_in = self.has_no_freeze && now.duration_since(lack.slot) <= STANDS_IN;
            Wanted {
                slot: lack.slot,
                tries: lack.tries,
                is_first: !lack.is_passed && !lack.is_late,
                is_backfill: !stands_in && (lack.is_passed || lack.is_late || !is_newest),
                is_noted: lack.is_noted,
            }
        };
        let same = self.lacks.iter().filter(|lack| lack.is_due && lack.missing == newest.missing);
        let most = if read == Read::LoadProfile { AT_ONCE } else { 1 };
        let mut slots: Vec<Wanted> = same.rev().take(most).map(wanted).collect();
        slots.reverse();
        Errand { task, meter: self.own.meter, slots, missing: newest.missing.clone() }
    }
}
