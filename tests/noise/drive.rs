//! Replies under noise, from the wires to readings with their quality: the exchange, the retry, the measure of the
//! line's noise, the round with its judge and the memory of energies, as the daemon has them; without port and task.
//!
//! Noise is on the replies: a request that is damaged gets no answer, which brings no value.
#![allow(dead_code, reason = "each user takes its part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use catalogue::{Catalogue, Register};
use dlt645::exchange::{Exchange, Failure, Outcome, Timing};
use dlt645::frame::{Control, emit};
use dlt645::pdu::Request;
use dlt645::{Address, Di};
use jiff::Timestamp;
use meterd::bus::energies::Energies;
use meterd::bus::exchange::Noted;
use meterd::bus::noise::Noise as Measure;
use meterd::bus::round::{Point, Round};
use meterd::bus::talk::{Answer, NoReply, Patience};
use meterd::planner::{Ask, Costs, Line};
use meterd::reading::{Decoded, Quality, Reading, Reason, Transformers, decode};
use meterd::simulator::{Dice, Noise, NoiseModel, Octet};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is read in a round: an energy, a block of three, two single registers.
const WANTED: [&str; 4] = ["active_energy_import", "voltage_l*", "current_l1", "active_power"];
const ENERGY: Di = Di::new(0x0001_0000);
const VOLTAGES: Di = Di::new(0x0201_FF00);
const VOLTAGE_L1: Di = Di::new(0x0201_0100);
const VOLTAGE_L2: Di = Di::new(0x0201_0200);
const VOLTAGE_L3: Di = Di::new(0x0201_0300);
const CURRENT_L1: Di = Di::new(0x0202_0100);
/// FE octets before a reply.
const PREAMBLE: usize = 4;
/// One exchange at 2400 baud, and the time between two rounds.
const EXCHANGE_MS: u64 = 250;
const ROUND_MS: u64 = 10_000;
/// When the run begins.
const START: Timestamp = Timestamp::constant(1_793_491_200, 0);
/// Sentences that are kept of what was wrong.
const KEPT: usize = 5;

/// One kind of noise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) model: NoiseModel,
    /// The probability that an octet is hit.
    pub(crate) per_octet: f64,
    /// Whether characters have parity and the receiver marks what is wrong.
    pub(crate) checked: bool,
}

/// What became of the replies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) replies: u64,
    /// Replies that the noise hit.
    pub(crate) hit: u64,
    /// Answers that a frame's checks let through and that the meter did not send.
    pub(crate) let_through: u64,
    /// Those of them that hold a wrong value.
    pub(crate) wrong: u64,
    /// Questions, and those of them that confirm an answer.
    pub(crate) questions: u64,
    pub(crate) again: u64,
    /// Readings by their quality; wrong ones of each.
    pub(crate) good: u64,
    pub(crate) good_wrong: u64,
    /// Good ones that the meter sent in another answer to the question than the one that it carries the instant of.
    pub(crate) moved: u64,
    pub(crate) suspect: u64,
    pub(crate) suspect_wrong: u64,
    /// Registers without a value, and those of them that had one that cannot be.
    pub(crate) failed: u64,
    pub(crate) implausible: u64,
    /// Of wrong values published as good, a sentence each.
    pub(crate) told: Vec<String>,
}

impl Count {
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.told.extend(other.told);
        self.told.truncate(KEPT);
        Self {
            replies: self.replies + other.replies,
            hit: self.hit + other.hit,
            let_through: self.let_through + other.let_through,
            wrong: self.wrong + other.wrong,
            questions: self.questions + other.questions,
            again: self.again + other.again,
            good: self.good + other.good,
            good_wrong: self.good_wrong + other.good_wrong,
            moved: self.moved + other.moved,
            suspect: self.suspect + other.suspect,
            suspect_wrong: self.suspect_wrong + other.suspect_wrong,
            failed: self.failed + other.failed,
            implausible: self.implausible + other.implausible,
            told: self.told,
        }
    }
}

/// A meter whose values move: its energy counts 0.01 kWh in 9 s, the rest is measured anew every second.
#[derive(Clone, Copy, Debug)]
struct Meter {
    seed: u64,
}

impl Meter {
    /// The digits of a register at a time.
    fn digits(self, register: &Register, ms: u64) -> u64 {
        let wobble = |salt: u64| Dice::new(self.seed ^ (salt << 48) ^ (ms / 1000)).between(0, 30);
        match register.di().unwrap() {
            ENERGY => self.seed % 90_000_000 + ms / 9000,
            VOLTAGE_L1 => 2200 + wobble(1),
            VOLTAGE_L2 => 2190 + wobble(2),
            VOLTAGE_L3 => 2210 + wobble(3),
            CURRENT_L1 => 17_800 + 10 * wobble(4),
            _ => 39_500 + 20 * wobble(5),
        }
    }

    fn octets(self, ask: &Ask, block: &[Register], ms: u64, into: &mut Vec<u8>) {
        let of = if ask.subject.id() == VOLTAGES { block } else { &ask.wanted };
        for register in of {
            let mut digits = self.digits(register, ms);
            for _ in 0..register.octets() {
                into.push((((digits / 10 % 10) << 4) | (digits % 10)) as u8);
                digits /= 100;
            }
        }
    }
}

/// Reads a meter until so many replies have come over a line with this noise.
pub(crate) fn run(kind: Kind, replies: u64, seed: u64) -> Count {
    let wanted: Vec<Register> =
        WANTED.iter().flat_map(|name| Catalogue::dlt645_2007().find(name, 4).unwrap()).collect();
    let mut dice = Dice::new(seed);
    let mut reader = Reader {
        address: "000000001234".parse().unwrap(),
        meter: Meter { seed: dice.roll() },
        block: Catalogue::dlt645_2007().find("voltage_l*", 4).unwrap(),
        noise: Noise::new(kind.model, kind.per_octet, kind.checked, seed),
        measure: Measure::default(),
        ms: 0,
        sent: Vec::new(),
        count: Count::default(),
        data: Vec::new(),
        frame: Vec::new(),
        octets: Vec::new(),
        plain: Vec::new(),
    };
    let (mut energies, mut asked) = (Energies::default(), Vec::new());
    while reader.count.replies < replies {
        let now = Duration::from_millis(reader.ms);
        let costs = Costs::usual(Line::DEFAULT);
        let mut round =
            Round::new(&wanted, BTreeSet::new(), costs, Point::default()).judged_by(energies.of(0, now));
        asked.clear();
        reader.sent.clear();
        while let Some(ask) = round.next() {
            let di = ask.subject.id();
            reader.count.again += u64::from(asked.contains(&di));
            asked.push(di);
            let came = reader.ask(ask);
            round.over_noise(reader.measure.is_noisy());
            round.take(came);
        }
        let jumped = round.jumps().next().is_some();
        energies.take(0, round.energies(), jumped, Duration::from_millis(reader.ms));
        reader.judge(&round.finish());
        reader.ms += ROUND_MS;
    }
    reader.count
}

/// Who asks over the line.
struct Reader {
    address: Address,
    meter: Meter,
    /// What the block holds.
    block: Vec<Register>,
    noise: Noise,
    measure: Measure,
    ms: u64,
    /// What was asked in this round, and when the meter answered.
    sent: Vec<(Di, u64)>,
    count: Count,
    data: Vec<u8>,
    frame: Vec<u8>,
    octets: Vec<Octet>,
    plain: Vec<u8>,
}

impl Reader {
    /// One question with its retry.
    fn ask(&mut self, ask: &Ask) -> Result<Answer, NoReply> {
        self.count.questions += 1;
        let mut tries = 0;
        let came = loop {
            tries += 1;
            let (outcome, noted) = self.exchange(ask);
            self.measure.heard(&outcome, &noted);
            match outcome {
                Outcome::Data { from, octets, .. } => {
                    let taken_at = START + Duration::from_millis(self.ms);
                    break Ok(Answer { from, octets, taken_at, delay: Duration::ZERO, tries, noted });
                }
                Outcome::Refused(word) => {
                    break Err(NoReply {
                        word: Some(word),
                        ..NoReply::of(Reason::Refused, word.to_string())
                    });
                }
                Outcome::Failed(failure) if tries > Patience::RETRIES => {
                    let reason = match failure {
                        Failure::Damaged { .. } | Failure::Unfinished => Reason::Damaged,
                        Failure::Stray => Reason::Stray,
                        Failure::Silent => Reason::Silent,
                    };
                    break Err(NoReply::of(reason, reason.word()));
                }
                Outcome::Failed(_) => {}
                Outcome::Address { .. } | Outcome::Done { .. } | Outcome::Sent => {
                    panic!("a read does not end so")
                }
            }
        };
        let answered = came.as_ref().map_or_else(|none| none.reason == Reason::Refused, |_| true);
        self.measure.over(answered);
        came
    }

    /// One reply over the noisy line.
    fn exchange(&mut self, ask: &Ask) -> (Outcome, Noted) {
        let timing = Timing {
            octet: Duration::from_micros(4583),
            first_octet: Duration::from_millis(550),
            slack: Duration::from_millis(50),
            preamble: 4,
        };
        let di = ask.subject.id().di().unwrap();
        self.ms += EXCHANGE_MS;
        self.data.clear();
        self.data.extend_from_slice(&di.to_wire());
        self.meter.octets(ask, &self.block, self.ms, &mut self.data);
        self.frame.clear();
        self.frame.resize(PREAMBLE, 0xFE);
        emit(self.address, Control::reply(0x11, false), &self.data, &mut self.frame).unwrap();
        self.octets.clear();
        let sound = |&octet: &u8| Octet { octet, damaged: false, pause: Duration::ZERO };
        self.octets.extend(self.frame.iter().map(sound));
        self.sent.push((di, self.ms));
        self.count.replies += 1;
        self.count.hit += u64::from(self.noise.pass(&mut self.octets) > 0);
        let mut exchange = Exchange::new(Request::Read { address: self.address, di }, timing, Duration::ZERO);
        let at = Duration::from_millis(150);
        for stretch in self.octets.chunk_by(|one, next| !one.damaged && !next.damaged) {
            match stretch {
                [Octet { octet, damaged: true, .. }] => exchange.handle_damaged(at, *octet),
                good => {
                    self.plain.clear();
                    self.plain.extend(good.iter().map(|one| one.octet));
                    exchange.handle_bytes(at, &self.plain);
                }
            }
        }
        while let Some((deadline, _)) = exchange.poll_timeout() {
            exchange.handle_timeout(deadline);
        }
        let mut noted = Noted::default();
        let outcome = std::iter::from_fn(|| exchange.poll_event()).find_map(|event| noted.take(event));
        let outcome = outcome.unwrap();
        if let Outcome::Data { octets, .. } = &outcome
            && octets[..] != self.data[4..]
        {
            self.count.let_through += 1;
            let decoded = decode(ask, octets, START, Transformers::default()).unwrap_or_default();
            self.count.wrong += u64::from(decoded.readings.iter().any(|r| self.is_wrong(r, self.ms)));
        }
        (outcome, noted)
    }

    fn is_wrong(&self, reading: &Reading, ms: u64) -> bool {
        let number = reading.value().and_then(dlt645::format::Value::number);
        number.map(|number| number.mantissa()) != Some(self.meter.digits(&reading.register, ms).into())
    }

    /// Holds a round's readings against what the meter sent when it was asked for them.
    fn judge(&mut self, decoded: &Decoded) {
        for reading in &decoded.readings {
            let ms = (reading.taken_at.as_millisecond() - START.as_millisecond()) as u64;
            let differs = self.is_wrong(reading, ms);
            let asked = self.sent.iter().find(|(_, at)| *at == ms).map(|(di, _)| *di);
            // Where a value moves, a damaged answer may say what a sound one said before or after it.
            let mut answers = self.sent.iter().filter(|(di, _)| Some(*di) == asked);
            let wrong = differs && answers.all(|(_, at)| self.is_wrong(reading, *at));
            let count = &mut self.count;
            if reading.quality == Quality::Good {
                count.good += 1;
                count.good_wrong += u64::from(wrong);
                count.moved += u64::from(differs && !wrong);
            } else {
                count.suspect += 1;
                count.suspect_wrong += u64::from(wrong);
                assert!(reading.why.is_some(), "{reading:?}");
            }
            if wrong && reading.quality == Quality::Good && count.told.len() < KEPT {
                let (name, sent) = (reading.register.name(), self.meter.digits(&reading.register, ms));
                count.told.push(format!("{name} = {:?}, and the meter sent {sent}", reading.value()));
            }
        }
        self.count.failed += decoded.failures.len() as u64;
        let implausible = decoded.failures.iter().filter(|failure| failure.reason == Reason::Implausible);
        self.count.implausible += implausible.count() as u64;
    }
}
