//! Promises of records: each field at its place, each length that is documented, and nothing out of any other.
#![allow(clippy::unwrap_used, reason = "octets that cannot be read fail the test")]

use catalogue::{Catalogue, Decoded, Entry, Field, Register};
use dlt645::Di;
use dlt645::format::{NoValue, Value};

fn table() -> &'static Catalogue {
    Catalogue::dlt645_2007()
}

fn register(di: u32) -> Register {
    match table().by_di(Di::new(di)) {
        Some(Entry::Register(register)) => register,
        other => panic!("{di:08X} is {other:?}"),
    }
}

fn decode(di: u32, octets: &[u8]) -> Vec<Decoded<'_>> {
    table().decode(Di::new(di), octets)
}

/// `name value`, or `name: why not`.
fn line(name: impl std::fmt::Display, value: Option<Result<Value, NoValue>>) -> String {
    match value {
        None => name.to_string(),
        Some(Ok(value)) => format!("{name} {value}"),
        Some(Err(why)) => format!("{name}: {why}"),
    }
}

fn lines(decoded: &[Decoded<'_>]) -> Vec<String> {
    decoded.iter().map(|one| line(one.name.as_deref().unwrap_or("?"), one.value)).collect()
}

fn fields(fields: &[Field<'_>]) -> Vec<String> {
    fields.iter().map(|field| line(field.name(), Some(field.value))).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.split_whitespace().map(|pair| u8::from_str_radix(pair, 16));
    pairs.collect::<Result<_, _>>().unwrap_or_else(|_| panic!("{text}"))
}

/// All six groups, the current of phase C negative.
const LOAD_RECORD: &str = "A0 A0 62 00 10 21 11 26 05 22 10 22 99 21 34 12 00 00 12 00 00 13 80 00 50 AA \
    23 81 00 00 27 00 01 27 00 22 27 00 00 10 00 00 03 00 00 03 00 00 04 00 AA 92 09 93 09 92 09 90 09 AA \
    67 45 23 01 00 01 00 00 00 20 00 00 00 03 00 00 AA 00 20 00 00 00 00 00 00 00 00 00 00 00 03 00 00 AA \
    00 81 00 00 09 00 AA B6 E5";
const LOAD_RECORD_CLASS_1: &str = "A0 A0 1C 00 10 21 11 26 05 22 10 22 99 21 34 12 00 00 12 00 00 13 80 00 50 \
    AA AA AA AA AA AA 0E E5";

#[test]
fn a_record_that_is_written_is_the_record_that_is_read() {
    let octets = hex(LOAD_RECORD);
    let own = register(0x0600_0002);
    let read: Vec<_> = own.fields(&octets).unwrap().collect();
    let of = |name: &str| read.iter().find(|f| f.name().to_string() == name).and_then(|f| f.value.ok());
    let at = read[0].at.unwrap();
    let mut written = Vec::new();
    own.encode_load_record(at, |_| true, of, &mut written).unwrap();
    assert_eq!(written, octets);
    written.clear();
    own.encode_load_record(at, |class| class == 1, of, &mut written).unwrap();
    assert_eq!(written, hex(LOAD_RECORD_CLASS_1));

    let frozen = register(0x0506_FF01);
    let mut written = Vec::new();
    let number = |name: &str| name.ends_with("_t4").then(|| Value::Number(12345.into()));
    frozen.encode_record(4, number, &mut written).unwrap();
    assert_eq!(written.len(), 269);
    let read: Vec<_> = frozen.fields(&written).unwrap().collect();
    assert_eq!(read[0].value, Err(NoValue::Missing), "no value was given for the time");
    let energies = read.iter().filter(|f| f.value == Ok(Value::Number("12345.00".parse().unwrap())));
    assert_eq!(energies.count(), 8, "a demand takes no plain number");
    assert!(frozen.encode_load_record(at, |_| true, |_| None, &mut written).is_err());
    assert!(own.encode_record(4, |_| None, &mut written).is_err());
    assert!(register(0x0001_0000).encode_record(4, |_| None, &mut written).is_err());
    assert_eq!(written.len(), 269);
}

#[test]
fn a_load_record_is_its_registers_at_its_own_time() {
    let octets = hex(LOAD_RECORD);
    let read = decode(0x0600_0002, &octets);
    assert_eq!(read.len(), 7 + 8 + 4 + 4 + 4 + 2);
    assert_eq!(
        lines(&read)[..7],
        [
            "voltage_l1 220.5",
            "voltage_l2 221.0",
            "voltage_l3 219.9",
            "current_l1 1.234",
            "current_l2 1.200",
            "current_l3 -1.300",
            "frequency 50.00"
        ]
    );
    assert_eq!(lines(&read)[7], "active_power 0.8123");
    assert_eq!(lines(&read)[15], "power_factor 0.992");
    assert_eq!(lines(&read)[19], "active_energy_import 12345.67");
    assert_eq!(
        lines(&read)[26..],
        ["reactive_energy_q4 3.00", "demand_active 0.8100", "demand_reactive 0.0900"]
    );
    assert_eq!(read[0].obis.as_deref(), Some("1-0:32.7.0"));
    for one in &read {
        let (date, time) = one.at.unwrap();
        assert_eq!(format!("{date}T{time}"), "2026-11-21T10:00");
        assert_eq!(one.doubt, None);
        assert!(!table().find(one.name.as_deref().unwrap(), 0).unwrap().is_empty());
    }
}

#[test]
fn several_load_records_keep_their_own_times_and_a_bad_block_is_told() {
    let mut later = hex(LOAD_RECORD_CLASS_1);
    later[4] = 0x11;
    let sum = later.len() - 2;
    later[sum] += 1;
    let mut bad = hex(LOAD_RECORD_CLASS_1);
    bad[..2].fill(0xE0);
    let octets = [hex(LOAD_RECORD_CLASS_1), bad, later].concat();
    let read = decode(0x0601_0001, &octets);
    assert_eq!(read.len(), 7 + 1 + 7);
    assert_eq!(read[6].at.unwrap().1.hour, 10);
    assert!(matches!(read[7].value, Some(Err(NoValue::Implausible(why))) if why.starts_with("E0 E0")));
    assert_eq!(read[7].octets.len(), 33);
    assert_eq!((read[8].at.unwrap().1.hour, read[8].doubt), (11, None));
    assert_eq!(register(0x0601_0001).fields(&octets).unwrap().count(), 14);
    // Nothing was recorded: the DI came back alone.
    assert!(decode(0x0601_0001, &[]).is_empty());
}

#[test]
fn a_wrong_sum_inside_a_load_record_is_a_doubt_and_a_broken_record_no_value() {
    let mut octets = hex(LOAD_RECORD_CLASS_1);
    octets[31] ^= 0x01;
    let read = decode(0x0601_0002, &octets);
    assert_eq!((read.len(), read[0].doubt.is_some()), (7, true));
    assert_eq!(lines(&read)[0], "voltage_l1 220.5");
    let read = decode(0x0601_0002, &octets[..20]);
    assert_eq!(lines(&read), ["load_record_latest_1: octets that are no load record"]);
    assert_eq!(read[0].octets, &octets[..20]);
}

#[test]
fn an_event_record_has_its_times_and_registers_and_zero_times_are_unset() {
    let mut octets = vec![0; 131];
    octets[..6].copy_from_slice(&[0x15, 0x30, 0x08, 0x20, 0x11, 0x26]);
    octets[28..32].copy_from_slice(&[0x34, 0x12, 0x00, 0x00]);
    let read = decode(0x0301_0201, &octets);
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].name.as_deref(), read[0].value), (Some("voltage_loss_l2_record1"), None));
    assert_eq!(read[0].name_zh.as_deref(), Some("上1次B相失压记录"));
    let own = fields(&read[0].fields);
    assert_eq!(own.len(), 2 + 4 + 3 * 9 + 4);
    // The event goes on: it has no end.
    assert_eq!(
        own[..3],
        ["start 2026-11-20T08:30:15", "end: not set", "active_energy_import_increment 0.00"]
    );
    assert_eq!(own[6], "active_energy_import_increment_l1 12.34");
    assert_eq!(own[7], "active_energy_export_increment_l1 0.00");
    assert_eq!(own[36], "charge_l3 0.00");
}

#[test]
fn an_event_that_never_happened_has_no_fields() {
    for (fill, why) in [(0x00, NoValue::Unset), (0xFF, NoValue::Missing)] {
        for (di, length) in [(0x0301_0101, 131), (0x0311_0001, 12), (0x1001_FF01, 195), (0x0330_0001, 50)] {
            let octets = vec![fill; length];
            let read = decode(di, &octets);
            assert_eq!((read.len(), read[0].value), (1, Some(Err(why))));
            assert!(read[0].fields.is_empty());
        }
    }
    // Counts of zero are counts.
    assert_eq!(fields(&decode(0x0305_0000, &[0; 6])[0].fields), ["count 0", "minutes 0"]);
}

#[test]
fn lengths_of_other_meters_are_read_where_they_are_documented_and_no_others() {
    for (di, lengths) in [
        (0x0304_0101, &[131, 115][..]),
        (0x030B_0101, &[115]),
        (0x0310_0100, &[27, 25]),
        (0x0330_0801, &[1026, 1030]),
        (0x0330_0201, &[202]),
        (0x0330_0501, &[682, 10 + 14 * 3]),
        (0x0401_0001, &[42, 3, 24]),
        (0x0404_0101, &[4, 5]),
        (0x0400_1501, &[12, 20]),
        (0x0500_FF01, &[29 + 48, 29 + 48 * 5, 29 + 48 * 5 + 12]),
        (0x0504_FF01, &[13, 16]),
        (0x14_00_FF_01, &[140]),
        (0x1E_00_FF_01, &[34]),
        (0x1F_00_FF_01, &[44]),
        (0x20_00_FF_01, &[143]),
    ] {
        for length in lengths {
            // AA where a meter puts marks is never BCD; the test of the freezes has them.
            let marked = matches!((di, *length), (0x0500_FF01, 281) | (0x0504_FF01, 16));
            let fits = register(di).fields(&vec![0; *length]).is_ok();
            assert_eq!(fits, !marked, "{di:08X} of {length}");
        }
        let wrong = if di == 0x0330_0201 { 194 } else { 7 };
        for length in [0, lengths[0] - 1, wrong] {
            let octets = vec![0x11; length];
            let fault = register(di).fields(&octets).err().unwrap_or_else(|| panic!("{di:08X} of {length}"));
            assert_eq!((fault.id, fault.got), (Di::new(di).into(), length));
            let read = decode(di, &octets);
            assert!(matches!(read[..], [Decoded { value: Some(Err(NoValue::Implausible(_))), .. }]));
            assert_eq!(read[0].octets, octets, "what does not fit is shown");
        }
    }
}

#[test]
fn a_frozen_energy_is_the_total_and_the_tariffs_that_came() {
    let octets = hex("67 45 23 01 00 01 00 00 00 02 00 00");
    let read = decode(0x0506_0103, &octets);
    assert_eq!(
        lines(&read),
        [
            "active_energy_import_day3 12345.67",
            "active_energy_import_t1_day3 1.00",
            "active_energy_import_t2_day3 2.00"
        ]
    );
    assert_eq!(read[1].name_zh.as_deref(), Some("上3次日冻结正向有功费率1电能"));
    let tariff = |name| table().find(name, 4).unwrap()[0];
    let second = tariff("active_energy_import_t2_day3");
    assert_eq!(second.di(), Some(Di::new(0x0506_0103)));
    assert_eq!(second.decode(&octets).unwrap().to_string(), "2.00");
    let third = tariff("active_energy_import_t3_day3");
    assert!(matches!(third.decode(&octets), Err(NoValue::Implausible(why)) if why.contains("fewer")));
    assert!(matches!(second.decode(&octets[..11]), Err(NoValue::Implausible(_))));
    assert_eq!(decode(0x0506_0103, &octets[..11])[0].octets.len(), 11);
}

/// A freeze of one tariff, with or without the AA that some meters put behind each item.
fn freeze(mark: &[u8]) -> Vec<u8> {
    let mut octets = hex("00 00 21 11 26");
    octets.extend(mark);
    for n in 1..=8u8 {
        octets.extend([n, 0, 0, 0, 0x10 + n, 0, 0, 0]);
        octets.extend(mark);
    }
    for _ in 0..2 {
        octets.extend(hex("56 34 12 30 18 20 11 26 00 00 00 00 00 00 00 00"));
        octets.extend(mark);
    }
    octets.extend((0..8).flat_map(|n| [n, 0, 0x80]));
    octets.extend(mark);
    octets
}

#[test]
fn a_whole_freeze_is_item_after_item_with_or_without_marks() {
    for mark in [&[][..], &[0xAA]] {
        let octets = freeze(mark);
        assert_eq!(octets.len(), 29 + 48 * 2 + 12 * mark.len());
        let read = decode(0x0500_FF02, &octets);
        assert_eq!(read[0].name.as_deref(), Some("timed_freeze_timed2"));
        let (date, time) = read[0].at.unwrap();
        assert_eq!(format!("{date}T{time}"), "2026-11-21T00:00");
        let own = fields(&read[0].fields);
        assert_eq!(own.len(), 1 + 8 * 2 + 2 * 2 + 8);
        assert_eq!(own[0], "freeze_time 2026-11-21T00:00");
        assert_eq!(own[1..3], ["active_energy_import 0.01", "active_energy_import_t1 0.11"]);
        assert_eq!(own[17], "max_demand_active_import 12.3456");
        assert_eq!(own[20], "max_demand_active_export_t1 0.0000");
        assert_eq!(own[28], "reactive_power_l3 -0.0007");
    }
    let mut wrong = freeze(&[0xAA]);
    wrong[5] = 0xAB;
    assert!(register(0x0500_FF02).fields(&wrong).is_err());
}

#[test]
fn a_single_field_of_an_event_has_the_format_of_its_record() {
    let end = register(0x1002_2503);
    assert_eq!(end.name().to_string(), "voltage_loss_event_end_l2_record3");
    assert_eq!(end.name_zh().to_string(), "上3次B相失压记录结束时刻");
    assert_eq!(end.decode(&hex("00 30 08 20 11 26")).unwrap().to_string(), "2026-11-20T08:30:00");
    let power = register(0x1002_0C01);
    assert_eq!(power.name().to_string(), "voltage_loss_event_active_power_l1_l2_record1");
    assert_eq!((power.octets(), power.decode(&hex("00 00 81")).unwrap().to_string()), (3, "-1.0000".into()));
    // Ten records of one field.
    let octets = hex("50 12 00 60 12 00");
    let read = decode(0x2000_12FF, &octets);
    assert_eq!(
        lines(&read),
        [
            "severe_current_unbalance_event_max_unbalance_record1 12.50",
            "severe_current_unbalance_event_max_unbalance_record2 12.60"
        ]
    );
}

/// The layouts of a whole record and of its fields are one: what they say of the length must agree.
#[test]
fn the_fields_of_a_record_are_together_as_long_as_the_record() {
    for class in 0x10u32..=0x20 {
        let phase = if matches!(class, 0x10..=0x13 | 0x18..=0x1C) { 1 } else { 0 };
        let whole = register(class << 24 | phase << 16 | 0xFF01);
        let fields =
            (1..0x40).map_while(|n| match table().by_di(Di::new(class << 24 | phase << 16 | n << 8 | 1)) {
                Some(Entry::Register(field)) if n != 0 => Some(field.octets()),
                Some(_) | None => None,
            });
        assert_eq!(fields.sum::<usize>(), whole.octets(), "{whole:?}");
    }
}

#[test]
fn tables_of_periods_zones_and_holidays_are_slots() {
    let octets = hex("04 00 00 02 00 08 03 30 11");
    let read = decode(0x0401_0002, &octets);
    assert_eq!(read[0].name.as_deref(), Some("day_table_set1_2"));
    assert_eq!(fields(&read[0].fields), ["period_1 00:00 4", "period_2 08:00 2", "period_3 11:30 3"]);
    assert_eq!(read[0].fields[2].name_zh().to_string(), "第3时段");
    assert_eq!(fields(&decode(0x0402_0000, &hex("01 01 01 02 01 07"))[0].fields)[1], "zone_2 --07-01 2");
    assert_eq!(lines(&decode(0x0403_0001, &hex("03 01 10 26"))), ["holiday_1 2026-10-01 3"]);
}

#[test]
fn bits_have_the_names_of_their_word() {
    let names = |di, octets: &[u8]| -> Vec<String> {
        let read = decode(di, octets);
        read[0].bits.iter().map(|bit| bit.name.map_or(format!("bit {}", bit.first), str::to_owned)).collect()
    };
    assert_eq!(names(0x0400_0501, &[0x14, 0x00]), ["clock_battery_low", "active_power_reverse"]);
    assert_eq!(names(0x0400_0503, &[0x14, 0x00]), ["supply_battery", "relay_open"]);
    assert_eq!(
        names(0x0400_0505, &[0x81, 0x81]),
        ["voltage_loss", "phase_failure", "current_interruption", "bit 15"]
    );
    assert_eq!(names(0x0400_0902, &[0xFF]).len(), 8);
    assert!(names(0x0400_0503, &[0x00, 0x00]).is_empty());
    assert_eq!(lines(&decode(0x0400_0503, &[0x10, 0x80])), ["status_word_3 8010"]);
    // In a record as well.
    let octets = hex("00 30 08 20 11 26 01 00 00 00 05");
    let read = decode(0x0330_0901, &octets);
    let word = read[0].fields[2].bits().map(|bit| bit.name.unwrap()).collect::<Vec<_>>();
    assert_eq!(word, ["add_import", "add_export"]);
}

#[test]
fn status_words_are_seven_and_some_meters_add_the_key_state() {
    let octets = hex("14 00 00 00 10 00 00 00 00 00 00 00 00 00 01 00 00 80");
    let read = decode(0x0400_05FF, &octets[..14]);
    assert_eq!(read.len(), 7);
    assert_eq!((read[2].id, read[2].bits[0].name), (Di::new(0x0400_0503).into(), Some("relay_open")));
    let read = decode(0x0400_05FF, &octets);
    assert_eq!(lines(&read).last().unwrap(), "key_state_word 80000001");
    assert_eq!(decode(0x0400_05FF, &octets[..16])[0].octets.len(), 16);
}

#[test]
fn a_block_is_its_registers_in_wire_order_and_an_unknown_identifier_its_octets() {
    let octets = hex("67 45 23 01 00 01 00 00");
    assert_eq!(
        lines(&decode(0x0001_FF00, &octets)),
        ["active_energy_import 12345.67", "active_energy_import_t1 1.00"]
    );
    assert_eq!(decode(0x0001_FF00, &octets)[0].obis.as_deref(), Some("1-0:1.8.0"));
    let read = decode(0x0001_FF00, &octets[..7]);
    assert!(matches!(read[..], [Decoded { name: None, value: Some(Err(_)), .. }]));
    let read = decode(0xDEAD_BEEF, &octets);
    assert!(matches!(read[..], [Decoded { name: None, value: None, octets: [0x67, ..], .. }]));
    let demand = hex("56 34 12 30 18 20 11 26");
    let (date, time) = decode(0x0101_0000, &demand)[0].at.unwrap();
    assert_eq!(format!("{date}T{time}"), "2026-11-20T18:30");
    // Only its identifier is documented.
    let read = decode(0x0330_0F01, &octets);
    assert_eq!(
        (lines(&read), read[0].octets),
        (vec!["tariff_price_programming_record1".to_owned()], &octets[..])
    );
    // Tariffs without a total.
    assert_eq!(lines(&decode(0x0405_01FF, &octets))[1], "tariff_price_set1_t2 0.0100");
}

#[test]
fn a_search_gives_rows_by_identifier_name_code_or_word() {
    let found =
        |text: &str| -> Vec<String> { table().search(text).map(|row| row.name().to_string()).collect() };
    assert_eq!(found("0001FF00"), ["active_energy_import[_tN][_sN]"]);
    assert_eq!(found("active_energy_import_t1_s2"), ["active_energy_import[_tN][_sN]"]);
    assert_eq!(found("1-0:1.8.1"), ["active_energy_import[_tN][_sN]"]);
    assert_eq!(found("零线"), ["current_n"]);
    assert!(found("020A").iter().all(|name| name == "voltage_harmonic_N[_lN]"));
    assert_eq!(
        found("import fundamental"),
        ["active_energy_fundamental_import[_sN]", "active_energy_fundamental_import[_lN][_sN]"]
    );
    assert_eq!(found("cover count"), ["meter_cover_open_count", "terminal_cover_open_count"]);
    assert!(found("hz").contains(&"frequency".to_owned()));
    assert!(found("no such thing").is_empty());
    let row = table().search("0506 正向有功").next().unwrap();
    assert_eq!(row.di().to_string(), "050601dy");
    assert_eq!(row.axes().to_string(), "dy=01-3E +tt=00-3F");
    assert_eq!(row.name_zh().to_string(), "日冻结正向有功{t}电能");
    assert_eq!(row.registers().count(), 62 * 64);
    assert_eq!(table().search("").count(), 509);
}
