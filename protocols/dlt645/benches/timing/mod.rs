//! Times two ways to do the same over the same octets, in turns, and prints them with their ratio.
#![allow(unreachable_pub, reason = "benches of two crates use it")]
#![expect(clippy::disallowed_methods, reason = "a bench measures the real clock")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of each; the median counts, so that what else the machine does falls out.
const ROUNDS: usize = 41;
const ROUND: Duration = Duration::from_millis(10);

/// Prints nanoseconds and throughput of `ours`, and how many times as long as `minimal` it takes. `octets` is what
/// goes over the wire each time.
pub fn compare<T, U>(name: &str, octets: usize, mut ours: impl FnMut() -> T, mut minimal: impl FnMut() -> U) {
    let (times_ours, times_minimal) = (times_of(&mut ours), times_of(&mut minimal));
    let mut both = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        both.0.push(nanoseconds(&mut ours, times_ours));
        both.1.push(nanoseconds(&mut minimal, times_minimal));
    }
    let (ours, minimal) = (median(both.0), median(both.1));
    let rate = octets as f64 / ours * 1e3;
    println!(
        "{name:<34} {ours:9.1} ns  {rate:8.1} MB/s  {octets:4} octets  ratio {:5.1} x the minimal pass ({minimal:.1} ns)",
        ours / minimal
    );
}

/// How often to repeat it for one round.
fn times_of<T>(what: &mut impl FnMut() -> T) -> u32 {
    let mut times = 16;
    loop {
        let took = nanoseconds(what, times) * f64::from(times);
        if took > ROUND.as_nanos() as f64 {
            return times;
        }
        times *= 2;
    }
}

fn nanoseconds<T>(what: &mut impl FnMut() -> T, times: u32) -> f64 {
    let begin = Instant::now();
    for _ in 0..times {
        black_box(what());
    }
    begin.elapsed().as_nanos() as f64 / f64::from(times)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
