//! When meters settle (结算日: 04000B01 to 03, in 1997 C117), as they say it themselves. Pure.

use super::renumber::renumbered;
use crate::config;
use dlt645::Edition;
use dlt645::format::Recurring;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The last day that every month has; a later one is not said to come.
const LAST: i8 = 28;
/// How a register says that it is not used.
const UNUSED: &str = "9999";

/// What a meter's registers of settlement days show, from the first on; its text is that of their displays: DDhh of each,
/// `0100 1509 9999`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Days(Vec<Option<(i8, i8)>>);

impl Days {
    /// How many there are.
    pub const fn count(edition: Edition) -> usize {
        match edition {
            Edition::E2007 => 3,
            Edition::E1997 => 1,
        }
    }

    /// How many have been heard.
    pub const fn heard(&self) -> usize {
        self.0.len()
    }

    /// Takes the next register; `None` for one that is not used. False where nobody knows what it means: then it is not
    /// taken.
    pub fn push(&mut self, set: Option<Recurring>) -> bool {
        let Some(Recurring { month: None, day, time: Some(time) }) = set else {
            if set.is_none() {
                self.0.push(None);
            }
            return set.is_none();
        };
        let (Ok(day), Ok(hour)) = (i8::try_from(day), i8::try_from(time.hour)) else { return false };
        let is_sound = is_sound(day, hour);
        if is_sound {
            self.0.push(Some((day, hour)));
        }
        is_sound
    }

    /// Day of the month and hour of each settlement.
    fn all(&self) -> impl Iterator<Item = (i8, i8)> + '_ {
        self.0.iter().copied().flatten()
    }
}

fn is_sound(day: i8, hour: i8) -> bool {
    (1..=LAST).contains(&day) && (0..24).contains(&hour)
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, day) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { " " };
            match day {
                Some((day, hour)) => write!(f, "{gap}{day:02}{hour:02}")?,
                None => write!(f, "{gap}{UNUSED}")?,
            }
        }
        Ok(())
    }
}

/// A text that is no [`Days`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("settlement days are kept as DDhh of each register: 0100 1509 9999")]
pub struct BadDays;

impl FromStr for Days {
    type Err = BadDays;

    fn from_str(text: &str) -> Result<Self, BadDays> {
        let one = |text: &str| {
            if text == UNUSED {
                return Ok(None);
            }
            let (day, hour) = text.split_at_checked(2).ok_or(BadDays)?;
            let (day, hour) = (day.parse().map_err(|_| BadDays)?, hour.parse().map_err(|_| BadDays)?);
            if is_sound(day, hour) { Ok(Some((day, hour))) } else { Err(BadDays) }
        };
        text.split(' ').map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// The settlement days of the meters of one bus.
#[derive(Debug, Default)]
pub struct Settling {
    meters: BTreeMap<usize, Days>,
}

impl Settling {
    /// Takes over what an earlier run learned.
    pub fn recall(&mut self, meter: usize, days: Days) {
        self.meters.insert(meter, days);
    }

    /// Whether a meter's days are known.
    pub fn is_known(&self, meter: usize) -> bool {
        self.meters.contains_key(&meter)
    }

    /// Takes what a visit heard, be it a part of the registers. What is to be kept anew: the days, or that they are not
    /// known any more since the meter was set otherwise.
    pub fn take(&mut self, meter: usize, edition: Edition, heard: Days) -> Option<Option<Days>> {
        let known = self.meters.get(&meter);
        if known.is_some_and(|known| known.0.starts_with(&heard.0)) {
            return None;
        }
        if heard.heard() == Days::count(edition) {
            self.meters.insert(meter, heard.clone());
            return Some(Some(heard));
        }
        self.meters.remove(&meter).map(|_| None)
    }

    /// When any of these meters settles; not known where it is not known of one.
    pub fn of_all(&self, meters: impl IntoIterator<Item = usize>) -> config::Settlements {
        let mut all = Vec::new();
        for meter in meters {
            let Some(days) = self.meters.get(&meter) else { return config::Settlements::Unknown };
            all.extend(days.all());
        }
        all.sort_unstable();
        all.dedup();
        config::Settlements::Known(all)
    }

    /// Meters have other indices now; what has none is forgotten.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize>) {
        renumbered(&mut self.meters, |meter| to(*meter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settlements;
    use dlt645::format::Time;

    fn days(text: &str) -> Days {
        text.parse().unwrap()
    }

    #[test]
    fn settlement_days_read_back_as_they_were_kept() {
        for text in ["0100 9999 9999", "0100", "0500 1509 2823"] {
            assert_eq!(days(text).to_string(), text);
        }
        for text in ["", "01", "0124", "2900", "0000", "01:00", "é1"] {
            assert_eq!(text.parse::<Days>(), Err(BadDays), "{text}");
        }
    }

    #[test]
    fn a_day_that_not_every_month_has_is_not_known() {
        let set =
            |day, hour| Recurring { month: None, day, time: Some(Time { hour, minute: 0, second: None }) };
        let mut days = Days::default();
        assert!(days.push(Some(set(28, 23))) && days.push(None) && !days.push(Some(set(29, 0))));
        assert!(!days.push(Some(Recurring { time: None, ..set(1, 0) })));
        assert_eq!(days.to_string(), "2823 9999");
    }

    #[test]
    fn settlements_of_a_line_are_known_where_those_of_all_its_meters_are() {
        let mut settling = Settling::default();
        let whole = days("0100 1509 9999");
        assert_eq!(settling.take(0, Edition::E2007, whole.clone()), Some(Some(whole.clone())));
        assert_eq!(settling.take(0, Edition::E2007, whole), None, "it is no news");
        assert_eq!(settling.of_all([0]), Settlements::Known(vec![(1, 0), (15, 9)]));
        assert_eq!(settling.of_all([0, 1]), Settlements::Unknown);
        settling.take(1, Edition::E1997, days("0100"));
        assert_eq!(settling.of_all([0, 1]), Settlements::Known(vec![(1, 0), (15, 9)]));
        assert_eq!(settling.of_all([]), Settlements::Known(Vec::new()));
    }

    #[test]
    fn days_that_a_part_of_the_registers_contradicts_are_not_known_any_more() {
        let mut settling = Settling::default();
        settling.recall(0, days("0100 9999 9999"));
        assert_eq!(settling.take(0, Edition::E2007, Days::default()), None, "nothing was heard");
        assert_eq!(settling.take(0, Edition::E2007, days("0100 9999")), None);
        assert_eq!(settling.take(0, Edition::E2007, days("0500")), Some(None));
        assert!(!settling.is_known(0));
        assert_eq!(settling.take(0, Edition::E2007, days("0500")), None, "of which nothing was known");
    }
}
