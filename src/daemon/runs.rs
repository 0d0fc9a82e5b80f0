//! How complete the newest slots of kept values are, as the store has it after a restart.

use crate::config::Plan;
use crate::reading::Reason;
use crate::rounds::{Came, FOLLOWED, Pass, Rounds};
use crate::store::{SlotNote, SlotState, StoreError, Writer};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The rounds as they were, of the newest runs of each kept task.
///
/// # Errors
/// The store could not be read.
pub(super) fn resume(writer: &mut Writer, plan: &Plan) -> Result<Rounds, StoreError> {
    let mut rounds = Rounds::default();
    for task in plan.tasks.iter().filter(|task| task.read.is_kept()) {
        let name = task.name.as_str();
        let runs = writer.runs(name, Timestamp::MIN)?;
        let newest = runs.split_at(runs.len().saturating_sub(FOLLOWED)).1;
        let Some(since) = newest.first().map(|run| run.slot) else { continue };
        let mut read: BTreeMap<Timestamp, HashSet<String>> = BTreeMap::new();
        writer.slots_read(name, since, &mut |meter, slot| {
            read.entry(slot).or_default().insert(meter.to_owned());
        })?;
        let mut notes: BTreeMap<Timestamp, Vec<SlotNote>> = BTreeMap::new();
        for note in writer.slot_notes(name, since)? {
            notes.entry(note.slot).or_default().push(note);
        }
        let own: HashSet<&str> =
            task.meters.iter().filter_map(|meter| Some(plan.meters.get(*meter)?.name.as_str())).collect();
        for run in newest {
            let read = read.remove(&run.slot).unwrap_or_default();
            let mut known = known(&read, &notes.remove(&run.slot).unwrap_or_default());
            known.retain(|meter, _| own.contains(meter.as_str()));
            rounds.resume(run, known);
        }
    }
    Ok(rounds)
}

/// What is there of one slot: by meter, and whether it came at the first pass. What has readings and no note was read
/// whole at once.
fn known(read: &HashSet<String>, notes: &[SlotNote]) -> HashMap<String, Pass> {
    let whole = Pass { first: true, came: Came::Whole };
    let mut known: HashMap<String, Pass> = read.iter().map(|meter| (meter.clone(), whole)).collect();
    for note in notes {
        let reason = note.reason.unwrap_or(Reason::Expired);
        let came = match (note.state, read.contains(&note.meter)) {
            (SlotState::Settled, _) => Came::Whole,
            (SlotState::Gone, _) => Came::Gone,
            (SlotState::Open | SlotState::GivenUp, true) => Came::Partly(reason),
            (SlotState::Open | SlotState::GivenUp, false) => Came::None(reason),
        };
        known.insert(note.meter.clone(), Pass { first: false, came });
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Entry, Identity, Worth};

    #[test]
    fn the_numbers_of_the_newest_runs_go_on_from_what_the_store_has() {
        let text = "[gateway]\nid = \"gw01\"\ntimezone = \"Asia/Shanghai\"\n\
             [[bus]]\nname = \"one\"\nport = \"/dev/ttyS1\"\n\
             [[meter]]\nname = \"a\"\nbus = \"one\"\naddress = \"1\"\n\
             [[meter]]\nname = \"b\"\nbus = \"one\"\naddress = \"2\"\n\
             [[task]]\nname = \"daily\"\nread = \"daily-freeze\"\ndaily = \"00:05\"\n";
        let plan = crate::config::plan_from_text("m.toml", text, std::path::Path::new("")).unwrap().plan;
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let slot: Timestamp = "2026-11-20T16:00:00Z".parse().unwrap();
        let later = |seconds| slot + jiff::SignedDuration::from_secs(seconds);
        let whole = |first| Pass { first, came: Came::Whole };
        // A night before the restart, as the collector has it.
        let mut before = Rounds::default();
        before.kept("daily", 2, "a", slot, whole(true), later(300));
        let silent = Pass { first: true, came: Came::None(Reason::Silent) };
        let over = before.kept("daily", 2, "b", slot, silent, later(310));
        writer.note_run(&over[0].run().unwrap()).unwrap();
        let identity = |meter: &str| Identity {
            meter: meter.to_owned(),
            task: "daily".to_owned(),
            slot,
            registers: ["x".to_owned()].into(),
        };
        let entry = |meter: &str| Entry {
            topic: "t".to_owned(),
            body: "}".to_owned(),
            retain: false,
            worth: Worth::Settlement,
            identity: Some(identity(meter)),
            notes: Vec::new(),
        };
        let missing = SlotNote { slot, ..note("b", SlotState::Open) };
        writer.commit(&[Entry { notes: vec![missing], ..entry("a") }]).unwrap();
        let mut after = resume(&mut writer, &plan).unwrap();
        assert_eq!(after.settle(later(400)), [], "nothing is news");
        after.kept("daily", 2, "b", slot, whole(false), later(1800));
        let told = after.settle(later(1801));
        let run = told[0].run().unwrap();
        assert_eq!((run.planned, run.first, run.read, run.missing()), (2, 1, 2, 0));
        assert_eq!((run.began, run.ended), (later(300), Some(later(310))));
    }

    fn note(meter: &str, state: SlotState) -> SlotNote {
        SlotNote {
            meter: meter.to_owned(),
            task: "daily".to_owned(),
            slot: Timestamp::UNIX_EPOCH,
            state,
            why: String::new(),
            reason: Some(Reason::Silent),
            tries: 1,
            registers: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_meter_is_read_whole_at_the_first_pass_where_it_has_readings_and_no_note() {
        let read = ["first", "later", "part"].map(str::to_owned).into();
        let states = [
            ("later", SlotState::Settled),
            ("part", SlotState::Open),
            ("silent", SlotState::GivenUp),
            ("without", SlotState::Gone),
        ];
        let known = known(&read, &states.map(|(meter, state)| note(meter, state)));
        let of = |meter: &str| (known[meter].first, known[meter].came);
        assert_eq!(known.len(), 5);
        assert_eq!(of("first"), (true, Came::Whole));
        assert_eq!(of("later"), (false, Came::Whole));
        assert_eq!(of("part"), (false, Came::Partly(Reason::Silent)));
        assert_eq!(of("silent"), (false, Came::None(Reason::Silent)));
        assert_eq!(of("without"), (false, Came::Gone));
    }
}
