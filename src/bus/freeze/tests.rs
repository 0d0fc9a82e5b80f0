//! A visit against virtual meters: which freeze is the slot's, and whose digits it has.

mod commanded;
mod kinds;
mod months;
mod walks;

use super::*;
use crate::bus::exchange::Noted;
use crate::bus::round::Point;
use crate::planner::{Costs, Line};
use crate::reading::Reading;
use crate::simulator::{Memory, MeterSettings, VirtualMeter};
use dlt645::{Address, Di, ErrorWord};
use jiff::SignedDuration;
use jiff::civil::date;
use jiff::tz::offset;
use std::collections::BTreeSet;
use std::time::Duration;

fn household(change: impl FnOnce(&mut MeterSettings)) -> VirtualMeter {
    let mut settings = MeterSettings::household("1234".parse().unwrap());
    settings.energy = 1_234_567;
    change(&mut settings);
    VirtualMeter::new(settings, 7)
}

fn remembering(change: impl FnOnce(&mut Memory)) -> VirtualMeter {
    household(|settings| change(&mut settings.memory))
}

fn instant(local: DateTime) -> Timestamp {
    offset(8).to_timestamp(local).unwrap()
}

fn registers(edition: Edition, names: &[&str]) -> Vec<Register> {
    names.iter().flat_map(|name| Catalogue::of(edition).find(name, 4).unwrap()).collect()
}

/// Total and tariffs of a midnight, wanted at `now`.
fn want(slot: DateTime, now: DateTime) -> Want {
    Want {
        standard: Edition::E2007.into(),
        slot: instant(slot),
        frozen_at: slot,
        now,
        is_month: false,
        is_backfill: false,
        clock_offset: None,
        clock_bound: SignedDuration::from_mins(5),
        known: None,
        commanded: None,
        wanted: registers(Edition::E2007, &["active_energy_import", "active_energy_import_t*"]),
        refused: BTreeSet::new(),
        costs: Costs::usual(Line::DEFAULT),
        point: Point::default(),
    }
}

/// 21 November 2026 at 00:00, at five past.
fn tonight() -> Want {
    want(date(2026, 11, 21).at(0, 0, 0, 0), date(2026, 11, 21).at(0, 5, 10, 0))
}

struct Visited {
    asked: Vec<String>,
    found: Option<Kind>,
    outcome: Outcome,
}

fn answer(octets: Vec<u8>, taken_at: Timestamp) -> Answer {
    let (from, noted) = (Address::ANY, Noted::default());
    Answer { from, octets, taken_at, delay: Duration::ZERO, tries: 1, noted }
}

fn read(meter: &VirtualMeter, di: Di, at: Timestamp) -> Result<Vec<u8>, NoReply> {
    let mut octets = Vec::new();
    meter.read(di, at, &mut octets).map(|()| octets).map_err(|word| {
        assert_eq!(word, ErrorWord::NO_REQUESTED_DATA);
        refused()
    })
}

/// Asks the meter a question a second.
fn visit(meter: &VirtualMeter, want: Want) -> Visited {
    visit_through(want, |di, at| read(meter, di, at))
}

fn visit_through(want: Want, mut line: impl FnMut(Di, Timestamp) -> Result<Vec<u8>, NoReply>) -> Visited {
    let (mut now, mut asked) = (instant(want.now), Vec::new());
    let mut visit = Freeze::new(want);
    while let Some(question) = visit.next() {
        assert!(asked.len() < 100, "it never ends: {asked:?}");
        asked.push(question.id().to_string());
        visit.take(line(question.id().di().unwrap(), now).map(|octets| answer(octets, now)));
        now += SignedDuration::from_secs(1);
    }
    Visited { asked, found: visit.found(), outcome: visit.finish() }
}

fn silent() -> NoReply {
    NoReply::of(Reason::Silent, "no octet came")
}

fn refused() -> NoReply {
    let word = ErrorWord::NO_REQUESTED_DATA;
    NoReply { word: Some(word), ..NoReply::of(Reason::Refused, word.to_string()) }
}

/// Names and values.
fn values(readings: &[Reading]) -> Vec<(String, String)> {
    readings.iter().map(|r| (r.register.name().to_string(), r.value().unwrap().to_string())).collect()
}

/// What the registers held at a local time, by the names of 2007.
fn held(meter: &VirtualMeter, wanted: &[Register], at: DateTime) -> Vec<(String, String)> {
    let value = |register: &Register| meter.value(register.di().unwrap(), instant(at)).unwrap().to_string();
    wanted.iter().map(|register| (register.name().to_string(), value(register))).collect()
}

impl Visited {
    /// All that is wanted is there, with the digits of `at`.
    #[track_caller]
    fn assert_held(&self, meter: &VirtualMeter, wanted: &[Register], at: DateTime) {
        assert_eq!(values(&self.outcome.readings), held(meter, wanted, at));
        assert_eq!((&self.outcome.failures[..], &self.outcome.fate), (&[][..], &Fate::Settled));
    }

    #[track_caller]
    fn assert_quality(&self, quality: Quality, why: Option<&str>) {
        assert!(!self.outcome.readings.is_empty());
        for reading in &self.outcome.readings {
            assert_eq!((reading.quality, reading.why.as_deref()), (quality, why));
        }
    }

    fn stamp(&self) -> Option<String> {
        self.outcome.origin.meter_time.map(|at| at.to_string())
    }

    fn failures(&self) -> Vec<(String, Reason)> {
        self.outcome.failures.iter().map(|f| (f.register.name().to_string(), f.reason)).collect()
    }

    #[track_caller]
    fn gone(&self) -> &str {
        assert!(self.outcome.readings.is_empty() && self.outcome.failures.is_empty());
        let Fate::Gone(why) = &self.outcome.fate else { panic!("{:?}", self.outcome.fate) };
        why
    }
}
