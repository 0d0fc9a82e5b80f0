//! Promises of the built-in table of DL/T 645-1997: every item of the standard is there, names are one contract
//! with 2007, and frames of the world give the values that their sources state.
#![allow(clippy::unwrap_used, reason = "a fact that cannot be read fails the test")]

use catalogue::{Access, Block, Catalogue, Entry, Quantity, Register, Unit};
use dlt645::format::{Format, NoValue, Value};
use dlt645::frame::Frame;
use dlt645::{Di, Edition};
use rust_decimal::Decimal;
use std::collections::{HashMap, HashSet};

fn table() -> &'static Catalogue {
    Catalogue::dlt645_1997()
}

fn register(di: u16) -> Register {
    match table().by_di(Di::new_1997(di)) {
        Some(Entry::Register(register)) => register,
        other => panic!("{di:04X} is {other:?}"),
    }
}

fn block(di: u16) -> Block {
    match table().by_di(Di::new_1997(di)) {
        Some(Entry::Block(block)) => block,
        other => panic!("{di:04X} is {other:?}"),
    }
}

fn cut(di: u16, octets: &[u8]) -> Option<Vec<String>> {
    let items = block(di).items(octets).ok()?;
    Some(items.map(|item| item.register.name().to_string()).collect())
}

fn text(register: Register, octets: &[u8]) -> String {
    register.decode(octets).map_or_else(|e| e.to_string(), |v| v.to_string())
}

#[test]
fn built_in_table_is_free_of_faults() {
    if let Err(faults) = Catalogue::read("1997.csv", dlt645::tables::REGISTERS_1997) {
        panic!("{faults}");
    }
}

/// `901[1-E]` is fourteen identifiers.
fn dis(pattern: &str) -> Vec<u16> {
    let Some((front, range)) = pattern.split_once('[') else {
        return vec![u16::from_str_radix(pattern, 16).unwrap()];
    };
    let (first, last) = range.strip_suffix(']').unwrap().split_once('-').unwrap();
    let start = u16::from_str_radix(&format!("{front}0"), 16).unwrap();
    let digit = |text| u16::from_str_radix(text, 16).unwrap();
    (digit(first)..=digit(last)).map(|n| start + n).collect()
}

/// Identifiers, lengths, decimals, units and access as independent implementations of the standard have them.
#[test]
fn every_item_of_the_standard_is_in_the_table_with_its_length_and_unit() {
    let mut items = csv::Reader::from_reader(include_str!("standard-1997.csv").as_bytes());
    let mut rows = 0;
    let mut known = HashSet::new();
    for line in items.records() {
        let line = line.unwrap();
        let [pattern, format, octets, decimals, unit, access] = [0, 1, 2, 3, 4, 5].map(|n| &line[n]);
        rows += 1;
        for di in dis(pattern) {
            match table().by_di(Di::new_1997(di)) {
                Some(Entry::Register(register)) => {
                    known.insert(register.di());
                    assert_eq!(register.octets().to_string(), octets, "{register:?}");
                    assert_eq!(register.unit().map_or("", Unit::text), unit, "{register:?}");
                    let own = match register.access() {
                        Access::Read => "r",
                        Access::ReadWrite => "rw",
                        Access::Write => "w",
                    };
                    assert_eq!(own, access, "{register:?}");
                    let number = matches!(register.format(), Format::Number { signed: false, decimals: own } if own.to_string() == decimals);
                    let counts =
                        format.starts_with('X') || matches!(format, "NN" | "NNNN" | "NNNNNN" | "NNNNNN.N");
                    assert_eq!(number, counts, "{register:?} {format}");
                }
                Some(Entry::Block(block)) => {
                    let all: usize = block.registers(14).map(|r| r.octets()).sum();
                    let each = block.item_octets();
                    let (items, most) = match octets.split_once('*') {
                        Some((one, "(k+1)")) => (one.parse().ok(), 15 * each),
                        Some((one, "P" | "m")) => (one.parse().ok(), 14 * each),
                        Some((one, count)) => (one.parse().ok(), count.parse::<usize>().unwrap() * each),
                        None => (None, octets.rsplit("or").next().unwrap().parse().unwrap()),
                    };
                    assert_eq!(items.unwrap_or(each), each, "{block:?}");
                    assert_eq!(all, most, "{block:?}");
                }
                None => panic!("{di:04X} of {pattern} is not in the table"),
            }
        }
    }
    assert_eq!(rows, 320);
    let extra: Vec<_> = table().registers().filter(|r| !known.contains(&r.di())).collect();
    assert_eq!(extra, []);
}

/// The names, units and codes that others build on.
#[test]
fn public_names_keep_their_di_obis_unit_and_quantity() {
    let mut names = csv::Reader::from_reader(include_str!("names-1997.csv").as_bytes());
    let mut checked = 0;
    for line in names.records() {
        let line = line.unwrap();
        let [name, di, obis, unit, quantity] = [0, 1, 2, 3, 4].map(|n| &line[n]);
        let register = register(u16::from_str_radix(di, 16).unwrap());
        assert_eq!(register.name().to_string(), name);
        assert_eq!(register.obis().map(|o| o.to_string()).unwrap_or_default(), obis, "{name}");
        assert_eq!(register.unit().map_or("", Unit::text), unit, "{name}");
        assert_eq!(register.quantity().text(), quantity, "{name}");
        for text in [name, di] {
            assert_eq!(table().find(text, 4).unwrap(), [register], "{text}");
        }
        if !obis.is_empty() {
            assert_eq!(table().find(obis, 4).unwrap(), [register], "{obis}");
        }
        checked += 1;
    }
    assert_eq!(checked, 59);
}

/// A consumer must not have to know which edition a meter speaks.
#[test]
fn one_name_means_one_quantity_unit_code_and_chinese_name_in_both_editions() {
    let mut shared = 0;
    for old in table().registers().filter(|r| r.tariff().is_none_or(|t| t == 4)) {
        let name = old.name().to_string();
        let Ok(found) = Catalogue::dlt645_2007().find(&name, 0) else { continue };
        let new = found[0];
        let obis = |r: Register| r.obis().map(|o| o.to_string());
        assert_eq!(old.quantity(), new.quantity(), "{name}");
        assert_eq!(old.unit(), new.unit(), "{name}");
        assert_eq!(obis(old), obis(new), "{name}");
        assert_eq!(old.name_zh().to_string(), new.name_zh().to_string(), "{name}");
        shared += 1;
    }
    // Twelve energies and demands, total and one tariff, of three months each; and present values.
    assert!(shared > 12 * 2 * 3, "{shared}");
}

#[test]
fn every_name_and_every_obis_code_is_of_one_register() {
    let mut names = HashMap::new();
    let mut codes = HashMap::new();
    for register in table().registers() {
        assert_eq!(names.insert(register.name().to_string(), register), None, "{register:?}");
        if let Some(code) = register.obis() {
            assert_eq!(codes.insert(code.to_string(), register), None, "{register:?}");
        }
        assert_eq!(table().find(&register.name().to_string(), 14).unwrap(), [register]);
    }
}

#[test]
fn every_di_of_the_table_leads_back_to_its_register_and_its_blocks() {
    let mut seen = HashSet::new();
    for register in table().registers() {
        assert!(seen.insert(register.di()), "{register:?}");
        assert_eq!(register.standard(), Edition::E1997.into());
        assert_eq!(table().by_di(register.di().unwrap()), Some(Entry::Register(register)));
        assert_eq!(Catalogue::dlt645_2007().by_di(register.di().unwrap()), None);
        for block in register.blocks() {
            assert_eq!(table().by_di(block.di()), Some(Entry::Block(block)));
            assert!(block.registers(14).any(|r| r == register), "{block:?} holds {register:?}");
            for held in block.registers(14) {
                assert!(held.blocks().any(|own| own == block), "{held:?} is of {block:?}");
            }
        }
    }
}

#[test]
fn dis_outside_the_table_are_nothing() {
    // Vendors' rows, load records, months that are no month, two wild places, and a 2007 identifier.
    for di in [
        0x9000, 0x9070, 0x90FF, 0x9C10, 0x9FFF, 0xA013, 0xA070, 0xB624, 0xB636, 0xB660, 0xB680, 0xC035,
        0xC11B, 0xC21F, 0xC320, 0xC41F, 0xD110, 0xE501, 0xF000, 0xFFFF,
    ] {
        let entry = table().by_di(Di::new_1997(di));
        assert_eq!(entry, (di == 0xA013).then(|| Entry::Register(register(0xA013))), "{di:04X}");
    }
    assert_eq!(table().by_di(Di::new(0x0000_9010)), None);
    assert_eq!(table().by_di(Di::new(0x0001_0000)), None);
}

/// DI0 counts QI, QIV, QII, QIII.
#[test]
fn quadrants_stand_in_the_order_one_four_two_three() {
    for (di, name) in [
        (0x9130, "reactive_energy_q1"),
        (0x9140, "reactive_energy_q4"),
        (0x9150, "reactive_energy_q2"),
        (0x9160, "reactive_energy_q3"),
        (0xA543, "max_demand_reactive_q4_t3_s1"),
        (0xB952, "max_demand_reactive_q2_time_t2_s2"),
    ] {
        assert_eq!(register(di).name().to_string(), name);
    }
}

#[test]
fn voltage_has_no_decimal_and_power_no_sign() {
    assert_eq!(text(register(0xB611), &[0x20, 0x02]), "220");
    assert_eq!(text(register(0xB621), &[0x34, 0x12]), "12.34");
    assert_eq!(text(register(0xB630), &[0x56, 0x34, 0x92]), "92.3456");
    assert_eq!(text(register(0xB640), &[0x34, 0x92]), "92.34");
    assert_eq!(text(register(0xB650), &[0x85, 0x09]), "0.985");
    assert_eq!(text(register(0xA010), &[0x56, 0x34, 0x12]), "12.3456");
    assert_eq!(text(register(0x9010), &[0x78, 0x56, 0x34, 0x12]), "123456.78");
    assert_eq!(text(register(0xC119), &[0x78, 0x56, 0x34, 0x12]), "1234567.8");
    assert!(
        table()
            .registers()
            .all(|r| !matches!(r.format(), Format::Number { signed: true, .. } | Format::Demand { .. }))
    );
}

#[test]
fn bb_or_ff_all_over_an_item_is_missing_and_any_other_such_nibble_is_no_number() {
    let energy = register(0x9010);
    for fill in [0xBB, 0xFF] {
        assert_eq!(energy.decode(&[fill; 4]), Err(NoValue::Missing));
    }
    for octets in [[0xBB, 0xBB, 0xBB, 0x00], [0xAA; 4], [0x00, 0x00, 0x00, 0xBB]] {
        assert!(matches!(energy.decode(&octets), Err(NoValue::Implausible(_))), "{octets:02X?}");
    }
}

#[test]
fn a_tariff_block_ends_with_its_length_or_with_aa() {
    let total = "active_energy_import";
    assert_eq!(cut(0x901F, &[0x11; 4]).unwrap(), [total]);
    assert_eq!(cut(0x901F, &[0x11; 20]).unwrap().last().unwrap(), "active_energy_import_t4");
    assert_eq!(cut(0x901F, &[0x11; 60]).unwrap().last().unwrap(), "active_energy_import_t14");
    let mut closed = vec![0x11; 20];
    closed.push(0xAA);
    assert_eq!(cut(0x901F, &closed).unwrap().len(), 5);
    closed.extend([0x11; 7]);
    assert_eq!(cut(0x901F, &closed).unwrap().len(), 5, "what stands behind AA is of another block");
    assert_eq!(cut(0x941F, &[0x11; 8]).unwrap(), ["active_energy_import_s1", "active_energy_import_t1_s1"]);
    for length in [0, 3, 5, 22, 64] {
        assert_eq!(cut(0x901F, &vec![0x11; length]), None, "{length} octets");
    }
    assert_eq!(cut(0x901F, &[0xAA]), None);
    let filled = [0x01, 0, 0, 0, 0xBB, 0xBB, 0xBB, 0xBB, 0x03, 0, 0, 0];
    let values: Vec<_> = block(0x901F).items(&filled).unwrap().map(|i| text(i.register, i.octets)).collect();
    assert_eq!(values[0], "0.01");
    assert_eq!(values[1], NoValue::Missing.to_string());
    assert_eq!(values[2], "0.03");
}

#[test]
fn the_block_of_powers_has_its_limits_or_not() {
    let powers = ["active_power", "active_power_l1", "active_power_l2", "active_power_l3"];
    assert_eq!(cut(0xB63F, &[0x11; 12]).unwrap(), powers);
    let all = cut(0xB63F, &[0x11; 16]).unwrap();
    assert_eq!(all[..4], powers);
    assert_eq!(all[4..], ["active_power_import_limit", "active_power_export_limit"]);
    assert_eq!(cut(0xB63F, &[0x11; 3]).unwrap(), ["active_power"]);
    for length in [9, 11, 13, 15, 18] {
        assert_eq!(cut(0xB63F, &vec![0x11; length]), None, "{length} octets");
    }
    assert_eq!(cut(0xB64F, &[0x11; 8]).unwrap().len(), 4);
    assert_eq!(cut(0xB65F, &[0x11; 8]).unwrap().len(), 4);
    assert_eq!(cut(0xB61F, &[0x11; 6]).unwrap(), ["voltage_l1", "voltage_l2", "voltage_l3"]);
    assert_eq!(cut(0xB64F, &[0x11; 6]), None, "three of four phases have no meaning");
}

#[test]
fn blocks_of_unlike_items_are_cut_by_the_length_of_each() {
    let octets: Vec<u8> = (1..=24).collect();
    let items: Vec<_> = block(0xC03F).items(&octets).unwrap().collect();
    let cut: Vec<_> =
        items.iter().map(|i| (i.register.di().unwrap().get(), i.octets[0], i.octets.len())).collect();
    assert_eq!(cut, [(0xC030, 1, 3), (0xC031, 4, 3), (0xC032, 7, 6), (0xC033, 13, 6), (0xC034, 19, 6)]);
    assert_eq!(block(0xB21F).items(&octets[..12]).unwrap().count(), 4, "the battery may be missing");
    assert_eq!(block(0xB21F).items(&octets[..15]).unwrap().count(), 5);
    assert_eq!(block(0xC01F).items(&octets[..7]).unwrap().count(), 2);
    assert!(block(0xC01F).items(&octets[..14]).is_err());
}

#[test]
fn a_password_is_never_selected_by_a_pattern() {
    assert_eq!(register(0xC212).access(), Access::Write);
    assert!(table().find("*", 14).unwrap().iter().all(|r| r.access() != Access::Write));
    assert!(table().find("pass*", 14).is_err());
}

#[test]
fn last_month_is_settlement_one_and_the_month_before_is_two() {
    let names =
        |text| table().find(text, 1).unwrap().iter().map(|r| r.name().to_string()).collect::<Vec<_>>();
    assert_eq!(names("active_energy_import_s*"), ["active_energy_import_s1", "active_energy_import_s2"]);
    assert_eq!((register(0x9410).settlement(), register(0x9953).settlement()), (1, 2));
    assert_eq!(names("1.8.0*102"), ["active_energy_import_s2"]);
    assert_eq!(names("voltage_b"), ["voltage_l2"]);
    assert_eq!(names("901f"), ["active_energy_import", "active_energy_import_t1"]);
    assert_eq!(names("zone_3"), ["zone_3"]);
}

/// Numbers by a fixed seed: the same in every run.
fn some(register: &Register, seed: &mut u64) -> Vec<u8> {
    let mut next = |end: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % end
    };
    let mut two = |end| {
        let n = next(end) as u8;
        ((n / 10) << 4) | (n % 10)
    };
    match register.format() {
        // Weekday, day, month, year: the weekday is the one that belongs to the day, a Saturday.
        Format::Date => vec![0x06, 0x21, 0x11, 0x26],
        Format::Time => vec![two(60), two(60), two(24)],
        Format::YearlyMinute => vec![two(60), two(24), 0x28, 0x02],
        Format::MonthlyHour => vec![two(24), 0x28],
        Format::Zone => vec![two(100), 0x28, 0x02],
        Format::Period => vec![two(100), two(60), two(24)],
        Format::Number { .. } | Format::Digits | Format::Bits => {
            (0..register.octets()).map(|_| two(100)).collect()
        }
        Format::Demand { .. }
        | Format::DateTime
        | Format::Minute
        | Format::Second
        | Format::YearlyDay
        | Format::DailyMinute
        | Format::Holiday
        | Format::Text
        | Format::TextAsTyped
        | Format::Hex
        | Format::Binary
        | Format::Composite => panic!("no register of this table has this format: {register:?}"),
    }
}

#[test]
fn what_any_register_decodes_it_encodes_to_the_same_octets() {
    let mut seed = 1997;
    for register in table().registers() {
        for _ in 0..8 {
            let octets = some(&register, &mut seed);
            let value =
                register.decode(&octets).unwrap_or_else(|e| panic!("{register:?} {octets:02X?}: {e}"));
            let mut again = vec![0xEE];
            register.encode(value, &mut again).unwrap();
            assert_eq!(again[1..], octets, "{register:?}");
            for length in [octets.len() - 1, octets.len() + 1] {
                assert!(register.decode(&vec![0x11; length]).is_err(), "{register:?} of {length} octets");
            }
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
            Quantity::MaxDemand => matches!(unit, Some(Unit::KW | Unit::Kvar)),
            Quantity::Voltage => unit == Some(Unit::V),
            Quantity::Current => unit == Some(Unit::A),
            Quantity::ActivePower => unit == Some(Unit::KW),
            Quantity::ReactivePower => unit == Some(Unit::Kvar),
            Quantity::PowerFactor | Quantity::Instant | Quantity::Bits => unit.is_none(),
            Quantity::Battery => unit == Some(Unit::Minute),
            Quantity::Counter => unit.is_none(),
            Quantity::Duration => unit == Some(Unit::Minute),
            Quantity::Nameplate => matches!(unit, None | Some(Unit::ImpPerKWh | Unit::ImpPerKvarh)),
            Quantity::Parameter => !matches!(unit, Some(Unit::V | Unit::A | Unit::Hz)),
            Quantity::ApparentEnergy
            | Quantity::Demand
            | Quantity::ApparentPower
            | Quantity::Angle
            | Quantity::Thd
            | Quantity::Harmonic
            | Quantity::Frequency
            | Quantity::Temperature
            | Quantity::Prepayment
            | Quantity::Charge
            | Quantity::Record => false,
        };
        assert!(fits, "{register:?}: {unit:?}");
    }
}

/// Values as the sources of the frames state them, or by the standard where a source states none.
const GOLDEN: [(&str, &str, &str); 22] = [
    ("dlt97r-001", "active_energy_import", "100.00"),
    ("dlt97r-002", "active_energy_import", "0.00"),
    ("dlt97r-004", "active_energy_import", "8.00"),
    ("dlt97r-005", "active_energy_import", "0.00"),
    ("dlt97r-011", "active_power", "0.0000"),
    ("dlt97r-013", "active_energy_import", "0.09"),
    ("dlt97r-014", "voltage_l1", "223"),
    ("dlt97r-015", "voltage_l2", "0"),
    ("dlt97r-016", "active_energy_import", "1426.79"),
    ("dlt97r-017", "voltage_l1", "226"),
    // Its source prints 9364, without the point.
    ("dlt97r-018", "active_energy_import", "93.64"),
    ("dlt97r-020", "active_energy_import", "66.75"),
    ("dlt97r-021", "active_energy_import", "0.00"),
    ("dlt97r-022", "active_energy_import", "1062.48"),
    ("dlt97r-024", "active_energy_import", "1154.24"),
    ("dlt97r-025", "active_energy_import", "1.31"),
    ("dlt97r-027", "active_energy_import", "1.28"),
    ("dlt97r-028", "active_energy_import", "9580.15"),
    ("dlt97r-039", "active_energy_import", "0.01"),
    // A manual: it writes 0100 V.
    ("dlt97r-040", "voltage_l1", "100"),
    ("dlt97r-059", "voltage_l3", "220"),
    ("dlt97r-061", "active_energy_import", "272.61"),
];

#[test]
fn frames_of_the_world_give_the_values_of_their_sources() {
    let frames = include_str!("../../../fixtures/frames/dlt645-1997.csv");
    let mut left: HashMap<&str, _> = GOLDEN.iter().map(|&(id, name, value)| (id, (name, value))).collect();
    for line in frames.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [id, kind, control, hex] = [0, 1, 3, 6].map(|n| fields[n]);
        if kind != "frame" || control != "81" {
            continue;
        }
        let octets: Vec<u8> =
            (0..hex.len()).step_by(2).map(|n| u8::from_str_radix(&hex[n..n + 2], 16).unwrap()).collect();
        let start = octets.iter().position(|&o| o != 0xFE).unwrap();
        let data: Vec<u8> = Frame::parse(&octets[start..]).unwrap().data().collect();
        let di = Di::from_wire(Edition::E1997, &data[..2]).unwrap();
        match (table().by_di(di), left.remove(id)) {
            (Some(Entry::Register(register)), Some((name, value))) => {
                assert_eq!(register.name().to_string(), name, "{id}");
                assert_eq!(text(register, &data[2..]), value, "{id}");
            }
            // E310 to E317 are a vendor's.
            (None, None) => assert_eq!(di.byte(1), 0xE3, "{id}"),
            other => panic!("{id}: {other:?}"),
        }
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_full_counter_is_not_a_negative_one() {
    assert_eq!(register(0x9110).decode(&[0x99; 4]), Ok(Value::Number(Decimal::new(99_999_999, 2))));
}

#[test]
fn a_row_is_found_by_words_and_shown_as_the_table_has_it() {
    let shown = |text| -> Vec<String> {
        let all = table().search(text);
        all.map(|row| format!("{} {} {}", row.di(), row.axes(), row.name())).collect()
    };
    let energy = "9s1t s=0/4/8 t=0-E active_energy_import[_tN][_sN]";
    for text in ["9010", "901F", "941", "active_energy_import_t3_s2", "1-0:1.8.3*101", "active import kwh"] {
        assert_eq!(shown(text), [energy], "{text}");
    }
    assert_eq!(shown("C33"), ["C33n n=1-E day_table_1_period_N"]);
    assert_eq!(shown("00010000"), [""; 0]);
    let row = table().search("C33").next().unwrap();
    assert_eq!(row.registers().map(|register| register.di()).last(), Some(Some(Di::new_1997(0xC33E))));
}

#[test]
fn a_whole_reply_says_which_items_the_meter_has() {
    let decode = |di, octets| {
        let all = table().decode(Di::new_1997(di), octets);
        let lines = all.iter().map(|one| match one.value.unwrap() {
            Ok(value) => format!("{} {value}", one.name.as_deref().unwrap()),
            Err(why) => format!("{} {why}", one.name.as_deref().unwrap()),
        });
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        decode(0x901F, &[0x34, 0x12, 0, 0, 0x78, 0x56, 0, 0, 0xAA]),
        ["active_energy_import 12.34", "active_energy_import_t1 56.78"]
    );
    assert_eq!(
        decode(0xB61F, &[0x20, 0x02, 0xBB, 0xBB, 0xFF, 0xFF]),
        [
            "voltage_l1 220",
            "voltage_l2 FF fill: the meter has no value",
            "voltage_l3 FF fill: the meter has no value"
        ]
    );
    assert_eq!(
        decode(0xB01F, &[0x30, 0x18, 0x20, 0x11, 0, 0, 0, 0, 0xAA]),
        ["max_demand_active_import_time --11-20T18:30", "max_demand_active_import_time_t1 not set"]
    );
    assert_eq!(decode(0xC331, &[0x02, 0x00, 0x08]), ["day_table_1_period_1 08:00 2"]);
}

#[test]
fn a_slip_in_a_name_of_this_edition_only_is_put_right() {
    let unknown = table().find("reactive_energy_forwrad_t2", 4).unwrap_err();
    assert_eq!(unknown.nearest.as_deref(), Some("reactive_energy_forward_t2"));
}

#[test]
fn an_identifier_of_one_edition_is_nothing_to_the_other() {
    // 0204 would be a place of 00000204, and 9010 none.
    for di in [Di::new_1997(0x0204), Di::new_1997(0x9010)] {
        assert!(Catalogue::dlt645_2007().by_di(di).is_none(), "{di}");
    }
    assert!(Catalogue::dlt645_1997().by_di(Di::new(0x9010)).is_none());
    assert!(Catalogue::dlt645_1997().by_di(Di::new_1997(0x9010)).is_some());
}
