//! What the store knows of the run before: whether it ended in order, and by which archive it read.

use crate::bus::learned::Learned;
use crate::config::Plan;
use crate::store::{Fact, Scope, StoreError, Writer};
use jiff::Timestamp;

/// Kept while the daemon runs, and dropped when it has ended in order.
const RUNNING: &str = "running";
/// Revision of the archive of meters that was last said to be in force.
pub(super) const ARCHIVE: &str = "archive";

/// The run before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Past {
    /// The last that is known of it, if it did not end in order.
    pub(super) away_since: Option<Timestamp>,
    /// Revision of its archive of meters.
    pub(super) archive: String,
}

impl Past {
    /// Looks back, and marks that the daemon runs from `now` on; `newest` is the newest slot in the store.
    ///
    /// # Errors
    /// The store could not be read. A disk that takes no mark is no error: then the next start knows less.
    pub(super) fn look(
        writer: &mut Writer,
        plan: &Plan,
        newest: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let running = writer.learned(Scope::Gateway, RUNNING)?.map(|fact| fact.at);
        let archive = writer.learned(Scope::Gateway, ARCHIVE)?.map(|fact| fact.value);
        mark(writer, RUNNING, "yes", now);
        if archive.is_none() {
            mark(writer, ARCHIVE, &plan.archive, now);
        }
        Ok(Self {
            away_since: running.map(|started| newest.map_or(started, |newest| newest.max(started))),
            archive: archive.unwrap_or_else(|| plan.archive.clone()),
        })
    }
}

/// What earlier runs learned of a meter that is there now, by its index.
pub(super) fn recalled(plan: &Plan, index: usize, facts: &[Fact]) -> Vec<Learned> {
    let Some(meter) = plan.meters.get(index) else { return Vec::new() };
    let (address, since) = (meter.protocol.address(), meter.hangs_since(&plan.gateway.zone));
    let is_exchanged = is_exchanged(&address, facts);
    let of = |fact: &Fact| {
        let learned = Learned::of_meter(index, &address, &fact.key, &fact.value)?;
        match since {
            Some(since) if fact.at < since => None,
            // It hung elsewhere meanwhile, and counted there.
            _ if is_exchanged => learned.since(Timestamp::MAX),
            Some(since) => learned.since(since),
            None => Some(learned),
        }
    };
    facts.iter().filter_map(of).collect()
}

/// Whether another meter than the one of this address was the last in service at a point (换表).
pub(super) fn is_exchanged(address: &str, facts: &[Fact]) -> bool {
    let facts = facts.iter().map(|fact| (fact.key.as_str(), fact.value.as_str()));
    Learned::is_exchanged(facts, address)
}

fn mark(writer: &mut Writer, key: &str, value: &str, at: Timestamp) {
    let fact = Fact { key: key.to_owned(), value: value.to_owned(), at };
    if let Err(cause) = writer.learn(Scope::Gateway, &fact) {
        tracing::warn!(key, "not noted for the next start: {cause}");
    }
}

/// Marks that the run has ended in order.
pub(super) fn ended(writer: &mut Writer) {
    if let Err(cause) = writer.unlearn(Scope::Gateway, RUNNING) {
        tracing::warn!("the next start will say that this end was not in order: {cause}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_from_text;
    use std::path::Path;

    #[test]
    fn what_was_learned_of_a_meter_before_its_exchange_is_not_recalled_of_the_next_one_with_its_address() {
        let plan = |exchange: &str| {
            let text = format!(
                "[gateway]\nid = \"gw\"\ntimezone = \"Asia/Shanghai\"\n[[bus]]\nname = \"a\"\n\
                 port = \"/dev/ttyS1\"\n[[meter]]\nname = \"m\"\nbus = \"a\"\naddress = \"1\"\n{exchange}"
            );
            plan_from_text("meterd.toml", &text, Path::new("")).unwrap().plan
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let fact = |key: &str, value: &str, at| Fact {
            key: format!("{key}/000000000001/{}", if key == "last" { "energies" } else { "02010100" }),
            value: value.to_owned(),
            at,
        };
        // The old meter's total, and what the new one showed at noon of the day after.
        let (old, new) =
            (at("2026-11-15T01:00:00Z").as_millisecond(), at("2026-11-16T04:00:00Z").as_millisecond());
        let facts = [
            fact("last", &format!("00010000=1234567@{old} 00020000=5@{new}"), at("2026-11-16T04:00:00Z")),
            fact("not_supported", "no requested data", at("2026-11-15T01:00:00Z")),
        ];
        let known = |exchange: &str| recalled(&plan(exchange), 0, &facts);
        assert_eq!(known("").len(), 2);
        let exchange = |keys: &str| format!("[[meter.exchange]]\ndate = \"2026-11-15\"\n{keys}");
        assert_eq!(known(&exchange("address = \"2\"\n")).len(), 2, "its address tells them apart");
        let [Learned::Energies { last, .. }] = &known(&exchange(""))[..] else { panic!() };
        assert_eq!(last.iter().map(|(_, last)| last.digits).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn an_end_that_was_not_in_order_is_known_with_the_last_that_was_heard() {
        let folder = tempfile::tempdir().unwrap();
        let plan = |address: u8| {
            let text = format!(
                "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\n[[bus]]\nname = \"a\"\nport = \"/dev/ttyS1\"\n\
                 [[meter]]\nname = \"m\"\nbus = \"a\"\naddress = \"{address}\"\n"
            );
            plan_from_text("meterd.toml", &text, folder.path()).unwrap().plan
        };
        let at = |second| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let look = |address: u8, newest: Option<Timestamp>, now: i64, in_order: bool| {
            let mut writer = Writer::open(folder.path()).unwrap();
            let past = Past::look(&mut writer, &plan(address), newest, at(now)).unwrap();
            if in_order {
                ended(&mut writer);
            }
            past
        };
        let first = plan(1).archive;
        assert_eq!(look(1, None, 0, true), Past { away_since: None, archive: first.clone() });
        assert_eq!(look(1, None, 10, false).away_since, None, "the one before ended in order");
        assert_eq!(look(1, None, 20, false).away_since, Some(at(10)), "it was started, and read nothing");
        assert_eq!(look(1, Some(at(90)), 99, false).away_since, Some(at(90)), "its newest slot");
        assert_eq!(look(2, Some(at(90)), 200, true).archive, first, "told once the event is in the store");
    }
}
