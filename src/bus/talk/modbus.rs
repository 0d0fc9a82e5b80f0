//! Questions to Modbus meters, on a line that may have meters of DL/T 645 too.
//!
//! tokio-modbus makes the request and reads the answer, at one end of a pipe in memory. The port stays with this task:
//! what comes is looked at first, and only the frame that answers the question goes into the pipe. tokio-modbus by
//! itself fails on a stray frame, has no deadline, and takes a late answer for that of the next question.

use super::{Answer, Asked, NoReply, Patience, Talk};
use crate::bus::exchange::{Noted, Passed};
use crate::bus::port::{Piece, PortError, Received};
use crate::config::Protocol;
use crate::reading::Reason;
use dlt645::Address;
use modbus::exchange::{Event, Exchange, NoAnswer, Outcome, Timing, Transport};
use modbus::{Exception, Function, Span, UnitId};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_modbus::client::{Context, Reader, rtu, tcp};
use tokio_modbus::slave::Slave;

/// The longest that a meter takes for an answer, late as it may be. An answer does not say which registers it has, so
/// that one which was not waited for must not be there when the same meter is asked for others.
const LATEST: Duration = Duration::from_secs(4);
/// A frame of Modbus has 256 octets at most, over TCP 260.
const PIPE: usize = 512;
/// Octets of a request on a serial line.
const REQUEST: u32 = 8;
/// What a meter that is busy is given before it is asked again.
const BUSY: Duration = Duration::from_millis(200);

/// A question of which an answer may still come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Open {
    span: Span,
    /// By then the answer is there or will not come.
    until: Duration,
}

/// One try of a question.
struct Once {
    outcome: Outcome,
    noted: Noted,
    /// When the request was out on the wire.
    sent: Duration,
}

/// What the pipe carries in both directions, as tokio-modbus reads it.
struct Pipe {
    ours: DuplexStream,
    context: Context,
}

impl Pipe {
    fn new(protocol: Protocol, unit: UnitId) -> Self {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let slave = Slave(unit.get());
        let context = match protocol {
            Protocol::ModbusTcp(_) => tcp::attach_slave(theirs, slave),
            Protocol::ModbusRtu(_) | Protocol::Dlt645_1997(_) | Protocol::Dlt645_2007(_) => {
                rtu::attach_slave(theirs, slave)
            }
        };
        Self { ours, context }
    }
}

impl Talk {
    /// Asks a Modbus meter for registers, again if no answer came or it is busy.
    pub(super) async fn ask_registers(
        &mut self,
        unit: UnitId,
        span: Span,
        asked: Asked,
        patience: Patience,
    ) -> Result<Answer, NoReply> {
        let mut tries = 0;
        let mut asked_before = None;
        loop {
            tries += 1;
            let first_octet = if tries == 1 { patience.first_octet } else { patience.again };
            self.outwait(unit, span).await;
            let Once { outcome, noted, sent } =
                self.once_registers(unit, span, asked, (first_octet, patience.turnaround)).await?;
            let no_answer = match outcome {
                Outcome::Registers { words, first_octet } => {
                    let delay =
                        first_octet.checked_sub(sent).or_else(|| first_octet.checked_sub(asked_before?));
                    return Ok(Answer {
                        from: Address::ANY,
                        octets: words.iter().flat_map(|word| word.to_be_bytes()).collect(),
                        taken_at: self.wall(first_octet),
                        delay: delay.unwrap_or_default(),
                        tries,
                        noted,
                    });
                }
                Outcome::Refused(exception) => {
                    if exception.is_busy() && tries <= patience.retries {
                        tokio::time::sleep(BUSY).await;
                        continue;
                    }
                    return Err(refused(exception, tries, noted));
                }
                Outcome::Failed(no_answer) => no_answer,
            };
            tracing::debug!(%tries, %unit, %span, ?no_answer, ?noted, "no answer");
            if matches!(asked.protocol, Protocol::ModbusTcp(_)) {
                // What comes late comes on a connection that nobody listens to any more.
                self.close();
            } else {
                // Also where a second try is answered: which of the two it was that came, nobody knows.
                self.open.insert(unit, Open { span, until: sent + LATEST });
            }
            if tries > patience.retries {
                let said = self.say_of(no_answer, &noted, tries);
                return Err(NoReply { tries, noted, ..said });
            }
            asked_before = Some(sent);
        }
    }

    /// Waits until no answer to another question can come from this meter any more.
    async fn outwait(&mut self, unit: UnitId, span: Span) {
        let now = self.clock.elapsed();
        self.open.retain(|_, open| open.until > now);
        if let Some(open) = self.open.get(&unit).filter(|open| open.span != span) {
            tokio::time::sleep_until(self.clock.instant(open.until)).await;
        }
    }

    async fn once_registers(
        &mut self,
        unit: UnitId,
        span: Span,
        asked: Asked,
        (first_octet, turnaround): (Duration, Duration),
    ) -> Result<Once, NoReply> {
        let pause = turnaround.max(self.gap(asked));
        self.ready_anew(asked.line, pause).await?;
        self.noted = Noted::default();
        let mut noted = Noted::default();
        let result = self.exchange_registers(unit, span, asked, first_octet, &mut noted).await;
        self.quiet_since = self.clock.elapsed();
        match result {
            Ok((outcome, sent)) => Ok(Once { outcome, noted, sent }),
            Err(e) => Err(self.lost(&e)),
        }
    }

    /// The silence of 3.5 characters that parts two frames (Modbus over serial line 1.02, section 2.5.1.1); 1.75 ms above
    /// 19200 Bd.
    fn gap(&self, asked: Asked) -> Duration {
        match asked.protocol {
            Protocol::ModbusTcp(_) => Duration::ZERO,
            Protocol::ModbusRtu(_) | Protocol::Dlt645_1997(_) | Protocol::Dlt645_2007(_) => {
                crate::planner::frame_gap(asked.line)
            }
        }
    }

    async fn exchange_registers(
        &mut self,
        unit: UnitId,
        span: Span,
        asked: Asked,
        first_octet: Duration,
        noted: &mut Noted,
    ) -> Result<(Outcome, Duration), PortError> {
        let Some(port) = self.port.as_mut() else { return Err(PortError::Gone) };
        let octet = match asked.protocol {
            Protocol::ModbusTcp(_) => Duration::ZERO,
            Protocol::ModbusRtu(_) | Protocol::Dlt645_1997(_) | Protocol::Dlt645_2007(_) => {
                asked.line.octets(1)
            }
        };
        let earliest = if port.has_rate() { octet * REQUEST } else { Duration::ZERO };
        let slack = port.latency();
        let timing = Timing { octet, first_octet: first_octet + slack, slack, earliest };
        let Pipe { mut ours, mut context } = Pipe::new(asked.protocol, unit);
        let answer = async {
            match span.function {
                Function::Holding => context.read_holding_registers(span.address, span.count).await,
                Function::Input => context.read_input_registers(span.address, span.count).await,
            }
        };
        tokio::pin!(answer);
        let mut request = [0; PIPE];
        // The first that the pipe does is to write the request.
        let length = tokio::select! {
            biased;
            length = ours.read(&mut request) => length?,
            _ = &mut answer => return Err(PortError::Gone),
        };
        let request = request.get(..length).unwrap_or_default();
        let transport = match (asked.protocol, request) {
            (Protocol::ModbusTcp(_), [high, low, ..]) => {
                Transport::Tcp { transaction: u16::from_be_bytes([*high, *low]) }
            }
            (_, _) => Transport::Rtu,
        };
        if let Some(tap) = &mut self.tap {
            tap(Passed::Sent(request));
        }
        let now = self.clock.elapsed();
        let sent = now + octet * u32::try_from(length).unwrap_or(u32::MAX);
        let mut exchange = Exchange::new(modbus::exchange::Request { unit, span }, transport, timing, now);
        port.send(request).await?;
        let mut received = Received::default();
        let outcome = loop {
            let done = std::iter::from_fn(|| exchange.poll_event()).find_map(|event| note(noted, event));
            if let Some(outcome) = done {
                break outcome;
            }
            let deadline = exchange.poll_timeout().unwrap_or_default();
            received.clear();
            tokio::select! {
                biased;
                came = port.receive(&mut received) => {
                    came?;
                    let now = self.clock.elapsed();
                    noted.came(&received, now, &mut self.tap, |piece| match piece {
                        Piece::Good(octets) => exchange.handle_bytes(now, octets),
                        Piece::Damaged(octet) => exchange.handle_damaged(now, octet),
                    });
                    if now >= deadline {
                        exchange.handle_timeout(now);
                    }
                }
                () = tokio::time::sleep_until(self.clock.instant(deadline)) => {
                    exchange.handle_timeout(self.clock.elapsed());
                }
            }
        };
        let Some(frame) = exchange.accepted() else { return Ok((outcome, sent)) };
        ours.write_all(frame).await?;
        let agreed = match (answer.await, &outcome) {
            (Ok(Ok(read)), Outcome::Registers { words, .. }) => read == *words,
            (Ok(Err(_)), Outcome::Refused(_)) => true,
            (Ok(_) | Err(_), _) => false,
        };
        if agreed {
            return Ok((outcome, sent));
        }
        tracing::error!(?outcome, "tokio-modbus reads an answer otherwise: it is not believed");
        Ok((Outcome::Failed(NoAnswer::Stray), sent))
    }

    fn say_of(&self, no_answer: NoAnswer, noted: &Noted, tries: u32) -> NoReply {
        use dlt645::exchange::Failure;
        let as_others = match no_answer {
            NoAnswer::Silent => Failure::Silent,
            NoAnswer::Stray => Failure::Stray,
            NoAnswer::Damaged { octets, never_a_frame } => Failure::Damaged { octets, never_a_frame },
        };
        self.say(as_others, noted, tries)
    }
}

fn refused(exception: Exception, tries: u32, noted: Noted) -> NoReply {
    // The gateway between says that the meter behind it is silent.
    let reason = if exception == Exception::GatewayTarget { Reason::Silent } else { Reason::Refused };
    NoReply { exception: Some(exception), tries, noted, ..NoReply::of(reason, exception.to_string()) }
}

/// Takes what an exchange tells; its outcome is given back.
fn note(noted: &mut Noted, event: Event) -> Option<Outcome> {
    match event {
        Event::Stray => noted.strays += 1,
        Event::Echo => noted.echoed = true,
        Event::Noise(octets) => noted.noise += octets,
        Event::Damaged => noted.damaged += 1,
        Event::Done(outcome) => return Some(outcome),
    }
    None
}
