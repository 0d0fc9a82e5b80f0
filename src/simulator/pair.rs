//! Meters on a pair of wires (总线): what a reader writes goes in, what it receives comes out, each at its time.
//!
//! Pure: octets and times go in, octets with their times come out. A port carries them in real time or on
//! virtual time.

use super::fault::{Begins, Injection, Injector, Tally};
use super::line::{Log, Sent, VirtualLine};
use super::modbus::Silence;
use super::wire::{Delivery, Wire};
use crate::planner::Line;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A virtual line and the wires that it speaks on.
#[derive(Debug)]
pub struct Pair {
    line: VirtualLine,
    rate: Option<Line>,
    injector: Injector,
    wire: Wire,
}

impl From<VirtualLine> for Pair {
    /// Wires without a rate: octets take no time, answers come whole.
    fn from(line: VirtualLine) -> Self {
        Self { line, rate: None, injector: Injector::new(&[], 0, false), wire: Wire::new() }
    }
}

impl Pair {
    /// Wires of this rate: every character takes its bits, answers that meet are garbled, and what arrives is
    /// handed over octet by octet. Where the port tells the reader's rate, that one counts: a meter that has
    /// another does not understand it.
    #[must_use]
    pub fn at(mut self, rate: Line) -> Self {
        self.rate = Some(rate);
        self.wire.set_character(rate.octets(1));
        self.delivered(Delivery::Pieces(1))
    }

    /// Hands over what arrives in this way.
    #[must_use]
    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.wire.set_delivery(delivery);
        self
    }

    /// With these faults, by seed. With `checked` the receiver sees which octets have a wrong parity; a port that
    /// cannot tell hands them over like any other.
    #[must_use]
    pub fn with_faults(mut self, injections: &[Injection], seed: u64, checked: bool) -> Self {
        self.injector = Injector::new(injections, seed, checked);
        self
    }

    /// Keeps what the meters send in `log`, which its caller shares.
    #[must_use]
    pub fn logged(mut self, log: Log) -> Self {
        self.line = self.line.logged(log);
        self
    }

    /// Whether characters take time.
    pub const fn is_paced(&self) -> bool {
        self.rate.is_some()
    }

    /// What the meters sent until now, as far as the log goes back.
    pub fn sent(&self) -> Vec<Sent> {
        self.line.sent()
    }

    /// What happened until now; it goes on counting.
    pub fn tally(&self) -> Tally {
        self.injector.tally()
    }

    /// The reader writes at `now`, which is `wall` by the clock: a request, or a piece of one. `told` is the
    /// reader's rate where its port tells it. If the port is to be unplugged at once, for how long.
    #[must_use]
    pub fn hear(
        &mut self,
        octets: &[u8],
        now: Duration,
        wall: Timestamp,
        told: Option<Line>,
    ) -> Option<Duration> {
        if let (Some(_), Some(told)) = (self.rate, told) {
            self.wire.set_character(told.octets(1));
        }
        let silence = match self.wire.silence(now) {
            None => Silence::Untold,
            // Three and a half characters (Modbus over serial line 1.02, section 2.5.1.1).
            Some(silence) if silence >= self.wire.character() * 7 / 2 => Silence::Long,
            Some(_) => Silence::Short,
        };
        let (heard, begins, ends) = self.wire.request(octets, now);
        // The meters have heard it when its last octet has left the wire.
        let under_way = SignedDuration::try_from(ends - now).unwrap_or(SignedDuration::ZERO);
        let heard_at = wall.saturating_add(under_way).unwrap_or(wall);
        // A meter without a rate of its own has that of the line.
        let usual = self.rate.map(|rate| rate.baud);
        let understands =
            |own: Option<u32>| told.is_none_or(|told| own.or(usual).is_none_or(|own| own == told.baud));
        let character = self.wire.character();
        self.line.set_character(character);
        let spoken = self.line.spoken(&heard, silence, heard_at, understands);
        let brought = self.injector.bring((&heard, silence), spoken, &self.line, heard_at, character);
        for utterance in brought.utterances {
            for (_, sent) in utterance.sent {
                self.line.note(sent);
            }
            let from = match utterance.begins {
                Begins::WithRequest => begins,
                Begins::After(after) => ends + after,
            };
            self.wire.say(&utterance.octets, from);
        }
        brought.unplugged
    }

    /// Whether a Modbus meter of the line has this unit.
    pub(super) fn has_unit(&self, unit: u8) -> bool {
        self.line.modbus().iter().any(|meter| meter.settings().unit.get() == unit)
    }

    /// A gateway asks Modbus meters on wires of its own, which take no time: the frames that come back sound, each so
    /// long after the request, and for how long the port is to be unplugged, if it is.
    pub(super) fn ask(
        &mut self,
        request: &[u8],
        wall: Timestamp,
    ) -> (Vec<(Duration, Vec<u8>)>, Option<Duration>) {
        let silence = Silence::Long;
        let spoken = self.line.spoken(request, silence, wall, |_| true);
        let brought = self.injector.bring((request, silence), spoken, &self.line, wall, Duration::ZERO);
        let mut frames = Vec::new();
        for utterance in brought.utterances {
            for (first, sent) in utterance.sent {
                let came = utterance.octets.get(first..first + sent.frame.len()).unwrap_or_default();
                if came.iter().map(|one| one.octet).eq(sent.frame.iter().copied()) {
                    let after = Duration::try_from(sent.ended.duration_since(wall)).unwrap_or_default();
                    frames.push((after, sent.frame.clone()));
                }
                self.line.note(sent);
            }
        }
        (frames, brought.unplugged)
    }

    /// When to call [`Pair::deliver`]; `None` while nothing is under way.
    pub fn due(&self) -> Option<Duration> {
        self.wire.due()
    }

    /// The next piece that the reader has at `now`: octets, and whether the receiver sees that each is damaged.
    pub fn deliver(&mut self, now: Duration) -> Option<Vec<(u8, bool)>> {
        self.wire.deliver(now)
    }

    /// The reader is gone, and what was under way to it is lost.
    pub(super) fn cut(&mut self) {
        self.wire.clear();
    }
}
