//! A visit against virtual meters: how far a clock is off, whatever the line adds.

use super::*;
use crate::bus::exchange::Noted;
use crate::planner::Line;
use crate::simulator::{Fixed, MeterSettings, VirtualMeter};
use dlt645::{Address, Di, ErrorWord};
use jiff::Timestamp;
use std::time::Duration;

const BOTH: Di = Di::new(0x0400_010C);
const DATE: Di = Di::new(0x0400_0101);
const TIME: Di = Di::new(0x0400_0102);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// A meter without the register for both, whose clock is fast by `seconds`.
fn meter(seconds: i64, change: impl FnOnce(&mut MeterSettings)) -> VirtualMeter {
    let mut settings = MeterSettings::household("1234".parse().unwrap());
    settings.clock_offset = secs(seconds);
    settings.fixed.insert(BOTH, Fixed::Refused);
    change(&mut settings);
    VirtualMeter::new(settings, 7)
}

fn want(edition: Edition, zone: &str, names: &[&str]) -> Want {
    let find = |name: &&str| Catalogue::of(edition).find(name, 0).unwrap();
    Want {
        standard: edition.into(),
        zone: TimeZone::get(zone).unwrap(),
        bound: secs(300),
        wanted: names.iter().flat_map(find).collect(),
        refused: BTreeSet::new(),
        costs: Costs::usual(Line::DEFAULT),
        point: Point::default(),
        settlements: false,
    }
}

fn shanghai() -> Want {
    want(Edition::E2007, "Asia/Shanghai", &["clock_date", "clock_time"])
}

fn answer(octets: Vec<u8>, taken_at: Timestamp, delay: Duration) -> Answer {
    Answer { from: Address::ANY, octets, taken_at, delay, tries: 1, noted: Noted::default() }
}

fn refused() -> NoReply {
    let word = ErrorWord::NO_REQUESTED_DATA;
    NoReply { word: Some(word), ..NoReply::of(Reason::Refused, word.to_string()) }
}

struct Visited {
    asked: Vec<String>,
    lessons: Vec<Lesson>,
    checked: Checked,
}

/// A line on which a meter takes the time so long after a request, and answers `delay` after it; then so long passes.
#[derive(Clone, Copy)]
struct Pace {
    takes: Duration,
    delay: Duration,
    pause: Duration,
}

const USUAL: Pace = Pace {
    takes: Duration::from_millis(10),
    delay: Duration::from_millis(30),
    pause: Duration::from_millis(200),
};

fn visit(meter: &VirtualMeter, want: Want, begin: &str, pace: Pace) -> Visited {
    visit_through(want, begin, pace, |di, now| {
        let mut octets = Vec::new();
        meter.read(di, now, &mut octets).map(|()| octets).map_err(|_| refused())
    })
}

fn visit_through(
    want: Want,
    begin: &str,
    pace: Pace,
    mut line: impl FnMut(Di, Timestamp) -> Result<Vec<u8>, NoReply>,
) -> Visited {
    let (mut now, mut asked) = (at(begin), Vec::new());
    let mut check = ClockCheck::new(want);
    while let Some(question) = check.next() {
        assert!(asked.len() < 30, "it never ends: {asked:?}");
        asked.push(question.id().to_string());
        let came = line(question.id().di().unwrap(), now + pace.takes);
        check.take(came.map(|octets| answer(octets, now + pace.delay, pace.delay)));
        now = now + pace.delay + pace.pause;
    }
    Visited { asked, lessons: check.lessons().collect(), checked: check.finish() }
}

impl Visited {
    #[track_caller]
    fn measured(&self) -> Measured {
        let Some(Finding::Measured(measured)) = &self.checked.finding else { panic!("{:?}", self.checked) };
        *measured
    }

    /// What it is ahead by is within its own bound of `seconds`.
    #[track_caller]
    fn assert_ahead(&self, seconds: i64) {
        let Measured { offset, within, .. } = self.measured();
        assert!((offset - secs(seconds)).abs() <= within, "{offset:?} ± {within:?}");
        assert!(self.checked.decoded.failures.is_empty());
    }

    fn values(&self) -> Vec<String> {
        let text = |r: &crate::reading::Reading| format!("{} {}", r.register.name(), r.value().unwrap());
        self.checked.decoded.readings.iter().map(text).collect()
    }

    fn failures(&self) -> Vec<(String, Reason)> {
        let failures = self.checked.decoded.failures.iter();
        failures.map(|f| (f.register.name().to_string(), f.reason)).collect()
    }
}

#[test]
fn a_clock_is_read_by_two_questions_or_by_one_where_the_meter_has_that() {
    let visited = visit(&meter(7, |_| {}), shanghai(), "2026-11-21T02:15:30Z", USUAL);
    assert_eq!(visited.asked, ["0400010C", "04000101", "04000102"]);
    assert_eq!(visited.lessons, [Lesson::Lacks(BOTH.into())]);
    visited.assert_ahead(7);
    assert_eq!(visited.values(), ["clock_date 2026-11-21", "clock_time 10:15:37"]);

    let known = Want { refused: BTreeSet::from([BOTH.into()]), ..shanghai() };
    let visited = visit(&meter(7, |_| {}), known, "2026-11-21T02:15:30Z", USUAL);
    assert_eq!(visited.asked, ["04000101", "04000102"]);
    visited.assert_ahead(7);

    let has = meter(7, |settings| settings.fixed.clear());
    let visited = visit(&has, shanghai(), "2026-11-21T02:15:30Z", USUAL);
    assert_eq!(
        (&visited.asked[..], &visited.lessons[..]),
        (&["0400010C".to_owned()][..], &[Lesson::Has(BOTH.into())][..])
    );
    visited.assert_ahead(7);
    assert_eq!(visited.values(), ["clock_date 2026-11-21", "clock_time 10:15:37"]);
}

#[test]
fn a_meter_of_1997_is_measured_too() {
    let old = meter(-42, |settings| settings.edition = Edition::E1997);
    let wanted = want(Edition::E1997, "Asia/Shanghai", &["clock_date", "clock_time"]);
    let visited = visit(&old, wanted, "2026-11-21T02:15:30Z", USUAL);
    assert_eq!(visited.asked, ["C010", "C011"]);
    visited.assert_ahead(-42);
}

#[test]
fn the_delay_of_the_line_is_taken_out_wherever_in_it_the_meter_takes_the_time() {
    let ms = Duration::from_millis;
    for delay in [0, 20, 500, 2000] {
        for takes in [0, delay / 2, delay] {
            for ahead in [-100, -1, 0, 1, 299] {
                for fraction in [0, 250, 500, 999] {
                    let begin = format!("2026-11-21T02:15:30.{fraction:03}Z");
                    let pace = Pace { takes: ms(takes), delay: ms(delay), pause: ms(10) };
                    let visited = visit(&meter(ahead, |_| {}), shanghai(), &begin, pace);
                    visited.assert_ahead(ahead);
                    let within = visited.measured().within.as_millis();
                    assert_eq!(within, i128::from(delay / 2 + 500));
                }
            }
        }
    }
    // An answer to the first of two questions may be what the second was answered with.
    let mut check = ClockCheck::new(Want { refused: BTreeSet::from([BOTH.into()]), ..shanghai() });
    check.take(Ok(answer(vec![6, 0x21, 0x11, 0x26], at("2026-11-21T02:15:30Z"), ms(20))));
    let late = answer(vec![0x26, 0x15, 0x10], at("2026-11-21T02:15:30Z"), ms(20));
    check.take(Ok(Answer { tries: 2, ..late }));
    let Some(Finding::Measured(measured)) = check.finish().finding else { panic!() };
    assert!(measured.offset.abs() <= measured.within && measured.within > secs(5));
}

#[test]
fn midnight_between_date_and_time_gives_no_wrong_date() {
    for (begin, ahead) in [
        ("2026-11-20T15:59:59.800Z", 0),
        ("2026-11-20T15:59:59.600Z", 0),
        ("2026-11-20T15:59:59.300Z", 0),
        ("2026-12-31T15:59:59.800Z", 0),
        ("2026-12-31T15:58:59.800Z", 60),
        ("2027-02-28T16:00:59.800Z", -60),
        ("2028-02-29T15:59:59.800Z", 0),
    ] {
        let slow = Pace { pause: Duration::from_millis(250), ..USUAL };
        let known = Want { refused: BTreeSet::from([BOTH.into()]), ..shanghai() };
        let visited = visit(&meter(ahead, |_| {}), known, begin, slow);
        visited.assert_ahead(ahead);
        let is_new = visited.values()[1].contains("00:00:0");
        assert_eq!(visited.asked.len(), if is_new { 3 } else { 2 }, "{begin} {:?}", visited.values());
    }
    let known = Want { refused: BTreeSet::from([BOTH.into()]), ..shanghai() };
    let visited = visit(&meter(0, |_| {}), known, "2026-12-31T15:59:59.800Z", USUAL);
    assert_eq!(visited.asked, ["04000101", "04000102", "04000101"]);
    assert_eq!(visited.values(), ["clock_date 2027-01-01", "clock_time 00:00:00"]);
}

#[test]
fn a_clock_past_the_bound_is_looked_at_twice() {
    for ahead in [301, -4000, -86_400, 86_400 * 365] {
        let visited = visit(&meter(ahead, |_| {}), shanghai(), "2026-11-21T02:15:30Z", USUAL);
        assert_eq!(visited.asked[1..], ["04000101", "04000102", "04000101", "04000102"]);
        visited.assert_ahead(ahead);
        assert_eq!(visited.checked.decoded.readings.len(), 2);
    }
}

#[test]
fn damage_that_fits_the_sum_moves_no_clock() {
    // The second answer is of another hour; the three after it are right.
    let lies = |first: usize, last: usize| {
        let (right, mut asked) = (meter(0, |_| {}), 0);
        let known = Want { refused: BTreeSet::from([BOTH.into()]), ..shanghai() };
        visit_through(known, "2026-11-21T02:15:30Z", USUAL, move |di, now| {
            let mut octets = Vec::new();
            right.read(di, now, &mut octets).unwrap();
            asked += 1;
            if (first..=last).contains(&asked) && di == TIME {
                // Each time another hour.
                octets[2] = asked as u8;
            }
            Ok(octets)
        })
    };
    let visited = lies(2, 2);
    assert_eq!(visited.asked.len(), 6, "a third look decides");
    visited.assert_ahead(0);
    let visited = lies(2, 6);
    assert_eq!((visited.asked.len(), &visited.checked.finding), (6, &None));
    for reading in &visited.checked.decoded.readings {
        assert_eq!(reading.quality, Quality::Suspect);
        let why = "the clock has to be read alike twice, and was not in 3 time(s): it is read differently each time";
        assert_eq!(reading.why.as_deref(), Some(why));
    }
}

#[test]
fn on_a_noisy_line_two_looks_must_agree() {
    let mut check = ClockCheck::new(shanghai());
    let has = meter(3, |settings| settings.fixed.clear());
    let mut now = at("2026-11-21T02:15:30Z");
    let mut asked = 0;
    while check.next().is_some() {
        check.over_noise(true);
        let mut octets = Vec::new();
        has.read(BOTH, now, &mut octets).unwrap();
        check.take(Ok(answer(octets, now, Duration::ZERO)));
        now += secs(1);
        asked += 1;
    }
    assert_eq!(asked, 2);
    assert!(check.finish().finding.is_some_and(|finding| !finding.is_past(secs(4))));
}

#[test]
fn what_is_no_time_is_found_and_told_with_its_digits() {
    let cases: [(&[u8], &[u8], &str); 5] = [
        (&[1, 0x30, 0x02, 0x26], &[0, 0, 0x10], "its date shows 26-02-30 (no date of the calendar)"),
        (&[6, 0x21, 0x11, 0x26], &[0, 0, 0x24], "its time shows 24:00:00 (no time of the day)"),
        (&[6, 0x2A, 0x11, 0x26], &[0, 0x5F, 0x10], "its date shows 26-11-2A ("),
        (&[0, 0, 0, 0], &[0, 0, 0], "its date shows 00-00-00 ("),
        (&[0xFF; 4], &[0xFF; 3], "its date shows FF-FF-FF ("),
    ];
    for (date, time, shows) in cases {
        let broken = meter(0, |settings| {
            settings.fixed.insert(DATE, Fixed::Octets(date.to_vec()));
            settings.fixed.insert(TIME, Fixed::Octets(time.to_vec()));
        });
        let visited = visit(&broken, shanghai(), "2026-11-21T02:15:30Z", USUAL);
        let Some(Finding::NoTime { shows: shown, at: seen }) = &visited.checked.finding else {
            panic!("{:?}", visited.checked)
        };
        assert!(shown.starts_with(shows), "{shown}");
        assert!(*seen > at("2026-11-21T02:15:30Z") && !visited.checked.decoded.failures.is_empty());
    }
    // Behind an empty battery a clock begins again in 2000.
    let reset = meter(0, |settings| {
        settings.fixed.insert(DATE, Fixed::Octets(vec![6, 1, 1, 0]));
        settings.fixed.insert(TIME, Fixed::Octets(vec![0, 0x10, 0]));
    });
    let visited = visit(&reset, shanghai(), "2026-11-21T02:15:30Z", USUAL);
    assert!(visited.measured().offset < secs(-26 * 365 * 86_400));
}

#[test]
fn a_clock_that_did_not_change_over_is_an_hour_off_and_one_that_did_is_right() {
    let berlin = || want(Edition::E2007, "Europe/Berlin", &["clock_date", "clock_time"]);
    let at_offset = |hours: i8| meter(2, |settings| settings.utc_offset = jiff::tz::offset(hours));
    for (begin, hours, ahead) in [
        ("2026-07-01T10:00:00Z", 2, 2),
        ("2026-07-01T10:00:00Z", 1, 2 - 3600),
        ("2026-12-01T10:00:00Z", 2, 2 + 3600),
        ("2026-03-29T00:59:57.200Z", 1, 2),
        ("2026-03-29T01:00:00Z", 1, 2 - 3600),
        ("2026-10-25T00:59:57.200Z", 2, 2),
        ("2026-10-25T01:00:00Z", 2, 2 + 3600),
        ("2026-10-25T01:00:00Z", 1, 2),
    ] {
        visit(&at_offset(hours), berlin(), begin, USUAL).assert_ahead(ahead);
    }
}

#[test]
fn what_is_wanted_beside_the_clock_is_read_behind_it_also_where_the_meter_tells_no_time() {
    let wanted = want(Edition::E2007, "Asia/Shanghai", &["clock_time", "clock_battery_voltage"]);
    let visited = visit(&meter(0, |_| {}), wanted.clone(), "2026-11-21T02:15:30Z", USUAL);
    assert_eq!(visited.asked, ["0400010C", "04000101", "04000102", "02800008"]);
    assert_eq!(visited.values(), ["clock_time 10:15:30", "clock_battery_voltage 3.60"]);
    let mute = meter(0, |settings| drop(settings.fixed.insert(DATE, Fixed::Refused)));
    let visited = visit(&mute, wanted, "2026-11-21T02:15:30Z", USUAL);
    assert_eq!(visited.asked, ["0400010C", "04000101", "02800008"]);
    assert_eq!(visited.failures(), [("clock_time".to_owned(), Reason::Refused)]);
    assert_eq!((visited.checked.finding, visited.checked.decoded.readings.len()), (None, 1));
}

#[test]
fn silence_ends_the_visit_and_what_was_seen_once_in_doubt_is_no_finding() {
    let silent = || NoReply::of(Reason::Silent, "no octet came");
    let wanted =
        want(Edition::E2007, "Asia/Shanghai", &["clock_date", "clock_time", "clock_battery_voltage"]);
    let visited = visit_through(wanted, "2026-11-21T02:15:30Z", USUAL, |_, _| Err(silent()));
    assert_eq!((visited.asked.len(), visited.failures().len()), (1, 3));
    assert!(visited.failures().iter().all(|(_, reason)| *reason == Reason::Silent));

    let (far, mut asked) = (meter(4000, |_| {}), 0);
    let known = Want { refused: BTreeSet::from([BOTH.into()]), ..shanghai() };
    let visited = visit_through(known, "2026-11-21T02:15:30Z", USUAL, |di, now| {
        asked += 1;
        let mut octets = Vec::new();
        far.read(di, now, &mut octets).unwrap();
        if asked > 3 { Err(silent()) } else { Ok(octets) }
    });
    assert_eq!((visited.asked.len(), &visited.checked.finding), (4, &None));
    let qualities: Vec<_> = visited.checked.decoded.readings.iter().map(|r| r.quality).collect();
    assert_eq!(qualities, [Quality::Suspect; 2]);

    let mut cut_off = ClockCheck::new(shanghai());
    cut_off.abandon(Reason::PortGone, "the port is gone");
    assert!(cut_off.next().is_none() && !cut_off.is_answered());
    assert_eq!(cut_off.finish().decoded.failures.len(), 2);
}

#[test]
fn settlement_days_are_asked_for_behind_the_clock_and_are_known_where_all_are() {
    let day = |n: u32| Di::new(0x0400_0B00 + n);
    let wanted = || Want { settlements: true, ..shanghai() };
    let heard = |change: fn(&mut MeterSettings), want: Want| {
        let visited = visit(&meter(2, change), want, "2026-11-21T02:17:00Z", USUAL);
        assert!(visited.checked.decoded.failures.is_empty() && visited.checked.finding.is_some());
        let days = visited.asked.iter().filter(|di| di.starts_with("04000B")).count();
        (
            days,
            visited.checked.settlements.to_string(),
            visited.lessons.contains(&Lesson::Lacks(day(2).into())),
        )
    };
    assert_eq!(heard(|_| {}, wanted()), (3, "0100 9999 9999".to_owned(), false));
    assert_eq!(heard(|_| {}, shanghai()), (0, String::new(), false));
    let lacks = |settings: &mut MeterSettings| {
        settings.fixed.insert(Di::new(0x0400_0B02), Fixed::Refused);
    };
    assert_eq!(heard(lacks, wanted()), (2, "0100".to_owned(), true), "and the clock is none the worse");
    let refused = BTreeSet::from([day(1).into()]);
    assert_eq!(heard(|_| {}, Want { refused, ..wanted() }), (0, String::new(), false), "that is remembered");
    let nonsense = |settings: &mut MeterSettings| {
        settings.fixed.insert(Di::new(0x0400_0B01), Fixed::Octets(vec![0x00, 0x31]));
    };
    assert_eq!(heard(nonsense, wanted()), (1, String::new(), false), "a day that not every month has");
}

#[test]
fn a_meter_of_1997_has_one_settlement_day() {
    let want = want(Edition::E1997, "Asia/Shanghai", &["clock_date", "clock_time"]);
    let old = meter(2, |settings| settings.edition = Edition::E1997);
    let visited = visit(&old, Want { settlements: true, ..want }, "2026-11-21T02:17:00Z", USUAL);
    assert_eq!(visited.asked.last().map(String::as_str), Some("C117"));
    assert_eq!(visited.checked.settlements.to_string(), "0100");
}
