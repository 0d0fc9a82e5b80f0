//! Whether a cumulative energy can be what the meter counted, by the last value that was believed. Pure.
//!
//! An unsigned energy register only counts up, no faster than the meter's rated current allows, and a total is the sum
//! of its tariffs. The 8-bit sum of a frame lets some damage through; this is what such damage is seen by, and also a
//! meter that was cleared or exchanged. Combined energies are signed and may fall.

use catalogue::{Block, Quantity, Register, Unit};
use dlt645::Di;
use dlt645::format::{Format, NoValue, Value};
use jiff::Timestamp;
use rust_decimal::Decimal;
use std::fmt;
use std::time::Duration;

/// The most that one phase can take, in W: 100 A, the largest rated current of direct meters, overloaded by a fifth, at
/// 250 V. A meter behind a current transformer sees 10 A at most.
const WATTS: i128 = 30_000;
/// What a reading may be older than its answer: a meter refreshes its registers now and then.
const REFRESH: Duration = Duration::from_secs(60);
/// Last digits that a register may always rise by.
const LAST_DIGITS: i128 = 2;
/// How often the meter was cleared (电表清零总次数).
pub const CLEARS: Di = Di::new(0x0330_0100);

/// A value that was believed, or confirmed although it was odd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Last {
    /// In units of the register's last digit; of a block, its total less its tariffs.
    pub digits: i64,
    /// When it was taken, by the gateway's clock.
    pub at: Timestamp,
}

/// A value to judge the next one by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Base {
    /// The value.
    pub last: Last,
    /// Its age by a clock that nobody sets, where it was taken in this run.
    pub age: Option<Duration>,
}

impl Base {
    /// The time until `at` by the clock that says more: a clock that was set must not make a rise look steep. `None`
    /// where nobody knows.
    fn until(&self, at: Timestamp) -> Option<Duration> {
        let wall = Duration::try_from(at.duration_since(self.last.at)).ok();
        wall.max(self.age)
    }
}

/// What a value is by the one before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing speaks against it.
    Plausible,
    /// It began again at 0 behind its last digit.
    Rollover,
    /// It is to be read once more.
    Doubtful(Doubt),
}

/// What speaks against a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// It is smaller than before.
    Fell {
        /// Before.
        last: Decimal,
        /// Now.
        value: Decimal,
        /// Of both.
        unit: Option<Unit>,
    },
    /// It is larger than the rated power allows.
    Rose {
        /// Before.
        last: Decimal,
        /// Now.
        value: Decimal,
        /// Of both.
        unit: Option<Unit>,
        /// The time between.
        within: Duration,
        /// What it may have risen by.
        most: Decimal,
    },
    /// A total is not the sum of its tariffs.
    Unbalanced(Sum),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |unit: &Option<Unit>| unit.map_or("", Unit::text);
        match self {
            Self::Fell { last, value, unit } => write!(f, "it fell from {last} to {value} {}", text(unit)),
            Self::Rose { last, value, unit, within, most } => write!(
                f,
                "it rose from {last} to {value} {0} in {1} s, and the meter's rated current gives {most} {0} at most",
                text(unit),
                within.as_secs()
            ),
            Self::Unbalanced(sum) => write!(
                f,
                "the total {} is not the sum {} {} of its {} tariffs",
                sum.decimal(sum.total),
                sum.decimal(sum.tariffs),
                sum.unit.map_or("", Unit::text),
                sum.count
            ),
        }
    }
}

/// A total and its tariffs, out of one answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum {
    total: i64,
    tariffs: i64,
    count: u8,
    decimals: u8,
    range: i64,
    unit: Option<Unit>,
}

impl Sum {
    /// That of a block's answer; `None` where it has none, or an item of it is no value.
    pub fn of(block: Block, octets: &[u8]) -> Option<Self> {
        // Most blocks are of something else, and are not to be cut for that.
        if !block.registers(0).next().is_some_and(|first| is_energy(&first)) {
            return None;
        }
        let mut items = block.items(octets).ok()?;
        let first = items.next()?;
        let (Format::Number { decimals, .. }, None) = (first.register.format(), first.register.tariff())
        else {
            return None;
        };
        let total = energy(&first.register, &first.register.decode(first.octets).ok()?)?;
        let (mut tariffs, mut count) = (0_i64, 0_u8);
        for item in items {
            item.register.tariff()?;
            match item.register.decode(item.octets) {
                Ok(value) => tariffs = tariffs.checked_add(energy(&item.register, &value)?)?,
                // A tariff that the meter does not have.
                Err(NoValue::Missing) => continue,
                Err(_) => return None,
            }
            count += 1;
        }
        // Of a total that began again at 0, the whole range is missing.
        let range =
            if is_unsigned(&first.register) { i64::try_from(range(&first.register)).ok()? } else { i64::MAX };
        let sum = Self { total, tariffs, count, decimals, range, unit: first.register.unit() };
        (count > 0).then_some(sum)
    }

    /// The total less its tariffs, in units of the last digit, however often either of them began again at 0.
    pub const fn difference(&self) -> i64 {
        let plain = self.total.saturating_sub(self.tariffs).rem_euclid(self.range);
        if plain > self.range / 2 { plain - self.range } else { plain }
    }

    /// Whether both are equal, each register rounded for itself; or differ as they are known to: some meters count in
    /// tariffs that they do not show, or were set to unlike values.
    pub fn is_balanced(&self, known: Option<Base>, at: Timestamp, phases: u8) -> bool {
        let rounding = i128::from(self.count) + 1;
        let own = i128::from(self.difference());
        own.abs() <= rounding
            || known.is_some_and(|base| {
                let more = own - i128::from(base.last.digits);
                let most = base.until(at).map(|time| most(time, self.decimals, phases.into()));
                more >= -rounding && most.is_none_or(|most| more <= most.max(rounding))
            })
    }

    /// Whether another answer shortly after says the same.
    pub fn is_confirmed_by(&self, second: &Self) -> bool {
        let moved = i128::from(second.difference()) - i128::from(self.difference());
        moved.abs() <= i128::from(self.count) + 1
    }

    fn decimal(&self, digits: i64) -> Decimal {
        Decimal::new(digits, self.decimals.into())
    }
}

/// Whether the register only counts up: a present energy without a sign.
pub fn is_cumulative(register: &Register) -> bool {
    is_energy(register) && is_unsigned(register) && register.is_present()
}

/// The value in units of the last digit, where the register is an energy.
pub fn energy(register: &Register, value: &Value) -> Option<i64> {
    let (Format::Number { decimals, .. }, true) = (register.format(), is_energy(register)) else {
        return None;
    };
    let mut number = value.number()?;
    number.rescale(decimals.into());
    i64::try_from(number.mantissa()).ok()
}

/// The value that has these digits in the register.
pub fn value(register: &Register, digits: i64) -> Decimal {
    Decimal::new(digits, decimals(register).into())
}

/// Judges a value of a cumulative register by the one before it; `phases` is how many the meter has.
pub fn judge(register: &Register, base: Base, digits: i64, at: Timestamp, phases: u8) -> Verdict {
    let (last, now) = (i128::from(base.last.digits), i128::from(digits));
    let time = base.until(at);
    let most = time.map(|time| most(time, decimals(register), of(register, phases)));
    if now < last {
        let range = range(register);
        let wrapped = now + range - last;
        let at_the_end = last * 20 > range * 19 && now * 20 < range;
        return if at_the_end && most.is_none_or(|most| wrapped <= most) {
            Verdict::Rollover
        } else {
            let (last, value) = (value(register, base.last.digits), value(register, digits));
            Verdict::Doubtful(Doubt::Fell { last, value, unit: register.unit() })
        };
    }
    match time.zip(most) {
        Some((within, most)) if now - last > most => Verdict::Doubtful(Doubt::Rose {
            last: value(register, base.last.digits),
            value: value(register, digits),
            unit: register.unit(),
            within,
            most: value(register, i64::try_from(most).unwrap_or(i64::MAX)),
        }),
        Some(_) | None => Verdict::Plausible,
    }
}

/// Whether a second answer of an energy register, shortly after, says what the first did: the same, or what can have
/// been counted meanwhile.
pub fn is_confirmed(register: &Register, first: Last, second: Last, phases: u8) -> bool {
    let moved = i128::from(second.digits) - i128::from(first.digits);
    let time = Duration::try_from(second.at.duration_since(first.at)).unwrap_or_default();
    let most = most(time, decimals(register), of(register, phases));
    let least = if is_cumulative(register) { 0 } else { -most };
    (least..=most).contains(&moved)
}

/// What can be counted in a time, in units of the last digit.
fn most(time: Duration, decimals: u8, phases: u32) -> i128 {
    // W × ms to kWh: 3600 s an hour, 1000 ms a second, 1000 W a kW.
    let counted = i128::try_from((time + REFRESH).as_millis()).unwrap_or(i128::MAX);
    let digits = counted
        .saturating_mul(WATTS * i128::from(phases))
        .saturating_mul(10_i128.pow(u32::from(decimals).min(9)));
    digits / 3_600_000_000 + LAST_DIGITS
}

/// Phases that a register counts; one of the primary side counts what any transformer lets through.
fn of(register: &Register, phases: u8) -> u32 {
    const TRANSFORMED: u32 = 2_000;
    let phases = if register.phase().is_some() { 1 } else { u32::from(phases) };
    let is_primary = register.location().is_some_and(|location| location.primary);
    if is_primary { phases * TRANSFORMED } else { phases }
}

fn is_energy(register: &Register) -> bool {
    matches!(
        register.quantity(),
        Quantity::ActiveEnergy | Quantity::ReactiveEnergy | Quantity::ApparentEnergy
    )
}

fn is_unsigned(register: &Register) -> bool {
    matches!(register.format(), Format::Number { signed: false, .. })
}

/// How many values there are: as many digits as fit into its octets.
fn range(register: &Register) -> i128 {
    10_i128.pow(u32::try_from(2 * register.octets()).unwrap_or(8).min(18))
}

fn decimals(register: &Register) -> u8 {
    if let Format::Number { decimals, .. } = register.format() { decimals } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogue::{Catalogue, Entry};
    use proptest::prelude::*;

    /// 2026-11-01T00:00Z.
    const THEN: i64 = 1_793_491_200;

    fn register(name: &str) -> Register {
        Catalogue::dlt645_2007().find(name, 4).unwrap()[0]
    }

    fn total() -> Register {
        register("active_energy_import")
    }

    fn last(digits: i64, second: i64) -> Last {
        Last { digits, at: Timestamp::from_second(THEN + second).unwrap() }
    }

    /// The verdict on a value so many seconds after the last one.
    fn after(register: &Register, before: i64, digits: i64, seconds: i64, phases: u8) -> Verdict {
        let base = Base { last: last(before, 0), age: None };
        judge(register, base, digits, last(0, seconds).at, phases)
    }

    const fn is_doubtful(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Doubtful(_))
    }

    #[test]
    fn only_a_present_energy_without_a_sign_counts_up() {
        let cumulative = |name: &str| is_cumulative(&register(name));
        for name in [
            "active_energy_import",
            "active_energy_export_t3",
            "active_energy_import_l2",
            "reactive_energy_q1",
            "apparent_energy_import",
        ] {
            assert!(cumulative(name), "{name}");
        }
        for name in [
            "active_energy_combined",
            "active_energy_combined_t1",
            "reactive_energy_combined_1",
            "reactive_energy_combined_2_l1",
            "active_energy_import_s1",
            "active_energy_import_day1",
            "max_demand_active_import",
            "remaining_energy",
            "active_power",
            "voltage_l1",
            "meter_clear_count",
        ] {
            assert!(!cumulative(name), "{name}");
        }
        let of_1997 = |name: &str| Catalogue::dlt645_1997().find(name, 4).unwrap()[0];
        assert!(is_cumulative(&of_1997("active_energy_import")));
        assert!(!is_cumulative(&of_1997("active_energy_start")));
    }

    #[test]
    fn a_value_may_rise_by_what_the_rated_current_gives_and_no_more() {
        // 90 kW of three phases, 30 kW of one, over the time and the minute of a refresh, and two digits.
        for (name, phases, seconds, most) in [
            ("active_energy_import", 3, 3540, 9_000),
            ("active_energy_import", 1, 3540, 3_000),
            ("active_energy_import_l1", 3, 3540, 3_000),
            ("active_energy_import", 3, 0, 150),
            ("active_energy_import", 3, 86_340, 216_000),
        ] {
            let register = register(name);
            for (rise, doubtful) in [(0, false), (1, false), (most + 2, false), (most + 3, true)] {
                let verdict = after(&register, 1_234_567, 1_234_567 + rise, seconds, phases);
                assert_eq!(is_doubtful(&verdict), doubtful, "{name} {phases} {seconds} {rise}");
            }
        }
    }

    #[test]
    fn a_doubt_is_a_sentence_with_both_numbers() {
        let said = |verdict| match verdict {
            Verdict::Doubtful(doubt) => doubt.to_string(),
            Verdict::Plausible | Verdict::Rollover => String::new(),
        };
        assert_eq!(said(after(&total(), 123_456, 6, 60, 3)), "it fell from 1234.56 to 0.06 kWh");
        assert_eq!(
            said(after(&total(), 100, 90_000_000, 60, 3)),
            "it rose from 1.00 to 900000.00 kWh in 60 s, and the meter's rated current gives 3.02 kWh at most"
        );
    }

    #[test]
    fn a_fall_near_the_top_of_the_digits_is_a_rollover_if_so_much_can_have_been_counted() {
        for (before, digits, seconds, verdict) in [
            (99_999_990, 5, 60, Verdict::Rollover),
            (99_999_990, 50_000, 86_400, Verdict::Rollover),
            (95_000_001, 4_999_999, 86_400 * 100, Verdict::Rollover),
        ] {
            assert_eq!(after(&total(), before, digits, seconds, 3), verdict, "{before} {digits}");
        }
        for (before, digits, seconds) in [
            // Too far for the time.
            (99_999_990, 50_000, 60),
            (95_000_001, 4_999_999, 86_400),
            // Not near enough.
            (95_000_000, 0, 86_400 * 3650),
            (99_999_999, 5_000_000, 86_400 * 3650),
            (50_000_000, 0, 86_400 * 3650),
        ] {
            assert!(is_doubtful(&after(&total(), before, digits, seconds, 3)), "{before} {digits}");
        }
    }

    #[test]
    fn a_clock_that_was_set_makes_no_rise_steep() {
        let rise = |age: Option<u64>, second: i64| {
            let base = Base { last: last(100_000, 0), age: age.map(Duration::from_secs) };
            is_doubtful(&judge(&total(), base, 101_000, last(0, second).at, 3))
        };
        assert!(rise(Some(60), 60), "10 kWh in a minute");
        assert!(!rise(Some(3600), 60), "set back, and an hour has passed");
        assert!(!rise(Some(3600), -600));
        assert!(rise(Some(60), -600));
        assert!(!rise(None, -600), "of an earlier run: nobody knows how long ago");
        let base = Base { last: last(100_000, 0), age: None };
        assert!(
            is_doubtful(&judge(&total(), base, 99_999, last(0, -600).at, 3)),
            "a fall is one all the same"
        );
    }

    fn sum(di: &str, items: &[i64]) -> Option<Sum> {
        let Some(Entry::Block(block)) = Catalogue::dlt645_2007().by_di(di.parse().unwrap()) else {
            panic!("{di}")
        };
        let mut octets = Vec::new();
        for (register, digits) in block.registers(63).zip(items) {
            register.encode(Value::Number(Decimal::new(*digits, 2)), &mut octets).unwrap();
        }
        Sum::of(block, &octets)
    }

    fn is_balanced(items: &[i64], known: Option<i64>, seconds: i64) -> bool {
        let base = known.map(|digits| Base { last: last(digits, 0), age: None });
        sum("0001FF00", items).unwrap().is_balanced(base, last(0, seconds).at, 3)
    }

    #[test]
    fn a_total_is_the_sum_of_its_tariffs_within_a_digit_for_each_register() {
        for (items, balanced) in [
            (&[1000, 100, 200, 300, 400][..], true),
            (&[1005, 100, 200, 300, 400], true),
            (&[995, 100, 200, 300, 400], true),
            (&[1006, 100, 200, 300, 400], false),
            (&[994, 100, 200, 300, 400], false),
            (&[302, 100, 200], true),
            (&[304, 100, 200], false),
            // The total began again at 0, and then a tariff.
            (&[10, 50_000_000, 50_000_012], true),
            (&[10, 50_000_000, 60_000_012], false),
            (&[99_999_999, 50_000_000, 50_000_000], true),
        ] {
            assert_eq!(is_balanced(items, None, 60), balanced, "{items:?}");
        }
        assert_eq!(sum("0001FF00", &[1000]), None, "no tariff, no sum");
        assert_eq!(sum("0201FF00", &[]), None, "voltages have none");
        let combined = sum("0000FF00", &[-30, -10, -20]).unwrap();
        assert!(combined.is_balanced(None, last(0, 0).at, 3), "combined energies have one too");
    }

    #[test]
    fn a_difference_that_is_known_of_the_meter_is_no_doubt_and_may_grow_as_an_unseen_tariff_does() {
        let items = |total| [total, 100, 200];
        for (total, seconds, balanced) in [
            (1300, 60, true),
            (1303, 60, true),
            (1297, 60, true),
            (1290, 60, false),
            (1300 + 302, 60, true),
            (1300 + 303, 60, false),
            (300, 60, true),
        ] {
            assert_eq!(is_balanced(&items(total), Some(1000), seconds), balanced, "{total}");
        }
    }

    proptest! {
        #[test]
        fn a_series_that_rises_within_the_bound_never_alarms(
            start in 0_i64..100_000_000,
            steps in prop::collection::vec((1_i64..100_000, 0.0..1.0_f64), 1..200),
        ) {
            let (mut digits, mut second) = (start, 0);
            for (seconds, share) in steps {
                // 30 kW are 30000/36 hundredths of a kWh an hour, and so 25/30 of one a second.
                let rise = ((seconds * 3000 / 3600) as f64 * share) as i64;
                let base = Base { last: last(digits, second), age: None };
                let next = (digits + rise) % 100_000_000;
                let verdict = judge(&total(), base, next, last(0, second + seconds).at, 1);
                let expected = if next < digits { Verdict::Rollover } else { Verdict::Plausible };
                prop_assert_eq!(verdict, expected);
                (digits, second) = (next, second + seconds);
            }
        }

        #[test]
        fn any_fall_that_is_not_near_the_top_alarms(
            before in 1_i64..=95_000_000, share in 0.0..1.0_f64, seconds in -1_000_000_i64..1_000_000_000,
        ) {
            let digits = (before as f64 * share) as i64;
            prop_assert!(is_doubtful(&after(&total(), before, digits.min(before - 1), seconds, 3)));
        }

        #[test]
        fn a_second_answer_confirms_what_it_repeats_and_nothing_that_lies_far_off(
            digits in 0_i64..99_000_000, off in 200_i64..1_000_000,
        ) {
            let confirms = |second| is_confirmed(&total(), last(digits, 0), last(second, 1), 3);
            prop_assert!(confirms(digits) && confirms(digits + 1));
            prop_assert!(!confirms(digits + off) && !confirms(digits - 1));
        }
    }
}
