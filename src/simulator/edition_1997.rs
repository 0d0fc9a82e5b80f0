//! A virtual meter of DL/T 645-1997: the same house and the same calendar, said in the registers of 1997.
//!
//! Every value is taken from the register of 2007 that means the same, with the digits that 1997 has for it.

use super::meter::VirtualMeter;
use catalogue::Register;
use dlt645::Di;
use dlt645::format::{Date, Format, Recurring, Time, Value, Word};
use jiff::Timestamp;
use rust_decimal::Decimal;

/// What the meter answers for a register of 1997; `None` for one that it does not have.
pub(super) fn value(meter: &VirtualMeter, register: Register, now: Timestamp) -> Option<Value> {
    let di = register.di()?;
    let [item, kind, month, class] = [di.byte(0) & 0x0F, di.byte(0) >> 4, di.byte(1) & 0x0F, di.byte(1) >> 4];
    let of = |code| meter.value(Di::new(code), now);
    let value = match (class, month, kind) {
        (0x9, ..) => of(same_kind(0x00, kind, month, item)?)?,
        (0xA, ..) => of(same_kind(0x01, kind, month, item)?)?,
        (0xB, 0 | 1 | 4 | 5 | 8 | 9, _) => time_of(of(same_kind(0x01, kind, month, item)?)?)?,
        (0xB, 2, 1) => match item {
            2 | 3 => Value::Number(Decimal::ZERO),
            4 => of(0x0280_000A)?,
            _ => return None,
        },
        (0xB, 3, 1 | 2) => Value::Number(Decimal::ZERO),
        (0xB, 6, 1..=4) if item <= 3 => of(0x0200_0000 | u32::from(kind) << 16 | u32::from(item) << 8)?,
        (0xB, 6, 5) => of(0x0206_0000 | u32::from(item) << 8)?,
        (0xC, 0, 1) => of(0x0400_0101 + u32::from(item))?,
        (0xC, 0, 2) => {
            // Bit 4: active energy flows backwards.
            let backwards = matches!(of(0x0203_0000)?, Value::Number(power) if power.is_sign_negative());
            let word = if item == 0 && backwards { 0x10 } else { 0x00 };
            Value::Bits(Word::from_wire(&[word])?)
        }
        (0xC, 0, 3) => match item {
            0 | 1 => Value::Number(Decimal::from(1600)),
            2 => of(0x0400_0402)?,
            _ => return None,
        },
        (0xC, 1, 1) if item == 1 => Value::Number(Decimal::from(15)),
        // It settles at 00:00 of the 1st, as the calendar has it.
        (0xC, 1, 1) if item == 7 => {
            let time = Some(Time { hour: 0, minute: 0, second: None });
            Value::Recurring(Recurring { month: None, day: 1, time })
        }
        (0xC, 3, 1) if item == 3 => Value::Number(Decimal::from(meter.settings().tariffs)),
        _ => return None,
    };
    Some(fitted(register, value))
}

/// The DI of 2007 under `class` that counts the same: forward and reverse, then QI, QIV, QII, QIII.
fn same_kind(class: u8, kind: u8, month: u8, tariff: u8) -> Option<u32> {
    let reactive = month & 0x03 == 1;
    let kind = match (reactive, kind) {
        (false, 1 | 2) => kind,
        // Forward reactive is QI + QIV, reverse QII + QIII, as combined reactive 1 and 2 are set at the works.
        (true, 1 | 2) => kind + 2,
        (true, 3) => 0x05,
        (true, 4) => 0x08,
        (true, 5) => 0x06,
        (true, 6) => 0x07,
        _ => return None,
    };
    Some(u32::from_be_bytes([class, kind, tariff, month >> 2]))
}

/// When a maximum demand occurred, without a year; zeros where there was none, which is no day: not set.
fn time_of(demand: Value) -> Option<Value> {
    let Value::Demand { at, .. } = demand else { return None };
    let midnight = Time { hour: 0, minute: 0, second: None };
    let (month, day, time) =
        at.map_or((0, 0, midnight), |(Date { month, day, .. }, time)| (month, day, time));
    Some(Value::Recurring(Recurring { month: Some(month), day, time: Some(time) }))
}

/// With the digits of the register, and without a sign or an instant: 1997 has neither.
fn fitted(register: Register, value: Value) -> Value {
    match (register.format(), value) {
        (Format::Number { decimals, .. }, Value::Number(number) | Value::Demand { value: number, .. }) => {
            Value::Number(number.abs().round_dp(u32::from(decimals)))
        }
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::super::meter::{MeterSettings, VirtualMeter};
    use catalogue::{Catalogue, Entry};
    use dlt645::format::NoValue;
    use dlt645::{Di, Edition, ErrorWord};
    use jiff::Timestamp;

    fn meters() -> [VirtualMeter; 2] {
        [Edition::E1997, Edition::E2007].map(|edition| {
            let mut settings = MeterSettings::household("000012345678".parse().unwrap());
            settings.edition = edition;
            settings.energy = 1_234_567;
            VirtualMeter::new(settings, 1)
        })
    }

    fn now() -> Timestamp {
        "2026-11-21T09:30:00Z".parse().unwrap()
    }

    fn text(meter: &VirtualMeter, name: &str) -> String {
        let register = Catalogue::of(meter.settings().edition).find(name, 4).unwrap()[0];
        let mut octets = Vec::new();
        meter.read(register.di().unwrap(), now(), &mut octets).unwrap();
        register.decode(&octets).unwrap().to_string()
    }

    #[test]
    fn both_editions_tell_of_the_same_house() {
        let [old, new] = meters();
        for name in [
            "active_energy_import",
            "active_energy_import_t3",
            "active_energy_import_s1",
            "active_energy_export",
            "reactive_energy_q1",
            "reactive_energy_q4",
            "max_demand_active_import",
            "active_power",
            "power_factor",
            "clock_date",
            "clock_time",
            "meter_number",
        ] {
            assert_eq!(text(&old, name), text(&new, name), "{name}");
        }
        assert_eq!(text(&old, "reactive_energy_forward"), text(&new, "reactive_energy_combined_1"));
        let volts: f64 = text(&new, "voltage_l1").parse().unwrap();
        let whole: f64 = text(&old, "voltage_l1").parse().unwrap();
        assert!((volts - whole).abs() <= 0.5 && !text(&old, "voltage_l1").contains('.'));
        let time = text(&old, "max_demand_active_import_time");
        assert!(time.starts_with("--11-") && time.len() == "--11-20T18:30".len(), "{time}");
    }

    #[test]
    fn a_block_has_bb_for_missing_phases_and_aa_behind_its_tariffs() {
        let [old, _] = meters();
        let read = |di| {
            let mut octets = Vec::new();
            old.read(Di::new_1997(di), now(), &mut octets).map(|()| octets)
        };
        let energies = read(0x901F).unwrap();
        assert_eq!((energies.len(), energies.last()), (21, Some(&0xAA)));
        let Some(Entry::Block(block)) = Catalogue::dlt645_1997().by_di(Di::new_1997(0x901F)) else {
            panic!()
        };
        assert_eq!(block.items(&energies).unwrap().count(), 5);
        assert_eq!(read(0xB61F).unwrap()[2..], [0xBB; 4]);
        assert_eq!(read(0xB63F).unwrap().len(), 16);
        assert_eq!(read(0xB660), Err(ErrorWord::NO_REQUESTED_DATA));
    }

    #[test]
    fn a_meter_has_no_registers_of_the_other_edition() {
        let [old, new] = meters();
        for (meter, di) in [(old, Di::new(0x0001_0000)), (new, Di::new_1997(0x9010))] {
            assert_eq!(meter.read(di, now(), &mut Vec::new()), Err(ErrorWord::NO_REQUESTED_DATA));
        }
    }

    #[test]
    fn every_value_of_a_meter_fits_its_register() {
        let [old, _] = meters();
        let mut have = 0;
        for register in Catalogue::dlt645_1997().registers() {
            let mut octets = Vec::new();
            if old.read(register.di().unwrap(), now(), &mut octets).is_ok() {
                let value = register.decode(&octets);
                let unset = value == Err(NoValue::Unset) && octets == [0; 4];
                assert!(value.is_ok() || unset, "{register:?} {octets:02X?}");
                have += 1;
            }
        }
        assert!(have > 100, "{have}");
    }
}
