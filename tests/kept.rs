//! Kept values under another configuration, on virtual time: nothing is lost, read twice, or credited to another meter.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "daily/bench.rs"]
#[allow(dead_code, reason = "the daily read has use for more of it")]
mod bench;

use bench::{Bench, Plan, day, energy, local, meter, profile, value};
use meterd::event::Passed;
use meterd::simulator::Outage;
use std::collections::BTreeSet;

const NOON: &str = "2026-11-21T12:00:00";

/// The slots that were read of a meter, in their order.
async fn slots(bench: &Bench, task: &str, of: &str) -> Vec<String> {
    let read = bench.read(task).await;
    read.iter().filter(|body| body.meter == of).map(|body| body.slot[..10].to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_another_meter_froze_before_it_hung_there_is_a_gap_and_never_the_points() {
    // The line is dead until a minute before the exchange, so that the old meter's days are missing.
    let mut plan = Plan::new(vec![meter(0, |_| {}), meter(1, |_| {})], &[day()]);
    let noon = local(NOON);
    plan.outages = vec![Outage { from: local("2026-11-01T00:00:00"), to: noon, port: false }];
    let mut bench = plan.start(local("2026-11-21T11:00:00"));
    bench.until(local("2026-11-21T11:30:00")).await;
    // Another meter, which hung elsewhere and froze there, hangs at m1's place.
    plan.meters[1].0 = meter(7, |_| {});
    // And more days are wanted, so that the task begins anew.
    plan.tasks += "backfill = 4\n";
    bench.running.reload(plan.proved()).await.unwrap();
    bench.until(local("2026-11-21T14:00:00")).await;
    let days = ["2026-11-21", "2026-11-20", "2026-11-19", "2026-11-18", "2026-11-17"];
    assert_eq!(slots(&bench, "day", "m0").await, days, "what stays is fetched when the line is back");
    assert_eq!(slots(&bench, "day", "m1").await, Vec::<String>::new());
    let gaps = bench.gaps().await;
    let [(of, gap)] = &gaps[..] else { panic!("{gaps:?}") };
    assert_eq!((of.as_str(), gap.reason), ("m1", Passed::Exchanged));
    assert_eq!((&gap.first[..10], &gap.until[..10]), ("2026-11-17", "2026-11-22"));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_was_exchanged_while_the_gateway_was_off_is_not_read_for_the_old_ones_days() {
    let mut plan = Plan::new(vec![meter(0, |_| {})], &[day()]);
    let bench = plan.start(local("2026-11-18T00:04:00"));
    bench.until(local("2026-11-18T01:00:00")).await;
    let before = slots(&bench, "day", "m0").await;
    assert!(before.contains(&"2026-11-18".to_owned()));
    bench.running.stop().await;
    plan.meters[0].0 = meter(7, |_| {});
    let bench = plan.start(local("2026-11-20T12:00:00"));
    bench.until(local("2026-11-21T01:00:00")).await;
    let after = slots(&bench, "day", "m0").await;
    assert_eq!(after[before.len()..], ["2026-11-21"], "the first midnight of its own");
    let gaps = bench.gaps().await;
    let [(_, gap)] = &gaps[..] else { panic!("{gaps:?}") };
    assert_eq!(
        (gap.reason, &gap.first[..10], &gap.until[..10]),
        (Passed::Exchanged, "2026-11-19", "2026-11-21")
    );
    bench.running.stop().await;
}

/// A gateway that lives from one time to another.
async fn lives(plan: &Plan, from: &str, to: &str) -> Bench {
    let bench = plan.start(local(from));
    bench.until(local(to)).await;
    bench
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_hung_elsewhere_meanwhile_is_not_read_for_the_days_of_the_one_in_its_place() {
    let (own, other) = (meter(0, |_| {}), meter(7, |_| {}));
    let mut plan = Plan::new(vec![own.clone()], &[day() + "backfill = 10\n"]);
    lives(&plan, "2026-11-18T00:04:00", "2026-11-18T01:00:00").await.running.stop().await;
    plan.meters[0].0 = other.clone();
    // The line is dead, so that what the other one froze stays missing.
    plan.outages =
        vec![Outage { from: local("2026-11-19T00:00:00"), to: local("2026-11-21T12:00:00"), port: false }];
    lives(&plan, "2026-11-19T12:00:00", "2026-11-20T12:00:00").await.running.stop().await;
    plan.meters[0].0 = own;
    let bench = lives(&plan, "2026-11-21T11:00:00", "2026-11-22T01:00:00").await;
    let read = bench.read("day").await;
    let after: Vec<&str> =
        read.iter().map(|body| &body.slot[..10]).filter(|day| *day > "2026-11-18").collect();
    assert_eq!(after, ["2026-11-22"], "the first midnight of its own");
    let gaps = bench.gaps().await;
    let told: Vec<_> = gaps.iter().map(|(_, gap)| (gap.reason, &gap.first[..10], &gap.until[..10])).collect();
    let exchanged = |first, until| (Passed::Exchanged, first, until);
    assert_eq!(told, [exchanged("2026-11-19", "2026-11-20"), exchanged("2026-11-20", "2026-11-22")]);
    bench.running.stop().await;
    // It is in service, so that the next start is none of an exchange.
    let bench = lives(&plan, "2026-11-22T12:00:00", "2026-11-23T01:00:00").await;
    assert_eq!(
        (slots(&bench, "day", "m0").await.pop().as_deref(), bench.gaps().await.len()),
        (Some("2026-11-23"), 2)
    );
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_before_the_clock_was_trusted_takes_no_meter_into_service() {
    let (own, other) = (meter(0, |_| {}), meter(7, |_| {}));
    let mut plan = Plan::new(vec![own], &[day()]);
    lives(&plan, "2026-11-18T00:04:00", "2026-11-18T01:00:00").await.running.stop().await;
    plan.meters[0].0 = other;
    for trusted in [false, true] {
        let bench = plan.start(local(if trusted { "2026-11-20T12:00:00" } else { "1970-01-01T12:00:00" }));
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        let gaps = bench.gaps().await;
        let told: Vec<_> = gaps.iter().map(|(_, gap)| (gap.reason, &gap.first[..10])).collect();
        assert_eq!(told, vec![(Passed::Exchanged, "2026-11-19"); usize::from(trusted)]);
        bench.running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_by_a_reload_before_the_clock_was_trusted_is_one_when_it_is() {
    let mut plan = Plan::new(vec![meter(0, |_| {})], &[day()]);
    lives(&plan, "2026-11-18T00:04:00", "2026-11-18T01:00:00").await.running.stop().await;
    // The line has both, and who is asked the configuration says.
    plan.meters.push((meter(7, |_| {}), ""));
    let mut bench = plan.start(local("1970-01-01T12:00:00"));
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    plan.meters.remove(0);
    bench.running.reload(plan.proved()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    bench.clock.step(local("2026-11-20T12:00:00").duration_since(bench.clock.now()));
    bench.until(local("2026-11-21T01:00:00")).await;
    let read = bench.read("day").await;
    let after: Vec<_> = read.iter().filter(|body| &body.slot[..10] > "2026-11-18").collect();
    let [body] = &after[..] else { panic!("{after:?}") };
    assert_eq!(
        (&body.slot[..10], &body.address[..]),
        ("2026-11-21", "000000000107"),
        "its own first midnight"
    );
    let gaps = bench.gaps().await;
    let told: Vec<_> = gaps.iter().map(|(_, gap)| (gap.reason, &gap.first[..10], &gap.until[..10])).collect();
    assert_eq!(told, [(Passed::Exchanged, "2026-11-19", "2026-11-21")]);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_when_the_bus_gets_another_port_is_fetched_there_and_nothing_twice() {
    let mut plan = Plan::new(vec![meter(0, |_| {}), meter(1, |_| {})], &[day()]);
    let (from, to) = (local("2026-11-20T00:00:00"), local("2026-12-01T00:00:00"));
    plan.outages = vec![Outage { from, to, port: false }];
    lives(&plan, "2026-11-19T00:04:00", "2026-11-19T23:00:00").await.running.stop().await;
    let mut bench = plan.start_with(local("2026-11-19T23:30:00"), true);
    bench.until(local("2026-11-21T11:30:00")).await;
    assert_eq!(slots(&bench, "day", "m0").await.last().map(String::as_str), Some("2026-11-19"));
    plan.port = "/dev/ttyS9";
    let changed = bench.running.reload(plan.proved()).await.unwrap();
    assert_eq!(changed.restarted, ["riser"]);
    bench.until(local("2026-11-22T01:00:00")).await;
    for (n, of) in ["m0", "m1"].into_iter().enumerate() {
        let read = bench.read("day").await;
        let own: Vec<_> = read.iter().filter(|body| body.meter == of).collect();
        let mut days: Vec<&str> = own.iter().map(|body| &body.slot[..10]).collect();
        days.sort_unstable();
        let since_16: Vec<String> = (16..=22).map(|day| format!("2026-11-{day}")).collect();
        assert_eq!(days, since_16);
        for body in own {
            assert_eq!(value(body), energy(&plan.meters[n].0, body.slot.parse().unwrap()), "{}", body.slot);
        }
    }
    assert_eq!(bench.gaps().await, []);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn more_days_on_request_are_fetched_and_none_twice() {
    let mut plan = Plan::new(vec![meter(0, |_| {}), meter(1, |_| {})], &[day()]);
    let mut bench = plan.start(local("2026-11-21T11:00:00"));
    bench.until(local("2026-11-21T11:30:00")).await;
    assert_eq!(slots(&bench, "day", "m0").await.len(), 4, "the last midnight and three days back");
    plan.tasks += "backfill = 10\n";
    bench.running.reload(plan.proved()).await.unwrap();
    bench.until(local("2026-11-21T12:30:00")).await;
    for (n, of) in ["m0", "m1"].into_iter().enumerate() {
        let read = bench.read("day").await;
        let own: Vec<_> = read.iter().filter(|body| body.meter == of).collect();
        let days: BTreeSet<&str> = own.iter().map(|body| &body.slot[..10]).collect();
        assert_eq!((own.len(), days.len(), days.first().copied()), (11, 11, Some("2026-11-11")));
        for body in own {
            let slot = body.slot.parse().unwrap();
            assert_eq!(value(body), energy(&plan.meters[n].0, slot), "{}", body.slot);
        }
    }
    assert_eq!(bench.gaps().await, []);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_with_a_reload_begins_with_what_meters_have() {
    let mut plan = Plan::new(vec![meter(0, |_| {})], &[day()]);
    let mut bench = plan.start(local("2026-11-21T11:00:00"));
    bench.until(local("2026-11-21T11:30:00")).await;
    plan.tasks += &profile();
    bench.running.reload(plan.proved()).await.unwrap();
    bench.until(local("2026-11-21T12:04:00")).await;
    let hours = slots(&bench, "profile", "m0").await.len();
    let since = local("2026-11-21T11:00:00").duration_since(local("2026-11-18T00:00:00"));
    assert_eq!(hours as i64, since.as_hours() + 1, "every hour from three days back");
    assert_eq!(slots(&bench, "day", "m0").await.len(), 4, "and of the other task nothing again");
    bench.running.stop().await;
}
