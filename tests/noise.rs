//! Noisy lines: what a frame's checks let through is never published as good, and a quiet line pays nothing for it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

#[path = "noise/drive.rs"]
mod drive;
mod support;

use drive::{Kind, run};
use meterd::bus::port::memory;
use meterd::clock::Clock;
use meterd::daemon::{Daemon, Running};
use meterd::mqtt::payload::{DataMessage, compose};
use meterd::simulator::NoiseModel;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{asked, reply};

const SEED: u64 = 1;

#[test]
fn no_wrong_value_is_published_as_good_however_noisy_the_line_is() {
    for (model, per_octet) in [(NoiseModel::Bits, 0.03), (NoiseModel::Octets, 0.1)] {
        let count = run(Kind { model, per_octet, checked: false }, 50_000, SEED);
        let said = format!("{model:?} {per_octet}, seed {SEED}: {count:?}");
        assert!(count.wrong > 0, "the frames let nothing through: {said}");
        assert_eq!(count.good_wrong, 0, "{said}");
        assert!(count.good > 500, "{said}");
    }
}

#[test]
fn a_quiet_line_is_asked_nothing_twice_and_a_rare_hit_costs_a_few_questions() {
    let kind = |per_octet| Kind { model: NoiseModel::Bits, per_octet, checked: true };
    let quiet = run(kind(0.0), 5_000, SEED);
    assert_eq!((quiet.again, quiet.suspect, quiet.failed), (0, 0, 0), "{quiet:?}");
    // One reply in 2,000.
    let rare = run(kind(0.000_02), 20_000, SEED);
    assert!(rare.hit > 3 && rare.again * 20 < rare.questions, "{rare:?}");
    assert_eq!(rare.good_wrong, 0, "{rare:?}");
}

const METER: &str = "000000000101";
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
registers = ["voltage_l1", "voltage_l2"]
"#;

/// What comes over the line of the answers to one question.
#[derive(Clone, Copy)]
enum Came {
    /// Two voltages, in tenths of a volt.
    Volts(u16, u16),
    /// They, in a frame whose sum is wrong.
    Damaged,
    Nothing,
}

/// The whole daemon, and a meter whose answers come in turn; the last of them for ever.
async fn daemon(data: &std::path::Path, answers: Vec<Came>) -> (Running, Arc<AtomicUsize>) {
    let clock = Clock::virtual_at("2026-11-21T10:00:30Z".parse().unwrap());
    let (supply, opener) = memory::opener();
    let (port, mut wire) = memory::pair();
    supply.send(port).await.unwrap();
    let plan = support::plan(CONFIGURATION, data);
    let running = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Some(request) = wire.hear().await {
            let (di, address) = asked(&request);
            assert_eq!((di.as_str(), address.as_str()), ("0201FF00", METER));
            let n = counted.fetch_add(1, Ordering::Relaxed);
            let volts = |one: u16, two: u16| {
                let octets =
                    |tenths: u16| u16::from_str_radix(&tenths.to_string(), 16).unwrap().to_le_bytes();
                reply(METER, &di, &[octets(one), octets(two), [0xFF; 2]].concat())
            };
            let octets = match answers[n.min(answers.len() - 1)] {
                Came::Volts(one, two) => volts(one, two),
                Came::Damaged => {
                    let mut frame = volts(2201, 2202);
                    frame[14] ^= 1;
                    frame
                }
                Came::Nothing => continue,
            };
            tokio::time::sleep(Duration::from_millis(60)).await;
            wire.say(&octets).await;
        }
    });
    (running, count)
}

/// The readings of each of the first minutes, and how often the meter was asked in it.
async fn minutes(answers: &[Came], minutes: usize) -> Vec<(Vec<String>, usize)> {
    let data = tempfile::tempdir().unwrap();
    let (running, count) = daemon(data.path(), answers.to_vec()).await;
    let (mut told, mut seen, mut before) = (Vec::new(), 0, 0);
    for _ in 0..minutes {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut readings = Vec::new();
        for pending in running.store().offer(seen, 1000).await.unwrap() {
            seen = pending.seq;
            if pending.topic.contains("/data/") {
                let body = DataMessage::parse(&compose("8f", pending.seq, &pending.body)).unwrap().body;
                assert!(body.failures.is_empty(), "{body:?}");
                readings.extend(body.readings.iter().map(|r| {
                    let why = r.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                    format!("{} {}{why}", r.value.as_ref().unwrap(), r.quality.word())
                }));
            }
        }
        let asked = count.load(Ordering::Relaxed);
        told.push((readings, asked - std::mem::replace(&mut before, asked)));
    }
    running.stop().await;
    told
}

fn of(readings: &[&str], asked: usize) -> (Vec<String>, usize) {
    (readings.iter().map(|&reading| reading.to_owned()).collect(), asked)
}

#[tokio::test(start_paused = true)]
async fn on_a_noisy_line_a_value_is_good_when_two_answers_agree_and_suspect_with_why_when_none_do() {
    use Came::{Damaged, Nothing, Volts};
    let answers = [
        // Quiet: read once.
        vec![Volts(2201, 2202)],
        // The retry brings an answer, and a second one confirms it.
        vec![Damaged, Volts(2201, 2202), Volts(2201, 2202)],
        // A wrong 280.3 came through, and the third answer agrees with the second.
        vec![Volts(2803, 2204), Volts(2203, 2204), Volts(2203, 2204)],
        // One of two moves.
        vec![Volts(2205, 2204), Volts(2206, 2204), Volts(2207, 2204)],
        // Nothing confirms it.
        vec![Volts(2209, 2210), Nothing, Nothing],
        vec![Volts(2208, 2208)],
    ];
    let told = minutes(&answers.concat(), 6).await;
    let moved =
        "220.7 suspect: the line is noisy (线路干扰), and no two of 3 answers agree: 220.5, 220.6, 220.7";
    let alone = |volts: &str| {
        format!(
            "{volts} suspect: the line is noisy (线路干扰), and it could not be read again: no octet of an answer, asked \
             2 times"
        )
    };
    let expected = [
        of(&["220.1 good", "220.2 good"], 1),
        of(&["220.1 good", "220.2 good"], 3),
        of(&["220.3 good", "220.4 good"], 3),
        of(&[moved, "220.4 good"], 3),
        of(&[&alone("220.9"), &alone("221.0")], 3),
        of(&["220.8 good", "220.8 good"], 2),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_quiet_again_is_read_once_and_a_silent_meter_is_no_noise() {
    use Came::{Damaged, Nothing, Volts};
    // Sixteen answers behind a hit are confirmed, the hit one among them: eight rounds of two.
    let told = minutes(&[Damaged, Volts(2201, 2202)], 12).await;
    let asked: Vec<usize> = told.iter().map(|(_, asked)| *asked).collect();
    assert_eq!(asked, [3, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
    // The first try of every other question is not heard.
    let answers = [Nothing, Volts(2201, 2202), Volts(2201, 2202)].repeat(10);
    let asked: usize = minutes(&answers, 12).await.iter().map(|(_, asked)| *asked).sum();
    assert_eq!(asked, 18, "six retries and nothing else");
}
