//! When a virtual meter has power: a scenario's power cuts, in seconds of the meter's own clock.

use super::load::Since;

/// Without power from here to there; the second at which it comes back has power.
pub(super) type Cut = (Since, Since);

/// Power cuts that do not overlap, the first first.
#[derive(Clone, Debug, Default)]
pub(super) struct Supply {
    cuts: Vec<Cut>,
}

impl Supply {
    /// Takes cuts in any order; those that are over before the meter was installed are none of its own.
    pub(super) fn new(mut cuts: Vec<Cut>) -> Self {
        cuts.retain(|(from, to)| from < to);
        cuts.sort_unstable();
        Self { cuts }
    }

    pub(super) fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// The cut that an instant is in.
    pub(super) fn cut_at(&self, at: Since) -> Option<Cut> {
        let begun = self.cuts.partition_point(|(from, _)| *from <= at);
        self.cuts.get(begun.checked_sub(1)?).copied().filter(|(_, to)| at < *to)
    }

    /// Cuts that have begun by `at`, the last first.
    pub(super) fn begun_by(&self, at: Since) -> impl Iterator<Item = Cut> + '_ {
        self.cuts.iter().rev().copied().skip_while(move |(from, _)| *from > at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_gone_from_the_first_second_of_a_cut_and_back_at_its_end() {
        let supply = Supply::new(vec![(300, 400), (100, 200), (0, 0)]);
        let dark: Vec<_> = [99, 100, 199, 200, 300, 399, 400].map(|at| supply.cut_at(at).is_some()).to_vec();
        assert_eq!(dark, [false, true, true, false, true, true, false]);
        assert_eq!(supply.begun_by(350).collect::<Vec<_>>(), [(300, 400), (100, 200)]);
        assert_eq!(supply.begun_by(299).collect::<Vec<_>>(), [(100, 200)]);
    }
}
