use super::super::line::{Log, Sender, VirtualLine};
use super::super::pair::Pair;
use super::measured::Named;
use super::*;
use crate::planner::Line;
use catalogue::{Register, Standard};
use dlt645::Di;
use jiff::SignedDuration;
use modbus::Type;
use std::collections::BTreeSet;
use std::time::Duration;

const SEED: u64 = 7;

fn now() -> Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

fn unit(number: u8) -> UnitId {
    UnitId::new(number).unwrap()
}

fn settings(number: u8, profile: &str) -> ModbusSettings {
    let mut settings = ModbusSettings::new(unit(number), Profile::named(profile).unwrap());
    settings.meter.energy = 1_234_567;
    settings
}

fn meter(number: u8, profile: &str) -> ModbusMeter {
    ModbusMeter::new(settings(number, profile), SEED)
}

fn line(meters: &[(u8, &str)]) -> VirtualLine {
    let meters = meters.iter().map(|(number, profile)| meter(*number, profile));
    VirtualLine::new(Vec::new()).with_modbus(meters.collect()).logged(Log::keeping(1000))
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

fn models() -> impl Iterator<Item = &'static Profile> {
    Profile::all().filter(|profile| profile.standard() == Standard::Modbus)
}

/// How far a value that was read may be from what was measured: half a digit, or what a float cannot hold.
fn apart(register: Register, measured: Decimal) -> Decimal {
    let format = &register.location().unwrap().format;
    let digit = Decimal::new(1, format.decimals().into());
    match format.kind {
        Type::F32 => digit + measured.abs() / Decimal::from(1 << 23),
        Type::U16
        | Type::I16
        | Type::U32
        | Type::I32
        | Type::U64
        | Type::I64
        | Type::F64
        | Type::Bcd { .. }
        | Type::Text { .. }
        | Type::Bits { .. } => digit,
    }
}

#[test]
fn every_register_of_every_profile_is_answered_with_what_its_house_measures() {
    let (mut profiles, mut registers) = (0, 0);
    for profile in models() {
        profiles += 1;
        for map in 0..profile.manner().unwrap().maps.len().max(1) {
            let mut settings = settings(17, profile.name());
            (settings.map, settings.ct, settings.pt) = (map, Decimal::from(40), Decimal::from(100));
            let meter = ModbusMeter::new(settings, SEED);
            let mut line = VirtualLine::new(Vec::new()).with_modbus(vec![meter.clone()]);
            let is_own = |own: &Option<u8>| own.is_none_or(|own| usize::from(own) == map);
            for register in profile.catalogue().registers() {
                let location = register.location().unwrap();
                if !is_own(&location.map) {
                    continue;
                }
                registers += 1;
                let asked = Request::read(17, location.span).to_rtu();
                let came = line.hear(&asked, now());
                assert_eq!(came.len(), 1, "{profile:?} {register:?}");
                let words = Reply::parse(&came[0].octets).unwrap().words();
                let words =
                    words.unwrap_or_else(|| panic!("{profile:?} {register:?} {:02X?}", came[0].octets));
                let read = register.decode_words(&words, 0).unwrap_or_else(|e| panic!("{register:?} {e:?}"));
                let Some(read) = read.number() else { continue };
                let name = register.name().to_string();
                let probed = profile.manner().unwrap().maps.get(map).filter(|own| own.probe == location.span);
                if let Some(first) = probed.and_then(|own| own.values.first()) {
                    assert_eq!(read, Decimal::from(*first), "{name}");
                    continue;
                }
                let named = Named::of(&name, register.quantity(), location.primary);
                let ratios = Ratios { ct: Decimal::from(40), pt: Decimal::from(100) };
                let measured = named.value(&meter.house, ratios, now()).unwrap();
                let off = (read - measured).abs().min((read - measured.abs()).abs());
                assert!(off <= apart(register, measured), "{profile:?} {name}: {read}, measured {measured}");
            }
        }
    }
    assert!(profiles >= 12 && registers > 450, "{profiles} profiles, {registers} registers");
}

#[test]
fn names_of_the_standard_are_what_a_meter_of_dlt_645_answers_in_the_same_house() {
    let meter = meter(17, "eastron-sdm630");
    let house = VirtualMeter::new(meter.settings().meter.clone(), SEED);
    for (name, di) in [
        ("voltage_l2", 0x0201_0200),
        ("current_l3", 0x0202_0300),
        ("active_power", 0x0203_0000),
        ("active_energy_import", 0x0001_0000),
        ("frequency", 0x0280_0002),
    ] {
        let register = Profile::named("eastron-sdm630").unwrap().catalogue().by_name(name).unwrap();
        let words = meter.read(register.location().unwrap().span, now()).unwrap();
        let read = register.decode_words(&words, 0).unwrap().number().unwrap();
        let answered = house.value(Di::new(di), now()).unwrap().number().unwrap();
        assert!((read - answered).abs() <= apart(register, answered), "{name}: {read} and {answered}");
    }
}

#[test]
fn what_cannot_be_answered_is_an_exception_of_its_kind() {
    let meter = meter(1, "eastron-sdm630");
    let refused = |text: &str| meter.read(span(text), now()).unwrap_err().code();
    assert_eq!(refused("04 0000+81"), 3, "more than 80 registers");
    assert_eq!(meter.read(Span { count: 0, ..span("04 0000+2") }, now()), Err(Exception::IllegalDataValue));
    assert_eq!(refused("04 0001+2"), 2, "an odd address");
    assert_eq!(refused("04 0502+4"), 2, "beyond the last");
    assert_eq!(refused("03 0000+2"), 2, "before the first of the function");
    assert_eq!(refused("04 FFFE+2"), 2);
    let over_a_gap = meter.read(span("04 002A+6"), now()).unwrap();
    assert_eq!(over_a_gap[2..4], [0, 0], "no register is at 002C");
    assert!(over_a_gap[4..] != [0, 0]);

    let without_gaps = self::meter(1, "chint-ddsu666");
    assert_eq!(without_gaps.read(span("04 2006+6"), now()), Err(Exception::IllegalDataAddress));
    assert!(without_gaps.read(span("04 2000+8"), now()).is_ok());

    let mut line = line(&[(1, "eastron-sdm630")]);
    let mut asked = |pdu: &[u8]| {
        let came = line.hear(&Request::of_pdu(1, pdu).unwrap().to_rtu(), now());
        Reply::parse(&came[0].octets).unwrap().exception().map(Exception::code)
    };
    assert_eq!(asked(&[0x06, 0, 0, 0, 1]), Some(1), "nothing can be written");
    assert_eq!(asked(&[0x10, 0, 0, 0, 1, 2, 0, 1]), Some(1));
    assert_eq!(asked(&[0x42]), Some(1));
    assert_eq!(asked(&[0x04, 0, 0, 0, 126]), Some(3));
    assert_eq!(asked(&[0x04, 0, 0, 0, 0]), Some(3));
    assert_eq!(asked(&[0x04, 0, 0]), Some(3));
}

#[test]
fn registers_of_another_map_are_not_there_and_the_probe_is_answered() {
    let map = |map| {
        let mut settings = settings(1, "chint-dtsu666");
        settings.map = map;
        ModbusMeter::new(settings, SEED)
    };
    let (first, second) = (map(0), map(1));
    assert!(first.read(span("03 101E+2"), now()).is_ok() && second.read(span("03 401E+2"), now()).is_ok());
    assert_eq!(first.read(span("03 401E+2"), now()), Err(Exception::IllegalDataAddress));
    assert_eq!(second.read(span("03 101E+2"), now()), Err(Exception::IllegalDataAddress));
    // Read by itself it is the code, else a part of the voltage before it.
    let gavazzi = meter(1, "carlo-gavazzi-em24");
    assert_eq!(gavazzi.read(span("04 000B+1"), now()), Ok(vec![70]));
    assert_ne!(gavazzi.read(span("04 000A+2"), now()).unwrap()[1], 70);
}

#[test]
fn ratios_are_registers_and_primary_values_are_behind_them() {
    let mut own = settings(1, "acrel-adl400");
    own.ct = Decimal::from(40);
    let meter = ModbusMeter::new(own, SEED);
    assert_eq!(meter.read(span("03 008D+2"), now()), Ok(vec![1, 40]));
    let number = |name: &str| {
        let register = meter.settings.profile.catalogue().by_name(name).unwrap();
        let words = meter.read(register.location().unwrap().span, now()).unwrap();
        register.decode_words(&words, 0).unwrap().number().unwrap()
    };
    let (secondary, primary) = (number("active_power"), number("primary_active_power"));
    assert!((secondary * Decimal::from(40) - primary).abs() <= Decimal::new(40, 3), "{secondary} {primary}");
}

#[test]
fn what_a_scenario_fixed_comes_before_what_is_measured() {
    let mut own = settings(1, "eastron-sdm630");
    own.fixed.insert(span("04 0000+2"), FixedWords::Words(vec![0x4366, 0x3334]));
    own.fixed.insert(span("04 0006+2"), FixedWords::Refused);
    own.fixed.insert(span("04 002C+2"), FixedWords::Words(vec![1, 2]));
    let meter = ModbusMeter::new(own, SEED);
    assert_eq!(meter.read(span("04 0000+4"), now()).unwrap()[..2], [0x4366, 0x3334]);
    assert_eq!(meter.read(span("04 0004+4"), now()), Err(Exception::IllegalDataAddress));
    assert_eq!(meter.read(span("04 002C+2"), now()), Ok(vec![1, 2]));
}

#[test]
fn on_a_mixed_line_everyone_answers_for_itself_and_nobody_else() {
    let electricity = VirtualMeter::new(MeterSettings::household("104".parse().unwrap()), SEED);
    let modbus = vec![meter(1, "eastron-sdm630"), meter(104, "chint-ddsu666")];
    let mut line = VirtualLine::new(vec![electricity]).with_modbus(modbus).logged(Log::keeping(100));
    let mut read = Vec::new();
    dlt645::pdu::Request::Read { address: "104".parse().unwrap(), di: Di::new(0x0201_0100) }
        .emit(4, &mut read);
    let rtu = |unit, text| Request::read(unit, span(text)).to_rtu();
    let (one, other) = (rtu(1, "04 0000+2"), rtu(104, "04 2000+2"));
    let asked: [(&[u8], Option<Sender>); 6] = [
        (&read, Some(Sender::Dlt645("104".parse().unwrap()))),
        (&one, Some(unit(1).into())),
        (&other, Some(unit(104).into())),
        (&rtu(2, "04 0000+2"), None),
        (&rtu(0, "04 0000+2"), None),
        (&rtu(248, "04 0000+2"), None),
    ];
    let mut at = now();
    for (octets, sender) in asked.into_iter().cycle().take(30) {
        let before = line.sent().len();
        at += SignedDuration::from_secs(1);
        assert_eq!(line.hear(octets, at).len(), usize::from(sender.is_some()));
        assert_eq!(line.sent().get(before).map(|sent| sent.meter), sender);
    }
    let sent = line.sent();
    let said = sent.iter().find(|sent| sent.meter.unit() == Some(unit(1))).map(|sent| sent.said.clone());
    let words = line.modbus()[0].read(span("04 0000+2"), at).unwrap();
    assert!(
        matches!(&said, Some(Said::Registers { span, words: said }) if *span == self::span("04 0000+2") && said.len() == words.len())
    );
    let damaged = [&one[..7], &[one[7] ^ 1]].concat();
    assert_eq!(line.hear(&damaged, at), [], "a wrong CRC");
}

#[test]
fn a_request_is_heard_after_three_and_a_half_characters_of_silence_and_no_sooner() {
    let rate = Line { baud: 9600, ..Line::DEFAULT };
    let (mut heard, request) = (BTreeSet::new(), Request::read(1, span("04 0000+2")).to_rtu());
    for tenths in (0..100).step_by(5) {
        let mut pair = Pair::from(line(&[(1, "eastron-sdm630")])).at(rate);
        let log = Log::keeping(9);
        pair = pair.logged(log.clone());
        let mut ask = |at: Duration| {
            let _ = pair.hear(&request, at, now(), None);
            let mut last = at;
            while let Some(due) = pair.due() {
                last = due;
                pair.deliver(due);
            }
            last
        };
        let answered = ask(Duration::ZERO);
        ask(answered + rate.octets(1) * tenths / 10);
        if log.sent().len() == 2 {
            heard.insert(tenths);
        }
    }
    assert_eq!(heard.first(), Some(&35), "{heard:?}");
    assert_eq!(heard.len(), 13);
}

#[test]
fn meters_of_both_kinds_understand_their_own_rate_alone() {
    let mut own = settings(1, "eastron-sdm630");
    own.meter.baud = Some(9600);
    let electricity = VirtualMeter::new(MeterSettings::household("1".parse().unwrap()), SEED);
    let line = VirtualLine::new(vec![electricity]).with_modbus(vec![ModbusMeter::new(own, SEED)]);
    let log = Log::keeping(9);
    let mut pair = Pair::from(line).at(Line::DEFAULT).logged(log.clone());
    let mut read = Vec::new();
    dlt645::pdu::Request::Read { address: "1".parse().unwrap(), di: Di::new(0x0201_0100) }.emit(0, &mut read);
    let asked = Request::read(1, span("04 0000+2")).to_rtu();
    let mut second = 0;
    for baud in [2400, 9600] {
        for octets in [&read, &asked] {
            second += 1;
            let told = Some(Line { baud, ..Line::DEFAULT });
            let _ = pair.hear(octets, Duration::from_secs(second), now(), told);
            while let Some(due) = pair.due() {
                pair.deliver(due);
            }
        }
    }
    let senders: Vec<_> = log.sent().iter().map(|sent| sent.meter.to_string()).collect();
    assert_eq!(senders, ["000000000001", "1"]);
}

#[test]
fn the_same_seed_gives_the_same_words_and_another_gives_others() {
    let words = |seed| ModbusMeter::new(settings(9, "abb-b23"), seed).read(span("03 5B14+8"), now()).unwrap();
    assert_eq!(words(1), words(1));
    assert_ne!(words(1), words(2));
}

#[test]
fn a_meter_of_one_phase_has_no_value_of_the_others() {
    let mut own = settings(1, "abb-b23");
    own.meter.phases = super::super::Phases::One;
    let meter = ModbusMeter::new(own, SEED);
    assert_eq!(meter.read(span("03 5B02+2"), now()), Ok(vec![0xFFFF; 2]));
}
