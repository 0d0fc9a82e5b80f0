use super::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
}

const WHOLE: Pass = Pass { first: true, came: Came::Whole };
const SILENT: Pass = Pass { first: true, came: Came::None(Reason::Silent) };
const LATER: Pass = Pass { first: false, came: Came::Whole };

/// Of a run: first, read, partly, gone, missing, and whether its first pass is over.
fn numbers(round: &Round) -> (usize, usize, usize, usize, usize, bool) {
    let kept = round.kept.unwrap();
    (kept.first, round.read, round.partly, kept.gone, round.planned - round.read - kept.gone, round.is_over())
}

fn all(rounds: &[Round]) -> Vec<(Timestamp, usize, usize)> {
    rounds.iter().map(|round| (round.slot, round.kept.unwrap().first, round.read)).collect()
}

#[test]
fn a_run_is_told_as_it_begins_after_its_first_pass_and_whenever_backfill_changed_it() {
    let mut rounds = Rounds::default();
    let mut kept = |meter: &str, came, minute| rounds.kept("daily", 4, meter, at(0), came, at(minute));
    let begins = kept("a", WHOLE, 5);
    assert_eq!(begins.iter().map(numbers).collect::<Vec<_>>(), [(1, 1, 0, 0, 3, false)]);
    assert!(begins[0].failed.is_empty(), "nobody has failed yet");
    assert_eq!(kept("b", Pass { first: true, came: Came::Partly(Reason::Refused) }, 6), []);
    assert_eq!(kept("c", SILENT, 7), []);
    assert_eq!(kept("c", SILENT, 7), [], "one that reports twice counts once");
    let over = kept("d", SILENT, 8);
    assert_eq!(over.iter().map(numbers).collect::<Vec<_>>(), [(1, 1, 1, 0, 3, true)]);
    assert_eq!(over[0].failed, BTreeMap::from([(Reason::Silent, 2)]));
    let Kept { began, ended, .. } = over[0].kept.unwrap();
    assert_eq!((began, ended), (at(5), Some(at(8))));
    assert_eq!(rounds.settle(at(9)), [], "nothing came since");
    let mut kept = |meter: &str, came, minute| rounds.kept("daily", 4, meter, at(0), came, at(minute));
    assert_eq!(kept("b", LATER, 30), []);
    assert_eq!(kept("c", Pass { first: false, came: Came::Gone }, 31), []);
    assert_eq!(
        kept("a", Pass { first: false, came: Came::None(Reason::Silent) }, 31),
        [],
        "what is read stays so"
    );
    let settled = rounds.settle(at(32));
    assert_eq!(settled.iter().map(numbers).collect::<Vec<_>>(), [(1, 2, 0, 1, 1, true)]);
    assert_eq!(settled[0].failed, BTreeMap::from([(Reason::Silent, 1)]));
    assert_eq!(settled[0].kept.unwrap().ended, Some(at(8)), "the first pass was over long ago");
    assert_eq!(rounds.settle(at(33)), []);
}

#[test]
fn what_a_meter_sent_in_part_is_not_forgotten_when_it_is_silent_later() {
    let mut rounds = Rounds::default();
    let partly = Pass { first: true, came: Came::Partly(Reason::Damaged) };
    rounds.kept("daily", 1, "a", at(0), partly, at(5));
    rounds.kept("daily", 1, "a", at(0), Pass { first: false, ..SILENT }, at(30));
    assert_eq!(rounds.settle(at(31)).iter().map(numbers).collect::<Vec<_>>(), [(0, 0, 1, 0, 1, true)]);
}

#[test]
fn the_newest_run_is_told_last_even_if_only_an_older_one_changed() {
    let mut rounds = Rounds::default();
    for slot in 0..2 {
        rounds.kept("daily", 2, "a", at(slot), WHOLE, at(5));
        rounds.kept("daily", 2, "b", at(slot), SILENT, at(6));
    }
    rounds.kept("daily", 2, "a", at(2), WHOLE, at(7));
    rounds.kept("daily", 2, "b", at(0), LATER, at(30));
    assert_eq!(all(&rounds.settle(at(31))), [(at(0), 1, 2), (at(1), 1, 1)], "that of slot 2 is not over");
}

#[test]
fn a_first_pass_that_a_bus_says_nothing_of_is_over_when_a_later_one_is() {
    let mut rounds = Rounds::default();
    rounds.kept("hourly", 2, "a", at(0), WHOLE, at(1));
    rounds.kept("hourly", 2, "a", at(60), WHOLE, at(61));
    let over = rounds.kept("hourly", 2, "b", at(60), WHOLE, at(62));
    assert_eq!(all(&over), [(at(0), 1, 1), (at(60), 2, 2)]);
    assert_eq!(over[0].failed, BTreeMap::from([(Reason::Expired, 1)]));
    rounds.kept("hourly", 2, "b", at(0), LATER, at(63));
    let settled = rounds.settle(at(64));
    assert_eq!(all(&settled), [(at(0), 1, 2), (at(60), 2, 2)]);
    assert!(settled[0].failed.is_empty(), "it has reported now");
}

#[test]
fn a_few_newest_runs_are_followed_and_older_ones_are_left_to_the_store() {
    let mut rounds = Rounds::default();
    let slots = i64::try_from(FOLLOWED).unwrap();
    for slot in 0..slots {
        rounds.kept("daily", 2, "a", at(slot), WHOLE, at(slot));
    }
    let told = rounds.kept("daily", 2, "a", at(slots), WHOLE, at(99));
    assert_eq!(
        all(&told),
        [(at(0), 1, 1), (at(slots), 1, 1)],
        "the oldest is kept as it is, the newest begins"
    );
    assert!(told[0].failed.is_empty() && !told[0].is_over(), "who was not asked yet has not failed");
    assert_eq!(rounds.kept("daily", 2, "b", at(0), LATER, at(100)), []);
    assert_eq!(rounds.settle(at(101)), []);
    assert_eq!(all(&rounds.kept("other", 1, "a", at(0), WHOLE, at(102))), [(at(0), 1, 1)]);
}

#[test]
fn the_numbers_of_a_run_go_on_after_a_restart() {
    let mut before = Rounds::default();
    let begun = before.kept("daily", 3, "a", at(0), WHOLE, at(5))[0].run().unwrap();
    // In the middle of the first pass.
    let mut after = Rounds::default();
    after.resume(&begun, [("a".to_owned(), WHOLE)]);
    assert_eq!(after.settle(at(6)), []);
    after.kept("daily", 3, "b", at(0), SILENT, at(7));
    let over = after.kept("daily", 3, "c", at(0), WHOLE, at(8));
    assert_eq!(over.iter().map(numbers).collect::<Vec<_>>(), [(2, 2, 0, 0, 1, true)]);
    assert_eq!(over[0].kept.unwrap().began, at(5));
    // Behind it, with a meter that was read before the end and not told.
    let told = over[0].run().unwrap();
    let known = |b| [("a".to_owned(), WHOLE), ("b".to_owned(), b), ("c".to_owned(), WHOLE)];
    let mut same = Rounds::default();
    same.resume(&told, known(SILENT));
    assert_eq!(same.settle(at(40)), []);
    let mut later = Rounds::default();
    later.resume(&told, known(LATER));
    assert_eq!(later.settle(at(40)).iter().map(numbers).collect::<Vec<_>>(), [(2, 3, 0, 0, 0, true)]);
}
