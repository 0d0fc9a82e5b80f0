//! How a Modbus meter finds requests in what it hears: by silence, a frame has no other beginning.

use jiff::{SignedDuration, Timestamp};
use modbus::rtu::{Frame, MOST, Request};

/// On a line whose characters take no time, pieces of a request that are further apart are none.
const APART: SignedDuration = SignedDuration::from_millis(500);

/// The bit of a function code by which a meter refuses.
const REFUSED: u8 = 0x80;

/// How long nobody spoke before octets that are heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Silence {
    /// The line has no rate: what is written in one go stands by itself.
    Untold,
    /// Three and a half characters or more: a frame may begin.
    Long,
    /// Less: the frame goes on, and if none has begun, none begins here.
    Short,
}

/// What was heard since a frame could begin.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Hearing {
    octets: Vec<u8>,
    at: Option<Timestamp>,
}

impl Hearing {
    /// Hears octets; the request that they complete, if they do.
    pub(in super::super) fn hear(
        &mut self,
        octets: &[u8],
        silence: Silence,
        now: Timestamp,
    ) -> Option<Request> {
        let before = self.at.replace(now);
        let begins = match silence {
            Silence::Long => true,
            Silence::Short => false,
            Silence::Untold => {
                Frame::checked(octets).is_ok()
                    || before.is_none_or(|before| {
                        let gap = now.duration_since(before);
                        gap > APART || gap.is_negative()
                    })
            }
        };
        if begins {
            self.octets.clear();
        }
        // One more than a frame has: from then on it is none.
        let room = (MOST + 1).saturating_sub(self.octets.len());
        self.octets.extend(octets.iter().take(room));
        let frame = Frame::checked(&self.octets).ok().filter(|_| self.octets.len() <= MOST);
        let request = frame.and_then(|frame| Request::of_pdu(frame.unit, frame.pdu));
        if request.is_some() && silence == Silence::Untold {
            self.octets.clear();
        }
        request.filter(|request| request.function() & REFUSED == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Registers 0000 and 0001 of unit 1 by function 4: the example of an SDM630.
    const READ: [u8; 8] = [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB];

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_request_begins_after_silence_and_nowhere_else() {
        let mut hearing = Hearing::default();
        let request = Request::of_pdu(1, &READ[1..6]);
        assert_eq!(hearing.hear(&READ, Silence::Long, at(0)), request);
        assert_eq!(hearing.hear(&READ, Silence::Short, at(1)), None, "it would be one long frame");
        assert_eq!(hearing.hear(&READ, Silence::Long, at(9)), request);
        assert_eq!(hearing.hear(&READ[..3], Silence::Long, at(20)), None);
        assert_eq!(hearing.hear(&READ[3..], Silence::Short, at(21)), request, "in pieces");
        assert_eq!(hearing.hear(&READ[..3], Silence::Long, at(40)), None);
        assert_eq!(hearing.hear(&READ[3..], Silence::Long, at(50)), None, "torn");
    }

    #[test]
    fn without_a_rate_what_is_written_in_one_go_stands_by_itself() {
        let mut hearing = Hearing::default();
        let request = Request::of_pdu(1, &READ[1..6]);
        assert_eq!(hearing.hear(&[0xFE; 3], Silence::Untold, at(0)), None);
        assert_eq!(hearing.hear(&READ, Silence::Untold, at(0)), request);
        assert_eq!(hearing.hear(&READ[..5], Silence::Untold, at(1)), None);
        assert_eq!(hearing.hear(&READ[5..], Silence::Untold, at(400)), request);
        assert_eq!(hearing.hear(&READ[..5], Silence::Untold, at(1000)), None);
        assert_eq!(hearing.hear(&READ[5..], Silence::Untold, at(1501)), None);
    }

    #[test]
    fn octets_without_an_end_are_no_frame_and_take_no_more_room() {
        let mut hearing = Hearing::default();
        for _ in 0..10_000 {
            assert_eq!(hearing.hear(&[0x68; 8], Silence::Short, at(0)), None);
        }
        assert!(hearing.octets.len() <= MOST + 1);
    }
}
