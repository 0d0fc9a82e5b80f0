//! What the tasks cost on the lines: exchanges and air time of a whole plan. Pure.

use super::Plan;
use crate::planner::{Costs, plan};
use dlt645::Edition;
use std::collections::BTreeSet;
use std::time::Duration;

/// One task on one bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskLoad {
    /// Index of the task.
    pub task: usize,
    /// Meters of it on this bus.
    pub meters: usize,
    /// Exchanges of one period.
    pub exchanges: usize,
    /// Air time of one period: octets × bits ÷ baud + response delay + turnaround, per exchange.
    pub air: Duration,
    /// Its period.
    pub every: Duration,
}

/// One bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusLoad {
    /// Index of the bus.
    pub bus: usize,
    /// Its tasks, in the plan's order.
    pub tasks: Vec<TaskLoad>,
}

impl TaskLoad {
    /// Thousandths of the period that the line is busy.
    pub const fn per_mille(&self) -> u64 {
        let every = self.every.as_millis() as u64;
        match (self.air.as_millis() as u64 * 1000).checked_div(every) {
            Some(share) => share,
            None => 0,
        }
    }
}

impl BusLoad {
    /// Thousandths of the time that the line is busy with all its tasks.
    pub fn per_mille(&self) -> u64 {
        self.tasks.iter().map(TaskLoad::per_mille).sum()
    }
}

/// The load of every bus, as if every meter had four tariffs and refused nothing.
pub fn air_time(whole: &Plan) -> Vec<BusLoad> {
    let refused = BTreeSet::new();
    whole
        .buses
        .iter()
        .enumerate()
        .map(|(index, bus)| {
            let costs = Costs::usual(bus.line);
            let on_bus = |meter: &&usize| whole.meters.get(**meter).is_some_and(|m| m.bus == index);
            let tasks = whole.tasks.iter().enumerate().filter_map(|(task, planned)| {
                let mut load =
                    TaskLoad { task, meters: 0, exchanges: 0, air: Duration::ZERO, every: planned.every };
                for edition in [Edition::E1997, Edition::E2007] {
                    let speaks = |meter: &&usize| {
                        whole.meters.get(**meter).is_some_and(|m| m.protocol.edition() == edition)
                    };
                    let meters = planned.meters.iter().filter(on_bus).filter(speaks).count();
                    if meters == 0 {
                        continue;
                    }
                    let asks = plan(planned.registers.of(edition), &refused, &costs);
                    let one: Duration = asks.iter().map(|a| a.air_time(&costs)).sum();
                    load.meters += meters;
                    load.exchanges += asks.len() * meters;
                    load.air += one * u32::try_from(meters).unwrap_or(u32::MAX);
                }
                (load.meters > 0).then_some(load)
            });
            BusLoad { bus: index, tasks: tasks.collect() }
        })
        .collect()
}
