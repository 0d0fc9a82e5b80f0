//! Late answers: a Modbus answer does not say which registers it has.

use catalogue::Profile;
use jiff::Timestamp;
use meterd::bus::port::Opener;
use meterd::bus::talk::{Asked, Patience, Talk};
use meterd::clock::Clock;
use meterd::config::Protocol;
use meterd::planner::Line;
use meterd::reading::Reason;
use meterd::simulator::{
    Dice, FixedWords, Injection, LineFault, ModbusMeter, ModbusSettings, Pair, VirtualLine, in_memory,
};
use modbus::{Function, Span, UnitId};
use std::time::Duration;

const EXCHANGES: u32 = 100_000;
const SEED: u64 = 645;
/// Registers of one length by one function, which no answer tells apart.
const PLACES: u16 = 40;

fn span(place: u16) -> Span {
    Span { function: Function::Input, address: 2 * place, count: 2 }
}

/// What stands at a place of a unit, and nowhere else.
fn words(unit: UnitId, place: u16) -> Vec<u16> {
    vec![u16::from(unit.get()) << 8 | 0x55, 0xA000 | place]
}

#[tokio::test(start_paused = true)]
async fn late_replies_are_credited_to_no_other_register() {
    let profile = Profile::named("eastron-sdm630").unwrap();
    let units = [3, 4].map(|unit| UnitId::new(unit).unwrap());
    let meters = units.map(|unit| {
        let mut settings = ModbusSettings::new(unit, profile);
        let fixed = (0..PLACES).map(|place| (span(place), FixedWords::Words(words(unit, place))));
        settings.fixed = fixed.collect();
        settings.meter.response_delay = Duration::from_millis(30);
        ModbusMeter::new(settings, SEED)
    });
    let line = Line { baud: 9600, ..Line::DEFAULT };
    let clock = Clock::virtual_at("2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap());
    let late = Injection { fault: LineFault::Late, rate: 0.2 };
    let pair = Pair::from(VirtualLine::new(Vec::new()).with_modbus(meters.to_vec())).at(line).with_faults(
        &[late],
        SEED,
        true,
    );
    let (opener, wire) = in_memory(pair, clock.clone(), 0);
    let mut talk = Talk::new(Opener::Memory(opener), line, clock.clone());
    let mut dice = Dice::new(SEED);
    let (mut answered, mut silent, mut wrong) = (0, 0, 0);
    for _ in 0..EXCHANGES {
        let unit = units[usize::try_from(dice.between(0, 1)).unwrap()];
        let place = u16::try_from(dice.between(0, u64::from(PLACES) - 1)).unwrap();
        let asked = Asked { protocol: Protocol::ModbusRtu(unit), line, preamble: 0 };
        let deadline = Duration::from_millis(100 + dice.between(0, 400));
        let retries = u32::try_from(dice.between(0, 1)).unwrap();
        let patience =
            Patience { first_octet: deadline, again: deadline, retries, turnaround: Duration::ZERO };
        match talk.read(asked, span(place).into(), patience).await {
            Ok(answer) => {
                answered += 1;
                let own: Vec<u8> = words(unit, place).iter().flat_map(|word| word.to_be_bytes()).collect();
                wrong += u32::from(answer.octets != own);
            }
            Err(none) => {
                assert!(matches!(none.reason, Reason::Silent | Reason::Stray | Reason::Damaged), "{none:?}");
                silent += 1;
            }
        }
    }
    println!(
        "late replies: {EXCHANGES} exchanges, {answered} answered, {silent} not, {wrong} credited to a wrong register, seed {SEED}"
    );
    assert_eq!(wrong, 0);
    assert!(silent > EXCHANGES / 20 && answered > EXCHANGES / 2, "{silent} {answered}");
    drop(talk);
    wire.ended().await.unwrap();
}
