//! The newest messages in memory, so that what was just committed is offered without reading it back. Pure.
//!
//! It holds all unsigned messages from some number on, or it does not answer. Nothing gets in before it is durable.

use super::{Committed, Entry, Pending};
use std::collections::VecDeque;

/// Messages that are held at most.
const MOST: usize = 256;

/// Unsigned messages from a number on.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// All from here on are held, but those that were signed for.
    from: u64,
    /// The highest number in the store.
    newest: u64,
    messages: VecDeque<Pending>,
}

impl Recent {
    /// Nothing is held of what the store has up to `newest`.
    pub(super) fn behind(newest: u64) -> Self {
        Self { from: newest + 1, newest, messages: VecDeque::new() }
    }

    /// These were committed. Which of them was dropped as a duplicate is not known here, nor what number a message has
    /// beside which a loss was announced: then nothing is held.
    pub(super) fn committed(&mut self, entries: Vec<Entry>, committed: &Committed) {
        let newest = committed.newest;
        if committed.duplicates > 0 || self.newest + entries.len() as u64 != newest {
            *self = Self::behind(newest);
            return;
        }
        let numbered = (self.newest + 1..).zip(entries);
        self.messages.extend(numbered.map(|(seq, Entry { topic, body, retain, .. })| Pending {
            seq,
            topic,
            body,
            retain,
        }));
        self.newest = newest;
        while self.messages.len() > MOST
            && let Some(oldest) = self.messages.pop_front()
        {
            self.from = oldest.seq + 1;
        }
    }

    /// The broker has signed for these.
    pub(super) fn forget(&mut self, signed: &[u64]) {
        // What is held has mostly not been offered yet.
        if let Some(oldest) = self.messages.front()
            && signed.iter().any(|seq| *seq >= oldest.seq)
        {
            self.messages.retain(|message| !signed.contains(&message.seq));
        }
    }

    /// Up to `limit` unsigned messages above `after`, which are then no longer held; `None` if they are not all here.
    pub(super) fn take(&mut self, after: u64, limit: usize) -> Option<Vec<Pending>> {
        if after.saturating_add(1) < self.from {
            return None;
        }
        let passed = self.messages.partition_point(|message| message.seq <= after);
        let taken: Vec<Pending> =
            self.messages.drain(..(passed + limit).min(self.messages.len())).skip(passed).collect();
        let all = self.messages.is_empty();
        self.from = match taken.last() {
            _ if all => self.newest + 1,
            Some(last) => last.seq + 1,
            None => after.saturating_add(1),
        };
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Worth;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn entry(n: u64) -> Entry {
        let (topic, body, retain) = ("t".to_owned(), n.to_string(), n.is_multiple_of(2));
        Entry { topic, body, retain, worth: Worth::Live, identity: None, notes: Vec::new() }
    }

    fn stored(newest: u64, entries: usize, duplicates: usize) -> Committed {
        Committed { newest, stored: entries - duplicates, duplicates }
    }

    proptest! {
        /// Against all that a store would have.
        #[test]
        fn what_it_answers_is_what_the_store_would_and_else_it_says_nothing(
            start in 0_u64..3,
            moves in prop::collection::vec((0_u8..6, 0_u64..300, 0_usize..120), 1..60),
        ) {
            let (mut recent, mut newest) = (Recent::behind(start), start);
            let mut unsigned: BTreeSet<u64> = (1..=start).collect();
            for (what, number, count) in moves {
                match what {
                    // Three times a commit; the last one with an announcement.
                    0..=2 => {
                        let duplicates = if what == 1 { count / 2 } else { 0 };
                        let more = (count - duplicates) as u64 + u64::from(what == 2);
                        // Which were duplicates does not matter: none is held.
                        let entries = (0..count as u64).map(|n| entry(newest + 1 + n)).collect();
                        unsigned.extend(newest + 1..=newest + more);
                        newest += more;
                        recent.committed(entries, &stored(newest, count, duplicates));
                    }
                    3 => {
                        let signed: Vec<u64> = unsigned.iter().copied().skip(number as usize / 4).take(count).collect();
                        recent.forget(&signed);
                        unsigned.retain(|seq| !signed.contains(seq));
                    }
                    _ => {
                        let after = if what == 4 { newest.saturating_sub(number) } else { number };
                        let would: Vec<u64> = unsigned.range(after + 1..).copied().take(count).collect();
                        if let Some(taken) = recent.take(after, count) {
                            let seqs: Vec<u64> = taken.iter().map(|p| p.seq).collect();
                            prop_assert_eq!(&seqs, &would);
                            prop_assert!(taken.iter().all(|p| p.body == p.seq.to_string()));
                        }
                    }
                }
                prop_assert!(recent.messages.len() <= MOST);
            }
        }
    }

    #[test]
    fn what_was_just_committed_is_there_once() {
        let mut recent = Recent::behind(7);
        assert_eq!(recent.take(7, 9), Some(vec![]));
        recent.committed(vec![entry(8), entry(9)], &stored(9, 2, 0));
        assert_eq!(recent.take(6, 9), None, "the store has more");
        assert_eq!(recent.take(7, 1).unwrap()[0].seq, 8);
        assert_eq!(recent.take(8, 1).unwrap()[0].seq, 9);
        assert_eq!(recent.take(8, 1), None, "it was given away");
    }
}
