//! A load that moves: power and energy as pure functions of a seed and a time.
//!
//! Nothing is kept between two questions, so a value does not depend on when or how often it was asked
//! for. That needs the energy up to any instant without adding up the minutes before it: for each hour
//! of the day the energy of all days before is `days × mean + wobble(day)`, and the wobbles of two days
//! differ by less than the mean, so that no hour's energy is negative. An hour is divided over its
//! quarters and a quarter over its minutes by weights from the seed: appliances switching. Integers
//! only, and no clock.

use super::supply::Supply;

/// Seconds since the meter was installed.
pub(super) type Since = u64;

/// Seconds of a day; a meter's clock knows no summer time.
pub(super) const DAY: u64 = 86_400;
/// Seconds of a demand interval (最大需量周期, 15 min as delivered).
pub(super) const QUARTER: u64 = 900;

/// Mean power in W by hour of the day: a household, awake from six, cooking at eighteen.
const HOUSEHOLD: [u64; 24] = [
    160, 140, 130, 130, 140, 180, 320, 420, 360, 260, 240, 300, 380, 280, 240, 240, 280, 460, 640, 700, 620,
    480, 320, 220,
];

/// Hours in which a roof feeds in more than the house takes; the house's own curve is zero then.
const SUN: [u64; 24] =
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 900, 1500, 1900, 2100, 1900, 1500, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// One direction of energy through one meter.
#[derive(Clone, Debug)]
pub(super) struct Load {
    seed: u64,
    /// Mean W·s by hour of the day.
    means: [u64; 24],
    supply: Supply,
    /// W·s by hour of the day that each cut of the supply took, in their order.
    lost: Vec<[u64; 24]>,
}

impl Load {
    /// What a household takes; with a roof, only in the hours without sun. `times` is its size in percent.
    pub(super) fn import(seed: u64, times: u64, solar: bool) -> Self {
        let mut means = HOUSEHOLD.map(|watts| watts * 3600 * times / 100);
        if solar {
            means.iter_mut().zip(SUN).filter(|(_, sun)| *sun > 0).for_each(|(mean, _)| *mean = 0);
        }
        Self::of(mix(seed, 1, 0), means)
    }

    /// What a roof feeds in.
    pub(super) fn export(seed: u64, times: u64, solar: bool) -> Self {
        let means = if solar { SUN.map(|watts| watts * 3600 * times / 100) } else { [0; 24] };
        Self::of(mix(seed, 2, 0), means)
    }

    fn of(seed: u64, means: [u64; 24]) -> Self {
        Self { seed, means, supply: Supply::default(), lost: Vec::new() }
    }

    /// The same load behind a supply with cuts: what flowed then does not count.
    pub(super) fn behind(mut self, supply: &Supply) -> Self {
        let lost = supply.cuts().iter().map(|(from, to)| less(self.uncut(*to), self.uncut(*from)));
        self.lost = lost.collect();
        self.supply = supply.clone();
        self
    }

    /// W·s since the start, by hour of the day, so that any schedule of tariffs can add up its own.
    pub(super) fn energy(&self, at: Since) -> [u64; 24] {
        let cuts = self.supply.cuts().iter().zip(&self.lost);
        cuts.take_while(|((from, _), _)| *from < at).fold(self.uncut(at), |sums, ((from, to), lost)| {
            if *to <= at { less(sums, *lost) } else { less(sums, less(self.uncut(at), self.uncut(*from))) }
        })
    }

    fn uncut(&self, at: Since) -> [u64; 24] {
        let (day, second) = (at / DAY, at % DAY);
        let mut sums = [0; 24];
        for (hour, sum) in (0u64..).zip(sums.iter_mut()) {
            let begun = hour * 3600;
            *sum = self.days_before(day, hour)
                + if second >= begun + 3600 {
                    self.hour(day, hour)
                } else if second > begun {
                    self.part_of_hour(day, hour, second - begun)
                } else {
                    0
                };
        }
        sums
    }

    /// Power at an instant in 0.1 W: that of the minute, whose energy is spread evenly.
    pub(super) fn power(&self, at: Since) -> u64 {
        let (day, hour) = (at / DAY, at % DAY / 3600);
        let minute = at % 3600 / 60;
        let energy =
            self.part_of_hour(day, hour, minute * 60 + 60) - self.part_of_hour(day, hour, minute * 60);
        energy / 6
    }

    /// W·s of one interval of fifteen minutes, counted from the start.
    pub(super) fn quarter(&self, interval: u64) -> u64 {
        let (from, to) = (interval * QUARTER, (interval + 1) * QUARTER);
        if self.supply.cuts().iter().any(|cut| cut.0 < to && cut.1 > from) {
            return less(self.energy(to), self.energy(from)).iter().sum();
        }
        let (day, hour) = (interval / 96, interval % 96 / 4);
        let first = interval % 4 * QUARTER;
        self.part_of_hour(day, hour, first + QUARTER) - self.part_of_hour(day, hour, first)
    }

    fn mean(&self, hour: u64) -> u64 {
        self.means.get(hour as usize).copied().unwrap_or(0)
    }

    /// Three fifths of the mean at most, so that an hour has at least two fifths of it.
    fn wobble(&self, day: u64, hour: u64) -> u64 {
        let most = self.mean(hour) * 3 / 5;
        mix(self.seed, hour, day) % (most + 1)
    }

    /// W·s of this hour of the day on all days before `day`: the sum of [`Load::hour`], in one step.
    fn days_before(&self, day: u64, hour: u64) -> u64 {
        self.mean(hour) * day + self.wobble(day, hour) - self.wobble(0, hour)
    }

    fn hour(&self, day: u64, hour: u64) -> u64 {
        self.mean(hour) + self.wobble(day + 1, hour) - self.wobble(day, hour)
    }

    /// W·s of the first `seconds` of an hour.
    fn part_of_hour(&self, day: u64, hour: u64, seconds: u64) -> u64 {
        let energy = self.hour(day, hour);
        if energy == 0 {
            return 0;
        }
        let key = mix(self.seed, 64 + hour, day);
        let quarter = seconds / QUARTER;
        let before = share(energy, quarter, 4, |n| 128 + mix(key, 3, n) % 128);
        if quarter >= 4 {
            return before;
        }
        let within = share(energy, quarter + 1, 4, |n| 128 + mix(key, 3, n) % 128) - before;
        let appliances = |n| {
            let lot = mix(key, 4, quarter * 15 + n);
            100 + if lot.is_multiple_of(3) { 150 } else { 0 } + if lot % 11 == 1 { 400 } else { 0 }
        };
        let (minute, second) = (seconds % QUARTER / 60, seconds % 60);
        let whole = share(within, minute, 15, appliances);
        let next = share(within, minute + 1, 15, appliances);
        before + whole + (next - whole) * second / 60
    }
}

/// By hour of the day.
fn less(mut sums: [u64; 24], less: [u64; 24]) -> [u64; 24] {
    sums.iter_mut().zip(less).for_each(|(sum, less)| *sum = sum.saturating_sub(less));
    sums
}

/// What the first `first` of `all` parts have of `energy`, by weight. Never falls as `first` grows.
fn share(energy: u64, first: u64, all: u64, weight: impl Fn(u64) -> u64) -> u64 {
    let (mut part, mut sum) = (0, 0);
    for n in 0..all {
        let weight = weight(n);
        sum += weight;
        part += if n < first { weight } else { 0 };
    }
    energy * part / sum
}

/// A number from three: SplitMix64's finaliser over their sum. The same on every machine.
pub(super) fn mix(seed: u64, stream: u64, index: u64) -> u64 {
    let mut z = seed
        .wrapping_add(stream.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_of_all_days_in_one_step_is_the_sum_of_the_days() {
        let load = Load::import(7, 100, false);
        for hour in 0..24 {
            let sum: u64 = (0..400).map(|day| load.hour(day, hour)).sum();
            assert_eq!(load.days_before(400, hour), sum);
        }
        assert_eq!(load.energy(0), [0; 24]);
    }

    #[test]
    fn energy_never_falls_and_is_the_integral_of_the_power() {
        let load = Load::import(1, 130, false);
        let mut before = load.energy(3 * DAY);
        for minute in 1..=2880 {
            let start = 3 * DAY + (minute - 1) * 60;
            let now = load.energy(start + 60);
            assert!(now.iter().zip(before).all(|(now, before)| *now >= before), "minute {minute}");
            let gone: u64 = now.iter().sum::<u64>() - before.iter().sum::<u64>();
            assert_eq!(load.power(start + 30), gone / 6, "minute {minute}");
            before = now;
        }
    }

    #[test]
    fn a_cut_takes_what_flowed_in_it_and_nothing_else() {
        let (from, to) = (3 * DAY + 100, 5 * DAY + 4000);
        let whole = Load::import(1, 130, false);
        let cut = whole.clone().behind(&Supply::new(vec![(from, to), (6 * DAY, 6 * DAY + 60)]));
        let sum = |load: &Load, at| load.energy(at).iter().sum::<u64>();
        assert_eq!(cut.energy(from), whole.energy(from));
        for at in [from + 1, 4 * DAY, to - 1, to] {
            assert_eq!(cut.energy(at), whole.energy(from), "{at}");
        }
        let lost = sum(&whole, to) - sum(&whole, from);
        assert!(lost > 0);
        assert_eq!(sum(&cut, 6 * DAY), sum(&whole, 6 * DAY) - lost);
        let quarters: u64 = (0..6 * 96).map(|n| cut.quarter(n)).sum();
        assert_eq!(quarters, sum(&cut, 6 * DAY));
    }

    #[test]
    fn quarters_add_up_to_the_day() {
        let load = Load::export(5, 100, true);
        let day: u64 = (0..96).map(|n| load.quarter(960 + n)).sum();
        assert_eq!(
            day,
            load.energy(11 * DAY).iter().sum::<u64>() - load.energy(10 * DAY).iter().sum::<u64>()
        );
    }

    #[test]
    fn a_roof_feeds_in_only_while_the_house_takes_nothing() {
        let (import, export) = (Load::import(9, 100, true), Load::export(9, 100, true));
        for minute in 0..1440 {
            assert!(import.power(minute * 60) == 0 || export.power(minute * 60) == 0);
        }
        assert!(export.power(12 * 3600) > 0 && import.power(20 * 3600) > 0);
        assert_eq!(Load::export(9, 100, false).energy(900 * DAY), [0; 24]);
    }

    #[test]
    fn a_household_stays_within_what_its_meter_can_carry() {
        let load = Load::import(3, 140, false);
        let peak = (0..10_080).map(|minute| load.power(minute * 60)).max().unwrap();
        assert!((20_000..132_000).contains(&peak), "{peak} × 0.1 W through 60 A at 220 V");
        let kwh = load.energy(365 * DAY).iter().sum::<u64>() / 3_600_000;
        assert!((2500..6000).contains(&kwh), "{kwh} kWh a year");
    }
}
