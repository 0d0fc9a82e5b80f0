//! Which meters of a line answer, and when one that does not is asked again. Pure: times are arguments.
//!
//! A meter that falls silent is backed off, never the line: its jobs fail at once, and it is probed with one
//! short question inside a bounded share of the air time until it answers. A whole line that falls silent
//! is one outage, not as many dead meters as hang on it.

use super::change::Change;
use super::renumber::renumbered;
use super::share::Share;
use crate::reading::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Silent exchanges in a row that put a meter offline.
const SILENCES: u32 = 3;
/// So many meters silent in a row may be a silent line.
const SEVERAL: usize = 2;
/// Exchanges in a row without a sound answer that do, whatever came.
const MISSES: u32 = 10;
/// Sound answers in a row that bring it online again.
const ANSWERS: u32 = 2;
/// From a silence to the next probe: it may have been a passing fault.
const SOON: Duration = Duration::from_secs(10);
/// Between two probes of an offline meter, where the share allows.
const USUAL: Duration = Duration::from_secs(40);
/// Between two probes at most, whatever the share says.
const LONGEST: Duration = Duration::from_secs(300);
/// Between two probes of a line that is silent as a whole: nothing else is to be done on it.
const OUTAGE: Duration = Duration::from_secs(5);
/// Thousandths of the air time that probes may take.
const PROBES: u32 = 40;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing was heard of it in this run.
    Unknown,
    Online,
    Offline,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    state: State,
    /// Exchanges in a row without an octet, and without a sound answer.
    silences: u32,
    misses: u32,
    /// The first of these misses, or the first of its sound answers.
    since: Duration,
    /// Sound answers in a row.
    answers: u32,
    /// When it was last asked.
    asked: Duration,
    reason: Reason,
}

impl Standing {
    const NEW: Self = Self {
        state: State::Unknown,
        silences: 0,
        misses: 0,
        since: Duration::ZERO,
        answers: 0,
        asked: Duration::ZERO,
        reason: Reason::Silent,
    };

    /// Takes the meter to be gone if it was missed often enough; it is said once.
    fn gone(&mut self, meter: usize) -> Option<Change> {
        let gone = self.silences >= SILENCES || self.misses >= MISSES;
        if !gone || self.state == State::Offline {
            return None;
        }
        self.state = State::Offline;
        Some(Change::Offline { meter, reason: self.reason, since: self.since })
    }

    fn is_well(&self) -> bool {
        self.misses == 0 && self.state != State::Offline
    }

    /// When it is worth a probe; `None` for one that answers.
    fn probe_from(&self) -> Option<Duration> {
        match (self.state, self.silences) {
            (State::Offline, _) => Some(self.asked + USUAL),
            (_, 1..) => Some(self.asked + SOON),
            (_, 0) => None,
        }
    }
}

/// The meters of one line.
#[derive(Debug)]
pub struct Standings {
    meters: BTreeMap<usize, Standing>,
    /// Meters that were missed since anybody last answered.
    unheard: BTreeSet<usize>,
    unheard_since: Duration,
    outage: bool,
    /// None was missed since its last answer, and none is gone: the usual case, in which nobody need be looked at.
    all_well: bool,
    share: Share,
}

impl Standings {
    /// Meters of which nothing is known.
    pub fn new(meters: impl IntoIterator<Item = usize>) -> Self {
        Self {
            meters: meters.into_iter().map(|meter| (meter, Standing::NEW)).collect(),
            unheard: BTreeSet::new(),
            unheard_since: Duration::ZERO,
            outage: false,
            all_well: true,
            share: Share::per_mille(PROBES),
        }
    }

    /// Meters have other indices now; what has none is forgotten. Of those that `arrived`, by their new indices, nothing
    /// is known.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize>, arrived: &[usize]) {
        renumbered(&mut self.meters, |meter| to(*meter));
        self.meters.extend(arrived.iter().map(|meter| (*meter, Standing::NEW)));
        self.unheard = std::mem::take(&mut self.unheard).into_iter().filter_map(to).collect();
    }

    /// Whether the meter's jobs are worth the line's time.
    pub fn is_asked(&self, meter: usize) -> bool {
        !self.outage && self.meters.get(&meter).is_none_or(|standing| standing.state != State::Offline)
    }

    /// Whether the meter was missed since its last answer.
    pub fn is_missed(&self, meter: usize) -> bool {
        self.outage || self.meters.get(&meter).is_some_and(|standing| standing.misses > 0)
    }

    /// Since when nobody on the line answers.
    pub fn outage(&self) -> Option<Duration> {
        self.outage.then_some(self.unheard_since)
    }

    /// Since when an offline meter was missed.
    pub fn missed_since(&self, meter: usize) -> Option<Duration> {
        self.meters.get(&meter).filter(|s| s.state == State::Offline).map(|s| s.since)
    }

    /// A sound frame of the meter came: a value or a refusal.
    pub fn answered(&mut self, meter: usize, now: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        self.unheard.clear();
        if std::mem::take(&mut self.outage) {
            changes.push(Change::LineBack { since: now });
            // What was missed while nobody could be heard says nothing of a meter.
            for standing in self.meters.values_mut().filter(|s| s.state != State::Offline) {
                (standing.silences, standing.misses) = (0, 0);
            }
        }
        // The line is alive: whoever was silent meanwhile is so by itself.
        if !self.all_well {
            for (&silent, standing) in self.meters.iter_mut().filter(|(other, _)| **other != meter) {
                changes.extend(standing.gone(silent));
            }
        }
        let Some(standing) = self.meters.get_mut(&meter) else { return changes };
        if standing.answers == 0 || standing.misses > 0 {
            standing.since = now;
            standing.answers = 0;
        }
        standing.answers = standing.answers.saturating_add(1);
        (standing.silences, standing.misses, standing.asked) = (0, 0, now);
        let enough = match standing.state {
            State::Unknown => true,
            State::Offline => standing.answers >= ANSWERS,
            State::Online => false,
        };
        if enough {
            standing.state = State::Online;
            changes.push(Change::Online { meter, since: standing.since });
        }
        self.all_well = self.all_well || self.meters.values().all(Standing::is_well);
        changes
    }

    /// An exchange with the meter ended without a sound answer, for this reason.
    pub fn missed(&mut self, meter: usize, reason: Reason, now: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        let Some(standing) = self.meters.get_mut(&meter) else { return changes };
        self.all_well = false;
        if standing.misses == 0 {
            standing.since = now;
        }
        standing.misses = standing.misses.saturating_add(1);
        standing.silences = if reason == Reason::Silent { standing.silences.saturating_add(1) } else { 0 };
        (standing.answers, standing.asked, standing.reason) = (0, now, reason);
        if reason != Reason::Silent {
            // Something is alive on the line.
            self.unheard.clear();
        } else if standing.state != State::Offline {
            if self.unheard.is_empty() {
                self.unheard_since = now;
            }
            self.unheard.insert(meter);
        }
        if self.unheard.len() < SEVERAL {
            changes.extend(standing.gone(meter));
        } else if !self.outage && self.is_dead() {
            self.outage = true;
            changes.push(Change::LineSilent { since: self.unheard_since });
        }
        changes
    }

    /// What a probe or a silence cost the line counts into the share.
    pub fn spent(&mut self, cost: Duration, now: Duration) {
        self.share.spend(now, cost);
    }

    /// The meter that is to be probed now, if any.
    pub fn probe(&self, now: Duration) -> Option<usize> {
        self.next_probe().filter(|(at, _)| *at <= now).map(|(_, meter)| meter)
    }

    /// When the next probe is due; `None` while all answer.
    pub fn probe_due(&self) -> Option<Duration> {
        self.next_probe().map(|(at, _)| at)
    }

    /// Before several silent meters are taken to be gone, the others are asked: it may be the line.
    fn witness(&self) -> Option<usize> {
        let unasked =
            |(meter, s): &(&usize, &Standing)| s.state != State::Offline && !self.unheard.contains(meter);
        let several = self.unheard.len() >= SEVERAL && !self.outage;
        several.then(|| self.meters.iter().find(unasked).map(|(meter, _)| *meter)).flatten()
    }

    fn next_probe(&self) -> Option<(Duration, usize)> {
        if self.all_well {
            return None;
        }
        if let Some(witness) = self.witness() {
            return Some((Duration::ZERO, witness));
        }
        if self.outage {
            let last = self.meters.values().map(|s| s.asked).max()?;
            let (&meter, _) = self.meters.iter().min_by_key(|(meter, s)| (s.asked, **meter))?;
            return Some((last + OUTAGE, meter));
        }
        let due = |(meter, standing): (&usize, &Standing)| {
            // The first answer of one that was gone is worth a second question at once.
            if standing.state == State::Offline && standing.answers > 0 {
                return Some((standing.asked, *meter));
            }
            let from = standing.probe_from()?;
            Some((from.max(self.share.free_at()).min(standing.asked + LONGEST), *meter))
        };
        self.meters.iter().filter_map(due).min()
    }

    /// Whether every meter that could be heard has been missed since anybody last answered. One alone is no
    /// line: it may be the meter.
    fn is_dead(&self) -> bool {
        let missed =
            |(meter, s): (&usize, &Standing)| s.state == State::Offline || self.unheard.contains(meter);
        self.unheard.len() >= SEVERAL && self.meters.iter().all(missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    const COST: Duration = Duration::from_millis(600);

    fn line(meters: usize) -> Standings {
        let mut line = Standings::new(0..meters);
        for meter in 0..meters {
            assert_eq!(line.answered(meter, s(1)), [Change::Online { meter, since: s(1) }]);
        }
        line
    }

    /// Probes until `end`, nobody answers; how many probes there were of each meter.
    fn probes(line: &mut Standings, from: Duration, end: Duration) -> BTreeMap<usize, Vec<Duration>> {
        let mut probed: BTreeMap<usize, Vec<Duration>> = BTreeMap::new();
        let mut now = from;
        while now < end {
            if let Some(meter) = line.probe(now) {
                probed.entry(meter).or_default().push(now);
                line.spent(COST, now);
                line.missed(meter, Reason::Silent, now);
                now += COST;
            } else {
                now += Duration::from_millis(100);
            }
        }
        probed
    }

    #[test]
    fn a_meter_is_offline_after_three_silences_and_online_after_two_answers() {
        let mut line = line(3);
        assert_eq!(line.missed(1, Reason::Silent, s(10)), []);
        assert!(line.is_asked(1), "a passing fault costs it nothing");
        assert_eq!(line.missed(1, Reason::Silent, s(20)), []);
        let offline = Change::Offline { meter: 1, reason: Reason::Silent, since: s(10) };
        assert_eq!(line.missed(1, Reason::Silent, s(30)), [offline]);
        assert!(!line.is_asked(1) && line.is_asked(0));
        assert_eq!(line.missed_since(1), Some(s(10)));
        assert_eq!(line.answered(1, s(90)), []);
        assert_eq!(line.missed(1, Reason::Silent, s(91)), []);
        assert_eq!(line.answered(1, s(100)), [], "one answer of two");
        assert_eq!(line.answered(1, s(101)), [Change::Online { meter: 1, since: s(100) }]);
        assert!(line.is_asked(1));
    }

    #[test]
    fn damaged_answers_are_no_silence_but_many_of_them_are_no_meter() {
        let mut line = line(2);
        for n in 0..9 {
            assert_eq!(line.missed(0, Reason::Damaged, s(n)), []);
            assert!(line.is_asked(0));
        }
        let offline = Change::Offline { meter: 0, reason: Reason::Damaged, since: s(0) };
        assert_eq!(line.missed(0, Reason::Damaged, s(9)), [offline]);
    }

    #[test]
    fn silent_meters_are_probed_within_60_s_inside_their_share_of_the_line() {
        let mut line = line(32);
        for round in 0..3 {
            for meter in [3, 17, 30] {
                line.missed(meter, Reason::Silent, s(10 + round));
                line.answered(0, s(10 + round));
            }
        }
        let probed = probes(&mut line, s(20), s(620));
        assert_eq!(probed.keys().copied().collect::<Vec<_>>(), [3, 17, 30]);
        for times in probed.values() {
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= s(50)), "{times:?}");
        }
        let spent = COST * probed.values().map(|times| times.len() as u32).sum::<u32>();
        assert!(spent <= s(600) * PROBES / 1000 + COST, "{spent:?}");
    }

    #[test]
    fn however_many_are_silent_each_is_probed_at_least_every_5_min() {
        let mut line = line(64);
        for _ in 0..3 {
            for meter in 1..64 {
                line.missed(meter, Reason::Silent, s(10));
                line.answered(0, s(10));
            }
        }
        let probed = probes(&mut line, s(20), s(3620));
        assert_eq!(probed.len(), 63);
        // The last of those that come due at once waits for the others' probes.
        let slack = COST * 63;
        for times in probed.values() {
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= LONGEST + slack), "{times:?}");
        }
    }

    #[test]
    fn a_whole_line_that_falls_silent_is_one_event_and_not_32() {
        let mut line = line(32);
        let mut changes = Vec::new();
        for round in 0..5 {
            for meter in 0..32 {
                if line.is_asked(meter) {
                    changes.extend(line.missed(meter, Reason::Silent, s(100 + round * 60 + meter as u64)));
                }
            }
        }
        assert_eq!(changes, [Change::LineSilent { since: s(100) }]);
        assert_eq!(line.outage(), Some(s(100)));
        let probed = probes(&mut line, s(200), s(500));
        assert_eq!(probed.len(), 32, "in turn, since any of them may be the first to be back");
        assert_eq!(line.answered(7, s(510)), [Change::LineBack { since: s(510) }]);
        assert!((0..32).all(|meter| line.is_asked(meter)), "all are asked again");
        assert_eq!(line.missed(8, Reason::Silent, s(511)), [], "and none is blamed for the outage");
    }

    #[test]
    fn one_meter_alone_is_no_line_and_noise_is_no_silence() {
        let mut alone = line(1);
        let changes: Vec<_> = (0..3).flat_map(|n| alone.missed(0, Reason::Silent, s(n))).collect();
        assert_eq!(changes, [Change::Offline { meter: 0, reason: Reason::Silent, since: s(0) }]);
        let mut noisy = line(2);
        noisy.missed(0, Reason::Silent, s(1));
        noisy.missed(1, Reason::Damaged, s(2));
        assert_eq!(noisy.missed(0, Reason::Silent, s(3)), []);
        assert_eq!(noisy.outage(), None);
    }
}
