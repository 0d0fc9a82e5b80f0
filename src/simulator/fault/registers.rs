//! Faults of Modbus meters: what they refuse, and what of the others is bounded, since an answer of theirs does not say
//! which registers it has.

use super::LineFault;
use super::injector::{Injector, Utterance};
use crate::simulator::line::{Said, Sender, VirtualLine};
use crate::simulator::modbus::ModbusMeter;
use crate::simulator::wire::Octet;
use catalogue::Identifier;
use modbus::rtu::Reply;
use modbus::{Exception, Span, UnitId};
use std::time::Duration;

/// From the end of a request, all of a late answer is there by then. A reader that asks the same meter for as many
/// other registers before that could not tell the late answer from the one it waits for.
const LATEST: Duration = Duration::from_secs(3);

/// Which Modbus meter was asked for what, by what was answered; no registers where its function reads none.
pub(super) fn asked(said: &[Utterance]) -> Option<(UnitId, Option<Span>)> {
    let (_, sent) = said.first()?.sent.first()?;
    let unit = sent.meter.unit()?;
    match sent.said {
        Said::Registers { span, .. } => Some((unit, Some(span))),
        Said::Exception { span, .. } => Some((unit, span)),
        Said::Data { .. } | Said::Refused { .. } | Said::Nothing | Said::Other => None,
    }
}

/// When an answer begins that is late by so much and takes so long.
pub(super) fn late(after: Duration, by: Duration, takes: Duration) -> Duration {
    (after + by).min(LATEST.saturating_sub(takes)).max(after)
}

/// Whether an older answer could be taken for that to this question: of the same unit and function, and so many registers
/// or an exception.
pub(super) fn looks_like(older: &[Octet], meter: Sender, id: Identifier) -> bool {
    let (Some(unit), Some(span)) = (meter.unit(), id.span()) else { return false };
    let (unit, function) = (u16::from(unit.get()), u16::from(span.function.code()));
    let head: Vec<_> = older.iter().take(3).map(|one| u16::from(one.octet)).collect();
    head == [unit, function, span.count * 2] || head.starts_with(&[unit, function | 0x80])
}

/// Whether a pause within it is fair: not where a second frame of a Modbus meter would come behind it, when its reader
/// may have asked for other registers.
pub(super) fn may_pause(utterance: &Utterance) -> bool {
    utterance.sent.first().is_none_or(|(first, sent)| {
        sent.meter.unit().is_none() || (*first == 0 && sent.frame.len() == utterance.octets.len())
    })
}

/// A meter that is not on the line, of the model of one that is.
pub(super) fn stranger(line: &VirtualLine) -> Option<ModbusMeter> {
    let mut settings = line.modbus().first()?.settings().clone();
    let is_taken = |unit: &UnitId| line.modbus().iter().any(|meter| meter.settings().unit == *unit);
    settings.unit = (1..=247).rev().filter_map(UnitId::new).find(|unit| !is_taken(unit))?;
    Some(ModbusMeter::new(settings, 0x57A7))
}

impl Injector {
    /// What a Modbus meter that was asked answers in the place of registers.
    pub(super) fn as_meter_of_modbus(
        &mut self,
        unit: UnitId,
        span: Option<Span>,
        line: &VirtualLine,
        said: &mut [Utterance],
    ) {
        let Some(span) = span else { return };
        let meter = line.modbus().iter().find(|meter| meter.settings().unit == unit);
        if meter.is_some_and(|meter| meter.is_block(span)) && self.happens(LineFault::RefuseBlocks) {
            refuse(said, span, Exception::IllegalDataAddress);
        } else if self.happens(LineFault::Busy) {
            refuse(said, span, Exception::Busy);
        } else if self.happens(LineFault::DeviceFailure) {
            refuse(said, span, Exception::DeviceFailure);
        }
    }
}

/// Puts an exception in the place of answers.
fn refuse(said: &mut [Utterance], span: Span, exception: Exception) {
    for utterance in said {
        let Some((_, sent)) = utterance.sent.first_mut() else { continue };
        let Some(unit) = sent.meter.unit() else { continue };
        sent.frame = Reply::refusal(unit.get(), span.function.code(), exception).to_rtu();
        sent.said = Said::Exception { span: Some(span), exception };
        utterance.octets = sent.frame.iter().copied().map(Octet::of).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Injection;
    use super::*;
    use crate::simulator::{Log, ModbusSettings, Pair, Sent};
    use catalogue::Profile;
    use jiff::{SignedDuration, Timestamp};
    use modbus::rtu::Request;

    /// A line of two Modbus meters with faults, and what they sent.
    struct Bench {
        pair: Pair,
        log: Log,
        now: Duration,
    }

    type Came = Vec<(Duration, Vec<u8>)>;

    impl Bench {
        fn of(faults: &[(LineFault, f64)], seed: u64) -> Self {
            let meters = [1, 2].map(|unit| {
                let profile = Profile::named("eastron-sdm630").unwrap();
                ModbusMeter::new(ModbusSettings::new(UnitId::new(unit).unwrap(), profile), 1)
            });
            let line = VirtualLine::new(Vec::new()).with_modbus(meters.into());
            let injections: Vec<_> = faults.iter().map(|&(fault, rate)| Injection { fault, rate }).collect();
            let log = Log::keeping(1000);
            let pair = Pair::from(line).with_faults(&injections, seed, false).logged(log.clone());
            Self { pair, log, now: Duration::ZERO }
        }

        /// Asks meter 1; the pieces that come, each with the time since the request.
        fn read(&mut self, span: &str) -> Came {
            let request = Request::read(1, span.parse().unwrap()).to_rtu();
            let wall = Timestamp::UNIX_EPOCH + SignedDuration::try_from(self.now).unwrap();
            let _ = self.pair.hear(&request, self.now, wall, None);
            let mut came = Vec::new();
            while let Some(due) = self.pair.due() {
                let piece = self.pair.deliver(due).unwrap();
                came.push((due - self.now, piece.into_iter().map(|(octet, _)| octet).collect()));
            }
            self.now += Duration::from_secs(60);
            came
        }

        fn sent(&self) -> Vec<Sent> {
            self.log.sent()
        }
    }

    const VOLTAGE: &str = "04 0000+2";
    const CURRENT: &str = "04 0006+2";

    #[test]
    fn exceptions_come_in_the_place_of_registers_and_the_log_has_them() {
        for (fault, code) in [(LineFault::Busy, 6), (LineFault::DeviceFailure, 4)] {
            let mut bench = Bench::of(&[(fault, 1.0)], 5);
            let reply = Reply::parse(&bench.read(VOLTAGE)[0].1).unwrap();
            assert_eq!(reply.exception().map(Exception::code), Some(code));
            let said = Said::Exception { span: VOLTAGE.parse().ok(), exception: Exception::of(code) };
            assert_eq!(bench.sent()[0].said, said);
            assert_eq!(bench.pair.tally().injected(fault), 1);
        }
    }

    #[test]
    fn several_registers_are_refused_and_one_is_not() {
        let mut bench = Bench::of(&[(LineFault::RefuseBlocks, 1.0)], 5);
        let code = |came: Came| Reply::parse(&came[0].1).unwrap().exception().map(Exception::code);
        assert_eq!(code(bench.read("04 0000+6")), Some(2));
        assert_eq!(code(bench.read(VOLTAGE)), None);
    }

    #[test]
    fn a_late_answer_is_all_there_within_three_seconds_of_its_request() {
        let rate = crate::planner::Line { baud: 1200, ..crate::planner::Line::DEFAULT };
        let mut bench = Bench::of(&[(LineFault::Late, 1.0)], 5);
        bench.pair = bench.pair.at(rate);
        for _ in 0..50 {
            let request = rate.octets(8);
            let came = bench.read("04 0000+80");
            let (first, last) = (came[0].0 - request, came.last().unwrap().0 - request);
            assert!(first > Duration::from_millis(600) && last <= LATEST, "{first:?} {last:?}");
        }
    }

    #[test]
    fn another_unit_answers_and_a_twin_has_the_unit_and_other_values() {
        let mut stray = Bench::of(&[(LineFault::Stray, 1.0)], 5);
        (0..20).for_each(|_| drop(stray.read(VOLTAGE)));
        let senders: Vec<_> = stray.sent().iter().map(|sent| sent.meter.to_string()).collect();
        assert!(senders.len() > 20, "{senders:?}");
        assert!(["1", "2", "247"].iter().all(|unit| senders.iter().any(|s| s == unit)), "{senders:?}");
        let mut twin = Bench::of(&[(LineFault::Twin, 1.0)], 5);
        assert_eq!(twin.read("04 0048+2").len(), 2);
        let sent = twin.sent();
        assert_eq!(sent[0].meter, sent[1].meter);
        assert_ne!(sent[0].said, sent[1].said);
    }

    #[test]
    fn an_answer_that_was_cut_off_is_in_the_log_as_far_as_it_went() {
        let mut bench = Bench::of(&[(LineFault::Cut, 1.0)], 5);
        for _ in 0..20 {
            let came = bench.read(VOLTAGE);
            let sent = bench.sent().pop().unwrap();
            assert_eq!((&sent.said, &sent.frame), (&Said::Nothing, &came[0].1));
            assert!(sent.frame.len() < 9);
        }
    }

    #[test]
    fn damage_is_the_lines_and_an_echo_comes_before_the_answer() {
        let mut damaged = Bench::of(&[(LineFault::Damaged, 1.0)], 5);
        let came = damaged.read(VOLTAGE).remove(0).1;
        assert_ne!(came, damaged.sent()[0].frame);
        assert!(Reply::parse(&came).is_err() && Reply::parse(&damaged.sent()[0].frame).is_ok());
        let came = Bench::of(&[(LineFault::Echo, 1.0)], 5).read(VOLTAGE);
        assert_eq!((came[0].0, came[0].1.len(), came[1].1.len()), (Duration::ZERO, 8, 9));
    }

    #[test]
    fn an_older_answer_is_never_glued_to_one_that_it_could_be_taken_for() {
        let mut bench = Bench::of(&[(LineFault::Glued, 1.0)], 5);
        for n in 0..40 {
            let came = bench.read(if n % 2 == 0 { VOLTAGE } else { CURRENT }).remove(0).1;
            assert_eq!(came[..9], came[9..], "the answer itself, twice");
        }
        let mut other = Bench::of(&[(LineFault::Glued, 1.0)], 5);
        let lengths: Vec<_> =
            (0..40).map(|n| other.read(if n % 2 == 0 { VOLTAGE } else { "04 0000+4" })[0].1.len()).collect();
        assert!(lengths.contains(&22), "{lengths:?}");
        let mut refused = Bench::of(&[(LineFault::Glued, 1.0), (LineFault::Busy, 0.5)], 5);
        let lengths: Vec<_> =
            (0..40).map(|n| refused.read(if n % 2 == 0 { VOLTAGE } else { CURRENT })[0].1.len()).collect();
        assert!(lengths.iter().all(|length| [10, 18].contains(length)), "{lengths:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_gives_others() {
        let faults: Vec<_> = LineFault::ALL.into_iter().map(|fault| (fault, 0.2)).collect();
        let run = |seed| {
            let mut bench = Bench::of(&faults, seed);
            (0..50).map(|_| bench.read("04 0000+6")).collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
