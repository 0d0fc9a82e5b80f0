//! What a scenario says about a Modbus meter: its unit, its model and map, transformers, what it is made to answer.

use super::super::meter::MeterSettings;
use super::super::modbus::{FixedWords, ModbusSettings};
use super::table::{self, Reader, Section, Span};
use super::{fixed, history};
use ::modbus::{Type, UnitId};
use catalogue::{Profile, Register, Standard};
use dlt645::format::{Text, Value};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;
use toml::de::DeValue;

/// Reads a `[[meter]]` of Modbus, which has `works` where nothing is said; `None` where what it cannot do without is
/// missing or wrong. Its protocol was read.
pub(super) fn meter(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    span: Span,
    works: &MeterSettings,
) -> Option<ModbusSettings> {
    if !section.has("address") {
        reader.fault(Some(span.clone()), "a [[meter]] of Modbus needs address = \"17\", its unit");
    }
    if !section.has("profile") {
        let message =
            "a [[meter]] of Modbus needs profile = \"eastron-sdm630\"; `meterd profiles` lists them";
        reader.fault(Some(span), message);
    }
    let want = "a Modbus address in quotes, \"1\" to \"247\"";
    let unit = section.get(reader, "address", want, |value| table::written(value)?.parse::<UnitId>().ok());
    let profile = profile(reader, section);
    // What is wrong is said though the meter cannot be made.
    let any = || Profile::all().find(|profile| profile.standard() == Standard::Modbus);
    let mut settings = ModbusSettings::new(unit.or(UnitId::new(1))?, profile.or_else(any)?);
    let known = profile.is_some();
    let own =
        MeterSettings { address: settings.meter.address, phases: settings.meter.phases, ..works.clone() };
    settings.meter = own;

    let maps = settings.profile.manner().map(|manner| &*manner.maps).unwrap_or_default();
    let names: Vec<_> = maps.iter().map(|map| format!("{:?}", &*map.name)).collect();
    let want = match &names[..] {
        [] => "nothing: this profile has one map alone".to_owned(),
        names => names.join(" or "),
    };
    let map = section.get(reader, "map", &want, |value| {
        let name = value.as_str()?;
        maps.iter().position(|map| &*map.name == name).or((!known).then_some(0))
    });
    let mut ratio = |key, want| section.get(reader, key, want, ratio);
    let ct = ratio("ct", "the ratio that the meter is set to, e.g. ct = \"15\" for 75/5");
    let pt = ratio("pt", "the ratio that the meter is set to, e.g. pt = \"100\" for 10000/100");
    super::measures(reader, section, &mut settings.meter);
    settings.meter.memory.power_cuts = history::power_cuts(reader, section).unwrap_or_default();
    settings.map = map.unwrap_or(0);
    settings.ct = ct.unwrap_or(settings.ct);
    settings.pt = pt.unwrap_or(settings.pt);
    if known {
        settings.fixed = answers(reader, section, &settings);
    } else {
        for key in ["fixed", "raw", "refuse"] {
            section.value(key);
        }
    }
    unit.filter(|_| known).map(|_| settings)
}

/// The profile, built-in or a file beside where the program runs.
fn profile(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<&'static Profile> {
    let value = section.value("profile")?;
    let found = match value.get_ref().as_str() {
        Some(name) => crate::config::profile(name, Path::new("")).map_err(|why| why.to_string()),
        None => Err("a name in quotes is one, e.g. \"eastron-sdm630\"".to_owned()),
    };
    let found = found.and_then(|profile| match profile.standard() {
        Standard::Modbus => Ok(profile),
        other @ Standard::Dlt645(_) => Err(format!("profile {} is of {other}", profile.name())),
    });
    found.map_err(|why| reader.fault(Some(value.span()), format!("[[meter]] profile: {why}"))).ok()
}

/// A number above zero.
fn ratio(value: &DeValue<'_>) -> Option<Decimal> {
    Decimal::from_str_exact(&table::written(value)?).ok().filter(|ratio| *ratio > Decimal::ZERO)
}

/// Reads `fixed`, `raw` and `refuse`.
fn answers(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    settings: &ModbusSettings,
) -> BTreeMap<::modbus::Span, FixedWords> {
    let mut all = BTreeMap::new();
    let mut put = |reader: &mut Reader<'_>, place: Span, span: ::modbus::Span, answer: FixedWords| {
        if all.insert(span, answer).is_some() {
            let message = format!("[[meter]] {span} is said twice; keep it in one of fixed, raw and refuse");
            reader.fault(Some(place), message);
        }
    };
    for (key, value) in fixed::entries(reader, section, "fixed", "{ active_power = \"-12.3456\" }") {
        for register in registers(reader, &key, settings) {
            let words = table::written(value.get_ref()).and_then(|text| words(register, &text));
            match register.id().span().zip(words) {
                Some((span, words)) => put(reader, value.span(), span, FixedWords::Words(words)),
                None => {
                    let unit = register.unit().map_or(String::new(), |unit| format!(" in {}", unit.text()));
                    let want = format!("a value{unit} that the register has room for");
                    let key = format!("fixed.{}", key.get_ref());
                    let message = section.says(key, reader.written(value.span()), want);
                    reader.fault(Some(value.span()), message);
                }
            }
        }
    }
    for (key, value) in fixed::entries(reader, section, "raw", "{ active_power = \"C348 0000\" }") {
        let octets = value.get_ref().as_str().and_then(fixed::hex);
        let words = octets.filter(|octets| octets.len().is_multiple_of(2)).map(|octets| {
            octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>()
        });
        for span in spans(reader, &key, settings) {
            match words.clone().filter(|words| words.len() == usize::from(span.count)) {
                Some(words) => put(reader, value.span(), span, FixedWords::Words(words)),
                None => {
                    let want = format!("{} words as on the line, e.g. \"4366 3333\"", span.count);
                    let key = format!("raw.{}", key.get_ref());
                    let message = section.says(key, reader.written(value.span()), want);
                    reader.fault(Some(value.span()), message);
                }
            }
        }
    }
    if let Some(value) = section.value("refuse") {
        match fixed::names(value) {
            Some(names) => {
                for name in names {
                    for span in spans(reader, &name, settings) {
                        put(reader, name.span(), span, FixedWords::Refused);
                    }
                }
            }
            None => {
                let want = "names or registers, e.g. [\"current_l2\", \"04 0034+2\"]";
                let message = section.says("refuse", reader.written(value.span()), want);
                reader.fault(Some(value.span()), message);
            }
        }
    }
    all
}

/// Registers by name or pattern: of several maps those of the meter's own.
fn registers(reader: &mut Reader<'_>, text: &Spanned<String>, settings: &ModbusSettings) -> Vec<Register> {
    let catalogue = settings.profile.catalogue();
    let found = match catalogue.find(text.get_ref(), settings.meter.tariffs) {
        Ok(found) => found,
        Err(unknown) => {
            reader.fault(Some(text.span()), format!("[[meter]] {unknown}"));
            return Vec::new();
        }
    };
    let is_own = |register: &Register| {
        let map = register.location().and_then(|location| location.map);
        map.is_none_or(|map| usize::from(map) == settings.map)
    };
    let same = |register: &Register| {
        let name = register.name().to_string();
        catalogue.registers().find(|other| is_own(other) && other.name().to_string() == name)
    };
    found
        .into_iter()
        .filter_map(|register| if is_own(&register) { Some(register) } else { same(&register) })
        .collect()
}

/// Registers by name or pattern, or any.
fn spans(reader: &mut Reader<'_>, text: &Spanned<String>, settings: &ModbusSettings) -> Vec<::modbus::Span> {
    match text.get_ref().parse() {
        Ok(span) => vec![span],
        Err(_) => registers(reader, text, settings).into_iter().filter_map(|own| own.id().span()).collect(),
    }
}

fn words(register: Register, text: &str) -> Option<Vec<u16>> {
    match register.location()?.format.kind {
        Type::Text { .. } => register.encode_words(Value::Text(Text::new(text)?)).ok(),
        Type::Bits { .. } => Some(register.location()?.format.words(u64::from_str_radix(text, 16).ok()?)),
        Type::U16
        | Type::I16
        | Type::U32
        | Type::I32
        | Type::U64
        | Type::I64
        | Type::F32
        | Type::F64
        | Type::Bcd { .. } => {
            let value = Value::Number(Decimal::from_str_exact(text).ok()?);
            let words = register.encode_words(value).ok()?;
            // What the register would round is another value.
            let read = register.decode_words(&words, 0).ok()?.number()?;
            (read == value.number()?).then_some(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scenario;
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        Scenario::parse("s.toml", text).unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn modbus_meters_stand_beside_others_and_every_key_is_taken() {
        let text = r#"
            [[meter]]
            address = "000000000001"
            [[meter]]
            protocol = "modbus-rtu"
            profile = "chint-dtsu666"
            address = "17"
            map = "401e"
            ct = 40
            pt = "100"
            voltage = "57.7"
            energy = "12.34"
            response_delay = "120ms"
            baud = 9600
            power_cuts = [["2026-11-20T23:30", "2026-11-21T02:00"]]
            fixed = { voltage_l1 = "57.8", active_energy_import = 4128.5 }
            raw = { "03 2012+2" = "4490 8000", power_factor = "7FC0 0000" }
            refuse = ["current_l2"]
        "#;
        let scenario = Scenario::parse("s.toml", text).unwrap();
        let senders: Vec<_> = scenario.senders().map(|meter| meter.to_string()).collect();
        assert_eq!((senders, scenario.is_modbus_tcp), (vec!["000000000001".into(), "17".to_owned()], false));
        let own = &scenario.modbus[0];
        assert_eq!((own.profile.name(), own.map, own.meter.nominal_voltage), ("chint-dtsu666", 1, 577));
        assert_eq!((own.ct, own.pt, own.meter.baud), (Decimal::from(40), Decimal::from(100), Some(9600)));
        assert_eq!((own.meter.memory.power_cuts.len(), own.meter.phases.count()), (1, 3));
        let words = |span: &str| own.fixed[&span.parse().unwrap()].clone();
        // 578 tenths of a volt, as this model has them; the energy of its own map.
        assert_eq!(words("03 2006+2"), FixedWords::Words(vec![0x4410, 0x8000]));
        assert_eq!(words("03 401E+2"), FixedWords::Words(vec![0x4581, 0x0400]));
        assert_eq!(words("03 2012+2"), FixedWords::Words(vec![0x4490, 0x8000]));
        assert_eq!(words("03 202A+2"), FixedWords::Words(vec![0x7FC0, 0]));
        assert_eq!(words("03 200E+2"), FixedWords::Refused);
        assert_eq!(scenario.line().modbus().len(), 1);
    }

    #[test]
    fn every_fault_of_a_modbus_meter_is_told_with_its_line_and_what_to_write() {
        let text = "[[meter]]\nprotocol = \"modbus-rtu\"\nprofile = \"eastron-smd630\"\naddress = \"248\"\n\
                    [[meter]]\nprotocol = \"modbus-rtu\"\n\
                    [[meter]]\nprotocol = \"modbus-rtu\"\nprofile = \"eastron-sdm630\"\naddress = \"3\"\nmap = \"x\"\n\
                    ct = 0\npreamble = 4\nfixed = { voltage_l1 = \"high\", voltage_l9 = 1 }\nraw = { voltage_l1 = \"4366\" }\n\
                    [[meter]]\nprotocol = \"modbus-rtu\"\nprofile = \"clou-1997\"\naddress = 4\n\
                    [[meter]]\nprotocol = \"modbus\"\naddress = \"5\"\n";
        let faults = faults(text);
        let starts = [
            "s.toml:3:11: [[meter]] profile: no profile is called eastron-smd630; did you mean eastron-sdm630?",
            "s.toml:4:11: [[meter]] address = \"248\": write a Modbus address in quotes, \"1\" to \"247\"",
            "s.toml:5:1: a [[meter]] of Modbus needs address = \"17\"",
            "s.toml:5:1: a [[meter]] of Modbus needs profile = ",
            "s.toml:11:7: [[meter]] map = \"x\": write nothing: this profile has one map alone",
            "s.toml:12:6: [[meter]] ct = 0: write the ratio",
            "s.toml:13:1: [[meter]] key \"preamble\" is not known",
            "s.toml:14:24: [[meter]] fixed.voltage_l1 = \"high\": write a value in V that the register has room for",
            "s.toml:14:32: [[meter]] no register is called voltage_l9",
            "s.toml:15:22: [[meter]] raw.voltage_l1 = \"4366\": write 2 words",
            "s.toml:18:11: [[meter]] profile: profile clou-1997 is of DL/T 645-1997",
            "s.toml:21:12: [[meter]] protocol = \"modbus\": write \"dlt645-2007\", \"dlt645-1997\", \"modbus-rtu\" or",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:#?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}\n{start}");
        }
    }

    #[test]
    fn meters_of_modbus_tcp_stand_on_no_line() {
        let of = |protocol: &str, unit: u8| {
            format!("[[meter]]\nprotocol = {protocol:?}\nprofile = \"janitza-umg-b\"\naddress = \"{unit}\"\n")
        };
        let both = of("modbus-tcp", 1) + &of("modbus-tcp", 2);
        assert!(Scenario::parse("s.toml", &both).unwrap().is_modbus_tcp);
        let mixed = of("modbus-tcp", 1) + &of("modbus-rtu", 2);
        assert!(faults(&mixed)[0].starts_with("s.toml:5:1: meters of modbus-tcp stand on no line"));
    }
}
