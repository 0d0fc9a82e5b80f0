//! Promises of the built-in table of DL/T 645-2007: its names are a contract, its signs are the standard's.

mod seed;

use catalogue::{Access, Catalogue, Edition, Entry, Quantity, Register, Tables, Text, Unit};
use dlt645::Di;
use dlt645::format::{Format, NoValue, Value};
use rust_decimal::Decimal;
use seed::Seed;
use std::collections::{BTreeMap, HashMap, HashSet};

fn table() -> &'static Catalogue {
    Catalogue::dlt645_2007()
}

fn register(di: u32) -> Register {
    match table().by_di(Di::new(di)) {
        Some(Entry::Register(register)) => register,
        other => panic!("{di:08X} is {other:?}"),
    }
}

#[test]
fn built_in_table_is_free_of_faults() {
    let tables = Tables {
        registers: Text { file: "2007.csv", text: dlt645::tables::REGISTERS_2007 },
        layouts: Some(Text { file: "layouts-2007.csv", text: dlt645::tables::LAYOUTS_2007 }),
        bits: Some(Text { file: "bits-2007.csv", text: dlt645::tables::BITS_2007 }),
    };
    if let Err(faults) = Catalogue::read_tables(tables) {
        panic!("{faults}");
    }
}

/// The names, units and codes that others build on.
#[test]
fn public_names_keep_their_di_obis_unit_and_quantity() {
    let mut names = csv::Reader::from_reader(include_str!("names.csv").as_bytes());
    let mut checked = 0;
    for line in names.records() {
        let line = line.unwrap();
        let [name, zh, di, obis, unit, quantity] = [0, 1, 2, 3, 4, 5].map(|n| &line[n]);
        let register = register(di.parse::<Di>().unwrap().get());
        assert_eq!(register.name().to_string(), name);
        assert_eq!(register.name_zh().to_string(), zh, "{name}");
        assert_eq!(register.obis().map(|o| o.to_string()).unwrap_or_default(), obis, "{name}");
        assert_eq!(register.unit().map_or("", Unit::text), unit, "{name}");
        assert_eq!(register.quantity().text(), quantity, "{name}");
        assert_eq!(table().find(name, 4).unwrap(), [register], "{name}");
        checked += 1;
    }
    assert_eq!(checked, 126);
}

#[test]
fn every_name_and_every_obis_code_is_of_one_register() {
    let mut names = HashMap::new();
    let mut codes = HashMap::new();
    let mut shorts = HashMap::new();
    for register in table().registers() {
        let name = register.name().to_string();
        if let Some(other) = names.insert(name.clone(), register) {
            panic!("{name}: {register:?} and {other:?}");
        }
        if let Some(code) = register.obis() {
            let code = code.to_string();
            let short = code.split_once(':').unwrap().1.to_owned();
            assert_eq!(codes.insert(code, register), None, "{register:?}");
            assert_eq!(shorts.insert(short, register), None, "{register:?}");
        }
    }
    assert_eq!(names.len(), 92_647);
}

#[test]
fn every_di_of_the_table_leads_back_to_its_register_and_none_to_two() {
    let mut seen = HashMap::new();
    for register in table().registers() {
        let Some(Entry::Register(first)) = table().by_di(register.di().unwrap()) else {
            panic!("{register:?}")
        };
        // A frozen energy comes with its tariffs: one DI, the total first.
        let is_its_tariff = first.tariff().is_none() && register.tariff().is_some();
        assert!(first == register || (first.di() == register.di() && is_its_tariff), "{register:?}");
        assert_eq!(seen.insert((register.di(), register.name().to_string()), register), None, "{register:?}");
        for block in register.blocks() {
            assert_eq!(table().by_di(block.di()), Some(Entry::Block(block)));
            assert!(block.registers(63).any(|r| r == register), "{block:?} holds {register:?}");
        }
    }
}

/// Identifiers and registers by class; a frozen energy is one identifier of up to 64 registers.
#[test]
fn every_class_of_the_standard_has_all_its_identifiers() {
    let mut classes: BTreeMap<u8, (HashSet<Di>, usize)> = BTreeMap::new();
    for register in table().registers() {
        let (dis, registers) = classes.entry(register.di_byte(3)).or_default();
        dis.insert(register.di().unwrap());
        dis.extend(register.blocks().map(|block| block.di()));
        *registers += 1;
    }
    let found: Vec<_> =
        classes.iter().map(|(class, (dis, registers))| (*class, dis.len(), *registers)).collect();
    assert_eq!(
        found,
        [
            (0x00, 10_828, 9_923),
            (0x01, 9_510, 8_710),
            (0x02, 185, 170),
            (0x03, 841, 841),
            (0x04, 2_084, 2_082),
            (0x05, 2_121, 55_671),
            (0x06, 21, 21),
            (0x07, 7, 7),
            (0x10, 1_629, 1_629),
            (0x11, 1_626, 1_626),
            (0x12, 1_626, 1_626),
            (0x13, 1_626, 1_626),
            (0x14, 352, 352),
            (0x15, 352, 352),
            (0x16, 362, 362),
            (0x17, 362, 362),
            (0x18, 1_506, 1_506),
            (0x19, 1_506, 1_506),
            (0x1A, 1_506, 1_506),
            (0x1B, 1_056, 1_056),
            (0x1C, 1_056, 1_056),
            (0x1D, 91, 91),
            (0x1E, 91, 91),
            (0x1F, 112, 112),
            (0x20, 397, 362),
            (0x21, 1, 1),
        ]
    );
}

#[test]
fn what_the_standard_itself_does_not_have_is_marked() {
    for register in table().registers() {
        let [_, _, second, class] = [0, 1, 2, 3].map(|n| register.di_byte(n));
        let addition = matches!(class, 7 | 0x10..=0x21) || (class == 5 && matches!(second, 4..=7));
        assert!(!addition || register.edition() == Edition::StateGrid, "{register:?}");
        assert_eq!(register.clause().is_empty(), register.edition() == Edition::StateGrid, "{register:?}");
    }
}

#[test]
fn dis_outside_the_table_are_nothing() {
    for di in [
        0x0001_4000, // tariff 64
        0x0001_000D, // settlement day 13
        0x0001_FFFF, // two wild bytes: in no list of the annex
        0x00FF_0000,
        0x0015_0100, // a phase's energy has no tariffs
        0x0015_FF00,
        0x0201_0000, // a voltage has no total
        0x0201_0400,
        0x020A_FF03,
        0x020A_0116, // harmonic 22
        0x0280_00FF,
        0x0292_0200,
        0x0400_010A,
        0xFFFF_FFFF,
    ] {
        assert_eq!(table().by_di(Di::new(di)), None, "{di:08X}");
    }
}

#[test]
fn golden_dis_have_their_format_and_place() {
    let number = |decimals, signed| Format::Number { decimals, signed };
    let demand = |signed| Format::Demand { decimals: 4, signed };
    for (di, name, format, octets) in [
        (0x0000_0000, "active_energy_combined", number(2, true), 4),
        (0x0001_0000, "active_energy_import", number(2, false), 4),
        (0x0002_3F0C, "active_energy_export_t63_s12", number(2, false), 4),
        (0x0008_0201, "reactive_energy_q4_t2_s1", number(2, false), 4),
        (0x003F_0003, "reactive_energy_combined_1_l3_s3", number(2, true), 4),
        (0x0032_0000, "apparent_energy_export_l2", number(2, false), 4),
        (0x0080_0000, "active_energy_associated", number(2, false), 4),
        (0x00AB_0000, "active_energy_harmonic_import_l2", number(2, false), 4),
        (0x00C2_000C, "active_energy_iron_loss_l3_s12", number(2, false), 4),
        (0x0101_0102, "max_demand_active_import_t1_s2", demand(false), 8),
        (0x0118_0000, "max_demand_reactive_combined_2_l1", demand(true), 8),
        (0x0146_0000, "max_demand_apparent_export_l3", demand(false), 8),
        (0x0201_0200, "voltage_l2", number(1, false), 2),
        (0x0203_0000, "active_power", number(4, true), 3),
        (0x0206_0300, "power_factor_l3", number(3, true), 2),
        (0x020A_0315, "voltage_harmonic_21_l3", number(2, false), 2),
        (0x0280_000A, "clock_battery_runtime", number(0, false), 4),
        (0x0280_0020, "price", number(4, false), 4),
        (0x0400_0101, "clock_date", Format::Date, 4),
        (0x0400_010C, "clock", Format::DateTime, 7),
        (0x0400_0401, "communication_address", Format::Digits, 6),
    ] {
        let register = register(di);
        assert_eq!(register.name().to_string(), name);
        assert_eq!((register.format(), register.octets()), (format, octets), "{name}");
    }
}

#[test]
fn a_register_knows_its_axes_clause_and_edition() {
    let register = |name| table().find(name, 4).unwrap()[0];
    let tariff = register("active_energy_import_t3_s2");
    assert_eq!((tariff.phase(), tariff.tariff(), tariff.settlement()), (None, Some(3), 2));
    assert_eq!((tariff.clause(), tariff.edition()), ("A.1", Edition::Standard));
    let harmonic = register("current_harmonic_5_l2");
    assert_eq!((harmonic.phase(), harmonic.harmonic(), harmonic.tariff()), (Some(2), Some(5), None));
    assert_eq!(register("active_power").phase(), None);
    assert_eq!(register("clock").edition(), Edition::StateGrid);
    assert_eq!(register("clock").access(), Access::ReadWrite);
    assert_eq!(register("voltage_l1").access(), Access::Read);
}

/// Notes to A.1, A.2 and A.3. A sign bit in any other register is the digit 8 or 9.
#[test]
fn exactly_the_registers_of_the_notes_have_a_sign() {
    const SIGNED: [&str; 15] = [
        "active_energy_combined",
        "reactive_energy_combined_1",
        "reactive_energy_combined_2",
        "max_demand_reactive_combined_1",
        "max_demand_reactive_combined_2",
        "current",
        "current_n",
        "active_power",
        "active_power_average_1min",
        "reactive_power",
        "apparent_power",
        "power_factor",
        "demand_active",
        "demand_reactive",
        "demand_apparent",
    ];
    for register in table().registers() {
        let name = register.name().to_string();
        let suffix = |part: &&str| {
            part.len() > 1
                && part[1..].bytes().all(|b| b.is_ascii_digit())
                && part.starts_with(['l', 't', 's'])
                || ["month", "day", "hour", "timed", "instant", "record"]
                    .iter()
                    .any(|word| part.strip_prefix(word).is_some_and(|n| n.parse::<u8>().is_ok()))
        };
        let stem: Vec<_> = name.split('_').filter(|part| !suffix(part)).collect();
        let signed = match register.format() {
            Format::Number { signed, .. } | Format::Demand { signed, .. } => signed,
            Format::Date
            | Format::Time
            | Format::DateTime
            | Format::Minute
            | Format::Second
            | Format::YearlyMinute
            | Format::YearlyDay
            | Format::MonthlyHour
            | Format::DailyMinute
            | Format::Period
            | Format::Zone
            | Format::Holiday
            | Format::Digits
            | Format::Text
            | Format::TextAsTyped
            | Format::Bits
            | Format::Hex
            | Format::Binary
            | Format::Composite => false,
        };
        let stem = stem.join("_");
        // A register in a record is the same register at another time.
        let (_, own) =
            stem.split_once("_event_").or_else(|| stem.split_once("_switch_")).unwrap_or(("", &stem));
        let own = own.trim_end_matches("_end").trim_end_matches("_total");
        let listed =
            SIGNED.contains(&own) || own == "meter_temperature" || own == "active_energy_combined_period";
        assert_eq!(signed, listed, "{name}");
    }
}

#[test]
fn a_full_counter_is_not_a_negative_one() {
    let octets = [0x99; 4];
    assert_eq!(register(0x0001_0000).decode(&octets), Ok(Value::Number(Decimal::new(99_999_999, 2))));
    let combined = register(0x0000_0000);
    assert_eq!(combined.decode(&[0x99, 0x99, 0x99, 0xF9]), Ok(Value::Number(Decimal::new(-79_999_999, 2))));
    assert_eq!(combined.decode(&[0x01, 0x00, 0x00, 0x80]), Ok(Value::Number(Decimal::new(-1, 2))));
}

#[test]
fn one_octet_too_many_or_too_few_is_never_a_value() {
    let mut seen = HashSet::new();
    for register in table().registers().filter(|r| seen.insert(r.di())) {
        // One and two octets are both documented of these.
        if ["demand_period", "demand_slide_time"].contains(&&*register.name().to_string()) {
            continue;
        }
        for octets in [register.octets().saturating_sub(1), register.octets() + 1] {
            for fill in [0x00, 0x11, 0xFF] {
                let answer = register.decode(&vec![fill; octets]);
                assert!(matches!(answer, Err(NoValue::Implausible(_))), "{register:?} {octets} {answer:?}");
            }
        }
    }
}

/// Of records each field; what has no layout is counted.
#[test]
fn what_any_register_or_field_encodes_decodes_to_itself() {
    let mut seed = Seed(2007);
    let (mut records, mut without_layout, mut by_request) = (0, 0, 0);
    for register in table().registers() {
        if register.is_record() {
            if register.octets() == 0 {
                // Load records have a frame of their own: tests/records.rs.
                by_request += 1;
                continue;
            }
            records += 1;
            let blank = vec![0; register.octets()];
            let mut octets = Vec::new();
            let mut values = Vec::new();
            for field in register.fields(&blank).unwrap() {
                let value = seed.value(field.format, field.octets.len()).unwrap();
                let start = octets.len();
                octets.resize(start + field.octets.len(), 0);
                field.format.encode(value, &mut octets[start..]).unwrap();
                values.push(Ok(value));
            }
            let read: Vec<_> = register.fields(&octets).unwrap().map(|field| field.value).collect();
            assert_eq!(read, values, "{register:?}");
            continue;
        }
        let Some(value) = seed.value(register.format(), register.octets()) else {
            assert_eq!(register.octets(), 0, "{register:?}");
            without_layout += 1;
            continue;
        };
        let mut octets = vec![0xEE];
        register.encode(value, &mut octets).unwrap();
        assert_eq!(octets.len(), 1 + register.octets());
        // The tariffs before it in the same reply.
        let before = if register.octets() == 0 { 0 } else { place_in_reply(&register) * register.octets() };
        let reply = [&vec![0; before], &octets[1..]].concat();
        assert_eq!(register.decode(&reply), Ok(value), "{register:?} {octets:02X?}");
    }
    // 7 commands of the security module and 60 records of which only the DI is documented.
    assert_eq!((records, without_layout, by_request), (1939, 67, 21));
}

fn place_in_reply(register: &Register) -> usize {
    let first = register.di().and_then(|di| table().by_di(di));
    let Some(Entry::Register(first)) = first else { panic!("{register:?}") };
    if first == *register { 0 } else { register.tariff().map_or(0, usize::from) }
}

#[test]
fn a_value_that_does_not_fit_leaves_the_octets_alone() {
    let mut octets = vec![0x01, 0x02];
    assert!(register(0x0001_0000).encode(Value::Number(Decimal::new(-1, 2)), &mut octets).is_err());
    assert!(register(0x0001_0000).encode(Value::Number(Decimal::new(1_000_000, 0)), &mut octets).is_err());
    assert_eq!(octets, [0x01, 0x02]);
}

#[test]
fn combined_energies_have_no_obis_code() {
    for register in table().registers() {
        if register.name().to_string().contains("combined") {
            assert!(register.obis().is_none(), "{register:?}");
        }
    }
}

#[test]
fn each_quantity_has_the_units_that_belong_to_it() {
    for register in table().registers() {
        let unit = register.unit();
        let fits = match register.quantity() {
            Quantity::ActiveEnergy => unit == Some(Unit::KWh),
            Quantity::ReactiveEnergy => unit == Some(Unit::Kvarh),
            Quantity::ApparentEnergy => unit == Some(Unit::KVAh),
            Quantity::MaxDemand | Quantity::Demand => {
                matches!(unit, Some(Unit::KW | Unit::Kvar | Unit::KVA))
            }
            Quantity::Voltage => unit == Some(Unit::V),
            Quantity::Current => unit == Some(Unit::A),
            Quantity::ActivePower => unit == Some(Unit::KW),
            Quantity::ReactivePower => unit == Some(Unit::Kvar),
            Quantity::ApparentPower => unit == Some(Unit::KVA),
            Quantity::PowerFactor
            | Quantity::Instant
            | Quantity::Bits
            | Quantity::Counter
            | Quantity::Record => unit.is_none(),
            Quantity::Nameplate => matches!(unit, None | Some(Unit::ImpPerKWh | Unit::ImpPerKvarh)),
            Quantity::Duration => unit == Some(Unit::Minute),
            Quantity::Charge => unit == Some(Unit::Ah),
            Quantity::Parameter => true,
            Quantity::Angle => unit == Some(Unit::Degree),
            Quantity::Thd | Quantity::Harmonic => unit == Some(Unit::Percent),
            Quantity::Frequency => unit == Some(Unit::Hz),
            Quantity::Temperature => unit == Some(Unit::Celsius),
            Quantity::Battery => matches!(unit, Some(Unit::V | Unit::Minute)),
            Quantity::Prepayment => matches!(unit, Some(Unit::KWh | Unit::Cny | Unit::CnyPerKWh)),
        };
        assert!(fits, "{register:?}: {unit:?}");
    }
}
