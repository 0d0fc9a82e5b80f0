//! Plans that were made before. The meters of a bus mostly want the same and refuse nothing.

use super::{Ask, Costs, plan};
use catalogue::{Identifier, Register};
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
    refused: BTreeSet<Identifier>,
    costs: Costs,
    plan: Arc<[Ask]>,
}

impl Plans {
    /// What [`plan`] gives, made anew only if it is not kept.
    pub fn of(&mut self, wanted: &[Register], refused: &BTreeSet<Identifier>, costs: &Costs) -> Arc<[Ask]> {
        let same = |kept: &Kept| *kept.wanted == *wanted && kept.costs == *costs && kept.refused == *refused;
        let known = self.kept.iter().position(same).and_then(|n| self.kept.remove(n));
        let kept = known.unwrap_or_else(|| self.make(wanted, refused, costs));
        let plan = Arc::clone(&kept.plan);
        self.kept.push_front(kept);
        plan
    }

    fn make(&mut self, wanted: &[Register], refused: &BTreeSet<Identifier>, costs: &Costs) -> Kept {
        // The pause is the bus's: for an earlier one nobody asks again, but after a long while. That of a Modbus meter is
        // its own, and meters of another model can need a longer one.
        let is_learned = |wanted: &[Register]| wanted.first().is_some_and(|first| first.di().is_some());
        let of_bus = is_learned(wanted);
        let model = |wanted: &[Register]| wanted.first().map(|first| std::ptr::from_ref(first.table()));
        let is_of_use = |kept: &Kept| {
            !is_learned(&kept.wanted)
                || kept.costs.turnaround == costs.turnaround
                || model(&kept.wanted) != model(wanted)
        };
        self.kept.retain(|kept| !of_bus || is_of_use(kept));
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
    fn shown(asks: &[Ask]) -> Vec<(Identifier, bool, Vec<Register>)> {
        let is_block = |ask: &Ask| matches!(ask.subject, Subject::Block(_));
        asks.iter().map(|ask| (ask.subject.id(), is_block(ask), ask.wanted.to_vec())).collect()
    }

    fn registers(count: usize) -> Vec<Register> {
        let texts =
            ["active_energy_import", "active_energy_import_t*", "voltage_l*", "active_power*", "clock_time"];
        let all = texts.iter().flat_map(|text| Catalogue::dlt645_2007().find(text, 4).unwrap());
        all.take(count).collect()
    }

    /// What a meter is asked for, what of it it refused, the rate of its line and the pause, in ms.
    fn question() -> impl Strategy<Value = (usize, BTreeSet<Identifier>, u32, u64)> {
        let blocks: BTreeSet<Identifier> =
            registers(13).iter().flat_map(Register::blocks).map(|block| block.di().into()).collect();
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
    fn a_pause_that_is_learned_anew_drops_no_plan_of_a_modbus_meter() {
        let profile = catalogue::Profile::named("eastron-sdm630").unwrap();
        let wanted = profile.catalogue().find("voltage_l*", 4).unwrap();
        let modbus = Costs::of(Line::DEFAULT, catalogue::Standard::Modbus, profile.manner());
        let (mut plans, none) = (Plans::default(), BTreeSet::new());
        let first = plans.of(&wanted, &none, &modbus);
        for pause in [30, 24] {
            let costs = Costs { turnaround: Duration::from_millis(pause), ..Costs::usual(Line::DEFAULT) };
            plans.of(&registers(3), &none, &costs);
        }
        assert!(Arc::ptr_eq(&first, &plans.of(&wanted, &none, &modbus)));
        assert_eq!(plans.kept.len(), 2, "and the earlier pause of the bus is gone");
    }

    #[test]
    fn meters_that_want_the_same_share_one_plan() {
        let (mut plans, costs) = (Plans::default(), Costs::usual(Line::DEFAULT));
        let none = BTreeSet::new();
        let first = plans.of(&registers(5), &none, &costs);
        let refused = BTreeSet::from([first[0].subject.id()]);
        let unlucky = plans.of(&registers(5), &refused, &costs);
        assert!(Arc::ptr_eq(&first, &plans.of(&registers(5), &none, &costs)));
        assert!(Arc::ptr_eq(&unlucky, &plans.of(&registers(5), &refused, &costs)));
        assert!(!Arc::ptr_eq(&first, &unlucky));
    }
}
