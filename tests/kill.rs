//! The daemon is killed again and again, at a call of its store, a frame or a receipt, and with the power: what was
//! stored is delivered, and what is delivered was sent by a meter.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "loss/mod.rs"]
mod loss;

use loss::damage::{Damage, live_again};
use loss::disk::Disk;
use loss::kills::{self, Tally};
use loss::plant::{Design, Plant};
use loss::stub::{Manners, Open};
use rustix::process::Signal;
use std::time::Duration;
use tempfile::TempDir;

/// Kills in all, by several gateways at once: most of the time each waits for its next slot.
const KILLS: u64 = 210;
const GATEWAYS: u64 = 7;
const SEED: u64 = 1;
/// Stores that are damaged.
const DAMAGES: usize = 24;

/// A gateway; those of even numbers speak MQTT 5.
fn design(disk: &Disk, lines: usize, number: u64, seed: u64) -> Design {
    Design {
        daemon: env!("CARGO_BIN_EXE_meterd").into(),
        disk: disk.clone(),
        lines,
        meters: 4,
        faults: Vec::new(),
        version: if number.is_multiple_of(2) { 5 } else { 4 },
        seed,
    }
}

#[test]
fn killed_at_any_store_call_frame_or_receipt_it_loses_nothing_and_invents_nothing() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = Disk::build(dir.path()) else { return };
    let gateways = (0..GATEWAYS).map(|number| {
        let design = design(&disk, 3, number, SEED + number);
        std::thread::spawn(move || {
            let (version, seed) = (design.version, design.seed);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut plant = Plant::build(design).await;
                let tally = kills::campaign(&mut plant, KILLS / GATEWAYS, seed, version).await;
                (tally, plant.account)
            })
        })
    });
    let gateways: Vec<_> = gateways.collect();
    let (mut tally, mut wrong, mut most_again) = (Tally::default(), Vec::new(), 0);
    let (mut stored, mut readings, mut duplicates) = (0, 0, 0);
    for (gateway, ended) in gateways.into_iter().enumerate() {
        let (one, account) = ended.join().unwrap();
        tally.add(&one);
        stored += account.stored();
        readings += account.readings;
        duplicates += account.duplicates;
        most_again = most_again.max(account.most_again);
        wrong.extend(account.wrong.into_iter().map(|one| format!("gateway {gateway}: {one}")));
    }
    eprintln!(
        "seed {SEED}: {} kills {tally:?}; {stored} messages, {readings} readings, {duplicates} duplicates, {most_again} at \
         most on one connection",
        tally.kills()
    );
    assert!(wrong.is_empty(), "seed {SEED}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tally.kills() >= 200 && tally.kills() > 4 * tally.in_vain, "{tally:?}");
}

#[test]
fn a_store_damaged_between_two_lives_costs_what_stood_there_which_is_said_and_no_value_is_false() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = Disk::build(dir.path()) else { return };
    let damages: Vec<(u64, Damage)> = (1..).zip(Damage::ALL.into_iter().cycle()).take(DAMAGES).collect();
    let gateways = damages.chunks(DAMAGES.div_ceil(GATEWAYS as usize)).map(|own| {
        let (own, disk) = (own.to_vec(), disk.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut outcomes = Vec::new();
            for (number, damage) in own {
                let design = design(&disk, 2, number, 100 * SEED + number);
                outcomes.push((damage, runtime.block_on(live_again(design, damage))));
            }
            outcomes
        })
    });
    let gateways: Vec<_> = gateways.collect();
    let (mut wrong, mut anew, mut said) = (Vec::new(), 0, 0);
    for (damage, outcome) in gateways.into_iter().flat_map(|one| one.join().unwrap()) {
        let loss::damage::Outcome { waiting, saved, said: lost, unknown, made_anew, .. } = outcome;
        eprintln!(
            "{damage:?}: {waiting} waited, {saved} saved, {lost} said to be lost, {unknown} unknown; made anew: {made_anew}"
        );
        anew += usize::from(made_anew);
        said += lost;
        wrong.extend(outcome.wrong);
    }
    assert!(wrong.is_empty(), "seed {SEED}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(anew >= DAMAGES / Damage::ALL.len() && said > 0, "{anew} made anew, {said} said to be lost");
}

#[test]
fn account_notices_a_message_that_is_gone_and_a_value_that_no_meter_sent() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = Disk::build(dir.path()) else { return };
    let daemon = env!("CARGO_BIN_EXE_meterd").into();
    let design = Design { daemon, disk, lines: 1, meters: 2, faults: Vec::new(), version: 5, seed: SEED };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wrong = runtime.block_on(async {
        let mut plant = Plant::build(design).await;
        plant.stub.set(Manners { open: Open::No, ..Manners::default() });
        let mut daemon = plant.start("");
        // Whatever it took until a few messages are stored, the broker has none of them.
        while plant.account.stored() < 4 {
            assert!(daemon.ended(Duration::from_millis(1500)).await.is_none(), "{}", plant.log());
            daemon.signal()(Signal::KILL);
            daemon.ended(Duration::from_secs(10)).await.unwrap();
            plant.settle().await;
            daemon = plant.start("");
        }
        daemon.signal()(Signal::KILL);
        daemon.ended(Duration::from_secs(10)).await.unwrap();
        plant.settle().await;
        assert_eq!(plant.account.wrong, Vec::<String>::new());
        let store = rusqlite::Connection::open(plant.store().join("meterd.db")).unwrap();
        // By the tables' own sums both are whole.
        let of_data = "topic LIKE '%/data/%'";
        let gone = format!("DELETE FROM outbox WHERE seq = (SELECT min(seq) FROM message WHERE {of_data})");
        let false_value = format!(
            "UPDATE message SET sum = NULL, at = NULL, body = replace(body, '\"value\":', '\"value\":7')
             WHERE seq = (SELECT max(seq) FROM message WHERE {of_data})"
        );
        for change in [gone, false_value] {
            assert_eq!(store.execute(&change, []).unwrap(), 1);
        }
        store.close().unwrap();
        plant.drain().await;
        plant.account.wrong
    });
    for noticed in ["1 messages were stored and never signed for", "was never sent"] {
        assert!(wrong.iter().any(|wrong| wrong.contains(noticed)), "{noticed}: {wrong:?}");
    }
}
