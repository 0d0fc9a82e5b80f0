//! `meterd decode` over every frame of fixtures/frames: the sound ones with the values that their
//! sources state, the damaged ones refused or their inner frame found.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

use rust_decimal::Decimal;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// One row of a table of frames.
struct Row {
    id: String,
    kind: String,
    address: String,
    control: String,
    di: String,
    hex: String,
}

const TABLES: [&str; 5] = ["dlt645-2007", "dlt645-1997", "exchanges-2007", "exchanges-1997", "worked"];

fn rows(table: &str) -> Vec<Row> {
    let path = format!("{}/fixtures/frames/{table}.csv", env!("CARGO_MANIFEST_DIR"));
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_path(path).unwrap();
    let heads = reader.headers().unwrap().clone();
    let at = |name: &str| heads.iter().position(|head| head == name).unwrap();
    let [id, kind, address, control, di, hex] = ["id", "kind", "address", "control", "di", "hex"].map(at);
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let text = |column: usize| record[column].to_owned();
            Row {
                id: text(id),
                kind: text(kind),
                address: text(address),
                control: text(control),
                di: text(di),
                hex: text(hex),
            }
        })
        .collect()
}

fn decode(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_meterd"))
        .arg("decode")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn objects(output: &Output) -> Vec<Json> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The register's value as it stands in the text, digit for digit.
fn stated<'a>(line: &'a str, register: &str) -> Option<&'a str> {
    let rest = &line[line.find(&format!("\"register\":\"{register}\""))?..];
    let rest = &rest[..rest.find('}')?];
    match rest.find("\"value\":") {
        Some(at) => rest[at + 8..].split(',').next().map(|value| value.trim_matches('"')),
        None => {
            ["missing", "implausible"].into_iter().find(|why| rest.contains(&format!("\"reason\":\"{why}\"")))
        }
    }
}

#[test]
fn every_sound_frame_is_explained_and_every_damaged_one_is_refused_or_its_inner_frame_found() {
    let mut sound = 0;
    let mut refused = 0;
    for row in TABLES.iter().flat_map(|table| rows(table)) {
        let output = decode(&["--json", "-"], &row.hex);
        let found = objects(&output);
        let frames: Vec<&Json> = found.iter().filter(|object| object.get("frame").is_some()).collect();
        if row.kind == "damaged" {
            assert!(frames.is_empty(), "{}: {found:?}", row.id);
            assert_eq!(output.status.code(), Some(1), "{}", row.id);
            assert!(found[0]["damaged"].is_string() && found[0]["octets"].is_string(), "{}", row.id);
            refused += 1;
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{}: {found:?}", row.id);
        let [frame] = frames[..] else { panic!("{}: {found:?}", row.id) };
        assert_eq!(frame["address"], Json::from(row.address.as_str()), "{}", row.id);
        assert_eq!(frame["control"], Json::from(row.control.as_str()), "{}", row.id);
        if row.kind == "frame" {
            assert_eq!(found.len(), 1, "{}: {found:?}", row.id);
        }
        if !row.di.is_empty() && frame["direction"] == "reply" && !frame["di"].is_null() {
            assert_eq!(frame["di"], Json::from(row.di.as_str()), "{}", row.id);
        }
        sound += 1;
    }
    println!("{sound} sound frames explained, {refused} damaged ones refused");
    assert!(sound > 500 && refused > 20);
}

#[test]
fn what_the_sources_state_of_a_frame_is_what_is_decoded() {
    let frames: BTreeMap<String, Row> = ["dlt645-2007", "dlt645-1997"]
        .iter()
        .flat_map(|t| rows(t))
        .map(|row| (row.id.clone(), row))
        .collect();
    let path = format!("{}/fixtures/frames/values.csv", env!("CARGO_MANIFEST_DIR"));
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_path(path).unwrap();
    let mut count = 0;
    let mut wrong = Vec::new();
    for record in reader.records() {
        let record = record.unwrap();
        let (id, register, expected, unit) = (&record[0], &record[1], &record[2], &record[3]);
        let output = decode(&["--json", "-"], &frames[id].hex);
        let text = std::str::from_utf8(&output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains("\"frame\":")).unwrap_or_default();
        let got = stated(line, register);
        let same = match (got.map(str::parse::<Decimal>), expected.parse::<Decimal>()) {
            (Some(Ok(got)), Ok(expected)) => got == expected,
            _ => got == Some(expected),
        };
        if !same || (!unit.is_empty() && !line.contains(&format!("\"unit\":\"{unit}\""))) {
            wrong.push(format!("{id} {register}: stated {expected} {unit}, decoded {got:?} of {line}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 150);
}

#[test]
fn an_energy_reply_is_the_object_of_the_contract() {
    let hex = "68 78 56 34 12 00 00 68 91 08 33 33 34 33 AB 89 67 45 2A 16";
    let output = decode(&["--json", "-"], &format!("fe fe fe fe {hex}"));
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = format!(
        "{{\"protocol\":\"dlt645-2007\",\"direction\":\"reply\",\"address\":\"000012345678\",\"control\":\"91\",\
         \"function\":\"read\",\"more\":false,\"error\":null,\"di\":\"00010000\",\"offset\":4,\"frame\":\"{}\",\
         \"registers\":[{{\"register\":\"active_energy_import\",\"obis\":\"1-0:1.8.0\",\"di\":\"00010000\",\
         \"value\":123456.78,\"unit\":\"kWh\"}}]}}",
        hex.replace(' ', "")
    );
    assert_eq!(text.trim_end(), expected);
}

#[test]
fn hexadecimal_is_read_as_people_write_it_and_noise_between_frames_is_told() {
    let plain = "683412000000006891063334343538550A16";
    let spaced = "68 34 12 00 00 00 00 68 91 06 33 34 34 35 38 55 0A 16";
    let prefixed =
        "0x68,0x34,0x12,0x00,0x00,0x00,0x00,0x68,0x91,0x06,0x33,0x34,0x34,0x35,0x38,0x55,0x0A,0x16";
    for text in [plain, spaced, prefixed] {
        let output = decode(&["--json", text], "");
        assert_eq!(objects(&output)[0]["registers"][0]["register"], "voltage_l1", "{text}");
    }
    let stream = format!("{plain} 01 02 03 {plain}");
    let found = objects(&decode(&["--json", "-"], &stream));
    assert_eq!(found.len(), 3);
    assert_eq!((found[1]["offset"].as_u64(), found[2]["offset"].as_u64()), (Some(18), Some(21)));
    assert!(found[1]["damaged"].is_string());
    let damaged = plain.replace("0A16", "0B16");
    let found = objects(&decode(&["--json", "-"], &damaged));
    assert_eq!(found[0]["damaged"], "checksum is 0B, computed 0A");
    assert_eq!(decode(&["6G"], "").status.code(), Some(2));
}

#[test]
fn a_person_reads_the_names_in_english_and_chinese() {
    let output = decode(&["683412000000006891063334343538550A16"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("voltage_l1") && text.contains("220.5 V") && text.contains("A相电压"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn registers_are_found_by_di_name_obis_and_words_of_both_languages() {
    let registers = |query: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_meterd")).arg("registers").args(query).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    for query in [&["02010100"][..], &["voltage_l1"], &["1-0:32.7.0"], &["电压"]] {
        let (code, text) = registers(query);
        assert_eq!(code, Some(0), "{query:?}");
        assert!(text.contains("voltage"), "{query:?}: {text}");
    }
    let (_, json) = registers(&["active_energy_import", "--json"]);
    for line in json.lines() {
        let row: Json = serde_json::from_str(line).unwrap();
        assert!(row["register"].is_string() && row["di"].is_string() && row["name_zh"].is_string());
    }
    assert_eq!(registers(&["no_such_thing_at_all"]).0, Some(1));
}
