//! What a meter says unasked in place of its answer (主动上报) reaches the head-end, and the readings all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use meterd::bus::port::memory;
use meterd::clock::Clock;
use meterd::daemon::{Daemon, Running};
use meterd::store::{Pending, Writer};
use std::path::Path;
use std::time::Duration;
use support::{asked, reply};
use tokio::task::JoinHandle;

const START: &str = "2026-11-21T10:00:30Z";
const METER: &str = "000000000101";
const ENERGY: &str = "00010000";
const REPORT: &str = "04001501";
/// Two bits set, and how often each came.
const STATUS: [u8; 14] = [0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x01];

const CONFIGURATION: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "$DATA"

[[bus]]
name = "riser-1"
port = "/dev/null"

[[meter]]
name = "flat-101"
bus = "riser-1"
address = "101"

[[task]]
name = "live"
every = "1m"
registers = ["active_energy_import", "voltage_l1"]
"#;

/// The daemon on a line whose only meter answers each request with the frames that `says` gives for its DI and its
/// number; the plug is pulled after an empty list.
async fn start(
    data: &Path,
    mut says: impl FnMut(&str, usize) -> Vec<Vec<u8>> + Send + 'static,
) -> (Running, JoinHandle<()>) {
    let clock = Clock::virtual_at(START.parse().unwrap());
    let (supply, opener) = memory::opener();
    let (port, mut wire) = memory::pair();
    supply.send(port).await.unwrap();
    let plan = support::plan(CONFIGURATION, data);
    let running = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
    let meter = tokio::spawn(async move {
        let mut number = 0;
        while let Some(request) = wire.hear().await {
            let (di, address) = asked(&request);
            assert_eq!(address, METER);
            number += 1;
            let frames = says(&di, number);
            if frames.is_empty() {
                return;
            }
            for frame in frames {
                tokio::time::sleep(Duration::from_millis(60)).await;
                wire.say(&frame).await;
            }
        }
    });
    (running, meter)
}

fn answer(di: &str) -> Vec<u8> {
    let octets: &[u8] = if di == ENERGY { &[0x78, 0x56, 0x34, 0x12] } else { &[0x00, 0x22] };
    reply(METER, di, octets)
}

async fn after_a_minute(running: &Running) -> Vec<Pending> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    running.store().offer(0, 100).await.unwrap().into_iter().filter(is_of_its_reports).collect()
}

/// Anything but the meter's state and what becomes of the line.
fn is_of_its_reports(pending: &Pending) -> bool {
    pending.topic.contains("/flat-101/") && !pending.topic.ends_with("/status")
}

fn kinds(outbox: &[Pending]) -> Vec<&str> {
    outbox.iter().map(|p| p.topic.strip_prefix("meterd/v1/gw01/meter/flat-101/").unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_active_report_is_published_once_and_the_reading_still_comes() {
    let data = tempfile::tempdir().unwrap();
    let first_is_report =
        |di: &str, number| vec![if number == 1 { reply(METER, REPORT, &STATUS) } else { answer(di) }];
    let (running, _meter) = start(data.path(), first_is_report).await;
    let outbox = after_a_minute(&running).await;
    assert_eq!(kinds(&outbox), ["event/active_report", "data/live"]);
    let (event, read) = (&outbox[0], &outbox[1]);
    assert!(event.seq < read.seq && !event.retain && !read.retain);
    for part in [
        r#""meter":"flat-101","address":"000000000101","archive":""#,
        r#""taken_at":"2026-11-21T18:01:00."#,
        r#""event":"active_report","registers":[{"register":"active_report_status","di":"04001501","fields":["#,
        r#"{"register":"count_1","value":2},{"register":"count_2","value":1}"#,
        r#""raw":"0500000000000000000000000201"}"#,
    ] {
        assert!(event.body.contains(part), "{part}\nis not in\n{}", event.body);
    }
    assert!(read.body.ends_with("\"failures\":[]}"), "{}", read.body);
    assert_eq!(support::digits_of(&read.body, "active_energy_import"), Some("123456.78"));
    assert_eq!(support::digits_of(&read.body, "voltage_l1"), Some("220.0"));

    // Signed for, it is gone like any other message; unsigned, it is there after a restart.
    running.store().forget(vec![read.seq]).await.unwrap();
    running.stop().await;
    let mut kept = Writer::open(data.path()).unwrap().offer(0, 100).unwrap();
    kept.retain(is_of_its_reports);
    assert_eq!(kept, std::slice::from_ref(event));
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_reports_before_every_answer_is_one_event_until_it_reports_something_else() {
    let data = tempfile::tempdir().unwrap();
    let before_every_answer = |di: &str, number| {
        let mut status = STATUS;
        // Of the third round on.
        status[13] += u8::from(number > 8);
        vec![if number % 2 == 1 { reply(METER, REPORT, &status) } else { answer(di) }]
    };
    let (running, _meter) = start(data.path(), before_every_answer).await;
    let mut expected = vec!["event/active_report", "data/live"];
    for more in [&[][..], &["data/live"], &["event/active_report", "data/live"]] {
        expected.extend(more);
        let outbox = after_a_minute(&running).await;
        assert_eq!(kinds(&outbox), expected);
        let read = outbox.iter().filter(|p| p.topic.ends_with("/data/live"));
        assert!(read.into_iter().all(|p| p.body.ends_with("\"failures\":[]}")));
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_is_kept_though_no_answer_follows() {
    let data = tempfile::tempdir().unwrap();
    let only_reports = |_: &str, number| {
        vec![if number == 1 { reply(METER, REPORT, &STATUS) } else { reply("000000000102", ENERGY, &[0; 4]) }]
    };
    let (running, _meter) = start(data.path(), only_reports).await;
    let outbox = after_a_minute(&running).await;
    assert_eq!(kinds(&outbox), ["event/active_report", "data/live"]);
    assert_eq!(outbox[1].body.matches("\"reason\":\"stray\"").count(), 2, "{}", outbox[1].body);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_is_kept_though_the_line_is_unplugged_behind_it() {
    let data = tempfile::tempdir().unwrap();
    let one_report =
        |_: &str, number| if number == 1 { vec![reply(METER, REPORT, &STATUS)] } else { Vec::new() };
    let (running, meter) = start(data.path(), one_report).await;
    let outbox = after_a_minute(&running).await;
    meter.await.unwrap();
    assert_eq!(kinds(&outbox), ["event/active_report", "data/live"]);
    assert_eq!(outbox[1].body.matches("\"reason\":\"port_gone\"").count(), 2, "{}", outbox[1].body);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_of_a_meter_that_was_not_asked_is_no_event() {
    let data = tempfile::tempdir().unwrap();
    let neighbour = |di: &str, _| vec![reply("000000000102", REPORT, &STATUS), answer(di)];
    let (running, _meter) = start(data.path(), neighbour).await;
    let outbox = after_a_minute(&running).await;
    assert_eq!(kinds(&outbox), ["data/live"]);
    assert_eq!(support::digits_of(&outbox[0].body, "voltage_l1"), Some("220.0"));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_that_came_in_the_exchange_that_the_end_breaks_off_is_published() {
    let data = tempfile::tempdir().unwrap();
    let then_silent =
        |_: &str, number| vec![if number == 1 { reply(METER, REPORT, &STATUS) } else { Vec::new() }];
    let (running, _meter) = start(data.path(), then_silent).await;
    tokio::time::sleep(Duration::from_millis(30_200)).await;
    running.stop().await;
    let kept = Writer::open(data.path()).unwrap().offer(0, 100).unwrap();
    let kept: Vec<Pending> = kept.into_iter().filter(is_of_its_reports).collect();
    assert_eq!(kinds(&kept), ["event/active_report", "data/live"]);
    assert!(kept[1].body.contains("the bus was stopped"), "{}", kept[1].body);
}
