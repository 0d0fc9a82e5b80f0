//! What is on its way to the broker on one connection, oldest first. Pure; time is an argument.
//!
//! The library tells only packet ids: first that the next packet left under an id, later that the
//! broker signed for an id. The window is the one place that knows which message that was. Its size
//! counts from the oldest unsigned packet on, so that no packet id is in use twice however the broker
//! orders its receipts.

use std::collections::VecDeque;
use std::time::Duration;

/// What a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cargo {
    /// A message of the store, by its number.
    Message(u64),
    /// The gateway's status.
    Status,
    /// A message that is not in the store.
    Direct,
}

/// The library sent a packet that was not handed to it, or the broker signed for one that was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("packet id {0} belongs to no message of this connection")]
pub(super) struct Unknown(pub(super) u16);

/// Packets in order from the oldest unsigned one.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    slots: VecDeque<Slot>,
    /// How many of them, from the front, have left.
    sent: usize,
    /// Since when the front one is the front one.
    front_since: Duration,
}

#[derive(Debug)]
struct Slot {
    cargo: Cargo,
    /// 0 until it has left: no packet has id 0 at QoS 1.
    pkid: u16,
    signed: bool,
}

impl Window {
    /// An empty window of `limit` packets, at least one.
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self { limit, slots: VecDeque::with_capacity(limit), sent: 0, front_since: Duration::ZERO }
    }

    /// How many more packets may be handed to the library.
    pub(super) fn room(&self) -> usize {
        self.limit - self.slots.len()
    }

    /// True if nothing is without its receipt.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many packets are on their way.
    pub(super) fn len(&self) -> usize {
        self.slots.iter().filter(|slot| !slot.signed).count()
    }

    /// A packet was handed to the library.
    pub(super) fn queued(&mut self, cargo: Cargo, now: Duration) {
        if self.slots.is_empty() {
            self.front_since = now;
        }
        self.slots.push_back(Slot { cargo, pkid: 0, signed: false });
    }

    /// The oldest packet that had not left has left, under this id.
    pub(super) fn sent(&mut self, pkid: u16) -> Result<(), Unknown> {
        let slot = self.slots.get_mut(self.sent).ok_or(Unknown(pkid))?;
        slot.pkid = pkid;
        self.sent += 1;
        Ok(())
    }

    /// The oldest packet that had not left has left, and nobody will sign for it (QoS 0).
    pub(super) fn left(&mut self, now: Duration) -> Result<(), Unknown> {
        let slot = self.slots.get_mut(self.sent).ok_or(Unknown(0))?;
        slot.signed = true;
        self.sent += 1;
        self.advance(now);
        Ok(())
    }

    /// The broker answered for this id; what it was.
    pub(super) fn signed(&mut self, pkid: u16, now: Duration) -> Result<Cargo, Unknown> {
        let mut left = self.slots.iter_mut().take(self.sent);
        let slot = left.find(|slot| slot.pkid == pkid && !slot.signed).ok_or(Unknown(pkid))?;
        slot.signed = true;
        let cargo = slot.cargo;
        self.advance(now);
        Ok(cargo)
    }

    fn advance(&mut self, now: Duration) {
        while self.slots.front().is_some_and(|slot| slot.signed) {
            self.slots.pop_front();
            self.sent -= 1;
            self.front_since = now;
        }
    }

    /// When the oldest packet will have been the oldest for `deadline`. A slow line moves the front at
    /// every receipt; a broker that never signs, or leaves one packet out, does not.
    pub(super) fn overdue_at(&self, deadline: Duration) -> Option<Duration> {
        (!self.slots.is_empty()).then_some(self.front_since + deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::Cargo::{Direct, Message, Status};
    use super::*;
    use proptest::prelude::*;

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn receipt_is_credited_to_the_message_that_left_under_its_id() {
        let mut window = Window::new(3);
        window.queued(Status, at(0));
        window.queued(Message(7), at(0));
        window.queued(Message(9), at(0));
        for pkid in [1, 2, 3] {
            window.sent(pkid).unwrap();
        }
        assert_eq!(window.signed(3, at(1)), Ok(Message(9)));
        assert_eq!(window.signed(1, at(1)), Ok(Status));
        assert_eq!(window.signed(2, at(1)), Ok(Message(7)));
        assert!(window.is_empty());
    }

    #[test]
    fn receipt_for_an_unknown_id_or_a_second_one_is_nobodys() {
        let mut window = Window::new(4);
        assert_eq!(window.signed(1, at(0)), Err(Unknown(1)));
        assert_eq!(window.sent(1), Err(Unknown(1)));
        window.queued(Message(1), at(0));
        window.queued(Message(2), at(0));
        // Queued is not sent: nobody can have signed for it.
        assert_eq!(window.signed(0, at(0)), Err(Unknown(0)));
        window.sent(1).unwrap();
        window.sent(2).unwrap();
        assert_eq!(window.signed(2, at(0)), Ok(Message(2)));
        assert_eq!(window.signed(2, at(0)), Err(Unknown(2)));
        assert_eq!(window.sent(3), Err(Unknown(3)));
    }

    #[test]
    fn window_counts_from_the_oldest_unsigned_packet_so_that_no_id_is_used_twice() {
        let mut window = Window::new(3);
        for seq in 1..=3 {
            window.queued(Message(seq), at(0));
            window.sent(seq as u16).unwrap();
        }
        window.signed(2, at(0)).unwrap();
        window.signed(3, at(0)).unwrap();
        assert_eq!((window.room(), window.len()), (0, 1));
        window.signed(1, at(0)).unwrap();
        assert_eq!((window.room(), window.len()), (3, 0));
    }

    #[test]
    fn a_packet_that_stays_the_oldest_is_overdue_and_a_slow_line_is_not() {
        let mut window = Window::new(10);
        assert_eq!(window.overdue_at(at(30)), None);
        window.queued(Message(1), at(100));
        window.queued(Message(2), at(101));
        window.queued(Message(3), at(102));
        for pkid in [1, 2, 3] {
            window.sent(pkid).unwrap();
        }
        assert_eq!(window.overdue_at(at(30)), Some(at(130)));
        window.signed(1, at(125)).unwrap();
        assert_eq!(window.overdue_at(at(30)), Some(at(155)));
        // The one behind it is signed: the oldest does not become younger by that.
        window.signed(3, at(150)).unwrap();
        assert_eq!(window.overdue_at(at(30)), Some(at(155)));
        window.signed(2, at(151)).unwrap();
        assert_eq!(window.overdue_at(at(30)), None);
    }

    #[test]
    fn a_packet_without_a_receipt_has_its_place_until_it_has_left() {
        let mut window = Window::new(2);
        window.queued(Message(1), at(0));
        window.queued(Direct, at(0));
        assert_eq!(window.room(), 0);
        window.sent(1).unwrap();
        window.left(at(1)).unwrap();
        assert_eq!(window.left(at(1)), Err(Unknown(0)));
        assert_eq!(window.signed(1, at(2)), Ok(Message(1)));
        assert_eq!((window.room(), window.is_empty()), (2, true));
    }

    #[test]
    fn a_packet_that_never_leaves_is_overdue_too() {
        let mut window = Window::new(1);
        window.queued(Message(1), at(5));
        assert_eq!(window.overdue_at(at(30)), Some(at(35)));
    }

    proptest! {
        /// Against a model that keeps everything: any order of receipts, ids that wrap at the limit.
        #[test]
        fn every_message_is_signed_for_exactly_once_in_any_order(
            limit in 1usize..12,
            moves in proptest::collection::vec((any::<bool>(), any::<u16>()), 1..300),
        ) {
            let mut window = Window::new(limit);
            let (mut next_seq, mut next_pkid) = (0u64, 0u16);
            let mut flying: Vec<(u16, u64)> = Vec::new();
            let mut signed = Vec::new();
            for (sign, pick) in moves {
                if sign && !flying.is_empty() {
                    let (pkid, seq) = flying.remove(usize::from(pick) % flying.len());
                    prop_assert_eq!(window.signed(pkid, at(0)), Ok(Message(seq)));
                    signed.push(seq);
                } else if window.room() > 0 {
                    next_seq += 1;
                    next_pkid = next_pkid % limit as u16 + 1;
                    prop_assert!(flying.iter().all(|(pkid, _)| *pkid != next_pkid), "id used twice");
                    window.queued(Message(next_seq), at(0));
                    window.sent(next_pkid).unwrap();
                    flying.push((next_pkid, next_seq));
                }
                prop_assert_eq!(window.len(), flying.len());
                prop_assert!(flying.len() <= limit);
            }
            for (pkid, seq) in flying {
                prop_assert_eq!(window.signed(pkid, at(0)), Ok(Message(seq)));
                signed.push(seq);
            }
            signed.sort_unstable();
            prop_assert_eq!(signed, (1..=next_seq).collect::<Vec<_>>());
            prop_assert!(window.is_empty());
        }
    }
}
