//! Which of a meter's freezes is that of a slot: found by the stamps, never counted. Pure.

use super::Kind;
use jiff::civil::DateTime;

/// The n-th last freezes that are asked for until one is the slot's. Stamps fall with n, but the n-th last freeze is not
/// the n-th last day's: after a night without power a meter has frozen each missed day, once, or not at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    kind: Kind,
    slot: DateTime,
    n: u8,
    /// The oldest freeze that is known to be after the slot.
    newer: Option<(u8, DateTime)>,
    /// The newest that is known to be before it; without a stamp where the meter has none so far back.
    older: Option<(u8, Option<DateTime>)>,
}

/// What a stamp says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Walked {
    /// The next is to be asked for.
    On,
    /// The n-th last is of the slot; of a daily freeze it may have another time of its day.
    Found(u8, DateTime),
    /// The newest is before the slot.
    NotYet(DateTime),
    /// The meter does not have it: a sentence.
    Absent(String),
    /// There is no freeze of this kind at all.
    NoSuch,
}

impl Walk {
    /// Begins where the freeze is if the meter froze each time until `now`.
    pub(super) fn new(kind: Kind, slot: DateTime, now: DateTime) -> Self {
        let steps = match kind {
            Kind::Timed | Kind::Instant | Kind::NotFrozen => 0,
            Kind::Daily | Kind::Hourly => kind.steps(slot, now),
        };
        let n = u8::try_from(steps.saturating_add(1)).unwrap_or(u8::MAX).clamp(1, kind.most());
        Self { kind, slot, n, newer: None, older: None }
    }

    /// Which one is asked for.
    pub(super) const fn n(&self) -> u8 {
        self.n
    }

    /// Whether the one before the n-th last may be of the slot too.
    pub(super) fn is_open_behind(&self, n: u8) -> bool {
        n < self.kind.most() && self.older.is_none_or(|(older, _)| older > n + 1)
    }

    /// Takes the stamp of the n-th last, `None` where the meter has none.
    pub(super) fn take(&mut self, stamp: Option<DateTime>) -> Walked {
        let n = self.n;
        let next = match stamp {
            Some(stamp) if self.kind.is_of(stamp, self.slot) => return Walked::Found(n, stamp),
            Some(stamp) if stamp > self.slot => {
                self.newer = Some((n, stamp));
                if n == self.kind.most() {
                    return Walked::Absent(self.absence());
                }
                n.saturating_add(self.step(self.slot, stamp))
            }
            Some(stamp) if n == 1 => return Walked::NotYet(stamp),
            Some(stamp) => {
                self.older = Some((n, Some(stamp)));
                n.saturating_sub(self.step(stamp, self.slot))
            }
            None if n == 1 => return Walked::NoSuch,
            None => {
                self.older = Some((n, None));
                self.newer.map_or(1, |(newer, _)| newer + (n - newer) / 2)
            }
        };
        let lowest = self.newer.map_or(0, |(n, _)| n) + 1;
        let highest = self.older.map_or(self.kind.most(), |(n, _)| n - 1);
        if lowest > highest {
            return Walked::Absent(self.absence());
        }
        self.n = next.clamp(lowest, highest);
        Walked::On
    }

    /// So many freezes lie between, as a rule.
    fn step(&self, from: DateTime, to: DateTime) -> u8 {
        u8::try_from(self.kind.steps(from, to)).unwrap_or(u8::MAX).max(1)
    }

    fn absence(&self) -> String {
        let kind = self.kind.words();
        let slot = self.slot.strftime("%Y-%m-%dT%H:%M");
        let stamp = |at: DateTime| at.strftime("%Y-%m-%dT%H:%M");
        match (self.newer, self.older) {
            (Some((_, newer)), Some((_, Some(older)))) => {
                let (newer, older) = (stamp(newer), stamp(older));
                format!("the meter has no {kind} of {slot}: the one before that of {newer} is of {older}")
            }
            (Some((_, newer)), Some((_, None))) => {
                format!("the meter has no {kind} of {slot}: its oldest is of {}", stamp(newer))
            }
            (Some((n, newer)), None) => {
                format!(
                    "the meter has no {kind} of {slot} any more: the last of the {n} it keeps is of {}",
                    stamp(newer)
                )
            }
            (None, _) => format!("the meter has no {kind} of {slot}"),
        }
    }
}
