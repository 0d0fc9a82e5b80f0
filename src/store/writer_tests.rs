use super::*;
use crate::store::{Identity, OpenError, Pending, Wanted, Worth, schema};
use proptest::prelude::*;
use rusqlite::{Connection, OptionalExtension};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

const SLOT: &str = "2026-11-21T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn entry(meter: &str, slot: Timestamp, registers: &[&str]) -> Entry {
    Entry {
        topic: format!("em/gw/{meter}/data/live"),
        body: format!(r#""meter":"{meter}","slot":"{slot}","readings":{registers:?}}}"#),
        retain: false,
        worth: Worth::Live,
        identity: Some(Identity {
            meter: meter.to_owned(),
            task: "live".to_owned(),
            slot,
            registers: registers.iter().map(|&r| r.to_owned()).collect(),
        }),
        notes: Vec::new(),
    }
}

/// A message that is none of readings.
fn event(number: u8) -> Entry {
    Entry {
        topic: "em/gw/meter/a/event/active_report".to_owned(),
        body: format!(r#""n":{number}}}"#),
        retain: false,
        worth: Worth::Event,
        identity: None,
        notes: Vec::new(),
    }
}

fn seqs(writer: &mut Writer) -> Vec<u64> {
    writer.offer(0, usize::MAX).unwrap().iter().map(|p| p.seq).collect()
}

#[test]
fn numbers_go_on_after_a_restart_with_an_empty_outbox() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let mut writer = Writer::open(dir.path()).unwrap();
        assert_eq!(writer.committed(), 0);
        for day in 0..3 {
            writer.commit(&[entry("a", at(SLOT) + SignedDuration::from_hours(24 * day), &["x"])]).unwrap();
        }
        writer.forget(&[1, 2, 3]).unwrap();
        writer.id().to_owned()
    };
    let mut writer = Writer::open(dir.path()).unwrap();
    assert_eq!((writer.id(), writer.committed()), (id.as_str(), 3));
    let committed = writer.commit(&[entry("b", at(SLOT), &["x"])]).unwrap();
    assert_eq!(committed, Committed { newest: 4, stored: 1, duplicates: 0 });
    assert_eq!(seqs(&mut writer), [4]);
}

#[test]
fn a_store_made_anew_has_another_id() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let id = |dir: &Path| Writer::open(&dir.join("made/on/the/way")).unwrap().id().to_owned();
    let (first, second) = (id(first.path()), id(second.path()));
    assert_ne!(first, second);
    assert!(first.len() == 16 && first.chars().all(|c| c.is_ascii_hexdigit()), "{first}");
}

#[test]
fn a_second_writer_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    assert!(matches!(Writer::open(dir.path()).unwrap_err(), OpenError::Held { pid: Some(_), .. }));
    drop(writer);
    Writer::open(dir.path()).unwrap();
}

#[test]
fn a_duplicate_is_dropped_and_burns_no_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let first = entry("a", at(SLOT), &["x", "y"]);
    writer.commit(std::slice::from_ref(&first)).unwrap();
    let (part, fewer, more) =
        (entry("a", at(SLOT), &["y", "z"]), entry("a", at(SLOT), &["x", "z"]), entry("a", at(SLOT), &["w"]));
    let committed = writer.commit(&[first, part.clone(), fewer, more.clone()]).unwrap();
    assert_eq!(committed, Committed { newest: 3, stored: 2, duplicates: 2 });
    let bodies: Vec<_> = writer.offer(1, 9).unwrap().into_iter().map(|p| (p.seq, p.body)).collect();
    assert_eq!(bodies, [(2, part.body), (3, more.body)]);
}

#[test]
fn identity_is_meter_task_register_and_slot() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let first = entry("a", at(SLOT), &["x"]);
    let later = at("2026-11-21T00:00:01Z");
    let others = [
        entry("b", at(SLOT), &["x"]),
        Entry {
            identity: first.identity.clone().map(|own| Identity { task: "day".to_owned(), ..own }),
            ..first.clone()
        },
        entry("a", at(SLOT), &["y"]),
        entry("a", later, &["x"]),
    ];
    writer.commit(&[first]).unwrap();
    assert_eq!(writer.commit(&others).unwrap().stored, 4);
    assert!(writer.slot_is_read("a", "live", "x", later).unwrap());
    assert!(!writer.slot_is_read("a", "live", "y", later).unwrap());
    assert!(!writer.slot_is_read("a", "live", "unheard-of", at(SLOT)).unwrap());
    assert!(!writer.knows("b", "day", at(SLOT)).unwrap());
    assert!(!writer.knows("unheard-of", "live", at(SLOT)).unwrap());
}

#[test]
fn failures_are_always_stored_and_make_no_slot_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    assert_eq!(writer.newest().unwrap(), None);
    let failures = entry("a", at(SLOT), &[]);
    assert_eq!(writer.commit(&[failures.clone(), failures]).unwrap().stored, 2);
    assert!(writer.knows("a", "live", at(SLOT)).unwrap());
    assert_eq!(writer.newest().unwrap(), Some(at(SLOT)));
    assert_eq!(writer.commit(&[entry("a", at(SLOT), &["x"])]).unwrap().stored, 1);
    assert!(writer.slot_is_read("a", "live", "x", at(SLOT)).unwrap());
}

#[test]
fn what_is_no_reading_is_always_stored_and_makes_no_slot_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let all = [event(1), event(1), entry("a", at(SLOT), &["x"]), Entry { retain: true, ..event(2) }];
    let committed = writer.commit(&all).unwrap();
    assert_eq!(committed, Committed { newest: 4, stored: 4, duplicates: 0 });
    assert_eq!(writer.backlog().unwrap(), 4);
    let retained: Vec<_> = writer.offer(0, 9).unwrap().into_iter().map(|p| (p.seq, p.retain)).collect();
    assert_eq!(retained, [(1, false), (2, false), (3, false), (4, true)]);
    let late = entry("a", at(SLOT) + SignedDuration::from_hours(1), &["x"]);
    writer.commit(&[event(3)]).unwrap();
    assert_eq!(writer.newest().unwrap(), Some(at(SLOT)), "an event is of no slot");
    assert_eq!(writer.commit(&[all[2].clone(), late]).unwrap().stored, 1);
}

#[test]
fn only_the_numbers_given_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let entries: Vec<_> = ["a", "b", "c", "d", "e"].map(|meter| entry(meter, at(SLOT), &["x"])).to_vec();
    writer.commit(&entries).unwrap();
    writer.forget(&[4, 2, 2, 99, u64::MAX]).unwrap();
    assert_eq!(seqs(&mut writer), [1, 3, 5]);
    assert_eq!(writer.backlog().unwrap(), 3);
    assert_eq!(writer.offer(1, 1).unwrap()[0].seq, 3);
    assert_eq!(writer.offer(u64::MAX, 1).unwrap(), []);
}

#[test]
fn identities_past_the_retention_are_pruned_in_small_steps() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let meters: Vec<String> = (0..10).map(|n| format!("m{n}")).collect();
    let old: Vec<_> = meters.iter().map(|meter| entry(meter, at(SLOT), &["x"])).collect();
    writer.commit(&old).unwrap();
    let known = |writer: &mut Writer| {
        meters.iter().filter(|meter| writer.knows(meter, "live", at(SLOT)).unwrap()).count()
    };
    let edge = at(SLOT) + RETENTION;
    writer.commit(&[entry("a", edge, &["x"])]).unwrap();
    assert_eq!(known(&mut writer), 10, "62 days are kept");
    for step in 1..=6 {
        writer.commit(&[entry("a", edge + SignedDuration::from_secs(step), &["x"])]).unwrap();
        let left = 10_usize.saturating_sub(PRUNED_PER_ROW * step as usize);
        assert_eq!(known(&mut writer), left);
    }
    assert_eq!(writer.backlog().unwrap(), 17, "the outbox is not touched");
}

#[test]
fn a_failed_write_stores_nothing_and_the_next_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.commit(&[entry("a", at(SLOT), &["x"])]).unwrap();
    let intruder = Connection::open(dir.path().join(schema::NAME)).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..2 {
        let refused = writer.commit(&[entry("b", at(SLOT), &["new"])]).unwrap_err();
        assert!(matches!(refused, StoreError::Busy { .. }), "{refused}");
    }
    intruder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(seqs(&mut writer), [1]);
    let committed = writer.commit(&[entry("b", at(SLOT), &["new"])]).unwrap();
    assert_eq!(committed, Committed { newest: 2, stored: 1, duplicates: 0 });
    assert!(writer.slot_is_read("b", "live", "new", at(SLOT)).unwrap());
}

#[test]
fn a_full_or_read_only_disk_stores_nothing_and_the_next_write_works() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let large = |n: i64| {
        let at = at(SLOT) + SignedDuration::from_mins(n);
        Entry { body: format!("\"n\":\"{n:050000}\"}}"), ..entry("a", at, &["x"]) }
    };
    for (n, sql) in [(1, "PRAGMA max_page_count = 1"), (2, "PRAGMA query_only = 1")] {
        writer.open.as_ref().unwrap().connection.query_row(sql, [], |_| Ok(())).optional().unwrap();
        let refused = writer.commit(&[large(2 * n), large(2 * n + 1)]).unwrap_err();
        assert!(matches!(refused, StoreError::Full { .. } | StoreError::ReadOnly { .. }), "{refused}");
        assert_eq!(writer.backlog().unwrap(), 2 * n.cast_unsigned() - 2);
        writer.commit(&[large(2 * n), large(2 * n + 1)]).unwrap();
    }
    assert_eq!(seqs(&mut writer), [1, 2, 3, 4]);
}

#[test]
fn a_store_that_was_exchanged_behind_our_back_is_not_written() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(Writer::open(other.path()).unwrap());
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.open = None;
    fs::copy(other.path().join(schema::NAME), dir.path().join(schema::NAME)).unwrap();
    assert!(matches!(writer.commit(&[]).unwrap_err(), StoreError::Exchanged { .. }));
    fs::remove_file(dir.path().join(schema::NAME)).unwrap();
    assert!(matches!(writer.commit(&[]).unwrap_err(), StoreError::ReadOnly { .. }));
    assert!(!dir.path().join(schema::NAME).exists());
}

/// The files of a store as a power cut would leave them, with the log cut off at `log` octets.
fn image(dir: &Path, log: u64) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(dir.join("meterd.db"), copy.path().join("meterd.db")).unwrap();
    fs::copy(dir.join("meterd.db-wal"), copy.path().join("meterd.db-wal")).unwrap();
    let file = File::options().write(true).open(copy.path().join("meterd.db-wal")).unwrap();
    file.set_len(log).unwrap();
    copy
}

#[test]
fn a_kill_leaves_every_committed_message_and_none_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let length = || fs::metadata(dir.path().join("meterd.db-wal")).unwrap().len();
    let slot = |n| at(SLOT) + SignedDuration::from_mins(n);
    let mut ends = vec![length()];
    for n in 0..5 {
        let pair = [entry("a", slot(n), &["x", "y"]), entry("b", slot(n), &["x"])];
        writer.commit(&pair).unwrap();
        ends.push(length());
    }
    let id = writer.id().to_owned();
    for cut in (ends[0]..=ends[5]).step_by(997).chain(ends.clone()) {
        let commits = ends.iter().filter(|end| **end <= cut).count() as u64 - 1;
        let copy = image(dir.path(), cut);
        let mut revived = Writer::open(copy.path()).unwrap();
        assert_eq!((revived.id(), revived.committed()), (id.as_str(), 2 * commits), "cut at {cut}");
        assert_eq!(seqs(&mut revived), (1..=2 * commits).collect::<Vec<_>>());
        assert_eq!(revived.backlog().unwrap(), 2 * commits);
        assert_eq!(revived.knows("b", "live", slot(4)).unwrap(), commits == 5);
        let next = revived.commit(&[entry("c", slot(9), &["x"])]).unwrap();
        assert_eq!(next.newest, 2 * commits + 1);
    }
}

/// What a random life of a store is made of.
#[derive(Clone, Debug)]
enum Step {
    /// Meter, slot, registers.
    Put(u8, u8, BTreeSet<u8>),
    Commit,
    Offer(u64, usize),
    /// Which of the numbers so far, from the newest back.
    Forget(BTreeSet<u64>),
    CommitAndForget(BTreeSet<u64>),
    /// First and last number, number after which, limit.
    ResendSeq(u64, u64, u64, usize),
    /// First and last slot.
    ResendTime(u8, u8, u64, usize),
    Reopen,
    /// The file is found damaged, although all of it is whole.
    MakeAnew,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::btree_set(0..12_u64, 0..6);
    prop_oneof![
        6 => (0..3_u8, 0..4_u8, prop::collection::btree_set(0..20_u8, 0..5)).prop_map(|(m, s, r)| Step::Put(m, s, r)),
        3 => Just(Step::Commit),
        2 => (0..20_u64, 0..8_usize).prop_map(|(after, limit)| Step::Offer(after, limit)),
        2 => some().prop_map(Step::Forget),
        1 => some().prop_map(Step::CommitAndForget),
        1 => (0..20_u64, 0..30_u64, 0..20_u64, 0..8_usize).prop_map(|(a, b, after, n)| Step::ResendSeq(a, b, after, n)),
        1 => (0..4_u8, 0..5_u8, 0..20_u64, 0..8_usize).prop_map(|(a, b, after, n)| Step::ResendTime(a, b, after, n)),
        1 => Just(Step::Reopen),
        1 => Just(Step::MakeAnew),
    ]
}

#[derive(Default)]
struct Model {
    last: u64,
    outbox: BTreeMap<u64, String>,
    /// All that was stored, with its slot: signed or not, it can be asked for again.
    stored: BTreeMap<u64, (u8, String)>,
    read: BTreeSet<(u8, u8, u8)>,
    batch: Vec<(u8, u8, BTreeSet<u8>)>,
}

impl Model {
    fn commit(&mut self) -> Committed {
        let (mut stored, mut duplicates) = (0, 0);
        for (meter, slot, registers) in std::mem::take(&mut self.batch) {
            if !registers.is_empty() && registers.iter().all(|r| self.read.contains(&(meter, slot, *r))) {
                duplicates += 1;
                continue;
            }
            stored += 1;
            self.last += 1;
            let body = modelled(meter, slot, &registers).body;
            self.outbox.insert(self.last, body.clone());
            self.stored.insert(self.last, (slot, body));
            self.read.extend(registers.iter().map(|r| (meter, slot, *r)));
        }
        Committed { newest: self.last, stored, duplicates }
    }

    fn entries(&self) -> Vec<Entry> {
        self.batch.iter().map(|(meter, slot, registers)| modelled(*meter, *slot, registers)).collect()
    }

    fn again(&self, wanted: impl Fn(u64, u8) -> bool, after: u64, limit: usize) -> Vec<(u64, String)> {
        let later = self.stored.range(after + 1..).filter(|(seq, (slot, _))| wanted(**seq, *slot));
        later.take(limit).map(|(seq, (_, body))| (*seq, body.clone())).collect()
    }

    fn forget(&mut self, back: &BTreeSet<u64>) -> Vec<u64> {
        let seqs: Vec<u64> = back.iter().filter_map(|n| self.last.checked_sub(*n)).collect();
        for seq in &seqs {
            self.outbox.remove(seq);
        }
        seqs
    }
}

fn texts(messages: Vec<Pending>) -> Vec<(u64, String)> {
    messages.into_iter().map(|message| (message.seq, message.body)).collect()
}

fn modelled(meter: u8, slot: u8, registers: &BTreeSet<u8>) -> Entry {
    let names: Vec<String> = registers.iter().map(|r| format!("register_{r}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    entry(&format!("m{meter}"), at(SLOT) + SignedDuration::from_mins(slot.into()), &names)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_store_does_what_its_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Put(meter, slot, registers) => model.batch.push((meter, slot, registers)),
                Step::Commit => {
                    let entries = model.entries();
                    prop_assert_eq!(writer.commit(&entries).unwrap(), model.commit());
                }
                Step::Offer(after, limit) => {
                    let offered: Vec<_> =
                        writer.offer(after, limit).unwrap().into_iter().map(|p| (p.seq, p.body)).collect();
                    let expected: Vec<_> =
                        model.outbox.range(after + 1..).take(limit).map(|(s, b)| (*s, b.clone())).collect();
                    prop_assert_eq!(offered, expected);
                }
                Step::Forget(back) => writer.forget(&model.forget(&back)).unwrap(),
                Step::CommitAndForget(back) => {
                    let (entries, seqs) = (model.entries(), model.forget(&back));
                    let batch = Batch { entries: &entries, signed: &seqs, ..Batch::default() };
                    prop_assert_eq!(writer.write(batch).unwrap(), model.commit());
                }
                Step::ResendSeq(first, last, after, limit) => {
                    let got = writer.resend(&Wanted::Seq(first..=last), after, limit).unwrap();
                    prop_assert_eq!(texts(got), model.again(|seq, _| (first..=last).contains(&seq), after, limit));
                }
                Step::ResendTime(first, last, after, limit) => {
                    let slot = |slot: u8| at(SLOT) + SignedDuration::from_mins(slot.into());
                    let got = writer.resend(&Wanted::Time(slot(first)..=slot(last)), after, limit).unwrap();
                    prop_assert_eq!(texts(got), model.again(|_, slot| (first..=last).contains(&slot), after, limit));
                }
                Step::MakeAnew if writer.salvages == 0 => {
                    let (id, cause) = (writer.id().to_owned(), StoreError::Damaged { detail: String::new() });
                    writer.make_anew(&cause).unwrap();
                    prop_assert_ne!(&id, writer.id());
                    prop_assert_eq!(writer.losses.iter().map(|loss| loss.messages).sum::<u64>(), 0);
                }
                Step::MakeAnew => {}
                Step::Reopen => {
                    drop(writer);
                    model.batch.clear();
                    writer = Writer::open(dir.path()).unwrap();
                }
            }
            prop_assert_eq!(writer.committed(), model.last);
            prop_assert_eq!(writer.backlog().unwrap(), model.outbox.len() as u64);
        }
        for (meter, slot, register) in (0..3).flat_map(|m| (0..4).flat_map(move |s| (0..20).map(move |r| (m, s, r)))) {
            let slot_at = at(SLOT) + SignedDuration::from_mins(slot.into());
            let read = writer.slot_is_read(&format!("m{meter}"), "live", &format!("register_{register}"), slot_at);
            prop_assert_eq!(read.unwrap(), model.read.contains(&(meter, slot, register)));
        }
    }
}
