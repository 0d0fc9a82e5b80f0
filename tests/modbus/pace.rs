//! How near the reader comes to what the line can carry.

use catalogue::Profile;
use jiff::Timestamp;
use meterd::bus::round::{Point, Round};
use meterd::bus::talk::{Asked, Patience, Talk};
use meterd::clock::Clock;
use meterd::config::Protocol;
use meterd::planner::{CharFormat, Costs, Line, Parity};
use meterd::simulator::{ModbusMeter, ModbusSettings, Pair, VirtualLine, in_memory};
use modbus::UnitId;
use std::collections::BTreeSet;
use std::time::Duration;

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
const ROUNDS: u32 = 200;

/// At 9600 with characters of 10 and of 11 bits: (8 + 5 + 2n) characters a request, the meter's delay, 3.5 characters.
#[tokio::test(start_paused = true)]
async fn the_27_quantities_of_an_sdm630_take_hardly_more_than_the_line_needs() {
    for parity in [Parity::None, Parity::Even] {
        let line = Line { baud: 9600, frame: CharFormat { parity, ..CharFormat::EVEN } };
        let profile = Profile::named("eastron-sdm630").unwrap();
        let unit = UnitId::new(1).unwrap();
        let mut settings = ModbusSettings::new(unit, profile);
        settings.meter.response_delay = Duration::from_millis(30);
        let delay = settings.meter.response_delay;
        let clock = Clock::virtual_at("2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap());
        let meters = VirtualLine::new(Vec::new()).with_modbus(vec![ModbusMeter::new(settings, 7)]);
        let (opener, wire) = in_memory(Pair::from(meters).at(line), clock.clone(), 0);
        let mut talk = Talk::new(meterd::bus::port::Opener::Memory(opener), line, clock.clone());
        let wanted: Vec<_> =
            QUANTITIES.iter().flat_map(|name| profile.catalogue().find(name, 4).unwrap()).collect();
        assert_eq!(wanted.len(), 27);
        let asked = Asked { protocol: Protocol::ModbusRtu(unit), line, preamble: 0 };
        let patience = Patience {
            first_octet: Duration::from_secs(1),
            again: Duration::from_secs(1),
            retries: 0,
            turnaround: Duration::ZERO,
        };
        let character = line.octets(1);
        let (mut requests, mut model) = (0, Duration::ZERO);
        talk.open().await.unwrap();
        let began = clock.elapsed();
        for _ in 0..ROUNDS {
            let costs = Costs::of(line, profile.standard(), profile.manner());
            let mut round = Round::new(&wanted, BTreeSet::new(), costs, Point::default());
            while let Some(ask) = round.next() {
                let id = ask.subject.id();
                let count = u32::from(id.span().unwrap().count);
                requests += 1;
                model += character * (8 + 5 + 2 * count) + delay + character * 7 / 2;
                round.take(talk.read(asked, id, patience).await);
            }
            let decoded = round.finish();
            assert_eq!((decoded.readings.len(), decoded.failures.len()), (27, 0), "{decoded:?}");
        }
        let took = clock.elapsed() - began;
        let utilisation = model.as_secs_f64() / took.as_secs_f64();
        let each = requests / ROUNDS;
        println!(
            "27 quantities of an SDM630 at {line}: {each} request(s) a round, utilisation {utilisation:.3} of the model"
        );
        assert!(each <= 5, "{each}");
        assert!(utilisation >= 0.97, "{utilisation}");
        drop(talk);
        wire.ended().await.unwrap();
    }
}
