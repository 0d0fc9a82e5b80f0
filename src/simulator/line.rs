//! A virtual line (虚拟总线): all its meters hear what is sent, and those that are meant answer.
//!
//! Pure: octets and the time go in, answers come out with the delay of the meter that gives them. It
//! neither waits nor sends; a [`Pair`](super::Pair) carries the answers.

use super::meter::VirtualMeter;
use dlt645::meter::{Answering, Manner};
use dlt645::pdu::Request;
use dlt645::scanner::Scanner;
use dlt645::{Address, Di, Edition, ErrorWord};
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two octets of a frame at most (Tb, 500 ms in DL/T 645-2007); then a meter forgets what it heard.
const OCTET_GAP: SignedDuration = SignedDuration::from_millis(500);

/// One frame that a meter sends, with its FE octets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// What goes over the line.
    pub octets: Vec<u8>,
    /// From the end of the request to the first octet.
    pub after: Duration,
}

/// What one meter answered: the oracle of tests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Which meter.
    pub meter: Address,
    /// What it said.
    pub said: Said,
    /// The octets that went out, from the first 68H.
    pub frame: Vec<u8>,
    /// The time whose values it answered with: when the read was heard.
    pub at: Timestamp,
    /// When its first octet, FE or not, began to go out.
    pub begun: Timestamp,
    /// When its last octet had gone out.
    pub ended: Timestamp,
}

/// An answer and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spoken {
    pub(super) answer: Answer,
    pub(super) sent: Sent,
}

/// The content of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// Data of a read: all its octets after the DI, before +33H, however many frames they take.
    Data {
        /// As asked.
        di: Di,
        /// Low byte first.
        octets: Vec<u8>,
    },
    /// A refused read.
    Refused {
        /// As asked.
        di: Di,
        /// Why.
        word: ErrorWord,
    },
    /// No whole answer: one that was cut off, or that never ends.
    Nothing,
    /// An answer without a data identifier: an address, or the refusal of what is no read.
    Other,
}

/// The last answers of a line, oldest first. When it is full the oldest answer is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Log {
    sent: Arc<Mutex<VecDeque<Sent>>>,
    bound: usize,
}

impl Log {
    /// Keeps this many answers; 0 keeps none.
    pub fn keeping(bound: usize) -> Self {
        Self { sent: Arc::default(), bound }
    }

    /// What was answered until now.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, sent: Sent) {
        if self.bound == 0 {
            return;
        }
        let mut log = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == self.bound {
            log.pop_front();
        }
        log.push_back(sent);
    }
}

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
    scanner: Scanner,
    heard_at: Option<Timestamp>,
    /// What each meter last answered to a read, and when it heard it; in the order of the meters.
    answering: Vec<(Answering, Timestamp)>,
    log: Log,
}

impl VirtualLine {
    /// Puts meters on a line. Two may have the same address: then both answer.
    pub fn new(meters: Vec<VirtualMeter>) -> Self {
        let answering = vec![(Answering::default(), Timestamp::UNIX_EPOCH); meters.len()];
        Self { meters, scanner: Scanner::default(), heard_at: None, answering, log: Log::default() }
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

    /// What the meters answered until now, as far as the log goes back.
    pub fn sent(&self) -> Vec<Sent> {
        self.log.sent()
    }

    /// All meters hear these octets; the answers of those that are meant, in the order of the meters. A frame may
    /// come in pieces; one that pauses for more than 500 ms is forgotten.
    pub fn hear(&mut self, octets: &[u8], now: Timestamp) -> Vec<Answer> {
        let spoken = self.spoken(octets, now, |_| true);
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
    /// of its own. What is said is not in the log.
    pub(super) fn spoken(
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
        while let Some(frame) = self.scanner.next_frame() {
            for (meter, (answering, read_at)) in self.meters.iter_mut().zip(&mut self.answering) {
                if !understands(meter.settings().baud) {
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
                let mut octets = vec![0xFE; usize::from(settings.preamble)];
                octets.extend_from_slice(&spoken);
                let at = if follow_up.is_some() { *read_at } else { now };
                let after = settings.response_delay;
                let begun = now.saturating_add(after).unwrap_or(now);
                let sent = Sent { meter: settings.address, said, frame: spoken, at, begun, ended: begun };
                answers.push(Spoken { answer: Answer { octets, after }, sent });
            }
        }
        answers
    }
}

#[cfg(test)]
mod sync_tests;

#[cfg(test)]
mod tests {
    use super::super::meter::{Fixed, MeterSettings};
    use super::*;

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
                meter: Address::ANY,
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
            meter: Address::ANY,
            said: Said::Other,
            frame: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
            begun: Timestamp::UNIX_EPOCH,
            ended: Timestamp::UNIX_EPOCH,
        });
        assert_eq!(none.sent(), []);
    }
}
