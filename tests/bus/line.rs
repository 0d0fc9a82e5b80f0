//! A paced line in memory with meters that can be made silent, slow or refusing, and the daemon that reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

use super::support;
use dlt645::pdu::Request;
use dlt645::scanner::Scanner;
use dlt645::{Address, Di};
use jiff::Timestamp;
use meterd::bus::port::memory::{self, MemoryPort, MemoryWire};
use meterd::clock::Clock;
use meterd::daemon::{Daemon, Running};
use meterd::mqtt::payload::{self, DataMessage};
use meterd::planner::Line;
use meterd::simulator::{Log, MeterSettings, Phases, Said, Sent, VirtualLine, VirtualMeter};
use meterd::store::{Pending, Scope, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const START: &str = "2026-11-21T10:00:30Z";
/// The first meter's address; the others follow.
const FIRST: usize = 100;

/// What is wrong with the line, and what passed on it.
#[derive(Debug, Default)]
struct State {
    silent: BTreeSet<String>,
    refused: BTreeSet<Di>,
    delays: BTreeMap<String, Duration>,
    babble: Option<u8>,
    echo: bool,
    asked: BTreeMap<Di, usize>,
    switches: usize,
    gaps: Vec<Duration>,
}

pub(crate) struct Bench {
    running: Option<Running>,
    clock: Clock,
    supply: mpsc::Sender<MemoryPort>,
    data: tempfile::TempDir,
    configuration: String,
    rates: Vec<u32>,
    state: Arc<Mutex<State>>,
    log: Log,
    line: Option<JoinHandle<()>>,
}

/// An event or a meter's state.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) topic: String,
    pub(crate) body: String,
}

impl Event {
    pub(crate) fn is(&self, topic: &str, part: &str) -> bool {
        self.topic.ends_with(topic) && self.body.contains(part)
    }
}

impl Bench {
    pub(crate) async fn start(baud: u32, meters: usize, every: &str, registers: &str, bus: &str) -> Self {
        Self::start_with(baud, meters, every, registers, bus, |_| "").await
    }

    /// `bus` and what `keys` gives for a meter are further keys of the configuration.
    pub(crate) async fn start_with(
        baud: u32,
        meters: usize,
        every: &str,
        registers: &str,
        bus: &str,
        keys: impl Fn(usize) -> &'static str,
    ) -> Self {
        let mut text = format!(
            "[gateway]\nid = \"gw01\"\ntimezone = \"Asia/Shanghai\"\ndata_dir = \"$DATA\"\n\
             [[bus]]\nname = \"riser-1\"\nport = \"/dev/null\"\nbaud = {baud}\n{bus}\n"
        );
        let mut rates = Vec::new();
        for meter in 0..meters {
            let (address, keys) = (FIRST + meter, keys(meter));
            text += &format!(
                "[[meter]]\nname = \"m{meter}\"\nbus = \"riser-1\"\naddress = \"{address}\"\nwiring = \"3p4w\"\n{keys}"
            );
            rates.push(if keys.contains("1200") { 1200 } else { baud });
        }
        text += &format!("[[task]]\nname = \"live\"\nevery = \"{every}\"\nregisters = {registers}\n");
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::virtual_at(START.parse().unwrap());
        let (running, supply) = daemon(&text, data.path(), &clock);
        let (state, log) = (Arc::default(), Log::keeping(1_000_000));
        Self {
            running: Some(running),
            clock,
            supply,
            data,
            configuration: text,
            rates,
            state,
            log,
            line: None,
        }
    }

    /// Ends the daemon and starts it again on the same store, with nothing plugged in.
    pub(crate) async fn restart(&mut self) {
        self.running.take().unwrap().stop().await;
        self.line.take().unwrap().abort();
        let (running, supply) = daemon(&self.configuration, self.data.path(), &self.clock);
        (self.running, self.supply) = (Some(running), supply);
        *self.state() = State::default();
    }

    pub(crate) async fn plug(&mut self) {
        let (port, wire) = memory::pair();
        self.supply.send(port).await.unwrap();
        let meters = (0..self.rates.len()).map(|meter| {
            let mut settings = MeterSettings::household(address(meter).parse().unwrap());
            settings.phases = Phases::Three;
            VirtualMeter::new(settings, 7 + meter as u64)
        });
        let line = VirtualLine::new(meters.collect()).logged(self.log.clone());
        let rates = self.rates.iter().enumerate().map(|(meter, rate)| (address(meter), *rate)).collect();
        let serve = serve(wire, line, self.clock.clone(), Arc::clone(&self.state), rates);
        self.line = Some(tokio::spawn(serve));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn silence(&self, meter: usize) {
        self.state().silent.insert(address(meter));
    }

    pub(crate) fn speak(&self, meter: usize) {
        self.state().silent.remove(&address(meter));
    }

    pub(crate) fn refuse(&self, dis: &[&str]) {
        self.state().refused.extend(dis.iter().map(|di| di.parse::<Di>().unwrap()));
    }

    pub(crate) fn delay(&self, meter: usize, delay: Duration) {
        self.state().delays.insert(address(meter), delay);
    }

    pub(crate) fn babble(&self, octet: Option<u8>) {
        self.state().babble = octet;
    }

    pub(crate) fn echo(&self) {
        self.state().echo = true;
    }

    /// How often a DI was asked for, of whatever meter.
    pub(crate) fn asked(&self, di: &str) -> usize {
        self.state().asked.get(&di.parse().unwrap()).copied().unwrap_or(0)
    }

    pub(crate) fn switches(&self) -> usize {
        self.state().switches
    }

    /// Silences between an answer and the next request.
    pub(crate) fn gaps(&self) -> Vec<Duration> {
        self.state().gaps.clone()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub(crate) async fn pass_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn unsigned(&self) -> Vec<Pending> {
        self.running.as_ref().unwrap().store().offer(0, 1_000_000).await.unwrap()
    }

    /// Readings of these meters until now.
    pub(crate) async fn read_of(&self, meters: Range<usize>) -> usize {
        let topics: BTreeSet<_> =
            meters.map(|meter| format!("meterd/v1/gw01/meter/m{meter}/data/live")).collect();
        let of = |p: &&Pending| topics.contains(&p.topic);
        self.unsigned().await.iter().filter(of).map(|p| p.body.matches("\"taken_at\"").count()).sum()
    }

    /// Data messages of a meter, oldest first.
    pub(crate) async fn messages(&self, meter: &str) -> Vec<Pending> {
        let topic = format!("meterd/v1/gw01/meter/{meter}/data/live");
        self.unsigned().await.into_iter().filter(|p| p.topic == topic).collect()
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let all = self.unsigned().await.into_iter().filter(|p| !p.topic.contains("/data/"));
        all.map(|p| Event { topic: p.topic, body: p.body }).collect()
    }

    /// When an event of the gateway came.
    pub(crate) async fn times(&self, kind: &str) -> Vec<Timestamp> {
        let at = |e: &Event| {
            let from = e.body.find("\"taken_at\":\"").unwrap() + 12;
            e.body[from..from + 29].parse().unwrap()
        };
        self.events().await.iter().filter(|e| e.topic.ends_with(&format!("event/{kind}"))).map(at).collect()
    }

    /// Facts of the first meter and of the bus. The daemon has ended meanwhile and is started anew.
    pub(crate) async fn facts(&mut self) -> Vec<(String, String)> {
        self.running.take().unwrap().stop().await;
        self.line.take().unwrap().abort();
        let mut writer = Writer::open(self.data.path()).unwrap();
        let mut facts = writer.facts(Scope::Meter("m0")).unwrap();
        facts.extend(writer.facts(Scope::Bus("riser-1")).unwrap());
        drop(writer);
        let (running, supply) = daemon(&self.configuration, self.data.path(), &self.clock);
        (self.running, self.supply) = (Some(running), supply);
        self.plug().await;
        facts.into_iter().map(|fact| (fact.key, fact.value)).collect()
    }

    /// Each published energy is what that very meter sent for it, before it was taken.
    pub(crate) async fn assert_values(&self) {
        let (sent, mut checked) = (self.log.sent(), 0);
        let id = self.running.as_ref().unwrap().store().id().to_owned();
        for pending in self.unsigned().await.iter().filter(|p| p.topic.contains("/data/")) {
            let message = DataMessage::parse(&payload::compose(&id, pending.seq, &pending.body)).unwrap();
            for reading in message.body.readings.iter().filter(|r| r.di == "00010000") {
                let value = reading.value.as_ref().unwrap().to_string();
                let taken_at: Timestamp = reading.taken_at.parse().unwrap();
                let said = |s: &&Sent| s.meter.to_string() == message.body.address && s.at <= taken_at;
                let energies = sent.iter().rev().filter(said).filter_map(energy);
                assert_eq!(energies.take(1).collect::<Vec<_>>(), [value]);
                checked += 1;
            }
        }
        assert!(checked > 100, "{checked}");
    }

    pub(crate) async fn stop(mut self) {
        self.running.take().unwrap().stop().await;
    }
}

fn energy(sent: &Sent) -> Option<String> {
    match &sent.said {
        Said::Data { di, octets } if di.get() == 0x0001_0000 => {
            let digits: String = octets.iter().rev().map(|o| format!("{o:02X}")).collect();
            let (whole, cents) = digits.split_at(6);
            Some(format!("{}.{cents}", whole.parse::<u64>().unwrap()))
        }
        Said::Data { .. }
        | Said::Refused { .. }
        | Said::Registers { .. }
        | Said::Exception { .. }
        | Said::Nothing
        | Said::Other => None,
    }
}

fn daemon(text: &str, data: &std::path::Path, clock: &Clock) -> (Running, mpsc::Sender<MemoryPort>) {
    let (supply, opener) = memory::opener();
    let plan = support::plan(text, data);
    (Daemon::new(plan, clock.clone()).with_line(0, opener).without_broker().start().unwrap(), supply)
}

fn address(meter: usize) -> String {
    format!("{:012}", FIRST + meter)
}

/// Answers at the rate of the line; a meter hears only what is sent at its own.
async fn serve(
    mut wire: MemoryWire,
    mut line: VirtualLine,
    clock: Clock,
    state: Arc<Mutex<State>>,
    rates: BTreeMap<String, u32>,
) {
    let mut rate: Option<Line> = None;
    let mut quiet_since: Option<Duration> = None;
    loop {
        let babble = state.lock().unwrap().babble;
        let request = match babble {
            Some(octet) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if !wire.say(&[octet; 10]).await {
                    return;
                }
                continue;
            }
            None => tokio::select! {
                request = wire.hear() => match request {
                    Some(request) => request,
                    None => return,
                },
                () = tokio::time::sleep(Duration::from_millis(100)) => continue,
            },
        };
        let now = wire.line().unwrap();
        let (to, di) = asked(&request);
        {
            let mut state = state.lock().unwrap();
            state.switches += usize::from(rate.is_some_and(|rate| rate != now));
            if let Some(quiet) = quiet_since {
                state.gaps.push(clock.elapsed() - quiet);
            }
            *state.asked.entry(di).or_default() += 1;
        }
        rate = Some(now);
        tokio::time::sleep(now.octets(request.len())).await;
        if state.lock().unwrap().echo {
            wire.say(&request).await;
        }
        let (silent, refused, delay) = {
            let state = state.lock().unwrap();
            let deaf = rates.get(&to).is_none_or(|rate| *rate != now.baud);
            (deaf || state.silent.contains(&to), state.refused.contains(&di), state.delays.get(&to).copied())
        };
        if silent {
            continue;
        }
        for answer in line.hear(&request, clock.now()) {
            tokio::time::sleep(delay.unwrap_or(answer.after)).await;
            let octets = if refused { refusal(&to) } else { answer.octets };
            // The first octet at its own time, since it is what a reader waits for.
            for part in [&octets[..1], &octets[1..]] {
                tokio::time::sleep(now.octets(part.len())).await;
                if !wire.say(part).await {
                    return;
                }
            }
        }
        quiet_since = Some(clock.elapsed());
    }
}

/// Whom a request is to, and what it asks for.
fn asked(request: &[u8]) -> (String, Di) {
    let mut scanner = Scanner::default();
    scanner.push(request);
    let frame = scanner.next_frame().unwrap();
    let Ok(Request::Read { address, di }) = Request::parse(&frame) else { panic!("only reads are sent") };
    (address.to_string(), di)
}

fn refusal(address: &str) -> Vec<u8> {
    let _: Address = address.parse().unwrap();
    support::frame(address, dlt645::frame::Control::refusal(0x11), &[0x02])
}
