//! What a meter's memory holds of a slot, by what the meter was made with and by arithmetic of this file's own; the values
//! are the house's at that instant. No frame, no identifier of a freeze, and nothing of the daemon's has a part in it.

use crate::fleet::{FROZEN, OnBus, RECORDED};
use dlt645::Di;
use jiff::civil::DateTime;
use jiff::tz::{Offset, offset};
use jiff::{SignedDuration, Span, Timestamp};
use meterd::reading::{Quality, Source};
use meterd::simulator::Refreeze;

/// The three tasks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Task {
    Day,
    Profile,
    Month,
}

impl Task {
    pub(crate) const ALL: [Self; 3] = [Self::Day, Self::Profile, Self::Month];

    /// As it is configured.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Profile => "profile",
            Self::Month => "month",
        }
    }

    /// Its registers.
    pub(crate) const fn registers(self) -> &'static [&'static str] {
        match self {
            Self::Day | Self::Month => &FROZEN,
            Self::Profile => &RECORDED,
        }
    }

    /// The next slot: a full hour, a midnight, the midnight of a first.
    pub(crate) fn next_slot(self, slot: Timestamp) -> Timestamp {
        let local = ZONE.to_datetime(slot);
        let next = match self {
            Self::Profile => {
                let hour = local.date().at(local.hour(), 0, 0, 0);
                hour.saturating_add(SignedDuration::from_hours(1))
            }
            Self::Day => local.date().saturating_add(Span::new().days(1)).at(0, 0, 0, 0),
            Self::Month => local.date().first_of_month().saturating_add(Span::new().months(1)).at(0, 0, 0, 0),
        };
        ZONE.to_timestamp(next).unwrap()
    }

    /// Whether it is one.
    pub(crate) fn is_slot(self, slot: Timestamp) -> bool {
        self.next_slot(slot - SignedDuration::from_secs(1)) == slot
    }
}

/// What a meter has of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    /// This is in its memory.
    Kept(Kept),
    /// It has no freeze; what its present registers show in a quarter of an hour from the slot on stands in.
    Present,
    /// Nothing.
    Nothing,
}

/// A freeze or a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) source: Source,
    /// The time that it bears; a settlement bears none.
    pub(crate) stamp: Option<DateTime>,
    /// Whose values it has.
    pub(crate) taken: Timestamp,
    pub(crate) quality: Quality,
}

const ZONE: Offset = offset(8);

/// What the meter's memory holds of a slot of a task.
pub(crate) fn held(of: &OnBus, task: Task, slot: Timestamp) -> Held {
    let shown = ZONE.to_datetime(slot);
    match task {
        Task::Day if of.freezes_nothing() => Held::Present,
        Task::Day => daily(of, shown).or_else(|| hourly(of, shown)).map_or(Held::Nothing, Held::Kept),
        // Months are settled at 00:00 of the 1st, with power or without.
        Task::Month => Held::Kept(daily(of, shown).unwrap_or_else(|| settled(of, shown))),
        Task::Profile => recorded(of, shown).or_else(|| hourly(of, shown)).map_or(Held::Nothing, Held::Kept),
    }
}

/// When the meter's clock shows this.
fn instant(of: &OnBus, shown: DateTime) -> Timestamp {
    ZONE.to_timestamp(shown).unwrap() - of.meter.settings().clock_offset
}

/// The cut that leaves it without power at an instant, in true time.
fn cut_at(of: &OnBus, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let cuts = of.memory().power_cuts.iter();
    let mut cuts =
        cuts.map(|(from, to)| (ZONE.to_timestamp(*from).unwrap(), ZONE.to_timestamp(*to).unwrap()));
    cuts.find(|(from, to)| (*from..*to).contains(&at))
}

/// Whether it has power in all of `from..to`.
pub(crate) fn has_power(of: &OnBus, from: Timestamp, to: Timestamp) -> bool {
    let cuts = of.memory().power_cuts.iter();
    let mut cuts =
        cuts.map(|(from, to)| (ZONE.to_timestamp(*from).unwrap(), ZONE.to_timestamp(*to).unwrap()));
    !cuts.any(|cut| cut.0 < to && from < cut.1)
}

fn daily(of: &OnBus, midnight: DateTime) -> Option<Kept> {
    if of.is_of_1997() || of.memory().daily_freeze.is_none() {
        return None;
    }
    let source = Source::DailyFreeze;
    let due = instant(of, midnight);
    let Some((_, power_up)) = cut_at(of, due) else {
        return Some(Kept { source, stamp: Some(midnight), taken: due, quality: Quality::Good });
    };
    let shown = ZONE.to_datetime(power_up + of.meter.settings().clock_offset);
    match of.memory().refreeze {
        Refreeze::Each => {
            Some(Kept { source, stamp: Some(midnight), taken: power_up, quality: Quality::Good })
        }
        // Once, with the stamp of the power-up: it is of that day alone.
        Refreeze::Once if shown.date() == midnight.date() => {
            let stamp = shown.round(
                jiff::civil::DateTimeRound::new().smallest(jiff::Unit::Minute).mode(jiff::RoundMode::Trunc),
            );
            Some(Kept { source, stamp: stamp.ok(), taken: power_up, quality: Quality::ClockOff })
        }
        Refreeze::Once | Refreeze::None => None,
    }
}

fn hourly(of: &OnBus, hour: DateTime) -> Option<Kept> {
    let due = instant(of, hour);
    let freezes = !of.is_of_1997() && of.memory().hourly_freeze;
    // Meters that have others are not asked for these.
    let alone = of.memory().daily_freeze.is_none();
    (freezes && alone && cut_at(of, due).is_none()).then_some(Kept {
        source: Source::HourlyFreeze,
        stamp: Some(hour),
        taken: due,
        quality: Quality::Good,
    })
}

fn recorded(of: &OnBus, hour: DateTime) -> Option<Kept> {
    let due = instant(of, hour);
    let records = !of.is_of_1997() && of.memory().load_records.0[3].is_some();
    (records && cut_at(of, due).is_none()).then_some(Kept {
        source: Source::LoadRecord,
        stamp: Some(hour),
        taken: due,
        quality: Quality::Good,
    })
}

fn settled(of: &OnBus, first: DateTime) -> Kept {
    Kept { source: Source::Settlement, stamp: None, taken: instant(of, first), quality: Quality::Good }
}

/// The digits of a register at an instant.
pub(crate) fn digits(of: &OnBus, register: &str, at: Timestamp) -> Option<String> {
    let di = match register {
        "active_energy_import" => 0x0001_0000,
        "active_energy_export" => 0x0002_0000,
        "reactive_energy_q1" => 0x0005_0000,
        _ => return None,
    };
    of.meter.value(Di::new(di), at).map(|value| value.to_string())
}

/// Whether what a source keeps has a register.
pub(crate) fn has(source: Source, register: &str) -> bool {
    source != Source::HourlyFreeze || register != "reactive_energy_q1"
}

/// How late present registers may stand in for a freeze.
pub(crate) const STANDS_IN: SignedDuration = SignedDuration::from_mins(15);
