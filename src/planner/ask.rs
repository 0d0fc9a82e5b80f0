//! Which exchanges: blocks where they save air time, single registers where not.

use super::Line;
use catalogue::{Block, Register};
use dlt645::{Di, Edition};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// One exchange to come, and the registers that are wanted of its answer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is asked for.
    pub subject: Subject,
    /// Registers wanted of the answer, in the order they were wanted.
    pub wanted: Arc<[Register]>,
}

/// What one exchange asks for.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// One register.
    Register(Register),
    /// A block of registers.
    Block(Block),
}

/// What an exchange costs beside its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Costs {
    /// Rate and character.
    pub line: Line,
    /// FE octets before a request.
    pub preamble: u8,
    /// From the end of the request to the first octet of the answer, as a rule.
    pub response_delay: Duration,
    /// Silence before the next request.
    pub turnaround: Duration,
    /// How many tariffs the meter is taken to have.
    pub tariffs: u8,
}

/// Octets of a read request without its preamble and the DI.
const REQUEST: usize = 12;
/// Octets of a reply without the DI and its data: four FE and 12 of the frame.
const REPLY: usize = 16;
/// The longest data field of one reply, the DI included (DL/T 645-2007 clause 5.2.5; the same in 1997).
const MAX_DATA: usize = 200;

impl Costs {
    /// Four FE (clause 5.2), the usual 30 ms until the answer and before the next request, four tariffs.
    pub const fn usual(line: Line) -> Self {
        Self {
            line,
            preamble: 4,
            response_delay: Duration::from_millis(30),
            turnaround: Duration::from_millis(30),
            tariffs: 4,
        }
    }

    /// Air time of an exchange that asks for this register alone.
    pub fn single(&self, register: &Register) -> Duration {
        self.exchange(register.di().edition(), register.octets())
    }

    /// The DI goes both ways: two octets of 1997, four of 2007.
    fn exchange(&self, edition: Edition, data: usize) -> Duration {
        self.line.octets(usize::from(self.preamble) + REQUEST + REPLY + 2 * edition.di_octets() + data)
            + self.response_delay
            + self.turnaround
    }
}

impl Subject {
    /// The identifier that goes into the request.
    pub fn di(&self) -> Di {
        match self {
            Self::Register(register) => register.di(),
            Self::Block(block) => block.di(),
        }
    }
}

impl Ask {
    /// A single register.
    pub fn single(register: Register) -> Self {
        Self { subject: Subject::Register(register), wanted: Arc::new([register]) }
    }

    /// Air time of request and answer, with the delays of `costs`.
    pub fn air_time(&self, costs: &Costs) -> Duration {
        costs.exchange(self.subject.di().edition(), self.data_octets(costs.tariffs))
    }

    fn data_octets(&self, tariffs: u8) -> usize {
        match self.subject {
            Subject::Register(register) => register.octets(),
            Subject::Block(block) => block.registers(tariffs).map(|r| r.octets()).sum(),
        }
    }
}

/// The exchanges that bring all of `wanted` in the least air time; each register once, blocks in
/// `refused` left out.
pub fn plan(wanted: &[Register], refused: &BTreeSet<Di>, costs: &Costs) -> Vec<Ask> {
    let mut left: Vec<Register> = Vec::with_capacity(wanted.len());
    for register in wanted {
        if !left.contains(register) {
            left.push(*register);
        }
    }
    let order = left.clone();
    let mut asks: Vec<(Subject, Vec<Register>)> = Vec::new();
    while let Some((block, wanted)) = best_block(&left, refused, costs) {
        left.retain(|r| !wanted.contains(r));
        asks.push((Subject::Block(block), wanted));
    }
    for register in left {
        // Frozen totals and tariffs are items of one reply, under one identifier.
        match asks.iter_mut().find(|(subject, _)| subject.di() == register.di()) {
            Some((_, wanted)) => wanted.push(register),
            None => asks.push((Subject::Register(register), vec![register])),
        }
    }
    // As wanted: what a person wrote first is read first.
    asks.sort_by_key(|(_, wanted)| order.iter().position(|r| wanted.first() == Some(r)));
    asks.into_iter().map(|(subject, wanted)| Ask { subject, wanted: wanted.into() }).collect()
}

/// The block that saves most against asking singly for what it holds; `None` if none saves.
fn best_block(left: &[Register], refused: &BTreeSet<Di>, costs: &Costs) -> Option<(Block, Vec<Register>)> {
    let mut seen = BTreeSet::new();
    let mut best: Option<(Duration, Block, Vec<Register>)> = None;
    for block in left.iter().flat_map(Register::blocks) {
        if refused.contains(&block.di()) || !seen.insert(block.di()) {
            continue;
        }
        let held: Vec<Register> = block.registers(costs.tariffs).collect();
        let wanted: Vec<Register> = left.iter().copied().filter(|r| held.contains(r)).collect();
        let edition = block.di().edition();
        let octets: usize = held.iter().map(Register::octets).sum();
        if wanted.len() < 2 || octets + edition.di_octets() > MAX_DATA {
            continue;
        }
        let singly: Duration = wanted.iter().map(|register| costs.single(register)).sum();
        let saving = singly.checked_sub(costs.exchange(edition, octets)).filter(|saving| !saving.is_zero());
        if let Some(saving) = saving
            && best.as_ref().is_none_or(|(most, ..)| saving > *most)
        {
            best = Some((saving, block, wanted));
        }
    }
    best.map(|(_, block, wanted)| (block, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogue::Catalogue;

    fn registers(texts: &[&str]) -> Vec<Register> {
        texts.iter().flat_map(|t| Catalogue::dlt645_2007().find(t, 4).unwrap()).collect()
    }

    fn dis(asks: &[Ask]) -> Vec<String> {
        asks.iter().map(|a| a.subject.di().to_string()).collect()
    }

    /// The 27 registers of a three-phase meter.
    fn three_phase() -> Vec<Register> {
        registers(&[
            "active_energy_import",
            "active_energy_import_t*",
            "active_energy_export",
            "voltage_l*",
            "current_l*",
            "active_power",
            "active_power_l*",
            "reactive_power",
            "reactive_power_l*",
            "power_factor",
            "power_factor_l*",
            "frequency",
            "clock_date",
            "clock_time",
        ])
    }

    #[test]
    fn the_27_registers_of_a_three_phase_meter_need_10_exchanges() {
        let costs = Costs::usual(Line::DEFAULT);
        let wanted = three_phase();
        assert_eq!(wanted.len(), 27);
        let asks = plan(&wanted, &BTreeSet::new(), &costs);
        assert_eq!(
            dis(&asks),
            [
                "0001FF00", "00020000", "0201FF00", "0202FF00", "0203FF00", "0204FF00", "0206FF00",
                "02800002", "04000101", "04000102"
            ]
        );
        assert_eq!(asks.iter().map(|a| a.wanted.len()).sum::<usize>(), 27);
    }

    #[test]
    fn air_time_is_characters_and_delays() {
        // 4 FE + 16 out, 4 FE + 16 + 4 back, 11 bits each at 2400 baud, 30 ms each way.
        let costs = Costs::usual(Line::DEFAULT);
        let ask = Ask::single(registers(&["active_energy_import"])[0]);
        assert_eq!(ask.air_time(&costs).as_micros(), (44 * 11 * 1_000_000 / 2400) + 60_000);
    }

    #[test]
    fn a_meter_of_1997_is_asked_in_fewer_octets_and_by_its_own_blocks() {
        let costs = Costs::usual(Line { baud: 1200, ..Line::DEFAULT });
        let find = |text| Catalogue::dlt645_1997().find(text, 4).unwrap();
        // 4 FE + 14 out, 4 FE + 14 + 4 back.
        let ask = Ask::single(find("active_energy_import")[0]);
        assert_eq!(ask.air_time(&costs).as_micros(), (40 * 11 * 1_000_000 / 1200) + 60_000);
        let texts = [
            "active_energy_import",
            "active_energy_import_t*",
            "voltage_l*",
            "active_power*",
            "clock_date",
            "clock_time",
        ];
        let wanted: Vec<_> = texts.into_iter().flat_map(find).collect();
        assert_eq!(dis(&plan(&wanted, &BTreeSet::new(), &costs)), ["901F", "B61F", "B63F", "C01F"]);
    }

    #[test]
    fn a_refused_block_falls_back_to_single_registers() {
        let refused = BTreeSet::from(["0201FF00".parse().unwrap()]);
        let asks = plan(&registers(&["voltage_l*"]), &refused, &Costs::usual(Line::DEFAULT));
        assert_eq!(dis(&asks), ["02010100", "02010200", "02010300"]);
    }

    #[test]
    fn registers_of_one_identifier_are_asked_for_once() {
        let wanted = registers(&["active_energy_import_day1", "active_energy_import_t1_day1"]);
        let asks = plan(&wanted, &BTreeSet::new(), &Costs::usual(Line::DEFAULT));
        assert_eq!(dis(&asks), ["05060101"]);
        assert_eq!(*asks[0].wanted, *wanted);
    }

    #[test]
    fn one_register_is_never_asked_for_as_a_block_and_never_twice() {
        let wanted = registers(&["voltage_l1", "02010100", "1-0:32.7.0"]);
        assert_eq!(dis(&plan(&wanted, &BTreeSet::new(), &Costs::usual(Line::DEFAULT))), ["02010100"]);
    }
}
