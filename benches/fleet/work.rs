//! What the meters are asked for: a task that keeps the fullest line busy nearly all the time, by the air-time model.
//!
//! Two kinds of it: the registers of a three-phase meter, which is what a concentrator reads, and few registers in short
//! periods, down to a message for each exchange, which is the worst that a line can do to the daemon.

use catalogue::{Catalogue, Quantity, Register};
use dlt645::Address;
use dlt645::format::{Date, Format, Time, Value};
use dlt645::frame::{Control, emit};
use dlt645::pdu::Request;
use meterd::planner::{Ask, Costs, Line, Subject, plan};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Registers of an energy meter; a task has the first of them. Total and tariffs are one block.
const BLOCK: [&str; 6] = [
    "active_energy_import",
    "active_energy_import_t*",
    "voltage_l1",
    "current_l1",
    "active_power",
    "frequency",
];
/// The 27 registers of a three-phase meter that the bench `line` reads too: ten exchanges.
#[path = "../line/three_phase.rs"]
pub(crate) mod three_phase;
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

/// A kind of work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// One block of energies, and a few registers where the rate has the time.
    Block,
    /// All that is usually read of a three-phase meter (三相表).
    ThreePhase,
}

impl Kind {
    /// Whether the CPU of the daemon is bounded for it: a message an exchange is measured, and not what the daemon is for.
    pub(crate) const fn is_bounded(self) -> bool {
        matches!(self, Self::ThreePhase)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Block, Self::ThreePhase]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| format!("\"{text}\" is neither block nor three-phase"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::ThreePhase => "three-phase",
        })
    }
}

/// FE octets before each frame, as most readers and meters send.
pub(crate) const PREAMBLE: u8 = 4;
/// What a meter takes from the end of a request to the first octet of its answer.
pub(crate) const RESPONSE_DELAY: Duration = Duration::from_millis(30);

/// The work of every line.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) kind: Kind,
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
    /// The first `count` registers of its kind, without a period.
    pub(crate) fn of(kind: Kind, baud: u32, count: usize) -> Self {
        let line = Line { baud, ..Line::DEFAULT };
        let registers = match kind {
            Kind::Block => &BLOCK[..count],
            Kind::ThreePhase => &three_phase::REGISTERS[..count],
        };
        let known = Catalogue::dlt645_2007();
        let wanted: Vec<Register> =
            registers.iter().flat_map(|name| known.find(name, 4).expect("a known name")).collect();
        let costs = Costs::usual(line);
        let asks = plan(&wanted, &BTreeSet::new(), &costs);
        let air = asks.iter().map(|ask| ask.air_time(&costs)).sum();
        Self { kind, line, registers, asks, air, every_s: 0, per_mille: 0 }
    }

    /// The most registers with a period in which `meters` on a line keep it busy; of a three-phase meter all of them.
    pub(crate) fn choose(kind: Kind, baud: u32, meters: usize) -> Self {
        let counts = match kind {
            Kind::Block => FEWEST..=BLOCK.len(),
            Kind::ThreePhase => three_phase::REGISTERS.len()..=three_phase::REGISTERS.len(),
        };
        let mut all: Vec<Self> = Vec::new();
        for count in counts {
            let work = Self::of(kind, baud, count);
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

    /// What [`Self::of`] makes it of again, for another process.
    pub(crate) fn args(&self) -> [String; 3] {
        [self.kind.to_string(), self.line.baud.to_string(), self.registers.len().to_string()]
    }

    /// Reads [`Self::args`].
    pub(crate) fn from_args(args: &[String]) -> Self {
        let [kind, baud, count] = args else { panic!("KIND BAUD REGISTERS") };
        let kind = kind.parse().expect("a kind of work");
        Self::of(kind, baud.parse().expect("a rate"), count.parse().expect("a number"))
    }

    /// Whole slots that are measured for each way of pieces: `seconds` at least, of a long period one.
    pub(crate) fn slots(&self, seconds: u64) -> u64 {
        match self.kind {
            Kind::Block => seconds.div_ceil(self.every_s).max(1),
            Kind::ThreePhase => 1,
        }
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
    Request::Read { address: address(meter), di: ask.subject.id().di().expect("all meters speak DL/T 645") }
        .emit(PREAMBLE, &mut octets);
    octets
}

/// What the meter answers, with its FE. The total is the sum of its tariffs, and no energy moves.
pub(crate) fn reply(meter: usize, ask: &Ask) -> Vec<u8> {
    let di = ask.subject.id().di().expect("all meters speak DL/T 645");
    let mut data = di.to_wire().to_vec();
    match ask.subject {
        Subject::Register(register) => append(meter, &register, &mut data),
        Subject::Block(block) => block.registers(4).for_each(|register| append(meter, &register, &mut data)),
        Subject::Span(_) => unreachable!("all meters speak DL/T 645"),
    }
    let mut octets = vec![0xFE; usize::from(PREAMBLE)];
    let control = Control::reply(0x11, false);
    emit(address(meter), control, &data, &mut octets).expect("a block fits a frame");
    octets
}

fn append(meter: usize, register: &Register, data: &mut Vec<u8>) {
    let of_four = register.octets() == ENERGY && register.tariff().is_none();
    let parts = if of_four { 4 } else { 1 };
    let (date, time) =
        (Date { year: 26, month: 11, day: 21 }, Time { hour: 10, minute: 15, second: Some(0) });
    let value = if register.quantity() == Quantity::PowerFactor {
        Value::Number(Decimal::ONE)
    } else if register.format() == Format::Date {
        Value::Date(date)
    } else if register.format() == Format::Time {
        Value::Time(time)
    } else {
        Value::Number(Decimal::from(parts * (40 + meter % 20)))
    };
    register.encode(value, data).expect("two digits fit before the point of all but a power factor");
}
