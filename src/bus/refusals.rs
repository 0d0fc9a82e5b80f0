//! What meters have been found not to have, so that it is not asked for in every round. Pure.
//!
//! Only a refusal with *no requested data* of a present value or a parameter is remembered: of history the
//! same word means that there is no such entry now. What is remembered is asked for again from time to
//! time, inside a hundredth of the air time, since meters are exchanged and reprogrammed.

use super::renumber::renumbered;
use super::share::Share;
use catalogue::Identifier;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Thousandths of the air time for asking again.
const AGAIN: u32 = 10;
/// Rounds come together at the slots, so what the time between them had is theirs.
const SAVED: Duration = Duration::from_secs(900);
/// A meter is not asked for the same thing again sooner.
const LATER: Duration = Duration::from_secs(3600);
/// Silences of a 1997 meter for one register, in rounds in which it answered others, until the register is taken not to
/// be there: one may be a lost frame.
const SILENCES: u8 = 2;

/// The memory of one bus.
#[derive(Debug)]
pub struct Refusals {
    refused: BTreeMap<usize, BTreeMap<Identifier, Duration>>,
    /// Silences of 1997 meters that are not enough yet.
    unheard: BTreeMap<(usize, Identifier), u8>,
    share: Share,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            refused: BTreeMap::new(),
            unheard: BTreeMap::new(),
            share: Share::per_mille(AGAIN).saved_for(SAVED),
        }
    }
}

impl Refusals {
    /// Takes over what an earlier run learned; it is asked for again after a while as if refused now.
    pub fn recall(&mut self, meter: usize, di: Identifier) {
        self.refused.entry(meter).or_default().insert(di, Duration::ZERO);
    }

    /// What is not to be asked for in a round of this meter that begins now. At most one thing that was
    /// refused long ago is left out of it, to be asked for again; `cost` is what one exchange takes.
    pub fn of(&mut self, meter: usize, now: Duration, cost: Duration) -> BTreeSet<Identifier> {
        if !self.refused.contains_key(&meter) {
            return BTreeSet::new();
        }
        let all: usize = self.refused.values().map(BTreeMap::len).sum();
        // So seldom that all of them find room in the share, and none waits for ever behind another.
        let turn = (cost * u32::try_from(all).unwrap_or(u32::MAX)).saturating_mul(1000 / AGAIN);
        let Some(known) = self.refused.get_mut(&meter) else { return BTreeSet::new() };
        let mut refused: BTreeSet<Identifier> = known.keys().copied().collect();
        let oldest = known.iter_mut().min_by_key(|(_, at)| **at);
        if let Some((&di, at)) = oldest.filter(|(_, at)| now.saturating_sub(**at) >= LATER.max(turn))
            && self.share.allows(now)
        {
            *at = now;
            refused.remove(&di);
            self.share.spend(now, cost);
        }
        refused
    }

    /// Meters have other indices now; what has none is forgotten.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize>) {
        renumbered(&mut self.refused, |meter| to(*meter));
        renumbered(&mut self.unheard, |(meter, di)| Some((to(*meter)?, *di)));
    }

    /// A meter refused this for good. True if that is new.
    pub fn refused(&mut self, meter: usize, di: Identifier, now: Duration) -> bool {
        self.refused.entry(meter).or_default().insert(di, now).is_none()
    }

    /// A 1997 meter was silent for this in a round in which it answered. True if that is enough to take it
    /// for not there, and new.
    pub fn silent(&mut self, meter: usize, di: Identifier, now: Duration) -> bool {
        let silences = self.unheard.entry((meter, di)).or_default();
        *silences += 1;
        if *silences < SILENCES {
            return false;
        }
        self.unheard.remove(&(meter, di));
        self.refused(meter, di, now)
    }

    /// A meter answered this. True if it had been taken for not there.
    pub fn answered(&mut self, meter: usize, di: Identifier) -> bool {
        self.unheard.remove(&(meter, di));
        self.refused.get_mut(&meter).is_some_and(|known| known.remove(&di).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt645::Di;

    const COST: Duration = Duration::from_millis(300);

    fn di(text: &str) -> Identifier {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_refused_is_asked_for_again_inside_a_hundredth_of_the_air_time() {
        let mut refusals = Refusals::default();
        for meter in 0..32 {
            for n in 0..20u32 {
                assert!(refusals.refused(meter, Di::new(0x0203_0000 + n).into(), Duration::ZERO));
            }
        }
        let (mut asked, mut now) = (BTreeMap::<(usize, Identifier), u32>::new(), Duration::ZERO);
        let day = Duration::from_secs(86_400);
        while now < day {
            for meter in 0..32 {
                let left_out = refusals.of(meter, now, COST);
                for n in 0..20u32 {
                    let di = Di::new(0x0203_0000 + n).into();
                    if !left_out.contains(&di) {
                        *asked.entry((meter, di)).or_default() += 1;
                        assert!(!refusals.refused(meter, di, now), "it is known");
                    }
                }
            }
            now += Duration::from_secs(60);
        }
        let spent = COST * asked.values().sum::<u32>();
        assert!(spent <= day / 100 + SAVED / 100 + COST, "{spent:?}");
        assert_eq!(asked.len(), 32 * 20, "each of them sometimes");
        assert!(asked.values().all(|&times| times <= 24), "and none every round");
    }

    #[test]
    fn what_answers_again_is_forgotten() {
        let mut refusals = Refusals::default();
        refusals.recall(1, di("0203FF00"));
        let now = Duration::from_secs(10);
        assert_eq!(refusals.of(1, now, COST).len(), 1);
        assert!(refusals.of(0, now, COST).is_empty());
        assert_eq!(refusals.of(1, LATER, COST).len(), 0, "asked again");
        assert!(refusals.answered(1, di("0203FF00")) && !refusals.answered(1, di("0203FF00")));
        assert!(refusals.of(1, now, COST).is_empty());
    }

    #[test]
    fn a_1997_meter_that_is_silent_for_a_register_twice_does_not_have_it() {
        let mut refusals = Refusals::default();
        let now = Duration::from_secs(1);
        assert!(!refusals.silent(0, di("B650"), now));
        assert!(!refusals.answered(0, di("B650")));
        assert!(!refusals.silent(0, di("B650"), now), "an answer between them counts");
        assert!(refusals.silent(0, di("B650"), now));
        assert_eq!(refusals.of(0, now, COST), BTreeSet::from([di("B650")]));
    }
}
