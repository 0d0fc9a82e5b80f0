//! Faulty exchanges: the whole daemon on virtual time reads a line in memory whose faults are injected by seed,
//! and each message is held against what the meters really sent.
#![allow(dead_code, reason = "each user takes its part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../lines/oracle.rs"]
pub(crate) mod oracle;

use dlt645::Address;
use jiff::{SignedDuration, Timestamp};
use meterd::clock::Clock;
use meterd::config;
use meterd::daemon::Daemon;
use meterd::mqtt::payload::{self, DataMessage, ReadingJson};
use meterd::planner::Line;
use meterd::reading::Reason;
use meterd::simulator::{Delivery, Injection, LineFault, Scenario, Sent, Tally, in_memory};
use meterd::store::{Pending, Writer};
use oracle::{PLACES, text_in};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;

const START: &str = "2026-11-21T10:00:30Z";
/// Between two slots.
const SLOT: SignedDuration = SignedDuration::from_secs(60);
/// Answers that are kept for the check: those of more than the minutes between two checks.
const KEPT: usize = 5_000;
/// From the end of a request to the last octet of its answer, at most: late and with pauses.
const LONGEST: SignedDuration = SignedDuration::from_secs(12);
/// Messages are checked and signed so often.
const CHECK: Duration = Duration::from_secs(600);

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    pub(crate) seed: u64,
    /// Requests that reach a meter, at least.
    pub(crate) exchanges: u64,
    pub(crate) meters: u8,
    pub(crate) rate: Line,
    pub(crate) delivery: Delivery,
    pub(crate) faults: Vec<Injection>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) exchanges: u64,
    /// By fault: exchanges, or octets where its probability is of octets.
    pub(crate) injected: BTreeMap<LineFault, u64>,
    pub(crate) messages: u64,
    /// Values published.
    pub(crate) read: u64,
    /// Registers without a value, by the word of their failure.
    pub(crate) failed: BTreeMap<&'static str, u64>,
    /// Values that no meter sent so, and accounts that do not add up: a sentence each.
    pub(crate) wrong: Vec<String>,
    /// Slots of a meter that have no message.
    pub(crate) without_message: u64,
    /// Slots in which each register of the meter was read; by meter, the last one.
    pub(crate) last_whole: BTreeMap<String, Timestamp>,
    /// The slot of the last message.
    pub(crate) last_slot: Option<Timestamp>,
}

impl Outcome {
    /// Registers without a value.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

impl Campaign {
    /// Eight meters at 9600 baud, handed over octet by octet.
    pub(crate) fn of(faults: &[(LineFault, f64)], exchanges: u64, seed: u64) -> Self {
        let faults = faults.iter().map(|&(fault, rate)| Injection { fault, rate }).collect();
        let rate = Line { baud: 9600, ..Line::DEFAULT };
        Self { seed, exchanges, meters: 8, rate, delivery: Delivery::Pieces(1), faults }
    }

    fn scenario(&self) -> Scenario {
        let meters: String = (1..=self.meters)
            .map(|n| {
                let (delay, energy) = (20 + 7 * u32::from(n), 1000 * u32::from(n));
                format!(
                    "[[meter]]\naddress = \"{n}\"\nphases = 3\nenergy = \"{energy}.56\"\nresponse_delay = \"{delay}ms\"\n"
                )
            })
            .collect();
        let mut scenario = Scenario::parse("campaign", &meters).unwrap();
        (scenario.seed, scenario.rate) = (self.seed, Some(self.rate));
        scenario
    }

    fn plan(&self, data: &TempDir) -> config::Plan {
        let meters: String = (1..=self.meters)
            .map(|n| {
                format!("[[meter]]\nname = \"m{n}\"\nbus = \"b\"\naddress = \"{n}\"\nwiring = \"3p4w\"\n")
            })
            .collect();
        let (store, baud, frame) = (data.path().join("store"), self.rate.baud, self.rate.frame);
        let registers = PLACES.map(|place| place.register);
        let text = format!(
            "gateway = {{ id = \"gw\", timezone = \"Asia/Shanghai\", clock = \"set\", data_dir = {store:?} }}\n\
             [[bus]]\nname = \"b\"\nport = \"/dev/null\"\nbaud = {baud}\nframe = \"{frame}\"\n{meters}\
             [[task]]\nname = \"live\"\nevery = \"1m\"\nregisters = {registers:?}\n"
        );
        config::plan_from_text("campaign.toml", &text, data.path()).unwrap_or_else(|e| panic!("{e}")).plan
    }

    /// Runs on tokio's paused time.
    pub(crate) async fn run(&self) -> Outcome {
        let data = TempDir::new().unwrap();
        let clock = Clock::virtual_at(START.parse().unwrap());
        let pair = self.scenario().pair().delivered(self.delivery).with_faults(&self.faults, self.seed, true);
        let tally = pair.tally();
        let (opener, line) = in_memory(pair, clock.clone(), KEPT);
        let daemon = Daemon::new(self.plan(&data), clock.clone()).with_line(0, opener).without_broker();
        let daemon = daemon.start().unwrap();
        let mut account = Account::new(self);
        while tally.exchanges() < self.exchanges {
            let before = tally.exchanges();
            tokio::time::sleep(CHECK).await;
            let (pending, sent) = (daemon.store().offer(0, 100_000).await.unwrap(), line.sent());
            account.check(&pending, &daemon.store().id(), &sent);
            daemon.store().forget(pending.iter().map(|p| p.seq).collect()).await.unwrap();
            if tally.exchanges() == before {
                account.outcome.wrong.push("the line stands still".to_owned());
                break;
            }
        }
        let store_id = daemon.store().id().to_owned();
        let (counts, _) = daemon.stop().await;
        let mut writer = Writer::open(&data.path().join("store")).unwrap();
        account.check(&writer.offer(0, 100_000).unwrap(), &store_id, &line.sent());
        line.ended().await.unwrap();
        account.finish(&tally, counts)
    }
}

/// Holds messages against what was sent.
struct Account {
    outcome: Outcome,
    registers: usize,
    /// From a reply's last octet until the reader has it, at most.
    handing_over: SignedDuration,
    /// What one exchange takes, at most.
    exchange: SignedDuration,
    next_seq: u64,
    /// The slot of each meter's last message, and whether it had a reading.
    last: BTreeMap<String, (Timestamp, bool)>,
}

impl Account {
    fn new(campaign: &Campaign) -> Self {
        let exchange = campaign.rate.octets(20 + 2 * 271) + Duration::from_millis(620);
        Self {
            outcome: Outcome::default(),
            registers: PLACES.len(),
            handing_over: SignedDuration::from_millis(2),
            exchange: SignedDuration::try_from(exchange).unwrap(),
            next_seq: 1,
            last: BTreeMap::new(),
        }
    }

    fn wrong(&mut self, what: String) {
        self.outcome.wrong.push(what);
    }

    fn check(&mut self, pending: &[Pending], store: &str, sent: &[Sent]) {
        for pending in pending {
            if !pending.topic.contains("/data/") {
                // Events and the states of meters are counted together with the data.
                self.number(pending.seq);
                continue;
            }
            let message = DataMessage::parse(&payload::compose(store, pending.seq, &pending.body)).unwrap();
            self.outcome.messages += 1;
            self.number(message.seq);
            let body = message.body;
            if body.readings.len() + body.failures.len() != self.registers {
                let (read, failed) = (body.readings.len(), body.failures.len());
                self.wrong(format!("{} {}: {read} read and {failed} failed", body.meter, body.slot));
            }
            let slot: Timestamp = body.slot.parse().unwrap();
            self.slots(&body.meter, slot, !body.readings.is_empty());
            for failure in &body.failures {
                *self.outcome.failed.entry(failure.reason.word()).or_default() += 1;
                // The meters here never send what is no value: the line made it, and nobody noticed. An energy
                // that nothing confirmed, as of a twin, is one and was rightly not believed.
                let is_number = |raw: &str| raw.bytes().all(|digit| digit.is_ascii_digit());
                if failure.reason == Reason::Implausible && !failure.raw.as_deref().is_some_and(is_number) {
                    self.wrong(format!("{} {}: implausible {:?}", body.meter, body.slot, failure.raw));
                }
            }
            if body.failures.is_empty() {
                self.outcome.last_whole.insert(body.meter.clone(), slot);
            }
            for reading in &body.readings {
                self.outcome.read += 1;
                if let Some(wrong) = self.is_wrong(reading, &body.address, slot, sent) {
                    self.wrong(format!("{} {}: {wrong}", body.meter, body.slot));
                }
            }
        }
    }

    fn number(&mut self, seq: u64) {
        if seq != self.next_seq {
            self.wrong(format!("number {seq} where {} is due", self.next_seq));
        }
        self.next_seq = seq + 1;
    }

    /// Each meter has one message for each slot, in their order; one that brought nothing may be followed by
    /// another, when the meter is back before the slot is over.
    fn slots(&mut self, meter: &str, slot: Timestamp, brought: bool) {
        if let Some((last, had)) = self.last.insert(meter.to_owned(), (slot, brought)) {
            let since = slot.duration_since(last).as_secs();
            if since == 0 && !had {
                return;
            }
            if since <= 0 || since % SLOT.as_secs() != 0 {
                self.wrong(format!("{meter}: {slot} comes after {last}"));
            } else {
                self.outcome.without_message += (since / SLOT.as_secs() - 1) as u64;
            }
        }
        self.outcome.last_slot = self.outcome.last_slot.max(Some(slot));
    }

    /// Why this value is not one that the meter sent for this register while it was asked.
    fn is_wrong(
        &self,
        reading: &ReadingJson,
        address: &str,
        slot: Timestamp,
        sent: &[Sent],
    ) -> Option<String> {
        let place = PLACES.iter().find(|place| place.register == reading.register)?;
        let address: Address = address.parse().unwrap();
        let taken_at: Timestamp = reading.taken_at.parse().unwrap();
        if taken_at < slot {
            return Some(format!("{} taken at {taken_at}, before its slot", reading.register));
        }
        let value = reading.value.as_ref()?.to_string();
        // `taken_at` is cut to milliseconds, and FE octets of whomever directly before a reply count as its own.
        let (earliest, latest) = (taken_at - self.handing_over, taken_at + self.exchange);
        let near = sent
            .iter()
            .rev()
            .skip_while(|one| one.at > latest)
            .take_while(|one| one.at >= earliest - LONGEST);
        let meant = near.filter(|one| one.meter == address && one.ended >= earliest && one.begun <= latest);
        let own: Vec<String> = meant.filter_map(|one| text_in(place, &one.said)).collect();
        if own.contains(&value) {
            return None;
        }
        let who = sent.iter().filter(|one| text_in(place, &one.said).is_some_and(|text| text == value));
        let who: Vec<_> =
            who.rev().take(3).map(|one| (one.meter.to_string(), one.begun.to_string())).collect();
        let register = &reading.register;
        Some(format!(
            "{register} = {value} taken at {taken_at}; the meter sent {own:?}, and {value} was sent by {who:?}"
        ))
    }

    fn finish(mut self, tally: &Tally, counts: meterd::telemetry::Snapshot) -> Outcome {
        let (read, failed) = (self.outcome.read, self.outcome.failures());
        let counted = (counts.readings, counts.failures, counts.reports);
        if counted != (read, failed, self.outcome.messages) {
            let messages = self.outcome.messages;
            self.wrong(format!(
                "{counted:?} are counted; {read} read, {failed} failed in {messages} messages"
            ));
        }
        self.outcome.exchanges = tally.exchanges();
        let injected = LineFault::ALL.map(|fault| (fault, tally.injected(fault)));
        self.outcome.injected = injected.into_iter().filter(|(_, times)| *times > 0).collect();
        self.outcome
    }
}

/// All faults that meters of DL/T 645 have at once, each rarely enough that most exchanges still succeed.
pub(crate) fn all_faults() -> Vec<(LineFault, f64)> {
    LineFault::ALL
        .into_iter()
        .filter_map(|fault| {
            let rate = match fault {
                LineFault::Noise | LineFault::Burst => 0.000_5,
                LineFault::Babble | LineFault::BabbleFe | LineFault::Babble68 => 0.000_5,
                LineFault::Unplugged => 0.000_3,
                LineFault::EndlessFollowUp => 0.002,
                LineFault::Echo => 0.5,
                LineFault::Silent
                | LineFault::Late
                | LineFault::Cut
                | LineFault::Damaged
                | LineFault::Stray
                | LineFault::Twin
                | LineFault::Glued
                | LineFault::Split
                | LineFault::RefuseBlocks
                | LineFault::ActiveReport => 0.02,
                // Of Modbus meters.
                LineFault::Busy | LineFault::DeviceFailure => return None,
            };
            Some((fault, rate))
        })
        .collect()
}
