//! The whole way against the bare library, in turns.

use super::fleet::broker::Broker;
use super::options::Options;
use super::traffic::{READINGS, Traffic};
use super::{bare, whole};
use bytes::Bytes;
use meterd::config::Mqtt;
use meterd::mqtt::payload;
use meterd::store::Entry;
use std::time::Duration;

/// The rate of the whole way, as a share of the bare library's.
const LEAST_SHARE: f64 = 0.25;
/// Readings a second.
const LEAST_RATE: f64 = 50_000.0;
const METERS: usize = 400;
const WINDOW: u16 = Mqtt::WINDOW;
/// As long as a store's id.
const STORE: &str = "0123456789abcdef";

/// Measures it, prints it and says what is broken.
pub(crate) fn measure(options: &Options, broker: &Broker) -> Vec<String> {
    let Options { messages, rounds, .. } = *options;
    let entries = Traffic::of(METERS, messages).entries(messages);
    println!(
        "delivery: {rounds} rounds of {messages} messages of {READINGS} readings, QoS 1, a window of {WINDOW}"
    );
    println!("  round |  whole way        bare   share");
    let (mut ours, mut alone) = (Duration::ZERO, Duration::ZERO);
    for round in 1..=rounds {
        let (of_whole, of_bare) = round_of(broker.port, &entries, round % 2 == 0);
        println!(
            "  {round:5} | {:8.0}/s  {:8.0}/s   {:5.2}",
            messages as f64 / of_whole.as_secs_f64(),
            messages as f64 / of_bare.as_secs_f64(),
            of_bare.as_secs_f64() / of_whole.as_secs_f64()
        );
        (ours, alone) = (ours + of_whole, alone + of_bare);
    }
    let share = alone.as_secs_f64() / ours.as_secs_f64();
    let rate = (messages * rounds * READINGS) as f64 / ours.as_secs_f64();
    println!(
        "  {rate:.0} readings/s (bound {LEAST_RATE:.0}), {share:.2} of the bare library (bound {LEAST_SHARE})"
    );
    let mut broken = Vec::new();
    if share < LEAST_SHARE {
        broken.push(format!("delivery: {share:.2} of the bare library"));
    }
    if rate < LEAST_RATE {
        broken.push(format!("delivery: {rate:.0} readings/s"));
    }
    broken
}

/// One round of both: the whole way, and the library alone.
pub(crate) fn round_of(port: u16, entries: &[Entry], whole_first: bool) -> (Duration, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let messages: Vec<(String, Bytes)> = entries
        .iter()
        .zip(1..)
        .map(|(entry, seq)| (entry.topic.clone(), payload::compose(STORE, seq, &entry.body).into()))
        .collect();
    let (folder, entries) = (tempfile::tempdir().expect("a temporary folder"), entries.to_vec());
    runtime.block_on(async {
        if whole_first {
            let of_whole = whole::deliver(folder.path(), port, WINDOW, entries).await;
            (of_whole, bare::deliver(port, WINDOW, messages).await)
        } else {
            let of_bare = bare::deliver(port, WINDOW, messages).await;
            (whole::deliver(folder.path(), port, WINDOW, entries).await, of_bare)
        }
    })
}
