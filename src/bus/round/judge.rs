//! What a round makes of energies that cannot be right, and of all that a noisy line brings: they are asked for once more
//! before they are handed out. Pure.
//!
//! That is so on every port. A serial server hides parity and a line may have none, so that damage gets through; and
//! where parity is checked, a second exchange is still cheaper than a mark that is wrong.

use crate::event::{Jump, Kind};
use crate::planner::{Ask, Subject};
use crate::reading::plausible::{self, Base, CLEARS, Doubt, Last, Sum, Verdict};
use crate::reading::{Content, Decoded, Failure, Quality, Reading, Reason};
use catalogue::{Identifier, Register};
use jiff::Timestamp;

/// How often a question is asked in a round until two answers agree.
const READS: u8 = 3;

/// What a jump is told as.
type As = fn(Jump) -> Kind;

/// The judge of one round.
#[derive(Debug)]
pub(super) struct Judge {
    known: Vec<(Identifier, Base)>,
    phases: u8,
    last: Vec<(Identifier, Last)>,
    /// When each was seen, and what it is.
    jumps: Vec<(Timestamp, As, Jump)>,
    /// What the meter's own count says of a fall.
    cleared: Option<String>,
}

/// An answer with what speaks against it.
#[derive(Debug, Default)]
pub(super) struct Looked {
    readings: Vec<Seen>,
    failures: Vec<Failure>,
    /// The block whose total is not the sum of its tariffs.
    unbalanced: Option<(Identifier, Sum)>,
}

#[derive(Debug)]
struct Seen {
    reading: Reading,
    /// Its digits, of an energy.
    digits: Option<i64>,
    verdict: Verdict,
}

impl Seen {
    const fn doubt(&self) -> Option<Doubt> {
        match self.verdict {
            Verdict::Doubtful(doubt) => Some(doubt),
            Verdict::Plausible | Verdict::Rollover => None,
        }
    }
}

/// What a question was answered with so far, where one answer is not enough.
#[derive(Debug)]
pub(super) struct Heard {
    answers: Vec<Looked>,
    reads: u8,
    /// Whether two answers must agree.
    noisy: bool,
    /// Why the last read brought no answer.
    lack: Option<String>,
}

impl Heard {
    pub(super) fn first(looked: Looked, noisy: bool) -> Self {
        Self { answers: vec![looked], reads: 1, noisy, lack: None }
    }

    /// Takes what one more read brought; of one without an answer, why. The line may have become `noisy` since.
    pub(super) fn take(&mut self, again: Result<Looked, String>, noisy: bool) {
        self.noisy |= noisy;
        self.reads += 1;
        match again {
            Ok(looked) => self.answers.push(looked),
            Err(why) => self.lack = Some(why),
        }
    }

    /// Whether one more read may settle what is open.
    pub(super) fn wants_more(&self) -> bool {
        self.noisy && self.reads < READS && !self.registers().all(|register| self.agree_on(register))
    }

    fn registers(&self) -> impl Iterator<Item = Register> + '_ {
        let first = self.answers.first().into_iter();
        first.flat_map(|looked| {
            let failed = looked.failures.iter().map(|failure| failure.register);
            looked.readings.iter().map(|seen| seen.reading.register).chain(failed)
        })
    }

    fn agree_on(&self, register: Register) -> bool {
        self.answers.iter().enumerate().any(|(n, one)| {
            self.answers[..n].iter().any(|other| {
                let contents = one.content(register).zip(other.content(register));
                let failures = one.failure(register).zip(other.failure(register));
                contents.is_some_and(|(one, other)| one == other)
                    || failures.is_some_and(|(one, other)| one == other)
            })
        })
    }
}

impl Looked {
    fn content(&self, register: Register) -> Option<&Content> {
        self.readings.iter().find(|seen| seen.reading.register == register).map(|seen| &seen.reading.content)
    }

    fn failure(&self, register: Register) -> Option<&Failure> {
        self.failures.iter().find(|failure| failure.register == register)
    }

    pub(super) fn is_doubtful(&self) -> bool {
        self.readings.iter().any(|seen| seen.doubt().is_some())
    }
}

impl Judge {
    /// One that knows of a meter how many phases it has, and that judges sums alone.
    pub(super) const fn new(phases: u8) -> Self {
        Self { known: Vec::new(), phases, last: Vec::new(), jumps: Vec::new(), cleared: None }
    }

    /// Judges by these values of the meter too.
    pub(super) fn know(&mut self, known: Vec<(Identifier, Base)>) {
        self.known = known;
    }

    /// Judges an answer.
    pub(super) fn look(&mut self, ask: &Ask, octets: &[u8], taken_at: Timestamp, decoded: Decoded) -> Looked {
        let unbalanced = match ask.subject {
            Subject::Block(block) => self.unbalanced(block, octets, taken_at),
            Subject::Register(_) | Subject::Span(_) => None,
        };
        let seen = |reading: Reading| {
            let digits = reading.value().and_then(|value| plausible::energy(&reading.register, value));
            let verdict = self.verdict(&reading, digits, unbalanced);
            Seen { reading, digits, verdict }
        };
        let readings = decoded.readings.into_iter().map(seen).collect();
        Looked { readings, failures: decoded.failures, unbalanced }
    }

    /// Hands out an answer that nothing speaks against.
    pub(super) fn believe(&mut self, looked: Looked, into: &mut Decoded) {
        into.failures.extend(looked.failures);
        for seen in looked.readings {
            self.take(seen, into);
        }
    }

    /// Hands out what the answers to one question come to.
    pub(super) fn settle(&mut self, heard: Heard, into: &mut Decoded) {
        for (first, second) in heard.answers.iter().zip(heard.answers.iter().skip(1)) {
            self.take_difference(first, second);
        }
        if heard.noisy {
            return self.settle_noisy(heard, into);
        }
        let mut answers = heard.answers.into_iter();
        let first = answers.next().unwrap_or_default();
        let (second, lack) = match (answers.next(), heard.lack) {
            (None, Some(why)) => (Looked::default(), why),
            (second, _) => (second.unwrap_or_default(), "the second answer had no value of it".to_owned()),
        };
        let mut again = second.readings;
        let now = |failure: &Failure| again.iter().any(|seen| seen.reading.register == failure.register);
        into.failures.extend(first.failures.into_iter().filter(|failure| !now(failure)));
        let mut told = false;
        for seen in first.readings {
            let same = again.iter().position(|other| other.reading.register == seen.reading.register);
            let other = same.map(|n| again.remove(n));
            match other {
                Some(other) if other.doubt().is_none() => self.take(other, into),
                _ if seen.doubt().is_none() => self.take(seen, into),
                Some(other) if self.is_confirmed(&seen, &other) => self.suspect(other, &mut told, into),
                Some(other) => {
                    let other_doubt = other.doubt().map(|doubt| format!("; read again, {doubt}"));
                    unbelieved(seen, &other_doubt.unwrap_or_default(), into);
                }
                None => unbelieved(seen, &format!("; {lack}"), into),
            }
        }
        for seen in again {
            match seen.doubt() {
                None => self.take(seen, into),
                Some(_) => unbelieved(seen, "; the first answer had no value of it", into),
            }
        }
    }

    /// A total that is not the sum of its tariffs in two answers: the next is judged by the difference.
    fn take_difference(&mut self, first: &Looked, second: &Looked) {
        if let (Some((di, one)), Some((_, two))) = (first.unbalanced, second.unbalanced)
            && one.is_confirmed_by(&two)
            && let Some(at) = second.readings.first().map(|seen| seen.reading.taken_at)
        {
            self.last.push((di, Last { digits: two.difference(), at }));
        }
    }

    /// Of a noisy line's answers that counts on which two agree digit for digit, register by register.
    fn settle_noisy(&mut self, heard: Heard, into: &mut Decoded) {
        let registers: Vec<Register> = heard.registers().collect();
        let Heard { mut answers, lack, .. } = heard;
        let mut told = false;
        for register in registers {
            let (mut seen, mut failed) = (Vec::new(), Vec::new());
            for looked in &mut answers {
                let of = looked.readings.iter().position(|seen| seen.reading.register == register);
                seen.extend(of.map(|n| looked.readings.swap_remove(n)));
                failed.extend(looked.failure(register).cloned());
            }
            let same = |one: &Seen, other: &Seen| one.reading.content == other.reading.content;
            let agreed = |n: &usize| seen.iter().filter(|other| same(&seen[*n], other)).count() > 1;
            let agreed: Vec<usize> = (0..seen.len()).filter(agreed).collect();
            // The sum of its block speaks against a value that another answer holds too.
            let best = agreed.iter().rev().find(|n| seen[**n].doubt().is_none()).or(agreed.last());
            if let Some(&best) = best {
                let best = seen.swap_remove(best);
                match best.doubt() {
                    None => self.take(best, into),
                    Some(_) => self.suspect(best, &mut told, into),
                }
            } else if let Some(twice) = (1..failed.len()).find(|n| failed[..*n].contains(&failed[*n])) {
                into.failures.push(failed.swap_remove(twice));
            } else {
                unconfirmed(seen, failed, lack.as_deref(), into);
            }
        }
    }

    /// What the next round is judged by.
    pub(super) fn last(&self) -> &[(Identifier, Last)] {
        &self.last
    }

    /// What is to be told of it, and when it was seen.
    pub(super) fn jumps(&self) -> impl Iterator<Item = (Timestamp, Kind)> + '_ {
        self.jumps.iter().map(|(at, kind, jump)| {
            let why = self.with_clears(jump.why.clone());
            (*at, kind(Jump { why, ..jump.clone() }))
        })
    }

    /// The last word on readings that are suspect.
    pub(super) fn explain(&self, decoded: &mut Decoded) {
        let energy =
            |r: &Reading| r.value().and_then(|value| plausible::energy(&r.register, value)).is_some();
        for reading in decoded.readings.iter_mut().filter(|r| r.quality == Quality::Suspect && energy(r)) {
            reading.why = reading.why.take().map(|why| self.with_clears(why));
        }
    }

    fn with_clears(&self, why: String) -> String {
        match &self.cleared {
            Some(cleared) => format!("{why}; {cleared}"),
            None => why,
        }
    }

    fn known(&self, di: Identifier) -> Option<Base> {
        self.known.iter().find(|(known, _)| *known == di).map(|(_, base)| *base)
    }

    fn unbalanced(
        &mut self,
        block: catalogue::Block,
        octets: &[u8],
        at: Timestamp,
    ) -> Option<(Identifier, Sum)> {
        let (di, sum) = (block.di().into(), Sum::of(block, octets)?);
        let known = self.known(di);
        if !sum.is_balanced(known, at, self.phases) {
            return Some((di, sum));
        }
        if known.is_some() {
            self.last.push((di, Last { digits: sum.difference(), at }));
        }
        None
    }

    fn verdict(
        &self,
        reading: &Reading,
        digits: Option<i64>,
        unbalanced: Option<(Identifier, Sum)>,
    ) -> Verdict {
        let Some(digits) = digits else { return Verdict::Plausible };
        let register = &reading.register;
        let by_the_last = match self.known(register.id()) {
            Some(base) if plausible::is_cumulative(register) => {
                plausible::judge(register, base, digits, reading.taken_at, self.phases)
            }
            Some(_) | None => Verdict::Plausible,
        };
        match (by_the_last, unbalanced) {
            (doubtful @ Verdict::Doubtful(_), _) => doubtful,
            (Verdict::Plausible | Verdict::Rollover, Some((_, sum))) => {
                Verdict::Doubtful(Doubt::Unbalanced(sum))
            }
            (sound @ (Verdict::Plausible | Verdict::Rollover), None) => sound,
        }
    }

    fn is_confirmed(&self, first: &Seen, second: &Seen) -> bool {
        let last = |seen: &Seen| Some(Last { digits: seen.digits?, at: seen.reading.taken_at });
        let both = last(first).zip(last(second));
        let register = &first.reading.register;
        both.is_some_and(|(first, second)| plausible::is_confirmed(register, first, second, self.phases))
    }

    /// A reading that counts.
    fn take(&mut self, seen: Seen, into: &mut Decoded) {
        if seen.verdict == Verdict::Rollover {
            let why = "it began again at 0 behind its last digit".to_owned();
            self.jump(&seen, why, Kind::Rollover);
        }
        self.remember(&seen);
        into.readings.push(seen.reading);
    }

    /// A reading that two answers agree on and that is odd all the same; of a whole block it is `told` once.
    fn suspect(&mut self, mut seen: Seen, told: &mut bool, into: &mut Decoded) {
        let Some(doubt) = seen.doubt() else { return };
        let why = format!("{doubt}; a second reading confirmed it");
        let tell = match doubt {
            Doubt::Fell { .. } | Doubt::Rose { .. } => true,
            Doubt::Unbalanced(_) => !std::mem::replace(told, true),
        };
        if tell {
            self.jump(&seen, why.clone(), Kind::Suspect);
        }
        self.remember(&seen);
        seen.reading.quality = Quality::Suspect;
        seen.reading.why = Some(why);
        into.readings.push(seen.reading);
    }

    fn jump(&mut self, seen: &Seen, why: String, kind: As) {
        let (register, Some(digits)) = (seen.reading.register, seen.digits) else { return };
        let last = self.known(register.id()).map(|base| base.last);
        let last = last.map(|last| (plausible::value(&register, last.digits), last.at));
        let jump = Jump { register, last, value: plausible::value(&register, digits), why };
        self.jumps.push((seen.reading.taken_at, kind, jump));
    }

    fn remember(&mut self, seen: &Seen) {
        let (register, at) = (&seen.reading.register, seen.reading.taken_at);
        if let Some(digits) = seen.digits.filter(|_| plausible::is_cumulative(register)) {
            self.last.push((register.id(), Last { digits, at }));
        } else if register.id() == CLEARS
            && let Some(count) = seen.reading.value().and_then(dlt645::format::Value::number)
            && let Ok(digits) = i64::try_from(count.mantissa())
        {
            if let Some(before) = self.known(CLEARS.into()).map(|base| base.last.digits)
                && digits != before
            {
                let said = format!("the meter's count of clears (电表清零) went from {before} to {digits}");
                self.cleared = Some(said);
            }
            self.last.push((CLEARS.into(), Last { digits, at }));
        }
    }
}

/// A value that is not believed and was not confirmed: it is none, and its octets go along.
fn unbelieved(seen: Seen, then: &str, into: &mut Decoded) {
    let Some(doubt) = seen.doubt() else { return };
    let mut raw = Vec::new();
    let encoded = seen.reading.value().map(|value| seen.reading.register.encode(*value, &mut raw));
    into.failures.push(Failure {
        register: seen.reading.register,
        reason: Reason::Implausible,
        detail: format!("{doubt}{then}"),
        raw: matches!(encoded, Some(Ok(()))).then_some(raw),
    });
}

/// The last of what a noisy line brought for a register, on which no two answers agree.
fn unconfirmed(mut seen: Vec<Seen>, failed: Vec<Failure>, lack: Option<&str>, into: &mut Decoded) {
    let texts: Vec<String> =
        seen.iter().filter_map(|seen| seen.reading.value()).map(ToString::to_string).collect();
    let why = match (seen.len() + failed.len(), lack) {
        (1, Some(lack)) => format!("the line is noisy (线路干扰), and {lack}"),
        (answers, _) => {
            let texts = if texts.is_empty() { String::new() } else { format!(": {}", texts.join(", ")) };
            format!("the line is noisy (线路干扰), and no two of {answers} answers agree{texts}")
        }
    };
    match (seen.pop(), failed.into_iter().next_back()) {
        (Some(seen), _) if seen.doubt().is_some() => unbelieved(seen, &format!("; {why}"), into),
        (Some(Seen { mut reading, .. }), _) => {
            reading.quality = Quality::Suspect;
            reading.why = Some(why);
            into.readings.push(reading);
        }
        (None, Some(failure)) => into.failures.push(failure),
        (None, None) => {}
    }
}
