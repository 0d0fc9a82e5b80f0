//! What the meters are asked for: a task that keeps the fullest line busy nearly all the time, by the air-time model.

use catalogue::{Catalogue, Register};
use dlt645::Address;
use dlt645::format::Value;
use dlt645::frame::{Control, emit};
use dlt645::pdu::Request;
use meterd::planner::{Ask, Costs, Line, Subject, plan};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::time::Duration;

/// Registers of an energy meter; a task has the first of them. Total and tariffs are one block.
const REGISTERS: [&str; 6] = [
    "active_energy_import",
    "active_energy_import_t*",
    "voltage_l1",
    "current_l1",
    "active_power",
    "frequency",
];
/// The block alone.
const FEWEST: usize = 2;
/// Parts of a thousand of a line's time: as much as can be without a slot that does not fit.
const FULL: u64 = 930;
const NEARLY: u64 = 860;
/// A slot takes no longer if there is a choice: a run of the bench waits for several.
const LONGEST_S: u64 = 24;
const DAY_S: u64 = 86_400;

/// Octets of an energy on the wire.
const ENERGY: usize = 4;

/// FE octets before each frame, as most readers and meters send.
pub(crate) const PREAMBLE: u8 = 4;
/// What a meter takes from the end of a request to the first octet of its answer.
pub(crate) const RESPONSE_DELAY: Duration = Duration::from_millis(30);

/// The work of every line.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) line: Line,
    /// As they stand in the configuration.
    pub(crate) registers: &'static [&'static str],
    /// The exchanges with one meter.
    pub(crate) asks: Vec<Ask>,
    /// What they take by the model.
    pub(crate) air: Duration,
    /// Period of the task.
    pub(crate) every_s: u64,
    /// Parts of a thousand of the fullest line's time.
    pub(crate) per_mille: u64,
}

impl Work {
    /// The first `count` registers, without a period.
    pub(crate) fn of(baud: u32, count: usize) -> Self {
        let line = Line { baud, ..Line::DEFAULT };
        let registers = &REGISTERS[..count];
        let known = Catalogue::dlt645_2007();
        let wanted: Vec<Register> =
            registers.iter().flat_map(|name| known.find(name, 4).expect("a known name")).collect();
        let costs = Costs::usual(line);
        let asks = plan(&wanted, &BTreeSet::new(), &costs);
        let air = asks.iter().map(|ask| ask.air_time(&costs)).sum();
        Self { line, registers, asks, air, every_s: 0, per_mille: 0 }
    }

    /// The most registers with a period in which `meters` on a line keep it busy.
    pub(crate) fn choose(baud: u32, meters: usize) -> Self {
        let mut all: Vec<Self> = Vec::new();
        for count in FEWEST..=REGISTERS.len() {
            let work = Self::of(baud, count);
            let air_us = work.air.as_micros() as u64 * meters as u64;
            all.extend((1..=DAY_S / 24).filter(|s| DAY_S.is_multiple_of(*s)).map(|every_s| {
                let per_mille = air_us.div_ceil(every_s * 1000);
                Self { every_s, per_mille, ..work.clone() }
            }));
        }
        all.retain(|work| work.per_mille <= FULL);
        let rank = |work: &Self| {
            let fits = work.every_s <= LONGEST_S && work.per_mille >= NEARLY;
            (fits, if fits { work.registers.len() } else { 0 }, work.per_mille)
        };
        all.into_iter().max_by_key(rank).expect("a day is long enough for any line")
    }
}

/// The address of a meter, by its number.
pub(crate) fn address(meter: usize) -> Address {
    format!("{:012}", meter + 1).parse().expect("twelve digits")
}

/// Meters of one line: they are dealt out in turn.
pub(crate) fn meters_of(line: usize, lines: usize, meters: usize) -> impl Iterator<Item = usize> {
    (line..meters).step_by(lines)
}

/// The request with its FE.
pub(crate) fn request(meter: usize, ask: &Ask) -> Vec<u8> {
    let mut octets = Vec::new();
    Request::Read { address: address(meter), di: ask.subject.di() }.emit(PREAMBLE, &mut octets);
    octets
}

/// What the meter answers, with its FE. The total is the sum of its tariffs, and no energy moves.
pub(crate) fn reply(meter: usize, ask: &Ask) -> Vec<u8> {
    let di = ask.subject.di();
    let mut data = di.to_wire().to_vec();
    match ask.subject {
        Subject::Register(register) => append(meter, &register, &mut data),
        Subject::Block(block) => block.registers(4).for_each(|register| append(meter, &register, &mut data)),
    }
    let mut octets = vec![0xFE; usize::from(PREAMBLE)];
    let control = Control::reply(0x11, false);
    emit(address(meter), control, &data, &mut octets).expect("a block fits a frame");
    octets
}

fn append(meter: usize, register: &Register, data: &mut Vec<u8>) {
    let of_four = register.octets() == ENERGY && register.tariff().is_none();
    let parts = if of_four { 4 } else { 1 };
    let number = Decimal::from(parts * (40 + meter % 20));
    register.encode(Value::Number(number), data).expect("two digits fit before any point");
}
