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

    /// The bus ends or begins anew, and says itself what is so from then on; true if there was anything.
    pub(super) fn forget(&mut self, bus: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(_, of), _| of.as_deref() != Some(bus));
        before != self.0.len()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_from_text;
    use crate::event::Of;

    #[test]
    fn an_alarm_stands_since_it_was_raised_until_its_end_or_that_of_its_bus() {
        let text = "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\n\
                    [[bus]]\nname = \"a\"\nport = \"/dev/ttyS1\"\n";
        let plan = plan_from_text("meterd.toml", text, std::path::Path::new("/")).unwrap().plan;
        let at = |second| Timestamp::from_second(second).unwrap();
        let event =
            |second, what| Event { of: Of::Gateway, at: at(second), kind: Kind::Bus { bus: 0, what } };
        let shown = |alarms: &Alarms| alarms.of(&plan).map(|a| (a.word, a.since)).collect::<Vec<_>>();
        let mut alarms = Alarms::default();
        assert!(alarms.heard(&event(1, Line::Silent), &plan));
        assert!(!alarms.heard(&event(2, Line::Silent), &plan), "it stands already");
        assert!(!alarms.heard(&event(3, Line::Echo), &plan), "which does no harm");
        assert!(alarms.heard(&event(4, Line::PortGone { detail: String::new() }), &plan));
        assert_eq!(shown(&alarms), [(AlarmWord::LineSilent, at(1)), (AlarmWord::PortGone, at(4))]);
        assert!(alarms.heard(&event(5, Line::Back), &plan));
        assert_eq!(shown(&alarms), [(AlarmWord::PortGone, at(4))]);
        assert!(alarms.forget("a") && !alarms.forget("a"));
        assert_eq!(alarms, Alarms::default());
    }
}
