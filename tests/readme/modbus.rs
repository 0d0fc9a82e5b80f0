//! Modbus meters as the page shows them: beside DL/T 645 meters on a line, by hand and in the configuration.

use crate::page::{CHINESE, ENGLISH};
use crate::programs::{Running, configuration, run, words};
use rust_decimal::Decimal;
use tempfile::TempDir;

const SIMULATE: &str = "meterd simulate --scenario fixtures/scenarios/mixed.toml --listen pty:/tmp/bus2";
const READ: &str =
    "meterd read --port /dev/ttyUSB0 --profile acrel-adl400 --address 17 'voltage_l*' active_power";
const READ_BY_ADDRESS: &str = "meterd read --port /dev/ttyUSB0 --address 17 03:0x0061:u16";
/// Commands of the page that are run here.
pub(crate) const SHOWN: [&str; 3] = [SIMULATE, READ, READ_BY_ADDRESS];

#[test]
fn a_modbus_meter_beside_others_is_read_as_shown() {
    let folder = TempDir::new().unwrap();
    let port = folder.path().join("bus2").display().to_string();
    let simulator = Running::start(&words(SIMULATE, &[("/tmp/bus2", &port)]));
    simulator.line("ready", |line| line.starts_with("READY"));
    let named = run(&words(READ, &[("/dev/ttyUSB0", &port)]));
    assert!(named.status.success(), "{} {}", named.out, named.err);
    let names: Vec<&str> = named.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["17", "voltage_l1", "voltage_l2", "voltage_l3", "active_power"]);
    let addressed = run(&words(READ_BY_ADDRESS, &[("/dev/ttyUSB0", &port)]));
    assert!(addressed.status.success(), "{} {}", addressed.out, addressed.err);
    // The same register of 0.1 V; the voltage moves meanwhile.
    let volts = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<Decimal>().unwrap();
    let [by_name, by_address] = [&named, &addressed].map(|read| volts(read.out.lines().nth(1).unwrap()));
    let apart = by_name * Decimal::TEN - by_address;
    assert!(apart.abs() < Decimal::ONE_HUNDRED, "{by_name} {by_address}");
}

#[test]
fn a_modbus_meter_is_configured_as_shown() {
    let indented = |page: &str| {
        let shown = page.split("    [[meter]]\n").nth(1).unwrap();
        let keys = shown.lines().map_while(|line| line.strip_prefix("    "));
        keys.map(|line| line.split('#').next().unwrap().trim_end().to_owned()).collect::<Vec<_>>()
    };
    let keys = indented(ENGLISH);
    assert_eq!(keys, indented(CHINESE));
    let folder = TempDir::new().unwrap();
    let with = format!("[[meter]]\n{}\n\n[[task]]\nname = \"day\"", keys.join("\n"));
    let path = configuration(folder.path(), &[("[[task]]\nname = \"day\"", &with)]);
    let checked = run(&["check", "--config", &path].map(str::to_owned));
    assert!(checked.status.success(), "{}{}", checked.out, checked.err);
    let row = checked.out.lines().find(|line| line.contains("workshop")).unwrap();
    assert!(row.contains("modbus-rtu") && row.ends_with("acrel-adl400"), "{row}");
}
