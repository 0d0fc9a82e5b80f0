//! Promises of the profiles: built-in ones are sound and whole, and what a profile says goes before the standard.
#![allow(clippy::unwrap_used, reason = "a fact that cannot be read fails the test")]

mod seed;

use catalogue::{Catalogue, Edition, Entry, Profile, Register, Standard};
use dlt645::Di;
use seed::Seed;
use std::collections::{HashMap, HashSet};

fn named(name: &str) -> &'static Catalogue {
    Profile::named(name).unwrap().catalogue()
}

fn own(profile: &'static Profile) -> impl Iterator<Item = Register> {
    profile.search("").flat_map(|row| row.registers().collect::<Vec<_>>())
}

#[test]
fn built_in_profiles_are_free_of_faults_and_their_frames_say_what_they_expect() {
    let mut faults = String::new();
    for &(name, text) in dlt645::tables::PROFILES.iter().chain(modbus::tables::PROFILES) {
        match Profile::read(name, &format!("{name}.toml"), text) {
            Ok(profile) => {
                let profile: &'static Profile = Box::leak(Box::new(profile));
                assert!(profile.tests() > 0, "{name} has no [[test]]");
                if let Err(wrong) = profile.run_tests() {
                    faults.push_str(&format!("{wrong}\n"));
                }
            }
            Err(wrong) => faults.push_str(&format!("{wrong}\n")),
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
    let names: Vec<_> = Profile::all().map(Profile::name).collect();
    assert_eq!(names.len(), 18 + 12);
    assert!(names.iter().collect::<HashSet<_>>().len() == names.len(), "{names:?}");
}

/// `02 93 FF 00`; `10 01-03 01-35 FF` is 159 identifiers.
fn dis(places: &str) -> Vec<Di> {
    let mut dis = vec![String::new()];
    for place in places.split(' ') {
        let (first, last) = place.split_once('-').unwrap_or((place, place));
        let [from, to] = [first, last].map(|text| u8::from_str_radix(text, 16).unwrap());
        let width = first.len();
        let values = move |di: String| (from..=to).map(move |value| format!("{di}{value:0width$X}"));
        dis = dis.into_iter().flat_map(values).collect();
    }
    dis.iter().map(|di| di.parse().unwrap()).collect()
}

/// What one source alone or one maker has, and the standard's tables leave out. B66x of two makers stands twice.
#[test]
fn every_identifier_that_the_standards_tables_leave_out_is_a_profiles() {
    let mut rows = csv::Reader::from_reader(include_str!("profile-rows.csv").as_bytes());
    let mut counted = HashMap::new();
    for line in rows.records() {
        let line = line.unwrap();
        let profile = Profile::named(&line[1]).unwrap();
        let registers: HashSet<String> = own(profile).map(|r| r.name().to_string()).collect();
        for di in dis(&line[0]) {
            let first = match profile.catalogue().by_di(di) {
                Some(Entry::Register(register)) => register,
                Some(Entry::Block(block)) => block.registers(63).next().unwrap(),
                None => panic!("{di} is not in {}", &line[1]),
            };
            assert!(registers.contains(&first.name().to_string()), "{di} of {}: {first:?}", &line[1]);
        }
        *counted.entry(profile.standard()).or_insert(0) += 1;
    }
    assert_eq!(counted[&dlt645::Edition::E2007.into()], 80);
    // 43, and two that two makers have.
    assert_eq!(counted[&dlt645::Edition::E1997.into()], 45);
}

#[test]
fn every_name_of_a_profile_and_its_standard_is_of_one_register() {
    for profile in Profile::all() {
        let mut names = HashMap::new();
        for register in profile.catalogue().registers() {
            let name = register.name().to_string();
            let map = register.location().map(|location| location.map);
            if let Some(other) = names.insert((name, map), register) {
                panic!("{}: {register:?} and {other:?}", profile.name());
            }
        }
        // Of those of a long list the newest stands for all.
        let is_first_map =
            |r: &Register| r.location().is_none_or(|location| location.map.is_none_or(|map| map == 0));
        for register in own(profile).filter(|r| r.record_back().is_none_or(|n| n == 1)).filter(is_first_map) {
            let name = register.name().to_string();
            assert_eq!(profile.catalogue().find(&name, 63).unwrap(), [register], "{name}");
        }
    }
}

/// A consumer must not have to know which model or edition a meter is of.
#[test]
fn a_name_that_the_standard_has_too_means_the_same_in_a_profile() {
    let (mut shared, mut other) = (0, Vec::new());
    for profile in Profile::all() {
        for register in own(profile).filter(|r| r.is_present()) {
            let Ok(found) = Catalogue::dlt645_2007().find(&register.name().to_string(), 0) else { continue };
            shared += 1;
            if (register.quantity(), register.unit()) != (found[0].quantity(), found[0].unit()) {
                other.push(register);
            }
        }
    }
    assert_eq!(other, []);
    assert!(shared > 20, "{shared}");
}

#[test]
fn what_any_register_of_a_profile_encodes_decodes_to_itself() {
    let mut seed = Seed(1997);
    let mut values = 0;
    let mut in_reply = HashMap::new();
    let dlt645 = || Profile::all().filter(|profile| profile.standard() != Standard::Modbus);
    let all = || dlt645().flat_map(|profile| own(profile).map(move |register| (profile, register)));
    for (profile, register) in all() {
        *in_reply.entry((register.di(), profile.name())).or_insert(0) += 1;
    }
    for (profile, register) in all() {
        if register.is_record() {
            let blank = vec![0; register.octets()];
            let (mut octets, mut put) = (Vec::new(), Vec::new());
            for field in register.fields(&blank).unwrap() {
                let value = seed.value(field.format, field.octets.len()).unwrap();
                let start = octets.len();
                octets.resize(start + field.octets.len(), 0);
                field.format.encode(value, &mut octets[start..]).unwrap();
                put.push(Ok(value));
            }
            let read: Vec<_> = register.fields(&octets).unwrap().map(|field| field.value).collect();
            assert_eq!(read, put, "{register:?}");
            values += put.len();
            continue;
        }
        let Some(value) = seed.value(register.format(), register.octets()) else { continue };
        let mut octets = Vec::new();
        register.encode(value, &mut octets).unwrap();
        // Of several in one reply all are the same here.
        let reply = octets.repeat(in_reply[&(register.di(), profile.name())]);
        assert_eq!(register.decode(&reply), Ok(value), "{register:?}");
        values += 1;
    }
    assert!(values > 5_000, "{values}");
}

const HEAD: &str = "protocol = \"dlt645-2007\"\nmodel = \"m\"\nsource = \"s\"\n";
const CURRENT: &str = "[[register]]\ndi = \"0202pp00\"\naxes = \"pp=01-03\"\nname = \"current\"\n\
    name_zh = \"{p}电流\"\nquantity = \"current\"\nunit = \"A\"\nformat = \"number\"\noctets = 2\ndecimals = 2\n\
    sign = \"unsigned\"\nblocks = \"pp\"\n";

fn read(text: &str) -> Result<&'static Profile, Vec<String>> {
    match Profile::read("mine", "mine.toml", text) {
        Ok(profile) => Ok(Box::leak(Box::new(profile))),
        Err(faults) => Err(faults.to_string().lines().map(str::to_owned).collect()),
    }
}

#[test]
fn a_profiles_row_wins_over_the_standards_for_the_same_identifier() {
    let table = read(&format!("{HEAD}{CURRENT}")).unwrap().catalogue();
    let current = table.find("current_l2", 4).unwrap()[0];
    assert_eq!((current.di(), current.octets()), (Some(Di::new(0x0202_0200)), 2));
    assert_eq!(current.edition(), Edition::Vendor);
    assert_eq!(table.by_di(current.di().unwrap()), Some(Entry::Register(current)));
    let standard = Catalogue::dlt645_2007().find("current_l2", 4).unwrap()[0];
    assert_ne!(current, standard, "one identifier, two registers");
    assert_eq!(table.decode(Di::new(0x0202_FF00), &[0x05, 0x01, 0x06, 0x01, 0x07, 0x01]).len(), 3);
    let voltage = table.find("voltage_l1", 4).unwrap()[0];
    assert_eq!(
        voltage,
        Catalogue::dlt645_2007().find("voltage_l1", 4).unwrap()[0],
        "the rest is the standard's"
    );
    let all = table.registers().count();
    assert_eq!(all, Catalogue::dlt645_2007().registers().count());
}

#[test]
fn a_row_of_which_a_profile_has_one_identifier_instead_has_no_block_any_more() {
    let one = CURRENT
        .replace("0202pp00", "02020200")
        .replace("axes = \"pp=01-03\"\n", "")
        .replace("\"current\"\nname_zh = \"{p}", "\"current_b_coarse\"\nname_zh = \"")
        .replace("blocks = \"pp\"\n", "");
    let table = read(&format!("{HEAD}{one}")).unwrap().catalogue();
    assert_eq!(table.by_di(Di::new(0x0202_FF00)), None, "its answer would be cut wrongly");
    assert_eq!(table.find("current_l*", 4).unwrap().len(), 2);
    let l1 = table.find("current_l1", 4).unwrap()[0];
    assert_eq!(l1.blocks().count(), 0);
    assert!(table.find("current_l2", 4).is_err());
    assert_eq!(table.find("02020200", 4).unwrap()[0].name().to_string(), "current_b_coarse");
}

#[test]
fn a_joined_block_of_1997_goes_with_the_first_of_its_registers_that_a_profile_has() {
    let head = HEAD.replace("2007", "1997");
    let one = "[[register]]\ndi = \"C011\"\nname = \"clock_seconds\"\nname_zh = \"秒\"\nquantity = \"instant\"\n\
        format = \"number\"\noctets = 1\ndecimals = 0\nsign = \"unsigned\"\n";
    let table = read(&format!("{head}{one}")).unwrap().catalogue();
    assert!(Catalogue::dlt645_1997().by_di(Di::new_1997(0xC01F)).is_some());
    assert_eq!(table.by_di(Di::new_1997(0xC01F)), None);
    assert_eq!(table.find("clock_date", 4).unwrap()[0].blocks().count(), 0);
    assert!(table.by_di(Di::new_1997(0xC02F)).is_some(), "other blocks stay");
}

#[test]
fn a_name_of_the_standard_at_another_identifier_is_refused() {
    let text = format!("{HEAD}{}", CURRENT.replace("0202pp00", "0292pp00"));
    assert_eq!(
        read(&text).unwrap_err(),
        [
            "mine.toml, line 4, key name: the standard's table has 0202pp00 under this name; write another name, or all identifiers of that row"
        ]
    );
}

#[test]
fn all_faults_of_a_profile_come_at_once_with_line_key_and_what_to_write() {
    let text = "protocl = \"x\"\nmodel = 3.5\n\n[[register]]\ndi = \"0202\"\nname = \"Current\"\nunits = \"A\"\n\
        format = \"number\"\noctets = \"two\"\n\n[[test]]\nframe = \"68 34\"\nreadings = { voltage_l1 = 220.5 }\n";
    let faults = read(text).unwrap_err();
    for wanted in [
        "mine.toml, line 1, key protocol: it is missing; write protocol = \"dlt645-2007\", \"dlt645-1997\" or \"modbus\"",
        "mine.toml, line 1: key \"protocl\" is not known here; did you mean \"protocol\"?",
        "mine.toml, line 2, key model: it must be a text in quotes, or a whole number",
        "mine.toml, line 7: key \"units\" is not known here; did you mean \"unit\"?",
        "mine.toml, line 11, key source: it is missing; write source = \"…\": a capture of which meter, or computed from what",
        "mine.toml, line 12, key frame: the frame is no answer to a read: no sound frame is in it; look at length and checksum",
        "mine.toml, line 13, key readings: it must be the value in quotes, with all its digits: \"220.0\"",
    ] {
        assert!(faults.iter().any(|fault| fault == wanted), "{wanted}: {faults:#?}");
    }
    let text = text.replace("protocl = \"x\"", "protocol = \"dlt645-2007\"").replace("0202", "02920200");
    let faults = read(&text).unwrap_err();
    for wanted in ["line 6, key name", "line 9, key octets", "line 4, key name_zh", "line 4, key sign"] {
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted}: {faults:#?}");
    }
    assert!(read("model = ").unwrap_err()[0].contains("cannot be read as TOML"));
}

#[test]
fn a_test_whose_frame_says_something_else_is_told_with_both() {
    let text = format!(
        "{HEAD}{CURRENT}[[test]]\nframe = \"68 34 12 00 00 00 00 68 91 06 33 34 35 35 38 55 0B 16\"\n\
         source = \"s\"\nreadings = {{ current_l1 = \"22.06\", x = \"1\" }}\n"
    );
    let faults = read(&text).unwrap().run_tests().unwrap_err().to_string();
    assert_eq!(
        faults,
        "mine.toml, line 19, key readings: current_l1: the frame says 22.05, the test expects 22.06\n\
         mine.toml, line 19, key readings: x: the frame says nothing, the test expects 1"
    );
}

#[test]
fn a_misspelt_profile_is_answered_with_the_nearest() {
    let unknown = Profile::named("lv-braker").unwrap_err();
    assert_eq!(unknown.to_string(), "no profile is called lv-braker; did you mean lv-breaker?");
    assert!(Profile::named("x").unwrap_err().to_string().contains("or one of: clou-1997, "));
}

#[test]
fn looking_up_in_a_profile_allocates_nothing() {
    let table = named("lv-breaker");
    for di in [0x0293_0100, 0x0293_FF00, 0x0201_0100, 0x0201_FF00, 0x0999_0000] {
        let counted = allocation_counter::measure(|| {
            std::hint::black_box(table.by_di(Di::new(di)));
        });
        assert_eq!(counted.count_total, 0, "{di:08X}");
    }
}

#[test]
fn the_profile_that_the_readme_shows_is_sound_and_passes_its_test() {
    let page = include_str!("../../README.md");
    let (_, behind) = page.split_once("```toml\n").unwrap();
    let profile = read(behind.split_once("```").unwrap().0).unwrap();
    assert_eq!(profile.tests(), 1);
    profile.run_tests().unwrap();
}

/// Whatever words a Modbus meter may give: what is read of them is encoded to words that are read so again.
#[test]
fn what_any_register_of_a_modbus_meter_decodes_it_encodes_again() {
    let mut seed = Seed(645);
    let mut values = 0;
    for profile in Profile::all().filter(|profile| profile.standard() == Standard::Modbus) {
        for register in own(profile) {
            let count = usize::from(register.location().unwrap().span.count);
            for n in 0..40 {
                // Small numbers are what meters hold.
                let words: Vec<u16> = (0..count)
                    .map(|at| if n % 2 == 0 && at + 1 < count { 0 } else { seed.below(1 << 16) as u16 })
                    .collect();
                let Ok(value) = register.decode_words(&words, 0) else { continue };
                let Ok(again) = register.encode_words(value) else { panic!("{register:?} {value}") };
                assert_eq!(
                    register.decode_words(&again, 0),
                    Ok(value),
                    "{register:?} {words:04X?} {again:04X?}"
                );
                values += 1;
            }
        }
    }
    assert!(values > 10_000, "{values}");
}
