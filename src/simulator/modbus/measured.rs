//! What a register of a Modbus meter measures, by its name in the catalogue.
//!
//! A name that DL/T 645-2007 has is what a meter of that standard answers in the same house; those that Modbus meters
//! have beside it are made of the same quantities. What a house does not know has one value for each name.

use super::super::house::{Flow, House, Power};
use super::super::load::{Since, mix};
use super::super::meter::VirtualMeter;
use catalogue::{Catalogue, Quantity, Transformed};
use dlt645::Di;
use dlt645::format::Value;
use jiff::Timestamp;
use rust_decimal::Decimal;

/// What the transformers are that a meter is set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ratios {
    pub(super) ct: Decimal,
    pub(super) pt: Decimal,
}

/// A register's name, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// Without phase, tariff and `primary_`.
    stem: Box<str>,
    /// 0 where it is of none.
    phase: u8,
    /// 0 where it is of none.
    tariff: u8,
    quantity: Quantity,
    /// Of the primary side of the transformers.
    primary: bool,
    /// The register of DL/T 645-2007 with this name.
    di: Option<Di>,
}

/// Square root of three, halved, in thousandths: line voltage over the sum of two phases'.
const LINE: u64 = 866;

impl Named {
    pub(super) fn of(name: &str, quantity: Quantity, primary: bool) -> Self {
        let (name, tariff) = numbered(name, "_t");
        let (name, phase) = numbered(name, "_l");
        let stem = name.strip_prefix("primary_").unwrap_or(name);
        let mut plain = stem.to_owned();
        for (axis, number) in [("_l", phase), ("_t", tariff)] {
            if number > 0 {
                plain.push_str(&format!("{axis}{number}"));
            }
        }
        let register = Catalogue::dlt645_2007().by_name(&plain);
        Self { stem: stem.into(), phase, tariff, quantity, primary, di: register.and_then(|own| own.di()) }
    }

    /// Its value now, in the catalogue's unit; `None` for a phase or tariff that the meter does not have.
    pub(super) fn value(&self, meter: &VirtualMeter, ratios: Ratios, now: Timestamp) -> Option<Decimal> {
        let settings = meter.settings();
        if self.phase > settings.phases.count() || self.tariff > settings.tariffs {
            return None;
        }
        let value = match &*self.stem {
            "ct_ratio_display" => return Some(ratios.ct),
            "pt_ratio_display" => return Some(ratios.pt),
            _ => self.of_house(meter.house(), meter.lived_now(now)).or_else(|| self.of_standard(meter, now)),
        };
        let value = value.unwrap_or_else(|| self.steady());
        let ratio = match self.quantity.transformed() {
            Transformed::ByBoth => ratios.ct * ratios.pt,
            Transformed::ByCurrent => ratios.ct,
            Transformed::ByVoltage => ratios.pt,
            Transformed::Not => Decimal::ONE,
        };
        Some(if self.primary { value * ratio } else { value })
    }

    /// What a DL/T 645 meter answers by this name.
    fn of_standard(&self, meter: &VirtualMeter, now: Timestamp) -> Option<Decimal> {
        let value = meter.value(self.di?, now)?;
        match value {
            Value::Digits(digits) => digits.to_string().parse().ok(),
            Value::Number(_)
            | Value::Demand { .. }
            | Value::Date(_)
            | Value::Time(_)
            | Value::DateTime(..)
            | Value::Recurring(_)
            | Value::Slot(_)
            | Value::Text(_)
            | Value::Bits(_)
            | Value::Hex(_) => value.number(),
        }
    }

    /// What Modbus meters have beside the standard, made of what a house has.
    fn of_house(&self, house: &House, at: Since) -> Option<Decimal> {
        let (phase, tariff) = (self.phase, self.tariff);
        let energy = |flow, power| match phase {
            0 => house.energy(flow, power, tariff, at) as i64,
            phase => house.part_of_energy(flow, power, phase, at) as i64,
        };
        let (import, export) = (|power| energy(Flow::Import, power), |power| energy(Flow::Export, power));
        let highest = |flow, power| house.demand(flow, power, tariff, 0, at).0 as i64;
        let amount = |current: i64| current.abs();
        let phases = || 1..=house.phases().count();
        let voltages = || phases().map(|phase| house.voltage(phase, at)).sum::<u64>();
        let count = i64::from(house.phases().count());
        let stem = self.stem.strip_suffix("_resettable").unwrap_or(&self.stem);
        let (digits, decimals) = match stem {
            "active_energy_import" => (import(Power::Active), 2),
            "active_energy_export" => (export(Power::Active), 2),
            "active_energy_total" => (import(Power::Active) + export(Power::Active), 2),
            "active_energy_net" => (import(Power::Active) - export(Power::Active), 2),
            "active_energy_net_import" => ((import(Power::Active) - export(Power::Active)).max(0), 2),
            "active_energy_net_export" => ((export(Power::Active) - import(Power::Active)).max(0), 2),
            "reactive_energy_import" => (import(Power::Reactive), 2),
            "reactive_energy_export" => (export(Power::Reactive), 2),
            "reactive_energy_total" => (import(Power::Reactive) + export(Power::Reactive), 2),
            "reactive_energy_net" => (import(Power::Reactive) - export(Power::Reactive), 2),
            "apparent_energy_total" => (import(Power::Apparent) + export(Power::Apparent), 2),
            "apparent_energy_net" => (import(Power::Apparent) - export(Power::Apparent), 2),
            // 0.01 kVAh through the nominal voltage of 0.1 V, in 0.01 Ah.
            "charge" => {
                let energy = import(Power::Apparent) + export(Power::Apparent);
                (energy * 10_000 / (house.nominal() as i64).max(1), 2)
            }
            "voltage_average" => (voltages() as i64 / count, 1),
            "voltage_ab" => (line(house, [1, 2], at), 1),
            "voltage_bc" => (line(house, [2, 3], at), 1),
            "voltage_ca" => (line(house, [3, 1], at), 1),
            "voltage_line" if phase > 0 => (line(house, [phase, phase % 3 + 1], at), 1),
            "voltage_line_average" => ((voltages() * 2 * LINE / 1000) as i64 / count, 1),
            "current_average" => (phases().map(|n| house.current(n, at)).sum::<i64>() / count, 3),
            "current_sum" => (phases().map(|n| house.current(n, at)).sum(), 3),
            "active_power_import" => (house.active(0, at).max(0), 4),
            "active_power_export" => ((-house.active(0, at)).max(0), 4),
            // Inductive: the load does not lead.
            "power_factor_4q" => (house.power_factor(phase, at), 3),
            "phase_angle_total" => (house.angle(at) as i64, 1),
            "demand_active_import" => (house.running_demand(Power::Active, at).max(0), 4),
            "demand_active_export" => ((-house.running_demand(Power::Active, at)).max(0), 4),
            "demand_current" if phase > 0 => (amount(house.current(phase, at)), 3),
            "max_demand_active" => {
                (highest(Flow::Import, Power::Active).max(highest(Flow::Export, Power::Active)), 4)
            }
            "max_demand_apparent" => {
                (highest(Flow::Import, Power::Apparent).max(highest(Flow::Export, Power::Apparent)), 4)
            }
            // 0.1 VA through 0.1 V, in 0.001 A, alike in all phases.
            "max_demand_current" | "max_demand_current_highest" => {
                let highest = highest(Flow::Import, Power::Apparent);
                (highest * 1000 / (house.nominal() as i64 * count).max(1), 3)
            }
            "operating_time" => (at as i64 / 60, 0),
            "alarm_status" | "phase_sequence" => (0, 0),
            _ => return None,
        };
        Some(Decimal::new(digits, decimals))
    }

    /// A plausible value that never changes, one for each name.
    fn steady(&self) -> Decimal {
        let own = self.stem.bytes().fold(u64::from(self.phase), |all, octet| mix(all, u64::from(octet), 0));
        let within =
            |low: u64, high: u64, decimals| Decimal::new((low + own % (high - low + 1)) as i64, decimals);
        match self.quantity {
            Quantity::Thd | Quantity::Harmonic => within(100, 499, 2),
            Quantity::Voltage => within(2150, 2250, 1),
            Quantity::Current => within(100, 4999, 3),
            Quantity::Angle => within(20, 300, 1),
            Quantity::Temperature => within(200, 400, 1),
            Quantity::PowerFactor => within(800, 999, 3),
            Quantity::Frequency => Decimal::new(5000, 2),
            Quantity::ActiveEnergy
            | Quantity::ReactiveEnergy
            | Quantity::ApparentEnergy
            | Quantity::Charge => within(10_000, 99_999, 2),
            Quantity::ActivePower
            | Quantity::ReactivePower
            | Quantity::ApparentPower
            | Quantity::Demand
            | Quantity::MaxDemand => within(1000, 9999, 4),
            Quantity::Battery
            | Quantity::Instant
            | Quantity::Nameplate
            | Quantity::Prepayment
            | Quantity::Parameter
            | Quantity::Bits
            | Quantity::Counter
            | Quantity::Duration
            | Quantity::Record => within(1, 3, 0),
        }
    }
}

/// Between two phases, which stand at 120°, in 0.1 V; of a single-phase meter 0.
fn line(house: &House, phases: [u8; 2], at: Since) -> i64 {
    if phases.iter().any(|phase| *phase > house.phases().count()) {
        return 0;
    }
    let sum: u64 = phases.iter().map(|phase| house.voltage(*phase, at)).sum();
    (sum * LINE / 1000) as i64
}

/// A name without its last part, and the number of that, where it is `_l1` or the like.
fn numbered<'a>(name: &'a str, axis: &str) -> (&'a str, u8) {
    let split = name.rfind(axis).and_then(|at| Some((name.get(..at)?, name.get(at + axis.len()..)?)));
    match split.and_then(|(stem, number)| Some((stem, number.parse().ok()?))) {
        Some((stem, number)) => (stem, number),
        None => (name, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::house::Phases;
    use super::super::super::meter::MeterSettings;
    use super::*;

    const RATIOS: Ratios = Ratios { ct: Decimal::TEN, pt: Decimal::ONE_HUNDRED };

    fn text(name: &str, quantity: Quantity, primary: bool) -> Option<Decimal> {
        let mut settings = MeterSettings::household("17".parse().unwrap());
        (settings.phases, settings.energy, settings.solar) = (Phases::Three, 123_456, true);
        let meter = VirtualMeter::new(settings, 1);
        let now = "2026-11-21T04:00:00Z".parse().unwrap();
        Named::of(name, quantity, primary).value(&meter, RATIOS, now)
    }

    #[test]
    fn names_of_the_standard_are_what_its_meters_answer_and_others_agree_with_them() {
        let energy = |name: &str| text(name, Quantity::ActiveEnergy, false).unwrap();
        let (import, export) = (energy("active_energy_import"), energy("active_energy_export"));
        assert!(import > Decimal::ZERO && export > Decimal::ZERO);
        assert_eq!(energy("active_energy_total"), import + export);
        assert_eq!(energy("active_energy_net"), import - export);
        assert_eq!(energy("active_energy_import_resettable"), import);
        let phases: Decimal = (1..=3).map(|n| energy(&format!("active_energy_import_l{n}"))).sum();
        assert_eq!(phases, import);
        let tariffs: Decimal = (1..=4).map(|n| energy(&format!("active_energy_total_t{n}"))).sum();
        assert_eq!(tariffs, import + export);
        let power = |name: &str| text(name, Quantity::ActivePower, false).unwrap();
        assert_eq!(power("active_power_export"), -power("active_power"));
        assert_eq!(power("active_power_import"), Decimal::ZERO);
    }

    #[test]
    fn primary_values_are_those_of_the_secondary_side_times_the_ratios() {
        let both = |name: &str, own: &str, quantity, ratio: i64| {
            let secondary = text(own, quantity, false).unwrap();
            assert_eq!(text(name, quantity, true), Some(secondary * Decimal::from(ratio)), "{name}");
        };
        both("primary_active_power_l2", "active_power_l2", Quantity::ActivePower, 1000);
        both("primary_active_energy_import_t3", "active_energy_import_t3", Quantity::ActiveEnergy, 1000);
        both("primary_voltage_l1", "voltage_l1", Quantity::Voltage, 100);
        both("current_l1", "current_l1", Quantity::Current, 10);
        assert_eq!(
            text("frequency", Quantity::Frequency, true),
            text("frequency", Quantity::Frequency, false)
        );
        assert_eq!(text("ct_ratio_display", Quantity::Parameter, false), Some(Decimal::TEN));
    }

    #[test]
    fn what_a_house_does_not_know_stands_still_and_differs_by_name() {
        let one = text("voltage_thd_l1", Quantity::Thd, false).unwrap();
        assert_eq!(text("voltage_thd_l1", Quantity::Thd, false), Some(one));
        assert_ne!(text("voltage_thd_l2", Quantity::Thd, false), Some(one));
        assert_eq!(text("active_energy_import_t5", Quantity::ActiveEnergy, false), None);
    }
}
