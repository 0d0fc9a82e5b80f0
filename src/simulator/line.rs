//! A virtual line (虚拟总线): all its meters hear what is sent, and those that are meant answer.
//!
//! Pure: octets and the time go in, answers come out with the delay of the meter that gives them. It
//! neither waits nor sends; a [`Pair`](super::Pair) carries the answers.

mod said;

pub(super) use said::Spoken;
pub use said::{Answer, Log, Said, Sender, Sent};

use super::meter::VirtualMeter;
use super::modbus::{Hearing, ModbusMeter, Silence};
use dlt645::meter::{Answering, Manner};
use dlt645::pdu::Request;
use dlt645::scanner::{Found, Scanner};
use dlt645::{Edition, ErrorWord};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Between two octets of a frame at most (Tb, 500 ms in DL/T 645-2007); then a meter forgets what it heard.
const OCTET_GAP: SignedDuration = SignedDuration::from_millis(500);

/// How a meter of an edition answers, as most do.
const fn manner(edition: Edition) -> Manner {
    match edition {
        Edition::E1997 => Manner::E1997,
        Edition::E2007 => Manner::E2007,
    }
}

/// Meters on one pair of wires.
#[derive(Debug)]
pub struct VirtualLine {
    meters: Vec<VirtualMeter>,
    modbus: Vec<ModbusMeter>,
    scanner: Scanner,
    hearing: Hearing,
    heard_at: Option<Timestamp>,
    /// What each meter last answered to a read, when it heard it, and until when it rests; in the order of the meters.
    answering: Vec<(Answering, Timestamp, Timestamp)>,
    /// Air time of a character.
    character: Duration,
    log: Log,
}

impl VirtualLine {
    /// Puts meters on a line. Two may have the same address: then both answer.
    pub fn new(meters: Vec<VirtualMeter>) -> Self {
        let never = Timestamp::UNIX_EPOCH;
        let answering = vec![(Answering::default(), never, never); meters.len()];
        Self {
            meters,
            modbus: Vec::new(),
            scanner: Scanner::default(),
            hearing: Hearing::default(),
            heard_at: None,
            answering,
            character: Duration::ZERO,
            log: Log::default(),
        }
    }

    /// Puts Modbus meters beside them. Two may have the same unit: then both answer.
    #[must_use]
    pub fn with_modbus(mut self, meters: Vec<ModbusMeter>) -> Self {
        self.modbus = meters;
        self
    }

    /// Keeps what the meters answer in `log`, which its caller shares.
    pub fn logged(mut self, log: Log) -> Self {
        self.log = log;
        self
    }

    /// The meters in the order given.
    pub fn meters(&self) -> &[VirtualMeter] {
        &self.meters
    }

    /// The Modbus meters in the order given.
    pub fn modbus(&self) -> &[ModbusMeter] {
        &self.modbus
    }

    /// What the meters answered until now, as far as the log goes back.
    pub fn sent(&self) -> Vec<Sent> {
        self.log.sent()
    }

    /// Air time of a character from now on.
    pub(super) fn set_character(&mut self, character: Duration) {
        self.character = character;
    }

    /// All meters hear these octets; the answers of those that are meant, in the order of the meters. A frame may
    /// come in pieces; one that pauses for more than 500 ms is forgotten. A request of Modbus stands by itself in what
    /// is heard at once.
    pub fn hear(&mut self, octets: &[u8], now: Timestamp) -> Vec<Answer> {
        let spoken = self.spoken(octets, Silence::Untold, now, |_| true);
        let noted = spoken.into_iter().map(|Spoken { answer, sent }| {
            self.note(sent);
            answer
        });
        noted.collect()
    }

    /// Keeps in the log what was sent.
    pub(super) fn note(&self, sent: Sent) {
        self.log.note(sent);
    }

    /// As [`VirtualLine::hear`], heard by the meters that `understands` is true for, given the rate that each has
    /// of its own, after a `silence`. What is said is not in the log.
    pub(super) fn spoken(
        &mut self,
        octets: &[u8],
        silence: Silence,
        now: Timestamp,
        understands: impl Fn(Option<u32>) -> bool,
    ) -> Vec<Spoken> {
        let mut answers = self.spoken_645(octets, now, &understands);
        answers.extend(self.spoken_modbus(octets, silence, now, &understands));
        answers
    }

    /// What Modbus meters say.
    fn spoken_modbus(
        &mut self,
        octets: &[u8],
        silence: Silence,
        now: Timestamp,
        understands: impl Fn(Option<u32>) -> bool,
    ) -> Vec<Spoken> {
        if self.modbus.is_empty() {
            return Vec::new();
        }
        let Some(request) = self.hearing.hear(octets, silence, now) else { return Vec::new() };
        // The broadcast is 0, which is nobody's unit.
        let asked = self.modbus.iter().filter(|meter| meter.settings().unit.get() == request.unit());
        let hear = asked.filter(|meter| understands(meter.settings().meter.baud) && meter.has_power(now));
        let answer = |meter: &ModbusMeter| {
            let (reply, said) = meter.answer(&request, now);
            Spoken::of(
                meter.settings().unit.into(),
                said,
                reply.to_rtu(),
                0,
                now,
                meter.settings().meter.response_delay,
            )
        };
        hear.map(answer).collect()
    }

    /// What meters of DL/T 645 say.
    fn spoken_645(
        &mut self,
        octets: &[u8],
        now: Timestamp,
        understands: impl Fn(Option<u32>) -> bool,
    ) -> Vec<Spoken> {
        let paused = self.heard_at.replace(now).is_some_and(|before| {
            let gap = now.duration_since(before);
            gap > OCTET_GAP || gap.is_negative()
        });
        if paused {
            self.scanner = Scanner::default();
        }
        self.scanner.push(octets);
        let mut answers = Vec::new();
        let character = self.character;
        while let Some(found) = self.scanner.next() {
            let Found::Frame { frame, preamble } = found else { continue };
            let begun = earlier(now, character, preamble + frame.octets().len());
            for (meter, (answering, read_at, resting)) in self.meters.iter_mut().zip(&mut self.answering) {
                if !understands(meter.settings().baud) {
                    continue;
                }
                let rests = !meter.settings().rest.is_zero() && begun < *resting;
                if rests || !meter.settings().woken_by.contains(&preamble) {
                    continue;
                }
                if !meter.has_power(now) {
                    *answering = Answering::default();
                    continue;
                }
                let (address, edition) = (meter.settings().address, meter.settings().edition);
                let (mut said, mut called) = (Said::Other, false);
                let answer =
                    dlt645::meter::answer(address, manner(edition), answering, &frame, |request, out| {
                        called = true;
                        let (di, result) = match *request {
                            Request::Read { di, .. } => (di, meter.read(di, now, out)),
                            Request::ReadRecords { di, count, from, .. } => {
                                let result = match count.get() {
                                    Some(count) => meter.read_records(di, count, from, now, out),
                                    None => Err(ErrorWord::OTHER),
                                };
                                (di, result)
                            }
                            Request::Freeze { at, .. } => return meter.freeze(at, now),
                            // Nobody answers it, obeyed or not.
                            Request::BroadcastTime { time, .. } => {
                                meter.sync(time, now);
                                return Ok(());
                            }
                            // Nothing can be written to a virtual meter.
                            Request::ReadMore { .. }
                            | Request::ReRead { .. }
                            | Request::ReadAddress
                            | Request::Write { .. }
                            | Request::WriteAddress { .. }
                            | Request::SetRate { .. }
                            | Request::SetPassword { .. }
                            | Request::ResetDemand { .. }
                            | Request::ClearMeter { .. }
                            | Request::ClearEvents { .. }
                            | Request::Relay { .. }
                            | Request::Output { .. }
                            | Request::Security { .. } => return Err(ErrorWord::OTHER),
                        };
                        *read_at = now;
                        said = match result {
                            Ok(()) => Said::Data { di, octets: out.clone() },
                            Err(word) => Said::Refused { di, word },
                        };
                        result
                    });
                let Some(spoken) = answer else { continue };
                // Follow-up frames carry the values of the read that they continue.
                let follow_up = match Request::parse(&frame) {
                    Ok(Request::ReadMore { di, .. }) if !called => Some(di),
                    Ok(_) | Err(_) => None,
                };
                if let Some(di) = follow_up {
                    said = match answering.last_read() {
                        Some((read, octets)) if read == di => Said::Data { di, octets: octets.to_vec() },
                        Some(_) | None => Said::Refused { di, word: ErrorWord::NO_REQUESTED_DATA },
                    };
                }
                let settings = meter.settings();
                let (meter, preamble) = (settings.address.into(), settings.preamble.into());
                let mut spoken = Spoken::of(meter, said, spoken, preamble, now, settings.response_delay);
                if follow_up.is_some() {
                    spoken.sent.at = *read_at;
                }
                let until = octets_take(character, spoken.answer.octets.len()) + settings.rest;
                *resting = spoken.sent.begun.saturating_add(until).unwrap_or(spoken.sent.begun);
                answers.push(spoken);
            }
        }
        answers
    }
}

fn octets_take(character: Duration, count: usize) -> Duration {
    character * u32::try_from(count).unwrap_or(u32::MAX)
}

/// When the first of so many characters began, of which the last ended now.
fn earlier(now: Timestamp, character: Duration, count: usize) -> Timestamp {
    now.saturating_sub(octets_take(character, count)).unwrap_or(now)
}

#[cfg(test)]
mod sync_tests;

#[cfg(test)]
mod tests {
    use super::super::meter::{Fixed, MeterSettings};
    use super::*;
    use dlt645::{Address, Di};
    use std::time::Duration;

    /// Read 02010100 of 000000001234, and its answer of 220.5 V (worked by hand).
    const READ: &str = "68 34 12 00 00 00 00 68 11 04 33 34 34 35 FB 16";
    const ANSWER: &str = "FE FE FE FE 68 34 12 00 00 00 00 68 91 06 33 34 34 35 38 55 0A 16";

    fn hex(text: &str) -> Vec<u8> {
        text.split(' ').map(|o| u8::from_str_radix(o, 16).unwrap()).collect()
    }

    pub(super) fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn line(addresses: &[&str]) -> VirtualLine {
        let meters = addresses.iter().map(|address| {
            let mut settings = MeterSettings::household(address.parse().unwrap());
            settings.fixed.insert(Di::new(0x0201_0100), Fixed::Octets(vec![0x05, 0x22]));
            VirtualMeter::new(settings, 1)
        });
        VirtualLine::new(meters.collect()).logged(Log::keeping(2))
    }

    #[test]
    fn only_the_meter_that_is_meant_answers() {
        let mut line = line(&["1233", "1234", "1235"]);
        let now = at("2026-11-21T00:00:00Z");
        let answers = line.hear(&hex(READ), now);
        assert_eq!(answers, [Answer { octets: hex(ANSWER), after: Duration::from_millis(30) }]);
        let sent = line.sent();
        let data = Said::Data { di: Di::new(0x0201_0100), octets: vec![0x05, 0x22] };
        assert_eq!((sent.len(), &sent[0].said, sent[0].at), (1, &data, now));
        assert_eq!(
            (&sent[0].frame[..], sent[0].begun),
            (&hex(ANSWER)[4..], now + SignedDuration::from_millis(30))
        );
    }

    #[test]
    fn a_request_in_pieces_is_heard_and_half_of_one_is_forgotten_after_half_a_second() {
        let mut line = line(&["1234"]);
        let (request, now) = (hex(READ), at("2026-11-21T00:00:00Z"));
        assert_eq!(line.hear(&request[..9], now), []);
        assert_eq!(line.hear(&request[9..], now + SignedDuration::from_millis(400)).len(), 1);
        assert_eq!(line.hear(&request[..9], now + SignedDuration::from_secs(1)), []);
        assert_eq!(line.hear(&request[9..], now + SignedDuration::from_secs(2)), []);
    }

    #[test]
    fn wildcard_is_answered_by_every_meter_with_its_own_address() {
        let mut line = line(&["1234", "5678"]);
        let read_any = "68 AA AA AA AA AA AA 68 13 00 DF 16";
        let answers = line.hear(&hex(read_any), at("2026-11-21T00:00:00Z"));
        assert_eq!(answers.len(), 2);
        let meters: Vec<_> = line.sent().into_iter().map(|s| s.meter.to_string()).collect();
        assert_eq!(meters, ["000000001234", "000000005678"]);
    }

    #[test]
    fn follow_up_frames_continue_the_values_of_their_read() {
        let mut settings = MeterSettings::household("1234".parse().unwrap());
        settings.tariffs = 63;
        let mut line = VirtualLine::new(vec![VirtualMeter::new(settings, 1)]).logged(Log::keeping(4));
        let now = at("2026-11-21T00:00:00Z");
        line.hear(&frame(0x11, &[0x00, 0xFF, 0x01, 0x00]), now);
        line.hear(&frame(0x12, &[0x00, 0xFF, 0x01, 0x00, 0x01]), now + SignedDuration::from_hours(1));
        let sent = line.sent();
        assert_eq!((sent.len(), sent[1].at), (2, now));
        assert_eq!(sent[0].said, sent[1].said);
        assert!(matches!(&sent[1].said, Said::Data { octets, .. } if octets.len() == 256));
        assert_eq!(sent.iter().map(|s| s.frame[8]).collect::<Vec<_>>(), [0xB1, 0x92]);
    }

    #[test]
    fn load_records_go_on_in_follow_up_frames() {
        let mut line = line(&["1234"]).logged(Log::keeping(9));
        let now = at("2026-11-21T00:00:00Z");
        let latest = [0x02, 0x00, 0x00, 0x06];
        line.hear(&frame(0x11, &[&latest[..], &[0x05]].concat()), now);
        for sequence in 1..=2 {
            line.hear(&frame(0x12, &[&latest[..], &[sequence]].concat()), now);
        }
        let sent = line.sent();
        assert_eq!(sent.iter().map(|s| s.frame[8]).collect::<Vec<_>>(), [0xB1, 0xB2, 0x92]);
        // DI before the first part; DI before and SEQ behind the others.
        let part = |s: &Sent, behind: usize| s.frame[14..s.frame.len() - 2 - behind].to_vec();
        let joined = [part(&sent[0], 0), part(&sent[1], 1), part(&sent[2], 1)].concat();
        let joined: Vec<u8> = joined.into_iter().map(|o| o.wrapping_sub(0x33)).collect();
        assert_eq!(joined.len(), 5 * 103);
        let records = dlt645::format::load::records(0, &joined);
        let times = records.map(|record| record.unwrap().at.unwrap().1.to_string());
        assert_eq!(times.collect::<Vec<_>>(), ["07:00", "07:15", "07:30", "07:45", "08:00"]);
        assert!(sent.iter().all(|s| matches!(&s.said, Said::Data { octets, .. } if *octets == joined)));
    }

    #[test]
    fn a_broadcast_freeze_is_taken_and_not_answered() {
        let mut line = line(&["1234"]).logged(Log::keeping(9));
        let now = at("2026-11-21T00:00:00Z");
        let freeze =
            [0x68, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x68, 0x16, 0x04, 0xCC, 0xCC, 0xCC, 0xCC, 0xB0, 0x16];
        let mut freeze = freeze.to_vec();
        freeze[14] = freeze[..14].iter().fold(0, |sum: u8, o| sum.wrapping_add(*o));
        assert_eq!(line.hear(&freeze, now), []);
        line.hear(&frame(0x11, &[0x01, 0x00, 0x01, 0x05]), now);
        assert_eq!(line.hear(&frame(0x16, &[0x99; 4]), now).len(), 1, "its own meter answers");
        line.hear(&frame(0x11, &[0x02, 0x00, 0x01, 0x05]), now);
        let stamp = vec![0x00, 0x08, 0x21, 0x11, 0x26];
        let said: Vec<_> = line.sent().into_iter().map(|s| s.said).collect();
        let data = |n: u32| Said::Data { di: Di::new(0x0501_0000 + n), octets: stamp.clone() };
        assert_eq!(said, [data(1), Said::Other, data(2)]);
    }

    #[test]
    fn a_meter_without_power_is_silent() {
        let mut settings = MeterSettings::household("1234".parse().unwrap());
        let day = jiff::civil::date(2026, 11, 21);
        settings.memory.power_cuts = vec![(day.at(8, 0, 0, 0), day.at(9, 0, 0, 0))];
        let mut line = VirtualLine::new(vec![VirtualMeter::new(settings, 1)]);
        let answers = ["2026-11-20T23:59:59Z", "2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z"]
            .map(|now| line.hear(&hex(READ), at(now)).len());
        assert_eq!(answers, [1, 0, 1]);
    }

    pub(super) fn frame(control: u8, data: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x68, 0x34, 0x12, 0, 0, 0, 0, 0x68, control, data.len() as u8];
        frame.extend(data.iter().map(|o| o.wrapping_add(0x33)));
        frame.push(frame.iter().fold(0, |sum: u8, o| sum.wrapping_add(*o)));
        frame.push(0x16);
        frame
    }

    #[test]
    fn a_full_log_forgets_its_oldest_answer() {
        let log = Log::keeping(2);
        for second in 0..5 {
            let at = at("2026-11-21T00:00:00Z") + SignedDuration::from_secs(second);
            log.note(Sent {
                meter: Address::ANY.into(),
                said: Said::Other,
                frame: Vec::new(),
                at,
                begun: at,
                ended: at,
            });
        }
        let seconds: Vec<_> = log.sent().iter().map(|s| s.at.as_second() % 60).collect();
        assert_eq!(seconds, [3, 4]);
        let none = Log::keeping(0);
        none.note(Sent {
            meter: Address::ANY.into(),
            said: Said::Other,
            frame: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
            begun: Timestamp::UNIX_EPOCH,
            ended: Timestamp::UNIX_EPOCH,
        });
        assert_eq!(none.sent(), []);
    }
}
