//! The ledger sees what is wrong: one message of a sound day is changed, and is counted.

use crate::fleet::{self, OnBus};
use crate::held::{Held, Task, digits, held};
use crate::ledger::{Account, Ledger, day_closed};
use crate::nights::Nights;
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use meterd::event::Passed;
use meterd::mqtt::payload::{Body, GapJson};
use meterd::reading::Source;
use meterd::simulator::{MeterSettings, Refreeze, VirtualMeter};

fn midnight() -> Timestamp {
    fleet::midnight(date(2026, 11, 21))
}

/// One meter, which was without power at the second midnight and froze nothing for it.
fn one() -> Vec<OnBus> {
    let mut settings = MeterSettings::household("1".parse().unwrap());
    (settings.energy, settings.memory.refreeze) = (1_234_567, Refreeze::None);
    let night = date(2026, 11, 21).at(23, 0, 0, 0);
    settings.memory.power_cuts = vec![(night, night.saturating_add(SignedDuration::from_mins(90)))];
    vec![OnBus { name: "new-0".to_owned(), bus: 0, meter: VirtualMeter::new(settings, 1) }]
}

/// What a gateway would say of a slot; nothing where the meter holds nothing.
fn said(of: &OnBus, task: Task, slot: Timestamp) -> Option<Body> {
    let Held::Kept(kept) = held(of, task, slot) else { return None };
    let reading = |register: &&str| {
        let value = digits(of, register, kept.taken).unwrap();
        let taken = slot + SignedDuration::from_mins(6);
        format!(
            r#"{{"register":"{register}","di":"00000000","value":{value},"quality":"good","taken_at":"{taken}"}}"#
        )
    };
    let readings = task.registers().iter().map(reading).collect::<Vec<_>>().join(",");
    let day = (task != Task::Profile).then(|| day_closed(slot));
    let text = format!(
        r#"{{"gateway":"gw","meter":"{}","address":"1","archive":"a","task":"{}","source":"present","slot":"{slot}",
            "day":null,"meter_time":null,"clock_offset_s":null,"backfilled":false,"readings":[{readings}],"failures":[]}}"#,
        of.name,
        task.name(),
    );
    let body: Body = serde_json::from_str(&text).unwrap();
    let meter_time = kept.stamp.map(|at| at.strftime("%Y-%m-%dT%H:%M").to_string());
    Some(Body { source: kept.source, day, meter_time, ..body })
}

fn gap(task: Task, first: Timestamp, until: Timestamp) -> GapJson {
    let (first, until) = (first.to_string(), until.to_string());
    let source = Source::DailyFreeze;
    GapJson { task: task.name().to_owned(), source, first, until, reason: Passed::NotHeld, detail: None }
}

/// The account of two midnights and the 25 hours from the first on, each message as `change` leaves it.
fn account(mut change: impl FnMut(usize, Body) -> Vec<Body>, gaps: &[(Task, i64, i64)]) -> Account {
    let (fleet, nights) = (one(), Nights::default());
    let end = midnight() + SignedDuration::from_hours(25);
    let mut ledger = Ledger::new(&fleet, &nights, (midnight(), end));
    let days = [0, 24].map(|hours| (Task::Day, hours));
    let hours = (0..25).map(|hours| (Task::Profile, hours));
    let all = days
        .into_iter()
        .chain(hours)
        .filter_map(|(task, hours)| said(&fleet[0], task, midnight() + SignedDuration::from_hours(hours)));
    let mut seq = 0;
    for body in all.enumerate().flat_map(|(n, body)| change(n, body)) {
        seq += 1;
        ledger.data(seq, &body);
    }
    for (task, from, to) in gaps {
        let at = |hours: &i64| midnight() + SignedDuration::from_hours(*hours);
        ledger.gap("new-0", &gap(*task, at(from), at(to)));
    }
    ledger.account()
}

/// The second midnight, and the hours from 23 on.
const DARK: [(Task, i64, i64); 2] = [(Task::Day, 24, 48), (Task::Profile, 23, 25)];

fn counts(account: &Account) -> (usize, usize, usize, usize) {
    (account.delivered, account.announced, account.lost.len(), account.wrong.len())
}

#[test]
fn a_sound_day_is_delivered_and_what_no_meter_held_is_announced() {
    let sound = account(|_, body| vec![body], &DARK);
    assert_eq!((sound.planned, counts(&sound)), (27, (24, 3, 0, 0)), "{sound:#?}");
    let line = "slots: 27 planned, 24 delivered, 0 of them backfilled, 3 announced, 0 lost, 0 wrong";
    assert_eq!(sound.to_string(), line);
}

#[test]
fn one_wrong_message_is_counted() {
    type Change = fn(&mut Body);
    let changes: [(&str, Change); 8] = [
        ("a digit", |body| body.readings[0].value = serde_json::from_str("12345.00").ok()),
        ("a day", |body| body.day = Some("2026-11-21".to_owned())),
        ("a stamp", |body| body.meter_time = Some("2026-11-21T00:01".to_owned())),
        ("a source", |body| body.source = Source::HourlyFreeze),
        ("a quality", |body| body.readings[1].quality = meterd::reading::Quality::Suspect),
        ("a late one", |body| body.readings[1].taken_at = "2026-11-22T03:00:00+08:00".to_owned()),
        ("no slot", |body| body.slot = "2026-11-21T00:30:00+08:00".to_owned()),
        ("no meter", |body| body.meter = "new-1".to_owned()),
    ];
    for (what, change) in changes {
        let falsified = account(
            |n, mut body| {
                if n == 0 {
                    change(&mut body);
                }
                vec![body]
            },
            &DARK,
        );
        assert!(!falsified.wrong.is_empty(), "{what}");
    }
}

#[test]
fn a_value_under_the_slot_beside_its_own_is_wrong_and_its_own_is_lost() {
    let falsified = account(
        |n, mut body| {
            if n == 5 {
                body.slot =
                    (body.slot.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(1)).to_string();
            }
            vec![body]
        },
        &DARK,
    );
    // The stamp, both values, and both doubled by the hour's own.
    assert_eq!((falsified.lost.len(), falsified.wrong.len() >= 3), (1, true), "{falsified:#?}");
}

#[test]
fn what_is_missing_doubled_or_invented_is_counted() {
    let missing = account(|n, body| if n == 3 { Vec::new() } else { vec![body] }, &DARK);
    assert_eq!(counts(&missing), (23, 3, 1, 0));
    let half = account(
        |n, mut body| {
            if n == 3 {
                body.readings.pop();
            }
            vec![body]
        },
        &DARK,
    );
    assert_eq!(counts(&half), (23, 3, 1, 0), "a register is missing");
    let doubled = account(|n, body| if n == 3 { vec![body.clone(), body] } else { vec![body] }, &DARK);
    assert_eq!(counts(&doubled), (24, 3, 0, 2), "both registers");
    let invented = account(
        |n, body| {
            let mut all = vec![body.clone()];
            if n == 3 {
                let slot = (midnight() + SignedDuration::from_hours(23)).to_string();
                all.push(Body { slot, ..body });
            }
            all
        },
        &DARK[..1],
    );
    assert_eq!((invented.wrong.len(), invented.lost.len()), (1, 1), "{invented:#?}");
}

#[test]
fn a_gap_of_what_the_meter_holds_is_wrong_and_one_that_nobody_announces_is_lost() {
    let unknown = account(|_, body| vec![body], &DARK[..1]);
    assert_eq!(counts(&unknown), (24, 1, 2, 0));
    let given_up = account(
        |n, body| if n == 3 { Vec::new() } else { vec![body] },
        &[DARK[0], DARK[1], (Task::Profile, 2, 3)],
    );
    assert_eq!(counts(&given_up), (23, 4, 0, 1), "{given_up:#?}");
    let twice = account(|_, body| vec![body], &[DARK[0], DARK[1], DARK[0]]);
    assert_eq!(counts(&twice), (24, 3, 0, 1));
    let beside = account(|_, body| vec![body], &[DARK[0], DARK[1], (Task::Profile, 2, 3)]);
    assert_eq!(beside.wrong.len(), 2, "delivered, and held");
}
