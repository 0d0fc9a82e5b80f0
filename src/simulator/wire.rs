//! The pair of wires (总线) between the meters and the port: what is said, octet by octet, each at its time.
//!
//! Pure: the time is an argument. Where it has a rate, a character takes its bits, the request stands on the
//! wire as an answer does, and answers that meet are garbled where they meet, both of them. What meets a request
//! is lost to the reader, whose receiver is off while it sends, and garbles the request for the meters. Where
//! it has no rate, octets take no time: answers come whole, one after the other, and none meets another.

use super::load::mix;
use std::collections::VecDeque;
use std::time::Duration;

/// Octets under way at most. When it is full, what is said on top of it is lost, as on a jammed line.
const BOUND: usize = 65_536;
/// A pause after which a serial server hands over what it has (打包间隔, 10 to 50 ms as delivered).
const PACKING: Duration = Duration::from_millis(20);
/// What a serial server hands over at most in one go.
const PACKET: usize = 1024;

/// How octets are handed to the reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// An answer in one piece once its last octet is there, as serial servers do.
    Whole,
    /// So many octets at a time; 1 for octet by octet.
    Pieces(usize),
}

/// One octet on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Octet {
    /// Its eight bits.
    pub octet: u8,
    /// The receiver sees that it is damaged (parity, framing).
    pub damaged: bool,
    /// Silence before it, beyond the stop bit of the octet before.
    pub pause: Duration,
}

impl Octet {
    /// A sound octet right behind the one before.
    pub(super) const fn of(octet: u8) -> Self {
        Self { octet, damaged: false, pause: Duration::ZERO }
    }
}

#[derive(Debug)]
struct UnderWay {
    /// When it is handed over: with the last octet of its piece.
    due: Duration,
    /// When its stop bit ends.
    ends: Duration,
    transmission: u64,
    octet: u8,
    damaged: bool,
}

/// Octets under way, the next first. Times are since an origin of the caller's.
#[derive(Debug)]
pub(super) struct Wire {
    /// Air time of an octet; zero for a wire without a rate.
    character: Duration,
    delivery: Delivery,
    request_ends: Duration,
    /// When the last octet under way ends.
    busy_until: Duration,
    /// When the last octet that was handed over ended.
    delivered_until: Duration,
    under_way: VecDeque<UnderWay>,
    transmissions: u64,
}

impl Wire {
    /// A wire without a rate.
    pub(super) fn new() -> Self {
        Self {
            character: Duration::ZERO,
            delivery: Delivery::Whole,
            request_ends: Duration::ZERO,
            busy_until: Duration::ZERO,
            delivered_until: Duration::ZERO,
            under_way: VecDeque::new(),
            transmissions: 0,
        }
    }

    /// Air time of an octet from now on.
    pub(super) fn set_character(&mut self, character: Duration) {
        self.character = character;
    }

    pub(super) const fn character(&self) -> Duration {
        self.character
    }

    pub(super) fn set_delivery(&mut self, delivery: Delivery) {
        self.delivery = delivery;
    }

    /// How long nobody will have spoken when the reader, who writes at `now`, begins; `None` of a wire without a rate.
    pub(super) fn silence(&self, now: Duration) -> Option<Duration> {
        if self.character.is_zero() {
            return None;
        }
        let begins = now.max(self.request_ends);
        let begun = self.under_way.iter().filter(|other| other.ends.saturating_sub(self.character) < begins);
        let last = begun.map(|other| other.ends).chain([self.delivered_until, self.request_ends]).max();
        // What nobody has spoken on yet was silent for ever.
        let last = last.filter(|last| !last.is_zero());
        Some(last.map_or(Duration::from_secs(3600), |last| begins.saturating_sub(last)))
    }

    /// The reader writes a request, or a piece of one, at `now`: what the meters hear of it, and when its first
    /// octet begins and its last has left the wire.
    pub(super) fn request(&mut self, octets: &[u8], now: Duration) -> (Vec<u8>, Duration, Duration) {
        let begins = if self.character.is_zero() { now } else { now.max(self.request_ends) };
        let mut at = begins;
        let mut heard = octets.to_vec();
        for octet in &mut heard {
            let (from, to) = (at, at + self.character);
            if self.meets(from, to) {
                *octet = garbled(*octet, from);
                let character = self.character;
                self.under_way
                    .retain(|other| other.ends <= from || other.ends.saturating_sub(character) >= to);
            }
            at = to;
        }
        self.request_ends = at;
        (heard, begins, at)
    }

    /// Somebody speaks from `begins` on.
    pub(super) fn say(&mut self, octets: &[Octet], begins: Duration) {
        self.transmissions += 1;
        let mut at = begins;
        let mut said: Vec<UnderWay> = Vec::with_capacity(octets.len());
        for &Octet { octet, damaged, pause } in octets {
            let (from, to) = (at + pause, at + pause + self.character);
            at = to;
            let (octet, marred) =
                if self.meets(from, to) { (garbled(octet, from), true) } else { (octet, false) };
            let transmission = self.transmissions;
            said.push(UnderWay { due: to, ends: to, transmission, octet, damaged: damaged | marred });
        }
        self.pack(&mut said, octets);
        self.busy_until = self.busy_until.max(at);
        for one in said {
            if self.under_way.len() == BOUND {
                return;
            }
            let place = self.under_way.partition_point(|other| other.due <= one.due);
            self.under_way.insert(place, one);
        }
    }

    /// Sets when each octet is handed over.
    fn pack(&self, said: &mut [UnderWay], octets: &[Octet]) {
        let most = match self.delivery {
            Delivery::Whole => PACKET,
            Delivery::Pieces(most) => most.max(1),
        };
        let mut from = 0;
        for at in 0..said.len() {
            let before_a_pause = octets.get(at + 1).is_some_and(|next| next.pause >= PACKING);
            if at + 1 == from + most || at + 1 == said.len() || before_a_pause {
                let due = said[at].ends;
                said[from..=at].iter_mut().for_each(|one| one.due = due);
                from = at + 1;
            }
        }
    }

    /// Whether an octet in `from..to` meets others; they are garbled if so.
    fn meets(&mut self, from: Duration, to: Duration) -> bool {
        if self.character.is_zero() || from >= self.busy_until {
            return false;
        }
        let mut met = false;
        for other in &mut self.under_way {
            let other_from = other.ends.saturating_sub(self.character);
            if other_from < to && from < other.ends {
                (other.octet, other.damaged) = (garbled(other.octet, other_from), true);
                met = true;
            }
        }
        met
    }

    /// When to call [`Wire::deliver`]; `None` while nothing is under way.
    pub(super) fn due(&self) -> Option<Duration> {
        self.under_way.front().map(|next| next.due)
    }

    /// The next piece that is due at `now`: octets, and whether each is seen to be damaged.
    pub(super) fn deliver(&mut self, now: Duration) -> Option<Vec<(u8, bool)>> {
        let &UnderWay { due, transmission, .. } = self.under_way.front()?;
        if due > now {
            return None;
        }
        let mut piece = Vec::new();
        while let Some(next) = self.under_way.front() {
            if next.due != due || next.transmission != transmission {
                break;
            }
            piece.push((next.octet, next.damaged));
            self.delivered_until = self.delivered_until.max(next.ends);
            self.under_way.pop_front();
        }
        Some(piece)
    }

    /// The line is cut: what is under way is lost.
    pub(super) fn clear(&mut self) {
        self.under_way.clear();
    }
}

/// What two drivers at once make of an octet: other bits, and no sound character.
fn garbled(octet: u8, at: Duration) -> u8 {
    octet ^ (mix(u64::from(octet), at.as_nanos() as u64, 0x0C01_11DE) % 255 + 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn octets(octets: &[u8]) -> Vec<Octet> {
        octets.iter().copied().map(Octet::of).collect()
    }

    fn taken(wire: &mut Wire) -> Vec<(u64, Vec<u8>)> {
        let next = || {
            let due = wire.due()?;
            Some((due.as_millis() as u64, wire.deliver(due)?.into_iter().map(|(octet, _)| octet).collect()))
        };
        std::iter::from_fn(next).collect()
    }

    fn paced(delivery: Delivery) -> Wire {
        let mut wire = Wire::new();
        wire.set_character(ms(5));
        wire.set_delivery(delivery);
        wire
    }

    #[test]
    fn without_a_rate_answers_are_delivered_whole_and_in_the_order_of_their_time() {
        let mut wire = Wire::new();
        assert_eq!(wire.due(), None);
        assert_eq!(wire.request(&[9], ms(100)), (vec![9], ms(100), ms(100)));
        for (octet, at) in [(1, 150), (2, 120), (3, 150)] {
            wire.say(&octets(&[octet; 3]), ms(at));
        }
        assert_eq!(wire.due(), Some(ms(120)));
        assert_eq!(wire.deliver(ms(119)), None);
        assert_eq!(taken(&mut wire), [(120, vec![2; 3]), (150, vec![1; 3]), (150, vec![3; 3])]);
        assert_eq!(wire.deliver(ms(200)), None);
    }

    #[test]
    fn each_character_arrives_when_its_stop_bit_has_ended() {
        let mut wire = paced(Delivery::Pieces(1));
        assert_eq!(wire.request(&[1, 2, 3, 4], ms(100)), (vec![1, 2, 3, 4], ms(100), ms(120)));
        // Written while the first piece is still on the wire.
        assert_eq!(wire.request(&[5], ms(101)), (vec![5], ms(120), ms(125)));
        wire.say(&octets(&[7, 8, 9]), ms(155));
        assert_eq!(taken(&mut wire), [(160, vec![7]), (165, vec![8]), (170, vec![9])]);
    }

    #[test]
    fn a_serial_server_hands_over_pieces_and_a_pause_ends_one() {
        let mut answer = octets(&[1, 2, 3, 4, 5, 6, 7]);
        answer[5].pause = ms(1000);
        for (delivery, pieces) in [
            (Delivery::Whole, vec![(25, vec![1, 2, 3, 4, 5]), (1035, vec![6, 7])]),
            (Delivery::Pieces(3), vec![(15, vec![1, 2, 3]), (25, vec![4, 5]), (1035, vec![6, 7])]),
        ] {
            let mut wire = paced(delivery);
            wire.say(&answer, ms(0));
            assert_eq!(taken(&mut wire), pieces, "{delivery:?}");
        }
    }

    #[test]
    fn answers_that_meet_are_both_garbled_where_they_meet_and_nowhere_else() {
        let mut wire = paced(Delivery::Pieces(1));
        wire.say(&octets(&[0x11; 4]), ms(0));
        wire.say(&octets(&[0x22; 4]), ms(12));
        let came: Vec<(u8, bool)> = std::iter::from_fn(|| wire.deliver(ms(100))).flatten().collect();
        assert_eq!((came.len(), came.iter().filter(|(_, damaged)| *damaged).count()), (8, 4));
        let sound: Vec<u8> =
            came.into_iter().filter(|(_, damaged)| !damaged).map(|(octet, _)| octet).collect();
        assert_eq!(sound, [0x11, 0x11, 0x22, 0x22]);
    }

    #[test]
    fn a_request_into_an_answer_is_heard_by_nobody_and_hides_the_rest_of_the_answer() {
        let mut wire = paced(Delivery::Whole);
        wire.say(&octets(&[0x11; 4]), ms(10));
        let (heard, ..) = wire.request(&[0x68; 4], ms(20));
        assert_ne!(heard[..2], [0x68; 2]);
        assert_eq!(heard[2..], [0x68; 2]);
        assert_eq!(taken(&mut wire), [(30, vec![0x11; 2])]);
    }

    #[test]
    fn a_jammed_line_loses_answers_and_grows_no_further() {
        let mut wire = Wire::new();
        for _ in 0..10 {
            wire.say(&octets(&[0x16; 10_000]), ms(1));
        }
        assert_eq!(wire.under_way.len(), BOUND);
    }
}
