//! Nights with an outage, drawn by a seed.

use crate::fleet::{ZONE, midnight};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use meterd::simulator::{Dice, Outage};

/// What is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Out {
    /// The broker: nobody signs for what the gateway has.
    Broker,
    /// The gateway's power, which goes without any orderly end.
    Gateway,
    /// A line: its cable, or its port.
    Line {
        /// Index of the bus.
        bus: usize,
        /// Whether the port is gone.
        port: bool,
    },
}

/// One outage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Night {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) out: Out,
}

/// The outages of a month, by time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nights(pub(crate) Vec<Night>);

impl Nights {
    /// Each in a night of its own, of the `days` after `midnight`: 1 to 10 h that begin between 20:00 and 03:00; of each
    /// kind a third.
    pub(crate) fn draw(seed: u64, midnight: Timestamp, days: u64, count: u64, buses: usize) -> Self {
        let mut dice = Dice::new(seed ^ 0x0AFE);
        // The last night is left for what the one before it needs.
        let mut free: Vec<u64> = (1..days).collect();
        let mut nights: Vec<Night> = (0..count)
            .map(|n| {
                let night = free.swap_remove(dice.between(0, free.len() as u64) as usize);
                let begin = SignedDuration::from_mins(dice.between(0, 7 * 60) as i64 - 4 * 60);
                let from = midnight + SignedDuration::from_hours(24 * night as i64) + begin;
                let lasts = SignedDuration::from_secs(dice.between(3600, 36_001) as i64);
                let bus = dice.between(0, buses as u64) as usize;
                let out = match n % 3 {
                    0 => Out::Gateway,
                    1 => Out::Line { bus, port: n % 2 == 0 },
                    _ => Out::Broker,
                };
                Night { from, to: from + lasts, out }
            })
            .collect();
        nights.sort_unstable_by_key(|night| night.from);
        Self(nights)
    }

    /// The day of the first outage of a gateway or a line over midnight, or of the first one at all.
    pub(crate) fn first_day(&self) -> Date {
        let day = |night: &Night| night.from.to_zoned(TimeZone::get(ZONE).unwrap()).date();
        let is_over_midnight =
            |night: &&Night| night.out != Out::Broker && midnight(day(night).tomorrow().unwrap()) < night.to;
        self.0.iter().find(is_over_midnight).or(self.0.first()).map(day).unwrap()
    }

    /// When the gateway runs between `from` and `to`.
    pub(crate) fn lives(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut lives = Vec::new();
        let mut began = from;
        for night in self.0.iter().filter(|night| night.out == Out::Gateway) {
            lives.push((began, night.from));
            began = night.to;
        }
        lives.push((began, to));
        lives
    }

    /// The outages of a line.
    pub(crate) fn of_line(&self, bus: usize) -> Vec<Outage> {
        let of = |night: &Night| match night.out {
            Out::Line { bus: own, port } if own == bus => {
                Some(Outage { from: night.from, to: night.to, port })
            }
            Out::Line { .. } | Out::Broker | Out::Gateway => None,
        };
        self.0.iter().filter_map(of).collect()
    }

    /// Until when nobody signs at `now`.
    pub(crate) fn broker_is_back(&self, now: Timestamp) -> Option<Timestamp> {
        let is_out = |night: &&Night| night.out == Out::Broker && (night.from..night.to).contains(&now);
        self.0.iter().find(is_out).map(|night| night.to)
    }

    /// Whether nothing kept the gateway from a line's meters in all of `from..to`.
    pub(crate) fn is_open(&self, bus: usize, from: Timestamp, to: Timestamp) -> bool {
        !self.0.iter().any(|night| {
            let concerns = match night.out {
                Out::Broker => false,
                Out::Gateway => true,
                Out::Line { bus: own, .. } => own == bus,
            };
            concerns && night.from < to && from < night.to
        })
    }
}

#[test]
fn each_kind_of_outage_has_its_nights_and_no_night_has_two() {
    let midnight: Timestamp = "2026-10-20T00:00:00+08:00".parse().unwrap();
    for seed in 0..50 {
        let Nights(nights) = Nights::draw(seed, midnight, 30, 10, 6);
        let of = |wanted: fn(&Out) -> bool| nights.iter().filter(|night| wanted(&night.out)).count();
        let counts = [
            of(|out| *out == Out::Broker),
            of(|out| *out == Out::Gateway),
            of(|out| matches!(out, Out::Line { .. })),
        ];
        assert!(counts.iter().all(|count| *count >= 3), "{counts:?}");
        assert!(nights.is_sorted_by(|one, next| one.to < next.from), "{nights:#?}");
        let hours = nights.iter().map(|night| night.to.duration_since(night.from).as_hours());
        assert!(hours.clone().all(|hours| (1..=10).contains(&hours)));
    }
}
