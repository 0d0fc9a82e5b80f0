//! All that is wanted of one meter, question by question: a plan that gives way where a block is
//! refused, and what came of it. Pure: the octets are fetched by the caller.

use super::talk::{Answer, NoReply};
use crate::config::Wiring;
use crate::planner::{Ask, Costs, Subject, plan};
use crate::reading::{Decoded, Failure, Reason, Transformers, decode};
use catalogue::{Block, Register};
use dlt645::{Di, Edition};
use std::collections::{BTreeSet, VecDeque};

/// So many different questions a meter of 1997 must leave unanswered before it is taken to be absent: a block, a
/// register of it, and another.
const SILENCES_1997: u32 = 3;

/// The questions to one meter and the answers so far.
#[derive(Debug)]
pub struct Round {
    asks: VecDeque<Ask>,
    costs: Costs,
    transformers: Transformers,
    /// Blocks not to be tried in this round.
    refused: BTreeSet<Di>,
    /// Those of them that the meter does not have at all.
    not_supported: BTreeSet<Di>,
    /// Blocks of 1997 that were met with silence, and what was wanted of them.
    unheard: Vec<(Block, Vec<Register>)>,
    answered: bool,
    /// Questions that were met with silence.
    silences: u32,
    decoded: Decoded,
}

impl Round {
    /// Plans the questions for `wanted`; blocks in `refused` are not tried.
    pub fn new(
        wanted: &[Register],
        refused: &BTreeSet<Di>,
        costs: Costs,
        transformers: Transformers,
    ) -> Self {
        Self {
            asks: plan(wanted, refused, &costs).into(),
            costs,
            transformers,
            refused: refused.clone(),
            not_supported: BTreeSet::new(),
            unheard: Vec::new(),
            answered: false,
            silences: 0,
            decoded: Decoded::default(),
        }
    }

    /// The same for a meter of this wiring: registers of a phase that it does not have are missing and
    /// are not asked for, since some meters answer 0 there, which would read as a voltage lost.
    pub fn of_wiring(
        wiring: Option<Wiring>,
        wanted: &[Register],
        refused: &BTreeSet<Di>,
        costs: Costs,
        transformers: Transformers,
    ) -> Self {
        let has = |register: &Register| match (wiring, register.phase()) {
            (Some(wiring), Some(phase)) => wiring.has_phase(phase),
            (None, _) | (_, None) => true,
        };
        let (there, absent): (Vec<Register>, Vec<Register>) = wanted.iter().copied().partition(has);
        let mut round = Self::new(&there, refused, costs, transformers);
        let wired = wiring.map_or("", Wiring::word);
        round.decoded.failures.extend(absent.into_iter().map(|register| Failure {
            register,
            reason: Reason::Missing,
            detail: format!("a meter wired {wired} does not have this phase"),
            raw: None,
        }));
        round
    }

    /// The next question; `None` when the round is over.
    pub fn next(&self) -> Option<&Ask> {
        self.asks.front()
    }

    /// Takes what came of the question that [`Round::next`] gave.
    pub fn take(&mut self, came: Result<Answer, NoReply>) {
        let Some(ask) = self.asks.pop_front() else { return };
        match came {
            Ok(answer) => {
                self.answered = true;
                self.heard(&ask);
                match decode(&ask, &answer.octets, answer.taken_at, self.transformers) {
                    Ok(decoded) => {
                        self.decoded.readings.extend(decoded.readings);
                        self.decoded.failures.extend(decoded.failures);
                    }
                    Err(_) => self.singly(&ask),
                }
            }
            Err(no_reply) => self.take_none(ask, &no_reply),
        }
    }

    fn take_none(&mut self, ask: Ask, no_reply: &NoReply) {
        self.silences += u32::from(no_reply.reason == Reason::Silent);
        match (no_reply.reason, ask.subject) {
            (Reason::Refused, Subject::Block(block)) => {
                self.answered = true;
                if no_reply.word.is_some_and(|w| w.no_requested_data()) && block.is_present() {
                    self.not_supported.insert(block.di());
                }
                self.singly(&ask);
            }
            (Reason::Refused, Subject::Register(_)) => {
                self.answered = true;
                self.fail(&ask.wanted, no_reply);
            }
            // A meter that has not said a word in this round is not asked for the rest of it: its
            // silence costs the line more than its answers would.
            (Reason::Silent, _) if self.is_absent(ask.subject.di().edition()) => {
                self.give_up(ask, no_reply);
            }
            (Reason::Silent, Subject::Block(block)) if block.di().edition() == Edition::E1997 => {
                self.unheard.push((block, ask.wanted.clone()));
                self.singly(&ask);
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
        let rest = NoReply { reason, detail: detail.to_owned(), word: None, never_a_frame: false };
        while let Some(ask) = self.asks.pop_front() {
            self.fail(&ask.wanted, &rest);
        }
    }

    /// Blocks that the meter has been found not to have: it said *no requested data* of present
    /// values. Of history the same word means that there is no such entry now, so it is not kept.
    pub const fn not_supported(&self) -> &BTreeSet<Di> {
        &self.not_supported
    }

    /// What came of the round.
    pub fn finish(self) -> Decoded {
        self.decoded
    }

    /// Whether silence means the meter and not the register. A meter of 1997 has no word for what it does not know
    /// and stays silent, so that several questions must go unheard.
    const fn is_absent(&self, edition: Edition) -> bool {
        let enough = match edition {
            Edition::E1997 => SILENCES_1997,
            Edition::E2007 => 1,
        };
        !self.answered && self.silences >= enough
    }

    /// A register that answers where its block did not: the meter does not have the block.
    fn heard(&mut self, ask: &Ask) {
        let Subject::Register(register) = ask.subject else { return };
        let (known, unheard) = self
            .unheard
            .drain(..)
            .partition(|(_, wanted): &(Block, Vec<Register>)| wanted.contains(&register));
        self.unheard = unheard;
        let lacking = known.into_iter().map(|(block, _)| block).filter(Block::is_present);
        self.not_supported.extend(lacking.map(|block| block.di()));
    }

    fn give_up(&mut self, ask: Ask, no_reply: &NoReply) {
        self.fail(&ask.wanted, no_reply);
        while let Some(ask) = self.asks.pop_front() {
            self.fail(&ask.wanted, no_reply);
        }
    }

    fn singly(&mut self, ask: &Ask) {
        self.refused.insert(ask.subject.di());
        // Another block may still hold some of them; the plan decides, first in the queue.
        for again in plan(&ask.wanted, &self.refused, &self.costs).into_iter().rev() {
            self.asks.push_front(again);
        }
    }

    fn fail(&mut self, wanted: &[Register], no_reply: &NoReply) {
        self.decoded.failures.extend(wanted.iter().map(|&register| Failure {
            register,
            reason: no_reply.reason,
            detail: no_reply.detail.clone(),
            raw: None,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::Line;
    use catalogue::Catalogue;
    use dlt645::{Address, ErrorWord};
    use jiff::Timestamp;

    fn round(names: &[&str]) -> Round {
        let wanted: Vec<_> =
            names.iter().flat_map(|n| Catalogue::dlt645_2007().find(n, 4).unwrap()).collect();
        Round::new(&wanted, &BTreeSet::new(), Costs::usual(Line::DEFAULT), Transformers::default())
    }

    fn answer(octets: &[u8]) -> Result<Answer, NoReply> {
        Ok(Answer { from: Address::ANY, octets: octets.to_vec(), taken_at: Timestamp::UNIX_EPOCH })
    }

    fn no_reply(reason: Reason) -> Result<Answer, NoReply> {
        let word = (reason == Reason::Refused).then_some(ErrorWord::NO_REQUESTED_DATA);
        Err(NoReply { reason, detail: reason.to_string(), word, never_a_frame: false })
    }

    fn asked(round: &Round) -> String {
        round.next().map(|a| a.subject.di().to_string()).unwrap_or_default()
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
        assert_eq!(round.not_supported().len(), 1);
        let decoded = round.finish();
        assert_eq!((decoded.readings.len(), decoded.failures.len()), (4, 0));
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
        Round::new(&wanted, &BTreeSet::new(), Costs::usual(Line::DEFAULT), Transformers::default())
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
        assert_eq!(round.not_supported().iter().map(ToString::to_string).collect::<Vec<_>>(), ["B61F"]);
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
        assert!(round.next().is_none() && round.not_supported().is_empty());
        assert_eq!(round.finish().failures.len(), 5);
    }

    #[test]
    fn a_phase_that_the_wiring_does_not_have_is_missing_and_never_asked_for() {
        let wanted = Catalogue::dlt645_2007().find("voltage_l*", 4).unwrap();
        for (wiring, absent) in [(Wiring::P1W2, 2), (Wiring::P3W3, 1), (Wiring::P3W4, 0)] {
            let costs = Costs::usual(Line::DEFAULT);
            let none = BTreeSet::new();
            let mut round = Round::of_wiring(Some(wiring), &wanted, &none, costs, Transformers::default());
            while let Some(ask) = round.next() {
                // A three-wire meter fills its block with 0 where l2 would be.
                let block = ask.subject.di().to_string() == "0201FF00";
                round.take(answer(if block { &[0x00, 0x10, 0, 0, 0x02, 0x10] } else { &[0x00, 0x10] }));
            }
            let decoded = round.finish();
            assert_eq!((decoded.readings.len(), decoded.failures.len()), (3 - absent, absent), "{wiring:?}");
            assert!(decoded.failures.iter().all(|f| f.reason == Reason::Missing));
            assert!(wiring == Wiring::P3W4 || decoded.readings.iter().all(|r| r.register.phase() != Some(2)));
        }
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
