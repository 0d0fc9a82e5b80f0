//! What the tasks cost on the lines: exchanges and air time of a whole plan. Pure.

use super::Plan;
use crate::planner::{Costs, plan};
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
                let meters = planned.meters.iter().filter(on_bus).count();
                if meters == 0 {
                    return None;
                }
                let asks = plan(&planned.registers, &refused, &costs);
                let one: Duration = asks.iter().map(|a| a.air_time(&costs)).sum();
                Some(TaskLoad {
                    task,
                    meters,
                    exchanges: asks.len() * meters,
                    air: one * u32::try_from(meters).unwrap_or(u32::MAX),
                    every: planned.every,
                })
            });
            BusLoad { bus: index, tasks: tasks.collect() }
        })
        .collect()
}
