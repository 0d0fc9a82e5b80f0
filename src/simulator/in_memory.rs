//! A virtual line in memory, on tokio's time: real, or paused for tests of days and months.
//!
//! tokio's timers go in milliseconds, so an octet may come up to one late.

use super::line::{Log, Sent};
use super::pair::Pair;
use crate::bus::port::Received;
use crate::bus::port::memory::{self, MemoryOpener, MemoryPort, MemoryWire};
use crate::clock::Clock;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A virtual line that runs as a task of this runtime until its reader is gone.
#[derive(Debug)]
pub struct InMemory {
    log: Log,
    task: JoinHandle<()>,
}

/// Starts a line in memory, and gives what a reader opens it with, as often as it wants; `kept` answers can be
/// asked for by [`InMemory::sent`].
pub fn in_memory(pair: impl Into<Pair>, clock: Clock, kept: usize) -> (MemoryOpener, InMemory) {
    let log = Log::keeping(kept);
    let pair = pair.into().logged(log.clone());
    let (supply, opener) = memory::opener();
    let (port, wire) = memory::pair();
    // There is room for the first port; it is plugged in before anybody can look for it.
    let _ = supply.try_send(port);
    (opener, InMemory { log, task: tokio::spawn(plugged(pair, wire, supply, clock)) })
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

/// Plugs the line in again whenever its reader closes it.
async fn plugged(mut pair: Pair, mut wire: MemoryWire, supply: mpsc::Sender<MemoryPort>, clock: Clock) {
    loop {
        let unplugged = carry(&mut pair, wire, &clock).await;
        pair.cut();
        if let Some(unplugged) = unplugged {
            tokio::time::sleep(unplugged).await;
        }
        let (port, next) = memory::pair();
        if supply.send(port).await.is_err() {
            return;
        }
        wire = next;
    }
}

/// Until the reader closes its port, or the port is unplugged: for how long.
async fn carry(pair: &mut Pair, mut wire: MemoryWire, clock: &Clock) -> Option<Duration> {
    loop {
        let due = pair.due();
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(clock.instant(due)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            heard = wire.hear() => match heard {
                Some(octets) => {
                    let unplugged = pair.hear(&octets, clock.elapsed(), clock.now(), wire.line());
                    if unplugged.is_some() {
                        return unplugged;
                    }
                }
                None => return None,
            },
            () = due => {}
        }
        while let Some(piece) = pair.deliver(clock.elapsed()) {
            let mut received = Received::default();
            for (octet, damaged) in piece {
                if damaged { received.push_damaged(octet) } else { received.push(&[octet]) }
            }
            wire.say_or_lose(received);
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
