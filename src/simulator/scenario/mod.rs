//! Scenarios: which meters stand on a virtual line, and what they are made to answer.
//!
//! A scenario is a TOML file, or a number of households. Every fault in a file is collected, each with its
//! place and what to write instead. It opens no file but a profile that one names, and starts nothing.

mod fixed;
mod history;
mod modbus;
mod table;

pub use table::{Fault, Faults};

use super::calendar;
use super::house::Phases;
use super::line::{Sender, VirtualLine};
use super::meter::{MOST_TARIFFS, MeterSettings, VirtualMeter};
use super::modbus::{ModbusMeter, ModbusSettings};
use super::pair::Pair;
use crate::planner::{CharFormat, Line, RATES};
use ::modbus::UnitId;
use catalogue::Profile;
use dlt645::{Address, Edition};
use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::Offset;
use rust_decimal::Decimal;
use std::time::Duration;
use table::{Reader, Section};

/// The meters of one virtual line and the seed of their loads.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The same seed gives the same values at the same time.
    pub seed: u64,
    /// Rate and character of the line; `None` for one that takes no time.
    pub rate: Option<Line>,
    /// Those of DL/T 645, in the order of the file.
    pub meters: Vec<MeterSettings>,
    /// Those of Modbus, in the order of the file.
    pub modbus: Vec<ModbusSettings>,
    /// Whether the Modbus meters, and then there are no others, stand behind Modbus TCP.
    pub is_modbus_tcp: bool,
}

/// What a `[[meter]]` speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Speaks {
    Dlt645(Edition),
    ModbusRtu,
    ModbusTcp,
}

/// More meters than addresses from the first one on, or a first one that is no meter's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{count} meters from address {start} on need plain addresses below 999999999999; choose a lower start address"
)]
pub struct TooMany {
    /// As asked.
    pub count: u32,
    /// As asked.
    pub start: Address,
}

/// More Modbus meters than units from the first one on, or a first one that is no meter's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{count} Modbus meters from unit {start} on need units of 1 to 247; choose a lower start address")]
pub struct TooManyUnits {
    /// As asked.
    pub count: u32,
    /// As asked.
    pub start: Address,
}

/// The seed of a scenario that names none.
pub const DEFAULT_SEED: u64 = 1;
/// No bus waits longer for an answer.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_secs(60);
/// FE octets before an answer: the standard's 4, and what chatty meters send.
const MOST_PREAMBLE: u64 = 32;
/// What a rate is written as.
const RATE: &str = "a rate of 300 to 115200 baud, e.g. 2400";

impl Scenario {
    /// Households with consecutive addresses: each fourth is three-phase, each fifth has a roof that feeds in.
    ///
    /// # Errors
    /// [`TooMany`] where the addresses run out.
    pub fn households(
        count: u32,
        start: Address,
        edition: Edition,
        seed: u64,
        utc_offset: Offset,
    ) -> Result<Self, TooMany> {
        let too_many = TooMany { count, start };
        let first: u64 = start.to_string().parse().map_err(|_| too_many)?;
        let meters = (0..count).map(|n| {
            let address: Address = (first + u64::from(n)).to_string().parse().map_err(|_| too_many)?;
            if !address.is_one_meter() {
                return Err(too_many);
            }
            let mut settings = MeterSettings::household(address);
            settings.edition = edition;
            settings.utc_offset = utc_offset;
            settings.solar = n % 5 == 4;
            if n % 4 == 3 {
                settings.phases = Phases::Three;
            }
            Ok(settings)
        });
        Ok(Self {
            seed,
            rate: None,
            meters: meters.collect::<Result<_, _>>()?,
            modbus: Vec::new(),
            is_modbus_tcp: false,
        })
    }

    /// Modbus meters of one model with consecutive units, each fifth with a roof that feeds in.
    ///
    /// # Errors
    /// [`TooManyUnits`] where the units run out.
    pub fn units(
        count: u32,
        start: Address,
        profile: &'static Profile,
        seed: u64,
        utc_offset: Offset,
    ) -> Result<Self, TooManyUnits> {
        let too_many = TooManyUnits { count, start };
        let first: u64 = start.to_string().parse().map_err(|_| too_many)?;
        let meters = (0..u64::from(count)).map(|n| {
            let unit = u8::try_from(first + n).ok().and_then(UnitId::new).ok_or(too_many)?;
            let mut settings = ModbusSettings::new(unit, profile);
            settings.meter.utc_offset = utc_offset;
            settings.meter.solar = n % 5 == 4;
            Ok(settings)
        });
        let modbus = meters.collect::<Result<_, _>>()?;
        Ok(Self { seed, rate: None, meters: Vec::new(), modbus, is_modbus_tcp: false })
    }

    /// Reads a scenario; `file` is its name in faults.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        let mut reader = Reader::new(file, text);
        let root = reader.root();
        let mut top = Section::new("", &root);
        let seed = top.get(&mut reader, "seed", "a whole number, e.g. seed = 1", table::whole);
        let utc_offset = top.get(&mut reader, "utc_offset", "the meters' clocks, e.g. \"+08:00\"", |value| {
            calendar::utc_offset(value.as_str()?).ok()
        });
        let installed = top.get(&mut reader, "installed", "a day, e.g. \"2026-01-01\"", day);
        let baud = top.get(&mut reader, "baud", RATE, rate);
        let frame = top.get(&mut reader, "frame", "bits of a character, e.g. \"8E1\"", |value| {
            value.as_str()?.parse::<CharFormat>().ok()
        });
        let (mut meters, mut modbus) = (Vec::new(), Vec::new());
        let mut kinds = Vec::new();
        for (table, span) in top.tables(&mut reader, "meter") {
            let mut section = Section::new("[[meter]]", table);
            let mut settings = MeterSettings::household(Address::BROADCAST);
            settings.utc_offset = utc_offset.unwrap_or(settings.utc_offset);
            settings.installed = installed.unwrap_or(settings.installed);
            let want = "\"dlt645-2007\", \"dlt645-1997\", \"modbus-rtu\" or \"modbus-tcp\"";
            let speaks = section.get(&mut reader, "protocol", want, speaks);
            let speaks = speaks.unwrap_or(Speaks::Dlt645(settings.edition));
            kinds.push((speaks, span.clone()));
            match speaks {
                Speaks::Dlt645(edition) => {
                    settings.edition = edition;
                    meter(&mut reader, &mut section, span, &mut settings);
                    meters.push(settings);
                }
                Speaks::ModbusRtu | Speaks::ModbusTcp => {
                    modbus.extend(modbus::meter(&mut reader, &mut section, span, &settings));
                }
            }
            section.end(&mut reader);
        }
        let is_modbus_tcp = kinds.first().is_some_and(|(speaks, _)| *speaks == Speaks::ModbusTcp);
        if let Some((_, span)) = kinds.iter().find(|(one, _)| (*one == Speaks::ModbusTcp) != is_modbus_tcp) {
            let message =
                "meters of modbus-tcp stand on no line with others; give them a scenario of their own";
            reader.fault(Some(span.clone()), message);
        }
        top.end(&mut reader);
        if kinds.is_empty() {
            reader.fault(None, "there is no meter; write [[meter]] and under it address = \"000000000001\"");
        }
        reader.end()?;
        let rate = baud.map(|baud| Line { baud, frame: frame.unwrap_or(CharFormat::EVEN) });
        Ok(Self { seed: seed.unwrap_or(DEFAULT_SEED), rate, meters, modbus, is_modbus_tcp })
    }

    /// All of its meters, those of DL/T 645 first.
    pub fn senders(&self) -> impl Iterator<Item = Sender> {
        let units = self.modbus.iter().map(|meter| meter.unit.into());
        self.meters.iter().map(|meter| meter.address.into()).chain(units)
    }

    /// Its meters on a pair of wires of its rate.
    pub fn pair(&self) -> Pair {
        let pair = Pair::from(self.line());
        match self.rate {
            Some(rate) => pair.at(rate),
            None => pair,
        }
    }

    /// Its meters on a line.
    pub fn line(&self) -> VirtualLine {
        let units = self.modbus.iter().map(|meter| ModbusMeter::new(meter.clone(), self.seed));
        VirtualLine::new(self.meters.iter().map(|m| VirtualMeter::new(m.clone(), self.seed)).collect())
            .with_modbus(units.collect())
    }
}

fn meter(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    span: table::Span,
    settings: &mut MeterSettings,
) {
    if !section.has("address") {
        reader.fault(Some(span), "a [[meter]] needs address = \"000012345678\", as on its plate");
    }
    let want = "up to 12 decimal digits in quotes, as on the plate, e.g. \"000012345678\"";
    let address = section.get(reader, "address", want, |value| {
        value.as_str()?.parse().ok().filter(|address: &Address| address.is_one_meter())
    });
    let want = "0 to 32 FE octets before an answer";
    let preamble = section.get(reader, "preamble", want, |value| {
        table::whole(value).filter(|n| *n <= MOST_PREAMBLE).and_then(|n| u8::try_from(n).ok())
    });
    let blocks = section.get(reader, "blocks", "true or false", table::truth);
    measures(reader, section, settings);

    settings.address = address.unwrap_or(settings.address);
    settings.preamble = preamble.unwrap_or(settings.preamble);
    settings.blocks = blocks.unwrap_or(settings.blocks);
    settings.memory = history::read(reader, section);
    settings.fixed = fixed::read(reader, section, settings.edition, settings.tariffs);
}

/// Reads what meters of all kinds have: what they measure, their rate, their delay, their clock.
fn measures(reader: &mut Reader<'_>, section: &mut Section<'_>, settings: &mut MeterSettings) {
    let phases = section.get(reader, "phases", "1 or 3", |value| match table::whole(value)? {
        1 => Some(Phases::One),
        3 => Some(Phases::Three),
        _ => None,
    });
    let want = "1 to 63 tariffs";
    let tariffs = section.get(reader, "tariffs", want, |value| {
        u8::try_from(table::whole(value)?).ok().filter(|n| (1..=MOST_TARIFFS).contains(n))
    });
    let want = "the nominal voltage in V with one decimal at most, e.g. \"220.0\" or \"57.7\"";
    let voltage = section.get(reader, "voltage", want, |value| scaled(value, 1, 1..=9000));
    let solar = section.get(reader, "solar", "true or false", table::truth);
    let want = "kWh at the day of installation, e.g. \"12345.67\", up to \"999999.99\"";
    let energy = section.get(reader, "energy", want, |value| scaled(value, 2, 0..=99_999_999));
    let want = "a time from 0 to 60 s with its unit, e.g. \"30ms\"";
    let delay = section.get(reader, "response_delay", want, |value| {
        let delay: SignedDuration = value.as_str()?.parse().ok()?;
        Duration::try_from(delay).ok().filter(|_| delay <= LONGEST_DELAY)
    });
    let baud = section.get(reader, "baud", RATE, rate);
    let clock_offset = history::clock_offset(reader, section);
    let clock_drift = history::clock_drift(reader, section);

    settings.phases = phases.unwrap_or(settings.phases);
    settings.tariffs = tariffs.unwrap_or(settings.tariffs);
    settings.nominal_voltage = voltage.unwrap_or(settings.nominal_voltage);
    settings.solar = solar.unwrap_or(settings.solar);
    settings.energy = energy.unwrap_or(settings.energy);
    settings.response_delay = delay.unwrap_or(settings.response_delay);
    settings.baud = baud.or(settings.baud);
    settings.clock_offset = clock_offset.unwrap_or(settings.clock_offset);
    settings.clock_drift = clock_drift.unwrap_or(settings.clock_drift);
}

fn speaks(value: &toml::de::DeValue<'_>) -> Option<Speaks> {
    match value.as_str()? {
        "dlt645-2007" => Some(Speaks::Dlt645(Edition::E2007)),
        "dlt645-1997" => Some(Speaks::Dlt645(Edition::E1997)),
        "modbus-rtu" => Some(Speaks::ModbusRtu),
        "modbus-tcp" => Some(Speaks::ModbusTcp),
        _ => None,
    }
}

/// A rate that lines have.
fn rate(value: &toml::de::DeValue<'_>) -> Option<u32> {
    u32::try_from(table::whole(value)?).ok().filter(|baud| RATES.contains(baud))
}

/// A day, as a string or as a date of TOML.
fn day(value: &toml::de::DeValue<'_>) -> Option<Date> {
    let text = value.as_str().map(str::to_owned).or_else(|| value.as_datetime().map(ToString::to_string))?;
    // A date of TOML may have a time, which a jiff date would ignore.
    text.parse().ok().filter(|_| text.len() == 10).filter(|day: &Date| (2000..2100).contains(&day.year()))
}

/// A decimal number as a whole number of its last digit.
fn scaled(value: &toml::de::DeValue<'_>, decimals: u32, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let number = Decimal::from_str_exact(&table::written(value)?).ok()?;
    let scaled = number.checked_mul(Decimal::from(10u64.pow(decimals)))?;
    if !scaled.fract().is_zero() {
        return None;
    }
    u64::try_from(scaled).ok().filter(|n| range.contains(n))
}

#[cfg(test)]
mod tests {
    use super::super::meter::Fixed;
    use super::*;
    use dlt645::Di;

    fn faults(text: &str) -> Vec<String> {
        Scenario::parse("s.toml", text).unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_meter_needs_no_more_than_its_address() {
        let scenario = Scenario::parse("s.toml", "[[meter]]\naddress = \"12345678\"\n").unwrap();
        assert_eq!(scenario.seed, 1);
        let meter = &scenario.meters[0];
        assert_eq!((meter.address.to_string().as_str(), meter.tariffs), ("000012345678", 4));
        assert_eq!(scenario.line().meters().len(), 1);
    }

    #[test]
    fn every_key_is_taken() {
        let text = r#"
            seed = 7
            utc_offset = "+05:30"
            installed = 2025-06-01
            baud = 4800
            frame = "8N1"
            [[meter]]
            address = "1"
            phases = 3
            tariffs = 2
            voltage = 57.7
            solar = true
            energy = 12345.67
            preamble = 0
            response_delay = "120ms"
            baud = 1200
            blocks = false
            refuse = ["02020200"]
            raw = { "02030000" = "FF FFFF" }
        "#;
        let scenario = Scenario::parse("s.toml", text).unwrap();
        let m = &scenario.meters[0];
        assert_eq!((scenario.seed, m.utc_offset.seconds()), (7, 19_800));
        assert_eq!((m.installed, m.phases, m.tariffs), (jiff::civil::date(2025, 6, 1), Phases::Three, 2));
        assert_eq!((m.nominal_voltage, m.solar, m.energy, m.preamble), (577, true, 1_234_567, 0));
        assert_eq!(scenario.rate.unwrap().to_string(), "4800 8N1");
        assert_eq!((m.baud, scenario.pair().is_paced()), (Some(1200), true));
        assert_eq!((m.response_delay, m.blocks), (Duration::from_millis(120), false));
        assert_eq!(m.fixed[&Di::new(0x0202_0200)], Fixed::Refused);
        assert_eq!(m.fixed[&Di::new(0x0203_0000)], Fixed::Octets(vec![0xFF; 3]));
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_what_to_write() {
        let text = "seed = \"x\"\nsede = 1\nbaud = 2401\n[[meter]]\naddress = \"AAAA\"\nphases = 2\nenergy = \"1.234\"\n\
                    response_delay = \"30\"\nraw = { \"02030000\" = \"F\" }\n[[meter]]\ntariffs = 0\n";
        let faults = faults(text);
        let starts = [
            "s.toml:1:8: seed = \"x\": write a whole number",
            "s.toml:2:1: key \"sede\" is not known; known are seed, utc_offset, installed, baud, frame, meter",
            "s.toml:3:8: baud = 2401: write a rate of 300",
            "s.toml:5:11: [[meter]] address = \"AAAA\": write up to 12 decimal digits",
            "s.toml:6:10: [[meter]] phases = 2: write 1 or 3",
            "s.toml:7:10: [[meter]] energy = \"1.234\": write kWh",
            "s.toml:8:18: [[meter]] response_delay = \"30\": write a time",
            "s.toml:9:22: [[meter]] raw.02030000 = \"F\": write octets",
            "s.toml:10:1: a [[meter]] needs address",
            "s.toml:11:11: [[meter]] tariffs = 0: write 1 to 63",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:#?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}\n{start}");
        }
    }

    #[test]
    fn a_meter_of_1997_is_fixed_by_its_own_registers() {
        let text = "[[meter]]\naddress = \"1\"\nprotocol = \"dlt645-1997\"\nrefuse = [\"901F\"]\n\
                    fixed = { voltage_l1 = \"220\" }\n";
        let meter = &Scenario::parse("s.toml", text).unwrap().meters[0];
        assert_eq!(meter.edition, Edition::E1997);
        assert_eq!(meter.fixed[&Di::new_1997(0xB611)], Fixed::Octets(vec![0x20, 0x02]));
        assert_eq!(meter.fixed[&Di::new_1997(0x901F)], Fixed::Refused);
        let faults = faults(&text.replace("220\"", "220.5\"").replace("-1997", "-1996"));
        assert!(faults[0].contains("write \"dlt645-2007\", \"dlt645-1997\""), "{faults:?}");
    }

    #[test]
    fn an_empty_file_and_broken_toml_are_told() {
        assert_eq!(faults("").len(), 1);
        assert!(faults("seed = \n[[meter]]\naddress = \"1\"\n")[0].starts_with("s.toml:1:"));
        assert!(faults("meter = 3")[0].starts_with("s.toml:1:9: meter = 3: write [[meter]]"));
    }

    #[test]
    fn the_same_identifier_in_two_places_is_a_fault() {
        let text = "[[meter]]\naddress = \"1\"\nrefuse = [\"02030000\"]\nraw = { \"02030000\" = \"FF\" }\n";
        assert!(faults(text)[0].contains("02030000 is said twice"), "{:?}", faults(text));
    }

    #[test]
    fn names_patterns_and_values_are_looked_up_in_the_catalogue() {
        let text = r#"
            [[meter]]
            address = "1"
            fixed = { active_energy_import = "999999.99", "active_power" = -12.3456, clock_date = "2026-11-21",
                      max_demand_active_import = "12.3456 at 2026-11-20T18:30", "02010100" = "0.0" }
            raw = { "voltage_l3" = "FFFF" }
            refuse = ["active_energy_import_t*", "current_l2"]
        "#;
        let scenario = Scenario::parse("s.toml", text).unwrap();
        let fixed = &scenario.meters[0].fixed;
        let octets = |di: u32| match &fixed[&Di::new(di)] {
            Fixed::Octets(octets) => octets.clone(),
            Fixed::Time(_) | Fixed::Refused => panic!("{di:08X}"),
        };
        assert_eq!(octets(0x0001_0000), [0x99; 4]);
        assert_eq!(octets(0x0203_0000), [0x56, 0x34, 0x92]);
        assert_eq!(octets(0x0400_0101), [0x06, 0x21, 0x11, 0x26]);
        assert_eq!(octets(0x0101_0000), [0x56, 0x34, 0x12, 0x30, 0x18, 0x20, 0x11, 0x26]);
        assert_eq!(octets(0x0201_0100), [0, 0]);
        assert_eq!(octets(0x0201_0300), [0xFF; 2]);
        for di in [0x0001_0100, 0x0001_0400, 0x0202_0200] {
            assert_eq!(fixed[&Di::new(di)], Fixed::Refused);
        }
        let faults = faults(
            "[[meter]]\naddress = \"1\"\nfixed = { actve_power = 1, active_power = \"100.0\", voltage_l1 = \"1.23\" }\n",
        );
        assert_eq!(faults.len(), 3, "{faults:#?}");
        assert!(faults[0].contains("active_power"), "{}", faults[0]);
    }

    #[test]
    fn households_have_consecutive_addresses_and_both_kinds() {
        let scenario =
            Scenario::households(8, "000000000099".parse().unwrap(), Edition::E2007, 3, Offset::UTC).unwrap();
        let addresses: Vec<_> = scenario.meters.iter().map(|m| m.address.to_string()).collect();
        assert_eq!((addresses[0].as_str(), addresses[7].as_str()), ("000000000099", "000000000106"));
        assert_eq!(scenario.meters.iter().filter(|m| m.phases == Phases::Three).count(), 2);
        assert!(scenario.meters[4].solar);
        assert!(
            Scenario::households(2, "999999999998".parse().unwrap(), Edition::E2007, 3, Offset::UTC).is_err()
        );
        assert!(Scenario::households(1, Address::ANY, Edition::E2007, 3, Offset::UTC).is_err());
    }

    #[test]
    fn scenarios_of_the_fixtures_are_in_order() {
        for (file, text) in [
            ("household.toml", include_str!("../../../fixtures/scenarios/household.toml")),
            ("edge-values.toml", include_str!("../../../fixtures/scenarios/edge-values.toml")),
            ("example.toml", include_str!("../../../fixtures/scenarios/example.toml")),
            ("mixed.toml", include_str!("../../../fixtures/scenarios/mixed.toml")),
            ("modbus-tcp.toml", include_str!("../../../fixtures/scenarios/modbus-tcp.toml")),
        ] {
            let scenario = Scenario::parse(file, text).unwrap_or_else(|faults| panic!("{faults}"));
            assert!(scenario.senders().count() > 1);
        }
    }
}
