//! When clocks may be set: not while meters freeze or settle (冻结, 结算), by the clock on the wall. Pure.

use jiff::SignedDuration;
use jiff::civil::{DateTime, Time};

/// A clock that is set near these may freeze twice, or not at all. DL/T 645-2007 clause 7.6 warns of midnight; the
/// freezes of each hour (整点冻结) are of full hours.
const BEFORE: SignedDuration = SignedDuration::from_mins(30);
const AFTER: SignedDuration = SignedDuration::from_mins(10);
const NEAR_HOUR: i8 = 5;

/// When meters settle (结算日, 04000B01 to 03).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Settlements {
    /// That is not known: any full hour of the 1st is taken to be one.
    #[default]
    Unknown,
    /// On these days of the month, at these hours.
    Known(Vec<(i8, i8)>),
}

/// What meters are busy with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Busy {
    /// The daily freeze.
    #[error("from 23:30 to 00:10 meters freeze their day (日冻结)")]
    NearMidnight,
    /// A settlement.
    #[error("within 30 min before and 10 min after a settlement (结算) no clock is set")]
    NearSettlement,
    /// The freeze of an hour.
    #[error("within 5 min of a full hour meters freeze it (整点冻结)")]
    NearHour,
}

impl Busy {
    /// The word as it is published.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NearMidnight => "near_midnight",
            Self::NearSettlement => "near_settlement",
            Self::NearHour => "near_hour",
        }
    }
}

/// Whether clocks may be set at a time of the gateway's zone.
///
/// # Errors
/// What meters are busy with then.
pub fn quiet(at: DateTime, settlements: &Settlements) -> Result<(), Busy> {
    // Midnight, and a settlement, is of the day that begins behind the window.
    let ahead = at.saturating_add(BEFORE);
    let since = |hour: DateTime| ahead.duration_since(hour);
    let near = |hour: DateTime| !since(hour).is_negative() && since(hour) < BEFORE + AFTER;
    let hour = ahead.date().to_datetime(Time::constant(ahead.hour(), 0, 0, 0));
    if near(ahead.date().to_datetime(Time::midnight())) {
        return Err(Busy::NearMidnight);
    }
    let settles = match settlements {
        Settlements::Unknown => hour.day() == 1,
        Settlements::Known(all) => all.contains(&(hour.day(), hour.hour())),
    };
    if settles && near(hour) {
        Err(Busy::NearSettlement)
    } else if at.minute() < NEAR_HOUR || at.minute() >= 60 - NEAR_HOUR {
        Err(Busy::NearHour)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(at: &str, settlements: &Settlements) -> Option<&'static str> {
        quiet(at.parse().unwrap(), settlements).err().map(Busy::word)
    }

    #[test]
    fn no_clock_is_set_near_midnight_nor_near_a_full_hour() {
        for (at, word) in [
            ("2026-11-21T23:29:59", None),
            ("2026-11-21T23:30:00", Some("near_midnight")),
            ("2026-11-21T23:59:59", Some("near_midnight")),
            ("2026-11-21T00:00:00", Some("near_midnight")),
            ("2026-11-21T00:09:59", Some("near_midnight")),
            ("2026-11-21T00:10:00", None),
            ("2026-11-21T10:04:59", Some("near_hour")),
            ("2026-11-21T10:05:00", None),
            ("2026-11-21T10:54:59", None),
            ("2026-11-21T10:55:00", Some("near_hour")),
        ] {
            assert_eq!(busy(at, &Settlements::Unknown), word, "{at}");
        }
    }

    #[test]
    fn where_settlements_are_not_known_any_hour_of_the_1st_is_one() {
        let unknown = Settlements::Unknown;
        for (at, word) in [
            ("2026-12-01T10:17:00", None),
            ("2026-12-01T10:29:59", None),
            ("2026-12-01T10:30:00", Some("near_settlement")),
            ("2026-12-01T11:09:59", Some("near_settlement")),
            ("2026-12-02T10:30:00", None),
            ("2026-11-30T22:45:00", None),
            ("2026-11-30T23:45:00", Some("near_midnight")),
        ] {
            assert_eq!(busy(at, &unknown), word, "{at}");
        }
        let known = Settlements::Known(vec![(15, 9), (28, 0)]);
        for (at, word) in [
            ("2026-12-01T10:30:00", None),
            ("2026-12-15T08:30:00", Some("near_settlement")),
            ("2026-12-15T09:09:00", Some("near_settlement")),
            ("2026-12-15T09:10:00", None),
            ("2026-12-15T08:29:00", None),
            ("2026-12-16T08:30:00", None),
        ] {
            assert_eq!(busy(at, &known), word, "{at}");
        }
    }
}
