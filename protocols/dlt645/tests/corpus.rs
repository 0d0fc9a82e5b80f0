//! Promises of the fuzz targets, kept on their committed corpus (`fuzz/corpus`) and on random octets.
#![expect(clippy::unwrap_used, reason = "a corpus that is not there fails the test")]

mod fuzz_bodies;

use dlt645::exchange::Outcome;
use fuzz_bodies::edition1997::edition1997;
use fuzz_bodies::exchange::exchange;
use fuzz_bodies::formats::formats;
use fuzz_bodies::scanner::{Seen, scanner};
use proptest::collection::vec;
use proptest::prelude::*;
use std::panic::AssertUnwindSafe;
use std::path::Path;

/// Runs a target over its corpus; the share of inputs, in percent, that are something to it. A corpus whose layout
/// has come apart from its target's is noise to it.
fn replay(target: &str, body: impl Fn(&[u8]) -> bool) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 15, "{} is there", folder.display());
    let good = files.iter().filter(|file| {
        let data = std::fs::read(file).unwrap();
        std::panic::catch_unwind(AssertUnwindSafe(|| body(&data)))
            .unwrap_or_else(|_| panic!("{} breaks a promise of {target}", file.display()))
    });
    good.count() * 100 / files.len()
}

#[test]
fn the_scanner_accounts_for_every_octet_of_its_corpus() {
    let frames = replay("scanner", |data| scanner(data).iter().any(|seen| matches!(seen, Seen::Frame(..))));
    assert!(frames > 60, "{frames} % have a frame");
}

#[test]
fn an_exchange_believes_only_the_asked_meter_in_its_corpus() {
    let answered = replay("exchange", |data| !matches!(exchange(data), Outcome::Failed(_)));
    assert!(answered > 60, "{answered} % are answered");
}

#[test]
fn values_of_the_corpus_are_written_back_as_themselves() {
    let values = replay("formats", |data| formats(data) > 0);
    assert!(values > 60, "{values} % are values");
}

#[test]
fn frames_exchanges_and_registers_of_1997_hold_their_promises_on_the_corpus() {
    let known = replay("edition1997", edition1997);
    assert!(known > 60, "{known} % are known");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_target_holds_its_promises_on_random_octets(data in vec(any::<u8>(), 0..400)) {
        scanner(&data);
        exchange(&data);
        formats(&data);
        edition1997(&data);
    }
}
