//! The kinds of freeze that can hold a slot, and how their registers are called.

use crate::reading::Source;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// What the stamp of a commanded freeze may be off by, beside what the meter's clock is known to be.
const COMMANDED: SignedDuration = SignedDuration::from_mins(5);

/// What a meter has frozen a slot by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Each day (日冻结, 05 06): 62 of them, with tariffs.
    Daily,
    /// Each hour (整点冻结, 05 04): 254 of them, totals alone.
    Hourly,
    /// As it was set (定时冻结, 05 00): 12 of them.
    Timed,
    /// At the instant that was broadcast (瞬时冻结, 05 01), where it freezes nothing by itself: 3 of them, with tariffs.
    Instant,
    /// It freezes nothing: its present registers are read at the slot.
    NotFrozen,
}

impl Kind {
    /// In the order in which they are looked for.
    pub(super) const FROZEN: [Self; 3] = [Self::Daily, Self::Hourly, Self::Timed];

    /// So many a meter keeps at most.
    pub(super) const fn most(self) -> u8 {
        match self {
            Self::Daily => 62,
            Self::Hourly => 254,
            Self::Timed => 12,
            Self::Instant => 3,
            Self::NotFrozen => 1,
        }
    }

    /// What the name of the n-th last's register ends in.
    pub(super) fn suffix(self, n: u8) -> String {
        match self {
            Self::Daily => format!("_day{n}"),
            Self::Hourly => format!("_hour{n}"),
            Self::Timed => format!("_timed{n}"),
            Self::Instant => format!("_instant{n}"),
            Self::NotFrozen => String::new(),
        }
    }

    /// The register of the n-th last's stamp.
    pub(super) fn stamp(self, n: u8) -> String {
        let name = match self {
            Self::Daily => "daily_freeze_time",
            Self::Hourly => "hourly_freeze_time",
            Self::Instant => "instant_freeze_time",
            Self::Timed | Self::NotFrozen => "timed_freeze_time",
        };
        name.to_owned() + &self.suffix(n)
    }

    /// As a person says it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Daily => "daily freeze (日冻结)",
            Self::Hourly => "hourly freeze (整点冻结)",
            Self::Timed => "timed freeze (定时冻结)",
            Self::Instant => "instant freeze (瞬时冻结)",
            Self::NotFrozen => "freeze (冻结)",
        }
    }

    pub(super) const fn source(self) -> Source {
        match self {
            Self::Daily => Source::DailyFreeze,
            Self::Hourly => Source::HourlyFreeze,
            Self::Timed => Source::TimedFreeze,
            Self::Instant => Source::InstantFreeze,
            Self::NotFrozen => Source::Present,
        }
    }

    /// Whether a freeze with this stamp is the slot's. A daily one is, at whatever time of its day; of one that was
    /// commanded the stamp only tells which command it was, and `slot` is what the meter's clock should have shown.
    pub(super) fn is_of(self, stamp: DateTime, slot: DateTime) -> bool {
        match self {
            Self::Daily => stamp.date() == slot.date(),
            Self::Instant => stamp.duration_since(slot).abs() <= COMMANDED,
            Self::Hourly | Self::Timed | Self::NotFrozen => stamp == slot,
        }
    }

    /// So many freezes come after `from` until `to` if none is missed; 0 where they go the other way. Timed ones are
    /// not known to come at any distance: 1.
    pub(super) fn steps(self, from: DateTime, to: DateTime) -> i64 {
        let (from, to, step) = match self {
            Self::Daily => (from.date().at(0, 0, 0, 0), to.date().at(0, 0, 0, 0), 24),
            Self::Hourly => (from, to, 1),
            Self::Timed | Self::Instant | Self::NotFrozen => return 1,
        };
        (to.duration_since(from).as_hours() / step).max(0)
    }

    /// Seconds after which the next one may come.
    pub(super) const fn period(self) -> i64 {
        match self {
            Self::Daily => 24 * 3600,
            Self::Hourly | Self::Timed | Self::Instant | Self::NotFrozen => 3600,
        }
    }
}
