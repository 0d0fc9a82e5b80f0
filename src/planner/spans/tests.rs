//! Which requests bring what of which models.

use super::super::{Line, replan};
use super::*;
use catalogue::{Profile, Standard};
use proptest::prelude::*;

/// The 27 quantities of a three-phase meter.
const QUANTITIES: [&str; 15] = [
    "voltage_l*",
    "current_l*",
    "active_power",
    "active_power_l*",
    "reactive_power",
    "reactive_power_l*",
    "apparent_power",
    "apparent_power_l*",
    "power_factor",
    "power_factor_l*",
    "frequency",
    "active_energy_import",
    "active_energy_export",
    "reactive_energy_import",
    "reactive_energy_export",
];

fn find(profile: &str, names: &[&str]) -> Vec<Register> {
    let table = Profile::named(profile).unwrap().catalogue();
    names.iter().flat_map(|name| table.find(name, 4).unwrap()).collect()
}

fn costs(profile: &str, baud: u32) -> Costs {
    let line = Line { baud, ..Line::DEFAULT };
    Costs::of(line, Standard::Modbus, Profile::named(profile).unwrap().manner())
}

fn asked(profile: &str, names: &[&str]) -> Vec<String> {
    let asks = crate::planner::plan(&find(profile, names), &BTreeSet::new(), &costs(profile, 9600));
    asks.iter().map(|ask| ask.subject.id().to_string()).collect()
}

#[test]
fn the_27_quantities_of_an_sdm630_need_few_requests_and_no_air_time_beside_them() {
    let wanted = find("eastron-sdm630", &QUANTITIES);
    assert_eq!(wanted.len(), 27);
    let costs = costs("eastron-sdm630", 9600);
    let asks = crate::planner::plan(&wanted, &BTreeSet::new(), &costs);
    let spans: Vec<Span> = asks.iter().filter_map(|ask| ask.subject.id().span()).collect();
    assert!(spans.len() <= 5, "{spans:?}");
    assert!(spans.iter().all(|span| span.count <= 80 && span.address % 2 == 0), "{spans:?}");
    // (8 + 5 + 2n) characters of 11 bits, the usual 30 ms and 3.5 characters.
    let character = Duration::from_micros(11 * 1_000_000 / 9600);
    for (ask, span) in asks.iter().zip(&spans) {
        let model =
            character * (13 + 2 * u32::from(span.count)) + Duration::from_millis(30) + character * 7 / 2;
        assert!(ask.air_time(&costs).abs_diff(model) < Duration::from_millis(1), "{span}");
    }
    println!("27 quantities of an SDM630: {} request(s), {spans:?}", spans.len());
}

#[test]
fn what_is_far_away_is_asked_for_by_itself_and_a_gap_is_bridged_where_that_is_cheaper() {
    // Six registers between them cost less than another request; 68 cost more.
    assert_eq!(asked("eastron-sdm630", &["voltage_l3", "active_power_l1"]), ["04 0004+10"]);
    assert_eq!(asked("eastron-sdm630", &["voltage_l1", "frequency"]), ["04 0000+2", "04 0046+2"]);
    assert_eq!(
        asked("eastron-sdm630", &["voltage_l1", "active_energy_import_l1"]),
        ["04 0000+2", "04 015A+2"]
    );
    // The scales that others need come first; what is alone stays alone.
    assert_eq!(
        asked("chint-ddsu666", &["voltage_l1", "frequency"]),
        ["04 2000+2", "04 200E+2"],
        "it has no gaps"
    );
    assert_eq!(asked("acrel-adl400", &["voltage_l1"])[0], "03 008D+2", "its own ratios");
}

#[test]
fn a_meter_that_refuses_gaps_is_asked_only_for_registers_that_it_has() {
    let wanted = find("chint-dtsu666", &["voltage_l*", "active_power", "power_factor", "frequency"]);
    let asks = crate::planner::plan(&wanted, &BTreeSet::new(), &costs("chint-dtsu666", 9600));
    let table = Profile::named("chint-dtsu666").unwrap().catalogue();
    let held: Vec<Span> = table.registers().filter_map(|own| own.location().map(|own| own.span)).collect();
    for span in asks.iter().filter_map(|ask| ask.subject.id().span()) {
        for address in u32::from(span.address)..span.end() {
            let holds = |own: &Span| (u32::from(own.address)..own.end()).contains(&address);
            assert!(held.iter().any(holds), "{span} reaches over {address:04X}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever is wanted and was refused: each register comes once, in a request that holds it, that the meter takes.
    #[test]
    fn every_wanted_register_lies_in_exactly_one_request(
        profile in 0..12_usize,
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 1..40),
        lost in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
        baud in proptest::sample::select(vec![1200, 9600, 115_200]),
    ) {
        let name = modbus::tables::PROFILES[profile].0;
        let table = Profile::named(name).unwrap().catalogue();
        let manner = table.manner().unwrap();
        let all: Vec<Register> = table.registers().filter(|own| own.location().unwrap().map.is_none_or(|map| map == 0)).collect();
        let mut wanted: Vec<Register> = Vec::new();
        for pick in picks {
            let register = *pick.get(&all);
            if !wanted.contains(&register) {
                wanted.push(register);
            }
        }
        let refused: BTreeSet<Identifier> = lost.iter().map(|pick| pick.get(&all).id()).collect();
        let costs = costs(name, baud);
        let asks = replan(&wanted, &refused, &costs);
        let held: Vec<Register> = asks.iter().flat_map(|ask| ask.wanted.to_vec()).collect();
        prop_assert_eq!(held.len(), wanted.len());
        for register in &wanted {
            prop_assert!(held.contains(register));
        }
        for ask in &asks {
            let span = ask.subject.id().span().unwrap();
            for register in &*ask.wanted {
                let location = register.location().unwrap();
                prop_assert!(span.contains(&location.span), "{} {}", span, location.span);
                prop_assert!(!location.alone || span == location.span);
            }
            if ask.wanted.len() > 1 {
                prop_assert!(span.count <= manner.most && span.address.is_multiple_of(manner.align));
                prop_assert!(!refused.iter().any(|id| span.contains(&id.span().unwrap())));
            }
        }
        // No more air time than each by itself.
        let together: Duration = asks.iter().map(|ask| ask.air_time(&costs)).sum();
        let singly: Duration = wanted.iter().map(|register| costs.single(register)).sum();
        prop_assert!(together <= singly);
    }
}
