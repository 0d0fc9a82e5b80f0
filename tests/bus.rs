//! One meter cannot spoil the line for the others: the whole daemon but the broker on virtual time, its meters on a
//! paced line in memory, some of them silent, slow, jammed or at another rate.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

#[path = "bus/line.rs"]
mod line;

use line::Bench;
use std::time::Duration;

/// The 27 registers of a three-phase meter, as ten exchanges.
const REGISTERS_27: &str = r#"["active_energy_import", "active_energy_import_t*", "active_energy_export", "voltage_l*",
  "current_l*", "active_power", "active_power_l*", "reactive_power", "reactive_power_l*", "power_factor",
  "power_factor_l*", "frequency", "clock_date", "clock_time"]"#;

#[tokio::test(start_paused = true)]
async fn silent_meters_leave_the_others_their_line_and_are_online_within_60_s_of_their_return() {
    let mut bench = Bench::start(9600, 32, "40s", REGISTERS_27, "").await;
    bench.plug().await;
    bench.pass(120).await;
    let before = bench.read_of(0..29).await;
    bench.pass(600).await;
    let usual = bench.read_of(0..29).await - before;
    for meter in 29..32 {
        bench.silence(meter);
    }
    bench.pass(600).await;
    let under_fault = bench.read_of(0..29).await - before - usual;
    println!("29 good meters: {usual} readings in 10 min before, {under_fault} with three silent ones");
    assert!(under_fault * 100 >= usual * 90, "{under_fault} of {usual}");
    let events = bench.events().await;
    for meter in 29..32 {
        let offline =
            events.iter().filter(|e| e.is(&format!("meter/m{meter}/status"), "\"offline\"")).count();
        assert_eq!(offline, 1, "m{meter}");
    }
    for meter in 29..32 {
        bench.speak(meter);
    }
    bench.pass(60).await;
    let events = bench.events().await;
    for meter in 29..32 {
        let last = events.iter().rev().find(|e| e.topic.contains(&format!("/m{meter}/"))).unwrap();
        assert!(last.body.contains("\"online\""), "m{meter}: {}", last.body);
    }
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_line_silent_at_once_is_one_event_and_not_32_and_all_are_read_when_it_is_back() {
    let mut bench = Bench::start(9600, 32, "1m", r#"["active_energy_import"]"#, "").await;
    bench.plug().await;
    bench.pass(150).await;
    (0..32).for_each(|meter| bench.silence(meter));
    bench.pass(600).await;
    let events = bench.events().await;
    let silent: Vec<_> = events.iter().filter(|e| e.topic.ends_with("event/line_silent")).collect();
    assert_eq!(silent.len(), 1);
    assert!(silent[0].body.contains("\"bus\":\"riser-1\""), "{}", silent[0].body);
    assert!(!events.iter().any(|e| e.body.contains("\"offline\"")), "no meter is blamed");
    let before = bench.read_of(0..32).await;
    (0..32).for_each(|meter| bench.speak(meter));
    bench.pass(90).await;
    assert!(bench.read_of(0..32).await >= before + 32);
    let events = bench.events().await;
    assert_eq!(events.iter().filter(|e| e.topic.ends_with("event/line_back")).count(), 1);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_was_away_for_a_moment_is_read_in_the_same_slot() {
    let mut bench = Bench::start(2400, 4, "5m", r#"["active_energy_import"]"#, "").await;
    bench.plug().await;
    // The first slot is at 10:05:00, 270 s after the start.
    bench.pass(265).await;
    bench.silence(2);
    bench.pass(25).await;
    bench.speak(2);
    bench.pass(60).await;
    let of = bench.messages("m2").await;
    assert_eq!(of.len(), 2, "{of:#?}");
    assert!(of[0].body.contains("\"silent\"") && of[1].body.contains("\"failures\":[]"), "{of:#?}");
    let slot = "\"slot\":\"2026-11-21T18:05:00+08:00\"";
    assert!(of.iter().all(|message| message.body.contains(slot)));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_babbling_line_is_declared_jammed_once_and_read_within_a_second_of_its_end() {
    let mut bench = Bench::start(9600, 2, "10s", r#"["active_energy_import"]"#, "").await;
    bench.plug().await;
    bench.pass(35).await;
    for babble in [0x68, 0xFE, 0x55] {
        bench.babble(Some(babble));
        bench.pass(60).await;
        bench.babble(None);
        let ended = bench.elapsed();
        let before = bench.read_of(0..2).await;
        while bench.read_of(0..2).await == before {
            bench.pass_ms(50).await;
            assert!(bench.elapsed() - ended < Duration::from_secs(11), "babble of {babble:02X}");
        }
        bench.pass(30).await;
    }
    let events = bench.events().await;
    let count = |kind: &str| events.iter().filter(|e| e.topic.ends_with(kind)).count();
    assert_eq!((count("event/line_jammed"), count("event/line_quiet")), (3, 3));
    for (jammed, quiet) in bench.times("line_jammed").await.into_iter().zip(bench.times("line_quiet").await) {
        // 60 s of it, and a second to notice that it is over.
        assert!(quiet.duration_since(jammed) <= jiff::SignedDuration::from_secs(61), "{jammed} {quiet}");
    }
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn meters_of_two_rates_share_a_line_and_it_is_switched_twice_a_round() {
    let keys = |meter: usize| if meter % 2 == 1 { "baud = 1200\n" } else { "" };
    let mut bench =
        Bench::start_with(2400, 6, "1m", r#"["active_energy_import", "voltage_l1"]"#, "", keys).await;
    bench.plug().await;
    bench.pass(630).await;
    for meter in 0..6 {
        let of = bench.messages(&format!("m{meter}")).await;
        assert_eq!(of.len(), 10);
        assert!(of.iter().all(|m| m.body.contains("\"failures\":[]")), "m{meter}");
    }
    // Ten rounds; one that begins with the rate that the last one ended with saves a switch.
    let switches = bench.switches();
    assert!((10..=20).contains(&switches), "{switches}");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_of_a_line_is_known_after_a_restart() {
    let mut bench = Bench::start(9600, 2, "10s", REGISTERS_27, "").await;
    bench.plug().await;
    bench.refuse(&["0203FF00", "02800002"]);
    bench.pass(600).await;
    let asked = bench.asked("02800002");
    assert!(asked <= 4, "a refused register is not asked for in every round: {asked}");
    let facts = bench.facts().await;
    for key in ["not_supported/000000000100/0203FF00", "slowest_us/000000000100/present", "turnaround_us"] {
        assert!(facts.iter().any(|(k, _)| k == key), "{key} is not in {facts:?}");
    }
    let pause = facts.iter().find(|(key, _)| key == "turnaround_us").unwrap();
    assert_eq!(pause.1, "5000", "at its floor");
    bench.restart().await;
    bench.plug().await;
    bench.refuse(&["0203FF00", "02800002"]);
    bench.pass(300).await;
    assert_eq!((bench.asked("0203FF00"), bench.asked("02800002")), (0, 0), "known from before");
    assert!(
        bench
            .gaps()
            .iter()
            .skip(20)
            .all(|gap| *gap < Duration::from_millis(8) || *gap > Duration::from_secs(1))
    );
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_block_is_read_singly_in_the_same_round_and_an_echo_is_said_once() {
    let mut bench = Bench::start(9600, 2, "10s", r#"["voltage_l*"]"#, "").await;
    bench.plug().await;
    bench.refuse(&["0201FF00"]);
    bench.echo();
    bench.pass(60).await;
    for meter in ["m0", "m1"] {
        let of = bench.messages(meter).await;
        assert!(of.iter().all(|m| m.body.contains("\"failures\":[]")), "{of:#?}");
    }
    assert_eq!(bench.asked("0201FF00"), 2, "once of each meter");
    let events = bench.events().await;
    assert_eq!(events.iter().filter(|e| e.topic.ends_with("event/line_echo")).count(), 1);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_meter_is_learned_and_none_of_its_answers_is_credited_elsewhere() {
    let mut bench =
        Bench::start(2400, 3, "30s", r#"["active_energy_import", "voltage_l1", "frequency"]"#, "").await;
    bench.plug().await;
    bench.delay(1, Duration::from_millis(480));
    bench.pass(600).await;
    bench.delay(1, Duration::from_millis(700));
    bench.pass(600).await;
    // Later than twice its slowest only at first; then it is waited for.
    let of = bench.messages("m1").await;
    let late = of.iter().filter(|m| !m.body.contains("\"failures\":[]")).count();
    assert_eq!(late, 0, "the second try has more patience: {of:#?}");
    for meter in ["m0", "m2"] {
        assert!(bench.messages(meter).await.iter().all(|m| m.body.contains("\"failures\":[]")));
    }
    bench.assert_values().await;
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_turnaround_that_is_set_stays_as_it_is() {
    let mut bench = Bench::start(9600, 2, "10s", REGISTERS_27, "turnaround = \"0ms\"").await;
    bench.plug().await;
    bench.pass(120).await;
    let gaps = bench.gaps();
    let within: Vec<_> = gaps.iter().filter(|gap| **gap < Duration::from_secs(1)).collect();
    assert!(within.len() > 150 && within.iter().all(|gap| **gap <= Duration::from_millis(1)), "{within:?}");
    bench.stop().await;
}
