//! All that is wanted of one meter, question by question: a plan that gives way where a block is
//! refused, a second question where an energy cannot be right, and what came of it. Pure: the octets are fetched by the caller.

mod judge;
#[cfg(test)]
mod modbus_tests;
mod model;
#[cfg(test)]
mod noise_tests;

use self::judge::{Heard, Judge};
use self::model::{Model, Next};
use super::talk::{Answer, NoReply};
use crate::config::Wiring;
use crate::event::Kind;
use crate::planner::{Ask, Costs, Plans, Subject, plan};
use crate::reading::plausible::{Base, Last};
use crate::reading::{Decoded, Failure, NotThisBlock, Reason, Transformers, decode};
use catalogue::{Block, Identifier, Register, Standard};
use dlt645::Edition;
use jiff::Timestamp;
use modbus::Span;
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// So many different questions a meter of 1997 must leave unanswered before it is taken to be absent: a block, a
/// register of it, and another.
const SILENCES_1997: u32 = 3;

/// The meter point whose registers are wanted, as far as it matters for what is asked and what the answers mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Point {
    /// How the meter is wired. Registers of a phase that it does not have are missing and are not asked
    /// for, since some meters answer 0 there, which would read as a voltage lost.
    pub wiring: Option<Wiring>,
    /// CT and PT.
    pub transformers: Transformers,
    /// Which of its profile's maps a Modbus meter was found to have.
    pub map: Option<u8>,
}

/// Something that a round taught of what a meter has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lesson {
    /// It refused a present value, a parameter or a block of them with *no requested data*.
    Lacks(Identifier),
    /// A meter of 1997, which has no such word, was silent for it and answered others.
    Unheard(Identifier),
    /// It answered this.
    Has(Identifier),
}

/// The questions to one meter and the answers so far.
#[derive(Debug)]
pub struct Round {
    asks: VecDeque<Ask>,
    costs: Costs,
    transformers: Transformers,
    /// Blocks and registers not to be tried in this round.
    refused: BTreeSet<Identifier>,
    lessons: Vec<Lesson>,
    /// Blocks of 1997 that were met with silence, and what was wanted of them.
    unheard: Vec<(Block, Arc<[Register]>)>,
    answered: bool,
    /// Questions that were met with silence.
    silences: u32,
    judge: Judge,
    /// Of a Modbus meter.
    model: Option<Model>,
    /// What the question that comes next was answered with before.
    doubtful: Option<Heard>,
    /// Whether what comes may be damaged though it looks sound.
    noisy: bool,
    decoded: Decoded,
}

impl Round {
    /// Plans the questions for `wanted`; what is in `refused` is not tried.
    pub fn new(wanted: &[Register], refused: BTreeSet<Identifier>, costs: Costs, of: Point) -> Self {
        Self::by(&mut Plans::default(), wanted, refused, costs, of)
    }

    /// The same, by a plan that is kept, if there is one.
    pub fn by(
        plans: &mut Plans,
        wanted: &[Register],
        refused: BTreeSet<Identifier>,
        costs: Costs,
        of: Point,
    ) -> Self {
        let has = |register: &Register| {
            of.wiring.is_none_or(|wiring| register.phase().is_none_or(|phase| wiring.has_phase(phase)))
        };
        let (there, absent) = if wanted.iter().all(has) {
            (Cow::Borrowed(wanted), Vec::new())
        } else {
            let (there, absent): (Vec<Register>, _) = wanted.iter().copied().partition(has);
            (Cow::Owned(there), absent)
        };
        let mut model = Model::of(&there, of.map);
        let (plan, begun) = match model.as_mut().map(Model::begin) {
            None => (plans.of(&there, &refused, &costs), None),
            Some(Next::Read(own)) => (plans.of(&own, &refused, &costs), None),
            Some(next @ (Next::Probe(_) | Next::NoMap(_))) => (Arc::from([]), Some(next)),
        };
        let mut round = Self {
            asks: VecDeque::new(),
            costs,
            transformers: of.transformers,
            refused,
            lessons: Vec::new(),
            unheard: Vec::new(),
            answered: false,
            silences: 0,
            judge: Judge::new(phases(of.wiring)),
            model,
            doubtful: None,
            noisy: false,
            decoded: Decoded::default(),
        };
        round.first(&plan);
        if let Some(next) = begun {
            round.go_on(next);
        } else {
            round.fail_lacking();
        }
        let wired = of.wiring.map_or("", Wiring::word);
        round.decoded.failures.extend(absent.into_iter().map(|register| Failure {
            register,
            reason: Reason::Missing,
            detail: format!("a meter wired {wired} does not have this phase"),
            raw: None,
        }));
        round
    }

    /// The same, with energies judged by the last values of the meter.
    #[must_use]
    pub fn judged_by(mut self, known: Vec<(Identifier, Base)>) -> Self {
        self.judge.know(known);
        self
    }

    /// Says whether the line is noisy: then a value counts when two answers agree on it, of three at most.
    pub const fn over_noise(&mut self, is_noisy: bool) {
        self.noisy = is_noisy;
    }

    /// Puts these questions before all others.
    fn first(&mut self, plan: &[Ask]) {
        let lacks = |ask: &&Ask| self.refused.contains(&ask.subject.id());
        let known: Vec<&Ask> = plan.iter().filter(lacks).collect();
        for again in plan.iter().rev().filter(|ask| !lacks(ask)) {
            self.asks.push_front(again.clone());
        }
        let said = "the meter said earlier that it has no such data; it is asked again from time to time";
        for ask in known {
            self.fail(&ask.wanted, &NoReply::of(Reason::Refused, said));
        }
    }

    /// The next question; `None` when the round is over.
    pub fn next(&self) -> Option<&Ask> {
        self.asks.front()
    }

    /// Takes what came of the question that [`Round::next`] gave.
    pub fn take(&mut self, came: Result<Answer, NoReply>) {
        let Some(ask) = self.asks.pop_front() else { return };
        if self.model.as_ref().is_some_and(Model::is_probing) {
            return self.take_probe(came);
        }
        if let Some(before) = self.doubtful.take() {
            return self.take_again(ask, before, came);
        }
        match came {
            Ok(answer) => {
                self.answered = true;
                self.lessons.push(Lesson::Has(ask.subject.id()));
                self.heard(&ask);
                match self.decode(&ask, &answer) {
                    Ok(decoded) => {
                        let looked = self.judge.look(&ask, &answer.octets, answer.taken_at, decoded);
                        if looked.is_doubtful() || self.noisy {
                            self.doubtful = Some(Heard::first(looked, self.noisy));
                            self.asks.push_front(ask);
                        } else {
                            self.judge.believe(looked, &mut self.decoded);
                        }
                    }
                    Err(_) => self.singly(&ask),
                }
            }
            Err(no_reply) => self.take_none(ask, &no_reply),
        }
    }

    /// Takes what came of a question that was asked once more.
    fn take_again(&mut self, ask: Ask, mut before: Heard, came: Result<Answer, NoReply>) {
        let again = match &came {
            Ok(answer) => self
                .decode(&ask, answer)
                .map(|decoded| self.judge.look(&ask, &answer.octets, answer.taken_at, decoded))
                .map_err(|e| format!("it was read again: {e}")),
            Err(no_reply) => Err(format!("it could not be read again: {}", no_reply.detail)),
        };
        before.take(again, self.noisy);
        // Who is silent, or refuses now, is not asked a third time.
        if before.wants_more() && came.as_ref().map_or_else(|none| none.reason == Reason::Damaged, |_| true) {
            self.doubtful = Some(before);
            self.asks.push_front(ask);
            return;
        }
        self.judge.settle(before, &mut self.decoded);
        if let Err(no_reply) = came.as_ref()
            && no_reply.reason == Reason::PortGone
        {
            self.abandon(Reason::PortGone, &no_reply.detail);
        }
    }

    fn take_none(&mut self, ask: Ask, no_reply: &NoReply) {
        self.silences += u32::from(no_reply.reason == Reason::Silent);
        let lacks = no_reply.lacks();
        match (no_reply.reason, ask.subject) {
            (Reason::Refused, Subject::Block(block)) => {
                self.answered = true;
                if lacks && block.is_present() {
                    self.lessons.push(Lesson::Lacks(block.di().into()));
                }
                self.singly(&ask);
            }
            (Reason::Refused, Subject::Register(register)) => {
                self.answered = true;
                if lacks && register.is_present() {
                    self.lessons.push(Lesson::Lacks(register.id()));
                }
                self.fail(&ask.wanted, no_reply);
            }
            (Reason::Refused, Subject::Span(span)) => {
                self.answered = true;
                self.refused_span(&ask, span, no_reply);
            }
            // A meter that has not said a word in this round is not asked for the rest of it: its
            // silence costs the line more than its answers would.
            (Reason::Silent, _) if self.is_absent(ask.subject.id().standard()) => {
                self.give_up(ask, no_reply);
            }
            (Reason::Silent, Subject::Block(block)) if block.di().edition() == Edition::E1997 => {
                self.unheard.push((block, ask.wanted.clone()));
                self.singly(&ask);
            }
            (Reason::Silent, Subject::Register(register))
                if register.standard().is(Edition::E1997) && register.is_present() =>
            {
                self.lessons.push(Lesson::Unheard(register.id()));
                self.fail(&ask.wanted, no_reply);
            }
            (Reason::PortGone, _) => self.give_up(ask, no_reply),
            (
                Reason::Silent
                | Reason::Damaged
                | Reason::Stray
                | Reason::Missing
                | Reason::Implausible
                | Reason::Expired,
                _,
            ) => self.fail(&ask.wanted, no_reply),
        }
    }

    /// Ends the round: what is still to be asked fails with `reason`.
    pub fn abandon(&mut self, reason: Reason, detail: &str) {
        let rest = NoReply::of(reason, detail);
        if let Some(mut before) = self.doubtful.take() {
            self.asks.pop_front();
            before.take(Err(format!("it could not be read again: {detail}")), self.noisy);
            self.judge.settle(before, &mut self.decoded);
        }
        while let Some(ask) = self.asks.pop_front() {
            self.fail(&ask.wanted, &rest);
        }
    }

    /// What the round taught. Silence of a 1997 meter counts only if it answered something in this round.
    pub fn lessons(&self) -> impl Iterator<Item = Lesson> + '_ {
        let counts = |lesson: &&Lesson| self.answered || !matches!(lesson, Lesson::Unheard(_));
        self.lessons.iter().filter(counts).copied()
    }

    /// Whether the meter said anything sound in this round.
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// What the next energies of the meter are to be judged by, by register.
    pub fn energies(&self) -> &[(Identifier, Last)] {
        self.judge.last()
    }

    /// Energies that do not go on from the last ones, each with when it was seen.
    pub fn jumps(&self) -> impl Iterator<Item = (Timestamp, Kind)> + '_ {
        self.judge.jumps()
    }

    /// What came of the round.
    pub fn finish(mut self) -> Decoded {
        self.judge.explain(&mut self.decoded);
        self.decoded
    }

    /// Whether silence means the meter and not the register. A meter of 1997 has no word for what it does not know
    /// and stays silent, so that several questions must go unheard.
    const fn is_absent(&self, standard: Standard) -> bool {
        let enough = match standard {
            Standard::Dlt645(Edition::E1997) => SILENCES_1997,
            Standard::Dlt645(Edition::E2007) | Standard::Modbus => 1,
        };
        !self.answered && self.silences >= enough
    }

    /// A register that answers where its block did not: the meter does not have the block.
    fn heard(&mut self, ask: &Ask) {
        if let (Some(model), Subject::Span(span)) = (&mut self.model, ask.subject) {
            let culprit = model.answered(span).map(|culprit| Lesson::Lacks(culprit.into()));
            self.lessons.extend(culprit);
        }
        let Subject::Register(register) = ask.subject else { return };
        let (known, unheard) = self
            .unheard
            .drain(..)
            .partition(|(_, wanted): &(Block, Arc<[Register]>)| wanted.contains(&register));
        self.unheard = unheard;
        let lacking = known.into_iter().map(|(block, _)| block).filter(Block::is_present);
        self.lessons.extend(lacking.map(|block| Lesson::Lacks(block.di().into())));
    }

    /// The map of a Modbus meter is known now, or another is tried.
    fn take_probe(&mut self, came: Result<Answer, NoReply>) {
        let Some(model) = &mut self.model else { return };
        let next = match came {
            Ok(answer) => {
                self.answered = true;
                model.probed(Some(&answer.octets))
            }
            Err(no_reply) if no_reply.reason == Reason::Refused && no_reply.lacks() => {
                self.answered = true;
                model.probed(None)
            }
            Err(no_reply) => {
                self.answered |= no_reply.reason == Reason::Refused;
                return self.fail_all(&no_reply);
            }
        };
        self.go_on(next);
    }

    fn go_on(&mut self, next: Next) {
        match next {
            Next::Probe(ask) => self.asks.push_front(ask),
            Next::Read(registers) => {
                let asks = plan(&registers, &self.refused, &self.costs);
                self.first(&asks);
                self.fail_lacking();
            }
            Next::NoMap(why) => self.fail_all(&NoReply::of(Reason::Refused, why)),
        }
    }

    /// Everything that is wanted of a Modbus meter whose map is not known.
    fn fail_all(&mut self, no_reply: &NoReply) {
        let all = self.model.as_ref().map(|model| model.wanted().to_vec()).unwrap_or_default();
        self.fail(&all, no_reply);
    }

    /// What the map of a Modbus meter does not have.
    fn fail_lacking(&mut self) {
        let lacking = self.model.as_ref().map(Model::lacking).unwrap_or_default();
        self.fail(&lacking, &NoReply::of(Reason::Missing, "the map of this meter does not have it"));
    }

    /// Neighbours that cannot be had at once are asked for in two requests.
    fn refused_span(&mut self, ask: &Ask, span: Span, no_reply: &NoReply) {
        let Some(model) = &mut self.model else { return };
        if no_reply.lacks() && ask.wanted.len() > 1 {
            let parts = model.split(ask, &self.refused, &self.costs);
            self.refused.insert(span.into());
            return self.first(&parts);
        }
        model.unanswered(span);
        if no_reply.lacks() {
            self.lessons.push(Lesson::Lacks(span.into()));
        }
        self.fail(&ask.wanted, no_reply);
    }

    /// Which of its profile's maps the Modbus meter was found to have.
    pub fn map(&self) -> Option<u8> {
        self.model.as_ref().and_then(Model::map)
    }

    fn give_up(&mut self, ask: Ask, no_reply: &NoReply) {
        self.fail(&ask.wanted, no_reply);
        while let Some(ask) = self.asks.pop_front() {
            self.fail(&ask.wanted, no_reply);
        }
    }

    fn decode(&mut self, ask: &Ask, answer: &Answer) -> Result<Decoded, NotThisBlock> {
        match &mut self.model {
            Some(model) => Ok(model.decode(ask, &answer.octets, answer.taken_at, self.transformers)),
            None => decode(ask, &answer.octets, answer.taken_at, self.transformers),
        }
    }

    /// Another block may still hold some of them; the plan decides.
    fn singly(&mut self, ask: &Ask) {
        self.refused.insert(ask.subject.id());
        let plan = plan(&ask.wanted, &self.refused, &self.costs);
        self.first(&plan);
    }

    fn fail(&mut self, wanted: &[Register], no_reply: &NoReply) {
        if let Some(model) = &mut self.model {
            model.failed(wanted, &no_reply.detail);
        }
        let named = |register: &Register| match &self.model {
            Some(model) => model.wanted_by(register),
            None => Some(*register),
        };
        self.decoded.failures.extend(wanted.iter().filter_map(named).map(|register| Failure {
            register,
            reason: no_reply.reason,
            detail: no_reply.detail.clone(),
            raw: None,
        }));
    }
}

/// Phases of a meter that is wired so; the most where nothing is said.
const fn phases(wiring: Option<Wiring>) -> u8 {
    match wiring {
        Some(Wiring::P1W2) => 1,
        Some(Wiring::P3W3 | Wiring::P3W4) | None => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Noted;
    use super::*;
    use crate::planner::Line;
    use catalogue::Catalogue;
    use dlt645::{Address, Di, ErrorWord};
    use jiff::Timestamp;
    use std::time::Duration;

    fn round(names: &[&str]) -> Round {
        let wanted: Vec<_> =
            names.iter().flat_map(|n| Catalogue::dlt645_2007().find(n, 4).unwrap()).collect();
        Round::new(&wanted, BTreeSet::new(), Costs::usual(Line::DEFAULT), Point::default())
    }

    fn answer(octets: &[u8]) -> Result<Answer, NoReply> {
        Ok(Answer {
            from: Address::ANY,
            octets: octets.to_vec(),
            taken_at: Timestamp::UNIX_EPOCH,
            delay: Duration::ZERO,
            tries: 1,
            noted: Noted::default(),
        })
    }

    fn no_reply(reason: Reason) -> Result<Answer, NoReply> {
        let word = (reason == Reason::Refused).then_some(ErrorWord::NO_REQUESTED_DATA);
        Err(NoReply { word, ..NoReply::of(reason, reason.to_string()) })
    }

    fn lacking(round: &Round) -> Vec<String> {
        let lacks = |lesson| match lesson {
            Lesson::Lacks(di) => Some(di.to_string()),
            Lesson::Unheard(_) | Lesson::Has(_) => None,
        };
        round.lessons().filter_map(lacks).collect()
    }

    fn asked(round: &Round) -> String {
        round.next().map(|a| a.subject.id().to_string()).unwrap_or_default()
    }

    #[test]
    fn a_refused_block_is_read_singly_in_the_same_round() {
        let mut round = round(&["voltage_l*", "frequency"]);
        assert_eq!(asked(&round), "0201FF00");
        round.take(no_reply(Reason::Refused));
        for (di, octets) in
            [("02010100", [0x01, 0x22]), ("02010200", [0x12, 0x22]), ("02010300", [0x23, 0x22])]
        {
            assert_eq!(asked(&round), di);
            round.take(answer(&octets));
        }
        assert_eq!(asked(&round), "02800002");
        round.take(answer(&[0x98, 0x49]));
        assert_eq!(lacking(&round), ["0201FF00"]);
        let decoded = round.finish();
        assert_eq!((decoded.readings.len(), decoded.failures.len()), (4, 0));
    }

    #[test]
    fn what_a_meter_lacks_is_said_without_asking_and_history_is_asked_again() {
        let wanted: Vec<_> = ["voltage_l1", "frequency", "active_energy_import_s1"]
            .into_iter()
            .flat_map(|n| Catalogue::dlt645_2007().find(n, 4).unwrap())
            .collect();
        let costs = Costs::usual(Line::DEFAULT);
        let mut round = Round::new(&wanted, BTreeSet::new(), costs, Point::default());
        round.take(answer(&[0x01, 0x22]));
        round.take(no_reply(Reason::Refused));
        round.take(no_reply(Reason::Refused));
        assert_eq!(lacking(&round), ["02800002"], "of history it means that there is none now");
        let mut again =
            Round::new(&wanted, BTreeSet::from([Di::new(0x0280_0002).into()]), costs, Point::default());
        assert_eq!(asked(&again), "02010100");
        again.take(answer(&[0x01, 0x22]));
        assert_eq!(asked(&again), "00010001");
        again.take(no_reply(Reason::Refused));
        let decoded = again.finish();
        let refused = decoded.failures.iter().filter(|f| f.reason == Reason::Refused);
        assert_eq!((decoded.readings.len(), refused.count()), (1, 2));
    }

    #[test]
    fn a_block_of_a_length_that_fits_nothing_is_read_singly() {
        let mut round = round(&["voltage_l*"]);
        round.take(answer(&[0x01, 0x22, 0x12]));
        assert_eq!(asked(&round), "02010100");
    }

    #[test]
    fn a_meter_that_said_nothing_is_not_asked_for_the_rest_of_the_round() {
        let mut round = round(&["voltage_l1", "frequency", "clock_time"]);
        round.take(no_reply(Reason::Silent));
        assert!(round.next().is_none());
        let decoded = round.finish();
        assert_eq!(decoded.failures.iter().filter(|f| f.reason == Reason::Silent).count(), 3);
    }

    #[test]
    fn silence_after_an_answer_concerns_the_register_alone() {
        let mut round = round(&["voltage_l1", "frequency", "clock_time"]);
        round.take(answer(&[0x01, 0x22]));
        round.take(no_reply(Reason::Silent));
        assert_eq!(asked(&round), "04000102");
    }

    fn round_1997(names: &[&str]) -> Round {
        let wanted: Vec<_> =
            names.iter().flat_map(|n| Catalogue::dlt645_1997().find(n, 4).unwrap()).collect();
        Round::new(&wanted, BTreeSet::new(), Costs::usual(Line::DEFAULT), Point::default())
    }

    #[test]
    fn a_1997_meter_that_knows_no_block_is_read_singly_and_not_asked_for_the_block_again() {
        let mut round = round_1997(&["voltage_l*", "power_factor"]);
        assert_eq!(asked(&round), "B61F");
        round.take(no_reply(Reason::Silent));
        for di in ["B611", "B612", "B613"] {
            assert_eq!(asked(&round), di);
            round.take(answer(&[0x20, 0x02]));
        }
        assert_eq!(asked(&round), "B650");
        round.take(no_reply(Reason::Silent));
        assert!(round.next().is_none());
        assert_eq!(lacking(&round), ["B61F"]);
        assert!(round.lessons().any(|lesson| lesson == Lesson::Unheard("B650".parse().unwrap())));
        let decoded = round.finish();
        assert_eq!((decoded.readings.len(), decoded.failures.len()), (3, 1));
        assert_eq!(decoded.readings[0].value().unwrap().to_string(), "220");
    }

    #[test]
    fn a_1997_meter_is_absent_after_three_silences_and_a_block_is_not_blamed_for_it() {
        let mut round = round_1997(&["voltage_l*", "power_factor", "clock_time"]);
        for di in ["B61F", "B611", "B612"] {
            assert_eq!(asked(&round), di);
            round.take(no_reply(Reason::Silent));
        }
        assert!(round.next().is_none() && round.lessons().next().is_none());
        assert_eq!(round.finish().failures.len(), 5);
    }

    #[test]
    fn a_phase_that_the_wiring_does_not_have_is_missing_and_never_asked_for() {
        let wanted = Catalogue::dlt645_2007().find("voltage_l*", 4).unwrap();
        for (wiring, absent) in [(Wiring::P1W2, 2), (Wiring::P3W3, 1), (Wiring::P3W4, 0)] {
            let costs = Costs::usual(Line::DEFAULT);
            let of = Point { wiring: Some(wiring), ..Point::default() };
            let mut round = Round::new(&wanted, BTreeSet::new(), costs, of);
            while let Some(ask) = round.next() {
                // A three-wire meter fills its block with 0 where l2 would be.
                let block = ask.subject.id().to_string() == "0201FF00";
                round.take(answer(if block { &[0x00, 0x10, 0, 0, 0x02, 0x10] } else { &[0x00, 0x10] }));
            }
            let decoded = round.finish();
            assert_eq!((decoded.readings.len(), decoded.failures.len()), (3 - absent, absent), "{wiring:?}");
            assert!(decoded.failures.iter().all(|f| f.reason == Reason::Missing));
            assert!(wiring == Wiring::P3W4 || decoded.readings.iter().all(|r| r.register.phase() != Some(2)));
        }
    }

    /// A round of 00010000 to a meter that said so many digits a minute ago.
    fn after(digits: i64) -> Round {
        let last = Last { digits, at: Timestamp::UNIX_EPOCH };
        let base = Base { last, age: Some(Duration::from_secs(60)) };
        round(&["active_energy_import"]).judged_by(vec![(Di::new(0x0001_0000).into(), base)])
    }

    fn energy(digits: u32) -> Result<Answer, NoReply> {
        let nibbles = format!("{digits:08}");
        answer(&u32::from_str_radix(&nibbles, 16).unwrap().to_le_bytes())
    }

    /// What comes of two answers: the value with its quality, or the failure with its octets.
    fn settled(first: u32, second: Result<Answer, NoReply>) -> (String, Vec<&'static str>, Option<i64>) {
        let mut round = after(100_000);
        round.take(energy(first));
        assert_eq!(asked(&round), "00010000", "asked once more");
        assert_eq!(round.jumps().count(), 0, "and not told yet");
        round.take(second);
        assert!(round.next().is_none(), "and never a third time");
        let words = round.jumps().map(|(_, kind)| kind.word()).collect();
        let base = round.energies().first().map(|(_, last)| last.digits);
        let decoded = round.finish();
        let reading = decoded.readings.first().map(|r| format!("{} {:?}", r.value().unwrap(), r.quality));
        let failure =
            decoded.failures.first().map(|f| format!("{} {:02X?}", f.reason, f.raw.as_ref().unwrap()));
        assert_eq!(decoded.readings.len() + decoded.failures.len(), 1);
        (reading.or(failure).unwrap(), words, base)
    }

    #[test]
    fn what_is_doubtful_is_asked_once_more_and_two_answers_decide() {
        for (first, second, came, words, base) in [
            // The first was damaged.
            (900, energy(100_001), "1000.01 Good", &[][..], Some(100_001)),
            (90_000_000, energy(100_001), "1000.01 Good", &[], Some(100_001)),
            // The meter means it.
            (900, energy(900), "9.00 Suspect", &["suspect"], Some(900)),
            (900, energy(901), "9.01 Suspect", &["suspect"], Some(901)),
            (90_000_000, energy(90_000_000), "900000.00 Suspect", &["suspect"], Some(90_000_000)),
            // Both cannot be right, and neither is believed.
            (900, energy(800), "implausible [00, 09, 00, 00]", &[], None),
            (900, energy(90_000_000), "implausible [00, 09, 00, 00]", &[], None),
            // There is no second.
            (900, no_reply(Reason::Silent), "implausible [00, 09, 00, 00]", &[], None),
            (900, no_reply(Reason::PortGone), "implausible [00, 09, 00, 00]", &[], None),
            (900, answer(&[0xFF; 4]), "implausible [00, 09, 00, 00]", &[], None),
            (900, answer(&[0; 3]), "implausible [00, 09, 00, 00]", &[], None),
        ] {
            assert_eq!(settled(first, second.clone()), (came.to_owned(), words.to_vec(), base), "{second:?}");
        }
    }

    #[test]
    fn a_doubtful_value_that_the_end_of_the_round_left_alone_is_no_value_and_its_octets_stay() {
        let mut round = after(100_000);
        round.take(energy(900));
        round.abandon(Reason::Expired, "the bus was stopped");
        assert!(round.next().is_none());
        let decoded = round.finish();
        assert_eq!((decoded.readings.len(), decoded.failures.len()), (0, 1));
        assert_eq!(decoded.failures[0].reason, Reason::Implausible);
        let said = "it fell from 1000.00 to 9.00 kWh; it could not be read again: the bus was stopped";
        assert_eq!(decoded.failures[0].detail, said);
    }

    #[test]
    fn a_port_that_goes_before_the_second_answer_ends_the_round() {
        let last = Last { digits: 100_000, at: Timestamp::UNIX_EPOCH };
        let known = vec![(Di::new(0x0001_0000).into(), Base { last, age: None })];
        let mut round = round(&["active_energy_import", "frequency"]).judged_by(known);
        round.take(energy(900));
        round.take(no_reply(Reason::PortGone));
        assert!(round.next().is_none());
        let reasons: Vec<_> = round.finish().failures.iter().map(|f| f.reason).collect();
        assert_eq!(reasons, [Reason::Implausible, Reason::PortGone]);
    }

    #[test]
    fn of_a_block_only_what_is_doubtful_in_both_answers_is_suspect() {
        let block = |items: [i64; 3]| {
            let octets: Vec<u8> = items
                .iter()
                .flat_map(|digits| u32::from_str_radix(&format!("{digits:08}"), 16).unwrap().to_le_bytes())
                .collect();
            answer(&octets)
        };
        let read = |first, second| {
            let mut round =
                round(&["active_energy_import", "active_energy_import_t1", "active_energy_import_t2"]);
            assert_eq!(asked(&round), "0001FF00");
            round.take(block(first));
            if let Some(second) = second {
                assert_eq!(asked(&round), "0001FF00", "asked once more");
                round.take(block(second));
            }
            assert!(round.next().is_none());
            let jumps: Vec<_> = round.jumps().map(|(_, kind)| kind.word()).collect();
            let known =
                round.energies().iter().find(|(di, _)| *di == Di::new(0x0001_FF00)).map(|(_, l)| l.digits);
            let decoded = round.finish();
            let good = decoded.readings.iter().filter(|r| r.quality == crate::reading::Quality::Good).count();
            let odd = decoded.readings.len() - good;
            ((good, odd, decoded.failures.len()), jumps, known)
        };
        let sound = [300, 100, 200];
        assert_eq!(read(sound, None), ((3, 0, 0), vec![], None));
        assert_eq!(read([300, 900, 200], Some(sound)), ((3, 0, 0), vec![], None), "a damaged tariff");
        let odd = [900, 100, 200];
        assert_eq!(read(odd, Some(odd)), ((0, 3, 0), vec!["suspect"], Some(600)), "told once for the block");
        let (counts, jumps, known) = read([300, 900, 200], Some([300, 100, 5000]));
        assert_eq!((counts, known), ((0, 1, 2), None), "no two of the tariffs agree");
        assert_eq!(jumps, ["suspect"]);
    }

    #[test]
    fn a_fall_after_a_clear_says_that_the_meter_counts_one_more() {
        let at = Timestamp::UNIX_EPOCH;
        let base = |digits| Base { last: Last { digits, at }, age: Some(Duration::from_secs(60)) };
        let known =
            vec![(Di::new(0x0001_0000).into(), base(100_000)), (Di::new(0x0330_0100).into(), base(1))];
        let mut round = round(&["active_energy_import", "meter_clear_count"]).judged_by(known);
        round.take(energy(5));
        round.take(energy(5));
        assert_eq!(asked(&round), "03300100");
        round.take(answer(&[0x02, 0, 0]));
        let whole = "it fell from 1000.00 to 0.05 kWh; a second reading confirmed it; the meter's count of clears \
                     (电表清零) went from 1 to 2";
        let kinds: Vec<_> = round.jumps().map(|(_, kind)| kind).collect();
        assert!(matches!(&kinds[..], [Kind::Suspect(jump)] if jump.why == whole), "{kinds:?}");
        assert_eq!(round.energies().len(), 2);
        assert_eq!(round.finish().readings[0].why.as_deref(), Some(whole));
    }

    #[test]
    fn what_was_read_before_the_end_is_kept() {
        let mut round = round(&["voltage_l1", "frequency"]);
        round.take(answer(&[0x01, 0x22]));
        round.abandon(Reason::Expired, "the daemon ended");
        let decoded = round.finish();
        assert_eq!((decoded.readings.len(), decoded.failures[0].reason), (1, Reason::Expired));
    }
}
