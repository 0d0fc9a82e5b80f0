//! What is not as it should be, and since when. Pure.

use crate::config::Plan;
use crate::event::{Event, Kind, Line};
use crate::mqtt::{Alarm, AlarmWord};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Alarms, each once by its word and bus.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Alarms(BTreeMap<(AlarmWord, Option<String>), Timestamp>);

impl Alarms {
    /// From `at` on it is so, or is so no longer; true if it was not so before.
    pub(super) fn set(&mut self, word: AlarmWord, bus: Option<&str>, is: bool, at: Timestamp) -> bool {
        let key = (word, bus.map(str::to_owned));
        if !is {
            return self.0.remove(&key).is_some();
        }
        let is_new = !self.0.contains_key(&key);
        self.0.entry(key).or_insert(at);
        is_new
    }

    /// Takes an event of a line; true if it changed anything.
    pub(super) fn heard(&mut self, event: &Event, plan: &Plan) -> bool {
        let Kind::Bus { bus, what } = &event.kind else { return false };
        let (word, is) = match what {
            Line::Silent => (AlarmWord::LineSilent, true),
            Line::Back => (AlarmWord::LineSilent, false),
            Line::Jammed => (AlarmWord::LineJammed, true),
            Line::Quiet => (AlarmWord::LineJammed, false),
            Line::PortGone { .. } => (AlarmWord::PortGone, true),
            Line::PortBack => (AlarmWord::PortGone, false),
            Line::Echo => return false,
        };
        let bus = plan.buses.get(*bus).map(|bus| bus.name.as_str());
        self.set(word, bus, is, event.at)
    }

    /// Those of the gateway and of buses that there are, by their words.
    pub(super) fn of(&self, plan: &Plan) -> impl Iterator<Item = Alarm> {
        let is_there = |bus: &Option<String>| {
            bus.as_ref().is_none_or(|bus| plan.buses.iter().any(|b| b.name.as_str() == bus))
        };
        self.0.iter().filter(move |((_, bus), _)| is_there(bus)).map(|((word, bus), since)| Alarm {
            word: *word,
            since: *since,
            bus: bus.clone(),
        })
    }
}
