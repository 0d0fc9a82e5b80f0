//! A month of a gateway on virtual time: what its meters hold is delivered, each slot once and under its day, through nights
//! without broker, gateway or line; what no meter held is announced as a gap.
//!
//! `SEED=7 cargo test --release --test month -- --nocapture` draws another month.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

#[path = "month/falsified.rs"]
mod falsified;
#[path = "month/fleet.rs"]
mod fleet;
#[path = "month/held.rs"]
mod held;
#[path = "month/ledger.rs"]
mod ledger;
#[path = "month/life.rs"]
mod life;
#[path = "month/nights.rs"]
mod nights;
#[path = "month/report.rs"]
mod report;

use fleet::Size;
use jiff::SignedDuration;
use jiff::civil::date;
use ledger::Ledger;
use life::Plant;
use nights::Nights;
use report::Report;

/// The month; in a build that is not optimized a week of fewer meters.
const SIZE: Size = if cfg!(debug_assertions) {
    Size { days: 4, meters: 25, buses: 2, nights: 3 }
} else {
    Size { days: 30, meters: 200, buses: 6, nights: 10 }
};

/// What the last slots need: a meter that is a day behind, and the passes of a morning.
const AFTER: SignedDuration = SignedDuration::from_hours(26);

/// In memory where there is such a place: a life ends with its runtime, so what it had committed is there again on any
/// disk, and its syncs cost this test nothing but time. What a disk forgets is for `examples/soak.rs`.
fn data_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn what_meters_hold_is_delivered_once_through_all_outages_and_the_rest_is_a_known_gap() {
    let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
    // It has the first of a month, and of a year.
    let first = date(2026, 12, 30);
    let start = fleet::midnight(first) - SignedDuration::from_mins(10);
    let end = fleet::midnight(first) + SignedDuration::from_hours(24 * SIZE.days as i64);
    let meters = fleet::draw(seed, SIZE, first);
    let nights = Nights::draw(seed, fleet::midnight(first), SIZE.days, SIZE.nights, SIZE.buses);
    let data = data_dir();
    let plant = Plant { fleet: &meters, buses: SIZE.buses, nights: &nights, data: data.path(), seed };
    let mut ledger = Ledger::new(&meters, &nights, (start, end));
    let lives = nights.lives(start, end + AFTER);
    for (n, life) in lives.iter().enumerate() {
        plant.live(*life, n + 1 == lives.len(), &mut ledger);
    }
    let told = Report::of(&meters, SIZE.buses, data.path());
    for n in 0..SIZE.days as i64 {
        let day = first.saturating_add(jiff::Span::new().days(n));
        let slot = fleet::midnight(day.tomorrow().unwrap());
        if slot < end {
            assert_eq!(told.rate(day).read, ledger.delivered(held::Task::Day, slot), "{day}");
        }
    }
    let worst = nights.first_day();
    println!("{}", told.printed(worst, "table").lines().take(24).collect::<Vec<_>>().join("\n"));
    let account = ledger.account();
    println!("{account}, seed {seed}");
    let some = |all: &[String]| all.iter().take(20).cloned().collect::<Vec<_>>();
    assert!(
        account.lost.is_empty() && account.wrong.is_empty(),
        "lost: {:#?}\nwrong: {:#?}",
        some(&account.lost),
        some(&account.wrong)
    );
}
