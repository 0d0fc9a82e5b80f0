//! Promises of the layouts of blocks: octets go to the register that they are of, or to none.

use catalogue::{Block, Catalogue, Entry};
use dlt645::Di;

fn block(di: u32) -> Block {
    match Catalogue::dlt645_2007().by_di(Di::new(di)) {
        Some(Entry::Block(block)) => block,
        other => panic!("{di:08X} is {other:?}"),
    }
}

/// Names of the items that so many octets are cut into; each item's octets are checked to be its own.
fn cut(di: u32, length: usize) -> Option<Vec<String>> {
    let octets: Vec<u8> = (0..length).map(|n| n as u8).collect();
    let items = block(di).items(&octets).ok()?;
    let mut at = 0;
    let names = items.map(|item| {
        let end = at + item.register.octets();
        assert_eq!(item.octets, &octets[at..end]);
        at = end;
        item.register.name().to_string()
    });
    let names = names.collect();
    assert_eq!(at, length);
    Some(names)
}

fn planned(di: u32, tariffs: u8) -> Vec<String> {
    block(di).registers(tariffs).map(|r| r.name().to_string()).collect()
}

#[test]
fn a_tariff_block_is_the_total_and_as_many_tariffs_as_came() {
    assert_eq!(cut(0x0001_FF00, 4).unwrap(), ["active_energy_import"]);
    assert_eq!(cut(0x0001_FF00, 8).unwrap(), ["active_energy_import", "active_energy_import_t1"]);
    assert_eq!(cut(0x0001_FF00, 20).unwrap(), planned(0x0001_FF00, 4));
    assert_eq!(cut(0x0001_FF00, 4 * 64).unwrap().last().unwrap(), "active_energy_import_t63");
    assert_eq!(cut(0x0001_FF02, 8).unwrap(), ["active_energy_import_s2", "active_energy_import_t1_s2"]);
    assert_eq!(cut(0x0101_FF00, 40).unwrap().last().unwrap(), "max_demand_active_import_t4");
    for length in [0, 3, 5, 21, 4 * 65] {
        assert_eq!(cut(0x0001_FF00, length), None, "{length} octets");
    }
}

#[test]
fn a_settlement_block_begins_with_the_present_value() {
    let all = cut(0x0001_00FF, 52).unwrap();
    assert_eq!(all, planned(0x0001_00FF, 4));
    assert_eq!(all[0], "active_energy_import");
    assert_eq!(all[12], "active_energy_import_s12");
    assert_eq!(cut(0x0001_02FF, 8).unwrap(), ["active_energy_import_t2", "active_energy_import_t2_s1"]);
    assert_eq!(cut(0x0115_00FF, 8 * 13).unwrap()[1], "max_demand_active_import_l1_s1");
    assert_eq!(cut(0x0001_00FF, 56), None);
}

#[test]
fn a_phase_block_is_all_phases_or_what_a_single_phase_meter_sends() {
    assert_eq!(cut(0x0201_FF00, 2).unwrap(), ["voltage_l1"]);
    assert_eq!(cut(0x0201_FF00, 6).unwrap(), ["voltage_l1", "voltage_l2", "voltage_l3"]);
    assert_eq!(
        cut(0x0203_FF00, 12).unwrap(),
        ["active_power", "active_power_l1", "active_power_l2", "active_power_l3"]
    );
    assert_eq!(cut(0x0203_FF00, 3).unwrap(), ["active_power"]);
    assert_eq!(cut(0x0203_FF00, 6).unwrap(), ["active_power", "active_power_l1"]);
}

/// 6 octets of current may be two items of 3 or three of 2: neither is credited to a phase.
#[test]
fn a_number_of_phases_without_a_meaning_is_credited_to_none() {
    for (di, length) in [(0x0201_FF00, 4), (0x0202_FF00, 6), (0x0202_FF00, 12), (0x0203_FF00, 9)] {
        let fault = block(di).items(&vec![0; length]).err().unwrap();
        assert_eq!((fault.id, fault.got), (Di::new(di).into(), length));
        assert_eq!(fault.each, block(di).item_octets());
    }
}

#[test]
fn a_harmonic_block_is_as_many_orders_as_the_meter_analyses() {
    assert_eq!(cut(0x020A_02FF, 42).unwrap(), planned(0x020A_02FF, 0));
    assert_eq!(cut(0x020A_02FF, 20).unwrap()[9], "voltage_harmonic_10_l2");
    assert_eq!(cut(0x020B_01FF, 44), None);
}

#[test]
fn ff_fill_of_missing_phases_is_missing_and_not_a_fault() {
    let octets = [0x05, 0x22, 0xFF, 0xFF, 0xFF, 0xFF];
    let values: Vec<_> =
        block(0x0201_FF00).items(&octets).unwrap().map(|i| i.register.decode(i.octets)).collect();
    assert_eq!(values[0].unwrap().to_string(), "220.5");
    assert_eq!(values[1..], [Err(dlt645::format::NoValue::Missing); 2]);
}

#[test]
fn the_nearest_block_of_a_register_comes_first() {
    let blocks = |name| {
        let register = Catalogue::dlt645_2007().find(name, 4).unwrap()[0];
        register.blocks().map(|b| b.di().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(blocks("active_energy_import_t2_s1"), ["0001FF01", "000102FF"]);
    assert_eq!(blocks("active_energy_import_l2"), ["002900FF"]);
    assert_eq!(blocks("current_l3"), ["0202FF00"]);
    assert_eq!(blocks("voltage_harmonic_3_l1"), ["020A01FF"]);
    assert!(blocks("frequency").is_empty());
}
