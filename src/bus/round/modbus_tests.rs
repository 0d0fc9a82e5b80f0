//! What a round makes of Modbus meters: maps, ratios, requests that are refused at once.

use super::*;
use crate::bus::exchange::Noted;
use crate::planner::Line;
use crate::reading::Quality;
use catalogue::{Profile, Standard};
use dlt645::Address;
use modbus::{Exception, Function};
use std::collections::BTreeMap;
use std::time::Duration;

/// The registers that a meter holds, by function and address; what is not there it refuses.
struct Held {
    words: BTreeMap<(Function, u16), u16>,
    /// Spans that it does not give at once.
    refuses: fn(Span) -> bool,
    asked: Vec<String>,
}

impl Held {
    fn of(profile: &str, values: &[(&str, &str)]) -> Self {
        let mut words = BTreeMap::new();
        for (name, value) in values {
            let register = find(profile, &[name])[0];
            let own = register.encode_words(dlt645::format::Value::Number(value.parse().unwrap())).unwrap();
            put(&mut words, register.location().unwrap().span, &own);
        }
        Self { words, refuses: |_| false, asked: Vec::new() }
    }

    fn answer(&mut self, span: Span) -> Result<Answer, NoReply> {
        self.asked.push(span.to_string());
        let held =
            (span.address..).take(span.count.into()).map(|at| self.words.get(&(span.function, at)).copied());
        let words: Option<Vec<u16>> = held.collect();
        match words.filter(|_| !(self.refuses)(span)) {
            Some(words) => Ok(Answer {
                from: Address::ANY,
                octets: words.iter().flat_map(|word| word.to_be_bytes()).collect(),
                taken_at: Timestamp::UNIX_EPOCH,
                delay: Duration::ZERO,
                tries: 1,
                noted: Noted::default(),
            }),
            None => Err(refusal(Exception::IllegalDataAddress)),
        }
    }

    fn read(&mut self, round: &mut Round) {
        while let Some(ask) = round.next() {
            let span = ask.subject.id().span().unwrap();
            round.take(self.answer(span));
        }
    }
}

fn put(words: &mut BTreeMap<(Function, u16), u16>, span: Span, own: &[u16]) {
    words.extend((span.address..).zip(own).map(|(at, word)| ((span.function, at), *word)));
}

fn refusal(exception: Exception) -> NoReply {
    NoReply { exception: Some(exception), ..NoReply::of(Reason::Refused, exception.to_string()) }
}

fn find(profile: &str, names: &[&str]) -> Vec<Register> {
    let table = Profile::named(profile).unwrap().catalogue();
    names.iter().flat_map(|name| table.find(name, 4).unwrap()).collect()
}

fn round_of(profile: &str, names: &[&str], of: Point) -> Round {
    let costs = Costs::of(
        Line { baud: 9600, ..Line::DEFAULT },
        Standard::Modbus,
        Profile::named(profile).unwrap().manner(),
    );
    Round::new(&find(profile, names), BTreeSet::new(), costs, of)
}

fn values(decoded: &Decoded) -> Vec<String> {
    let text = |reading: &crate::reading::Reading| {
        let primary = reading.primary.map(|primary| format!(" x{}={}", primary.ratio, primary.value));
        format!("{}={}{}", reading.register.name(), reading.value().unwrap(), primary.unwrap_or_default())
    };
    decoded.readings.iter().map(text).collect()
}

#[test]
fn which_energy_block_a_dtsu666_has_is_found_out_once() {
    const NAMES: [&str; 2] = ["active_energy_import", "active_energy_export"];
    for (map, at) in [(0, [0x101E, 0x1028]), (1, [0x401E, 0x4028])] {
        let mut held = Held { words: BTreeMap::new(), refuses: |_| false, asked: Vec::new() };
        for (address, words) in at.into_iter().zip([[0x4640, 0xE400], [0x4120, 0x0000]]) {
            put(&mut held.words, Span { function: Function::Holding, address, count: 2 }, &words);
        }
        // Its own ratios, as it is shipped.
        put(&mut held.words, Span { function: Function::Holding, address: 0x0006, count: 2 }, &[1, 10]);
        let mut round = round_of("chint-dtsu666", &NAMES, Point::default());
        held.read(&mut round);
        assert_eq!(round.map(), Some(map));
        let decoded = round.finish();
        assert_eq!(values(&decoded).len(), 2, "{:?} {:?}", held.asked, decoded.failures);
        assert!(values(&decoded)[0].starts_with("active_energy_import=12345"), "{:?}", values(&decoded));
        // Once it is known it is not asked for any more.
        let probes = held.asked.len();
        let mut again = round_of("chint-dtsu666", &NAMES, Point { map: Some(map), ..Point::default() });
        held.read(&mut again);
        assert_eq!(again.finish().readings, decoded.readings);
        assert!(held.asked.len() < 2 * probes, "{:?}", held.asked);
    }
}

#[test]
fn a_meter_with_another_identification_gives_no_values() {
    let mut held = Held::of("carlo-gavazzi-em24", &[]);
    put(&mut held.words, Span { function: Function::Holding, address: 0x000B, count: 1 }, &[1650]);
    put(&mut held.words, Span { function: Function::Input, address: 0x000B, count: 1 }, &[1650]);
    let mut round = round_of("carlo-gavazzi-em24", &["active_energy_import", "voltage_l1"], Point::default());
    held.read(&mut round);
    let decoded = round.finish();
    assert_eq!((decoded.readings.len(), decoded.failures.len()), (0, 2));
    assert!(
        decoded.failures.iter().all(|f| f.reason == Reason::Refused && f.detail.contains("1650")),
        "{decoded:?}"
    );
}

#[test]
fn values_of_the_secondary_side_get_the_meters_own_ratio_where_the_archive_has_none() {
    let names = ["voltage_l1", "current_l1", "active_energy_import", "frequency"];
    let set = [
        ("voltage_l1", "100.1"),
        ("current_l1", "1.23"),
        ("active_energy_import", "1234.56"),
        ("frequency", "50.00"),
        ("ct_ratio_display", "40"),
        ("pt_ratio_display", "100"),
    ];
    let mut held = Held::of("acrel-adl400", &set);
    let mut round = round_of("acrel-adl400", &names, Point::default());
    held.read(&mut round);
    let own = round.finish();
    assert_eq!(
        values(&own),
        [
            "voltage_l1=100.1 x100=10010.0",
            "current_l1=1.23 x40=49.20",
            "active_energy_import=1234.56 x4000=4938240.00",
            "frequency=50.00 x1=50.00"
        ],
        "{:?}",
        own.failures
    );
    let transformers = Transformers { ct: "75/5".parse().ok(), pt: None, multiplier: None };
    let mut round = round_of("acrel-adl400", &names, Point { transformers, ..Point::default() });
    held.read(&mut round);
    assert_eq!(values(&round.finish())[1], "current_l1=1.23 x15=18.45", "the archive goes before");
    // A ratio that cannot be read is no ratio of 1.
    held.words.retain(|(_, at), _| !matches!(at, 0x008D | 0x008E));
    let mut round = round_of("acrel-adl400", &names, Point::default());
    held.read(&mut round);
    let unknown = round.finish();
    assert!(
        unknown.readings.iter().all(|r| r.primary.is_none() && r.quality == Quality::Suspect),
        "{unknown:?}"
    );
}

#[test]
fn a_value_of_the_primary_side_is_multiplied_by_no_ratio() {
    let transformers = Transformers { ct: "75/5".parse().ok(), pt: None, multiplier: None };
    let mut held = Held::of("acrel-adl400", &[("primary_current_l1", "123.45")]);
    let mut round =
        round_of("acrel-adl400", &["primary_current_l1"], Point { transformers, ..Point::default() });
    held.read(&mut round);
    assert_eq!(values(&round.finish()), ["primary_current_l1=123.45"]);
    assert_eq!(held.asked.len(), 1, "and the meter's ratios are not asked for");
}

#[test]
fn a_request_that_is_refused_is_split_until_the_register_is_found_that_the_meter_lacks() {
    let names = ["voltage_l*", "current_l*", "active_power_l*"];
    let set: Vec<(String, &str)> = ["voltage", "current", "active_power"]
        .iter()
        .flat_map(|name| (1..=3).map(move |n| (format!("{name}_l{n}"), "1.5")))
        .filter(|(name, _)| name != "current_l2")
        .collect();
    let set: Vec<(&str, &str)> = set.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let mut held = Held::of("eastron-sdm630", &set);
    let mut round = round_of("eastron-sdm630", &names, Point::default());
    held.read(&mut round);
    let lessons: Vec<Lesson> = round.lessons().collect();
    let lacks: Vec<Identifier> = lessons
        .iter()
        .filter_map(|lesson| if let Lesson::Lacks(id) = lesson { Some(*id) } else { None })
        .collect();
    assert_eq!(lacks, [find("eastron-sdm630", &["current_l2"])[0].id()], "{:?}", held.asked);
    let decoded = round.finish();
    assert_eq!((decoded.readings.len(), decoded.failures.len()), (8, 1));
    // What was learned is not tried again: two requests around it, and it is failed unasked.
    held.asked.clear();
    let costs = Costs::of(
        Line { baud: 9600, ..Line::DEFAULT },
        Standard::Modbus,
        Profile::named("eastron-sdm630").unwrap().manner(),
    );
    let refused = lacks.into_iter().collect();
    let mut again = Round::new(&find("eastron-sdm630", &names), refused, costs, Point::default());
    held.read(&mut again);
    let decoded = again.finish();
    assert_eq!((decoded.readings.len(), decoded.failures.len()), (8, 1));
    assert_eq!(held.asked, ["04 0000+8", "04 000A+8"]);
}

#[test]
fn a_gap_that_a_meter_refuses_is_remembered_and_not_its_neighbours() {
    let names = ["voltage_l3", "active_power_l1"];
    let mut held = Held::of("eastron-sdm630", &[("voltage_l3", "230.1"), ("active_power_l1", "0.1")]);
    let mut round = round_of("eastron-sdm630", &names, Point::default());
    held.read(&mut round);
    assert_eq!(held.asked, ["04 0004+10", "04 0004+2", "04 000C+2"]);
    let lacks: BTreeSet<Identifier> = round
        .lessons()
        .filter_map(|lesson| if let Lesson::Lacks(id) = lesson { Some(id) } else { None })
        .collect();
    assert_eq!(lacks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["04 0006+6"]);
    held.asked.clear();
    let costs = Costs::of(
        Line { baud: 9600, ..Line::DEFAULT },
        Standard::Modbus,
        Profile::named("eastron-sdm630").unwrap().manner(),
    );
    let mut again = Round::new(&find("eastron-sdm630", &names), lacks, costs, Point::default());
    held.read(&mut again);
    assert_eq!(
        (held.asked, again.finish().readings.len()),
        (vec!["04 0004+2".into(), "04 000C+2".into()], 2)
    );
}

#[test]
fn a_meter_that_is_busy_or_broken_is_not_taken_to_lack_anything() {
    for exception in [Exception::Busy, Exception::DeviceFailure, Exception::GatewayPath] {
        let mut round = round_of("eastron-sdm630", &["voltage_l*"], Point::default());
        round.take(Err(refusal(exception)));
        assert_eq!((round.lessons().count(), round.next().is_none()), (0, true), "{exception}");
        let decoded = round.finish();
        assert!(
            decoded.failures.iter().all(|f| f.reason == Reason::Refused && f.detail == exception.to_string())
        );
        assert_eq!(decoded.failures.len(), 3);
    }
}

#[test]
fn a_power_of_ten_that_the_meter_keeps_beside_its_values_moves_the_point() {
    let text = "protocol = \"modbus\"\nmodel = \"with exponents\"\nsource = \"Made up.\"\n\
        register = [\n\
        { address = 10, name = \"voltage_exponent\", type = \"i16\", name_zh = \"电压指数\", quantity = \"parameter\" },\n\
        { address = 0, name = \"voltage_l1\", type = \"u16\", unit = \"V\", exponent = \"voltage_exponent\" },\n]\n";
    let profile: &'static Profile = Box::leak(Box::new(Profile::read("own", "own.toml", text).unwrap()));
    let wanted = profile.catalogue().find("voltage_l1", 0).unwrap();
    let line = Line { baud: 9600, ..Line::DEFAULT };
    let costs = Costs::of(line, profile.standard(), profile.manner());
    let holding = |address| Span { function: Function::Holding, address, count: 1 };
    for (exponent, shown) in [(0xFFFE_u16, Some("23.05")), (1, Some("23050")), (0x0400, None)] {
        let mut held = Held { words: BTreeMap::new(), refuses: |_| false, asked: Vec::new() };
        (0..=10).for_each(|at| put(&mut held.words, holding(at), &[0]));
        put(&mut held.words, holding(0), &[2305]);
        put(&mut held.words, holding(10), &[exponent]);
        let mut round = Round::new(&wanted, BTreeSet::new(), costs, Point::default());
        held.read(&mut round);
        let decoded = round.finish();
        // What no power of ten is gives no value, and the exponent itself was not wanted.
        let expected: Vec<String> = shown.iter().map(|shown| format!("voltage_l1={shown}")).collect();
        assert_eq!((values(&decoded), decoded.failures.len()), (expected, usize::from(shown.is_none())));
    }
}
