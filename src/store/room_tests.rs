use super::*;
use crate::config;
use crate::store::{Identity, SlotNote, SlotState, Wanted, Worth, Writer};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

const SLOT: i64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn message(n: u64, worth: Worth, slot: Option<i64>) -> Entry {
    Entry {
        topic: "em/gw/meter/a/data/live".to_owned(),
        body: format!(r#""n":"{n:08} {}"}}"#, "x".repeat(2000)),
        retain: false,
        worth,
        identity: slot.map(|slot| Identity {
            meter: format!("m{n}"),
            task: "live".to_owned(),
            slot: Timestamp::from_second(slot).unwrap(),
            registers: ["x".to_owned()].into(),
        }),
        notes: Vec::new(),
    }
}

type Told = Arc<Mutex<Vec<Dropped>>>;

/// A store with these rules that notes what it announces.
fn held_to(dir: &Path, rules: Rules) -> (Writer, Told) {
    let told = Told::default();
    let mut writer = Writer::open(dir).unwrap();
    writer.hold_to(rules);
    let note = Arc::clone(&told);
    writer.announce_by(Arc::new(move |dropped| {
        note.lock().unwrap().push(dropped.clone());
        Entry { body: "\"dropped\":1}".to_owned(), ..message(0, Worth::Event, None) }
    }));
    (writer, told)
}

fn small() -> Rules {
    Rules { max_bytes: config::Store::LEAST_BYTES, ..Rules::default() }
}

fn numbers(told: &Told) -> BTreeSet<u64> {
    told.lock().unwrap().iter().flat_map(|dropped| dropped.ranges.clone()).flatten().collect()
}

fn waiting(writer: &mut Writer) -> BTreeSet<u64> {
    writer.offer(0, usize::MAX).unwrap().into_iter().map(|pending| pending.seq).collect()
}

fn octets(dir: &Path) -> u64 {
    std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn the_files_stay_within_the_bound_and_every_number_waits_or_is_announced_as_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, told) = held_to(dir.path(), small());
    for batch in 0..150 {
        let slot = SLOT + 60 * batch;
        let batch: Vec<_> = (0..100).map(|n| message(n, Worth::Live, Some(slot))).collect();
        writer.commit(&batch).unwrap();
        assert!(octets(dir.path()) <= small().max_bytes, "{} octets", octets(dir.path()));
    }
    let (gone, waiting) = (numbers(&told), waiting(&mut writer));
    assert!(gone.len() > 5000 && waiting.len() > 1500, "{} gone, {} there", gone.len(), waiting.len());
    assert!(gone.is_disjoint(&waiting));
    assert_eq!(
        gone.len() + waiting.len(),
        usize::try_from(writer.committed()).unwrap(),
        "none is unaccounted for"
    );
    let all = writer.offer(0, usize::MAX).unwrap();
    let oldest = all.iter().find(|pending| !pending.body.starts_with("\"dropped\"")).unwrap().seq;
    assert!(gone.iter().all(|seq| *seq < oldest), "the oldest went");
    assert_eq!(writer.backlog().unwrap(), waiting.len() as u64);
    let told = told.lock().unwrap();
    assert!(told.len() < 150, "not one for each commit: {}", told.len());
    assert!(told.iter().all(|dropped| dropped.why == Why::Space));
    assert_eq!(told.iter().map(|dropped| dropped.messages).sum::<u64>(), gone.len() as u64);
    let state = writer.state().unwrap();
    assert!(state.bytes <= state.max_bytes - LOG_BYTES && state.oldest.is_some(), "{state:?}");
}

#[test]
fn what_was_signed_for_goes_first_then_live_data_then_events_and_settlement_data_last() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, told) = held_to(dir.path(), small());
    let store = |writer: &mut Writer, worth, count: u64| {
        let first = writer.committed() + 1;
        for n in 0..count.div_ceil(100) {
            let batch: Vec<_> = (0..100).map(|m| message(100 * n + m, worth, None)).collect();
            writer.commit(&batch).unwrap();
        }
        first..=writer.committed()
    };
    let settlement = store(&mut writer, Worth::Settlement, 400);
    let events = store(&mut writer, Worth::Event, 300);
    let live = store(&mut writer, Worth::Live, 300);
    let signed = store(&mut writer, Worth::Settlement, 600);
    writer.forget(&signed.clone().collect::<Vec<_>>()).unwrap();
    let left = |writer: &mut Writer, range: &std::ops::RangeInclusive<u64>| {
        writer.resend(&Wanted::Seq(range.clone()), 0, usize::MAX).unwrap().len() as u64
    };
    let mut order = Vec::new();
    for _ in 0..60 {
        store(&mut writer, Worth::Settlement, 100);
        let now = [&signed, &live, &events, &settlement].map(|range| left(&mut writer, range));
        // Nothing goes while something of less worth is there.
        let full = [&signed, &live, &events, &settlement].map(|range| range.clone().count() as u64);
        for later in 1..4 {
            assert!(
                now[later] == full[later] || now[..later].iter().all(|left| *left == 0),
                "{now:?} of {full:?}"
            );
        }
        order.push(now);
        if now[0] > 0 {
            assert!(told.lock().unwrap().is_empty(), "what was signed for is nobody's loss");
        }
    }
    assert!(order.first().unwrap()[0] > 0 && order.last().unwrap()[2] == 0, "{order:?}");
    assert!(numbers(&told).is_superset(&live.collect()));
}

#[test]
fn knowledge_of_old_slots_makes_room_before_anything_that_nobody_signed_for() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, told) = held_to(dir.path(), small());
    let tiny =
        |n: u64, slot: i64| Entry { body: "\"n\":1}".to_owned(), ..message(n, Worth::Live, Some(slot)) };
    // Of old slots only their knowledge is left.
    writer.hold_to(Rules { keep: Duration::ZERO, ..small() });
    for hour in 0..200 {
        let batch: Vec<_> = (0..500).map(|n| tiny(n, SLOT + 3600 * hour)).collect();
        let newest = writer.commit(&batch).unwrap().newest;
        writer.forget(&(newest - 499..=newest).collect::<Vec<_>>()).unwrap();
    }
    let noted = |hour: i64| {
        let (meter, task, why) = ("m0".to_owned(), "live".to_owned(), String::new());
        let slot = Timestamp::from_second(SLOT + 3600 * hour).unwrap();
        let (state, registers) = (SlotState::Settled, Vec::new());
        SlotNote { meter, task, slot, state, why, reason: None, tries: 1, registers, at: slot }
    };
    let since = Timestamp::from_second(SLOT).unwrap();
    writer.note_slots(&[noted(50), noted(199)]).unwrap();
    let now = SLOT + 200 * 3600;
    for n in 0..60 {
        let batch: Vec<_> = (0..100).map(|m| message(100 * n + m, Worth::Live, Some(now))).collect();
        writer.commit(&batch).unwrap();
        if writer.knows("m0", "live", Timestamp::from_second(SLOT + 3600 * 50).unwrap()).unwrap() {
            assert!(told.lock().unwrap().is_empty());
        }
    }
    assert!(!told.lock().unwrap().is_empty());
    assert!(!writer.knows("m0", "live", Timestamp::from_second(SLOT + 3600 * 150).unwrap()).unwrap());
    let lately = Timestamp::from_second(SLOT + 3600 * 199).unwrap();
    assert!(writer.knows("m0", "live", lately).unwrap(), "of the last two days all is known");
    assert_eq!(writer.slot_notes("live", since).unwrap(), [noted(199)]);
}

#[test]
fn what_waits_too_long_is_dropped_and_announced() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules { max_age: Duration::from_secs(64 * 3600), ..Rules::default() };
    let (mut writer, told) = held_to(dir.path(), rules);
    for hour in 0..64 {
        writer.commit(&[message(hour, Worth::Live, Some(SLOT + 3600 * hour.cast_signed()))]).unwrap();
    }
    writer.commit(&[message(64, Worth::Live, Some(SLOT + 65 * 3600))]).unwrap();
    assert!(told.lock().unwrap().is_empty(), "not yet");
    writer.commit(&[message(65, Worth::Live, Some(SLOT + 66 * 3600))]).unwrap();
    let expected = [Dropped { ranges: vec![1..=2], messages: 2, why: Why::Age }];
    assert_eq!(*told.lock().unwrap(), expected);
    assert_eq!(waiting(&mut writer), (3..=67).collect());
    assert_eq!(writer.backlog().unwrap(), 65);
}

#[test]
fn what_was_signed_for_can_be_asked_for_again_by_number_and_by_time_until_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, told) =
        held_to(dir.path(), Rules { keep: Duration::from_secs(DAY), ..Rules::default() });
    writer.set_now(Timestamp::from_second(SLOT + 90).unwrap());
    let slots = [0, 60, 60, 120].map(|after| SLOT + after);
    let batch: Vec<_> = slots.iter().zip(0..).map(|(slot, n)| message(n, Worth::Live, Some(*slot))).collect();
    writer.commit(&batch).unwrap();
    writer.set_now(Timestamp::from_second(SLOT + 150).unwrap());
    writer.commit(&[message(9, Worth::Event, None)]).unwrap();
    writer.forget(&[1, 2, 5]).unwrap();
    let mut seqs = |wanted: Wanted, after, limit| {
        writer.resend(&wanted, after, limit).unwrap().iter().map(|p| p.seq).collect::<Vec<_>>()
    };
    let at = |after: i64| Timestamp::from_second(SLOT + after).unwrap();
    assert_eq!(seqs(Wanted::Seq(0..=u64::MAX), 0, 99), [1, 2, 3, 4, 5]);
    assert_eq!(seqs(Wanted::Seq(2..=4), 2, 1), [3]);
    assert_eq!(seqs(Wanted::Time(at(60)..=at(60)), 0, 99), [2, 3]);
    assert_eq!(seqs(Wanted::Time(at(60)..=at(150)), 2, 2), [3, 4]);
    assert_eq!(seqs(Wanted::Time(at(150)..=at(150)), 0, 99), [5], "an event by when it was stored");
    assert_eq!(seqs(Wanted::Time(at(151)..=at(999)), 0, 99), Vec::<u64>::new());
    assert_eq!(waiting(&mut writer), [3, 4].into());
    writer.commit(&[message(10, Worth::Live, Some(SLOT + 151 + DAY.cast_signed()))]).unwrap();
    let left = writer.resend(&Wanted::Seq(0..=u64::MAX), 0, 99).unwrap();
    assert_eq!(left.iter().map(|p| p.seq).collect::<Vec<_>>(), [3, 4, 6], "what nobody signed for waits on");
    assert!(told.lock().unwrap().is_empty());
}
