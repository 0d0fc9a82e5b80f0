//! The daily read (日冻结) and the load profile on virtual time, each trap of them by itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

#[path = "daily/bench.rs"]
mod bench;

use bench::{Plan, at, day, energy, local, meter, minutes, profile, taken, task, value};
use dlt645::Edition;
use jiff::civil::date;
use jiff::tz::offset;
use jiff::{SignedDuration, Timestamp};
use meterd::event::Passed;
use meterd::mqtt::payload::{Body, RoundBody};
use meterd::reading::{Quality, Source};
use meterd::simulator::{Intervals, Outage, Refreeze};
use std::collections::BTreeSet;
use std::time::Duration;

fn slots(read: &[Body], of: &str) -> Vec<String> {
    read.iter().filter(|body| body.meter == of).map(|body| body.slot.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_round_of_a_night_goes_on_over_a_restart_from_what_its_first_pass_had() {
    let mut plan = Plan::new((0..12).map(|n| meter(n, |_| {})).collect(), &[day()]);
    let (dead, back) = (local("2026-11-21T00:05:05"), local("2026-11-21T03:10:00"));
    plan.outages = vec![Outage { from: dead, to: back, port: false }];
    let bench = plan.start(local("2026-11-20T22:00:00"));
    bench.until(local("2026-11-21T02:00:00")).await;
    let of_night = |rounds: Vec<RoundBody>| {
        let last = rounds.into_iter().rfind(|round| round.slot.starts_with("2026-11-21")).unwrap();
        (last.planned, last.read, last.first_pass.unwrap(), last.backfilled.unwrap(), last.missing.unwrap())
    };
    let (planned, read, first, backfilled, missing) = of_night(bench.rounds("day").await);
    assert!((1..12).contains(&first), "it fell into the first pass: {first}");
    assert_eq!((planned, read, backfilled, missing), (12, first, 0, 12 - first));
    bench.running.stop().await;
    let bench = plan.start(local("2026-11-21T02:30:00"));
    bench.until(local("2026-11-21T05:00:00")).await;
    assert_eq!(of_night(bench.rounds("day").await), (12, 12, first, 12 - first, 0));
    let told = bench.rounds("day").await.len();
    bench.running.stop().await;
    let bench = plan.start(local("2026-11-21T06:00:00"));
    bench.until(local("2026-11-21T07:00:00")).await;
    assert_eq!(bench.rounds("day").await.len(), told, "nothing is news");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_meters_showed_at_midnight_is_known_for_the_consumption_after_its_messages_are_signed_for() {
    let mut plan = Plan::new((0..2).map(|n| meter(n, |_| {})).collect(), &[day(), profile()]);
    plan.meters[1].1 = "ct = \"200/5\"";
    let bench = plan.start(local("2026-11-20T23:00:00"));
    bench.until(local("2026-11-21T01:00:00")).await;
    let all = bench.running.store().offer(0, 1_000_000).await.unwrap();
    bench.running.store().forget(all.iter().map(|pending| pending.seq).collect()).await.unwrap();
    bench.running.stop().await;
    for midnight in ["2026-11-18T00:00:00", "2026-11-21T00:00:00"].map(local) {
        let stands = meterd::store::look(&plan.folder(), |look| look.stands(midnight)).unwrap();
        let shown: Vec<_> = stands.iter().map(|of| (of.value.to_string(), of.ratio, of.quality)).collect();
        let of = |n: usize| energy(&plan.meters[n].0, midnight);
        let expected = [(of(0), None, Quality::Good), (of(1), Some(40.into()), Quality::Good)];
        assert_eq!(shown, expected, "{midnight}");
        assert_eq!(stands[1].address, plan.meters[1].0.settings().address.to_string());
    }
}

/// A life of a gateway: a runtime of its own on paused time, at whose end nothing ends in order.
fn live<T>(life: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(life)
}

#[test]
fn a_restart_in_the_middle_of_a_backfill_fetches_the_rest_and_nothing_twice() {
    let mut plan = Plan::new((0..12).map(|n| meter(n, |_| {})).collect(), &[day(), profile()]);
    let back = local("2026-11-21T06:10:00");
    plan.outages = vec![Outage { from: local("2026-11-20T21:00:00"), to: back, port: false }];
    let (fetched, killed) = live(async {
        let bench = plan.start(local("2026-11-20T20:50:00"));
        // That the line is back is noticed by a probe; then what was missed is fetched.
        for seconds in (0..3600).step_by(2) {
            bench.until(back + SignedDuration::from_secs(seconds)).await;
            let read = bench.read("profile").await;
            let fetched = read.iter().filter(|body| taken(body) >= back).count();
            if fetched > 20 {
                return (fetched, bench.clock.now());
            }
        }
        panic!("nothing comes back")
    });
    assert!(fetched < 12 * 9, "it is in the middle: {fetched}");
    let again = killed + SignedDuration::from_secs(30);
    live(async {
        let bench = plan.start(again);
        bench.until(local("2026-11-21T08:00:00")).await;
        let (hours, midnights) = (bench.read("profile").await, bench.read("day").await);
        let rest = hours.iter().filter(|body| taken(body) >= again && at(&body.slot) < killed).count();
        assert!(rest > 0, "something was left to be fetched");
        for n in 0..12 {
            let of = format!("m{n}");
            for own in [slots(&hours, &of), slots(&midnights, &of)] {
                assert_eq!(own.iter().collect::<BTreeSet<_>>().len(), own.len(), "{of}: none twice");
            }
            let mut hour = local("2026-11-20T21:00:00");
            while hour <= local("2026-11-21T07:00:00") {
                let body = hours.iter().find(|body| body.meter == of && at(&body.slot) == hour).unwrap();
                assert_eq!(value(body), energy(&plan.meters[n].0, hour));
                hour += SignedDuration::from_hours(1);
            }
            assert!(slots(&midnights, &of).contains(&"2026-11-21T00:00:00+08:00".to_owned()));
        }
        assert_eq!(bench.gaps().await, []);
    });
}

#[tokio::test(start_paused = true)]
async fn a_year_ends_as_a_month_and_a_day_do() {
    let plan = Plan::new(vec![meter(0, |_| {})], &[day(), task("month", "month", "monthly = \"1 00:05\"")]);
    let bench = plan.start(local("2026-12-31T20:00:00"));
    bench.until(local("2027-01-01T00:20:00")).await;
    let (days, months) = (bench.read("day").await, bench.read("month").await);
    let midnight = local("2027-01-01T00:00:00");
    for body in [days.last().unwrap(), months.last().unwrap()] {
        assert_eq!(
            (body.slot.as_str(), body.day.as_deref()),
            ("2027-01-01T00:00:00+08:00", Some("2026-12-31"))
        );
        assert_eq!(value(body), energy(&plan.meters[0].0, midnight));
        assert_eq!(body.meter_time.as_deref(), Some("2027-01-01T00:00"));
    }
    assert_eq!(months[0].day.as_deref(), Some("2026-11-30"));
}

#[tokio::test(start_paused = true)]
async fn each_day_around_a_change_of_the_clock_is_read_once_and_is_its_own() {
    // The meters' clocks have no summer time. The three days before the first evening are fetched.
    for (evening, last, days) in [
        ("2027-03-28T20:00:00Z", "2027-03-30T02:00:00Z", ["24", "25", "26", "27", "28", "29"]),
        ("2027-10-30T20:00:00Z", "2027-11-01T02:00:00Z", ["26", "27", "28", "29", "30", "31"]),
    ] {
        let winter = meter(0, |settings| settings.utc_offset = offset(1));
        let mut plan = Plan::new(vec![winter], &[day()]);
        plan.zone = "Europe/Berlin";
        let bench = plan.start(at(evening));
        bench.until(at(last)).await;
        let read = bench.read("day").await;
        let mut came: Vec<&str> = read.iter().filter_map(|body| body.day.as_deref()).collect();
        came.sort_unstable();
        let month = &evening[..8];
        assert_eq!(came, days.map(|day| format!("{month}{day}")), "each once");
        for body in &read {
            let day: jiff::civil::Date = body.day.as_ref().unwrap().parse().unwrap();
            let frozen = day.tomorrow().unwrap().at(0, 0, 0, 0);
            assert_eq!(body.meter_time, Some(frozen.strftime("%Y-%m-%dT%H:%M").to_string()));
            assert_eq!(value(body), energy(&plan.meters[0].0, offset(1).to_timestamp(frozen).unwrap()));
        }
        assert_eq!(bench.gaps().await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_that_the_clock_shows_twice_is_a_known_gap_and_every_other_is_its_own() {
    // Meters that follow the gateway's wall would show it twice too; these have no summer time.
    let load = meter(0, |settings| settings.utc_offset = offset(1));
    let hourly = meter(1, |settings| {
        settings.utc_offset = offset(1);
        settings.memory.load_records = Intervals::NONE;
    });
    let mut plan = Plan::new(vec![load, hourly], &[profile()]);
    plan.zone = "Europe/Berlin";
    let bench = plan.start(at("2027-10-30T20:10:00Z"));
    bench.until(at("2027-10-31T08:30:00Z")).await;
    let read = bench.read("profile").await;
    let gaps = bench.gaps().await;
    for n in 0..2 {
        let of = format!("m{n}");
        let own = slots(&read, &of);
        assert_eq!(own.iter().collect::<BTreeSet<_>>().len(), own.len(), "none twice");
        let mut hour = at("2027-10-30T21:00:00Z");
        while hour <= at("2027-10-31T08:00:00Z") {
            let came = read.iter().find(|body| body.meter == of && at(&body.slot) == hour);
            if hour == at("2027-10-31T00:00:00Z") || hour == at("2027-10-31T01:00:00Z") {
                assert_eq!(came, None, "{of} {hour}");
            } else {
                let came = came.unwrap_or_else(|| panic!("{of} has no {hour}"));
                let stamp: jiff::civil::DateTime = came.meter_time.as_ref().unwrap().parse().unwrap();
                assert_eq!(value(came), energy(&plan.meters[n].0, offset(1).to_timestamp(stamp).unwrap()));
            }
            hour += SignedDuration::from_hours(1);
        }
        let own: Vec<_> = gaps.iter().filter(|(meter, _)| *meter == of).map(|(_, gap)| gap).collect();
        let known: BTreeSet<Timestamp> = own.iter().map(|gap| at(&gap.first)).collect();
        assert!(known.contains(&at("2027-10-31T00:00:00Z")), "{own:#?}");
        assert!(own.iter().all(|gap| gap.reason == Passed::NotHeld));
        assert_eq!(own.last().map(|gap| at(&gap.until)), Some(at("2027-10-31T02:00:00Z")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_meter_whose_clock_is_a_day_behind_never_gives_yesterday_for_today() {
    let behind = meter(0, |settings| settings.clock_offset = SignedDuration::from_hours(-24));
    let plan = Plan::new(vec![behind], &[day()]);
    let bench = plan.start(local("2026-11-20T23:30:00"));
    bench.until(local("2026-11-21T23:59:00")).await;
    let read = bench.read("day").await;
    assert!(!slots(&read, "m0").contains(&"2026-11-21T00:00:00+08:00".to_owned()), "it has not frozen it");
    bench.until(local("2026-11-22T02:30:00")).await;
    let read = bench.read("day").await;
    let body = read.iter().find(|body| body.day.as_deref() == Some("2026-11-20")).unwrap();
    assert_eq!((body.meter_time.as_deref(), body.backfilled), (Some("2026-11-21T00:00"), true));
    assert_eq!(value(body), energy(&plan.meters[0].0, local("2026-11-22T00:00:00")), "its own midnight");
    assert_eq!(bench.gaps().await, []);
}

#[tokio::test(start_paused = true)]
async fn after_a_night_without_power_each_kind_of_meter_gives_what_it_froze_or_is_a_known_gap() {
    let night = (date(2026, 11, 20).at(23, 30, 0, 0), date(2026, 11, 21).at(6, 15, 0, 0));
    let dark = |n, refreeze| {
        meter(n, |settings| {
            settings.memory.refreeze = refreeze;
            settings.memory.power_cuts = vec![night];
        })
    };
    let meters = vec![dark(0, Refreeze::Each), dark(1, Refreeze::Once), dark(2, Refreeze::None)];
    let plan = Plan::new(meters, &[day()]);
    let bench = plan.start(local("2026-11-20T23:20:00"));
    bench.until(local("2026-11-22T00:40:00")).await;
    let read = bench.read("day").await;
    let of_night = |of: &str| read.iter().find(|b| b.meter == of && b.day.as_deref() == Some("2026-11-20"));
    let power_up = local("2026-11-21T06:15:00");
    for (n, stamp, quality) in
        [(0, "2026-11-21T00:00", Quality::Good), (1, "2026-11-21T06:15", Quality::ClockOff)]
    {
        let body = of_night(&format!("m{n}")).unwrap();
        assert_eq!((body.slot.as_str(), body.backfilled), ("2026-11-21T00:00:00+08:00", true));
        assert_eq!((body.meter_time.as_deref(), body.readings[0].quality), (Some(stamp), quality));
        assert_eq!(value(body), energy(&plan.meters[n].0, power_up));
    }
    assert_eq!(of_night("m2"), None);
    let gaps = bench.gaps().await;
    let [(of, gap)] = &gaps[..] else { panic!("{gaps:?}") };
    assert_eq!((of.as_str(), gap.task.as_str(), gap.reason), ("m2", "day", Passed::NotHeld));
    assert_eq!(
        (gap.first.as_str(), gap.until.as_str()),
        ("2026-11-21T00:00:00+08:00", "2026-11-22T00:00:00+08:00")
    );
    // The night after is read of all three.
    let next = read.iter().filter(|body| body.day.as_deref() == Some("2026-11-21")).count();
    assert_eq!(next, 3);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_starts_in_1970_reads_nothing_until_its_clock_is_set_and_then_all_that_meters_hold() {
    let plan = Plan::new((0..3).map(|n| meter(n, |_| {})).collect(), &[day(), profile()]);
    let bench = plan.start(at("1970-01-01T00:00:10Z"));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bench.read("day").await, []);
    assert_eq!(bench.line.sent(), [], "nobody was asked anything");
    let right = local("2026-11-21T09:50:00");
    bench.clock.step(right.duration_since(bench.clock.now()));
    bench.until(right + minutes(40)).await;
    let (days, hours) = (bench.read("day").await, bench.read("profile").await);
    for n in 0..3 {
        let of = format!("m{n}");
        let own = |read: &[Body]| read.iter().filter(|body| body.meter == of).cloned().collect::<Vec<_>>();
        let (days, hours) = (own(&days), own(&hours));
        // Three days back, and today.
        assert_eq!((days.len(), hours.len()), (4, 3 * 24 + 11), "{of}");
        for body in days.iter().chain(&hours) {
            let slot: Timestamp = at(&body.slot);
            assert!(slot >= local("2026-11-18T00:00:00") && slot <= right + minutes(40));
            assert_eq!(value(body), energy(&plan.meters[n].0, slot));
        }
    }
    assert_eq!(bench.gaps().await, []);
}

#[tokio::test(start_paused = true)]
async fn the_first_pass_begins_with_meters_without_a_freeze_and_goes_on_by_class() {
    let without = |n| {
        meter(n, |settings| {
            (settings.memory.daily_freeze, settings.memory.hourly_freeze) = (None, false);
            settings.memory.load_records = Intervals::NONE;
        })
    };
    let old = meter(4, |settings| settings.edition = Edition::E1997);
    let meters =
        vec![meter(0, |_| {}), meter(1, |_| {}), without(2), meter(3, |_| {}), old, meter(5, |_| {})];
    let mut plan = Plan::new(meters, &[day()]);
    let beside = [
        "class = \"household\"",
        "class = \"total\"",
        "",
        "",
        "protocol = \"dlt645-1997\"",
        "class = \"key\"",
    ];
    plan.meters.iter_mut().zip(beside).for_each(|(own, beside)| own.1 = beside);
    // The first look finds out who freezes nothing.
    let bench = plan.start(local("2026-11-21T22:00:00"));
    bench.until(local("2026-11-22T00:20:00")).await;
    let mut read = bench.read("day").await;
    read.retain(|body| body.slot == "2026-11-22T00:00:00+08:00");
    read.sort_by_key(taken);
    let order: Vec<&str> = read.iter().map(|body| body.meter.as_str()).collect();
    assert_eq!(order[2..], ["m5", "m1", "m0", "m3"], "key, total, others");
    assert_eq!(order[..2].iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from(["m2", "m4"]));
    let midnight = local("2026-11-22T00:00:00");
    for body in &read[..2] {
        assert!(taken(body).duration_since(midnight) < SignedDuration::from_secs(4), "{body:?}");
        assert_eq!((body.source, body.readings[0].quality), (Source::Present, Quality::NotFrozen));
    }
    assert!(taken(&read[2]) >= midnight + minutes(5));
}

/// Of one exchange at 2400 8E1 whose answer has so many data octets: all characters with four FE each way, and the meter's
/// delay.
fn limit(octets: u32) -> Duration {
    Duration::from_secs(11) * (4 + 4 + 32 + octets) / 2400 + Duration::from_millis(30)
}

#[tokio::test(start_paused = true)]
async fn the_freezes_of_32_meters_take_a_tenth_more_than_the_line_needs_at_most() {
    let three = ["active_energy_import", "active_energy_export", "reactive_energy_q1"];
    let task = format!(
        "[[task]]\nname = \"day\"\nread = \"daily-freeze\"\ndaily = \"00:05\"\nregisters = {three:?}\n"
    );
    let plan = Plan::new((0..32).map(|n| meter(n, |_| {})).collect(), &[task]);
    // The three days before it are fetched, which teaches the line's pauses.
    let bench = plan.start(local("2026-11-20T23:30:00"));
    bench.until(local("2026-11-21T00:20:00")).await;
    let read = bench.read("day").await;
    // A stamp, and each energy with its tariffs.
    let least = 32 * (limit(5) + 3 * limit(20));
    let slot = local("2026-11-21T00:00:00");
    let own: Vec<&Body> = read.iter().filter(|body| at(&body.slot) == slot).collect();
    assert_eq!(own.len(), 32);
    assert!(own.iter().all(|body| body.readings.len() == 3 && body.failures.is_empty()));
    let last = own.iter().flat_map(|body| &body.readings).map(|reading| at(&reading.taken_at)).max().unwrap();
    let took = last.duration_since(slot + minutes(5)).as_secs_f64();
    let share = took / least.as_secs_f64();
    println!("the daily freeze of 32 meters at 2400: {took:.1} s, {share:.3} of the limit");
    assert!(share <= 1.1, "{share}");
}
