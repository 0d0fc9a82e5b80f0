//! `meterd report`: the day and what was consumed as the store has it, as table, CSV and JSON, beside a writer that goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

use assert_cmd::Command;
use jiff::{SignedDuration, Timestamp};
use meterd::reading::{Quality, Reason};
use meterd::store::{Batch, Entry, Identity, Run, SlotNote, SlotState, Stand, Worth, Writer};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use unicode_width::UnicodeWidthStr;

const CONFIG: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "store"
[[bus]]
name = "riser-1"
port = "/dev/ttyS1"
[[bus]]
name = "riser-2"
port = "/dev/ttyS2"
[[meter]]
name = "flat-101"
bus = "riser-1"
address = "1"
customer = "31"
class = "household"
[[meter]]
name = "flat-101-heating"
bus = "riser-1"
address = "2"
customer = "31"
class = "household"
[[meter]]
name = "flat-102"
bus = "riser-2"
address = "3"
class = "household"
[[meter]]
name = "商铺-3"
bus = "riser-2"
address = "4"
class = "other"
[[meter]]
name = "flat-103"
bus = "riser-2"
address = "5"
state = "suspended"
[[task]]
name = "daily"
read = "daily-freeze"
daily = "00:05"
registers = ["active_energy_import"]
[[task]]
name = "curve"
read = "load-profile"
every = "12h"
meters = ["flat-102"]
[[task]]
name = "live"
every = "15m"
registers = ["voltage_l1"]
"#;

fn midnight() -> Timestamp {
    "2026-11-20T16:00:00Z".parse().unwrap()
}

fn entry(task: &str, meter: &str, slot: Timestamp, register: &str) -> Entry {
    Entry {
        topic: "t".to_owned(),
        body: "}".to_owned(),
        retain: false,
        worth: Worth::Settlement,
        identity: Some(Identity {
            meter: meter.to_owned(),
            task: task.to_owned(),
            slot,
            registers: [register.to_owned()].into(),
        }),
        notes: Vec::new(),
    }
}

fn note(meter: &str, state: SlotState, why: &str, tries: u32) -> SlotNote {
    SlotNote {
        meter: meter.to_owned(),
        task: "daily".to_owned(),
        slot: midnight(),
        state,
        why: why.to_owned(),
        reason: Some(Reason::Silent),
        tries,
        registers: Vec::new(),
        at: midnight(),
    }
}

/// A folder with a configuration, and the store that a night left, held by its writer.
fn night() -> (tempfile::TempDir, PathBuf, Writer) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("meterd.toml");
    fs::write(&config, CONFIG).unwrap();
    let mut writer = Writer::open(&dir.path().join("store")).unwrap();
    let day = SignedDuration::from_hours(24);
    let energy = "active_energy_import";
    writer
        .commit(&[
            entry("daily", "flat-101-heating", midnight() - day, energy),
            entry("daily", "flat-101", midnight(), energy),
            entry("daily", "商铺-3", midnight(), energy),
            Entry {
                notes: vec![note("flat-102", SlotState::Settled, "", 2)],
                ..entry("daily", "flat-102", midnight(), energy)
            },
            entry("curve", "flat-102", midnight() - day, energy),
        ])
        .unwrap();
    let why = "no octet came in 500 ms (无应答)";
    writer.note_slots(&[note("flat-101-heating", SlotState::Open, why, 5)]).unwrap();
    let began = midnight() + SignedDuration::from_mins(5);
    writer
        .note_run(&Run {
            task: "daily".to_owned(),
            slot: midnight(),
            planned: 5,
            first: 2,
            read: 3,
            partly: 0,
            gone: 0,
            failed: BTreeMap::from([(Reason::Silent, 1)]),
            began,
            ended: Some(began + SignedDuration::from_secs(42)),
        })
        .unwrap();
    (dir, config, writer)
}

fn rate(config: &Path, rest: &[&str]) -> Output {
    let config = config.to_str().unwrap();
    let args = [&["report", "rate", "--config", config], rest].concat();
    Command::new(env!("CARGO_BIN_EXE_meterd")).args(args).env_remove("METERD_LOG").output().unwrap()
}

fn text(config: &Path, rest: &[&str]) -> String {
    String::from_utf8(rate(config, rest).stdout).unwrap()
}

const CSV: &str = "\
day,task,row,name,planned,first_pass,read,gone,first_pass_rate,rate,bar,met,last_reading,state,why
2026-11-20,daily,task,daily,4,2,3,0,50.00,75.00,99.5,false,,,
2026-11-20,daily,customers,household,2,,1,,,50.00,98,false,,,
2026-11-20,daily,customers,other,1,,1,,,100.00,100,true,,,
2026-11-20,daily,class,household,3,1,2,0,33.33,66.66,,,,,
2026-11-20,daily,class,other,1,1,1,0,100.00,100.00,,,,,
2026-11-20,daily,missing,flat-101-heating,1,,,,,,,,2026-11-20T00:00:00+08:00,open,no octet came in 500 ms (无应答)
";

/// With line ends between, so that it can be read here.
const JSON: &str = r#"{"gateway":"gw01","day":"2026-11-20","tasks":[{"task":"daily","kind":"daily-freeze",
"first_slot":"2026-11-21T00:00:00+08:00","last_slot":"2026-11-21T00:00:00+08:00",
"planned":4,"first_pass":2,"read":3,"backfilled":1,"gone":0,"first_pass_rate":50.00,"rate":75.00,
"bar":99.5,"met":false,"not_due":1,"seconds":42,
"customers":[{"class":"household","due":2,"read":1,"rate":50.00,"bar":98,"met":false},
{"class":"other","due":1,"read":1,"rate":100.00,"bar":100,"met":true}],"by":"class",
"groups":[{"name":"household",
"planned":3,"first_pass":1,"read":2,"backfilled":1,"gone":0,"first_pass_rate":33.33,"rate":66.66},
{"name":"other",
"planned":1,"first_pass":1,"read":1,"backfilled":0,"gone":0,"first_pass_rate":100.00,"rate":100.00}],
"missing":[{"meter":"flat-101-heating","slots":1,"last_reading":"2026-11-20T00:00:00+08:00",
"state":"open","tries":5,"why":"no octet came in 500 ms (无应答)"}]}]}
"#;

const TABLE: &str = "\
day 数据日期 2026-11-20   gateway gw01

task daily  daily-freeze 日冻结  2026-11-21 00:00
                                    due 应抄  read 抄通  rate %  bar %  met 达标
  first pass 一次采集成功率                4          2   50.00
  by now 日采集成功率                      4          3   75.00   99.5  no
  customers 实抄率, household 居民         2          1   50.00     98  no
  customers 实抄率, other 非居民           1          1  100.00    100  yes
  customers 实抄率, all                    3          2   66.66
  first pass 42 s, 1 fetched later 补抄, 1 not due

  bus      due  first  first %  by now  rate %
  riser-1    2      1    50.00       1   50.00
  riser-2    2      1    50.00       2  100.00

  missing 未抄      slots  last reading      why
  flat-101-heating      1  2026-11-20 00:00  open: no octet came in 500 ms (无…

task curve  load-profile 负荷曲线  2026-11-20 00:00
                             due 应抄  read 抄通  rate %  bar %  met 达标
  first pass 一次采集成功率         1          1  100.00
  by now 日采集成功率               1          1  100.00   99.5  yes

  bus      due  first  first %  by now  rate %
  riser-2    1      1   100.00       1  100.00
";

#[test]
fn the_last_day_is_reported_beside_a_writer_that_holds_the_directory() {
    let (_dir, config, mut writer) = night();
    let said = text(&config, &["--by", "bus"]);
    assert_eq!(said, TABLE);
    for line in said.lines() {
        assert!(line.width() <= 80, "{line}");
    }
    // The writer goes on, and what it adds is there at once.
    let late = note("flat-101-heating", SlotState::Settled, "", 6);
    let whole = entry("daily", "flat-101-heating", midnight(), "active_energy_import");
    writer.commit(&[Entry { notes: vec![late], ..whole }]).unwrap();
    let said = text(&config, &["--task", "daily"]);
    assert!(said.contains("100.00   99.5  yes") && !said.contains("missing"), "{said}");
}

#[test]
fn csv_and_json_have_the_same_numbers() {
    let (_dir, config, _writer) = night();
    let csv = text(&config, &["--by", "class", "--format", "csv", "--task", "daily"]);
    assert_eq!(csv, CSV);
    let json = text(&config, &["--by", "class", "--format", "json", "--task", "daily"]);
    assert_eq!(json.trim_end(), JSON.replace('\n', ""));
}

#[test]
fn another_day_and_another_task_are_asked_for_by_name_and_what_is_not_there_is_said() {
    let (dir, config, writer) = night();
    let said = text(&config, &["--day", "2026-11-19", "--task", "daily"]);
    assert!(said.contains("first pass 一次采集成功率                4          1   25.00"), "{said}");
    let refused = |rest: &[&str]| {
        let output = rate(&config, rest);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, why) = refused(&["--task", "live"]);
    assert_eq!((code, why.contains("there are: daily, curve")), (Some(2), true), "{why}");
    let (code, why) = refused(&["--day", "2026-11-21"]);
    assert_eq!((code, why.contains("the last day is 2026-11-20")), (Some(1), true), "{why}");
    drop(writer);
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let (code, why) = refused(&[]);
    assert_eq!((code, why.contains("there is no store at")), (Some(1), true), "{why}");
}

const PERIOD: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "store"
[[bus]]
name = "riser-1"
port = "/dev/ttyS1"
[[meter]]
name = "总表"
bus = "riser-1"
address = "1"
ct = "200/5"
[[meter]]
name = "flat-101"
bus = "riser-1"
address = "2"
total_meter = "总表"
[[meter.exchange]]
date = "2026-11-10"
address = "9"
last = "99.50"
first = "0.10"
[[meter]]
name = "flat-102"
bus = "riser-1"
address = "3"
total_meter = "总表"
[[task]]
name = "daily"
read = "daily-freeze"
daily = "00:05"
registers = ["active_energy_import"]
"#;

/// What each point showed at 00:00 of the 1st and of the 21st of November.
const SHOWN: [(&str, u8, &str, &str); 6] = [
    ("总表", 1, "2026-10-31T16:00:00Z", "10.00"),
    ("flat-101", 9, "2026-10-31T16:00:00Z", "90.00"),
    ("flat-102", 3, "2026-10-31T16:00:00Z", "100.00"),
    ("总表", 1, "2026-11-20T16:00:00Z", "11.00"),
    ("flat-101", 2, "2026-11-20T16:00:00Z", "8.60"),
    ("flat-102", 3, "2026-11-20T16:00:00Z", "120.00"),
];

/// A folder with a configuration, and a store that knows what points showed, but of so many at the end.
fn period(without: usize) -> (tempfile::TempDir, PathBuf, Writer) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("meterd.toml");
    fs::write(&config, PERIOD).unwrap();
    let mut writer = Writer::open(&dir.path().join("store")).unwrap();
    let stand = |(meter, address, slot, value): &(&str, u8, &str, &str)| Stand {
        meter: (*meter).to_owned(),
        slot: slot.parse().unwrap(),
        address: format!("{address:012}"),
        value: value.parse().unwrap(),
        ratio: (*meter == "总表").then(|| 40.into()),
        quality: if *value == "8.60" { Quality::ClockOff } else { Quality::Good },
    };
    let stands: Vec<Stand> = SHOWN.iter().take(SHOWN.len() - without).map(stand).collect();
    let missing = note("flat-102", SlotState::Open, "no octet came", 3);
    let notes = if without > 0 { vec![missing] } else { Vec::new() };
    writer.write(Batch { stands: &stands, notes: &notes, ..Batch::default() }).unwrap();
    (dir, config, writer)
}

fn consumption(config: &Path, rest: &[&str]) -> Output {
    let config = config.to_str().unwrap();
    let days = ["--from", "2026-11-01", "--to", "2026-11-20"];
    let args = [&["report", "consumption", "--config", config], &days[..], rest].concat();
    Command::new(env!("CARGO_BIN_EXE_meterd")).args(args).env_remove("METERD_LOG").output().unwrap()
}

fn consumed(config: &Path, rest: &[&str]) -> String {
    let output = consumption(config, rest);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const CONSUMED: &str = "\
consumption 用电量 2026-11-01 to 2026-11-20   gateway gw01   kWh

  meter     from 起   to 止  used 用  ratio 倍率  primary 电量
  总表        10.00   11.00     1.00          40         40.00
  flat-101    90.00   8.60*    18.00           1         18.00
  flat-102   100.00  120.00    20.00           1         20.00
  * suspect, not frozen or of a clock past its bound: --format csv says which

  total 总表  under it  supplied 供  sold 售  lost 损失  loss % 线损率
  总表               2        40.00    38.00       2.00           5.00
";
const CONSUMED_CSV: &str = "\
from,to,row,name,from_value,from_quality,from_address,to_value,to_quality,to_address,consumption,ratio,primary,members,supplied,sold,loss,loss_percent,why
2026-11-01,2026-11-20,point,总表,10.00,good,000000000001,11.00,good,000000000001,1.00,40,40.00,,,,,,
2026-11-01,2026-11-20,point,flat-101,90.00,good,000000000009,8.60,clock_off,000000000002,18.00,1,18.00,,,,,,
2026-11-01,2026-11-20,point,flat-102,100.00,good,000000000003,120.00,good,000000000003,20.00,1,20.00,,,,,,
2026-11-01,2026-11-20,total,总表,,,,,,,,,,2,40.00,38.00,2.00,5.00,
";
/// With line ends between, so that it can be read here.
const CONSUMED_JSON: &str = r#"{"gateway":"gw01","from":"2026-11-01","to":"2026-11-20",
"register":"active_energy_import","unit":"kWh","points":[
{"meter":"总表","from":{"value":10.00,"quality":"good","address":"000000000001"},
"to":{"value":11.00,"quality":"good","address":"000000000001"},
"consumption":1.00,"ratio":40,"primary":40.00,"why":null},
{"meter":"flat-101","from":{"value":90.00,"quality":"good","address":"000000000009"},
"to":{"value":8.60,"quality":"clock_off","address":"000000000002"},
"consumption":18.00,"ratio":1,"primary":18.00,"why":null},
{"meter":"flat-102","from":{"value":100.00,"quality":"good","address":"000000000003"},
"to":{"value":120.00,"quality":"good","address":"000000000003"},
"consumption":20.00,"ratio":1,"primary":20.00,"why":null}],
"totals":[{"meter":"总表","members":2,
"supplied":40.00,"sold":38.00,"loss":2.00,"loss_percent":5.00,"not_known":[]}]}
"#;
const WITHOUT: &str = "\
consumption 用电量 2026-11-01 to 2026-11-20   gateway gw01   kWh

  meter     from 起  to 止  used 用  ratio 倍率  primary 电量
  总表        10.00  11.00     1.00          40         40.00
  flat-101    90.00  8.60*    18.00           1         18.00
  flat-102   100.00      -        -                         -
  * suspect, not frozen or of a clock past its bound: --format csv says which

  not known 未知  why
  flat-102        no value of 2026-11-21T00:00: open: no octet came

  total 总表  under it  supplied 供  sold 售  lost 损失  loss % 线损率
  总表               2                                               -
  总表: not known of flat-102
";

#[test]
fn consumption_goes_over_an_exchange_and_the_loss_is_what_the_total_meter_counted_more() {
    let (_dir, config, _writer) = period(0);
    let said = consumed(&config, &[]);
    assert_eq!(said, CONSUMED);
    assert!(said.lines().all(|line| line.width() <= 80));
    assert_eq!(consumed(&config, &["--format", "csv"]), CONSUMED_CSV);
    assert_eq!(consumed(&config, &["--format", "json"]).trim_end(), CONSUMED_JSON.replace('\n', ""));
}

#[test]
fn what_was_not_read_at_an_end_is_said_and_never_estimated() {
    let (_dir, config, _writer) = period(1);
    let said = consumed(&config, &[]);
    assert_eq!(said, WITHOUT);
    assert!(said.lines().all(|line| line.width() <= 80));
    let one = consumed(&config, &["--meter", "flat-102", "--format", "json"]);
    let none = r#""consumption":null,"ratio":null,"primary":null,"why":"no value of 2026-11-21T00:00: open: no octet came""#;
    assert!(one.contains(none) && one.contains(r#""totals":[]"#), "{one}");
    let refused = |days: [&str; 2], rest: &[&str]| {
        let config = config.to_str().unwrap();
        let args = ["report", "consumption", "--config", config, "--from", days[0], "--to", days[1]];
        let mut meterd = Command::new(env!("CARGO_BIN_EXE_meterd"));
        let output = meterd.args(args).args(rest).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, why) = refused(["2026-11-01", "2026-11-20"], &["--meter", "flat-7"]);
    assert_eq!((code, why.contains("there is no meter \"flat-7\"")), (Some(2), true), "{why}");
    let (code, why) = refused(["2026-11-20", "2026-11-01"], &[]);
    assert_eq!((code, why.contains("2026-11-20 to 2026-11-01 is no period")), (Some(2), true), "{why}");
}
