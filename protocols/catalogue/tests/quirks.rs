//! Promises of the keys by which a profile says how its meters want to be asked, and how they answer.
#![allow(clippy::unwrap_used, reason = "a fact that cannot be read fails the test")]

use catalogue::{Manner, Profile, TextOrder};
use dlt645::Di;
use dlt645::format::{Format, NoValue, Value};
use std::time::Duration;

const HEAD: &str = "protocol = \"dlt645-2007\"\nmodel = \"m\"\nsource = \"s\"\n";

fn read(text: &str) -> Result<&'static Profile, Vec<String>> {
    match Profile::read("mine", "mine.toml", text) {
        Ok(profile) => Ok(Box::leak(Box::new(profile))),
        Err(faults) => Err(faults.to_string().lines().map(str::to_owned).collect()),
    }
}

#[test]
fn a_profile_of_dlt645_says_how_its_meters_want_to_be_asked() {
    let keys =
        "line = \"9600 8E1\"\npreamble = 0\nblocks = false\ntext_order = \"as-typed\"\npause_ms = 120\n";
    // Without a register of its own: the model has those of the standard.
    let profile = read(&format!("{HEAD}{keys}")).unwrap();
    let expected = Manner {
        line: Some("9600 8E1".into()),
        pause: Duration::from_millis(120),
        preamble: Some(0),
        blocks: false,
        text_order: TextOrder::AsTyped,
        ..Manner::default()
    };
    assert_eq!(profile.manner(), Some(&expected));
    assert_eq!(profile.search("").count(), 0);
    let voltage = profile.catalogue().find("voltage_l1", 4).unwrap()[0];
    assert_eq!(voltage.table().manner(), Some(&expected), "a register knows its model");
    let of_1997 = HEAD.replace("2007", "1997");
    let manner = read(&format!("{of_1997}preamble = 16\n")).unwrap().manner().unwrap();
    assert_eq!(manner, &Manner { preamble: Some(16), ..Manner::default() });
}

#[test]
fn a_profile_without_such_a_key_says_nothing_and_must_have_a_register() {
    assert_eq!(Profile::named("line-voltage").unwrap().manner(), None);
    assert_eq!(
        read(HEAD).unwrap_err(),
        ["mine.toml, line 1, key register: it is missing; write [[register]], once for each register"]
    );
}

#[test]
fn a_key_that_says_nothing_sound_is_told_with_its_line_and_what_to_write() {
    let line = "write rate and frame, \"9600 8E1\", the rate one of 300, 600, 1200, 2400, 4800, 9600 …";
    for (key, expected) in [
        ("line = \"9600\"", format!("line: \"9600\" does not fit; {line}")),
        ("line = \"9601 8E1\"", format!("line: \"9601 8E1\" does not fit; {line}")),
        ("line = \"9600 8X1\"", format!("line: \"9600 8X1\" does not fit; {line}")),
        ("preamble = 17", "preamble: \"17\" does not fit; write a whole number from 0 to 16".to_owned()),
        ("preamble = \"4\"", "preamble: it must be a whole number, e.g. 0x0034 or 52".to_owned()),
        ("blocks = \"no\"", "blocks: it must be true or false".to_owned()),
        (
            "text_order = \"reversed\"",
            "text_order: \"reversed\" does not fit; write \"as-typed\", or leave it out: the standard's order is the reverse".to_owned(),
        ),
        ("pause_ms = 9000", "pause_ms: \"9000\" does not fit; write a whole number from 0 to 5000".to_owned()),
    ] {
        let faults = read(&format!("{HEAD}{key}\n")).unwrap_err();
        assert_eq!(faults, [format!("mine.toml, line 4, key {expected}")], "{key}");
    }
    let faults = read(&format!("{HEAD}preambel = 4\n")).unwrap_err();
    assert_eq!(
        faults[1],
        "mine.toml, line 4: key \"preambel\" is not known here; did you mean \"preamble\"?"
    );
}

#[test]
fn a_key_of_the_other_protocol_is_refused_as_such() {
    let of_modbus = "only a profile of Modbus has this key, and this one is of DL/T 645; take it out";
    for (key, name) in [
        ("most_registers = 80", "most_registers"),
        ("align = 2", "align"),
        ("gaps = false", "gaps"),
        ("ct = \"x\"", "ct"),
        ("pt = \"x\"", "pt"),
        ("[defaults]", "defaults"),
        ("[[map]]", "map"),
    ] {
        let faults = read(&format!("{HEAD}blocks = false\n{key}\n")).unwrap_err();
        assert_eq!(faults, [format!("mine.toml, line 5, key {name}: {of_modbus}")], "{key}");
    }
    let head = HEAD.replace("dlt645-2007", "modbus");
    let register = "[[register]]\naddress = 0\nname = \"voltage_l1\"\nunit = \"V\"\ntype = \"u16\"\n";
    let of_dlt645 = "only a profile of DL/T 645 has this key, and this one is of Modbus; take it out";
    for (key, name) in [
        ("preamble = 4", "preamble"),
        ("blocks = false", "blocks"),
        ("text_order = \"as-typed\"", "text_order"),
    ] {
        let faults = read(&format!("{head}{key}\n{register}")).unwrap_err();
        assert_eq!(faults, [format!("mine.toml, line 4, key {name}: {of_dlt645}")], "{key}");
    }
    let faults = read(&format!("{head}line = \"fast\"\n{register}")).unwrap_err();
    assert!(faults[0].starts_with("mine.toml, line 4, key line: \"fast\" does not fit"), "{faults:?}");
}

#[test]
fn texts_of_a_model_that_sends_them_as_typed_are_read_so_with_and_without_padding() {
    let own = "text_order = \"as-typed\"\n[[register]]\ndi = \"04990001\"\nname = \"plate\"\nname_zh = \"铭牌\"\n\
               quantity = \"nameplate\"\nformat = \"text\"\noctets = 6\n\
               [[register]]\ndi = \"04990002\"\nname = \"plates\"\nname_zh = \"铭牌\"\nquantity = \"record\"\n\
               format = \"record\"\noctets = 6\nlayout = \"plates\"\n\
               [[field]]\nlayout = \"plates\"\nfield = \"first\"\nname_zh = \"一\"\nquantity = \"nameplate\"\n\
               format = \"text\"\noctets = 6\n";
    let typed = read(&format!("{HEAD}{own}")).unwrap().catalogue();
    let usual = read(&format!("{HEAD}{}", own.split_once('\n').unwrap().1)).unwrap().catalogue();
    let text = |value: Result<Value, NoValue>| value.unwrap().to_string();
    for name in ["rated_voltage", "plate"] {
        let [own, other] = [typed, usual].map(|table| table.find(name, 4).unwrap()[0]);
        assert_eq!((own.format(), other.format()), (Format::TextAsTyped, Format::Text));
        for (octets, expected, reversed) in
            [(b"220/38", "220/38", "83/022"), (b"220V\0\0", "220V", "220V"), (b"  220V", "220V", "V022")]
        {
            assert_eq!(text(own.decode(octets)), expected, "{name}");
            assert_eq!(text(other.decode(octets)), reversed, "{name}");
        }
        let mut octets = Vec::new();
        own.encode(own.decode(b"220V\0\0").unwrap(), &mut octets).unwrap();
        assert_eq!(octets, b"220V\0\0");
    }
    // A whole answer, and a field of a record.
    assert_eq!(text(typed.decode(Di::new(0x0499_0001), b"220/38")[0].value.unwrap()), "220/38");
    for (table, expected) in [(typed, "220/38"), (usual, "83/022")] {
        let plates = table.find("plates", 4).unwrap()[0];
        assert_eq!(text(plates.record(b"220/38").unwrap()[0].value), expected);
    }
}

#[test]
fn built_in_profiles_have_the_quirks_that_are_documented() {
    let manner = |name: &str| Profile::named(name).unwrap().manner().unwrap();
    assert_eq!(manner("dr-1997").line.as_deref(), Some("1200 8E1"));
    assert_eq!(manner("sgcc-9600").line.as_deref(), Some("9600 8E1"));
    assert_eq!((manner("relay-state-04ff").preamble, manner("wkj-1997").preamble), (Some(2), Some(0)));
    assert!(!manner("single-registers").blocks);
    assert_eq!(manner("text-as-typed").text_order, TextOrder::AsTyped);
}
