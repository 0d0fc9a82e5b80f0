//! Promises of the loader: all faults at once, each with its place and what to write.

use catalogue::{Catalogue, Tables, Text, Wrong};

const HEAD: &str =
    "di,axes,name,name_zh,quantity,unit,obis,format,octets,decimals,sign,blocks,access,clause,edition";
const GOOD: &str =
    "0201pp00,pp=01-03,voltage,{p}电压,voltage,V,1-0:{32/52/72}.7.0,number,2,1,unsigned,pp,r,A.3,std";

fn faults(rows: &[&str]) -> Vec<(u64, &'static str, Wrong)> {
    let text = format!("{HEAD}\n{}\n", rows.join("\n"));
    let Err(faults) = Catalogue::read("t.csv", &text) else { panic!("no faults in {text}") };
    faults.faults().iter().map(|f| (f.line, f.column, f.wrong.clone())).collect()
}

/// The good row with one text replaced; the column of its only fault.
fn column_of_fault(text: &str, other: &str) -> &'static str {
    assert!(GOOD.contains(text));
    let found = faults(&[&GOOD.replace(text, other)]);
    assert_eq!(found.len(), 1, "{text} → {other}: {found:?}");
    found[0].1
}

#[test]
fn the_good_row_is_good() {
    let table: &'static Catalogue =
        Box::leak(Box::new(Catalogue::read("t.csv", &format!("{HEAD}\n{GOOD}\n")).unwrap()));
    assert_eq!(table.registers().count(), 3);
}

#[test]
fn a_fault_is_reported_in_its_column() {
    for (text, other, column) in [
        ("0201pp00", "0201pp0", "di"),
        ("0201pp00", "0201ppFF", "di"),
        ("0201pp00", "0201pppp", "di"),
        ("0201pp00", "电压pp00", "di"),
        ("pp=01-03", "", "axes"),
        ("pp=01-03", "pp=03-01", "axes"),
        ("pp=01-03", "pp=01-02", "axes"),
        ("pp=01-03", "pp=01-03 tt=00-3F", "axes"),
        ("pp=01-03", "pp=01-03 pp=01-03", "axes"),
        (",voltage,{p}", ",Voltage,{p}", "name"),
        (",voltage,{p}", ",voltage_l1,{p}", "name"),
        (",voltage,{p}", ",voltage_,{p}", "name"),
        ("{p}电压", "电压", "name_zh"),
        ("{p}电压", "{p电压", "name_zh"),
        ("{p}电压", "", "name_zh"),
        ("{p}电压", "{p}{t}电压", "name_zh"),
        (",voltage,V", ",volt,V", "quantity"),
        (",V,", ",v,", "unit"),
        ("{32/52/72}", "{32/52}", "obis"),
        ("{32/52/72}", "32", "obis"),
        ("1-0:{32/52/72}.7.0", "{32/52/72}.7.0", "obis"),
        ("1-0:{32/52/72}.7.0", "1-0:{32/52/272}.7.0", "obis"),
        ("number", "bcd", "format"),
        ("number,2,", "number,8,", "octets"),
        ("number,2,", "number,,", "octets"),
        ("number,2,", "number,2/x,", "octets"),
        ("pp=01-03", "pp=01-03 +tt=00-3F +ss=00-01", "axes"),
        (",pp,r", ",pp+04000508,r", "blocks"),
        (",1,unsigned", ",5,unsigned", "decimals"),
        ("unsigned", "", "sign"),
        ("number,2,1,unsigned", "time,3,1,", "decimals"),
        ("number,2,1,unsigned", "time,3,,signed", "sign"),
        (",pp,r", ",ss,r", "blocks"),
        (",r,", ",x,", "access"),
        (",std", ",gb", "edition"),
        (",std", "", "di"),
    ] {
        assert_eq!(column_of_fault(text, other), column, "{text} → {other}");
    }
}

#[test]
fn all_faults_of_all_lines_come_at_once_with_file_line_and_column() {
    let text = format!(
        "{HEAD}\n{}\n{}\n",
        GOOD.replace(",V,", ",W,").replace(",r,", ",x,"),
        GOOD.replace("{p}", "")
    );
    let faults = Catalogue::read("my.csv", &text).unwrap_err();
    let lines: Vec<String> = faults.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with("my.csv, line 2, column unit: \"W\" is not known here; write one of: kWh, ")
    );
    assert_eq!(lines[1], "my.csv, line 2, column access: \"x\" is not known here; write one of: r, rw, w");
    assert!(lines[2].starts_with("my.csv, line 3, column name_zh: the text has no place for pp"));
}

#[test]
fn two_rows_for_one_di_or_one_name_are_refused() {
    let same_di = GOOD
        .replace("0201pp00,pp=01-03,voltage,{p}电压", "02010300,,voltage_ca,线电压")
        .replace("{32/52/72}", "1")
        .replace(",pp,r", ",,r");
    assert_eq!(faults(&[GOOD, &same_di]), [(3, "di", Wrong::SameDi { line: 2 })]);
    let same_name = GOOD.replace("0201pp00", "0291pp00");
    assert_eq!(faults(&[GOOD, &same_name]), [(3, "name", Wrong::SameName { line: 2 })]);
}

#[test]
fn a_column_that_is_missing_or_unknown_is_named() {
    let text = format!("{}\n", HEAD.replace(",unit,", ",units,"));
    let faults = Catalogue::read("t.csv", &text).unwrap_err();
    let wrong: Vec<_> = faults.faults().iter().map(|f| (f.column, f.wrong.clone())).collect();
    assert_eq!(
        wrong,
        [("unit", Wrong::ColumnMissing), ("di", Wrong::ColumnUnknown { found: "units".to_owned() })]
    );
    assert!(Catalogue::read("t.csv", "").is_err());
}

#[test]
fn columns_may_stand_in_any_order() {
    let turn = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",");
    assert!(Catalogue::read("t.csv", &format!("{}\n{}\n", turn(HEAD), turn(GOOD))).is_ok());
}

const LAYOUT_HEAD: &str = "layout,field,name_zh,quantity,unit,format,octets,decimals,sign,times";
const FIELDS: &str =
    "e,start,发生时刻,instant,,second,6,,,\ne,voltage,电压,voltage,V,number,2,1,unsigned,10\n";
const BITS_HEAD: &str = "word,bits,value,name,name_zh,edition";
const EVENT: &str = "03000001,,event,事件,record,,,record,26,,,,r,A.4,std,e";
const WORD: &str = "04000501,,word,字,bits,,,bits,2,,,,r,A.5,std,";

/// File, line and column of the faults of three tables.
fn places(rows: &str, fields: &str, bits: &str) -> Vec<String> {
    let registers = format!("{HEAD},layout\n{rows}\n");
    let (fields, bits) = (format!("{LAYOUT_HEAD}\n{fields}"), format!("{BITS_HEAD}\n{bits}"));
    let tables = Tables {
        registers: Text { file: "r", text: &registers },
        layouts: Some(Text { file: "l", text: &fields }),
        bits: Some(Text { file: "b", text: &bits }),
    };
    let faults = Catalogue::read_tables(tables).err();
    let faults = faults.iter().flat_map(|faults| faults.faults());
    faults.map(|fault| format!("{} {} {}", fault.file, fault.line, fault.column)).collect()
}

#[test]
fn faults_of_layouts_and_bits_are_told_with_their_table() {
    let rows = format!("{EVENT}\n{WORD}");
    assert!(places(&rows, FIELDS, "word,0,1,low,低,std\n").is_empty());
    assert!(places(&rows, FIELDS, "word,1-2,2,low,低,sgcc\n").is_empty());
    for (rows, fields, bits, wanted) in [
        (&*rows.replace(",std,e", ",std,f"), FIELDS, "", "r 2 layout"),
        (&rows.replace(",std,e", ",std,"), FIELDS, "", "r 2 layout"),
        (&rows.replace(",record,26", ",record,25"), FIELDS, "", "r 2 octets"),
        (&rows.replace("A.5,std,", "A.5,std,e"), FIELDS, "", "r 3 layout"),
        (&rows, &FIELDS.replace(",second,", ",seconds,"), "", "l 2 format"),
        (&rows, &FIELDS.replace("发生时刻", ""), "", "l 2 name_zh"),
        (&rows, &FIELDS.replace(",10\n", ",1\n"), "", "l 3 times"),
        (&rows, &FIELDS.replace("6,,,\n", "6,,,tariffs\n"), "", "l 3 times"),
        (&rows, FIELDS, "wort,0,1,low,低,std\n", "b 2 word"),
        (&rows, FIELDS, "word,96,1,low,低,std\n", "b 2 bits"),
        (&rows, FIELDS, "word,0,x,low,低,std\n", "b 2 value"),
        (&rows, FIELDS, "word,0,1,low\n", "b 2 name"),
    ] {
        let found = places(rows, fields, bits);
        assert!(found.contains(&wanted.to_owned()), "{wanted}: {found:?}");
    }
}
