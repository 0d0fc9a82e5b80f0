//! The wrapper round a line's answers: request and answers in, what goes over the wires out.

use super::super::dice::Dice;
use super::super::line::{Said, Sender, Sent, Spoken, VirtualLine};
use super::super::meter::{MeterSettings, VirtualMeter};
use super::super::modbus::{ModbusMeter, Silence};
use super::super::wire::Octet;
use super::{Injection, LineFault, Noise, NoiseModel, registers};
use catalogue::{Catalogue, Entry, Identifier, Standard};
use dlt645::frame::{Control, emit};
use dlt645::pdu::Request;
use dlt645::scanner::Scanner;
use dlt645::{Address, Di, Edition, ErrorWord};
use jiff::Timestamp;
use modbus::rtu;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Function codes of a read and of its follow-ups.
const READ: u8 = 0x11;
const READ_MORE: u8 = 0x12;
/// What a meter of State Grid may answer to anything, and its octets.
const ACTIVE_REPORT: Di = Di::new(0x0400_1501);
const ACTIVE_REPORT_OCTETS: usize = 12;
/// An octet at 2400 baud: babble takes time on a line without a rate too.
const BABBLED: Duration = Duration::from_micros(4583);

/// What happened on a line until now; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    exchanges: AtomicU64,
    injected: [AtomicU64; LineFault::ALL.len()],
}

impl Tally {
    /// Requests that a meter of the line understood, follow-ups among them.
    pub fn exchanges(&self) -> u64 {
        self.counts.exchanges.load(Ordering::Relaxed)
    }

    /// How often a fault was injected: exchanges, or octets where its probability is of octets.
    pub fn injected(&self, fault: LineFault) -> u64 {
        self.counts.injected[fault as usize].load(Ordering::Relaxed)
    }

    fn exchange(&self) {
        self.counts.exchanges.fetch_add(1, Ordering::Relaxed);
    }

    fn inject(&self, fault: LineFault, times: usize) {
        self.counts.injected[fault as usize].fetch_add(times as u64, Ordering::Relaxed);
    }
}

/// When an utterance begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Begins {
    /// With the request's first octet.
    WithRequest,
    /// So long after the request's last octet.
    After(Duration),
}

/// Octets that somebody puts on the wires.
#[derive(Clone, Debug)]
pub(in super::super) struct Utterance {
    pub(in super::super) octets: Vec<Octet>,
    pub(in super::super) begins: Begins,
    /// What a meter truly sent, and with which octet it begins; none for what no meter said.
    pub(in super::super) sent: Vec<(usize, Sent)>,
}

/// What a request brings about.
#[derive(Debug, Default)]
pub(in super::super) struct Brought {
    pub(in super::super) utterances: Vec<Utterance>,
    /// The port is gone for so long.
    pub(in super::super) unplugged: Option<Duration>,
}

/// The faults of one line.
#[derive(Debug)]
pub(in super::super) struct Injector {
    injections: Vec<Injection>,
    dice: Dice,
    noise: Vec<(LineFault, Noise)>,
    /// Requests as they are heard, which may come in pieces.
    scanner: Scanner,
    /// Second meters with the addresses of the line's.
    twins: Option<VirtualLine>,
    /// The line's meters and one that is not on it, to answer for each other.
    others: Option<VirtualLine>,
    /// Meters that have given an active report instead of their answer.
    reported: BTreeSet<Address>,
    /// The read that never ends.
    endless: Option<(Address, Di)>,
    /// What was answered last: by whom, to what, and the octets.
    last: Option<((Sender, Identifier), Vec<Octet>)>,
    tally: Tally,
}

impl Injector {
    /// These faults, by seed; with `checked`, the receiver sees wrong parity.
    pub(in super::super) fn new(injections: &[Injection], seed: u64, checked: bool) -> Self {
        let noise = injections.iter().enumerate().filter_map(|(n, &Injection { fault, rate })| {
            let model = if fault == LineFault::Noise {
                NoiseModel::Bits
            } else if fault == LineFault::Burst {
                NoiseModel::Octets
            } else {
                return None;
            };
            Some((fault, Noise::new(model, rate, checked, seed ^ (n as u64 + 1) << 32)))
        });
        Self {
            injections: injections.to_vec(),
            dice: Dice::new(seed),
            noise: noise.collect(),
            scanner: Scanner::default(),
            twins: None,
            others: None,
            reported: BTreeSet::new(),
            endless: None,
            last: None,
            tally: Tally::default(),
        }
    }

    /// What happened until now.
    pub(in super::super) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// What becomes of a request, or a piece of one, whose last octet was heard at `now`. `character` is the air
    /// time of an octet.
    pub(in super::super) fn bring(
        &mut self,
        (octets, silence): (&[u8], Silence),
        spoken: Vec<Spoken>,
        line: &VirtualLine,
        now: Timestamp,
        character: Duration,
    ) -> Brought {
        self.scanner.push(octets);
        let mut request = None;
        while let Some(frame) = self.scanner.next_frame() {
            request = Request::parse(&frame).ok();
        }
        let twins = self.twin_answers((octets, silence), line, now);
        let mut said: Vec<Utterance> = spoken.into_iter().map(utterance).collect();
        let mut unplugged = None;
        if !said.is_empty() {
            self.tally.exchange();
            let asked = asked(&said, request.as_ref());
            if let Some(request) = request {
                self.as_meter_645(&request, &mut said);
            } else if let Some((unit, span)) = registers::asked(&said) {
                self.as_meter_of_modbus(unit, span, line, &mut said);
            }
            self.as_any_meter(character, &mut said);
            self.more_of(asked, twins, line, now, character, &mut said);
            self.on_the_way(&mut said, character);
            if self.happens(LineFault::Unplugged) {
                unplugged = Some(Duration::from_millis(self.dice.between(1000, 60_000)));
            }
        }
        if self.happens(LineFault::Echo) {
            let back = octets.iter().copied().map(Octet::of).collect();
            said.push(Utterance { octets: back, begins: Begins::WithRequest, sent: Vec::new() });
        }
        for utterance in &mut said {
            note_times(utterance, now, character);
            for (fault, noise) in &mut self.noise {
                let hit = noise.pass(&mut utterance.octets);
                self.tally.inject(*fault, hit);
            }
        }
        Brought { utterances: said, unplugged }
    }

    fn rate(&self, fault: LineFault) -> f64 {
        self.injections.iter().find(|one| one.fault == fault).map_or(0.0, |one| one.rate)
    }

    pub(super) fn happens(&mut self, fault: LineFault) -> bool {
        let rate = self.rate(fault);
        let happens = rate > 0.0 && self.dice.hits(rate);
        self.tally.inject(fault, usize::from(happens));
        happens
    }

    /// What the second meters would answer; they hear every octet.
    fn twin_answers(
        &mut self,
        (octets, silence): (&[u8], Silence),
        line: &VirtualLine,
        now: Timestamp,
    ) -> Vec<Spoken> {
        if self.rate(LineFault::Twin) == 0.0 {
            return Vec::new();
        }
        let twins = self.twins.get_or_insert_with(|| {
            let other = |settings: &mut MeterSettings| {
                settings.energy = (settings.energy + 123_456) % 99_999_999;
                settings.response_delay += Duration::from_millis(15);
            };
            let twin = |meter: &VirtualMeter| {
                let mut settings = meter.settings().clone();
                other(&mut settings);
                VirtualMeter::new(settings, 0x7717)
            };
            let unit = |meter: &ModbusMeter| {
                let mut settings = meter.settings().clone();
                other(&mut settings.meter);
                ModbusMeter::new(settings, 0x7717)
            };
            let meters = line.meters().iter().map(twin).collect();
            VirtualLine::new(meters).with_modbus(line.modbus().iter().map(unit).collect())
        });
        twins.spoken(octets, silence, now, |_| true)
    }

    /// What a meter of DL/T 645 that was asked does wrong by itself.
    fn as_meter_645(&mut self, request: &Request, said: &mut [Utterance]) {
        if let Request::ReadMore { address, di, sequence } = *request {
            if self.endless == Some((address, di)) {
                let data = [&di.to_wire()[..], &[0x00; 16], &[sequence]].concat();
                replace(said, Control::reply(READ_MORE, true), &data, &Said::Nothing);
            }
        } else if let Request::Read { address, di } = *request {
            self.endless = None;
            if di.edition() == Edition::E2007 {
                self.as_meter_of_2007(address, di, said);
            }
        }
    }

    /// What any meter that was asked does wrong.
    fn as_any_meter(&mut self, character: Duration, said: &mut Vec<Utterance>) {
        if self.happens(LineFault::Silent) {
            said.clear();
        }
        for utterance in said.iter_mut() {
            if self.happens(LineFault::Late) {
                let late = Duration::from_millis(self.dice.between(600, 3000));
                let is_modbus = utterance.sent.first().is_some_and(|(_, sent)| sent.meter.unit().is_some());
                let takes = character * utterance.octets.len() as u32;
                if let Begins::After(after) = &mut utterance.begins {
                    *after = if is_modbus { registers::late(*after, late, takes) } else { *after + late };
                }
            }
            if self.happens(LineFault::Cut) {
                let kept = self.dice.between(1, utterance.octets.len() as u64) as usize;
                let lost = utterance.octets.len() - kept;
                utterance.octets.truncate(kept);
                for (_, sent) in &mut utterance.sent {
                    sent.frame.truncate(sent.frame.len().saturating_sub(lost));
                    sent.said = Said::Nothing;
                }
            }
        }
    }

    /// What a meter of 2007 answers in the place of data.
    fn as_meter_of_2007(&mut self, address: Address, di: Di, said: &mut [Utterance]) {
        // The repeated request is answered.
        let repeated = self.reported.remove(&address);
        let block = matches!(Catalogue::of(di.edition()).by_di(di), Some(Entry::Block(_)));
        if !repeated && self.happens(LineFault::ActiveReport) {
            self.reported.insert(address);
            let status: Vec<u8> = (0..ACTIVE_REPORT_OCTETS).map(|_| self.dice.roll() as u8).collect();
            let data = [&ACTIVE_REPORT.to_wire()[..], &status].concat();
            let report = Said::Data { di: ACTIVE_REPORT, octets: status };
            replace(said, Control::reply(READ, false), &data, &report);
        } else if block && self.happens(LineFault::RefuseBlocks) {
            let refused = Said::Refused { di, word: ErrorWord::NO_REQUESTED_DATA };
            replace(said, Control::refusal(READ), &[ErrorWord::NO_REQUESTED_DATA.bits() as u8], &refused);
        } else if self.happens(LineFault::EndlessFollowUp) {
            self.endless = Some((address, di));
            let data = [&di.to_wire()[..], &[0x00; 16]].concat();
            replace(said, Control::reply(READ, true), &data, &Said::Nothing);
        }
    }

    /// What others say beside the asked meter, and what is said again.
    fn more_of(
        &mut self,
        asked: Option<(Sender, Identifier)>,
        twins: Vec<Spoken>,
        line: &VirtualLine,
        now: Timestamp,
        character: Duration,
        said: &mut Vec<Utterance>,
    ) {
        if !twins.is_empty() && self.happens(LineFault::Twin) {
            said.extend(twins.into_iter().map(utterance));
        }
        let Some((meter, id)) = asked else { return };
        if self.happens(LineFault::Stray) {
            self.stray(meter, id, line, now, character, said);
        }
        // The same meter's answer to the same question, given once more, could not be told from a new one.
        let own = |utterance: &Utterance| utterance.sent.first().map(|(_, sent)| (sent.meter, id));
        let is_known = |of| of == (meter, id) || said.iter().any(|one| own(one) == Some(of));
        let older = self.last.take().filter(|(of, _)| !is_known(*of));
        let answer = said.first_mut().filter(|utterance| is_whole(utterance));
        let next = answer.as_deref().and_then(|answer| Some((own(answer)?, answer.octets.clone())));
        if let Some(answer) = answer
            && self.happens(LineFault::Glued)
        {
            let older = older.filter(|(_, older)| !registers::looks_like(older, meter, id));
            match older.filter(|_| self.dice.hits(0.5)) {
                // A buffer that was not emptied: no meter sends the older answer again.
                Some((_, older)) => {
                    answer.sent.iter_mut().for_each(|(first, _)| *first += older.len());
                    answer.octets.splice(0..0, older);
                }
                None => {
                    let (length, again) = (answer.octets.len(), answer.octets.clone());
                    answer.octets.extend(again);
                    let twice = answer.sent.iter().map(|(first, sent)| (first + length, sent.clone()));
                    let twice: Vec<_> = twice.collect();
                    answer.sent.extend(twice);
                }
            }
        }
        self.last = next;
    }

    /// A neighbour's answer to the same question: alone, before, or after.
    fn stray(
        &mut self,
        meter: Sender,
        id: Identifier,
        line: &VirtualLine,
        now: Timestamp,
        character: Duration,
        said: &mut Vec<Utterance>,
    ) {
        let others = self.others.get_or_insert_with(|| {
            let mut meters = line.meters().to_vec();
            if let Some(first) = line.meters().first() {
                let mut settings = first.settings().clone();
                settings.address = stranger(line);
                meters.push(VirtualMeter::new(settings, 0x57A7));
            }
            let strange = registers::stranger(line);
            VirtualLine::new(meters).with_modbus(line.modbus().iter().cloned().chain(strange).collect())
        });
        let neighbours: Vec<Sender> = match meter {
            Sender::Dlt645(_) => {
                let all = others.meters().iter().map(VirtualMeter::settings);
                let same = all.filter(|other| Standard::from(other.edition) == id.standard());
                same.map(|other| other.address.into()).filter(|other| *other != meter).collect()
            }
            Sender::Modbus(_) => {
                let all = others.modbus().iter().map(|other| other.settings().unit.into());
                all.filter(|other| *other != meter).collect()
            }
        };
        let count = neighbours.len() as u64;
        let Some(&neighbour) = neighbours.get(self.dice.between(0, count) as usize) else { return };
        let to_neighbour = match (neighbour, id) {
            (Sender::Dlt645(address), Identifier::Di(di)) => {
                let mut octets = Vec::new();
                Request::Read { address, di }.emit(0, &mut octets);
                octets
            }
            (Sender::Modbus(unit), Identifier::Modbus(span)) => rtu::Request::read(unit.get(), span).to_rtu(),
            (Sender::Dlt645(_), Identifier::Modbus(_)) | (Sender::Modbus(_), Identifier::Di(_)) => return,
        };
        let strays = others.spoken(&to_neighbour, Silence::Long, now, |_| true).into_iter().map(utterance);
        let strays: Vec<Utterance> = strays.collect();
        let length = |utterances: &[Utterance]| {
            let octets: usize = utterances.iter().map(|one| one.octets.len()).sum();
            character * octets as u32 + Duration::from_millis(2)
        };
        match self.dice.between(0, 3) {
            0 => *said = strays,
            1 => {
                let before = length(&strays);
                said.iter_mut().for_each(|one| put_off(one, before));
                said.extend(strays);
            }
            _ => {
                let after = length(said);
                let begin = said.iter().map(delay).max().unwrap_or_default();
                said.extend(strays.into_iter().map(|mut stray| {
                    stray.begins = Begins::After(begin + after);
                    stray
                }));
            }
        }
    }

    /// What the line does to the octets.
    fn on_the_way(&mut self, said: &mut Vec<Utterance>, character: Duration) {
        for utterance in said.iter_mut() {
            if registers::may_pause(utterance) && self.happens(LineFault::Split) {
                for _ in 0..self.dice.between(1, 4) {
                    let at = self.dice.between(1, utterance.octets.len() as u64) as usize;
                    let pause = Duration::from_millis(self.dice.between(100, 2000));
                    if let Some(octet) = utterance.octets.get_mut(at) {
                        octet.pause += pause;
                    }
                }
            }
            if self.happens(LineFault::Damaged) {
                let at = self.dice.between(0, utterance.octets.len() as u64) as usize;
                let bit = self.dice.between(0, 8);
                if let Some(octet) = utterance.octets.get_mut(at) {
                    octet.octet ^= 1 << bit;
                }
            }
        }
        for (fault, octet) in
            [(LineFault::Babble, None), (LineFault::BabbleFe, Some(0xFE)), (LineFault::Babble68, Some(0x68))]
        {
            if self.happens(fault) {
                let babble = self.babble(octet, character);
                said.push(babble);
            }
        }
    }

    fn babble(&mut self, octet: Option<u8>, character: Duration) -> Utterance {
        let lasts = Duration::from_millis(self.dice.between(2000, 8000));
        let (own, takes) = if character.is_zero() { (BABBLED, BABBLED) } else { (Duration::ZERO, character) };
        let count = (lasts.as_nanos() / takes.as_nanos().max(1)) as usize;
        let octets = (0..count).map(|n| Octet {
            octet: octet.unwrap_or_else(|| self.dice.roll() as u8),
            damaged: false,
            // In handfuls where the line itself has no rate, so that each is handed over when it is there.
            pause: if n % 8 == 0 { own * 8 } else { Duration::ZERO },
        });
        let octets = octets.collect();
        let after = Duration::from_millis(self.dice.between(0, 50));
        Utterance { octets, begins: Begins::After(after), sent: Vec::new() }
    }
}

/// Who was asked for what.
fn asked(said: &[Utterance], request: Option<&Request>) -> Option<(Sender, Identifier)> {
    match request {
        Some(&Request::Read { address, di }) => Some((address.into(), di.into())),
        Some(_) => None,
        None => {
            let (unit, span) = registers::asked(said)?;
            Some((unit.into(), span?.into()))
        }
    }
}

fn utterance(Spoken { answer, sent }: Spoken) -> Utterance {
    let octets = answer.octets.into_iter().map(Octet::of).collect();
    Utterance { octets, begins: Begins::After(answer.after), sent: vec![(0, sent)] }
}

/// Writes down when what a meter says goes out.
fn note_times(utterance: &mut Utterance, now: Timestamp, character: Duration) {
    let Utterance { octets, begins: Begins::After(after), sent } = utterance else { return };
    // When the octet with this number begins; a pause stands before it.
    let begins = |number: usize| {
        let pauses: Duration = octets.iter().take(number + 1).map(|octet| octet.pause).sum();
        now.saturating_add(*after + pauses + character * number as u32).unwrap_or(now)
    };
    let ends = |number: usize| begins(number).saturating_add(character).unwrap_or(now);
    let mut last = octets.len().saturating_sub(1);
    for (first, sent) in sent.iter_mut().rev() {
        (sent.begun, sent.ended) = (begins(*first), ends(last));
        last = first.saturating_sub(1);
    }
}

/// Puts another frame in the place of an answer, behind the same FE octets.
fn replace(said: &mut [Utterance], control: Control, data: &[u8], what: &Said) {
    for utterance in said {
        let Some((_, sent)) = utterance.sent.first_mut() else { continue };
        let mut frame = Vec::new();
        let Some(address) = sent.meter.address() else { continue };
        if emit(address, control, data, &mut frame).is_ok() {
            let preamble = utterance.octets.len().saturating_sub(sent.frame.len());
            utterance.octets.truncate(preamble);
            utterance.octets.extend(frame.iter().copied().map(Octet::of));
            (sent.frame, sent.said) = (frame, what.clone());
        }
    }
}

/// Whether a meter said it, and all of it.
fn is_whole(utterance: &Utterance) -> bool {
    utterance.sent.first().is_some_and(|(_, sent)| sent.said != Said::Nothing)
}

fn delay(utterance: &Utterance) -> Duration {
    match utterance.begins {
        Begins::WithRequest => Duration::ZERO,
        Begins::After(after) => after,
    }
}

fn put_off(utterance: &mut Utterance, by: Duration) {
    utterance.begins = Begins::After(delay(utterance) + by);
}

/// An address that no meter of the line has.
fn stranger(line: &VirtualLine) -> Address {
    let taken: BTreeSet<String> = line.meters().iter().map(|m| m.settings().address.to_string()).collect();
    let free = (0u64..).map(|n| format!("{:012}", 990_000_000_001 + n)).find(|text| !taken.contains(text));
    free.and_then(|text| text.parse().ok()).unwrap_or(Address::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::super::super::Pair;
    use super::super::super::line::Log;
    use super::*;

    const CHARACTER: Duration = Duration::from_millis(1);

    /// A line of two meters with faults, and what they sent.
    struct Bench {
        pair: Pair,
        log: Log,
        now: Duration,
    }

    impl Bench {
        fn of(faults: &[(LineFault, f64)]) -> Self {
            let meters = ["1", "2"].map(|address| {
                let settings = MeterSettings::household(address.parse().unwrap());
                VirtualMeter::new(settings, 1)
            });
            let injections: Vec<_> = faults.iter().map(|&(fault, rate)| Injection { fault, rate }).collect();
            let log = Log::keeping(1000);
            let pair = Pair::from(VirtualLine::new(meters.into())).with_faults(&injections, 5, false);
            Self { pair: pair.logged(log.clone()), log, now: Duration::ZERO }
        }

        /// Asks meter 1; frames and other octets that come, each with the time since the request.
        fn ask(&mut self, request: &Request) -> Vec<(Duration, Vec<u8>)> {
            let mut octets = Vec::new();
            request.emit(0, &mut octets);
            let wall = Timestamp::UNIX_EPOCH + jiff::SignedDuration::try_from(self.now).unwrap();
            let _ = self.pair.hear(&octets, self.now, wall, None);
            let mut came = Vec::new();
            while let Some(due) = self.pair.due() {
                let piece = self.pair.deliver(due).unwrap();
                came.push((due - self.now, piece.into_iter().map(|(octet, _)| octet).collect()));
            }
            self.now += Duration::from_secs(60);
            came
        }

        fn read(&mut self, di: u32) -> Vec<(Duration, Vec<u8>)> {
            self.ask(&Request::Read { address: "1".parse().unwrap(), di: Di::new(di) })
        }
    }

    fn senders(log: &Log) -> Vec<String> {
        log.sent().iter().map(|sent| sent.meter.to_string()).collect()
    }

    const ENERGY: u32 = 0x0001_0000;

    #[test]
    fn without_faults_an_answer_is_what_the_log_says() {
        let mut bench = Bench::of(&[]);
        let came = bench.read(ENERGY);
        let sent = bench.log.sent();
        assert_eq!(
            (came.len(), came[0].0, &came[0].1[4..]),
            (1, Duration::from_millis(30), &sent[0].frame[..])
        );
        assert_eq!(sent[0].begun, Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_millis(30));
        assert_eq!(bench.pair.tally().exchanges(), 1);
    }

    #[test]
    fn what_was_not_sent_is_not_in_the_log_and_what_was_cut_is_there_as_far_as_it_went() {
        let mut silent = Bench::of(&[(LineFault::Silent, 1.0)]);
        assert_eq!((silent.read(ENERGY), silent.log.sent()), (Vec::new(), Vec::new()));
        assert_eq!(silent.pair.tally().injected(LineFault::Silent), 1);
        let mut cut = Bench::of(&[(LineFault::Cut, 1.0)]);
        for _ in 0..20 {
            let came = cut.read(ENERGY);
            let sent = cut.log.sent().pop().unwrap();
            assert_eq!((&sent.said, came.len()), (&Said::Nothing, 1));
            assert_eq!(came[0].1.iter().skip(4).copied().collect::<Vec<_>>(), sent.frame);
            assert!(came[0].1.len() < 24);
        }
    }

    #[test]
    fn a_late_answer_is_in_the_log_with_the_time_at_which_it_came() {
        let mut bench = Bench::of(&[(LineFault::Late, 1.0)]);
        let (after, _) = bench.read(ENERGY).remove(0);
        assert!((Duration::from_millis(630)..Duration::from_millis(3030)).contains(&after));
        let begun = bench.log.sent()[0].begun.duration_since(Timestamp::UNIX_EPOCH);
        assert_eq!(begun, jiff::SignedDuration::try_from(after).unwrap());
    }

    #[test]
    fn damage_and_noise_are_the_lines_and_the_log_has_what_the_meter_sent() {
        for fault in [LineFault::Damaged, LineFault::Noise, LineFault::Burst] {
            let mut bench = Bench::of(&[(fault, 1.0)]);
            let came = bench.read(ENERGY).remove(0).1;
            assert_ne!(came[4..], bench.log.sent()[0].frame, "{fault}");
            let mut sound = Bench::of(&[]);
            sound.read(ENERGY);
            assert_eq!(bench.log.sent(), sound.log.sent(), "{fault}");
        }
    }

    #[test]
    fn an_echo_comes_before_the_answer() {
        let came = Bench::of(&[(LineFault::Echo, 1.0)]).read(ENERGY);
        assert_eq!((came.len(), came[0].0, came[0].1.len()), (2, Duration::ZERO, 16));
    }

    #[test]
    fn a_stray_answer_is_another_meters_and_a_twins_has_the_address_and_other_values() {
        let mut stray = Bench::of(&[(LineFault::Stray, 1.0)]);
        (0..20).for_each(|_| drop(stray.read(ENERGY)));
        let senders = senders(&stray.log);
        assert!(senders.len() > 20 && senders.iter().any(|sender| sender == "990000000001"), "{senders:?}");
        assert!(
            senders.iter().any(|sender| sender.ends_with('1')) && senders.iter().any(|s| s.ends_with('2'))
        );
        let mut twin = Bench::of(&[(LineFault::Twin, 1.0)]);
        assert_eq!(twin.read(ENERGY).len(), 2);
        let sent = twin.log.sent();
        assert_eq!(sent[0].meter, sent[1].meter);
        assert_ne!(sent[0].said, sent[1].said);
    }

    #[test]
    fn babble_goes_on_for_seconds_and_no_meter_said_it() {
        for (fault, octet) in
            [(LineFault::Babble, None), (LineFault::BabbleFe, Some(0xFE)), (LineFault::Babble68, Some(0x68))]
        {
            let mut bench = Bench::of(&[(fault, 1.0)]);
            let came = bench.read(ENERGY);
            let last = came.last().unwrap().0;
            assert!((Duration::from_secs(2)..Duration::from_secs(9)).contains(&last), "{last:?}");
            let octets: Vec<u8> =
                came.into_iter().filter(|(_, o)| o.len() < 20).flat_map(|(_, o)| o).collect();
            assert!(
                octets.len() > 400 && octets.iter().all(|o| octet.is_none_or(|all| all == *o)),
                "{fault}"
            );
            assert_eq!(bench.log.sent().len(), 1);
        }
    }

    #[test]
    fn glued_answers_come_in_one_piece_and_an_older_one_is_never_to_the_same_question() {
        let mut bench = Bench::of(&[(LineFault::Glued, 1.0)]);
        for n in 0..20 {
            let came = bench.read(if n % 2 == 0 { ENERGY } else { 0x0280_0002 });
            assert_eq!(came.len(), 1);
            assert!(came[0].1.len() > 40, "{n}");
        }
        let mut same = Bench::of(&[(LineFault::Glued, 1.0)]);
        for _ in 0..20 {
            let came = same.read(ENERGY).remove(0).1;
            assert_eq!(came[..24], came[24..], "the answer itself, twice");
        }
        assert_eq!(same.log.sent().len(), 40);
    }

    #[test]
    fn blocks_are_refused_and_registers_are_not() {
        let mut bench = Bench::of(&[(LineFault::RefuseBlocks, 1.0)]);
        assert_eq!(bench.read(0x0201_FF00)[0].1[12], 0xD1);
        assert_eq!(bench.read(0x0201_0100)[0].1[12], 0x91);
        assert!(matches!(bench.log.sent()[0].said, Said::Refused { .. }));
    }

    #[test]
    fn an_active_report_comes_once_and_then_the_answer() {
        let mut bench = Bench::of(&[(LineFault::ActiveReport, 1.0)]);
        let lengths = [bench.read(ENERGY), bench.read(ENERGY)].map(|came| came[0].1.len());
        assert_eq!(lengths, [32, 24]);
    }

    #[test]
    fn follow_up_frames_never_end() {
        let mut bench = Bench::of(&[(LineFault::EndlessFollowUp, 1.0)]);
        assert_eq!(bench.read(ENERGY)[0].1[12], 0xB1);
        for sequence in 1..40 {
            let more = Request::ReadMore { address: "1".parse().unwrap(), di: Di::new(ENERGY), sequence };
            assert_eq!(bench.ask(&more)[0].1[12], 0xB2);
        }
        assert!(bench.log.sent().iter().all(|sent| sent.said == Said::Nothing));
    }

    #[test]
    fn pauses_are_in_the_log() {
        let mut utterance = Utterance {
            octets: vec![Octet::of(1); 10],
            begins: Begins::After(Duration::from_millis(20)),
            sent: Bench::of(&[]).sent_by_one(),
        };
        utterance.octets[6].pause = Duration::from_millis(500);
        note_times(&mut utterance, Timestamp::UNIX_EPOCH, CHARACTER);
        let times = [utterance.sent[0].1.begun, utterance.sent[0].1.ended].map(|at| at.as_millisecond());
        assert_eq!(times, [20, 530]);
    }

    impl Bench {
        fn sent_by_one(mut self) -> Vec<(usize, Sent)> {
            self.read(ENERGY);
            self.log.sent().into_iter().map(|sent| (0, sent)).collect()
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let faults: Vec<_> = LineFault::ALL.into_iter().map(|fault| (fault, 0.2)).collect();
        let run = || {
            let mut bench = Bench::of(&faults);
            (0..50).map(|_| bench.read(0x0001_FF00)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
