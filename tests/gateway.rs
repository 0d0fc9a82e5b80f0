//! What the gateway says of itself, its meters and its rounds: the whole daemon but the broker on virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use jiff::{SignedDuration, Timestamp};
use meterd::clock::Clock;
use meterd::daemon::{Daemon, Running};
use meterd::mqtt::AlarmWord;
use meterd::mqtt::payload::BirthMessage;
use meterd::simulator::{InMemory, MeterSettings, VirtualLine, VirtualMeter, in_memory};
use meterd::store::{Fact, Scope, Writer};
use serde_json::Value as Json;
use std::path::Path;
use std::time::Duration;

const START: &str = "2026-11-21T10:00:30Z";

/// The second bus has nothing behind its port.
const CONFIGURATION: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "$DATA"

[[bus]]
name = "riser-1"
port = "/dev/null"

[[bus]]
name = "riser-2"
port = "/dev/zero"

[[meter]]
name = "flat-101"
bus = "riser-1"
address = "101"
ct = "75/5"
customer = "3100101"
class = "household"
digits = "6.2"
phase = "l1"
state = "in_use"
tariffs = ["峰", "谷"]

[[meter]]
name = "flat-102"
bus = "riser-2"
address = "102"

[[task]]
name = "live"
every = "1m"
registers = ["active_energy_import", "voltage_l1"]
"#;

struct Bench {
    running: Running,
    clock: Clock,
    /// The lines; the second one may be missing.
    _lines: Vec<InMemory>,
}

impl Bench {
    /// Both lines have their meters, or only the first.
    fn start(text: &str, data: &Path, clock: &Clock, both: bool) -> Self {
        let mut daemon = Daemon::new(support::plan(text, data), clock.clone()).without_broker();
        let mut lines = Vec::new();
        for (bus, address) in ["101", "102"].iter().enumerate() {
            let there = if bus == 0 || both { *address } else { "999" };
            let meter = VirtualMeter::new(MeterSettings::household(there.parse().unwrap()), 1);
            let (opener, line) = in_memory(VirtualLine::new(vec![meter]), clock.clone(), 0);
            daemon = daemon.with_line(bus, opener);
            lines.push(line);
        }
        Self { running: daemon.start().unwrap(), clock: clock.clone(), _lines: lines }
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// What is in the outbox on topics that end so: whether it is retained, and its body.
    async fn said(&self, end: &str) -> Vec<(bool, Json)> {
        let all = self.running.store().offer(0, 100_000).await.unwrap();
        let own = all.iter().filter(|pending| pending.topic.ends_with(end));
        own.map(|p| (p.retain, serde_json::from_str(&format!("{{{}", p.body)).unwrap())).collect()
    }

    async fn events(&self, end: &str) -> Vec<Json> {
        let said = self.said(end).await;
        assert!(said.iter().all(|(retain, _)| !retain), "an event is not retained");
        said.into_iter().map(|(_, body)| body).collect()
    }
}

fn clock() -> Clock {
    Clock::virtual_at(START.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_slot_of_a_task_has_one_round_over_all_buses() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let bench = Bench::start(CONFIGURATION, data.path(), &clock, false);
    bench.pass(600).await;
    let rounds = bench.said("/round/live").await;
    let slots: Vec<&str> = rounds.iter().map(|(_, round)| round["slot"].as_str().unwrap()).collect();
    assert_eq!((slots.len(), slots[0]), (10, "2026-11-21T18:01:00+08:00"), "{slots:?}");
    assert!(slots.is_sorted_by(|a, b| a < b), "each once: {slots:?}");
    for (retain, round) in &rounds {
        assert!(retain);
        assert_eq!((&round["planned"], &round["read"], &round["partly"]), (&2.into(), &1.into(), &0.into()));
        assert_eq!(round["failed"], serde_json::json!([{ "reason": "silent", "meters": 1 }]));
        assert!(round["seconds"].as_u64().unwrap() < 60);
    }
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn slots_that_pass_unread_are_one_event_for_each_meter_with_the_reason() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let bench = Bench::start(CONFIGURATION, data.path(), &clock, true);
    bench.pass(100).await;
    assert_eq!(bench.events("/event/gap").await, [Json::Null; 0]);
    bench.clock.step(SignedDuration::from_mins(10));
    bench.pass(100).await;
    for meter in ["flat-101", "flat-102"] {
        let gaps = bench.events(&format!("/meter/{meter}/event/gap")).await;
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        let of = |key: &str| gaps[0][key].as_str().unwrap();
        assert_eq!((of("task"), of("source"), of("reason")), ("live", "present", "clock_stepped"));
        assert_eq!(of("first"), "2026-11-21T18:03:00+08:00");
        assert_eq!(of("until"), "2026-11-21T18:12:00+08:00");
    }
    let stepped = bench.events("gw01/event/clock_stepped").await;
    assert_eq!(stepped.len(), 1);
    assert_eq!(stepped[0]["by_s"], 600);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_slews_is_no_step_and_one_that_goes_back_is() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let bench = Bench::start(CONFIGURATION, data.path(), &clock, true);
    bench.pass(10).await;
    bench.clock.step(SignedDuration::from_millis(1900));
    bench.pass(10).await;
    assert_eq!(bench.events("/event/clock_stepped").await, [Json::Null; 0]);
    bench.clock.step(SignedDuration::from_millis(-2600));
    bench.pass(10).await;
    let stepped = bench.events("gw01/event/clock_stepped").await;
    assert_eq!((stepped.len(), &stepped[0]["by_s"]), (1, &(-3).into()));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_says_power_back_only_after_an_end_out_of_order() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    for _ in 0..2 {
        let bench = Bench::start(CONFIGURATION, data.path(), &clock, true);
        bench.pass(100).await;
        assert_eq!(bench.events("/event/power_back").await, [Json::Null; 0]);
        bench.running.stop().await;
    }
    // What a daemon leaves that was killed: it does not come to drop its mark.
    let mark = Fact { key: "running".to_owned(), value: "yes".to_owned(), at: START.parse().unwrap() };
    Writer::open(data.path()).unwrap().learn(Scope::Gateway, &mark).unwrap();
    let bench = Bench::start(CONFIGURATION, data.path(), &clock, true);
    bench.pass(5).await;
    let back = bench.events("gw01/event/power_back").await;
    assert_eq!(back.len(), 1);
    assert_eq!(back[0]["away_since"], "2026-11-21T18:03:00.000+08:00", "its newest slot");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_archive_is_said_once_with_the_revision_before() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let other = CONFIGURATION.replace("3100101", "3100102");
    let revision = |text: &str| support::plan(text, data.path()).archive;
    for (text, changes) in [(CONFIGURATION, 0), (&other, 1), (&other, 1)] {
        let bench = Bench::start(text, data.path(), &clock, true);
        bench.pass(5).await;
        let said = bench.events("gw01/event/archive_changed").await;
        assert_eq!(said.len(), changes);
        for event in said {
            assert_eq!(event["before"], revision(CONFIGURATION));
            assert_eq!(event["after"], revision(&other));
        }
        bench.running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_birth_has_every_meter_with_its_archive_and_every_register_with_its_unit() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let mut bench = Bench::start(CONFIGURATION, data.path(), &clock, true);
    let ways = bench.running.take_ways().unwrap();
    let retained = ways.retained.borrow().clone();
    assert_eq!(retained.len(), 1);
    assert_eq!((retained[0].topic.as_str(), retained[0].retain), ("meterd/v1/gw01/birth", true));
    let birth = BirthMessage::parse(&retained[0].payload).unwrap();
    assert_eq!(birth.archive, support::plan(CONFIGURATION, data.path()).archive);
    assert_eq!((birth.parts, birth.meters.len(), birth.tasks.len()), (None, 2, 1));
    let text = String::from_utf8(retained[0].payload.clone()).unwrap();
    for part in [
        r#"{"meter":"flat-101","address":"000000000101","bus":"riser-1","protocol":"dlt645-2007","ct":"75/5","multiplier":15,"customer":"3100101","class":"household","digits":"6.2","phase":"l1","state":"in_use","tariffs":["峰","谷"],"tasks":["live"]}"#,
        r#"{"meter":"flat-102","address":"000000000102","bus":"riser-2","protocol":"dlt645-2007","tasks":["live"]}"#,
        r#"{"task":"live","every_s":60,"read":"live","protocol":"dlt645-2007","registers":[{"register":"active_energy_import","di":"00010000","obis":"1-0:1.8.0","unit":"kWh"},"#,
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn alarms_are_in_the_status_at_once_and_numbers_once_a_minute() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    // Two silent meters are a silent line.
    let more = "[[meter]]\nname = \"flat-103\"\nbus = \"riser-2\"\naddress = \"103\"\n";
    let bench = Bench::start(&format!("{CONFIGURATION}{more}"), data.path(), &clock, false);
    let mut status = bench.running.status();
    assert_eq!(status.borrow_and_update().alarms, []);
    let mut changes: Vec<(Duration, Vec<AlarmWord>, u64)> = Vec::new();
    let until = clock.elapsed() + Duration::from_secs(600);
    while tokio::time::timeout_at(clock.instant(until), status.changed()).await.is_ok() {
        let now = status.borrow_and_update().clone();
        let words = now.alarms.iter().map(|alarm| alarm.word).collect();
        changes.push((clock.elapsed(), words, now.store.unwrap().backlog));
    }
    let (silent, words, _) = changes.iter().find(|(_, words, _)| !words.is_empty()).unwrap();
    assert_eq!(*words, [AlarmWord::LineSilent]);
    let told: Timestamp =
        bench.events("/event/line_silent").await[0]["taken_at"].as_str().unwrap().parse().unwrap();
    let at: Timestamp = START.parse::<Timestamp>().unwrap() + SignedDuration::try_from(*silent).unwrap();
    // The event has the instant from which on nothing was heard; another meter was tried first.
    assert!(at.duration_since(told) < SignedDuration::from_secs(3), "{told} {at}");
    assert!(changes.len() <= 12, "ten minutes, one alarm: {changes:?}");
    assert!(changes.last().unwrap().2 > 10, "the backlog grows: {changes:?}");
    bench.running.stop().await;
}
