//! The last values of the energies of a bus's meters, by which the next ones are judged. Pure: times are arguments.
//!
//! They are kept over restarts, a meter at a time and seldom: an old value only makes the bound of a rise wider.

use super::renumber::renumbered;
use crate::reading::plausible::{Base, Last};
use catalogue::Identifier;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

/// A meter's values are kept anew after so long: four small rows a day.
const KEEP: Duration = Duration::from_secs(6 * 3600);

/// The memory of one bus: 32 octets a register.
#[derive(Debug, Default)]
pub struct Energies {
    meters: BTreeMap<usize, OfMeter>,
}

#[derive(Debug, Default)]
struct OfMeter {
    last: Vec<Entry>,
    /// When they were last handed out to be kept; none where something of them never was.
    kept: Option<Duration>,
    /// Whether something is new since.
    is_news: bool,
}

#[derive(Debug)]
struct Entry {
    di: Identifier,
    digits: i64,
    at_ms: i64,
    /// Seconds since the clock's origin and one more, where it was taken in this run.
    heard: Option<NonZeroU32>,
}

impl Energies {
    /// Takes over what an earlier run kept.
    pub fn recall(&mut self, meter: usize, last: &[(Identifier, Last)]) {
        let of = self.meters.entry(meter).or_default();
        last.iter().for_each(|(di, last)| of.put(*di, *last, None));
        of.kept = Some(Duration::ZERO);
    }

    /// What the next values of a meter are judged by.
    pub fn of(&self, meter: usize, now: Duration) -> Vec<(Identifier, Base)> {
        let age = |heard: NonZeroU32| now.saturating_sub(Duration::from_secs(u64::from(heard.get()) - 1));
        let base = |e: &Entry| (e.di, Base { last: e.last(), age: e.heard.map(age) });
        self.meters.get(&meter).map_or_else(Vec::new, |of| of.last.iter().map(base).collect())
    }

    /// Takes what a round brought. What is to be kept of the meter now, if anything: at once where there is a new
    /// register, or where what was kept is no base any more (`jumped`).
    pub fn take(
        &mut self,
        meter: usize,
        last: &[(Identifier, Last)],
        jumped: bool,
        now: Duration,
    ) -> Option<Vec<(Identifier, Last)>> {
        if last.is_empty() {
            return None;
        }
        let of = self.meters.entry(meter).or_default();
        let heard = u32::try_from(now.as_secs()).unwrap_or(u32::MAX - 1);
        last.iter().for_each(|(di, last)| of.put(*di, *last, Some(heard)));
        of.is_news = true;
        let due = jumped || of.kept.is_none_or(|kept| now.saturating_sub(kept) >= KEEP);
        due.then(|| of.keep(now))
    }

    /// All that is newer than what was kept, of these meters: their bus does not read them any more.
    pub fn unkept(
        &mut self,
        now: Duration,
        ends: impl Fn(usize) -> bool,
    ) -> Vec<(usize, Vec<(Identifier, Last)>)> {
        let news = self.meters.iter_mut().filter(|(meter, of)| of.is_news && ends(**meter));
        news.map(|(meter, of)| (*meter, of.keep(now))).collect()
    }

    /// Meters have other indices now; what has none is forgotten.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize>) {
        renumbered(&mut self.meters, |meter| to(*meter));
    }
}

impl OfMeter {
    fn put(&mut self, di: Identifier, last: Last, heard: Option<u32>) {
        let heard = heard.and_then(|seconds| NonZeroU32::MIN.checked_add(seconds));
        let new = Entry { di, digits: last.digits, at_ms: last.at.as_millisecond(), heard };
        match self.last.iter_mut().find(|known| known.di == di) {
            Some(known) => *known = new,
            None => {
                self.last.reserve_exact(1);
                self.last.push(new);
                self.kept = None;
            }
        }
    }

    fn keep(&mut self, now: Duration) -> Vec<(Identifier, Last)> {
        self.kept = Some(now);
        self.is_news = false;
        self.last.iter().map(|entry| (entry.di, entry.last())).collect()
    }
}

impl Entry {
    fn last(&self) -> Last {
        Last { digits: self.digits, at: Timestamp::from_millisecond(self.at_ms).unwrap_or(Timestamp::MIN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt645::Di;

    const HOUR: u64 = 3600;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn last(digits: i64) -> Last {
        Last { digits, at: Timestamp::from_second(1_793_491_200).unwrap() }
    }

    #[test]
    fn what_is_known_of_a_meter_is_kept_at_once_then_seldom_and_when_the_daemon_ends() {
        let (mut energies, di, other) =
            (Energies::default(), Di::new(0x0001_0000).into(), Di::new(0x0002_0000).into());
        assert_eq!(energies.take(0, &[(di, last(1))], false, s(0)), Some(vec![(di, last(1))]));
        let minutes = (1..360).filter(|n| energies.take(0, &[(di, last(2))], false, s(n * 60)).is_some());
        assert_eq!(minutes.count(), 0, "nothing for six hours");
        assert_eq!(energies.take(0, &[(di, last(3))], false, s(6 * HOUR)), Some(vec![(di, last(3))]));
        let all = Some(vec![(di, last(3)), (other, last(7))]);
        assert_eq!(energies.take(0, &[(other, last(7))], false, s(6 * HOUR)), all, "a new register");
        assert!(energies.take(0, &[(di, last(0))], true, s(6 * HOUR + 1)).is_some(), "a new base");
        assert_eq!(energies.unkept(s(7 * HOUR), |_| true), []);
        assert_eq!(energies.take(0, &[(di, last(4))], false, s(7 * HOUR)), None);
        assert_eq!(energies.unkept(s(7 * HOUR), |meter| meter != 0), []);
        assert_eq!(energies.unkept(s(7 * HOUR), |_| true), [(0, vec![(di, last(4)), (other, last(7))])]);
        assert_eq!(energies.take(0, &[], true, s(99 * HOUR)), None, "nothing of it was read");
    }

    #[test]
    fn a_value_of_an_earlier_run_has_no_age_but_by_the_wall_clock() {
        let (mut energies, di) = (Energies::default(), Di::new(0x0001_0000).into());
        energies.recall(1, &[(di, last(5))]);
        assert_eq!(energies.of(1, s(9)), [(di, Base { last: last(5), age: None })]);
        energies.take(1, &[(di, last(6))], false, s(10));
        assert_eq!(energies.of(1, s(70)), [(di, Base { last: last(6), age: Some(s(60)) })]);
        assert_eq!(energies.of(2, s(70)), []);
    }

    #[test]
    fn a_register_takes_32_octets() {
        assert!(size_of::<Entry>() <= 32, "{}", size_of::<Entry>());
    }
}
