//! What a virtual meter measures: voltage, current, power, energy and demand of one house, all from its loads.
//!
//! Numbers are integers in the last digit of their register (0.1 V, 0.001 A, 0.1 W, 0.01 kWh), so that power,
//! current and energy agree with each other to that digit. It knows no data identifiers and no octets.

use super::load::{Load, QUARTER, Since, mix};
use super::supply::Supply;

/// Conductors that a meter measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phases {
    /// Single-phase, two wires (单相).
    One,
    /// Three-phase, four wires (三相四线).
    Three,
}

impl Phases {
    /// 1 or 3.
    pub const fn count(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// The angle between voltage and current in 0.1°, with tangent, secant and cosine in thousandths: one per
/// house, so that reactive and apparent energy are exact multiples of active energy.
const ANGLES: [(u64, u64, u64); 10] = [
    (60, 105, 1006),
    (80, 141, 1010),
    (100, 176, 1015),
    (120, 213, 1022),
    (140, 249, 1031),
    (160, 287, 1040),
    (180, 325, 1051),
    (200, 364, 1064),
    (220, 404, 1079),
    (240, 445, 1095),
];

/// Tariff by hour of the day: 1 尖 (critical peak), 2 峰 (peak), 3 平 (flat), 4 谷 (valley).
const SCHEDULE: [u8; 24] = [4, 4, 4, 4, 4, 4, 4, 3, 2, 2, 2, 3, 3, 3, 3, 3, 3, 2, 2, 1, 1, 2, 3, 4];

/// Of the energy that a meter starts with, how much stands in tariffs 1 to 4, in percent.
const STOCK: [u64; 4] = [12, 30, 34, 24];

/// Which way energy flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    Import,
    Export,
}

/// Which of the three energies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Power {
    Active,
    Reactive,
    Apparent,
}

/// One house and its wiring.
#[derive(Clone, Debug)]
pub(super) struct House {
    seed: u64,
    phases: Phases,
    tariffs: u8,
    /// 0.1 V.
    nominal: u64,
    import: Load,
    export: Load,
    angle: usize,
    /// What l1 and l2 carry of the power, in thousandths; l3 has the rest.
    shares: [u64; 2],
    /// Imported 0.01 kWh at the start.
    stock: u64,
}

impl House {
    pub(super) fn new(seed: u64, phases: Phases, tariffs: u8, nominal: u64, stock: u64, solar: bool) -> Self {
        let times = match phases {
            Phases::One => 60 + mix(seed, 10, 0) % 81,
            Phases::Three => 250 + mix(seed, 10, 0) % 201,
        };
        let shares = match phases {
            Phases::One => [1000, 0],
            Phases::Three => [280 + mix(seed, 11, 0) % 101, 280 + mix(seed, 11, 1) % 101],
        };
        Self {
            seed,
            phases,
            tariffs,
            nominal,
            import: Load::import(seed, times, solar),
            export: Load::export(seed, times, solar),
            angle: (mix(seed, 12, 0) % ANGLES.len() as u64) as usize,
            shares,
            stock,
        }
    }

    /// The same house behind a supply with cuts.
    pub(super) fn behind(self, supply: &Supply) -> Self {
        Self { import: self.import.behind(supply), export: self.export.behind(supply), ..self }
    }

    /// Energy in the last digit of its register: 0.01 kWh, kvarh or kVAh. Tariff 0 is the total: the sum of the
    /// tariffs' own digits, never a rounding of its own.
    pub(super) fn energy(&self, flow: Flow, power: Power, tariff: u8, at: Since) -> u64 {
        let by_hour = self.load(flow).energy(at);
        let of = |tariff: u8| {
            let seconds: u64 =
                (0u8..).zip(by_hour).filter(|(h, _)| self.tariff(*h) == tariff).map(|e| e.1).sum();
            let stock = if flow == Flow::Import { self.stock_of(tariff) } else { 0 };
            // 0.01 kWh = 36,000 W·s; the product is of thousandths.
            stock * self.thousandths(power) / 1000 + seconds * self.thousandths(power) / 36_000_000
        };
        if tariff == 0 { (1..=self.tariffs).map(of).sum() } else { of(tariff) }
    }

    /// Energy of one phase; the phases add up to the total.
    pub(super) fn phase_energy(&self, flow: Flow, phase: u8, at: Since) -> u64 {
        self.part_of_energy(flow, Power::Active, phase, at)
    }

    /// The same of any of the three energies.
    pub(super) fn part_of_energy(&self, flow: Flow, power: Power, phase: u8, at: Since) -> u64 {
        self.part(self.energy(flow, power, 0, at), phase)
    }

    /// Its wiring.
    pub(super) const fn phases(&self) -> Phases {
        self.phases
    }

    /// 0.1 V.
    pub(super) const fn nominal(&self) -> u64 {
        self.nominal
    }

    /// The highest mean of a whole demand interval within `[from, to)` in 0.1 W, and when that interval ended.
    pub(super) fn demand(
        &self,
        flow: Flow,
        power: Power,
        tariff: u8,
        from: Since,
        to: Since,
    ) -> (u64, Option<Since>) {
        let mut highest = (0, None);
        for interval in from.div_ceil(QUARTER)..to / QUARTER {
            let hour = (interval % 96 / 4) as u8;
            if tariff != 0 && self.tariff(hour) != tariff {
                continue;
            }
            let mean = self.load(flow).quarter(interval) * self.thousandths(power) / (QUARTER * 100);
            if mean > highest.0 {
                highest = (mean, Some((interval + 1) * QUARTER));
            }
        }
        highest
    }

    /// Mean power of the last fifteen minutes (当前需量), in 0.1 W, negative where energy was fed in.
    pub(super) fn running_demand(&self, power: Power, at: Since) -> i64 {
        let sum = |flow, at| self.load(flow).energy(at).iter().sum::<u64>();
        let gone = |flow| {
            let energy = sum(flow, at) - sum(flow, at.saturating_sub(QUARTER));
            (energy * self.thousandths(power) / (QUARTER * 100)) as i64
        };
        gone(Flow::Import) + self.sign(power) * gone(Flow::Export)
    }

    /// Active power in 0.1 W, of one phase or (phase 0) all; negative where energy is fed in.
    pub(super) fn active(&self, phase: u8, at: Since) -> i64 {
        let part = |flow| self.part(self.load(flow).power(at), phase) as i64;
        part(Flow::Import) - part(Flow::Export)
    }

    /// Reactive power in 0.1 var: inductive, so quadrant I while importing and II while exporting. The total is
    /// the sum of the phases, and so is every total here.
    pub(super) fn reactive(&self, phase: u8, at: Since) -> i64 {
        self.each(phase, |p| self.active(p, at).abs() * self.thousandths(Power::Reactive) as i64 / 1000)
    }

    /// Apparent power in 0.1 VA.
    pub(super) fn apparent(&self, phase: u8, at: Since) -> u64 {
        let squares = self.active(phase, at).pow(2) + self.reactive(phase, at).pow(2);
        squares.unsigned_abs().isqrt()
    }

    /// Power factor in thousandths, signed as active power is; 1 where nothing flows.
    pub(super) fn power_factor(&self, phase: u8, at: Since) -> i64 {
        match self.apparent(phase, at) as i64 {
            0 => 1000,
            apparent => self.active(phase, at) * 1000 / apparent,
        }
    }

    /// Angle from voltage to current in 0.1°; beyond a right angle while exporting.
    pub(super) fn angle(&self, at: Since) -> u64 {
        let angle = ANGLES.get(self.angle).map_or(0, |a| a.0);
        if self.active(0, at) < 0 { 1800 - angle } else { angle }
    }

    /// 0.1 V, within 1.5 % of the nominal voltage, another one each minute.
    pub(super) fn voltage(&self, phase: u8, at: Since) -> u64 {
        self.nominal * (985 + mix(self.seed, 20 + u64::from(phase), at / 60) % 31) / 1000
    }

    /// 0.001 A: apparent power over voltage; negative while that phase exports.
    pub(super) fn current(&self, phase: u8, at: Since) -> i64 {
        let amount = (self.apparent(phase, at) * 1000 / self.voltage(phase, at).max(1)) as i64;
        if self.active(phase, at) < 0 { -amount } else { amount }
    }

    /// 0.01 Hz, within 0.03 Hz of 50 Hz.
    pub(super) fn frequency(&self, at: Since) -> u64 {
        4997 + mix(self.seed, 30, at / 10) % 7
    }

    /// 0.1 °C inside the meter: a slow day's curve and a little of its own.
    pub(super) fn temperature(&self, at: Since) -> u64 {
        let hour = at % 86_400 / 3600;
        200 + 8 * hour.min(24 - hour) + mix(self.seed, 31, at / 600) % 10
    }

    fn load(&self, flow: Flow) -> &Load {
        match flow {
            Flow::Import => &self.import,
            Flow::Export => &self.export,
        }
    }

    /// With fewer than four tariffs the schedule wraps; tariffs above the fourth have no hours and stay as they are.
    fn tariff(&self, hour: u8) -> u8 {
        let of_four = SCHEDULE.get(usize::from(hour)).copied().unwrap_or(4);
        (of_four - 1) % self.tariffs.max(1) + 1
    }

    /// The part of the stock that stands in one tariff; they add up to the stock.
    fn stock_of(&self, tariff: u8) -> u64 {
        let last = self.tariffs.clamp(1, 4);
        let part = |t: u8| self.stock * STOCK.get(usize::from(t) - 1).copied().unwrap_or(0) / 100;
        match tariff {
            t if t == last => self.stock - (1..last).map(part).sum::<u64>(),
            t if t < last => part(t),
            _ => 0,
        }
    }

    fn thousandths(&self, power: Power) -> u64 {
        let (_, tangent, secant) = ANGLES.get(self.angle).copied().unwrap_or((0, 0, 1000));
        match power {
            Power::Active => 1000,
            Power::Reactive => tangent,
            Power::Apparent => secant,
        }
    }

    /// Reactive and apparent power do not change sign when energy is fed in.
    fn sign(&self, power: Power) -> i64 {
        match power {
            Power::Active => -1,
            Power::Reactive | Power::Apparent => 1,
        }
    }

    /// What one phase has of a total; phase 0 has all of it.
    fn part(&self, total: u64, phase: u8) -> u64 {
        let [l1, l2] = self.shares.map(|share| total * share / 1000);
        match phase {
            0 => total,
            1 => l1,
            2 => l2,
            _ => total - l1 - l2,
        }
    }

    fn each(&self, phase: u8, of: impl Fn(u8) -> i64) -> i64 {
        if phase == 0 { (1..=self.phases.count()).map(of).sum() } else { of(phase) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::DAY;
    use super::*;

    fn house(seed: u64, phases: Phases, tariffs: u8, solar: bool) -> House {
        House::new(seed, phases, tariffs, 2200, 1_234_567, solar)
    }

    #[test]
    fn total_is_the_sum_of_its_tariffs_at_any_time() {
        for (seed, tariffs) in [(1, 4), (2, 1), (3, 2), (4, 3), (5, 12)] {
            let house = house(seed, Phases::One, tariffs, seed == 3);
            for step in 0..500 {
                let at = step * 7919;
                for (flow, power) in [
                    (Flow::Import, Power::Active),
                    (Flow::Export, Power::Active),
                    (Flow::Import, Power::Reactive),
                    (Flow::Import, Power::Apparent),
                ] {
                    let sum: u64 = (1..=tariffs).map(|t| house.energy(flow, power, t, at)).sum();
                    assert_eq!(house.energy(flow, power, 0, at), sum, "tariffs {tariffs} at {at}");
                }
            }
            assert_eq!(house.energy(Flow::Import, Power::Active, 0, 0), 1_234_567);
        }
    }

    #[test]
    fn energy_never_falls() {
        let house = house(8, Phases::Three, 4, true);
        let read = |at| {
            [Flow::Import, Flow::Export]
                .map(|flow| [0, 1, 2, 3, 4].map(|t| house.energy(flow, Power::Active, t, at)))
        };
        let mut before = read(0);
        for second in (0..4 * DAY).step_by(37) {
            let now = read(second);
            assert!(now.iter().flatten().zip(before.iter().flatten()).all(|(now, was)| now >= was));
            before = now;
        }
        assert!(before.iter().all(|flow| flow[0] > 0));
    }

    #[test]
    fn phases_add_up_to_the_total() {
        let house = house(4, Phases::Three, 4, true);
        for at in (0..2 * DAY).step_by(601) {
            assert_eq!(house.active(0, at), (1..=3).map(|p| house.active(p, at)).sum::<i64>());
            assert_eq!(house.reactive(0, at), (1..=3).map(|p| house.reactive(p, at)).sum::<i64>());
            let total = house.energy(Flow::Import, Power::Active, 0, at);
            assert_eq!(total, (1..=3).map(|p| house.phase_energy(Flow::Import, p, at)).sum::<u64>());
        }
    }

    #[test]
    fn voltage_current_power_and_factor_agree() {
        let house = house(6, Phases::One, 4, false);
        for at in (0..2 * DAY).step_by(977) {
            let apparent = house.voltage(1, at) as i64 * house.current(1, at) / 1000;
            assert!((apparent - house.apparent(1, at) as i64).abs() <= 3, "U × I = S at {at}");
            let active = house.apparent(0, at) as i64 * house.power_factor(0, at) / 1000;
            assert!((active - house.active(0, at)).abs() <= 2 + active / 500, "S × PF = P at {at}");
            assert!((2160..=2240).contains(&house.voltage(1, at)));
        }
    }

    #[test]
    fn an_exporting_house_has_negative_power_current_and_factor() {
        let house = house(6, Phases::One, 4, true);
        let noon = 12 * 3600;
        assert!(house.active(0, noon) < 0 && house.current(1, noon) < 0 && house.power_factor(0, noon) < 0);
        assert!(house.reactive(0, noon) > 0 && house.angle(noon) > 900);
        assert!(house.running_demand(Power::Active, noon) < 0);
    }

    #[test]
    fn max_demand_is_the_highest_interval_of_its_period_and_tariff() {
        let house = house(2, Phases::One, 4, false);
        let (highest, at) = house.demand(Flow::Import, Power::Active, 0, DAY, 3 * DAY);
        let by_tariff: Vec<_> =
            (1..=4).map(|t| house.demand(Flow::Import, Power::Active, t, DAY, 3 * DAY).0).collect();
        assert_eq!(Some(&highest), by_tariff.iter().max());
        let at = at.unwrap();
        assert!(at > DAY && at <= 3 * DAY && at % QUARTER == 0);
        assert_eq!(house.running_demand(Power::Active, at), highest as i64);
        assert_eq!(house.demand(Flow::Import, Power::Active, 0, DAY, DAY + 60), (0, None));
    }
}
