//! Plans that were made before. The meters of a bus mostly want the same and refuse nothing.

use super::{Ask, Costs, plan};
use catalogue::Register;
use dlt645::Di;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// As many plans as a bus has tasks times kinds of meters, as a rule.
const KEPT: usize = 16;

/// The plans of one bus, the one used last first.
#[derive(Debug, Default)]
pub struct Plans {
    kept: VecDeque<Kept>,
}

/// A plan and all that it was made of.
#[derive(Debug)]
struct Kept {
    wanted: Box<[Register]>,
    refused: BTreeSet<Di>,
    costs: Costs,
    plan: Arc<[Ask]>,
}

impl Plans {
    /// What [`plan`] gives, made anew only if it is not kept.
    pub fn of(&mut self, wanted: &[Register], refused: &BTreeSet<Di>, costs: &Costs) -> Arc<[Ask]> {
        let same = |kept: &Kept| *kept.wanted == *wanted && kept.costs == *costs && kept.refused == *refused;
        let known = self.kept.iter().position(same).and_then(|n| self.kept.remove(n));
        let kept = known.unwrap_or_else(|| self.make(wanted, refused, costs));
        let plan = Arc::clone(&kept.plan);
        self.kept.push_front(kept);
        plan
    }

    fn make(&mut self, wanted: &[Register], refused: &BTreeSet<Di>, costs: &Costs) -> Kept {
        // The pause is the bus's: for an earlier one nobody asks again, but after a long while.
        self.kept.retain(|kept| kept.costs.turnaround == costs.turnaround);
        self.kept.truncate(KEPT - 1);
        let plan = plan(wanted, refused, costs).into();
        Kept { wanted: wanted.into(), refused: refused.clone(), costs: *costs, plan }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::{Line, Subject};
    use catalogue::Catalogue;
    use proptest::prelude::*;
    use std::time::Duration;

    /// What an exchange is, to be compared.
    fn shown(asks: &[Ask]) -> Vec<(Di, bool, Vec<Register>)> {
        let is_block = |ask: &Ask| matches!(ask.subject, Subject::Block(_));
        asks.iter().map(|ask| (ask.subject.di(), is_block(ask), ask.wanted.to_vec())).collect()
    }

    fn registers(count: usize) -> Vec<Register> {
        let texts =
            ["active_energy_import", "active_energy_import_t*", "voltage_l*", "active_power*", "clock_time"];
        let all = texts.iter().flat_map(|text| Catalogue::dlt645_2007().find(text, 4).unwrap());
        all.take(count).collect()
    }

    /// What a meter is asked for, what of it it refused, the rate of its line and the pause, in ms.
    fn question() -> impl Strategy<Value = (usize, BTreeSet<Di>, u32, u64)> {
        let blocks: BTreeSet<Di> =
            registers(13).iter().flat_map(Register::blocks).map(|block| block.di()).collect();
        let refused = proptest::collection::btree_set(
            proptest::sample::select(blocks.into_iter().collect::<Vec<_>>()),
            0..3,
        );
        (1..=13_usize, refused, proptest::sample::select(vec![1200, 2400, 9600]), 0..=120_u64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_kept_plan_is_the_one_that_would_be_made(
            questions in proptest::collection::vec(question(), 1..12),
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 1..24),
        ) {
            let mut plans = Plans::default();
            for n in order {
                let (count, refused, baud, pause) = n.get(&questions);
                let wanted = registers(*count);
                let line = Line { baud: *baud, ..Line::DEFAULT };
                let costs = Costs { turnaround: Duration::from_millis(*pause), ..Costs::usual(line) };
                let kept = plans.of(&wanted, refused, &costs);
                prop_assert_eq!(shown(&kept), shown(&plan(&wanted, refused, &costs)));
                prop_assert!(plans.kept.len() <= KEPT);
            }
        }
    }

    #[test]
    fn meters_that_want_the_same_share_one_plan() {
        let (mut plans, costs) = (Plans::default(), Costs::usual(Line::DEFAULT));
        let none = BTreeSet::new();
        let first = plans.of(&registers(5), &none, &costs);
        let refused = BTreeSet::from([first[0].subject.di()]);
        let unlucky = plans.of(&registers(5), &refused, &costs);
        assert!(Arc::ptr_eq(&first, &plans.of(&registers(5), &none, &costs)));
        assert!(Arc::ptr_eq(&unlucky, &plans.of(&registers(5), &refused, &costs)));
        assert!(!Arc::ptr_eq(&first, &unlucky));
    }
}
