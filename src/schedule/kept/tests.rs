use super::*;
use crate::config::{MonthDay, OnDay};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn own(meter: usize, class: Option<Class>) -> Own {
    Own { meter, class, since: None }
}

fn daily(task: usize, meters: Vec<Own>) -> Kept {
    let when = When::Daily(vec![Time::constant(0, 5, 0, 0)]);
    let slots = Slots::of(&when, Read::DailyFreeze, zone());
    Kept { task, read: Read::DailyFreeze, slots, priority: 5, window: None, days: 3, meters }
}

fn hourly(task: usize, meters: Vec<Own>) -> Kept {
    let slots = Slots::of(&When::Every(std::time::Duration::from_secs(3600)), Read::LoadProfile, zone());
    Kept { read: Read::LoadProfile, slots, ..daily(task, meters) }
}

/// Slots of one task over meters 0, 1, …, with nothing left by earlier runs.
fn kept(tasks: Vec<Kept>) -> KeptSlots {
    let mut kept = KeptSlots::new(zone(), Past::default());
    tasks.into_iter().for_each(|task| kept.add(task));
    kept
}

/// Settles all that is due, and gives it in its order: meter and slot.
fn drain(kept: &mut KeptSlots, now: Timestamp) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    while let Some((errand, ..)) = kept.next(now) {
        for wanted in errand.slots {
            kept.done((errand.task, errand.meter, wanted.slot), Came::Over);
            all.push((errand.meter, wanted.slot.to_string()));
        }
    }
    all
}

#[test]
fn a_gateway_that_is_new_reads_the_last_midnight_first_and_then_three_days_back() {
    let mut slots = kept(vec![daily(0, vec![own(0, None), own(1, None)])]);
    let now = at("2026-11-21T14:00:00+08:00");
    assert_eq!(slots.open(now), []);
    let slot = |meter, day| (meter, format!("2026-11-{day}T16:00:00Z"));
    let first = [slot(0, 20), slot(1, 20)];
    let rest = [19, 18, 17].map(|day| [slot(0, day), slot(1, day)]).concat();
    assert_eq!(drain(&mut slots, now), [&first[..], &rest].concat());
    assert_eq!(slots.not_before(now), Some(at("2026-11-22T00:05:00+08:00")));
}

#[test]
fn what_the_first_pass_does_not_bring_is_fetched_at_half_past_one_two_and_six_and_then_hourly() {
    let mut slots = kept(vec![daily(0, vec![own(0, None)])]);
    let run = at("2026-11-21T00:05:00+08:00");
    slots.open(run);
    drain(&mut slots, run);
    let run = at("2026-11-22T00:05:00+08:00");
    slots.open(run);
    let mut tries = Vec::new();
    let mut now = run;
    while now < at("2026-11-23T00:00:00+08:00") {
        slots.open(now);
        while let Some((errand, ..)) = slots.next(now) {
            let wanted = errand.slots[0];
            tries.push((
                now.to_zoned(zone()).strftime("%H:%M").to_string(),
                wanted.is_first,
                wanted.is_backfill,
            ));
            slots.done((0, 0, wanted.slot), Came::Missing(None));
        }
        now = slots.not_before(now).unwrap();
    }
    let times: Vec<&str> = tries.iter().map(|(time, ..)| time.as_str()).collect();
    assert_eq!(times[..7], ["00:05", "00:30", "01:00", "02:00", "06:00", "07:40", "08:40"]);
    assert_eq!((times.len(), *times.last().unwrap()), (21, "22:40"));
    assert!(tries.iter().all(|(time, first, backfill)| (time == "00:05") == *first && *first != *backfill));
}

#[test]
fn after_a_night_without_the_gateway_every_hour_is_fetched_and_none_twice() {
    let mut slots = kept(vec![hourly(0, vec![own(0, None)])]);
    let before = at("2026-11-21T20:05:00+08:00");
    slots.open(before);
    drain(&mut slots, before);
    let back = at("2026-11-22T07:10:00+08:00");
    slots.open(back);
    let errand = slots.next(back).unwrap().0;
    let hours: Vec<Timestamp> = errand.slots.iter().map(|wanted| wanted.slot).collect();
    assert_eq!((hours.len(), hours[0]), (11, at("2026-11-21T21:00:00+08:00")));
    assert_eq!(errand.slots.iter().filter(|wanted| !wanted.is_backfill).count(), 1, "the newest is on time");
    drain(&mut slots, back);
    slots.open(back);
    slots.open(at("2026-11-21T22:00:00+08:00"));
    assert_eq!(slots.next(back), None, "a clock that goes back opens nothing");
    // An hour's record is asked for five minutes after it.
    assert_eq!(slots.not_before(back), Some(at("2026-11-22T08:05:00+08:00")));
}

#[test]
fn what_earlier_runs_settled_is_not_read_again_and_what_they_began_is_finished() {
    let slot = |day| at(&format!("2026-11-{day}T00:00:00+08:00"));
    let mut past = Past::default();
    past.is_settled(0, 0, slot(19));
    past.is_settled(0, 0, slot(20));
    past.is_missing(0, 0, slot(20), (Some(Arc::from([])), 4));
    past.is_settled(0, 0, slot(21));
    let mut slots = KeptSlots::new(zone(), past);
    slots.add(daily(0, vec![own(0, None)]));
    let now = at("2026-11-21T09:00:00+08:00");
    slots.open(now);
    let (errand, ..) = slots.next(now).unwrap();
    assert_eq!((errand.slots[0].slot, errand.slots[0].tries, errand.slots[0].is_first), (slot(20), 4, false));
    assert_eq!(errand.missing.as_deref(), Some(&[][..]), "of which only some registers are missing");
    assert_eq!(drain(&mut slots, now).len(), 2, "and the 18th, of which nothing is known");
}

#[test]
fn key_meters_go_before_totals_and_these_before_all_others() {
    let meters = [(0, None), (1, Some(Class::Total)), (2, Some(Class::Household)), (3, Some(Class::Key))];
    let mut slots = kept(vec![daily(0, meters.map(|(meter, class)| own(meter, class)).to_vec())]);
    let run = at("2026-11-21T00:05:00+08:00");
    slots.open(run);
    let order: Vec<usize> = drain(&mut slots, run).into_iter().map(|(meter, _)| meter).take(4).collect();
    assert_eq!(order, [3, 1, 0, 2]);
}

#[test]
fn a_meter_without_a_freeze_is_read_at_midnight_itself_and_again_while_it_can_be() {
    let mut slots = kept(vec![daily(0, vec![own(0, None), own(1, None)])]);
    slots.has_no_freeze(1, true);
    let before = at("2026-11-20T23:00:00+08:00");
    slots.open(before);
    drain(&mut slots, before);
    assert_eq!(slots.not_before(before), Some(at("2026-11-21T00:00:00+08:00")));
    let mut asked = Vec::new();
    let mut now = at("2026-11-21T00:00:00+08:00");
    while now < at("2026-11-21T00:20:00+08:00") {
        slots.open(now);
        while let Some((errand, ..)) = slots.next(now) {
            let is_backfill = errand.slots[0].is_backfill;
            asked.push((now.to_zoned(zone()).strftime("%H:%M").to_string(), errand.meter, is_backfill));
            slots.done((0, errand.meter, errand.slots[0].slot), Came::Missing(None));
        }
        now = slots.not_before(now).unwrap();
    }
    let expected = [
        ("00:00", 1, false),
        ("00:05", 1, false),
        ("00:05", 0, false),
        ("00:10", 1, false),
        ("00:16", 1, true),
    ];
    assert_eq!(asked, expected.map(|(time, meter, late)| (time.to_owned(), meter, late)));
}

#[test]
fn a_meter_that_is_back_is_asked_at_once_but_not_without_end() {
    let mut slots = kept(vec![daily(0, vec![own(0, None)])]);
    let run = at("2026-11-21T00:05:00+08:00");
    slots.open(run);
    assert_eq!(slots.postpone(0, 0).len(), 4);
    assert_eq!(slots.postpone(0, 0), [], "of what was said nobody is told again");
    assert_eq!(slots.next(run), None);
    for _ in 0..3 {
        slots.back(Some(0));
        let (errand, ..) = slots.next(run).unwrap();
        assert!(errand.slots[0].is_backfill, "its first pass is over");
        slots.postpone(0, 0);
    }
    slots.back(None);
    assert_eq!(slots.next(run), None);
    slots.open(at("2026-11-21T00:30:00+08:00"));
    assert!(slots.next(run).is_some(), "the next pass comes");
}

#[test]
fn a_slot_is_given_up_when_its_days_are_over() {
    let mut slots = kept(vec![daily(0, vec![own(0, None)])]);
    let day = |day| at(&format!("2026-11-{day}T00:05:00+08:00"));
    slots.open(day(21));
    drain(&mut slots, day(21));
    let mut given_up = Vec::new();
    for n in 22..=26 {
        given_up.extend(slots.open(day(n)).into_iter().map(|gone| (n, gone)));
        slots.postpone(0, 0);
    }
    let slot = at("2026-11-22T00:00:00+08:00");
    assert_eq!(given_up, [(26, GivenUp { task: 0, meter: 0, slots: vec![(slot, 0)], is_exchanged: false })]);
}

#[test]
fn a_month_is_fetched_as_long_as_it_runs() {
    let when = When::Monthly(vec![OnDay { day: MonthDay::Nth(1), time: Time::constant(0, 5, 0, 0) }]);
    let slots = Slots::of(&when, Read::Month, zone());
    let mut slots = kept(vec![Kept { read: Read::Month, slots, ..daily(0, vec![own(0, None)]) }]);
    let now = at("2026-11-21T14:00:00+08:00");
    slots.open(now);
    assert_eq!(drain(&mut slots, now), [(0, "2026-10-31T16:00:00Z".to_owned())]);
    let mut slots_of_2nd = slots;
    let second = at("2026-12-02T14:00:00+08:00");
    slots_of_2nd.open(second);
    assert_eq!(drain(&mut slots_of_2nd, second), [(0, "2026-11-30T16:00:00Z".to_owned())]);
}

#[test]
fn outside_its_window_a_task_waits() {
    let window = Some((Time::constant(22, 0, 0, 0), Time::constant(6, 0, 0, 0)));
    let mut slots = kept(vec![Kept { window, ..daily(0, vec![own(0, None)]) }]);
    let now = at("2026-11-21T14:00:00+08:00");
    slots.open(now);
    assert_eq!(slots.next(now), None);
    assert_eq!(slots.not_before(now), Some(at("2026-11-21T14:40:00+08:00")), "the pass that comes first");
    let late = at("2026-11-21T22:00:00+08:00");
    slots.open(late);
    assert_eq!(drain(&mut slots, late).len(), 4);
}

#[test]
fn what_is_missing_stays_missing_under_another_configuration() {
    let mut slots = kept(vec![daily(0, vec![own(0, None), own(1, None)])]);
    let now = at("2026-11-21T14:00:00+08:00");
    slots.open(now);
    let slot = at("2026-11-21T00:00:00+08:00");
    slots.done((0, 1, slot), Came::Missing(None));
    // Meter 0 is gone, one came before the other, and so did a task.
    let task = daily(1, vec![own(0, None), own(1, None)]);
    let adopted = Adopted { kept: task, before: Some(0) };
    let to = |meter| (meter == 1).then_some(1);
    assert_eq!(slots.adopt(vec![adopted], to, BTreeMap::new(), Past::default(), |_| false), []);
    slots.open(now);
    slots.back(Some(1));
    let all = drain(&mut slots, now);
    assert_eq!(all.iter().filter(|(meter, _)| *meter == 1).count(), 4, "the tried one and three days");
    assert_eq!(
        all.iter().filter(|(meter, _)| *meter == 0).count(),
        4,
        "a new meter begins as with a new gateway"
    );
}

#[test]
fn what_another_meter_has_frozen_before_it_hung_there_is_not_the_points() {
    let now = at("2026-11-21T14:00:00+08:00");
    let days = [18, 19, 20, 21].map(|day| at(&format!("2026-11-{day}T00:00:00+08:00")));
    let all = |days: &[Timestamp]| GivenUp {
        task: 0,
        meter: 0,
        slots: days.iter().map(|day| (*day, 0)).collect(),
        is_exchanged: true,
    };
    // While the gateway runs.
    let mut slots = kept(vec![daily(0, vec![own(0, None)])]);
    slots.open(now);
    slots.done((0, 0, days[3]), Came::Over);
    let adopted = Adopted { kept: daily(0, vec![own(0, None)]), before: Some(0) };
    let given_up = slots.adopt(vec![adopted], Some, BTreeMap::new(), Past::default(), |_| true);
    assert_eq!(given_up, [all(&days[..3])]);
    slots.open(now);
    assert_eq!(slots.next(now), None);
    // While it was away.
    let mut past = Past::default();
    past.exchange(0);
    past.is_settled(0, 0, days[0]);
    let mut slots = KeptSlots::new(zone(), past);
    slots.add(daily(0, vec![own(0, None)]));
    assert_eq!(slots.open(now), [all(&days[1..])]);
    assert_eq!(slots.next(now), None);
    let next = at("2026-11-22T00:05:00+08:00");
    slots.open(next);
    assert_eq!(drain(&mut slots, next), [(0, "2026-11-21T16:00:00Z".to_owned())]);
}

#[test]
fn a_slot_of_which_the_run_was_missed_is_backfilled_when_it_is_read() {
    let meters = || vec![own(0, None)];
    for (now, is_first) in [("00:06", true), ("00:14", true), ("00:16", false), ("07:00", false)] {
        let mut slots = kept(vec![daily(0, meters())]);
        slots.open(at("2026-11-20T23:00:00+08:00"));
        drain(&mut slots, at("2026-11-20T23:00:00+08:00"));
        let now = at(&format!("2026-11-21T{now}:00+08:00"));
        slots.open(now);
        let wanted = slots.next(now).unwrap().0.slots[0];
        assert_eq!((wanted.is_first, wanted.is_backfill), (is_first, !is_first), "{now}");
    }
}
