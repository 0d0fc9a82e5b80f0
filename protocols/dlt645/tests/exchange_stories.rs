//! What may come back after a request, and what the exchange makes of it. Time is an argument.
#![expect(clippy::unwrap_used, reason = "a frame that cannot be built fails the test")]

use dlt645::exchange::{Deadline, Event, Exchange, Failure, MAX_FRAMES, Outcome, Timing};
use dlt645::frame::{Control, Frame, emit};
use dlt645::meter::{Answering, Manner};
use dlt645::pdu::Request;
use dlt645::{Address, Di, ErrorWord, meter};
use std::time::Duration;

const VOLTAGE: Di = Di::new(0x0201_0100);
const CURRENT: Di = Di::new(0x0202_0100);
const ACTIVE_REPORT: Di = Di::new(0x0400_1501);

/// One octet takes 1 ms: 4 FE and 16 octets go out until 20 ms, the first octet may come until 520 ms,
/// the longest answer until 520 + 267 + 4 + 100 ms.
const TIMING: Timing = Timing { octet: ms(1), first_octet: ms(500), slack: ms(100), preamble: 4 };
const FIRST: Duration = ms(520);
const TOTAL: Duration = ms(891);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn own() -> Address {
    "1234".parse().unwrap()
}

fn frame(address: &str, control: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    emit(address.parse().unwrap(), Control::new(control), data, &mut out).unwrap();
    out
}

fn data(di: Di, octets: &[u8]) -> Vec<u8> {
    [&*di.to_wire(), octets].concat()
}

/// 220.5 V of the asked meter.
fn answer() -> Vec<u8> {
    frame("1234", 0x91, &data(VOLTAGE, &[0x05, 0x22]))
}

fn voltage(first_octet: Duration) -> Event {
    Event::Done(Outcome::Data { from: own(), di: VOLTAGE, octets: vec![0x05, 0x22], first_octet })
}

fn failed(failure: Failure) -> Event {
    Event::Done(Outcome::Failed(failure))
}

/// An exchange and the octets that it has sent.
struct Line {
    exchange: Exchange,
    sent: Vec<Vec<u8>>,
    events: Vec<Event>,
}

impl Line {
    fn ask(request: Request) -> Self {
        let exchange = Exchange::new(request, TIMING, ms(0));
        let mut line = Self { exchange, sent: Vec::new(), events: Vec::new() };
        line.poll();
        line
    }

    fn ask_voltage() -> Self {
        Self::ask(Request::Read { address: own(), di: VOLTAGE })
    }

    fn poll(&mut self) {
        self.sent.extend(std::iter::from_fn(|| self.exchange.poll_transmit()));
        self.events.extend(std::iter::from_fn(|| self.exchange.poll_event()));
    }

    fn comes(&mut self, at: Duration, octets: &[u8]) -> &mut Self {
        self.timeouts_until(at);
        self.exchange.handle_bytes(at, octets);
        self.poll();
        self
    }

    fn damaged(&mut self, at: Duration, octet: u8) -> &mut Self {
        self.timeouts_until(at);
        self.exchange.handle_damaged(at, octet);
        self.poll();
        self
    }

    fn timeouts_until(&mut self, until: Duration) {
        while let Some((at, _)) = self.exchange.poll_timeout() {
            if at >= until {
                return;
            }
            self.exchange.handle_timeout(at);
            self.poll();
        }
    }

    /// Nothing more comes. The events, and when the exchange ended if it ended by a deadline.
    fn silence(&mut self) -> (Vec<Event>, Option<Duration>) {
        let mut ended = None;
        while let Some((at, _)) = self.exchange.poll_timeout() {
            self.exchange.handle_timeout(at);
            self.poll();
            ended = Some(at);
        }
        (std::mem::take(&mut self.events), ended)
    }

    /// The events of an exchange that ended without a deadline.
    fn at_once(&mut self) -> Vec<Event> {
        let (events, ended) = self.silence();
        assert_eq!(ended, None, "{events:?}");
        events
    }
}

#[test]
fn answer_ends_the_exchange_at_its_last_octet() {
    let mut line = Line::ask_voltage();
    let request = frame("1234", 0x11, &VOLTAGE.to_wire());
    assert_eq!(line.sent, [[&[0xFE; 4][..], &request].concat()]);
    assert_eq!(line.exchange.poll_timeout(), Some((FIRST, Deadline::FirstOctet)));
    assert_eq!(line.comes(ms(60), &answer()).at_once(), [voltage(ms(60))]);
    assert_eq!(line.exchange.poll_timeout(), None);
    assert_eq!(line.exchange.poll_transmit(), None);
}

#[test]
fn nothing_is_silent_at_the_first_deadline() {
    assert_eq!(Line::ask_voltage().silence(), (vec![failed(Failure::Silent)], Some(FIRST)));
}

#[test]
fn answer_split_octet_by_octet_is_the_same_answer() {
    let mut line = Line::ask_voltage();
    let octets = [&[0xFE, 0xFE][..], &answer()].concat();
    for (at, octet) in (100..).zip(&octets) {
        line.comes(ms(at), &[*octet]);
    }
    assert_eq!(line.at_once(), [voltage(ms(100))]);
}

#[test]
fn first_octet_is_that_of_the_believed_frame() {
    let mut line = Line::ask_voltage();
    let stray = frame("1235", 0x91, &data(VOLTAGE, &[1, 1]));
    line.comes(ms(30), &stray).comes(ms(80), &[0x00, 0xFE]).comes(ms(81), &answer());
    assert_eq!(line.at_once(), [Event::Stray(stray), Event::Noise(1), voltage(ms(80))]);
}

#[test]
fn late_answer_is_not_credited_to_the_next_register() {
    let mut line = Line::ask(Request::Read { address: own(), di: CURRENT });
    line.comes(ms(30), &answer());
    let current = frame("1234", 0x91, &data(CURRENT, &[0, 1, 0]));
    line.comes(ms(90), &current);
    let done = Outcome::Data { from: own(), di: CURRENT, octets: vec![0, 1, 0], first_octet: ms(90) };
    assert_eq!(line.at_once(), [Event::Stray(answer()), Event::Done(done)]);
}

#[test]
fn late_answer_of_another_meter_is_not_credited_to_the_asked_one() {
    let mut line = Line::ask_voltage();
    let stray = frame("1235", 0x91, &data(VOLTAGE, &[0x05, 0x22]));
    let (events, ended) = line.comes(ms(30), &stray).silence();
    assert_eq!(events, [Event::Stray(stray), failed(Failure::Stray)]);
    assert_eq!(ended, Some(FIRST));
}

#[test]
fn sound_frames_that_do_not_fit_the_request_are_stray() {
    for stray in [
        frame("1234", 0x92, &data(VOLTAGE, &[0x05, 0x22, 1])),
        frame("1234", 0x94, &[]),
        frame("1234", 0x93, &own().to_wire()),
        frame("1234", 0x91, &data(CURRENT, &[0x05, 0x22])),
        frame("1234", 0x91, &[0x00, 0x01]),
        frame("1235", 0xD1, &[2]),
        frame("1234", 0xD4, &[4]),
        frame("1234", 0xF1, &[2]),
        frame("AAAAAAAAAAAA", 0x91, &data(VOLTAGE, &[0x05, 0x22])),
        // Another master asks on our line.
        frame("1234", 0x11, &CURRENT.to_wire()),
        frame("1234", 0x81, &[0x10, 0x90, 0, 0, 0, 0]),
    ] {
        let mut line = Line::ask_voltage();
        let events = line.comes(ms(40), &stray).comes(ms(200), &answer()).at_once();
        assert_eq!(events, [Event::Stray(stray), voltage(ms(200))]);
    }
}

#[test]
fn echo_of_the_request_is_told_apart_and_listening_goes_on() {
    let mut line = Line::ask_voltage();
    let echo = line.sent[0].clone();
    let events = line.comes(ms(20), &echo).comes(ms(80), &answer()).at_once();
    assert_eq!(events, [Event::Echo, voltage(ms(80))]);
    // Glued to the answer, too.
    let mut line = Line::ask_voltage();
    let events = line.comes(ms(80), &[echo, answer()].concat()).at_once();
    assert_eq!(events, [Event::Echo, voltage(ms(80))]);
}

#[test]
fn echo_without_an_answer_is_silent() {
    let mut line = Line::ask_voltage();
    let echo = line.sent[0].clone();
    assert_eq!(
        line.comes(ms(20), &echo).silence(),
        (vec![Event::Echo, failed(Failure::Silent)], Some(FIRST))
    );
}

#[test]
fn wrong_checksum_is_damaged_and_never_believed() {
    let mut octets = answer();
    octets[14] ^= 1;
    let (events, ended) = Line::ask_voltage().comes(ms(60), &octets).silence();
    let failure = Failure::Damaged { octets: 18, never_a_frame: true };
    assert_eq!(events, [Event::Damaged, Event::Noise(18), failed(failure)]);
    assert_eq!(ended, Some(FIRST));
}

#[test]
fn damaged_octet_drops_its_frame_and_a_repeated_one_is_believed() {
    let octets = answer();
    let mut line = Line::ask_voltage();
    line.comes(ms(60), &octets[..12]).damaged(ms(72), octets[12]).comes(ms(73), &octets[13..]);
    assert_eq!(line.events, [Event::Damaged]);
    let events = line.comes(ms(200), &octets).at_once();
    assert_eq!(events, [Event::Damaged, Event::Noise(18), voltage(ms(200))]);
}

#[test]
fn answer_cut_short_is_damaged_when_the_rest_is_late() {
    let mut line = Line::ask_voltage();
    line.comes(ms(500), &answer()[..15]);
    // Three octets are missing.
    assert_eq!(line.exchange.poll_timeout(), Some((ms(500 + 3 + 100), Deadline::Rest)));
    let (events, ended) = line.silence();
    let failure = Failure::Damaged { octets: 15, never_a_frame: true };
    assert_eq!(events, [Event::Noise(15), failed(failure)]);
    assert_eq!(ended, Some(ms(603)));
}

#[test]
fn answer_that_began_in_time_is_waited_for() {
    let octets = answer();
    let mut line = Line::ask_voltage();
    line.comes(ms(519), &octets[..1]);
    assert_eq!(line.exchange.poll_timeout(), Some((ms(519 + 11 + 100), Deadline::Rest)));
    line.comes(ms(600), &octets[1..10]);
    assert_eq!(line.exchange.poll_timeout(), Some((ms(600 + 8 + 100), Deadline::Rest)));
    assert_eq!(line.comes(ms(700), &octets[10..]).at_once(), [voltage(ms(519))]);
}

#[test]
fn pause_inside_an_answer_is_borne_until_the_first_deadline() {
    let octets = answer();
    let mut line = Line::ask_voltage();
    // Clause 5.3: up to 500 ms may pass between two octets.
    line.comes(ms(50), &octets[..12]).comes(ms(510), &octets[12..]);
    assert_eq!(line.at_once(), [voltage(ms(50))]);
}

#[test]
fn fe_before_the_deadline_begins_an_answer() {
    let mut line = Line::ask_voltage();
    line.comes(ms(519), &[0xFE, 0xFE]);
    assert_eq!(line.exchange.poll_timeout(), Some((ms(519 + 12 + 100), Deadline::Rest)));
    assert_eq!(line.comes(ms(530), &answer()).at_once(), [voltage(ms(519))]);
}

#[test]
fn octets_behind_the_answer_are_harmless() {
    for tail in [&[0x00][..], &[0xFE, 0xFE], &[0x68, 0x68, 0x16]] {
        let mut line = Line::ask_voltage();
        line.comes(ms(60), &[&answer(), tail].concat()).comes(ms(61), tail);
        assert_eq!(line.at_once(), [voltage(ms(60))]);
    }
}

#[test]
fn octet_too_many_that_l_does_not_count_is_damaged() {
    let mut octets = answer();
    octets.insert(16, 0x33);
    let (events, _) = Line::ask_voltage().comes(ms(60), &octets).silence();
    let failure = Failure::Damaged { octets: 19, never_a_frame: true };
    assert_eq!(events, [Event::Noise(19), failed(failure)]);
}

#[test]
fn octet_too_many_in_a_sound_frame_reaches_the_decoder() {
    let octets = frame("1234", 0x91, &data(VOLTAGE, &[0x05, 0x22, 0x00]));
    let events = Line::ask_voltage().comes(ms(60), &octets).at_once();
    let [Event::Done(Outcome::Data { octets, .. })] = &events[..] else { panic!("{events:?}") };
    assert_eq!(octets, &[0x05, 0x22, 0x00]);
}

#[test]
fn refusal_of_the_asked_meter_ends_the_exchange() {
    for (word, expected) in [(&[0x02][..], 0x02), (&[], 0x00)] {
        let events = Line::ask_voltage().comes(ms(60), &frame("1234", 0xD1, word)).at_once();
        assert_eq!(events, [Event::Done(Outcome::Refused(ErrorWord::Of2007(expected)))]);
    }
}

#[test]
fn wildcard_is_answered_by_the_real_address_or_by_itself() {
    for from in ["1234", "AAAAAAAA1234"] {
        let address = "AAAAAAAA1234".parse().unwrap();
        let mut line = Line::ask(Request::Read { address, di: VOLTAGE });
        let stray = frame("1235", 0x91, &data(VOLTAGE, &[1, 1]));
        line.comes(ms(40), &stray).comes(ms(60), &frame(from, 0x91, &data(VOLTAGE, &[0x05, 0x22])));
        let done = Outcome::Data {
            from: from.parse().unwrap(),
            di: VOLTAGE,
            octets: vec![0x05, 0x22],
            first_octet: ms(60),
        };
        assert_eq!(line.at_once(), [Event::Stray(stray), Event::Done(done)]);
    }
}

#[test]
fn read_address_believes_a_frame_whose_two_addresses_agree() {
    let contradiction = frame("1235", 0x93, &own().to_wire());
    let mut line = Line::ask(Request::ReadAddress);
    line.comes(ms(40), &contradiction).comes(ms(60), &frame("1234", 0x93, &own().to_wire()));
    let done = Event::Done(Outcome::Address { address: own(), first_octet: ms(60) });
    assert_eq!(line.at_once(), [Event::Stray(contradiction), done.clone()]);
    let unchanged = frame("AAAAAAAAAAAA", 0x93, &own().to_wire());
    assert_eq!(Line::ask(Request::ReadAddress).comes(ms(60), &unchanged).at_once(), [done]);
}

#[test]
fn false_start_does_not_swallow_the_answer_behind_it() {
    let false_start = [0x68, 0, 0, 0, 0, 0, 0, 0x68, 0x91, 0xFF];
    let mut line = Line::ask_voltage();
    line.comes(ms(60), &[&false_start[..], &answer()].concat());
    let (events, ended) = line.silence();
    assert_eq!(events, [Event::Noise(10), voltage(ms(60))]);
    assert_eq!(ended, Some(FIRST));
    // The same late: 239 octets seem to be missing.
    let mut line = Line::ask_voltage();
    line.comes(ms(400), &[&false_start[..], &answer()].concat());
    assert_eq!(line.silence(), (vec![Event::Noise(10), voltage(ms(400))], Some(ms(400 + 239 + 100))));
}

#[test]
fn noise_alone_is_damaged_at_the_first_deadline() {
    let (events, ended) = Line::ask_voltage().comes(ms(300), &[0x00, 0x7F, 0x13]).silence();
    let failure = Failure::Damaged { octets: 3, never_a_frame: true };
    assert_eq!(events, [Event::Noise(3), failed(failure)]);
    assert_eq!(ended, Some(FIRST));
}

#[test]
fn damaged_comes_before_stray_before_silent() {
    let stray = frame("1235", 0x91, &data(VOLTAGE, &[1, 1]));
    let mut line = Line::ask_voltage();
    line.comes(ms(40), &stray).comes(ms(200), &[0x7F, 0x00]);
    let failure = Failure::Damaged { octets: 20, never_a_frame: false };
    assert_eq!(line.silence().0.last(), Some(&failed(failure)));
}

#[test]
fn no_babble_and_no_trickle_lasts_longer_than_the_longest_answer() {
    for octet in [0xFE, 0x68, 0x00, 0x16] {
        let mut line = Line::ask_voltage();
        let mut at = ms(30);
        while line.exchange.poll_timeout().is_some() {
            line.comes(at, &[octet; 3]);
            at += ms(3);
            // The deadline is met by the first call that comes behind it.
            assert!(at <= TOTAL + ms(6), "{octet:02X}");
        }
        assert!(matches!(line.events.last(), Some(Event::Done(Outcome::Failed(Failure::Damaged { .. })))));
    }
    // A frame whose octets come 90 ms apart, each within the slack.
    let mut line = Line::ask_voltage();
    for (turn, octet) in (1..).zip(answer()) {
        line.comes(ms(90 * turn), &[octet]);
    }
    let (events, _) = line.silence();
    assert_eq!(events.last(), Some(&failed(Failure::Damaged { octets: 9, never_a_frame: true })));
}

#[test]
fn timeout_called_too_early_does_nothing() {
    let mut line = Line::ask_voltage();
    line.exchange.handle_timeout(ms(519));
    assert_eq!(line.exchange.poll_timeout(), Some((FIRST, Deadline::FirstOctet)));
    assert_eq!(line.comes(ms(519), &answer()).at_once(), [voltage(ms(519))]);
}

#[test]
fn events_that_nobody_fetches_are_bounded_and_the_end_is_among_them() {
    let mut exchange = Exchange::new(Request::Read { address: own(), di: VOLTAGE }, TIMING, ms(0));
    let stray = frame("1235", 0x91, &data(VOLTAGE, &[1, 1]));
    exchange.handle_bytes(ms(30), &[stray.repeat(500), answer()].concat());
    let events: Vec<_> = std::iter::from_fn(|| exchange.poll_event()).collect();
    assert_eq!(events.len(), 65);
    assert_eq!(events.last(), Some(&voltage(ms(30))));
}

/// Reads a block of the simulated meter through an exchange, each frame `gap` after its request.
fn followed_up(block: &[u8], address: Address) -> (Vec<Event>, usize) {
    let mut line = Line::ask(Request::Read { address, di: VOLTAGE });
    let mut asked = 0;
    let mut answering = Answering::default();
    while asked < line.sent.len() {
        let request = line.sent[asked].clone();
        asked += 1;
        let request = Frame::parse(&request[4..]).unwrap();
        let reply = meter::answer(own(), Manner::E2007, &mut answering, &request, |_, out| {
            out.extend_from_slice(block);
            Ok(())
        });
        line.comes(ms(100 * asked as u64), &reply.unwrap());
    }
    (line.at_once(), asked)
}

#[test]
fn follow_up_frames_are_joined_in_order() {
    let block: Vec<u8> = (0..=255).cycle().take(269).collect();
    for address in [own(), Address::ANY] {
        let (events, frames) = followed_up(&block, address);
        let done = Outcome::Data { from: own(), di: VOLTAGE, octets: block.clone(), first_octet: ms(100) };
        assert_eq!(events, [Event::Done(done)]);
        assert_eq!(frames, 2);
    }
    let longest: Vec<u8> = (0..=255).cycle().take(196 + 31 * 195).collect();
    let (events, frames) = followed_up(&longest, own());
    assert!(matches!(&events[..], [Event::Done(Outcome::Data { octets, .. })] if *octets == longest));
    assert_eq!(frames, usize::from(MAX_FRAMES));
}

#[test]
fn follow_up_without_end_is_given_up() {
    let (events, frames) = followed_up(&[0; 196 + 31 * 195 + 1], own());
    assert_eq!(events, [failed(Failure::Unfinished)]);
    assert_eq!(frames, usize::from(MAX_FRAMES));
}

#[test]
fn truncated_value_is_never_taken_for_a_whole_one() {
    let begun = frame("1234", 0xB1, &data(VOLTAGE, &[0x05]));
    let asked_on = || {
        let mut line = Line::ask_voltage();
        line.comes(ms(60), &begun);
        assert_eq!(line.sent[1][4..], frame("1234", 0x12, &data(VOLTAGE, &[1])));
        // 4 FE and 17 octets go out from 60 ms on.
        assert_eq!(line.exchange.poll_timeout(), Some((ms(60 + 21 + 500), Deadline::FirstOctet)));
        line
    };
    assert_eq!(asked_on().silence().0, [failed(Failure::Unfinished)]);
    let refused = asked_on().comes(ms(200), &frame("1234", 0xD2, &[2])).at_once();
    assert_eq!(refused, [failed(Failure::Unfinished)]);
    for stray in [
        // The first frame again, another SEQ, another DI, another meter.
        begun.clone(),
        frame("1234", 0x92, &data(VOLTAGE, &[0x22, 2])),
        frame("1234", 0x92, &data(CURRENT, &[0x22, 1])),
        frame("1235", 0x92, &data(VOLTAGE, &[0x22, 1])),
    ] {
        let (events, _) = asked_on().comes(ms(200), &stray).silence();
        assert_eq!(events, [Event::Stray(stray.clone()), failed(Failure::Unfinished)]);
        let whole = frame("1234", 0x92, &data(VOLTAGE, &[0x22, 1]));
        let events = asked_on().comes(ms(200), &stray).comes(ms(300), &whole).at_once();
        assert_eq!(events, [Event::Stray(stray), voltage(ms(60))]);
    }
    let (events, _) = asked_on().comes(ms(200), &[0x7F]).silence();
    let failure = Failure::Damaged { octets: 1, never_a_frame: true };
    assert_eq!(events, [Event::Noise(1), failed(failure)]);
}

#[test]
fn active_report_is_kept_and_the_read_repeated_once() {
    let report = frame("1234", 0x91, &data(ACTIVE_REPORT, &[7; 12]));
    let told = |at| Event::ActiveReport { from: own(), octets: vec![7; 12], first_octet: at };
    let mut line = Line::ask_voltage();
    line.comes(ms(60), &report);
    assert_eq!(line.sent.len(), 2);
    assert_eq!(line.sent[0], line.sent[1]);
    assert_eq!(line.exchange.poll_timeout(), Some((ms(60 + 20 + 500), Deadline::FirstOctet)));
    assert_eq!(line.comes(ms(200), &answer()).at_once(), [told(ms(60)), voltage(ms(200))]);
    // A second report is stray, and is not answered with a third request.
    let mut line = Line::ask_voltage();
    let (events, _) = line.comes(ms(60), &report).comes(ms(200), &report).silence();
    assert_eq!(events, [told(ms(60)), Event::Stray(report.clone()), failed(Failure::Stray)]);
    assert_eq!(line.sent.len(), 2);
    // In the middle of an answer: the follow-up request is repeated.
    let mut line = Line::ask_voltage();
    line.comes(ms(60), &frame("1234", 0xB1, &data(VOLTAGE, &[0x05]))).comes(ms(120), &report);
    assert_eq!(line.sent[1], line.sent[2]);
    line.comes(ms(200), &frame("1234", 0x92, &data(VOLTAGE, &[0x22, 1])));
    assert_eq!(line.at_once(), [told(ms(120)), voltage(ms(60))]);
    // Another meter's is stray; asked for by name it is an answer.
    let other = frame("1235", 0x91, &data(ACTIVE_REPORT, &[7; 12]));
    let events = Line::ask_voltage().comes(ms(60), &other).comes(ms(80), &answer()).at_once();
    assert_eq!(events, [Event::Stray(other), voltage(ms(80))]);
    let mut line = Line::ask(Request::Read { address: own(), di: ACTIVE_REPORT });
    let events = line.comes(ms(60), &report).at_once();
    assert!(matches!(&events[..], [Event::Done(Outcome::Data { di: ACTIVE_REPORT, .. })]));
}
