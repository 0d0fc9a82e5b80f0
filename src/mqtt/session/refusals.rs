//! What follows when the broker refuses a message (PUBACK with a reason from 80H, MQTT 5). Pure.
//!
//! No refused message leaves the store. If the broker has had enough (97H, quota exceeded), nothing is sent
//! for 1 to 30 s, then all goes on from the refused one in order. Any other refusal is of that message: the
//! others go on, and it goes again a minute later, then after 2, 4 … up to 60 minutes, and with each new
//! connection. What the broker takes one of a kind for is said once an hour.

use super::outage::Backoff;
use crate::mqtt::connection::Reason;
use std::time::Duration;

/// The shortest and the longest wait before refused messages are sent again.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Of all connections of a session.
#[derive(Debug)]
pub(super) struct Refusals {
    backoff: Backoff,
    said: Vec<(Reason, Duration)>,
    wait: Duration,
    /// When refused messages go again.
    again_at: Option<Duration>,
    hold: Option<Hold>,
    /// The first message of the last hold; nothing was signed for since.
    stuck_on: Option<u64>,
}

/// Nothing is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Hold {
    /// At least until then, and until nothing is on its way.
    until: Duration,
    /// Go on from the oldest; else from where it stood.
    rewind: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Send.
    Send,
    /// Send nothing.
    Hold,
    /// Begin again with the oldest message of the store.
    Rewind,
}

impl Refusals {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, said: Vec::new(), wait: SHORTEST, again_at: None, hold: None, stuck_on: None }
    }

    /// A new connection offers everything anyway.
    pub(super) fn connected(&mut self) {
        self.again_at = None;
        self.hold = None;
    }

    /// The broker refused a message of the store; `seq` is `None` for another one. True if it is to be said.
    pub(super) fn refused(&mut self, reason: Reason, seq: Option<u64>, now: Duration) -> bool {
        if reason == Reason::Quota {
            if self.hold.is_none() {
                // Refused once more with nothing taken in between: the others have their turn first.
                let rewind = seq.is_none() || self.stuck_on != seq;
                self.stuck_on = seq;
                self.hold = Some(Hold { until: now + self.backoff.next(), rewind });
                if !rewind {
                    self.later(now);
                }
            }
        } else if seq.is_some() {
            self.later(now);
        }
        self.said.retain(|(_, at)| now.saturating_sub(*at) < LONGEST);
        let news = self.said.iter().all(|(said, _)| *said != reason);
        if news {
            self.said.push((reason, now));
        }
        news
    }

    fn later(&mut self, now: Duration) {
        if self.again_at.is_none() {
            self.again_at = Some(now + self.wait);
            self.wait = (self.wait * 2).min(LONGEST);
        }
    }

    /// The broker took a message.
    pub(super) fn signed(&mut self) {
        self.stuck_on = None;
        if self.hold.is_none() {
            self.backoff.reset();
        }
    }

    /// What to do; `idle` if nothing is on its way.
    pub(super) fn step(&mut self, idle: bool, now: Duration) -> Step {
        if self.hold.is_none() && self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            self.hold = Some(Hold { until: now, rewind: true });
        }
        match self.hold {
            None => Step::Send,
            Some(Hold { until, rewind }) if idle && until <= now => {
                self.hold = None;
                if rewind { Step::Rewind } else { Step::Send }
            }
            Some(_) => Step::Hold,
        }
    }

    /// When to look again at the latest.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.hold.map(|hold| hold.until).or(self.again_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn refusals() -> Refusals {
        Refusals::new(Backoff::new(7))
    }

    #[test]
    fn a_broker_that_has_had_enough_is_left_alone_for_a_while_and_then_gets_the_refused_one_first() {
        let mut refusals = refusals();
        assert_eq!(refusals.step(true, at(0)), Step::Send);
        assert!(refusals.refused(Reason::Quota, Some(5), at(10)));
        assert_eq!(refusals.step(false, at(10)), Step::Hold);
        assert_eq!(refusals.step(true, at(10)), Step::Hold);
        let wake = refusals.wake_at().unwrap();
        assert!(wake >= at(11) && wake <= at(12), "{wake:?}");
        assert_eq!(refusals.step(false, wake), Step::Hold, "receipts are waited for");
        assert_eq!(refusals.step(true, wake), Step::Rewind);
        assert_eq!(refusals.step(true, wake), Step::Send);
    }

    #[test]
    fn one_message_that_is_always_refused_for_quota_does_not_keep_the_others_for_ever() {
        let mut refusals = refusals();
        refusals.refused(Reason::Quota, Some(5), at(0));
        assert_eq!(refusals.step(true, at(100)), Step::Rewind);
        assert!(!refusals.refused(Reason::Quota, Some(5), at(100)), "said already");
        assert_eq!(refusals.step(true, at(110)), Step::Send, "the others have their turn");
        assert_eq!(refusals.step(true, at(160)), Step::Rewind, "it goes again later");
    }

    #[test]
    fn a_message_that_is_refused_by_itself_goes_again_ever_later_and_holds_nothing_up() {
        let mut refusals = refusals();
        let (mut now, mut waits) = (at(0), Vec::new());
        for _ in 0..8 {
            refusals.refused(Reason::NotAuthorised, Some(1), now);
            refusals.refused(Reason::NotAuthorised, Some(2), now);
            assert_eq!(refusals.step(false, now), Step::Send);
            let again = refusals.wake_at().unwrap();
            waits.push((again - now).as_secs() / 60);
            now = again;
            assert_eq!(refusals.step(false, now), Step::Hold, "until nothing is on its way");
            assert_eq!(refusals.step(true, now), Step::Rewind);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn each_reason_is_said_once_an_hour() {
        let mut refusals = refusals();
        assert!(refusals.refused(Reason::NotAuthorised, Some(1), at(0)));
        assert!(!refusals.refused(Reason::NotAuthorised, Some(2), at(1)));
        assert!(refusals.refused(Reason::Topic, Some(3), at(1)));
        assert!(refusals.refused(Reason::NotAuthorised, Some(1), at(3700)));
    }
}
