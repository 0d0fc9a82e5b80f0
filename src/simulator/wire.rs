//! The way from the meters to the port: answers, each held until its meter's response delay is over.
//!
//! Pure: the time is an argument. It only delivers: octets are neither paced at a rate nor damaged,
//! and two answers at once are not garbled as on a real pair; they come one after the other.

use super::line::Answer;
use std::collections::VecDeque;
use std::time::Duration;

/// Answers under way at most. When it is full, the newest is lost as on a jammed line.
const BOUND: usize = 4096;

/// Answers under way, the next first. Times are since an origin of the caller's.
#[derive(Debug, Default)]
pub(super) struct Wire {
    under_way: VecDeque<(Duration, Vec<u8>)>,
}

impl Wire {
    /// Takes the answers to what was heard at `now`.
    pub(super) fn take(&mut self, answers: Vec<Answer>, now: Duration) {
        for Answer { octets, after } in answers {
            let due = now + after;
            if self.under_way.len() < BOUND {
                let place = self.under_way.partition_point(|(other, _)| *other <= due);
                self.under_way.insert(place, (due, octets));
            }
        }
    }

    /// When to call [`Wire::deliver`]; `None` while nothing is under way.
    pub(super) fn due(&self) -> Option<Duration> {
        self.under_way.front().map(|(due, _)| *due)
    }

    /// The next answer that is due at `now`.
    pub(super) fn deliver(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.due()? > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, octets)| octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn answers_are_delivered_by_the_delay_of_their_meter() {
        let mut wire = Wire::default();
        assert_eq!(wire.due(), None);
        let answer = |octet, after| Answer { octets: vec![octet], after: ms(after) };
        wire.take(vec![answer(1, 50), answer(2, 20), answer(3, 50)], ms(100));
        assert_eq!(wire.due(), Some(ms(120)));
        assert_eq!(wire.deliver(ms(119)), None);
        assert_eq!(wire.deliver(ms(120)), Some(vec![2]));
        assert_eq!(wire.deliver(ms(120)), None);
        assert_eq!(wire.deliver(ms(200)), Some(vec![1]));
        assert_eq!(wire.deliver(ms(200)), Some(vec![3]));
        assert_eq!(wire.deliver(ms(200)), None);
    }

    #[test]
    fn a_jammed_line_loses_answers_and_grows_no_further() {
        let mut wire = Wire::default();
        let answers = (0..BOUND + 10).map(|_| Answer { octets: vec![0x16], after: ms(1) });
        wire.take(answers.collect(), ms(0));
        assert_eq!(wire.under_way.len(), BOUND);
    }
}
