//! Kept slots that go on under another configuration. Pure.

use super::of_meter::OfMeter;
use super::{GivenUp, Kept, KeptSlots, Past, TaskState};
use std::collections::BTreeMap;

/// A kept task of the new configuration.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// The task.
    pub kept: Kept,
    /// The index that it had; none for one that is new, or whose slots are others.
    pub before: Option<usize>,
}

impl KeptSlots {
    /// Takes over the tasks of a new configuration; `meter` gives the new index of a meter point that stays. What is
    /// missing stays missing, and is due when it was. Of meters that are new here `past` is what the store knows; what a
    /// task or a meter that is no more was missing is dropped. Points that are `exchanged`, by their new indices, have
    /// another meter: what was missing there is handed back.
    pub fn adopt(
        &mut self,
        tasks: Vec<Adopted>,
        meter: impl Fn(usize) -> Option<usize>,
        groups: BTreeMap<usize, u32>,
        past: Past,
        exchanged: impl Fn(usize) -> bool,
    ) -> Vec<GivenUp> {
        let task = |of: usize| tasks.iter().find(|new| new.before == Some(of)).map(|new| new.kept.task);
        self.past.renumber(task, &meter);
        self.past.extend(past);
        let mut known: BTreeMap<(usize, usize), OfMeter> = BTreeMap::new();
        for state in std::mem::take(&mut self.tasks) {
            for of in state.meters {
                if let Some(to) = meter(of.own.meter) {
                    known.insert((state.kept.task, to), of);
                }
            }
        }
        self.last_group = None;
        self.groups = groups;
        let mut given_up = Vec::new();
        for Adopted { kept, before } in tasks {
            if kept.meters.is_empty() {
                continue;
            }
            let meters = kept.meters.iter().map(|own| {
                let before = before.and_then(|task| known.remove(&(task, own.meter)));
                let mut of = before.map_or_else(|| OfMeter::new(*own), |of| OfMeter { own: *own, ..of });
                if exchanged(own.meter) {
                    if of.opened.is_none() {
                        self.past.exchange(own.meter);
                    }
                    given_up.extend(of.give_up(kept.task));
                    of.has_no_freeze = false;
                }
                of
            });
            let meters = meters.collect();
            self.tasks.push(TaskState { kept, meters, opens: None });
        }
        given_up
    }
}
