use super::*;
use crate::store::{Dropped, Entry, Identity, Pending, Wanted, Worth, Writer};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

const COUNT: u64 = 40;

fn entry(n: u64) -> Entry {
    let slot = Timestamp::from_second(1_800_000_000 + n.cast_signed()).unwrap();
    // Some are longer than a page.
    let length = if n % 8 == 7 { 6000 } else { 900 };
    Entry {
        topic: "em/gw/meter/a/data/live".to_owned(),
        body: format!(r#""n":"message {n:04} {}"}}"#, "0123456789".repeat(length / 10)),
        retain: false,
        worth: Worth::Live,
        identity: Some(Identity {
            meter: "a".to_owned(),
            task: "live".to_owned(),
            slot,
            registers: ["x".to_owned()].into(),
        }),
        notes: Vec::new(),
    }
}

/// A store with messages 1 to 40, of which the first ten are signed for, as a kill leaves it: the first half is in the
/// file, the rest in the log.
fn killed() -> (tempfile::TempDir, String) {
    let (live, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut writer = Writer::open(live.path()).unwrap();
    for n in 1..=COUNT / 2 {
        writer.commit(&[entry(n)]).unwrap();
    }
    writer.forget(&(1..=10).collect::<Vec<_>>()).unwrap();
    drop(writer);
    let mut writer = Writer::open(live.path()).unwrap();
    for n in COUNT / 2 + 1..=COUNT {
        writer.commit(&[entry(n)]).unwrap();
    }
    copy_files(live.path(), dir.path());
    (dir, writer.id().to_owned())
}

fn copy_files(from: &Path, to: &Path) {
    for name in [NAME, "meterd.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn damaged(of: &Path, damage: impl FnOnce(&Path)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_files(of, dir.path());
    damage(dir.path());
    dir
}

fn all(writer: &mut Writer) -> BTreeMap<u64, Pending> {
    let found = writer.resend(&Wanted::Seq(0..=u64::MAX), 0, usize::MAX).unwrap();
    found.into_iter().map(|pending| (pending.seq, pending)).collect()
}

/// Opens it and checks that each message is as it was stored, that those of `intact` are all there, and that what was
/// not signed for and is missing is said to be lost.
fn assert_saved(dir: &Path, id: &str, intact: impl Fn(u64) -> bool, what: &str) -> usize {
    let mut writer = Writer::open(dir).unwrap_or_else(|e| panic!("{what}: {e}"));
    // What SQLite does not see is met when it is read; the store's task does this then.
    let everything = Wanted::Seq(0..=u64::MAX);
    let read = writer.resend(&everything, 0, usize::MAX).and_then(|_| writer.offer(0, usize::MAX));
    if let Err(cause) = read {
        assert!(matches!(cause, StoreError::Damaged { .. }), "{what}: {cause}");
        assert!(writer.losses.is_empty(), "{what}: it was made anew already");
        writer.make_anew(&cause).unwrap();
    }
    let offered = writer.offer(0, usize::MAX).unwrap();
    let found = all(&mut writer);
    for pending in found.values().chain(&offered) {
        let Entry { topic, body, .. } = entry(pending.seq);
        assert_eq!((&pending.topic, &pending.body), (&topic, &body), "{what}: message {}", pending.seq);
    }
    let waits = |seq: &u64| offered.iter().any(|pending| pending.seq == *seq);
    for seq in (1..=COUNT).filter(|seq| intact(*seq)) {
        assert!(found.contains_key(&seq), "{what}: message {seq} was intact");
        assert!(seq <= 10 || waits(&seq), "{what}: nobody has signed for {seq}");
    }
    let missing: Vec<u64> = (11..=COUNT).filter(|seq| !waits(seq)).collect();
    let said =
        |seq: &u64| writer.losses.iter().any(|loss| loss.ranges.iter().any(|range| range.contains(seq)));
    if writer.id() == id {
        assert!(missing.is_empty(), "{what}: {missing:?} are lost without a word");
    } else {
        let beyond = writer.committed();
        assert!(
            missing.iter().all(|seq| *seq > beyond || said(seq)),
            "{what}: {missing:?} are lost without a word"
        );
        assert!(
            set_aside(dir).unwrap().iter().any(|path| !path.to_string_lossy().ends_with("-wal")),
            "{what}"
        );
    }
    // It is a store like any other.
    let next = writer.commit(&[entry(1000)]).unwrap().newest;
    assert!(next > found.keys().max().copied().unwrap_or(0));
    let id = writer.id().to_owned();
    drop(writer);
    assert_eq!(Writer::open(dir).unwrap().id(), id, "{what}: it does not go on and on");
    missing.len()
}

/// Where the octets of each message last stand in a file, first and last.
fn places(file: &Path) -> BTreeMap<u64, (u64, u64)> {
    let octets = fs::read(file).unwrap();
    let find = |needle: &[u8]| memory_find(&octets, needle);
    (1..=COUNT)
        .filter_map(|n| {
            let text = format!(r#""n":"message {n:04} "#);
            let at = find(text.as_bytes())? as u64;
            Some((n, (at, at + entry(n).body.len() as u64)))
        })
        .collect()
}

fn memory_find(octets: &[u8], needle: &[u8]) -> Option<usize> {
    octets.windows(needle.len()).rposition(|window| window == needle)
}

fn page_of(at: u64) -> u64 {
    at / pages::SIZE as u64
}

#[test]
fn a_bit_that_flips_anywhere_in_the_file_costs_the_page_at_most_and_is_never_published() {
    let (dir, id) = killed();
    let places = places(&dir.path().join(NAME));
    let length = fs::metadata(dir.path().join(NAME)).unwrap().len();
    for at in (0..length).step_by(701).chain(0..100) {
        let broken = damaged(dir.path(), |dir| {
            let file = File::options().read(true).write(true).open(dir.join(NAME)).unwrap();
            let mut octet = [0];
            file.read_exact_at(&mut octet, at).unwrap();
            file.write_all_at(&[octet[0] ^ 1 << (at % 8)], at).unwrap();
        });
        // A message of several pages is whole if none of them is hit: those behind the first stand anywhere.
        let intact = |seq: u64| match places.get(&seq) {
            Some((first, _)) => seq % 8 != 7 && page_of(*first) != page_of(at),
            None => seq > COUNT / 2 && seq % 8 != 7,
        };
        let missing = assert_saved(broken.path(), &id, intact, &format!("bit at {at}"));
        assert!(missing <= 4, "bit at {at}: {missing} messages are on one page");
    }
}

#[test]
fn a_page_of_zeros_costs_what_stood_on_it() {
    let (dir, id) = killed();
    let places = places(&dir.path().join(NAME));
    let pages = fs::metadata(dir.path().join(NAME)).unwrap().len() / pages::SIZE as u64;
    for page in 0..pages {
        let broken = damaged(dir.path(), |dir| {
            let file = File::options().write(true).open(dir.join(NAME)).unwrap();
            file.write_all_at(&[0; pages::SIZE], page * pages::SIZE as u64).unwrap();
        });
        let intact = |seq: u64| match places.get(&seq) {
            Some((first, _)) => seq % 8 != 7 && page_of(*first) != page,
            None => seq > COUNT / 2 && seq % 8 != 7,
        };
        assert_saved(broken.path(), &id, intact, &format!("page {page}"));
    }
}

#[test]
fn a_file_that_is_cut_off_keeps_what_stands_before_the_cut() {
    let (dir, id) = killed();
    let places = places(&dir.path().join(NAME));
    let length = fs::metadata(dir.path().join(NAME)).unwrap().len();
    for cut in (0..length).step_by(3001).chain([1, 99, 100]) {
        let broken = damaged(dir.path(), |dir| {
            File::options().write(true).open(dir.join(NAME)).unwrap().set_len(cut).unwrap();
        });
        let intact = |seq: u64| match places.get(&seq) {
            Some((first, _)) => seq % 8 != 7 && page_of(*first) < page_of(cut),
            None => seq > COUNT / 2 && seq % 8 != 7,
        };
        assert_saved(broken.path(), &id, intact, &format!("cut at {cut}"));
    }
}

#[test]
fn a_log_that_is_damaged_in_its_middle_keeps_the_commits_behind() {
    let (dir, id) = killed();
    let log = fs::read(dir.path().join("meterd.db-wal")).unwrap();
    // In the last commit damage and a power cut look alike.
    let needle = format!(r#""n":"message {:04} "#, COUNT - 2);
    let last = log.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap();
    for at in (0..last).step_by(1201) {
        let broken = damaged(dir.path(), |dir| {
            let mut log = log.clone();
            log[at] ^= 0x10;
            fs::write(dir.join("meterd.db-wal"), log).unwrap();
        });
        let missing = assert_saved(broken.path(), &id, |seq| seq <= COUNT / 2, &format!("log at {at}"));
        assert!(missing <= 4, "log at {at}: {missing}");
    }
}

#[test]
fn a_power_cut_is_no_damage() {
    let (dir, id) = killed();
    let log = fs::metadata(dir.path().join("meterd.db-wal")).unwrap().len();
    for cut in (0..log).step_by(2003) {
        let broken = damaged(dir.path(), |dir| {
            File::options().write(true).open(dir.join("meterd.db-wal")).unwrap().set_len(cut).unwrap();
        });
        assert_eq!(Writer::open(broken.path()).unwrap().id(), id, "cut at {cut}");
        assert!(set_aside(broken.path()).unwrap().is_empty());
    }
}

#[test]
fn first_commits_that_powers_cut_leave_nothing_of_theirs_behind_each_other() {
    let (dir, id) = killed();
    let log = dir.path().join("meterd.db-wal");
    // Of many frames, then of fewer, each with its first one lost.
    for first in [COUNT + 1, COUNT + 9] {
        let mut writer = Writer::open(dir.path()).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0, "it begins anew");
        let many: Vec<_> = (first..first + if first == COUNT + 1 { 40 } else { 4 }).map(entry).collect();
        writer.commit(&many).unwrap();
        writer.leave();
        let mut octets = fs::read(&log).unwrap();
        octets[100] ^= 0x10;
        fs::write(&log, octets).unwrap();
    }
    assert_eq!(Writer::open(dir.path()).unwrap().id(), id);
    assert!(set_aside(dir.path()).unwrap().is_empty());
}

#[test]
fn a_power_cut_in_the_header_of_the_next_log_is_no_damage() {
    let (live, id) = killed();
    let mut writer = Writer::open(live.path()).unwrap();
    writer.commit(&[entry(COUNT + 1)]).unwrap();
    let connection = &writer.open.as_ref().unwrap().connection;
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    // The next commit begins the log anew: its header is written over the old one, and only some of it was.
    for torn in [12..24, 16..24, 12..16, 24..32] {
        let broken = damaged(live.path(), |dir| {
            let mut log = fs::read(wal(dir)).unwrap();
            log[torn.clone()].fill(0x5A);
            fs::write(wal(dir), log).unwrap();
        });
        let mut writer = Writer::open(broken.path()).unwrap();
        assert_eq!(writer.id(), id, "{torn:?}");
        assert!(set_aside(broken.path()).unwrap().is_empty() && writer.losses.is_empty());
        let offered = writer.offer(0, 100).unwrap();
        assert_eq!(offered.iter().map(|p| p.seq).collect::<Vec<_>>(), (11..=COUNT + 1).collect::<Vec<_>>());
    }
}

#[test]
fn commits_that_two_power_cuts_left_one_behind_the_other_are_no_damage() {
    let (dir, id) = killed();
    let log = fs::read(wal(dir.path())).unwrap();
    let mut commits = vec![Vec::new()];
    for frame in log[32..].chunks(24 + pages::SIZE) {
        commits.last_mut().unwrap().push(frame);
        if frame[4..8] != [0; 4] {
            commits.push(Vec::new());
        }
    }
    let first = commits.len() - 6;
    assert!(commits[first].len() > 1 && commits[first + 2].len() > 2);
    let broken = damaged(dir.path(), |dir| {
        let mut cut = log[..32].to_vec();
        commits[..first].concat().iter().for_each(|frame| cut.extend_from_slice(frame));
        let begin = cut.len();
        commits[first].iter().for_each(|frame| cut.extend_from_slice(frame));
        cut[begin + 24..begin + 1024].fill(0);
        // It does not go on from the one before it.
        commits[first + 2].iter().for_each(|frame| cut.extend_from_slice(frame));
        fs::write(wal(dir), cut).unwrap();
    });
    let mut writer = Writer::open(broken.path()).unwrap();
    assert_eq!(writer.id(), id);
    assert!(set_aside(broken.path()).unwrap().is_empty());
    let newest = writer.offer(0, 100).unwrap().last().map(|pending| pending.seq);
    assert_eq!(newest, Some(writer.committed()), "the commits before them are there");
}

#[test]
fn all_that_was_signed_for_is_known_to_be_though_the_outbox_is_long() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let many: Vec<Entry> = (1..=2000).map(|n| Entry { body: "\"n\":1}".to_owned(), ..entry(n) }).collect();
    writer.commit(&many).unwrap();
    writer.forget(&(1..=1990).collect::<Vec<_>>()).unwrap();
    writer.make_anew(&StoreError::Damaged { detail: "by this test".to_owned() }).unwrap();
    let waiting: Vec<u64> = writer.offer(0, 10_000).unwrap().iter().map(|pending| pending.seq).collect();
    assert_eq!(waiting, (1991..=2000).collect::<Vec<_>>());
}

fn spoil(dir: &Path) {
    let file = dir.join(NAME);
    let (first, _) = places(&file)[&12];
    File::options().write(true).open(file).unwrap().write_all_at(b"XXXX", first + 20).unwrap();
}

#[test]
fn damage_that_is_met_later_is_repaired_once_and_then_the_store_begins_empty() {
    let (dir, id) = killed();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.open = None;
    spoil(dir.path());
    let cause = writer.offer(0, 100).unwrap_err();
    assert!(matches!(cause, StoreError::Damaged { .. }), "{cause}");
    writer.make_anew(&cause).unwrap();
    assert_ne!(writer.id(), id);
    assert_eq!(writer.losses, [Dropped { ranges: vec![12..=12], messages: 1, why: Why::Damaged }]);
    let seqs = |writer: &mut Writer| writer.offer(0, 100).unwrap().iter().map(|p| p.seq).collect::<Vec<_>>();
    assert_eq!(seqs(&mut writer), [11].into_iter().chain(13..=COUNT).collect::<Vec<_>>());
    assert_eq!(writer.backlog().unwrap(), COUNT - 11);
    let first_aside = set_aside(dir.path()).unwrap();
    writer.make_anew(&cause).unwrap();
    assert!(seqs(&mut writer).is_empty());
    assert_eq!(writer.commit(&[entry(COUNT + 1)]).unwrap().newest, COUNT + 1, "no number is given twice");
    let second_aside = set_aside(dir.path()).unwrap();
    assert!(second_aside.len() <= 2, "one store and its log: {second_aside:?}");
    assert!(!first_aside.is_empty());
}

#[test]
fn what_is_not_a_database_at_all_is_set_aside_and_the_store_begins_empty() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(NAME), [0x5A; 20_000]).unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    assert_eq!(writer.offer(0, 9).unwrap(), []);
    let aside = set_aside(dir.path()).unwrap();
    assert_eq!(fs::read(&aside[0]).unwrap(), [0x5A; 20_000], "whole");
}

#[test]
fn a_salvage_that_was_cut_short_is_finished_or_done_again() {
    let (dir, id) = killed();
    // Cut while it was made.
    fs::write(dir.path().join(MAKING), "half").unwrap();
    assert_eq!(Writer::open(dir.path()).unwrap().id(), id);
    assert!(!dir.path().join(MAKING).exists());
    // Cut when it was complete, the old log aside already.
    let (dir, _) = killed();
    save(dir.path(), 0).unwrap();
    fs::rename(wal(dir.path()), dir.path().join(format!("{ASIDE}x-wal"))).unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    assert_ne!(writer.id(), id);
    assert_eq!(writer.offer(0, 100).unwrap().len() as u64, COUNT - 10);
    assert!(writer.slot_is_read("a", "live", "x", Timestamp::from_second(1_800_000_003).unwrap()).unwrap());
}

#[test]
fn what_was_learned_and_which_slots_are_read_are_saved_where_they_are_whole() {
    use crate::store::{Batch, Fact, Run, Scope, SlotNote, SlotState, Stand, look};
    let (dir, id) = killed();
    let fact = Fact { key: "delay".to_owned(), value: "80 ms".to_owned(), at: Timestamp::UNIX_EPOCH };
    let slot = Timestamp::from_second(1_800_000_001).unwrap();
    let note = SlotNote {
        meter: "a".to_owned(),
        task: "live".to_owned(),
        slot,
        state: SlotState::GivenUp,
        why: "its time passed".to_owned(),
        reason: None,
        tries: 3,
        registers: vec!["y".to_owned()],
        at: slot,
    };
    let run = Run {
        task: "live".to_owned(),
        slot,
        planned: 2,
        first: 1,
        read: 1,
        partly: 1,
        gone: 0,
        failed: BTreeMap::new(),
        began: slot,
        ended: Some(slot),
    };
    let stand = Stand {
        meter: "a".to_owned(),
        slot,
        address: "000000000001".to_owned(),
        value: "12.30".parse().unwrap(),
        ratio: None,
        quality: crate::reading::Quality::Good,
    };
    {
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.learn(Scope::Meter("a"), &fact).unwrap();
        writer.write(Batch { stands: std::slice::from_ref(&stand), ..Batch::default() }).unwrap();
        writer.note_slots(std::slice::from_ref(&note)).unwrap();
        writer.note_run(&run).unwrap();
    }
    spoil(dir.path());
    let mut writer = Writer::open(dir.path()).unwrap();
    // Damage in a text is met when it is read, not by SQLite.
    let cause = writer.offer(0, 100).unwrap_err();
    writer.make_anew(&cause).unwrap();
    assert_ne!(writer.id(), id);
    assert_eq!(writer.learned(Scope::Meter("a"), "delay").unwrap(), Some(fact));
    assert_eq!(writer.slot_notes("live", slot).unwrap(), [note]);
    assert_eq!(writer.runs("live", slot).unwrap(), [run]);
    assert_eq!(look(dir.path(), |look| look.stands(slot)).unwrap(), [stand]);
    for n in 1..=COUNT {
        let slot = Timestamp::from_second(1_800_000_000 + n.cast_signed()).unwrap();
        assert!(writer.slot_is_read("a", "live", "x", slot).unwrap());
    }
}

#[test]
fn a_file_that_lost_its_octets_is_set_aside_with_its_log_which_is_saved_from() {
    let (dir, id) = killed();
    let log = fs::read(wal(dir.path())).unwrap();
    for octets in [Some(0), Some(1), Some(99), None] {
        let broken = damaged(dir.path(), |dir| match octets {
            Some(octets) => {
                File::options().write(true).open(dir.join(NAME)).unwrap().set_len(octets).unwrap()
            }
            None => fs::remove_file(dir.join(NAME)).unwrap(),
        });
        let what = format!("{octets:?} octets");
        let mut writer = Writer::open(broken.path()).unwrap();
        assert_ne!(writer.id(), id, "{what}");
        let found = all(&mut writer);
        assert!(
            (COUNT / 2 + 1..=COUNT).filter(|seq| seq % 8 != 7).all(|seq| found.contains_key(&seq)),
            "{what}"
        );
        let aside = set_aside(broken.path()).unwrap();
        let aside = aside.iter().find(|path| path.to_string_lossy().ends_with("-wal"));
        assert!(aside.is_some_and(|path| fs::read(path).unwrap() == log), "{what}");
    }
}
