//! From the configuration in force to the next one: what goes on, and under which index. Pure.
//!
//! Names are what lasts: a bus, a meter point or a task of the same name is the same one. Whoever holds indices of the
//! old plan asks here for those of the new one, and what has none is over.

use super::plan::{Meter, Plan};
use super::point::Point;
use std::collections::HashMap;
use std::sync::Arc;

/// Two configurations, one after the other.
#[derive(Clone, Debug)]
pub struct Shift {
    old: Arc<Plan>,
    new: Arc<Plan>,
    buses: Vec<BusFate>,
    /// By old index, for meters that stay on their bus.
    meters: Vec<Option<(usize, Same)>>,
    tasks: Vec<Option<usize>>,
    /// By the index of the new bus: its meters that were not there before, with other meters at old points.
    arrived: Vec<Vec<usize>>,
}

/// What becomes of a bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusFate {
    /// Its port and its settings are the same; it has this index now.
    GoesOn(usize),
    /// Its port or its settings are others; it has this index now.
    Changed(usize),
    /// It is in no file any more.
    Ends,
}

/// What of a meter point on the same bus is as it was; each with all before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Same {
    /// The point; another meter hangs there (换表).
    Point,
    /// The meter: what was learned of it holds.
    Meter,
    /// Everything that decides what is asked and what an answer means.
    All,
}

impl Shift {
    /// From one plan to the next.
    pub fn between(old: Arc<Plan>, new: Arc<Plan>) -> Self {
        let buses_by: HashMap<&str, usize> = by_name(new.buses.iter().map(|bus| bus.name.as_str()));
        let meters_by: HashMap<&str, usize> = by_name(new.meters.iter().map(|meter| meter.name.as_str()));
        let tasks_by: HashMap<&str, usize> = by_name(new.tasks.iter().map(|task| task.name.as_str()));
        let buses: Vec<BusFate> = old
            .buses
            .iter()
            .map(|bus| match buses_by.get(bus.name.as_str()) {
                Some(&to) if new.buses.get(to) == Some(bus) => BusFate::GoesOn(to),
                Some(&to) => BusFate::Changed(to),
                None => BusFate::Ends,
            })
            .collect();
        let meters: Vec<_> = old
            .meters
            .iter()
            .map(|meter| {
                let &to = meters_by.get(meter.name.as_str())?;
                let next = new.meters.get(to)?;
                let bus = buses.get(meter.bus).and_then(|fate| fate.index())?;
                (next.bus == bus).then(|| (to, same(meter, next)))
            })
            .collect();
        let tasks = old.tasks.iter().map(|task| tasks_by.get(task.name.as_str()).copied()).collect();
        let mut known = vec![false; new.meters.len()];
        for (to, _) in meters.iter().flatten().filter(|(_, same)| *same >= Same::Meter) {
            if let Some(known) = known.get_mut(*to) {
                *known = true;
            }
        }
        let mut arrived = vec![Vec::new(); new.buses.len()];
        for (index, meter) in new.meters.iter().enumerate().filter(|(index, _)| !known[*index]) {
            if let Some(of) = arrived.get_mut(meter.bus) {
                of.push(index);
            }
        }
        drop((buses_by, meters_by, tasks_by));
        Self { old, new, buses, meters, tasks, arrived }
    }

    /// The plan that was in force.
    pub const fn before(&self) -> &Arc<Plan> {
        &self.old
    }

    /// The plan that is in force now.
    pub const fn after(&self) -> &Arc<Plan> {
        &self.new
    }

    /// What becomes of a bus, by its old index.
    pub fn bus(&self, old: usize) -> BusFate {
        self.buses.get(old).copied().unwrap_or(BusFate::Ends)
    }

    /// The new index of a meter that stays on its bus, if so much of it is as it was.
    pub fn meter(&self, old: usize, at_least: Same) -> Option<usize> {
        let (to, same) = self.meters.get(old).copied().flatten()?;
        (same >= at_least).then_some(to)
    }

    /// The new index of a task.
    pub fn task(&self, old: usize) -> Option<usize> {
        self.tasks.get(old).copied().flatten()
    }

    /// The old index of a task whose kept slots go on: the same instants, and no more days back than before. What lies
    /// further back is known to the store alone.
    pub fn kept_before(&self, new: usize) -> Option<usize> {
        let (old, is_same) = self.task_before(new)?;
        let days = |plan: &Plan, task: usize| plan.tasks.get(task).map(|task| task.backfill);
        (is_same && days(&self.new, new) <= days(&self.old, old)).then_some(old)
    }

    /// The old index of a task, and whether its slots are at the same instants.
    pub fn task_before(&self, new: usize) -> Option<(usize, bool)> {
        let old = self.tasks.iter().position(|to| *to == Some(new))?;
        let is_same = self.old.gateway.zone == self.new.gateway.zone
            && self.old.tasks.get(old).map(|task| (&task.when, task.read))
                == self.new.tasks.get(new).map(|task| (&task.when, task.read));
        Some((old, is_same))
    }

    /// Meters of a bus, by its new index, of which it knows nothing yet, by their new indices.
    pub fn arrived(&self, bus: usize) -> &[usize] {
        self.arrived.get(bus).map_or(&[], Vec::as_slice)
    }
}

impl BusFate {
    /// The new index.
    pub const fn index(self) -> Option<usize> {
        match self {
            Self::GoesOn(to) | Self::Changed(to) => Some(to),
            Self::Ends => None,
        }
    }
}

fn by_name<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    names.enumerate().map(|(index, name)| (name, index)).collect()
}

fn same(before: &Meter, now: &Meter) -> Same {
    // Written out, so that a new field of a meter is thought of here.
    let Meter { name: _, bus: _, protocol, line, preamble, profile: _, wiring, transformers, point } = before;
    // What the archive says of the point beside is nothing to its bus, but that another meter hangs there, which can
    // have the same address.
    let exchanged = |point: &Point| point.exchanges.last().map(|last| (last.date, last.time));
    if *protocol != now.protocol
        || before.dialect() != now.dialect()
        || exchanged(point) != exchanged(&now.point)
    {
        Same::Point
    } else if (*line, *preamble, *wiring, *transformers)
        != (now.line, now.preamble, now.wiring, now.transformers)
    {
        Same::Meter
    } else {
        Same::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Trust;
    use crate::config::{
        Bus, Gateway, Mqtt, Name, PortAddress, PortSettings, Protocol, Read, Registers, Task, Wiring,
    };
    use crate::planner::Line;
    use crate::reading::Transformers;
    use dlt645::Edition;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn name(prefix: &str, number: u8) -> Name {
        Name::new(&format!("{prefix}{number}")).unwrap()
    }

    /// A meter as it is drawn: name, bus, address, whether it is wired.
    type Drawn = (u8, usize, u8, bool);

    fn plan(buses: &[(u8, bool)], meters: &[Drawn], tasks: &[(u8, u64, Vec<bool>)]) -> Plan {
        let buses: Vec<Bus> = buses
            .iter()
            .map(|(number, other)| {
                let port = PortAddress::Serial(format!("/dev/{number}{other}").into());
                let settings = PortSettings::usual(&port);
                Bus { name: name("b", *number), port, line: Line::DEFAULT, turnaround: None, settings }
            })
            .collect();
        let meters: Vec<Meter> = meters
            .iter()
            .map(|(number, bus, address, wired)| Meter {
                name: name("m", *number),
                bus: bus % buses.len(),
                protocol: Protocol::dlt645(Edition::E2007, format!("{address}").parse().unwrap()),
                line: Line::DEFAULT,
                preamble: 4,
                profile: None,
                wiring: wired.then_some(Wiring::P3W4),
                transformers: Transformers::default(),
                point: Point::default(),
            })
            .collect();
        let of = |chosen: &[bool]| {
            (0..meters.len()).filter(|n| chosen.get(*n).copied().unwrap_or(true)).collect::<Vec<_>>()
        };
        let tasks = tasks
            .iter()
            .map(|(number, every, chosen)| Task {
                name: name("t", *number),
                when: crate::config::When::Every(Duration::from_secs(*every)),
                read: Read::Live,
                priority: 5,
                window: None,
                backfill: 0,
                broadcast: None,
                registers: Registers::default(),
                meters: of(chosen),
            })
            .collect();
        Plan {
            gateway: Gateway {
                id: name("g", 1),
                zone: TimeZone::UTC,
                data_dir: "/d".into(),
                clock: Trust::Auto,
                clock_bound: Gateway::CLOCK_BOUND,
            },
            mqtt: Mqtt::at("h", 1),
            store: crate::config::Store::default(),
            commands: crate::config::Commands::default(),
            buses,
            meters,
            tasks,
            archive: String::new(),
        }
    }

    /// Different names in any order, some of few, with what `of` draws.
    fn named<T: Clone + std::fmt::Debug + 'static>(
        least: usize,
        of: impl Strategy<Value = T> + Clone + 'static,
    ) -> impl Strategy<Value = Vec<(u8, T)>> {
        proptest::sample::subsequence((0..8u8).collect::<Vec<_>>(), least..=8).prop_shuffle().prop_flat_map(
            move |names| {
                proptest::collection::vec(of.clone(), names.len())
                    .prop_map(move |drawn| names.iter().copied().zip(drawn).collect())
            },
        )
    }

    fn plans() -> impl Strategy<Value = Arc<Plan>> {
        let meter = (0..8usize, 1..4u8, any::<bool>());
        let task = (prop_oneof![Just(60), Just(900)], proptest::collection::vec(any::<bool>(), 8));
        (named(1, any::<bool>()), named(0, meter), named(0, task)).prop_map(|(buses, meters, tasks)| {
            let meters: Vec<Drawn> = meters.into_iter().map(|(n, (bus, a, w))| (n, bus, a, w)).collect();
            let tasks: Vec<_> = tasks.into_iter().map(|(n, (every, chosen))| (n, every, chosen)).collect();
            Arc::new(plan(&buses, &meters, &tasks))
        })
    }

    proptest! {
        #[test]
        fn an_index_of_the_old_plan_becomes_that_of_the_same_thing_in_the_new_one_or_none(
            old in plans(), new in plans()
        ) {
            let shift = Shift::between(Arc::clone(&old), Arc::clone(&new));
            for (index, bus) in old.buses.iter().enumerate() {
                let there = new.buses.iter().position(|other| other.name == bus.name);
                prop_assert_eq!(shift.bus(index).index(), there);
                let goes_on = there.filter(|to| new.buses[*to].port == bus.port);
                prop_assert_eq!(shift.bus(index) == BusFate::GoesOn(there.unwrap_or(99)), goes_on.is_some());
            }
            let mut reached = BTreeSet::new();
            for (index, meter) in old.meters.iter().enumerate() {
                let bus = &old.buses[meter.bus].name;
                let is_it = |other: &Meter| other.name == meter.name && new.buses[other.bus].name == *bus;
                let there = new.meters.iter().position(is_it);
                prop_assert_eq!(shift.meter(index, Same::Point), there);
                let is_meter = there.filter(|to| new.meters[*to].protocol == meter.protocol);
                prop_assert_eq!(shift.meter(index, Same::Meter), is_meter);
                let is_all = is_meter.filter(|to| new.meters[*to].wiring == meter.wiring);
                prop_assert_eq!(shift.meter(index, Same::All), is_all);
                prop_assert!(there.is_none_or(|to| reached.insert(to)), "two meters never become one");
            }
            for (index, task) in old.tasks.iter().enumerate() {
                let there = new.tasks.iter().position(|other| other.name == task.name);
                prop_assert_eq!(shift.task(index), there);
                if let Some(to) = there {
                    prop_assert_eq!(shift.task_before(to), Some((index, new.tasks[to].when == task.when)));
                }
            }
            let known: BTreeSet<usize> =
                (0..old.meters.len()).filter_map(|index| shift.meter(index, Same::Meter)).collect();
            let arrived: Vec<usize> =
                (0..new.buses.len()).flat_map(|bus| shift.arrived(bus).iter().copied()).collect();
            prop_assert_eq!(known.len() + arrived.len(), new.meters.len(), "each is known or has arrived");
            prop_assert!(arrived.iter().all(|meter| !known.contains(meter)));
        }

        #[test]
        fn the_same_plan_changes_nothing(plan in plans()) {
            let shift = Shift::between(Arc::clone(&plan), Arc::clone(&plan));
            prop_assert!((0..plan.buses.len()).all(|bus| shift.bus(bus) == BusFate::GoesOn(bus)));
            prop_assert!((0..plan.meters.len()).all(|meter| shift.meter(meter, Same::All) == Some(meter)));
            prop_assert!((0..plan.tasks.len()).all(|task| shift.task_before(task) == Some((task, true))));
        }
    }
}
