//! The meters' clocks on virtual time: measured, told of, set by broadcast where that is allowed, and an instant frozen by
//! broadcast where a meter freezes nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "daily/bench.rs"]
#[allow(dead_code, reason = "the daily read has use for more of it")]
mod bench;

use bench::{Bench, Plan, at, day, energy, local, meter, value};
use dlt645::Di;
use jiff::{SignedDuration, Timestamp};
use meterd::mqtt::payload::EventJson;
use meterd::reading::{Quality, Source};
use meterd::simulator::{Fixed, VirtualMeter};
use std::time::Duration;

fn clocks(keys: &str) -> String {
    format!("[[task]]\nname = \"clocks\"\nread = \"clock\"\ndaily = [\"10:17\", \"14:17\"]\n{keys}\n")
}

fn off_by(number: usize, seconds: i64) -> VirtualMeter {
    meter(number, |settings| settings.clock_offset = SignedDuration::from_secs(seconds))
}

/// Whether a clock was told to be off, by how much, and whether it needs a visit; in their order.
async fn told(bench: &Bench) -> Vec<(String, bool, i64, bool)> {
    let all = bench.events("clock_off").await.into_iter();
    all.map(|(meter, event)| {
        let EventJson::ClockOff(clock) = event else { panic!("{event:?}") };
        (meter.unwrap(), clock.off, clock.offset_s.unwrap(), clock.needs_visit)
    })
    .collect()
}

/// What was broadcast: whether it went out, or by what it was refused.
async fn broadcast(bench: &Bench) -> Vec<Option<String>> {
    let all = bench.events("broadcast").await.into_iter();
    all.map(|(_, event)| {
        let EventJson::Broadcast(broadcast) = event else { panic!("{event:?}") };
        assert_eq!(broadcast.sent, broadcast.refused.is_none());
        broadcast.refused
    })
    .collect()
}

/// The offsets that were published of a meter.
async fn offsets(bench: &Bench, of: &str) -> Vec<i64> {
    let read = bench.read("clocks").await;
    read.iter().filter(|body| body.meter == of).map(|body| body.clock_offset_s.unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_clock_past_the_bound_is_told_once_and_not_again_after_a_restart() {
    let plan = Plan::new(vec![off_by(0, 2), off_by(1, -400)], &[clocks(""), day()]);
    for (start, expected) in [("2026-11-21T09:00:00", 1), ("2026-11-22T09:00:00", 0)] {
        let bench = plan.start(local(start));
        bench.until(local(start) + SignedDuration::from_hours(6)).await;
        let told = told(&bench).await;
        let all = bench.running.store().offer(0, 1_000_000).await.unwrap();
        assert_eq!(told, vec![("m1".to_owned(), true, -400, true); expected]);
        for (of, offset) in [("m0", 2), ("m1", -400)] {
            let published = offsets(&bench, of).await;
            assert_eq!(published.len(), 2, "at 10:17 and 14:17");
            assert!(published.iter().all(|own| (own - offset).abs() <= 1), "{of}: {published:?}");
        }
        bench.running.store().forget(all.iter().map(|pending| pending.seq).collect()).await.unwrap();
        bench.running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_freeze_of_a_meter_whose_clock_is_past_the_bound_says_so() {
    let plan = Plan::new(vec![off_by(0, 2), off_by(1, -400)], &[clocks(""), day()]);
    let bench = plan.start(local("2026-11-21T09:00:00"));
    // It froze when it was 00:06:40, so that it is asked for once more.
    bench.until(local("2026-11-22T00:45:00")).await;
    let read = bench.read("day").await;
    let of = |meter: &str| {
        read.iter().find(|body| body.meter == meter && body.slot == "2026-11-22T00:00:00+08:00").unwrap()
    };
    assert_eq!((of("m0").readings[0].quality, of("m0").clock_offset_s), (Quality::Good, Some(2)));
    let off = &of("m1").readings[0];
    assert_eq!(off.quality, Quality::ClockOff);
    let why = off.why.as_deref().unwrap();
    assert!(why.contains("behind when it was last measured"), "{why}");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_time_is_broadcast_once_a_day_and_the_next_look_proves_what_it_cured() {
    let plan =
        Plan::new(vec![off_by(0, 120), off_by(1, -480), off_by(2, 1)], &[clocks("broadcast = \"time\"")]);
    let bench = plan.start(local("2026-11-21T09:00:00"));
    bench.until(local("2026-11-21T15:00:00")).await;
    let cured = offsets(&bench, "m0").await;
    assert!((cured[0] - 120).abs() <= 1 && cured[1].abs() <= 1, "2 min ahead, then right: {cured:?}");
    let left = offsets(&bench, "m1").await;
    assert!(
        left.iter().all(|offset| (offset + 480).abs() <= 1),
        "8 min is more than a meter obeys: {left:?}"
    );
    let told = told(&bench).await;
    let [(of, true, offset, true)] = &told[..] else { panic!("it is to be visited: {told:?}") };
    assert!(of == "m1" && (offset + 480).abs() <= 1, "{told:?}");
    assert_eq!(broadcast(&bench).await, [None], "at 14:17 nothing is left that a broadcast cures");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_broadcast_did_not_cure_is_not_broadcast_again_that_day_even_after_a_restart() {
    // It obeys nobody: each start of the plant has it off again.
    let plan = Plan::new(vec![off_by(0, 120)], &[clocks("broadcast = \"time\"")]);
    for (start, expected) in [
        ("2026-11-21T09:00:00", vec![None]),
        ("2026-11-21T12:00:00", vec![Some("done".to_owned())]),
        ("2026-11-22T09:00:00", vec![None]),
    ] {
        let bench = plan.start(local(start));
        bench.until(local(start) + SignedDuration::from_hours(3)).await;
        assert_eq!(broadcast(&bench).await, expected, "{start}");
        let all = bench.running.store().offer(0, 1_000_000).await.unwrap();
        bench.running.store().forget(all.iter().map(|pending| pending.seq).collect()).await.unwrap();
        bench.running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_a_broadcast_cured_is_told_once_to_be_right_again() {
    let mut plan = Plan::new(vec![off_by(0, 120), off_by(1, 2)], &[clocks("broadcast = \"time\"")]);
    plan.gateway = "clock_bound = \"1m\"";
    let bench = plan.start(local("2026-11-21T09:00:00"));
    bench.until(local("2026-11-22T15:00:00")).await;
    let told = told(&bench).await;
    let [(off, true, by, false), (right, false, left, false)] = &told[..] else { panic!("{told:?}") };
    assert!(off == "m0" && right == "m0" && (by - 120).abs() <= 1 && left.abs() <= 1, "{told:?}");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_time_is_broadcast_near_midnight_though_the_looks_at_the_clocks_began_before() {
    let slow = |number| {
        meter(number, |settings| {
            settings.clock_offset = SignedDuration::from_secs(if number == 0 { 120 } else { 0 });
            settings.response_delay = Duration::from_millis(400);
        })
    };
    let task = "[[task]]\nname = \"clocks\"\nread = \"clock\"\ndaily = \"23:29\"\nbroadcast = \"time\"\n";
    for (meters, refused) in [(1, None), (60, Some("near_midnight".to_owned()))] {
        let plan = Plan::new((0..meters).map(slow).collect(), &[task.to_owned()]);
        let bench = plan.start(local("2026-11-21T23:00:00"));
        bench.until(local("2026-11-21T23:50:00")).await;
        assert_eq!(broadcast(&bench).await, [refused]);
        assert_eq!(offsets(&bench, "m0").await.len(), 1);
        bench.running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_meter_is_told_a_time_for_which_nobody_vouches() {
    for (keys, refused) in [("", Some("clock_not_trusted".to_owned())), ("clock = \"set\"", None)] {
        let mut plan = Plan::new(vec![off_by(0, 120)], &[clocks("broadcast = \"time\"")]);
        plan.gateway = keys;
        let bench = plan.start(local("2026-11-21T09:00:00"));
        bench.clock.leave_unattended();
        bench.until(local("2026-11-21T11:00:00")).await;
        assert_eq!(offsets(&bench, "m0").await.len(), 1, "the clock is looked at all the same");
        assert_eq!(broadcast(&bench).await, [refused]);
        bench.running.stop().await;
    }
}

/// A meter that a broadcast cures, whose first settlement day shows this (hhDD), or who does not tell.
fn settles(number: usize, shows: Option<[u8; 2]>) -> VirtualMeter {
    meter(number, |settings| {
        settings.clock_offset = SignedDuration::from_secs(120);
        let first = shows.map_or(Fixed::Refused, |octets| Fixed::Octets(octets.into()));
        settings.fixed.insert(Di::new(0x0400_0B01), first);
    })
}

/// What became of the broadcast of a look at 10:40 of these days.
async fn broadcast_at_10_40(meters: Vec<VirtualMeter>, day: &str) -> Vec<Option<String>> {
    let task = "[[task]]\nname = \"clocks\"\nread = \"clock\"\ndaily = \"10:40\"\nbroadcast = \"time\"\n";
    let plan = Plan::new(meters, &[task.to_owned()]);
    let bench = plan.start(local(&format!("{day}T10:00:00")));
    bench.until(local(&format!("{day}T11:20:00"))).await;
    let said = broadcast(&bench).await;
    bench.running.stop().await;
    said
}

#[tokio::test(start_paused = true)]
async fn where_all_meters_tell_when_they_settle_the_time_is_broadcast_at_other_hours_of_the_1st_too() {
    let at_midnight = || settles(0, Some([0x00, 0x01]));
    let at_11 = || settles(1, Some([0x11, 0x15]));
    let busy = || vec![Some("near_settlement".to_owned())];
    assert_eq!(broadcast_at_10_40(vec![at_midnight(), at_11()], "2026-12-01").await, [None]);
    assert_eq!(broadcast_at_10_40(vec![at_midnight(), at_11()], "2026-12-15").await, busy());
    assert_eq!(broadcast_at_10_40(vec![at_midnight(), settles(1, None)], "2026-12-01").await, busy());
}

#[tokio::test(start_paused = true)]
async fn a_meter_tells_once_when_it_settles_and_that_is_known_after_a_restart() {
    let plan = Plan::new(vec![off_by(0, 2)], &[clocks("broadcast = \"time\"")]);
    let asked = |bench: &Bench| {
        let sent = bench.line.sent();
        // 04000B01 with 33H added, low octet first.
        sent.iter().filter(|sent| sent.frame.windows(4).any(|di| di == [0x34, 0x3E, 0x33, 0x37])).count()
    };
    for (start, times) in [("2026-11-21T09:00:00", 1), ("2026-11-22T09:00:00", 0)] {
        let bench = plan.start(local(start));
        bench.until(local(start) + SignedDuration::from_hours(6)).await;
        assert_eq!(asked(&bench), times, "{start}");
        bench.running.stop().await;
    }
}

/// A meter that freezes nothing by itself.
fn without_freeze(number: usize) -> VirtualMeter {
    meter(number, |settings| {
        settings.memory.daily_freeze = None;
        settings.memory.hourly_freeze = false;
    })
}

/// What the second midnight of such a meter came to: the first one finds out that it freezes nothing.
async fn second_midnight(keys: &str) -> (Source, Quality, bool, Timestamp) {
    let plan = Plan::new(vec![without_freeze(0)], &[day() + keys]);
    let bench = plan.start(local("2026-11-20T23:00:00"));
    bench.until(local("2026-11-22T00:30:00")).await;
    let midnight = local("2026-11-22T00:00:00");
    let read = bench.read("day").await;
    let body = read.iter().find(|body| at(&body.slot) == midnight).unwrap();
    let is_frozen = value(body) == energy(&plan.meters[0].0, midnight);
    let reading = &body.readings[0];
    let said = (body.source, reading.quality, is_frozen, at(&reading.taken_at));
    bench.running.stop().await;
    said
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_freezes_nothing_is_read_at_midnight_or_frozen_by_broadcast_where_that_is_wanted() {
    let midnight = local("2026-11-22T00:00:00");
    let (source, quality, _, taken) = second_midnight("").await;
    assert_eq!((source, quality), (Source::Present, Quality::NotFrozen));
    assert!(taken.duration_since(midnight).as_secs() < 5, "it is read first of all: {taken}");
    let (source, quality, is_frozen, _) = second_midnight("broadcast = \"freeze\"\n").await;
    assert_eq!((source, quality, is_frozen), (Source::InstantFreeze, Quality::Good, true));
}
