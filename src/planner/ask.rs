//! Which exchanges: blocks where they save air time, single registers where not.

use super::{Line, frame_gap, spans};
use catalogue::{Block, Identifier, Manner, Register, Standard};
use modbus::Span;
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
    /// Neighbouring registers of a Modbus meter.
    Span(Span),
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
/// Octets of a Modbus request and of its answer without the registers.
const MODBUS: usize = 8 + 5;
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

    /// Those of a meter of a standard that wants to be asked in this manner: of DL/T 645 the usual ones, but for the FE
    /// and the rest that the manner has; of Modbus no FE, the silence that parts two frames, and the rest besides.
    pub fn of(line: Line, standard: Standard, manner: Option<&Manner>) -> Self {
        let usual = Self::usual(line);
        let pause = manner.map_or(Duration::ZERO, |manner| manner.pause);
        match standard {
            Standard::Modbus => Self { preamble: 0, turnaround: frame_gap(line) + pause, ..usual },
            Standard::Dlt645(_) => {
                let preamble = manner.and_then(|manner| manner.preamble).unwrap_or(usual.preamble);
                Self { preamble, turnaround: usual.turnaround.max(pause), ..usual }
            }
        }
    }

    /// Air time of an exchange that asks for this register alone.
    pub fn single(&self, register: &Register) -> Duration {
        self.exchange(register.id(), register.octets())
    }

    /// Air time of an exchange that asks for these registers.
    pub fn span(&self, span: Span) -> Duration {
        self.exchange(span.into(), 2 * usize::from(span.count))
    }

    /// The DI goes both ways: two octets of 1997, four of 2007.
    fn exchange(&self, id: Identifier, data: usize) -> Duration {
        let octets = match id {
            Identifier::Di(di) => {
                usize::from(self.preamble) + REQUEST + REPLY + 2 * di.edition().di_octets() + data
            }
            Identifier::Modbus(_) => MODBUS + data,
        };
        self.line.octets(octets) + self.response_delay + self.turnaround
    }
}

impl Subject {
    /// The identifier that goes into the request.
    pub fn id(&self) -> Identifier {
        match self {
            Self::Register(register) => register.id(),
            Self::Block(block) => block.di().into(),
            Self::Span(span) => (*span).into(),
        }
    }
}

impl Ask {
    /// A single register.
    pub fn single(register: Register) -> Self {
        let span = register.id().span().map(Subject::Span);
        Self { subject: span.unwrap_or(Subject::Register(register)), wanted: Arc::new([register]) }
    }

    /// Air time of request and answer, with the delays of `costs`.
    pub fn air_time(&self, costs: &Costs) -> Duration {
        costs.exchange(self.subject.id(), self.data_octets(costs.tariffs))
    }

    fn data_octets(&self, tariffs: u8) -> usize {
        match self.subject {
            Subject::Register(register) => register.octets(),
            Subject::Block(block) => block.registers(tariffs).map(|r| r.octets()).sum(),
            Subject::Span(span) => 2 * usize::from(span.count),
        }
    }
}

/// The exchanges that bring all of `wanted` in the least air time; each register once, blocks in
/// `refused` left out.
pub fn plan(wanted: &[Register], refused: &BTreeSet<Identifier>, costs: &Costs) -> Vec<Ask> {
    if wanted.first().is_some_and(|first| first.standard() == Standard::Modbus) {
        return spans::plan(&spans::with_scales(wanted), refused, costs);
    }
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
        match asks.iter_mut().find(|(subject, _)| subject.id() == register.id()) {
            Some((_, wanted)) => wanted.push(register),
            None => asks.push((Subject::Register(register), vec![register])),
        }
    }
    // As wanted: what a person wrote first is read first.
    asks.sort_by_key(|(_, wanted)| order.iter().position(|r| wanted.first() == Some(r)));
    asks.into_iter().map(|(subject, wanted)| Ask { subject, wanted: wanted.into() }).collect()
}

/// The same for what was refused as it was asked: what it is scaled by was asked for already.
pub fn replan(wanted: &[Register], refused: &BTreeSet<Identifier>, costs: &Costs) -> Vec<Ask> {
    if wanted.first().is_some_and(|first| first.standard() == Standard::Modbus) {
        return spans::plan(wanted, refused, costs);
    }
    plan(wanted, refused, costs)
}

/// The block that saves most against asking singly for what it holds; `None` if none saves, or the meter is of a model
/// that answers none.
fn best_block(
    left: &[Register],
    refused: &BTreeSet<Identifier>,
    costs: &Costs,
) -> Option<(Block, Vec<Register>)> {
    let mut seen = BTreeSet::new();
    let mut best: Option<(Duration, Block, Vec<Register>)> = None;
    let answered = |register: &&Register| register.table().manner().is_none_or(|manner| manner.blocks);
    for block in left.iter().filter(answered).flat_map(Register::blocks) {
        if refused.contains(&block.di().into()) || !seen.insert(block.di()) {
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
        let saving =
            singly.checked_sub(costs.exchange(block.di().into(), octets)).filter(|saving| !saving.is_zero());
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
    use catalogue::{Catalogue, Profile};

    fn registers(texts: &[&str]) -> Vec<Register> {
        texts.iter().flat_map(|t| Catalogue::dlt645_2007().find(t, 4).unwrap()).collect()
    }

    fn dis(asks: &[Ask]) -> Vec<String> {
        asks.iter().map(|a| a.subject.id().to_string()).collect()
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
    fn a_model_that_answers_no_blocks_is_asked_singly_and_what_its_profile_says_costs_so() {
        let profile = Profile::named("single-registers").unwrap();
        let wanted = profile.catalogue().find("voltage_l*", 4).unwrap();
        let asks = plan(&wanted, &BTreeSet::new(), &Costs::usual(Line::DEFAULT));
        assert_eq!(dis(&asks), ["02010100", "02010200", "02010300"]);
        let manner = Manner { preamble: Some(2), pause: Duration::from_millis(80), ..Manner::default() };
        let usual = Costs::usual(Line::DEFAULT);
        let of = |standard, manner| Costs::of(Line::DEFAULT, standard, manner);
        let dlt645 = Standard::from(dlt645::Edition::E2007);
        assert_eq!(of(dlt645, Some(&manner)), Costs { preamble: 2, turnaround: manner.pause, ..usual });
        let nothing = Manner::default();
        assert_eq!(of(dlt645, Some(&nothing)), usual);
        assert_eq!(of(dlt645, None), usual);
        let gap = frame_gap(Line::DEFAULT);
        let modbus = Costs { preamble: 0, turnaround: gap + manner.pause, ..usual };
        assert_eq!(of(Standard::Modbus, Some(&manner)), modbus);
    }

    #[test]
    fn a_modbus_meter_costs_no_fe_and_the_rest_that_its_model_needs() {
        let line: Line = "9600 8N1".parse().unwrap();
        let profile = Profile::named("carlo-gavazzi-em24").unwrap();
        let costs = Costs::of(line, Standard::Modbus, profile.manner());
        assert_eq!((costs.preamble, costs.turnaround.as_micros()), (0, 3_645 + 50_000));
        // 8 octets out, 5 and those of two registers back, 10 bits each; 30 ms until the answer.
        let ask = Ask::single(profile.catalogue().find("voltage_l1", 4).unwrap()[0]);
        assert_eq!(ask.air_time(&costs).as_millis(), (17 * 10 * 1_000_000 / 9600 + 30_000 + 53_645) / 1000);
        assert_eq!(Costs::of(line, dlt645::Edition::E2007.into(), None), Costs::usual(line));
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
