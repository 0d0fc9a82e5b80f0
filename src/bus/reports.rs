//! Which active reports (主动上报) are news. Pure.
//!
//! A meter may give its report in place of every first answer until its status word is reset, which needs a write,
//! and this reader writes nothing.

use super::renumber::renumbered;
use std::collections::BTreeMap;

/// The last report of each meter, by its index in the plan.
#[derive(Debug, Default)]
pub struct Reports {
    last: BTreeMap<usize, Last>,
}

#[derive(Debug)]
struct Last {
    octets: Vec<u8>,
    in_this_round: bool,
}

impl Reports {
    /// Meters have other indices now; what has none is forgotten.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize>) {
        renumbered(&mut self.last, |meter| to(*meter));
    }

    /// Takes a report; true if it is not what the meter already reports.
    pub fn take(&mut self, meter: usize, octets: &[u8]) -> bool {
        let now = Last { octets: octets.to_vec(), in_this_round: true };
        self.last.insert(meter, now).is_none_or(|before| before.octets != octets)
    }

    /// A round in which the meter answered is over. If it reported nothing in it, its next report is news, whatever
    /// it says.
    pub fn round_over(&mut self, meter: usize) {
        if let Some(last) = self.last.get_mut(&meter)
            && !std::mem::take(&mut last.in_this_round)
        {
            self.last.remove(&meter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_meter_keeps_reporting_is_news_once_and_again_after_a_round_without_it() {
        let mut reports = Reports::default();
        assert!(reports.take(1, &[5]));
        assert!(!reports.take(1, &[5]));
        assert!(reports.take(2, &[5]), "another meter's");
        reports.round_over(1);
        assert!(!reports.take(1, &[5]), "in the next round too");
        assert!(reports.take(1, &[7]), "another report");
        reports.round_over(1);
        reports.round_over(1);
        assert!(reports.take(1, &[7]), "a round has passed without it");
        assert!(!reports.take(2, &[5]), "whose round is not over");
    }
}
