//! A virtual meter: which data identifiers it has, and the octets that it answers with at a given time.
//!
//! Formats, lengths and layouts of blocks are the catalogue's; values are those of its house, or what a
//! scenario fixed. It has no state that a question could change, and it never reads a clock; a freeze
//! command and the time that is broadcast are all that it obeys.

use super::calendar::{self, Calendar};
use super::edition_1997;
use super::house::{Flow, House, Phases, Power};
use super::load::{Since, mix};
use super::memory::{self, Commanded, Memory};
use super::supply::Supply;
use catalogue::{Block, Catalogue, Entry, Register};
use dlt645::format::{Digits, Value};
use dlt645::pdu::{ClockTime, FreezeAt, RecordTime};
use dlt645::{Address, Di, Edition, ErrorWord};
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Tariffs at most (Annex A.1: DI1 is 01 to 3F).
pub const MOST_TARIFFS: u8 = 63;

/// Everything that makes one virtual meter differ from another.
#[derive(Clone, Debug)]
pub struct MeterSettings {
    /// What it speaks.
    pub edition: Edition,
    /// Its address on the line.
    pub address: Address,
    /// Wiring.
    pub phases: Phases,
    /// Tariffs, 1 to [`MOST_TARIFFS`].
    pub tariffs: u8,
    /// Nominal voltage in 0.1 V: 2200, or 577 behind a voltage transformer.
    pub nominal_voltage: u64,
    /// Whether there is a roof that feeds in around noon.
    pub solar: bool,
    /// Imported energy at the day of installation, in 0.01 kWh.
    pub energy: u64,
    /// FE octets before each answer (4 as a rule, DL/T 645-2007 clause 5.3.1).
    pub preamble: u8,
    /// From the end of a request to the first octet of the answer (Td, 20 to 500 ms in DL/T 645-2007).
    pub response_delay: Duration,
    /// The rate that it listens and answers at; `None` for that of its line.
    pub baud: Option<u32>,
    /// Whether it answers blocks and whole freezes; some meters know only single registers.
    pub blocks: bool,
    /// How many FE octets it wants before a request: to another number it does not listen. Most take any.
    pub woken_by: RangeInclusive<usize>,
    /// How long it rests after an answer: a request that begins before is not heard.
    pub rest: Duration,
    /// Its clock's offset from UTC.
    pub utc_offset: Offset,
    /// How far its clock is fast; negative where it is slow. It does everything by its own clock.
    pub clock_offset: SignedDuration,
    /// How much faster its clock gets in a day; 0.5 s is what a meter may have.
    pub clock_drift: SignedDuration,
    /// The day on which it began to count.
    pub installed: Date,
    /// What it freezes and records, and when it had no power.
    pub memory: Memory,
    /// What it answers whatever it measures, by data identifier.
    pub fixed: BTreeMap<Di, Fixed>,
}

/// An answer that a scenario fixed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fixed {
    /// These octets after the DI, low byte first; any octets and any number of them.
    Octets(Vec<u8>),
    /// The time in hundredths of a second, in BCD of so many octets: an answer that the meter did not give before,
    /// by which a test knows a published value's answer. The highest digit is 7 at most, since the next bit may be a
    /// sign: three octets begin again after 2 h, four after 9 days.
    Time(u8),
    /// No requested data (D1 02).
    Refused,
}

impl Fixed {
    /// The octets that are answered at a time; `None` where it is refused.
    pub fn octets(&self, now: Timestamp) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Octets(octets) => Some(Cow::Borrowed(octets)),
            Self::Time(octets) => Some(Cow::Owned(time(*octets, now))),
            Self::Refused => None,
        }
    }
}

/// Hundredths of a second since 1970 in BCD, low octet first, as [`Fixed::Time`] has it.
fn time(octets: u8, now: Timestamp) -> Vec<u8> {
    let range = (0..octets).fold(1, |range: u64, _| range.saturating_mul(100)) / 10 * 8;
    let mut left = (now.as_millisecond().unsigned_abs() / 10).checked_rem(range).unwrap_or(0);
    let pair = |_| {
        let digits = (left % 100) as u8;
        left /= 100;
        digits / 10 * 16 + digits % 10
    };
    (0..octets).map(pair).collect()
}

impl MeterSettings {
    /// A single-phase household meter with four tariffs, as it comes from the works.
    pub fn household(address: Address) -> Self {
        Self {
            edition: Edition::E2007,
            address,
            phases: Phases::One,
            tariffs: 4,
            nominal_voltage: 2200,
            solar: false,
            energy: 0,
            preamble: 4,
            response_delay: Duration::from_millis(30),
            baud: None,
            blocks: true,
            woken_by: 0..=usize::MAX,
            rest: Duration::ZERO,
            utc_offset: Offset::constant(8),
            clock_offset: SignedDuration::ZERO,
            clock_drift: SignedDuration::ZERO,
            installed: Date::constant(2026, 1, 1),
            memory: Memory::default(),
            fixed: BTreeMap::new(),
        }
    }
}

/// One meter of a virtual line. The same seed, settings and time give the same octets, but for the freezes that it
/// was commanded.
#[derive(Clone, Debug)]
pub struct VirtualMeter {
    settings: MeterSettings,
    calendar: Calendar,
    /// When it had power, by what was lived and by what its clock showed.
    lived_supply: Supply,
    supply: Supply,
    house: House,
    commanded: Commanded,
    /// The day by its own clock on which it last obeyed a broadcast of the time.
    synced_on: Option<Date>,
}

/// A broadcast of the time is obeyed by clocks that are off by so much at most (DL/T 645-2007 clause 7.6).
const SYNC: SignedDuration = SignedDuration::from_mins(5);

impl VirtualMeter {
    /// Makes a meter; its house depends on the seed and the address, not on its place on the line.
    pub fn new(settings: MeterSettings, seed: u64) -> Self {
        let [a, b, c, d, e, f] = settings.address.to_wire();
        let seed = mix(seed, u64::from_le_bytes([a, b, c, d, e, f, 0, 0]), 0);
        let s = &settings;
        let house = House::new(seed, s.phases, s.tariffs, s.nominal_voltage, s.energy, s.solar);
        let calendar = Calendar::new(s.utc_offset, s.installed, s.clock_offset, s.clock_drift);
        let still = Calendar::new(s.utc_offset, s.installed, s.clock_offset, SignedDuration::ZERO);
        let lived_supply = s.memory.supply(&still);
        let supply = s.memory.supply(&calendar);
        let house = house.behind(&lived_supply);
        let commanded = Commanded::default();
        Self { calendar, lived_supply, supply, house, settings, commanded, synced_on: None }
    }

    /// What it was made with.
    pub fn settings(&self) -> &MeterSettings {
        &self.settings
    }

    pub(super) const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// What it measures.
    pub(super) const fn house(&self) -> &House {
        &self.house
    }

    /// How long its house has lived.
    pub(super) fn lived_now(&self, now: Timestamp) -> Since {
        self.calendar.lived(now)
    }

    /// When it had power, by its own clock.
    pub(super) const fn supply(&self) -> &Supply {
        &self.supply
    }

    /// What its display shows.
    pub fn shown(&self, now: Timestamp) -> DateTime {
        self.calendar.shown(now)
    }

    /// Obeys a broadcast of the time (08H) whose last octet came at `now`, once a day, where its clock is off by five
    /// minutes at most; whether it did.
    pub fn sync(&mut self, time: ClockTime, now: Timestamp) -> bool {
        let Some(parts) = time.parts() else { return false };
        let [year, month, day, hour, minute, second] =
            parts.map(|part| i8::try_from(part).unwrap_or(i8::MAX));
        let to = DateTime::new(2000 + i16::from(year), month, day, hour, minute, second, 0).ok();
        let shown = self.calendar.shown(now);
        let near = to.filter(|to| to.duration_since(shown).abs() <= SYNC);
        let Some(to) = near.filter(|_| self.synced_on != Some(shown.date())) else { return false };
        self.calendar.set(to, now);
        self.synced_on = Some(to.date());
        self.supply = self.settings.memory.supply(&self.calendar);
        true
    }

    /// What was lived when the display showed this.
    fn lived(&self, shown: Since) -> Since {
        self.calendar.lived(self.calendar.instant(shown))
    }

    /// A period between two settlements (see [`Calendar::period`]) by what was lived.
    fn period(&self, settlement: u8, now: Timestamp) -> Option<(Since, Since)> {
        let (from, to) = self.calendar.period(settlement, now)?;
        let to = if settlement == 0 { self.calendar.lived(now) } else { self.lived(to) };
        Some((self.lived(from), to))
    }

    pub(super) fn commanded(&self) -> &Commanded {
        &self.commanded
    }

    /// Whether it has power; without it hears and says nothing.
    pub fn has_power(&self, now: Timestamp) -> bool {
        self.lived_supply.cut_at(self.calendar.lived(now)).is_none()
    }

    /// Obeys a freeze command (16H): an instant freeze at once, a timed one from now on.
    ///
    /// # Errors
    /// [`ErrorWord::OTHER`] for a time that is neither, and from a meter of 1997.
    pub fn freeze(&mut self, at: FreezeAt, now: Timestamp) -> Result<(), ErrorWord> {
        match self.settings.edition {
            Edition::E1997 => Err(ErrorWord::OTHER),
            Edition::E2007 => self.commanded.obey(at, self.calendar.since(now)),
        }
    }

    /// Appends what it answers to a read of load records at `now`: at most `count` of them, the oldest first, one
    /// after the other; none where there is none.
    ///
    /// # Errors
    /// [`ErrorWord::NO_REQUESTED_DATA`] where it records nothing, or `di` is no load record's.
    pub fn read_records(
        &self,
        di: Di,
        count: u8,
        from: Option<RecordTime>,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorWord> {
        if let Some(fixed) = self.fixed(di, now) {
            return fixed.map(|octets| out.extend_from_slice(&octets));
        }
        match Catalogue::of(di.edition()).by_di(di) {
            Some(Entry::Register(register)) if di.edition() == self.settings.edition => {
                memory::records(self, register, count, from, now, out)
            }
            Some(_) | None => Err(ErrorWord::NO_REQUESTED_DATA),
        }
    }

    fn fixed(&self, di: Di, now: Timestamp) -> Option<Result<Cow<'_, [u8]>, ErrorWord>> {
        let fixed = self.settings.fixed.get(&di)?;
        Some(fixed.octets(now).ok_or(ErrorWord::NO_REQUESTED_DATA))
    }

    /// Appends what it answers to a read of `di` at `now`: the octets after the DI, before +33H. A block's
    /// registers that it does not have, or refuses, are FF; so is a value that its register cannot hold.
    ///
    /// # Errors
    /// [`ErrorWord::NO_REQUESTED_DATA`] for what it does not have.
    pub fn read(&self, di: Di, now: Timestamp, out: &mut Vec<u8>) -> Result<(), ErrorWord> {
        if let Some(fixed) = self.fixed(di, now) {
            return fixed.map(|octets| out.extend_from_slice(&octets));
        }
        if di.edition() != self.settings.edition {
            return Err(ErrorWord::NO_REQUESTED_DATA);
        }
        match Catalogue::of(di.edition()).by_di(di) {
            Some(Entry::Register(register)) if is_of_the_past(di) => memory::read(self, register, now, out),
            Some(Entry::Register(register)) => {
                let value = self.register(register, now).ok_or(ErrorWord::NO_REQUESTED_DATA)?;
                write(register, Some(value), out);
                Ok(())
            }
            Some(Entry::Block(block)) if self.settings.blocks => self.block(block, now, out),
            Some(Entry::Block(_)) | None => Err(ErrorWord::NO_REQUESTED_DATA),
        }
    }

    fn block(&self, block: Block, now: Timestamp, out: &mut Vec<u8>) -> Result<(), ErrorWord> {
        let start = out.len();
        let fill_with = fill(block.di().edition());
        let mut any = false;
        let mut tariffs = false;
        for register in block.registers(self.settings.tariffs) {
            let fill = out.len() + register.octets();
            tariffs |= register.tariff().is_some();
            match register.di().and_then(|di| self.fixed(di, now)) {
                Some(Ok(octets)) => {
                    out.extend_from_slice(&octets);
                    any = true;
                }
                Some(Err(_)) => out.resize(fill, fill_with),
                None => match self.register(register, now) {
                    Some(value) => {
                        write(register, Some(value), out);
                        any = true;
                    }
                    None => out.resize(fill, fill_with),
                },
            }
        }
        if any {
            if tariffs && block.di().edition() == Edition::E1997 {
                out.push(CLOSED);
            }
            Ok(())
        } else {
            out.truncate(start);
            Err(ErrorWord::NO_REQUESTED_DATA)
        }
    }

    fn register(&self, register: Register, now: Timestamp) -> Option<Value> {
        match self.settings.edition {
            Edition::E1997 => edition_1997::value(self, register, now),
            Edition::E2007 => self.value(register.di()?, now),
        }
    }

    /// The value of one register of 2007 by what it measures; `None` for one that this meter does not have.
    pub fn value(&self, di: Di, now: Timestamp) -> Option<Value> {
        let [di0, di1, di2, di3] = [0, 1, 2, 3].map(|n| di.byte(n));
        match di3 {
            0x00 => self.energy(di2, di1, di0, now),
            0x01 => self.max_demand(di2, di1, di0, now),
            0x02 => self.instantaneous(di2, di1, di0, now),
            0x04 => self.parameter(di, now),
            _ => None,
        }
    }

    /// Annex A.1: `00 kind tariff settlement`.
    fn energy(&self, kind: u8, tariff: u8, settlement: u8, now: Timestamp) -> Option<Value> {
        if tariff > self.settings.tariffs || settlement > 12 {
            return None;
        }
        // Before the meter was installed its settlements hold zeros.
        let at = self.period(settlement, now).map(|(_, end)| end);
        let of = |flow, power| at.map_or(0, |at| self.house.energy(flow, power, tariff, at));
        let phase = |flow, phase| {
            (tariff == 0 && phase <= self.settings.phases.count())
                .then(|| at.map_or(0, |at| self.house.phase_energy(flow, phase, at)))
        };
        let signed = |digits: u64| number((digits % 80_000_000) as i64, 2);
        let unsigned = |digits: u64| number((digits % 100_000_000) as i64, 2);
        Some(match kind {
            // The mode word as delivered adds import and export (04000601 = 05).
            0x00 => signed(of(Flow::Import, Power::Active) + of(Flow::Export, Power::Active)),
            0x01 => unsigned(of(Flow::Import, Power::Active)),
            0x02 => unsigned(of(Flow::Export, Power::Active)),
            // Combined reactive 1 is QI + QIV, 2 is QII + QIII; a house has neither QIII nor QIV.
            0x03 => signed(of(Flow::Import, Power::Reactive)),
            0x04 => signed(of(Flow::Export, Power::Reactive)),
            0x05 => unsigned(of(Flow::Import, Power::Reactive)),
            0x06 => unsigned(of(Flow::Export, Power::Reactive)),
            0x07 | 0x08 => unsigned(0),
            0x09 => unsigned(of(Flow::Import, Power::Apparent)),
            0x0A => unsigned(of(Flow::Export, Power::Apparent)),
            0x15 => unsigned(phase(Flow::Import, 1)?),
            0x16 => unsigned(phase(Flow::Export, 1)?),
            0x29 => unsigned(phase(Flow::Import, 2)?),
            0x2A => unsigned(phase(Flow::Export, 2)?),
            0x3D => unsigned(phase(Flow::Import, 3)?),
            0x3E => unsigned(phase(Flow::Export, 3)?),
            _ => return None,
        })
    }

    /// Annex A.2: `01 kind tariff settlement`; intervals of 15 minutes, cleared at each settlement.
    fn max_demand(&self, kind: u8, tariff: u8, settlement: u8, now: Timestamp) -> Option<Value> {
        if tariff > self.settings.tariffs || settlement > 12 {
            return None;
        }
        let (flow, power) = match kind {
            0x01 => (Flow::Import, Power::Active),
            0x02 => (Flow::Export, Power::Active),
            0x03 | 0x05 => (Flow::Import, Power::Reactive),
            0x04 | 0x06 => (Flow::Export, Power::Reactive),
            0x09 => (Flow::Import, Power::Apparent),
            0x0A => (Flow::Export, Power::Apparent),
            _ => return None,
        };
        let (demand, at) = self
            .period(settlement, now)
            .map_or((0, None), |(from, to)| self.house.demand(flow, power, tariff, from, to));
        let at = at
            .map(|end| self.calendar.shown(self.calendar.when_lived(end)))
            .map(|at| (calendar::date(at), calendar::time(at, false)));
        Some(Value::Demand { value: Decimal::new(demand as i64, 4), at })
    }

    /// Annex A.3: `02 kind phase 00`, and `02 80 00 n`.
    fn instantaneous(&self, kind: u8, phase: u8, last: u8, now: Timestamp) -> Option<Value> {
        let (house, at) = (&self.house, self.calendar.lived(now));
        if kind == 0x80 {
            return if phase == 0 { self.variable(last, at) } else { None };
        }
        let totals = matches!(kind, 0x03..=0x06);
        if last != 0 || phase > self.settings.phases.count() || (phase == 0 && !totals) {
            return None;
        }
        Some(match kind {
            0x01 => number(house.voltage(phase, at) as i64, 1),
            0x02 => number(house.current(phase, at), 3),
            0x03 => number(house.active(phase, at), 4),
            0x04 => number(house.reactive(phase, at), 4),
            0x05 => number(house.apparent(phase, at) as i64, 4),
            0x06 => number(house.power_factor(phase, at), 3),
            0x07 => number(house.angle(at) as i64, 1),
            _ => return None,
        })
    }

    fn variable(&self, which: u8, at: Since) -> Option<Value> {
        let house = &self.house;
        Some(match which {
            // The neutral of a balanced three-phase meter is not measured here.
            0x01 if self.settings.phases == Phases::One => number(house.current(1, at), 3),
            0x02 => number(house.frequency(at) as i64, 2),
            0x03 => number(house.active(0, at), 4),
            0x04 => number(house.running_demand(Power::Active, at), 4),
            0x05 => number(house.running_demand(Power::Reactive, at), 4),
            0x06 => number(house.running_demand(Power::Apparent, at), 4),
            0x07 => number(house.temperature(at) as i64, 1),
            0x08 => number(360, 2),
            0x09 => number(610, 2),
            0x0A => number((at / 60) as i64, 0),
            _ => return None,
        })
    }

    /// Annex A.4, what a reader asks of every meter.
    fn parameter(&self, di: Di, now: Timestamp) -> Option<Value> {
        let shown = self.calendar.shown(now);
        Some(match di.get() {
            0x0400_0101 => Value::Date(calendar::date(shown)),
            0x0400_0102 => Value::Time(calendar::time(shown, true)),
            0x0400_010C => Value::DateTime(calendar::date(shown), calendar::time(shown, true)),
            0x0400_0204 => number(self.settings.tariffs.into(), 0),
            0x0400_0401 | 0x0400_0402 => Value::Digits(Digits::from_wire(&self.settings.address.to_wire())?),
            _ => return memory::setting(self, di),
        })
    }
}

fn number(digits: i64, decimals: u32) -> Value {
    Value::Number(Decimal::new(digits, decimals))
}

/// What stands where a value would: FF, in 1997 BB.
const fn fill(edition: Edition) -> u8 {
    match edition {
        Edition::E1997 => 0xBB,
        Edition::E2007 => 0xFF,
    }
}

/// Behind the last tariff of a block of 1997.
const CLOSED: u8 = 0xAA;

/// Events, freezes and load records of 2007, which are octets of several values.
fn is_of_the_past(di: Di) -> bool {
    di.edition() == Edition::E2007 && matches!(di.byte(3), 0x03 | 0x05 | 0x06)
}

/// Appends a value in the register's format; fill where there is none or the register cannot hold it.
pub(super) fn write(register: Register, value: Option<Value>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + register.octets(), 0xFF);
    let Some(octets) = out.get_mut(start..) else { return };
    if value.is_none_or(|value| register.format().encode(value, octets).is_err()) {
        octets.fill(register.di().map_or(0xFF, |di| fill(di.edition())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt645::format::NoValue;
    use jiff::civil;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn meter(seed: u64, change: impl FnOnce(&mut MeterSettings)) -> VirtualMeter {
        let mut settings = MeterSettings::household("000012345678".parse().unwrap());
        change(&mut settings);
        VirtualMeter::new(settings, seed)
    }

    fn text(meter: &VirtualMeter, di: u32, now: &str) -> Option<String> {
        meter.value(Di::new(di), at(now)).map(|v| v.to_string())
    }

    fn octets(meter: &VirtualMeter, di: u32) -> Result<Vec<u8>, ErrorWord> {
        let mut out = Vec::new();
        meter.read(Di::new(di), at("2026-11-21T04:00:00Z"), &mut out).map(|()| out)
    }

    #[test]
    fn same_seed_same_values() {
        let now = at("2026-11-21T09:30:00Z");
        let all = |meter: &VirtualMeter| {
            let dis =
                [0x0001_0000, 0x0001_0200, 0x0101_0000, 0x0203_0000, 0x0201_0100, 0x0202_0100, 0x0280_0002];
            dis.map(|di| meter.value(Di::new(di), now))
        };
        let (one, other) = (meter(42, |_| {}), meter(42, |_| {}));
        // Neither what was asked before nor its order matters.
        for hour in 0..50 {
            one.value(Di::new(0x0001_0000), now - SignedDuration::from_hours(hour * 13));
        }
        assert_eq!(all(&one), all(&other));
        assert_ne!(all(&one), all(&meter(43, |_| {})));
    }

    #[test]
    fn settlement_is_the_energy_at_the_first_of_the_month() {
        let meter = meter(1, |_| {});
        let first = text(&meter, 0x0001_0000, "2026-10-31T16:00:00Z");
        assert_eq!(text(&meter, 0x0001_0001, "2026-11-21T09:30:00Z"), first);
        assert_eq!(text(&meter, 0x0001_000C, "2026-11-21T09:30:00Z").as_deref(), Some("0.00"));
        assert_eq!(text(&meter, 0x0001_000D, "2026-11-21T09:30:00Z"), None);
    }

    #[test]
    fn energy_rolls_over_at_the_last_digit() {
        let meter = meter(1, |s| s.energy = 99_999_999);
        assert_eq!(text(&meter, 0x0001_0000, "2025-12-31T00:00:00Z").as_deref(), Some("999999.99"));
        let later = text(&meter, 0x0001_0000, "2026-01-05T00:00:00Z").unwrap();
        assert!(later.len() <= 5, "{later}");
    }

    #[test]
    fn single_phase_meter_has_no_second_phase_and_no_fifth_tariff() {
        let (one, three) = (meter(1, |_| {}), meter(1, |s| s.phases = Phases::Three));
        let now = "2026-11-21T09:30:00Z";
        for di in [0x0201_0200, 0x0202_0300, 0x0203_0200, 0x0029_0000] {
            assert_eq!(text(&one, di, now), None, "{di:08X}");
            assert!(text(&three, di, now).is_some(), "{di:08X}");
        }
        assert!(text(&one, 0x0201_0100, now).is_some() && text(&one, 0x0203_0000, now).is_some());
        assert_eq!(text(&one, 0x0001_0500, now), None);
        assert_eq!(text(&one, 0x0201_0000, now), None);
    }

    #[test]
    fn clock_registers_show_the_meters_own_offset() {
        let meter = meter(1, |_| {});
        let now = "2026-11-20T16:05:09Z";
        assert_eq!(text(&meter, 0x0400_0101, now).as_deref(), Some("2026-11-21"));
        assert_eq!(text(&meter, 0x0400_0102, now).as_deref(), Some("00:05:09"));
        assert_eq!(text(&meter, 0x0400_010C, now).as_deref(), Some("2026-11-21T00:05:09"));
        assert_eq!(text(&meter, 0x0400_0401, now).as_deref(), Some("000012345678"));
    }

    #[test]
    fn max_demand_has_the_end_of_its_interval_and_zeros_before_the_first() {
        let meter = meter(1, |_| {});
        let Some(Value::Demand { value, at: Some((date, time)) }) =
            meter.value(Di::new(0x0101_0000), at("2026-11-21T09:30:00Z"))
        else {
            panic!()
        };
        assert!(value > Decimal::ZERO && date.month == 11 && time.minute % 15 == 0 && time.second.is_none());
        let fresh = meter.value(Di::new(0x0101_0000), at("2026-10-31T16:10:00Z"));
        assert_eq!(fresh, Some(Value::Demand { value: Decimal::new(0, 4), at: None }));
    }

    #[test]
    fn fixed_octets_and_refusals_come_before_what_is_measured() {
        let meter = meter(1, |s| {
            s.fixed.insert(Di::new(0x0203_0000), Fixed::Octets(vec![0xFF; 3]));
            s.fixed.insert(Di::new(0x0202_0100), Fixed::Refused);
        });
        assert_eq!(octets(&meter, 0x0203_0000), Ok(vec![0xFF; 3]));
        assert_eq!(octets(&meter, 0x0202_0100), Err(ErrorWord::NO_REQUESTED_DATA));
    }

    #[test]
    fn time_is_another_value_each_hundredth_of_a_second_and_fits_a_signed_register() {
        let meter = meter(1, |s| drop(s.fixed.insert(Di::new(0x0203_0000), Fixed::Time(3))));
        let read = |ms: i64| {
            let mut out = Vec::new();
            let now = at("2026-11-21T09:30:00Z") + SignedDuration::from_millis(ms);
            meter.read(Di::new(0x0203_0000), now, &mut out).map(|()| out)
        };
        // 1795253400.00 s in hundredths, less the multiples of 800000.
        assert_eq!(read(0), Ok(vec![0x00, 0x00, 0x54]));
        assert_eq!(read(19), Ok(vec![0x01, 0x00, 0x54]));
        let all: std::collections::BTreeSet<_> =
            (0..7_200_000).step_by(10).map(read).map(Result::unwrap).collect();
        assert_eq!(all.len(), 720_000);
        assert!(all.iter().all(|octets| octets[2] < 0x80));
    }

    #[test]
    fn block_of_a_single_phase_meter_is_its_phase_and_fill() {
        let meter = meter(1, |_| {});
        let voltages = octets(&meter, 0x0201_FF00).unwrap();
        assert_eq!(voltages.len(), 6);
        assert_eq!(voltages[..2], octets(&meter, 0x0201_0100).unwrap());
        assert_eq!(voltages[2..], [0xFF; 4]);
        assert_eq!(octets(&meter, 0x0201_0200), Err(ErrorWord::NO_REQUESTED_DATA));
        assert_eq!(octets(&meter, 0x0001_FF00).unwrap().len(), 20);
    }

    #[test]
    fn meter_without_blocks_refuses_them_and_answers_each_register() {
        let meter = meter(1, |s| s.blocks = false);
        assert_eq!(octets(&meter, 0x0001_FF00), Err(ErrorWord::NO_REQUESTED_DATA));
        assert_eq!(octets(&meter, 0x0001_0000).unwrap().len(), 4);
        assert_eq!(octets(&meter, 0x0EEE_0000), Err(ErrorWord::NO_REQUESTED_DATA));
    }

    #[test]
    fn every_value_of_a_meter_fits_its_register() {
        let meter = meter(1, |s| s.phases = Phases::Three);
        let now = at("2026-11-21T04:00:00Z");
        let mut some = 0;
        for register in Catalogue::dlt645_2007().registers() {
            let Some(value) = meter.value(register.di().unwrap(), now) else { continue };
            some += 1;
            let mut out = Vec::new();
            write(register, Some(value), &mut out);
            let expected = match value.to_string().as_str() {
                "---99T99:00" => Err(NoValue::Unset),
                text => Ok(text.to_owned()),
            };
            let read = register.decode(&out).map(|v| v.to_string());
            assert_eq!(read, expected, "{} {}", register.id(), register.name());
        }
        assert!(some > 400, "{some} registers");
    }

    #[test]
    fn every_answer_of_a_meter_fits_the_layout_of_its_register() {
        let three = meter(1, |s| {
            s.phases = Phases::Three;
            s.memory.power_cuts =
                vec![(civil::date(2026, 11, 20).at(1, 0, 0, 0), civil::date(2026, 11, 20).at(2, 0, 0, 0))];
        });
        let now = at("2026-11-21T04:00:00Z");
        let mut of_class = [0; 7];
        let mut asked = None;
        for register in Catalogue::dlt645_2007().registers() {
            // One answer has all the tariffs of a freeze.
            if asked.replace(register.id()) == Some(register.id()) {
                continue;
            }
            let mut out = Vec::new();
            if three.read(register.di().unwrap(), now, &mut out).is_err() {
                continue;
            }
            of_class[usize::from(register.di_byte(3))] += 1;
            for decoded in Catalogue::dlt645_2007().decode(register.id(), &out) {
                let (name, di) = (register.name(), register.id());
                let fits = |value| !matches!(value, Err(NoValue::Implausible(_)));
                assert!(decoded.value.is_none_or(fits), "{di} {name} {out:02X?}");
                assert!(decoded.value.is_some() || !decoded.fields.is_empty(), "{di} {name} {out:02X?}");
                for field in decoded.fields {
                    assert!(field.value.is_ok(), "{di} {name} {field:?}");
                }
            }
        }
        // 12 × 62 daily and 4 × 254 hourly freezes: 05 00 and 05 01 were never commanded; 2 × 7 load records.
        assert_eq!((of_class[5], of_class[6]), (13 * 62 + 4 * 254, 14));
        assert!(of_class[3] > 100, "{of_class:?}");
    }
}
