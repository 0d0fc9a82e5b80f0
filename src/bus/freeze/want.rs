//! What is wanted of a meter, and what its clock makes of it.

use super::{Kind, STANDS_IN};
use crate::bus::round::Point;
use crate::planner::Costs;
use crate::reading::Quality;
use catalogue::{Identifier, Register, Standard};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// How exactly the time of the meter's next freeze is known, where its clock was measured.
const NEAR: SignedDuration = SignedDuration::from_mins(2);

/// What is wanted of which meter.
#[derive(Clone, Debug)]
pub struct Want {
    /// What the meter speaks.
    pub standard: Standard,
    /// The frozen instant.
    pub slot: Timestamp,
    /// The same by the clock on the gateway's wall, which is the meter's too.
    pub frozen_at: DateTime,
    /// The present, by the same clock.
    pub now: DateTime,
    /// Whether it is the value of a month: the slot is 00:00 of a 1st.
    pub is_month: bool,
    /// Whether the slot was missed and is read from the meter's memory (补抄).
    pub is_backfill: bool,
    /// How far the meter's clock was ahead when it was last measured.
    pub clock_offset: Option<SignedDuration>,
    /// How far it may be off; 5 minutes as a rule.
    pub clock_bound: SignedDuration,
    /// What this meter was found to freeze by.
    pub known: Option<Kind>,
    /// When a freeze of the slot was broadcast to the meter's line, if it was.
    pub commanded: Option<Timestamp>,
    /// Present registers whose frozen values are wanted. Status words (电表运行状态字), which are not frozen, are read
    /// beside them.
    pub wanted: Vec<Register>,
    /// Blocks and registers not to be tried.
    pub refused: BTreeSet<Identifier>,
    /// What an exchange costs.
    pub costs: Costs,
    /// How the meter is wired, and its transformers.
    pub point: Point,
}

impl Want {
    /// Whether present registers can still stand in.
    pub(super) fn is_in_time(&self) -> bool {
        let late = self.now.duration_since(self.frozen_at);
        !self.is_backfill && !late.is_negative() && late <= STANDS_IN
    }

    /// What the meter's clock should show when a freeze was commanded.
    pub(super) fn commanded_at(&self) -> Option<DateTime> {
        let after = self.commanded?.duration_since(self.slot);
        self.frozen_at.checked_add(after + self.clock_offset.unwrap_or_default()).ok()
    }

    /// Whether the meter's next freeze may fall between two instants, so that the n-th last becomes another: its time
    /// lies between them, or so near as the clock is known: 2 minutes where it was measured, the bound where it was not.
    pub(super) fn may_freeze(&self, kind: Kind, stamp: DateTime, (from, to): (Timestamp, Timestamp)) -> bool {
        if kind == Kind::Instant {
            return false;
        }
        let near = self.clock_offset.map_or(self.clock_bound, |_| NEAR).as_secs();
        let offset = self.clock_offset.unwrap_or_default();
        let began = self.frozen_at.saturating_add(from.duration_since(self.slot) + offset);
        let until_next = stamp.duration_since(began).as_secs().saturating_add(near).rem_euclid(kind.period());
        until_next <= to.duration_since(from).as_secs().saturating_add(2 * near)
    }

    /// A stamp of 00:00 proves little where the clock was off.
    pub(super) fn clock_off(&self) -> Option<(Quality, String)> {
        let (offset, bound) = (self.clock_offset?, self.clock_bound);
        (offset.abs() > bound).then(|| {
            let side = if offset.is_negative() { "behind" } else { "ahead" };
            let why = format!(
                "the meter's clock was {} s {side} when it was last measured, and the bound is {} s",
                offset.abs().as_secs(),
                bound.as_secs()
            );
            (Quality::ClockOff, why)
        })
    }
}
