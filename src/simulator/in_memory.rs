//! A virtual line in memory, on tokio's time: real, or paused for tests of days and months.
//!
//! tokio's timers go in milliseconds, so an octet may come up to one late.

use super::line::{Log, Sent};
use super::pair::Pair;
use crate::bus::port::Received;
use crate::bus::port::memory::{self, MemoryOpener, MemoryPort, MemoryWire};
use crate::clock::Clock;
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A stretch of wall time in which nobody on the line can be heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// When it begins.
    pub from: Timestamp,
    /// When it is over.
    pub to: Timestamp,
    /// Whether the port itself is gone, as when it is unplugged; else the cable is cut behind it: silence.
    pub port: bool,
}

impl Outage {
    fn has(&self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// A virtual line that runs as a task of this runtime until its reader is gone.
#[derive(Debug)]
pub struct InMemory {
    log: Log,
    task: JoinHandle<()>,
}

/// Starts a line in memory, and gives what a reader opens it with, as often as it wants; `kept` answers can be
/// asked for by [`InMemory::sent`].
pub fn in_memory(pair: impl Into<Pair>, clock: Clock, kept: usize) -> (MemoryOpener, InMemory) {
    in_memory_with(pair, clock, kept, Vec::new())
}

/// The same with outages, none within another.
pub fn in_memory_with(
    pair: impl Into<Pair>,
    clock: Clock,
    kept: usize,
    outages: Vec<Outage>,
) -> (MemoryOpener, InMemory) {
    let log = Log::keeping(kept);
    let pair = pair.into().logged(log.clone());
    let (supply, opener) = memory::opener();
    let plugged = Plugged { pair, clock, outages };
    (opener, InMemory { log, task: tokio::spawn(plugged.run(supply.clone(), plug_in(&supply))) })
}

/// Supplies a port, for which there is room: the one before it was taken.
fn plug_in(supply: &mpsc::Sender<MemoryPort>) -> MemoryWire {
    let (port, wire) = memory::pair();
    // Where the reader is gone, the wire says so.
    let _ = supply.try_send(port);
    wire
}

impl InMemory {
    /// What its meters sent until now, oldest first, as far as the log goes back.
    pub fn sent(&self) -> Vec<Sent> {
        self.log.sent()
    }

    /// Waits until the reader has dropped what it opened the line with.
    ///
    /// # Errors
    /// The task panicked.
    pub async fn ended(self) -> Result<(), tokio::task::JoinError> {
        self.task.await
    }
}

/// A line and its port.
struct Plugged {
    pair: Pair,
    clock: Clock,
    outages: Vec<Outage>,
}

impl Plugged {
    /// Plugs the line in again whenever its reader closes it.
    async fn run(mut self, supply: mpsc::Sender<MemoryPort>, mut wire: MemoryWire) {
        loop {
            let unplugged = self.carry(wire).await;
            self.pair.cut();
            if let Some(unplugged) = unplugged {
                tokio::time::sleep(unplugged).await;
            }
            while let (Some(gone), _) = self.port_gone() {
                tokio::time::sleep(gone).await;
            }
            if supply.is_closed() {
                return;
            }
            wire = plug_in(&supply);
        }
    }

    /// For how long the port is gone now, and how long it is there still.
    fn port_gone(&self) -> (Option<Duration>, Option<Duration>) {
        let now = self.clock.now();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let ports = || self.outages.iter().filter(|outage| outage.port);
        let gone = ports().find(|outage| outage.has(now)).map(|outage| until(outage.to));
        (gone, ports().filter(|outage| outage.from > now).map(|outage| until(outage.from)).min())
    }

    /// Until the reader closes its port, or the port is unplugged: for how long.
    async fn carry(&mut self, mut wire: MemoryWire) -> Option<Duration> {
        loop {
            let (gone, goes) = self.port_gone();
            if gone.is_some() {
                return gone;
            }
            let goes = goes.map(|goes| self.clock.elapsed() + goes);
            let due = self.pair.due().into_iter().chain(goes).min();
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(self.clock.instant(due)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                heard = wire.hear() => match heard {
                    Some(octets) => {
                        let now = self.clock.now();
                        if self.outages.iter().any(|outage| outage.has(now)) {
                            continue;
                        }
                        let unplugged = self.pair.hear(&octets, self.clock.elapsed(), now, wire.line());
                        if unplugged.is_some() {
                            return unplugged;
                        }
                    }
                    None => return None,
                },
                () = due => {}
            }
            while let Some(piece) = self.pair.deliver(self.clock.elapsed()) {
                let mut received = Received::default();
                for (octet, damaged) in piece {
                    if damaged { received.push_damaged(octet) } else { received.push(&[octet]) }
                }
                wire.say_or_lose(received);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::VirtualLine;
    use super::super::meter::{MeterSettings, VirtualMeter};
    use super::super::wire::Delivery;
    use super::*;
    use crate::bus::port::{Opener, Port};
    use crate::planner::Line;
    use dlt645::Di;
    use dlt645::pdu::Request;
    use jiff::Timestamp;

    fn pair(own: Option<u32>) -> Pair {
        let mut settings = MeterSettings::household("1234".parse().unwrap());
        settings.baud = own;
        Pair::from(VirtualLine::new(vec![VirtualMeter::new(settings, 1)])).at(Line::DEFAULT)
    }

    async fn asked(opener: &mut Opener, rate: Line) -> Port {
        let mut port = opener.open(rate).await.unwrap();
        port.set_line(rate).unwrap();
        let mut request = Vec::new();
        let read = Request::Read { address: "1234".parse().unwrap(), di: Di::new(0x0001_0000) };
        read.emit(4, &mut request);
        port.send(&request).await.unwrap();
        port
    }

    async fn came(port: &mut Port, octets: usize) -> Received {
        let mut received = Received::default();
        while received.octets().len() < octets {
            port.receive(&mut received).await.unwrap();
        }
        received
    }

    /// (20 + 24) characters of 11 bits and 30 ms: 231.7 ms at 2400 baud.
    #[tokio::test(start_paused = true)]
    async fn an_exchange_takes_its_characters_and_the_delay_of_the_meter() {
        for (baud, expected) in [(2400, 231.7), (9600, 80.4), (19_200, 55.2)] {
            let rate = Line { baud, ..Line::DEFAULT };
            let clock = Clock::virtual_at(Timestamp::UNIX_EPOCH);
            let (opener, line) = in_memory(pair(Some(baud)), clock.clone(), 8);
            let mut opener = Opener::Memory(opener);
            let begun = clock.elapsed();
            let mut port = asked(&mut opener, rate).await;
            came(&mut port, 1).await;
            let first = clock.elapsed() - begun;
            assert!(first >= rate.octets(21) + Duration::from_millis(30), "{first:?}");
            came(&mut port, 23).await;
            let took = (clock.elapsed() - begun).as_secs_f64() * 1000.0;
            assert!((expected - 0.1..expected + 1.1).contains(&took), "{baud}: {took} ms");
            let sent = line.sent();
            let since = sent[0].begun.duration_since(Timestamp::UNIX_EPOCH).as_micros();
            assert_eq!(since, (rate.octets(20) + Duration::from_millis(30)).as_micros() as i128);
            drop((port, opener));
            line.ended().await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_meter_understands_its_own_rate_alone() {
        for (own, rate, answers) in
            [(None, 2400, 1), (None, 9600, 0), (Some(9600), 9600, 1), (Some(9600), 2400, 0)]
        {
            let clock = Clock::virtual_at(Timestamp::UNIX_EPOCH);
            let (opener, line) = in_memory(pair(own), clock, 8);
            let mut opener = Opener::Memory(opener);
            let port = asked(&mut opener, Line { baud: rate, ..Line::DEFAULT }).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(line.sent().len(), answers, "{own:?} asked at {rate}");
            drop((port, opener));
            line.ended().await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_cable_is_silence_and_a_port_that_is_gone_cannot_be_opened() {
        for port in [false, true] {
            let clock = Clock::virtual_at(Timestamp::UNIX_EPOCH);
            let at = |second| Timestamp::from_second(second).unwrap();
            let outages = vec![Outage { from: at(10), to: at(20), port }];
            let (opener, line) = in_memory_with(pair(None), clock, 8, outages);
            let mut opener = Opener::Memory(opener);
            let mut first = asked(&mut opener, Line::DEFAULT).await;
            came(&mut first, 24).await;
            tokio::time::sleep(Duration::from_secs(11)).await;
            let mut none = Received::default();
            let heard = tokio::time::timeout(Duration::from_millis(1), first.receive(&mut none)).await;
            assert_eq!(heard.is_ok_and(|heard| heard.is_err()), port, "gone, or silent");
            drop(first);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(opener.open(Line::DEFAULT).await.is_err(), port);
            tokio::time::sleep(Duration::from_secs(9)).await;
            let mut second = asked(&mut opener, Line::DEFAULT).await;
            came(&mut second, 24).await;
            drop((second, opener));
            line.ended().await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_was_closed_can_be_opened_again() {
        let clock = Clock::virtual_at(Timestamp::UNIX_EPOCH);
        let (opener, line) = in_memory(pair(None).delivered(Delivery::Whole), clock, 8);
        let mut opener = Opener::Memory(opener);
        for _ in 0..3 {
            let mut port = asked(&mut opener, Line::DEFAULT).await;
            assert_eq!(came(&mut port, 24).await.octets()[..5], [0xFE, 0xFE, 0xFE, 0xFE, 0x68]);
            drop(port);
            // The line notices on its own task.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(opener);
        line.ended().await.unwrap();
    }
}
