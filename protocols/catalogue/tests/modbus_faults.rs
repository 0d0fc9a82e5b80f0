//! Everything that is wrong with a profile of Modbus is told at once, with its line, its key and what to write.
#![allow(clippy::unwrap_used, reason = "a profile that cannot be read fails the test")]

use catalogue::Profile;

const GOOD: &str = r#"protocol = "modbus"
model = "m"
source = "s"
register = [
  { address = 0, name = "voltage_l1", type = "f32", unit = "V", digits = 1 },
  { address = 2, name = "own_quantity", type = "u16", name_zh = "自有", quantity = "counter" },
]
"#;

fn faults(text: &str) -> Vec<String> {
    match Profile::read("mine", "mine.toml", text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn the_good_profile_is_good() {
    assert_eq!(faults(GOOD), [""; 0]);
}

#[test]
fn each_fault_is_told_with_its_line_its_key_and_what_to_write() {
    let row = r#"{ address = 0, name = "voltage_l1", type = "f32", unit = "V", digits = 1 }"#;
    for (wrong, line, said) in [
        (r#"{ name = "voltage_l1", type = "u16", unit = "V" }"#, 5, "key address: it is missing"),
        (r#"{ address = 70000, name = "voltage_l1", type = "u16", unit = "V" }"#, 5, "key address"),
        (r#"{ address = 0, name = "voltage_l1", type = "u33", unit = "V" }"#, 5, "\"u33\" is not known here"),
        (r#"{ address = 0, name = "voltage_l1", type = "f32", unit = "V" }"#, 5, "key digits: it is missing"),
        (r#"{ address = 0, name = "voltage_l1", type = "u16" }"#, 5, "key unit: it is missing"),
        (r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "A" }"#, 5, "cannot be scaled to V"),
        (r#"{ address = 0, name = "voltag_l1", type = "u16", unit = "V" }"#, 5, "did you mean voltage_l1?"),
        (
            r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "V", obis = "1-0:1.8.0" }"#,
            5,
            "leave the key out",
        ),
        (
            r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "V", scale = "0,1" }"#,
            5,
            "an exact number",
        ),
        (
            r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "V", scale = "1/3" }"#,
            5,
            "no finite decimal",
        ),
        (r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "V", function = 6 }"#, 5, "from 3 to 4"),
        (
            r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "V", word_order = "big" }"#,
            5,
            "high-first, low-first",
        ),
        (
            r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "V", missing = ["FFFF"] }"#,
            5,
            "in hexadecimal",
        ),
        (
            r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "V", map = "a" }"#,
            5,
            "there is no [[map]] \"a\"",
        ),
        (
            r#"{ address = 0, name = "voltage_l1", type = "u16", unit = "V", exponent = "x" }"#,
            5,
            "is called \"x\"",
        ),
        (r#"{ address = 0, name = "voltage_l1", type = "bcd", unit = "V" }"#, 5, "key words: it is missing"),
        (r#"{ adress = 0, name = "voltage_l1", type = "u16", unit = "V" }"#, 5, "did you mean \"address\"?"),
        (
            r#"{ address = 2, name = "voltage_l1", type = "u16", unit = "V" }"#,
            6,
            "of line 5 is at the same place",
        ),
        (
            r#"{ address = 0, name = "own_quantity", type = "u16", name_zh = "自有", quantity = "counter" }"#,
            6,
            "shares a name",
        ),
    ] {
        let told = faults(&GOOD.replace(row, wrong));
        let place = format!("mine.toml, line {line}");
        assert!(
            told.iter().any(|fault| fault.starts_with(&place) && fault.contains(said)),
            "{wrong}\n{told:#?}"
        );
    }
}

#[test]
fn faults_of_the_head_of_maps_and_of_tests_are_told_too() {
    for (more, said) in [
        ("ct = \"nothing\"\n", "is called \"nothing\""),
        ("most_registers = 126\n", "from 1 to 125"),
        ("gaps = \"no\"\n", "true or false"),
        ("blocks = false\n", "blocks"),
        ("map = [ { name = \"a\" } ]\n", "key probe: it is missing"),
    ] {
        let told = faults(&GOOD.replacen("source = \"s\"\n", &format!("source = \"s\"\n{more}"), 1));
        assert!(told.iter().any(|fault| fault.contains(said)), "{more}\n{told:#?}");
    }
    let with = |request: &str, frame: &str| {
        let test = format!(
            "[[test]]\nrequest = \"{request}\"\nframe = \"{frame}\"\nsource = \"s\"\nreadings = {{ voltage_l1 = \"230.2\" }}\n"
        );
        faults(&format!("{GOOD}{test}")).join("\n")
    };
    let (asked, answer) = ("01 03 00 00 00 02 C4 0B", "01 03 04 43 66 33 33 5B 4D");
    assert_eq!(with(asked, answer), "");
    assert!(with("01 03 00 00 00 02 C4 0C", answer).contains("key request: the request does not fit"));
    assert!(
        with(asked, "01 03 04 43 66 33 33 00 00").contains("key frame: the frame is no answer to a read")
    );
    assert!(with("01 03 00 00 00 01 84 0A", answer).contains("2 registers, and 1 were asked for"));
}
