use super::*;
use crate::store::{Entry, Identity, Run, Worth};
use std::collections::BTreeMap;

const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn note(meter: &str, slot: i64, state: SlotState) -> SlotNote {
    SlotNote {
        meter: meter.to_owned(),
        task: "daily".to_owned(),
        slot: at(slot),
        state,
        why: "no octet came in 500 ms (无应答)".to_owned(),
        reason: Some(Reason::Silent),
        tries: 2,
        registers: vec!["energy_forward".to_owned(), "energy_reverse".to_owned()],
        at: at(slot + 300),
    }
}

fn entry(meter: &str, slot: i64, registers: &[&str], notes: Vec<SlotNote>) -> Entry {
    Entry {
        topic: "em/gw/meter/a/data/daily".to_owned(),
        body: r#""n":1}"#.to_owned(),
        retain: false,
        worth: Worth::Settlement,
        identity: Some(Identity {
            meter: meter.to_owned(),
            task: "daily".to_owned(),
            slot: at(slot),
            registers: registers.iter().map(|name| (*name).to_owned()).collect(),
        }),
        notes,
    }
}

fn run(slot: i64) -> Run {
    Run {
        task: "daily".to_owned(),
        slot: at(slot),
        planned: 9,
        first: 4,
        read: 5,
        partly: 1,
        gone: 1,
        failed: BTreeMap::from([(Reason::Silent, 2)]),
        began: at(slot + 300),
        ended: Some(at(slot + 360)),
    }
}

fn read_slots(writer: &mut Writer, since: i64) -> Vec<(String, Timestamp)> {
    let mut found = Vec::new();
    let mut each = |meter: &str, slot| found.push((meter.to_owned(), slot));
    writer.slots_read("daily", at(since), &mut each).unwrap();
    found
}

#[test]
fn the_last_note_of_a_slot_counts_and_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let plain =
        SlotNote { reason: None, why: String::new(), registers: Vec::new(), ..note("b", 0, SlotState::Gone) };
    let other = SlotNote { task: "month".to_owned(), ..note("a", 0, SlotState::Open) };
    let notes =
        [note("a", 0, SlotState::Open), plain.clone(), other.clone(), note("a", DAY, SlotState::GivenUp)];
    writer.note_slots(&notes).unwrap();
    let settled = note("a", 0, SlotState::Settled);
    writer.note_slots(std::slice::from_ref(&settled)).unwrap();
    drop(writer);
    let mut writer = Writer::open(dir.path()).unwrap();
    let late = note("a", DAY, SlotState::GivenUp);
    assert_eq!(writer.slot_notes("daily", at(0)).unwrap(), [settled, plain, late.clone()]);
    assert_eq!(writer.slot_notes("daily", at(1)).unwrap(), [late]);
    assert_eq!(writer.slot_notes("month", at(0)).unwrap(), [other]);
    assert_eq!(writer.slot_notes("never", at(0)).unwrap(), []);
}

#[test]
fn the_notes_of_a_message_are_written_with_it_even_where_it_is_a_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let open = vec![note("a", 0, SlotState::Open)];
    writer.commit(&[entry("a", 0, &["x"], open.clone())]).unwrap();
    assert_eq!(writer.slot_notes("daily", at(0)).unwrap(), open);
    let settled = vec![note("a", 0, SlotState::Settled)];
    let committed = writer.commit(&[entry("a", 0, &["x"], settled.clone())]).unwrap();
    assert_eq!((committed.stored, committed.duplicates), (0, 1));
    assert_eq!(writer.slot_notes("daily", at(0)).unwrap(), settled);
}

#[test]
fn a_slot_is_read_once_a_register_of_it_is_and_is_given_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let of = |meter, slot, registers: &[&str]| entry(meter, slot, registers, Vec::new());
    let live = Entry {
        identity: of("a", 0, &["x"]).identity.map(|id| Identity { task: "live".to_owned(), ..id }),
        ..of("a", 0, &[])
    };
    writer
        .commit(&[of("b", 0, &["x"]), of("b", 0, &["y"]), of("a", 0, &[]), of("a", DAY, &["x"]), live])
        .unwrap();
    let (b, a) = (("b".to_owned(), at(0)), ("a".to_owned(), at(DAY)));
    assert_eq!(read_slots(&mut writer, 0), [b, a.clone()]);
    assert_eq!(read_slots(&mut writer, 1), [a]);
}

#[test]
fn notes_and_runs_are_forgotten_with_what_is_known_of_their_slots_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    for day in 0..64 {
        let slot = day * DAY;
        writer.commit(&[entry("a", slot, &["x"], vec![note("a", slot, SlotState::Settled)])]).unwrap();
        writer.note_run(&run(slot)).unwrap();
    }
    let slots = |first: i64| (first..64).map(|day| at(day * DAY)).collect::<Vec<_>>();
    let noted: Vec<_> = writer.slot_notes("daily", at(0)).unwrap().iter().map(|note| note.slot).collect();
    assert_eq!(noted, slots(1), "62 days before the newest");
    let runs: Vec<_> = writer.runs("daily", at(0)).unwrap().iter().map(|run| run.slot).collect();
    assert_eq!(runs, slots(1));
    let read: Vec<_> = read_slots(&mut writer, 0).into_iter().map(|(_, slot)| slot).collect();
    assert_eq!(read, slots(1));
}

#[test]
fn a_run_is_kept_whole_in_place_of_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let under_way = Run { ended: None, failed: BTreeMap::new(), ..run(0) };
    writer.note_run(&under_way).unwrap();
    assert_eq!(writer.runs("daily", at(0)).unwrap(), [under_way]);
    writer.note_run(&run(0)).unwrap();
    drop(writer);
    let mut writer = Writer::open(dir.path()).unwrap();
    assert_eq!(writer.runs("daily", at(0)).unwrap(), [run(0)]);
    assert_eq!(run(0).missing(), 3);
}

/// The rows of both tables, each with one of its columns changed at a time.
#[test]
fn a_note_that_changed_in_the_file_never_settles_a_slot_nor_makes_another() {
    let dir = tempfile::tempdir().unwrap();
    let whole = note("a", 0, SlotState::Open);
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.note_slots(&[note("b", 0, SlotState::Settled), whole.clone()]).unwrap();
    writer.note_run(&run(0)).unwrap();
    let mut after = |change: &str, undo: &str| {
        writer.with(|open| open.connection.execute_batch(change)).unwrap();
        let found = writer.slot_notes("daily", at(0)).unwrap();
        let runs = writer.runs("daily", at(0)).unwrap();
        writer.with(|open| open.connection.execute_batch(undo)).unwrap();
        (found.into_iter().filter(|note| note.meter != "b").collect::<Vec<_>>(), runs)
    };
    let unproved = SlotNote {
        why: UNPROVED.to_owned(),
        reason: None,
        tries: 0,
        registers: Vec::new(),
        at: whole.slot,
        ..whole.clone()
    };
    let columns = [
        ("state", "1"),
        ("why", "'x'"),
        ("why", "cast(x'C3' AS TEXT)"),
        ("reason", "'stray'"),
        ("tries", "9"),
        ("registers", "'energy_forward'"),
        ("at", "0"),
    ];
    let a = "meter = (SELECT id FROM name WHERE text = 'a')";
    for (column, value) in columns {
        let change = format!(
            "CREATE TEMP TABLE was AS SELECT * FROM slot; UPDATE slot SET {column} = {value} WHERE {a};"
        );
        let undo = "DELETE FROM slot; INSERT INTO slot SELECT * FROM was; DROP TABLE was;";
        let (found, _) = after(&change, undo);
        assert_eq!(found, std::slice::from_ref(&unproved), "{column}");
    }
    let moved = "UPDATE slot SET slot = slot + 1";
    let (found, _) =
        after(&format!("{moved} WHERE {a}"), &format!("UPDATE slot SET slot = slot - 1 WHERE {a}"));
    assert_eq!(found, [], "a slot that was never asked for is not made");
    let named = |from: &str, to: &str| format!("UPDATE name SET text = '{to}' WHERE text = '{from}'");
    let (found, _) = after(&named("a", "c"), &named("c", "a"));
    assert_eq!(found, [], "nor one of another meter");
    for column in ["planned", "first", "read", "partly", "gone", "began", "ended"] {
        let step = |sign| format!("UPDATE run SET {column} = {column} {sign} 1");
        assert_eq!(after(&step('+'), &step('-')).1, [], "{column}");
    }
    assert_eq!(after("", ""), (vec![whole], vec![run(0)]));
}
