//! What a virtual meter answers of the past: freezes (冻结), load records (负荷记录), event records (事件记录).
//!
//! History is the present of an earlier instant: each value is that of [`VirtualMeter::value`] then, in the
//! record's layout of the catalogue. Nothing is stored but the freezes that were commanded, which no seed
//! can tell.

use super::calendar::{self, Calendar};
use super::freeze::{Entry, Refreeze, Schedule};
use super::load::Since;
use super::meter::{VirtualMeter, write};
use super::profile::{Intervals, Which};
use super::supply::Supply;
use catalogue::{Catalogue, Register};
use dlt645::format::{Recurring, Time, Value, Word};
use dlt645::pdu::{FreezeAt, RecordTime};
use dlt645::{Di, ErrorWord};
use jiff::Timestamp;
use jiff::civil::{self, DateTime};
use rust_decimal::Decimal;
use std::collections::VecDeque;

/// What a meter freezes and records by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memory {
    /// When it freezes each day (日冻结, 05 06); `None` for a meter that has no daily freeze.
    pub daily_freeze: Option<civil::Time>,
    /// Whether it freezes each hour (整点冻结, 05 04).
    pub hourly_freeze: bool,
    /// Its load records (06).
    pub load_records: Intervals,
    /// What it does about the days that it missed without power.
    pub refreeze: Refreeze,
    /// Without power from here to there, in true local time; in any order, none within another.
    pub power_cuts: Vec<(DateTime, DateTime)>,
}

impl Default for Memory {
    /// As it comes from the works: a daily freeze at 00:00, hourly freezes, load records every 15 minutes.
    fn default() -> Self {
        Self {
            daily_freeze: Some(civil::Time::midnight()),
            hourly_freeze: true,
            load_records: Intervals::all(15),
            refreeze: Refreeze::default(),
            power_cuts: Vec::new(),
        }
    }
}

impl Memory {
    /// The power cuts by the meter's clock.
    pub(super) fn supply(&self, calendar: &Calendar) -> Supply {
        let cut = |shown: DateTime| calendar.between(calendar.shown_at(shown));
        Supply::new(self.power_cuts.iter().map(|(from, to)| (cut(*from), cut(*to))).collect())
    }
}

/// Instant freezes that are kept (A.6: the last three).
const INSTANT_FREEZES: usize = 3;

/// DI2 of the freezes.
const TIMED: u8 = 0x00;
const INSTANT: u8 = 0x01;
const HOURLY: u8 = 0x04;
const DAILY: u8 = 0x06;
/// DI1 of a freeze: its time, its variables, the whole of it.
const STAMP: u8 = 0x00;
const VARIABLES: u8 = 0x10;
const WHOLE: u8 = 0xFF;

/// DI2 of the events that a virtual meter keeps: power-down, and what is programmed, cleared and opened.
const POWER_DOWN: u8 = 0x11;
const PROGRAMMING: u8 = 0x30;

/// DI0 of load records: the earliest, from a time, the latest.
const EARLIEST: u8 = 0x00;
const FROM: u8 = 0x01;
const LATEST: u8 = 0x02;
/// One answer at most: in 32 frames, more than which no reader waits for.
const MOST_RECORD_OCTETS: usize = 6000;

/// Freezes that a master commanded.
#[derive(Clone, Debug, Default)]
pub(super) struct Commanded {
    /// The newest first.
    instants: VecDeque<Since>,
    timed: Option<Timed>,
}

/// A timed freeze (定时冻结) as it was set.
#[derive(Clone, Copy, Debug)]
struct Timed {
    schedule: Schedule,
    /// Only on this day of the month.
    day: Option<u8>,
    set_at: Since,
}

impl Commanded {
    /// Obeys a freeze command.
    ///
    /// # Errors
    /// [`ErrorWord::OTHER`] for a time that comes once a year or never.
    pub(super) fn obey(&mut self, at: FreezeAt, now: Since) -> Result<(), ErrorWord> {
        let digits = |octet: u8| Some((octet >> 4) * 10 + (octet & 0x0F)).filter(|n| *n < 100);
        let [minute, hour, day, month] = at.to_wire().map(|octet| digits(octet).unwrap_or(u8::MAX));
        let timed = |schedule, day| Some(Timed { schedule, day, set_at: now });
        match (month, day, hour, minute) {
            (99, 99, 99, 99) => {
                self.instants.push_front(now);
                self.instants.truncate(INSTANT_FREEZES);
                return Ok(());
            }
            (99, 99, 99, 0..60) => self.timed = timed(Schedule::hourly(minute), None),
            (99, 99, 0..24, 0..60) => self.timed = timed(Schedule::daily(hour, minute), None),
            (99, 1..=31, 0..24, 0..60) => self.timed = timed(Schedule::daily(hour, minute), Some(day)),
            _ => return Err(ErrorWord::OTHER),
        }
        Ok(())
    }
}

/// Answers a register of the past: appends the octets after the DI.
///
/// # Errors
/// [`ErrorWord::NO_REQUESTED_DATA`] for what it does not have, or what never happened.
pub(super) fn read(
    meter: &VirtualMeter,
    register: Register,
    now: Timestamp,
    out: &mut Vec<u8>,
) -> Result<(), ErrorWord> {
    match register.di_byte(3) {
        0x03 => event(meter, register, meter.calendar().since(now), out),
        0x05 => frozen(meter, register, meter.calendar().since(now), out),
        0x06 if register.di_byte(0) == FROM => None,
        0x06 => return records(meter, register, 1, None, now, out),
        _ => None,
    }
    .ok_or(ErrorWord::NO_REQUESTED_DATA)
}

/// Answers `count` load records, the oldest first; none is an answer too.
///
/// # Errors
/// [`ErrorWord::NO_REQUESTED_DATA`] from a meter without load records, or for a time that is none.
pub(super) fn records(
    meter: &VirtualMeter,
    register: Register,
    count: u8,
    from: Option<RecordTime>,
    now: Timestamp,
    out: &mut Vec<u8>,
) -> Result<(), ErrorWord> {
    let intervals = meter.settings().memory.load_records;
    let calendar = meter.calendar();
    let which = match (register.di_byte(0), from) {
        _ if !intervals.any() => None,
        (EARLIEST, None) => Some(Which::Earliest),
        (LATEST, None) => Some(Which::Latest),
        (FROM, Some(from)) => date_time(from).map(|from| Which::From(calendar.between(from))),
        (_, _) => None,
    };
    let which = which.ok_or(ErrorWord::NO_REQUESTED_DATA)?;
    let class = register.di_byte(2);
    for at in intervals.times(class, which, count.into(), calendar.since(now), meter.supply()) {
        let shown = calendar.at(at);
        let start = out.len();
        let recorded = |of| (class == 0 || class == of) && intervals.is_due(of, at);
        register
            .encode_load_record(
                (calendar::date(shown), calendar::time(shown, false)),
                recorded,
                |name| held_then(meter, name, at),
                out,
            )
            .map_err(|_| ErrorWord::NO_REQUESTED_DATA)?;
        if out.len() > MOST_RECORD_OCTETS {
            out.truncate(start);
            break;
        }
    }
    Ok(())
}

/// What a meter is set to about its memory (04 00 09, 0A, 0B, 12); `None` for what it has not.
pub(super) fn setting(meter: &VirtualMeter, di: Di) -> Option<Value> {
    let memory = &meter.settings().memory;
    let intervals = memory.load_records;
    let word = |bits: u8| Word::from_wire(&[bits]).map(Value::Bits);
    let whole = |n: u16| Value::Number(Decimal::from(n));
    let start = calendar::time(meter.calendar().at(0), false);
    let installed = calendar::date(meter.calendar().at(0));
    Some(match di.get() {
        0x0400_0901 if intervals.any() => word(intervals.mode_word())?,
        0x0400_0902 | 0x0400_0903 => word(0xFF)?,
        // Of the hourly freeze there are imported and exported energy.
        0x0400_0905 if memory.hourly_freeze => word(0x03)?,
        0x0400_0906 if memory.daily_freeze.is_some() => word(0xFF)?,
        0x0400_0A01 if intervals.any() => Value::Recurring(Recurring {
            month: Some(installed.month),
            day: installed.day,
            time: Some(start),
        }),
        0x0400_0A02..=0x0400_0A07 if intervals.any() => {
            let class = usize::from(di.byte(0)) - 2;
            whole(intervals.0.get(class).copied().flatten().unwrap_or(0))
        }
        0x0400_0B01 => monthly(1, 0),
        // 9999: there is no second and third settlement day.
        0x0400_0B02 | 0x0400_0B03 => monthly(99, 99),
        0x0400_1201 if memory.hourly_freeze => Value::DateTime(installed, start),
        0x0400_1202 if memory.hourly_freeze => whole(60),
        0x0400_1203 => Value::Time(calendar::time(memory.daily_freeze?.on(2000, 1, 1), false)),
        _ => return None,
    })
}

fn monthly(day: u8, hour: u8) -> Value {
    Value::Recurring(Recurring { month: None, day, time: Some(Time { hour, minute: 0, second: None }) })
}

fn date_time(time: RecordTime) -> Option<DateTime> {
    let [year, month, day, hour, minute] = time.parts()?.map(|n| i8::try_from(n).unwrap_or(i8::MAX));
    DateTime::new(2000 + i16::from(year), month, day, hour, minute, 0, 0).ok()
}

/// `05 kind what n`: the n-th last freeze.
fn frozen(meter: &VirtualMeter, register: Register, now: Since, out: &mut Vec<u8>) -> Option<()> {
    let [n, what, kind, _] = [0, 1, 2, 3].map(|byte| register.di_byte(byte));
    let entry = entry(meter, kind, n.checked_sub(1)?.into(), now)?;
    let stamp = meter.calendar().at(entry.stamp);
    let stamp = Value::DateTime(calendar::date(stamp), calendar::time(stamp, false));
    // Of the hourly freeze there are totals alone.
    let tariffs = if kind == HOURLY { 0 } else { meter.settings().tariffs };
    match what {
        STAMP => write(register, Some(stamp), out),
        VARIABLES | WHOLE if meter.settings().blocks => {
            let value = |name: &str| match name {
                "freeze_time" => Some(stamp),
                name => held_then(meter, name, entry.taken),
            };
            register.encode_record(tariffs, value, out).ok()?;
        }
        _ => {
            let [class, own] = match what {
                0x01..=0x08 => [0x00, what],
                0x09 | 0x0A => [0x01, what - 0x08],
                _ => return None,
            };
            for tariff in 0..=tariffs {
                let present = Di::new(u32::from_be_bytes([class, own, tariff, 0]));
                write(register, then(meter, present, entry.taken), out);
            }
        }
    }
    Some(())
}

fn entry(meter: &VirtualMeter, kind: u8, n: usize, now: Since) -> Option<Entry> {
    let memory = &meter.settings().memory;
    let supply = meter.supply();
    let commanded = meter.commanded();
    match kind {
        TIMED => {
            let Timed { schedule, day, set_at } = commanded.timed?;
            let of_day = |at: Since| day.is_none_or(|day| calendar::date(meter.calendar().at(at)).day == day);
            let entries = schedule.entries(now, supply, Refreeze::None);
            entries.take_while(|e| e.stamp > set_at).filter(|e| of_day(e.stamp)).nth(n)
        }
        INSTANT => commanded.instants.get(n).copied().map(Entry::at),
        HOURLY if memory.hourly_freeze => Schedule::hourly(0).entries(now, supply, Refreeze::None).nth(n),
        DAILY => {
            let at = calendar::time(memory.daily_freeze?.on(2000, 1, 1), false);
            Schedule::daily(at.hour, at.minute).entries(now, supply, memory.refreeze).nth(n)
        }
        _ => None,
    }
}

/// `03 event … n`: how often, and the n-th last record; zeros for what never happened.
fn event(meter: &VirtualMeter, register: Register, now: Since, out: &mut Vec<u8>) -> Option<()> {
    let kind = register.di_byte(2);
    if kind != POWER_DOWN && kind != PROGRAMMING || register.octets() == 0 {
        return None;
    }
    let start = out.len();
    let cuts = || meter.supply().begun_by(now).take_while(|(from, _)| *from > 0);
    match register.record_back() {
        None => {
            let count = if kind == POWER_DOWN { cuts().count() } else { 0 };
            write(register, Some(Value::Number(Decimal::from(count))), out);
        }
        Some(n) => {
            let cut = if kind == POWER_DOWN { cuts().nth(usize::from(n.checked_sub(1)?)) } else { None };
            out.resize(start + register.octets(), 0);
            if let Some((from, to)) = cut {
                out.truncate(start);
                let shown = |at: Since| {
                    let at = meter.calendar().at(at);
                    Some(Value::DateTime(calendar::date(at), calendar::time(at, true)))
                };
                let value = |name: &str| if name == "start" { shown(from) } else { shown(to) };
                register.encode_record(0, value, out).ok()?;
            }
        }
    }
    Some(())
}

/// What the register of this name held at an instant, as the fields of records are named.
fn held_then(meter: &VirtualMeter, name: &str, at: Since) -> Option<Value> {
    let register = Catalogue::dlt645_2007().find(name, meter.settings().tariffs).ok()?;
    then(meter, register.first()?.di()?, at)
}

/// What a register of the present held at an instant. What a scenario fixed stands still in its history too.
fn then(meter: &VirtualMeter, di: Di, at: Since) -> Option<Value> {
    let then = meter.calendar().instant(at);
    match meter.settings().fixed.get(&di) {
        Some(fixed) => match Catalogue::dlt645_2007().by_di(di)? {
            catalogue::Entry::Register(register) => register.decode(&fixed.octets(then)?).ok(),
            catalogue::Entry::Block(_) => None,
        },
        None => meter.value(di, then),
    }
}

#[cfg(test)]
mod tests {
    use super::super::meter::{Fixed, MeterSettings};
    use super::*;
    use catalogue::Decoded;
    use jiff::civil::date;
    use jiff::{SignedDuration, ToSpan};

    /// Noon of the meter's clock.
    fn now() -> Timestamp {
        "2026-11-21T04:00:00Z".parse().unwrap()
    }

    fn meter(change: impl FnOnce(&mut MeterSettings)) -> VirtualMeter {
        let mut settings = MeterSettings::household("1234".parse().unwrap());
        settings.solar = true;
        change(&mut settings);
        VirtualMeter::new(settings, 7)
    }

    fn read(meter: &VirtualMeter, di: u32, now: Timestamp) -> Result<Vec<u8>, ErrorWord> {
        let mut out = Vec::new();
        meter.read(Di::new(di), now, &mut out).map(|()| out)
    }

    const REFUSED: Result<Vec<u8>, ErrorWord> = Err(ErrorWord::NO_REQUESTED_DATA);

    /// The times that daily freezes bear, from the newest.
    fn stamps(meter: &VirtualMeter, now: Timestamp, n: u32) -> Vec<String> {
        let read = (1..=n).map_while(|n| read(meter, 0x0506_0000 + n, now).ok());
        read.map(|octets| {
            let register = &Catalogue::dlt645_2007().find("daily_freeze_time_day1", 4).unwrap()[0];
            register.decode(&octets).unwrap().to_string()
        })
        .collect()
    }

    #[test]
    fn freezes_of_all_days_are_the_registers_that_were_read_at_those_midnights() {
        let meter = meter(|_| {});
        let midnight = |n: u32| -> Timestamp {
            let first: Timestamp = "2026-11-20T16:00:00Z".parse().unwrap();
            first - SignedDuration::from_hours(24 * i64::from(n - 1))
        };
        for n in 1..=62 {
            for (frozen, present) in
                [(0x01, 0x0001), (0x02, 0x0002), (0x03, 0x0003), (0x08, 0x0008), (0x09, 0x0101)]
            {
                let tariffs = (0..=4).map(|t| read(&meter, present << 16 | t << 8, midnight(n)).unwrap());
                let then = tariffs.collect::<Vec<_>>().concat();
                assert_eq!(read(&meter, 0x0506_0000 | frozen << 8 | n, now()), Ok(then), "{frozen} {n}");
            }
        }
        assert_eq!(read(&meter, 0x0506_003F, now()), REFUSED, "62 are kept");
        let hour = "2026-11-21T01:00:00Z".parse().unwrap();
        assert_eq!(read(&meter, 0x0504_0104, now()), read(&meter, 0x0001_0000, hour));
        assert!(read(&meter, 0x0504_00FE, now()).is_ok());
    }

    #[test]
    fn a_whole_freeze_is_its_single_registers_one_after_the_other() {
        let meter = meter(|_| {});
        let parts = [0x00, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xA, 0x10];
        let parts = parts.map(|part| read(&meter, 0x0506_0002 | part << 8, now()).unwrap()).concat();
        assert_eq!(parts.len(), 269);
        assert_eq!(read(&meter, 0x0506_FF02, now()), Ok(parts));
        let parts = [0, 1, 2].map(|part| read(&meter, 0x0504_0007 | part << 8, now()).unwrap()).concat();
        assert_eq!(read(&meter, 0x0504_FF07, now()), Ok(parts));
    }

    #[test]
    fn no_freeze_is_older_than_its_meter_and_a_meter_may_have_none() {
        let young = meter(|s| s.installed = date(2026, 11, 19));
        assert_eq!(stamps(&young, now(), 62), ["2026-11-21T00:00", "2026-11-20T00:00"]);
        assert_eq!(read(&young, 0x0506_0103, now()), REFUSED);
        let none = meter(|s| {
            s.memory = Memory { daily_freeze: None, hourly_freeze: false, ..Memory::default() };
        });
        for di in [0x0506_0001, 0x0506_0101, 0x0506_FF01, 0x0504_0001, 0x0400_1203, 0x0400_1202] {
            assert_eq!(read(&none, di, now()), REFUSED, "{di:08X}");
        }
    }

    #[test]
    fn missed_midnights_are_frozen_again_as_the_scenario_says() {
        // Two midnights are without power.
        let dark = |refreeze| {
            meter(|s| {
                s.memory.refreeze = refreeze;
                s.memory.power_cuts =
                    vec![(date(2026, 11, 18).at(23, 30, 0, 0), date(2026, 11, 20).at(6, 15, 0, 0))];
            })
        };
        let all = |refreeze| stamps(&dark(refreeze), now(), 4).join(" ");
        assert_eq!(
            all(Refreeze::Each),
            "2026-11-21T00:00 2026-11-20T00:00 2026-11-19T00:00 2026-11-18T00:00"
        );
        assert_eq!(
            all(Refreeze::Once),
            "2026-11-21T00:00 2026-11-20T06:15 2026-11-18T00:00 2026-11-17T00:00"
        );
        assert_eq!(
            all(Refreeze::None),
            "2026-11-21T00:00 2026-11-18T00:00 2026-11-17T00:00 2026-11-16T00:00"
        );
        let meter = dark(Refreeze::Each);
        let power_up: Timestamp = "2026-11-19T22:15:00Z".parse().unwrap();
        let then = |n: u32| read(&meter, 0x0506_0100 + n, now()).unwrap();
        assert_eq!(then(2)[..4], read(&meter, 0x0001_0000, power_up).unwrap());
        assert_eq!(then(2), then(3), "no energy flows without power");
        assert!(!meter.has_power(power_up - 1.second()) && meter.has_power(power_up));
        // The hours of the cut were never frozen: before 2026-11-20T07:00 there is 2026-11-18T23:00.
        let hours = [30, 31].map(|n| read(&meter, 0x0504_0000 + n, now()).unwrap());
        assert_eq!(hours, [[0x00, 0x07, 0x20, 0x11, 0x26], [0x00, 0x23, 0x18, 0x11, 0x26]]);
    }

    #[test]
    fn a_power_cut_is_an_event_and_what_never_happened_is_zeros() {
        let meter = meter(|s| {
            s.clock_offset = SignedDuration::from_secs(90);
            s.memory.power_cuts =
                vec![(date(2026, 11, 20).at(23, 30, 0, 0), date(2026, 11, 21).at(2, 0, 0, 0))];
        });
        assert_eq!(read(&meter, 0x0311_0000, now()), Ok(vec![1, 0, 0]));
        // By the meter's clock, which is 90 s fast.
        let record = vec![0x30, 0x31, 0x23, 0x20, 0x11, 0x26, 0x30, 0x01, 0x02, 0x21, 0x11, 0x26];
        assert_eq!(read(&meter, 0x0311_0001, now()), Ok(record));
        assert_eq!(read(&meter, 0x0311_0002, now()), Ok(vec![0; 12]));
        assert_eq!(read(&meter, 0x0330_0000, now()), Ok(vec![0; 3]));
        assert_eq!(read(&meter, 0x0330_0001, now()), Ok(vec![0; 50]));
        let before = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(read(&meter, 0x0311_0000, before), Ok(vec![0; 3]));
    }

    #[test]
    fn a_commanded_freeze_is_kept_and_one_that_was_not_is_refused() {
        let mut meter = meter(|_| {});
        assert_eq!(read(&meter, 0x0501_0001, now()), REFUSED);
        assert_eq!(read(&meter, 0x0500_0001, now()), REFUSED);
        for minutes in 0..4 {
            meter.freeze(FreezeAt::INSTANT, now() + minutes.minutes()).unwrap();
        }
        let later = now() + 1.hours();
        let last = read(&meter, 0x0501_0001, later).unwrap();
        assert_eq!(last, [0x03, 0x12, 0x21, 0x11, 0x26]);
        let energy = read(&meter, 0x0001_0000, now() + 2.minutes()).unwrap();
        assert_eq!(read(&meter, 0x0501_0102, later).unwrap()[..4], energy);
        assert!(read(&meter, 0x0501_0003, later).is_ok(), "three are kept");

        meter.freeze(FreezeAt::monthly(22, 6, 30).unwrap(), now()).unwrap();
        assert_eq!(read(&meter, 0x0500_0001, later), REFUSED);
        let month = now() + (24 * 40).hours();
        assert_eq!(read(&meter, 0x0500_0001, month).unwrap(), [0x30, 0x06, 0x22, 0x12, 0x26]);
        assert_eq!(read(&meter, 0x0500_0002, month).unwrap(), [0x30, 0x06, 0x22, 0x11, 0x26]);
        assert_eq!(read(&meter, 0x0500_0003, month), REFUSED);
        let yearly = FreezeAt::from_wire([0x00, 0x00, 0x01, 0x01]);
        assert_eq!(meter.freeze(yearly, now()), Err(ErrorWord::OTHER));
    }

    fn load_records(
        meter: &VirtualMeter,
        di: u32,
        count: u8,
        from: Option<[u8; 5]>,
    ) -> Result<Vec<u8>, ErrorWord> {
        let mut out = Vec::new();
        let from = from.map(|from| RecordTime::new(from).unwrap());
        meter.read_records(Di::new(di), count, from, now(), &mut out).map(|()| out)
    }

    fn lines(di: u32, octets: &[u8]) -> Vec<String> {
        let text = |d: &Decoded<'_>| {
            let (date, time) = d.at.unwrap();
            format!("{date}T{time} {}", d.name.as_deref().unwrap())
        };
        Catalogue::dlt645_2007().decode(Di::new(di), octets).iter().map(text).collect()
    }

    #[test]
    fn load_records_hold_what_the_registers_held_at_their_time() {
        let meter = meter(|_| {});
        let octets = load_records(&meter, 0x0600_0001, 1, Some([26, 11, 20, 18, 50])).unwrap();
        let decoded = Catalogue::dlt645_2007().decode(Di::new(0x0600_0001), &octets);
        assert_eq!((octets.len(), decoded.len()), (103, 29));
        let then = "2026-11-20T11:00:00Z".parse().unwrap();
        for one in &decoded {
            let register = Catalogue::dlt645_2007().find(one.name.as_deref().unwrap(), 4).unwrap()[0];
            let of_two_phases = matches!(register.phase(), Some(2 | 3));
            match read(&meter, register.di().unwrap().get(), then) {
                Ok(octets) => assert_eq!(one.octets, octets, "{register:?}"),
                Err(_) => assert!(of_two_phases || one.octets.iter().all(|o| *o == 0xFF), "{register:?}"),
            }
        }
        assert_eq!(decoded[0].at.map(|(d, t)| format!("{d}T{t}")).as_deref(), Some("2026-11-20T19:00"));
    }

    #[test]
    fn load_records_are_the_earliest_the_latest_and_those_from_a_time() {
        let meter = meter(|s| {
            s.memory.load_records = Intervals([Some(60), None, Some(30), None, None, None]);
        });
        let count = |octets: &[u8]| octets.windows(2).filter(|pair| *pair == [0xA0, 0xA0]).count();
        let earliest = load_records(&meter, 0x0601_0000, 2, None).unwrap();
        assert_eq!(count(&earliest), 2);
        assert!(lines(0x0601_0000, &earliest)[0].starts_with("2026-01-01T00:00 voltage_l1"));
        let latest = load_records(&meter, 0x0603_0002, 3, None).unwrap();
        let latest = lines(0x0603_0002, &latest);
        assert!(latest[0].starts_with("2026-11-21T11:00") && latest[11].starts_with("2026-11-21T12:00"));
        // All classes: of half an hour there is no more than the power factor.
        let both = load_records(&meter, 0x0600_0001, 2, Some([26, 11, 21, 11, 1])).unwrap();
        assert_eq!(lines(0x0600_0001, &both).len(), 4 + 7 + 4);
        assert_eq!(load_records(&meter, 0x0602_0002, 1, None), Ok(vec![]), "a class that is not recorded");
        assert_eq!(load_records(&meter, 0x0601_0001, 9, Some([26, 11, 21, 12, 1])), Ok(vec![]));
        assert_eq!(load_records(&meter, 0x0601_0001, 9, None), REFUSED);
        let settings = [0x0400_0901, 0x0400_0A02, 0x0400_0A03, 0x0400_0A04];
        let settings = settings.map(|di| read(&meter, di, now()).unwrap());
        assert_eq!(settings, [vec![0b101], vec![0x60, 0], vec![0, 0], vec![0x30, 0]]);
        let none = self::meter(|s| s.memory.load_records = Intervals::NONE);
        assert_eq!(load_records(&none, 0x0600_0002, 1, None), REFUSED);
        assert_eq!(read(&none, 0x0400_0901, now()), REFUSED);
    }

    #[test]
    fn what_a_scenario_fixed_stands_still_in_its_history() {
        let meter = meter(|s| {
            s.fixed.insert(Di::new(0x0001_0000), Fixed::Octets(vec![0x45, 0x28, 0x41, 0x00]));
            s.fixed.insert(Di::new(0x0001_0100), Fixed::Refused);
        });
        let frozen = read(&meter, 0x0506_0105, now()).unwrap();
        assert_eq!(frozen[..8], [0x45, 0x28, 0x41, 0x00, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(read(&meter, 0x0506_FF05, now()).unwrap()[5..13], frozen[..8]);
    }
}
