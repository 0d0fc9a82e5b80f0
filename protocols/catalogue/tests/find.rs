//! Promises of the look-up by what a person writes.

use catalogue::Catalogue;
use dlt645::Di;
use proptest::prelude::*;

fn find(text: &str, tariffs: u8) -> Vec<String> {
    let found = Catalogue::dlt645_2007().find(text, tariffs).unwrap_or_else(|unknown| panic!("{unknown}"));
    found.iter().map(|r| r.name().to_string()).collect()
}

fn nearest(text: &str) -> Option<String> {
    let Err(unknown) = Catalogue::dlt645_2007().find(text, 4) else { panic!("{text} is known") };
    assert_eq!(unknown.asked, text);
    unknown.nearest
}

#[test]
fn phases_a_b_c_are_l1_l2_l3() {
    assert_eq!(find("voltage_a", 4), ["voltage_l1"]);
    assert_eq!(find("active_power_c", 4), ["active_power_l3"]);
    assert_eq!(find("active_energy_export_b_s3", 4), ["active_energy_export_l2_s3"]);
    assert_eq!(find("voltage_harmonic_3_a", 4), ["voltage_harmonic_3_l1"]);
    assert_eq!(find("*_power_b", 4), ["active_power_l2", "reactive_power_l2", "apparent_power_l2"]);
}

#[test]
fn a_name_is_found_whatever_the_number_of_tariffs() {
    assert_eq!(find("active_energy_import_t12", 4), ["active_energy_import_t12"]);
    assert_eq!(find(" active_energy_import ", 0), ["active_energy_import"]);
}

#[test]
fn the_tariffs_are_not_the_total_and_end_with_the_last_of_the_meter() {
    let tariffs = [1, 2, 3, 4].map(|n| format!("active_energy_import_t{n}"));
    assert_eq!(find("active_energy_import_t*", 4), tariffs);
    assert_eq!(find("active_energy_import_t*", 0), [""; 0]);
    assert_eq!(find("active_energy_import_t*", 63).len(), 63);
    assert_eq!(find("active_energy_import_t*", 255).len(), 63);
    assert_eq!(
        find("max_demand_active_*_t*", 1),
        ["max_demand_active_import_t1", "max_demand_active_export_t1"]
    );
    assert!(find("*_t*", 2).iter().all(|name| name.ends_with("_t1") || name.ends_with("_t2")));
}

#[test]
fn the_phases_are_not_the_total() {
    assert_eq!(find("voltage_l*", 4), ["voltage_l1", "voltage_l2", "voltage_l3"]);
    assert_eq!(find("active_power_l*", 4), ["active_power_l1", "active_power_l2", "active_power_l3"]);
    assert_eq!(find("voltage_harmonic_5_l*", 4).len(), 3);
}

#[test]
fn settlement_days_are_selected_only_by_name() {
    assert_eq!(find("active_energy_import*", 2).len(), 6);
    let first = find("active_energy_import_t*_s1", 2);
    assert_eq!(first, ["active_energy_import_t1_s1", "active_energy_import_t2_s1"]);
    let all = find("active_energy_import_s*", 4);
    assert_eq!((all.len(), &*all[11]), (12, "active_energy_import_s12"));
    assert!(find("*", 4).iter().all(|name| !name.contains("_s1")));
}

#[test]
fn obis_codes_are_found_whole_and_short() {
    for (code, name) in [
        ("1-0:1.8.0", "active_energy_import"),
        ("1.8.0", "active_energy_import"),
        ("1-0:1.8.0*255", "active_energy_import"),
        ("1-0:1.8.0*101", "active_energy_import_s1"),
        ("1.8.4*112", "active_energy_import_t4_s12"),
        ("61.8.0", "active_energy_import_l3"),
        ("0-0:96.1.0", "meter_number"),
        ("1-0:81.7.51", "phase_angle_l2"),
        ("1-0:32.7.3", "voltage_harmonic_3_l1"),
        ("1-0:2.6.0", "max_demand_active_export"),
    ] {
        assert_eq!(find(code, 4), [name], "{code}");
    }
    for code in ["1-0:3.8.0", "4.8.0", "1.8.64", "1.8.0*113", "0-0:1.8.0", "1.8"] {
        assert_eq!(nearest(code), None, "{code}");
    }
}

#[test]
fn a_di_is_its_register_and_a_blocks_di_its_registers() {
    assert_eq!(find("02030000", 4), ["active_power"]);
    assert_eq!(
        find("0001ff00", 2),
        ["active_energy_import", "active_energy_import_t1", "active_energy_import_t2"]
    );
    assert_eq!(find("0201FF00", 4).len(), 3);
    assert_eq!(nearest("0A0B0C0D"), None);
}

#[test]
fn a_slip_is_answered_with_the_nearest_name() {
    for (slip, name) in [
        ("active_energy_imprt", "active_energy_import"),
        ("active_enrgy_import_t3_s2", "active_energy_import_t3_s2"),
        ("voltge_a", "voltage_l1"),
        ("voltge_l*", "voltage_l1"),
        ("freqency", "frequency"),
        ("Frequency", "frequency"),
        ("active_energy_import_total", "active_energy_import"),
        ("active_energy_import_t64", "active_energy_import"),
        ("active_energy_import_s13", "active_energy_import"),
        ("current", "current_n"),
    ] {
        assert_eq!(nearest(slip).as_deref(), Some(name), "{slip}");
    }
    assert_eq!(nearest("湿度"), None);
    assert_eq!(nearest(""), None);
    let unknown = Catalogue::dlt645_2007().find("freqency", 4).unwrap_err();
    assert_eq!(unknown.to_string(), "no register is called freqency; did you mean frequency?");
}

proptest! {
    #[test]
    fn any_text_is_registers_or_unknown(text in "[a-z0-9_*.:-]{0,24}|\\PC{0,12}", tariffs: u8) {
        if let Ok(found) = Catalogue::dlt645_2007().find(&text, tariffs) {
            prop_assert!(found.iter().all(|r| text.contains('.') || !text.contains('*') || r.tariff() <= Some(tariffs)));
        }
    }

    #[test]
    fn any_di_of_a_register_is_its_own(class in 0u32..5, rest in 0u32..0x0100_0000) {
        let di = Di::new(class << 24 | rest);
        if let Some(catalogue::Entry::Register(register)) = Catalogue::dlt645_2007().by_di(di) {
            prop_assert_eq!(register.di(), Some(di));
            prop_assert_eq!(Catalogue::dlt645_2007().find(&register.name().to_string(), 0).ok(), Some(vec![register]));
        }
    }
}

#[test]
fn a_pattern_reaches_the_past_only_by_name_and_never_what_has_no_value_of_its_own() {
    assert_eq!(find("active_energy_import_day*", 4).len(), 62);
    assert_eq!(
        find("active_energy_*_t*_day2", 1),
        ["active_energy_import_t1_day2", "active_energy_export_t1_day2"]
    );
    assert_eq!(find("status_word_*", 4).len(), 7);
    let table = Catalogue::dlt645_2007();
    assert!(table.find("*", 4).is_ok_and(|all| all.iter().all(catalogue::Register::is_present)));
    assert!(table.find("meter_cover_open_record*", 4).is_err(), "a record is no value");
    assert!(!find("*", 4).iter().any(|name| name.starts_with("password") || name.ends_with("_totals")));
    assert_eq!(find("voltage_loss_totals", 4), ["voltage_loss_totals"]);
}
