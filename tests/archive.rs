//! The archive of meters (档案) is the same whatever it is written in: keys or heads of the trade, any encoding and
//! separator of a spreadsheet, `meterd.toml`, or a command of the head-end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

use encoding_rs::GB18030;
use meterd::config::{self, Class, InUse, Loaded, Meter, Metering, Plan, Sent, Wiring};
use rust_decimal::Decimal;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const HEAD: &str = "[gateway]\nid = \"gw01\"\ntimezone = \"Asia/Shanghai\"\ndata_dir = \"store\"\n";
const REST: &str = "[[bus]]\nname = \"riser-1\"\nport = \"/dev/ttyUSB0\"\n[[bus]]\nname = \"riser-2\"\nport = \"/dev/ttyUSB1\"\n\
    [[task]]\nname = \"live\"\nevery = \"15m\"\nregisters = [\"active_energy_import\"]\n";
const TRADE: &str = "fixtures/configs/good/archive_trade";

/// What the fixture of the trade says, as keys of an English spreadsheet.
const PLAIN: &str = "\
name,customer,customer_name,address,asset,protocol,baud,bus,area,measuring_point,tariff_count,major_class,minor_class,ct,multiplier,total_meter,class,metering,capacity,state,state_since,state_until,installed,exchange_date,exchange_address,exchange_last,exchange_first,wiring
3100400,3100400,和平台区,000012345690,A000400,dlt645-2007,,riser-2,0077,1,4,6,0,500/5,,,total,lv_lv,400 kVA,in_use,,,2025-03-01,,,,,3p4w
3100401,3100401,王芳,000012345691,A000401,dlt645-2007,,riser-2,0077,2,4,5,1,,1,3100400,household,lv_lv,8 kVA,in_use,,,2025-03-01,2026-11-15T09:30;2026-11-20,12345600;12345601,active_energy_import=12345.67|active_energy_export=3;7.5,0.00|active_energy_export=0;0.1,1p2w
3100402,3100402,李强,000012345692,A000402,dlt645-1997,1200,riser-2,0077,3,4,5,1,,1,3100400,household,lv_lv,8 kVA,suspended,2026-11-01,2026-11-30,2025-03-01,,,,,1p2w
3100403,3100403,工厂,000012345693,A000403,dlt645-2007,,riser-2,0077,4,,3,0,,1500,3100400,key,hv_hv,315 kVA,,,,,,,,,3p3w
";

/// Loads a configuration with this file as its archive. Of what is to be looked at stays what is said of the archive.
fn load(octets: &[u8]) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("meters.csv"), octets).unwrap();
    let text = format!("{HEAD}meter_files = [\"meters.csv\"]\n{REST}");
    let loaded = config::plan_from_text("meterd.toml", &text, folder.path());
    let mut loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    loaded.warnings.retain(|warning| warning.file.ends_with("meters.csv"));
    loaded
}

fn trade() -> String {
    let text = fs::read_to_string(format!("{TRADE}.csv")).unwrap();
    text.strip_prefix('\u{feff}').unwrap().to_owned()
}

fn meter<'a>(plan: &'a Plan, name: &str) -> &'a Meter {
    plan.meters.iter().find(|meter| meter.name.as_str() == name).unwrap()
}

#[test]
fn an_archive_of_the_trade_says_what_the_same_one_in_keys_does() {
    let (trade, plain) = (load(trade().as_bytes()), load(PLAIN.as_bytes()));
    assert_eq!(trade.warnings, []);
    assert_eq!(format!("{:#?}", trade.plan.meters), format!("{:#?}", plain.plan.meters));
    assert_eq!(trade.plan.archive, plain.plan.archive);
}

#[test]
fn the_archive_of_the_trade_is_understood_word_for_word() {
    let plan = config::load(Path::new(&format!("{TRADE}.toml"))).unwrap().plan;
    let names: Vec<&str> = plan.meters.iter().map(|meter| meter.name.as_str()).collect();
    assert_eq!(names, ["3100400", "3100401", "3100402", "3100403", "flat-101"], "called by their 户号");
    let total = meter(&plan, "3100400");
    assert_eq!((total.bus, total.wiring, total.point.class), (1, Some(Wiring::P3W4), Some(Class::Total)));
    assert_eq!(total.protocol.address(), "000012345690");
    assert_eq!(total.ct().map(|ratio| ratio.to_string()).as_deref(), Some("500/5"));
    assert_eq!(total.transformers.multiplier(), Some(Decimal::from(100)));
    assert_eq!(total.point.capacity.map(|capacity| capacity.to_string()).as_deref(), Some("400 kVA"));
    let old = meter(&plan, "3100402");
    assert_eq!((old.protocol.word(), old.line.baud), ("dlt645-1997", 1200));
    let point = &old.point;
    assert_eq!((point.state, point.metering), (Some(InUse::Suspended), Some(Metering::LvLv)));
    assert_eq!((point.total_meter.as_deref(), point.area.as_deref()), (Some("3100400"), Some("0077")));
    assert_eq!((point.tariff_count, point.major_class, point.minor_class), (Some(4), Some(5), Some(1)));
    let due = |date: &str| point.is_due(date.parse().unwrap());
    assert_eq!(["2026-10-31", "2026-11-01", "2026-11-30", "2026-12-01"].map(due), [true, false, false, true]);
    let factory = meter(&plan, "3100403");
    assert_eq!(factory.transformers.multiplier(), Some(Decimal::from(1500)), "without CT and PT");
    let exchanges = &meter(&plan, "3100401").point.exchanges;
    assert_eq!(exchanges.len(), 2);
    assert_eq!(exchanges[0].address.as_deref(), Some("000012345600"));
    assert_eq!(exchanges[0].registers[1].register, "active_energy_export");
    assert_eq!(exchanges[1].registers[0].first.to_string(), "0.1");
}

#[test]
fn every_encoding_and_separator_of_a_spreadsheet_gives_the_same_archive() {
    let comma = trade();
    // Two exchanges in one cell have a semicolon, which a spreadsheet puts into quotes.
    let semicolons: String = comma
        .lines()
        .map(|line| {
            let cells = line.split(',').map(|cell| match cell {
                cell if cell.contains(';') => format!("\"{cell}\""),
                cell => cell.to_owned(),
            });
            cells.collect::<Vec<_>>().join(";") + "\r\n"
        })
        .collect();
    let tabs = comma.replace(',', "\t");
    let utf16 = |text: &str| -> Vec<u8> {
        [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    };
    let gbk = |text: &str| GB18030.encode(text).0.into_owned();
    let bom = |text: &str| format!("\u{feff}{text}").into_bytes();
    let expected = load(comma.as_bytes()).plan.archive;
    for text in [&comma, &semicolons, &tabs] {
        for (octets, notes) in
            [(text.clone().into_bytes(), 0), (bom(text), 0), (utf16(text), 0), (gbk(text), 1)]
        {
            let loaded = load(&octets);
            assert_eq!(loaded.plan.archive, expected);
            assert_eq!(loaded.warnings.len(), notes, "{:?}", loaded.warnings);
        }
    }
}

#[test]
fn an_exchange_is_the_same_in_a_table_and_in_an_archive() {
    let address = "[[meter]]\nname = \"a\"\nbus = \"riser-1\"\naddress = \"1\"\ndigits = \"6.2\"\n";
    let tables = "[[meter.exchange]]\ndate = \"2026-11-15 09:30\"\naddress = \"7\"\nasset = \"A7\"\ndigits = \"5.2\"\n\
        last = [\"12345.67\", \"active_energy_export=3\"]\nfirst = [\"0.00\", \"active_energy_export=0\"]\n\
        [[meter.exchange]]\ndate = \"2026-11-20\"\nlast = \"7.5\"\nfirst = \"0.1\"\n";
    let plan = |text: &str| config::plan_from_text("meterd.toml", text, Path::new("")).unwrap().plan;
    let written = plan(&format!("{HEAD}{address}{tables}{REST}"));
    let row = "name,bus,address,digits,exchange_date,exchange_address,exchange_asset,exchange_digits,exchange_last,exchange_first\n\
        a,riser-1,1,6.2,2026-11-15 09:30;2026-11-20,7;,A7;,5.2;,12345.67|active_energy_export=3;7.5,0.00|active_energy_export=0;0.1\n";
    assert_eq!(load(row.as_bytes()).plan.meters[0].point, written.meters[0].point);
    let without = plan(&format!("{HEAD}{address}{REST}"));
    assert_ne!(without.archive, written.archive, "an exchange is a change of the archive");
}

/// What the head-end sends is kept beside the store, and is what the next start reads.
#[test]
fn an_archive_that_the_head_end_sends_is_in_force_as_it_was_sent_and_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("meterd.toml");
    fs::create_dir(folder.path().join("store")).unwrap();
    fs::write(&path, format!("{HEAD}[commands]\nallow = [\"archive\"]\n{REST}")).unwrap();
    let expected = load(trade().as_bytes()).plan;
    let sent = Sent { archive: Some(trade()), tasks: None };
    let now = config::load_with(&path, sent.clone()).unwrap();
    assert_eq!(now.plan.archive, expected.archive);
    sent.keep(&now.plan.gateway.data_dir).unwrap().put_in_place().unwrap();
    let next = config::load(&path).unwrap();
    assert_eq!(format!("{:?}", next.plan.meters), format!("{:?}", expected.meters));
    assert!(next.warnings[0].to_string().contains("which the head-end sent"));
}

#[test]
fn the_example_in_chinese_loads_without_a_note_and_says_who_is_due() {
    let loaded = load(&fs::read("deploy/config/meters.zh-CN.example.csv").unwrap());
    assert_eq!(loaded.warnings, []);
    let day = "2026-11-20".parse().unwrap();
    let due: Vec<&str> =
        loaded.plan.meters.iter().filter(|m| m.point.is_due(day)).map(|m| m.name.as_str()).collect();
    assert_eq!(due, ["3100400", "3100401"]);
}
