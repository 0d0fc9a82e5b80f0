//! Frames out of any stream: noise, any number of FE, false 68H, echo, frames glued together or cut.
//!
//! The same octets give the same findings however they are cut. It knows no time: it waits for an
//! incomplete candidate until its caller calls [`Scanner::give_up`] or [`Scanner::end`], so that a false
//! `68 … 68 L` hides what stands behind it no longer than the caller allows. It never repairs anything.

use crate::frame::{Frame, HEADER, MIN_LEN, NoFrame, NotAFrame, START, WAKE};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// FE octets that are counted to the frame behind them; more of them are noise. Meters send 0 to 7.
const LONGEST_PREAMBLE: usize = 32;

/// Finds frames in a stream of octets. Once [`Scanner::next`] has answered `None`, less than one
/// longest frame (267 octets) is kept.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Octets up to `start` are decided; the rest begins with a candidate, if there is one.
    buffer: Vec<u8>,
    start: usize,
    /// Indices into `buffer` of damaged octets, ascending.
    damaged: VecDeque<usize>,
    /// Octets of the stream before `buffer`.
    before: u64,
    /// FE octets directly before `start`.
    preamble: usize,
    /// Dropped octets not reported yet.
    noise: usize,
    /// Nothing more comes: what is incomplete now is no frame.
    ended: bool,
}

/// What a stream holds, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found<'a> {
    /// A sound frame.
    Frame {
        /// The frame.
        frame: Frame<'a>,
        /// FE octets directly before it.
        preamble: usize,
    },
    /// A candidate of the right shape is dropped. Its octets are searched again behind its first, and
    /// are part of a later [`Found::Noise`].
    Damaged(Damage),
    /// So many octets belong to no sound frame.
    Noise(usize),
}

/// What is wrong with a candidate that has both 68H, its length and its 16H.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// The checksum.
    Checksum {
        /// In the frame.
        stated: u8,
        /// Of the octets.
        computed: u8,
    },
    /// The line reported an octet of it as damaged.
    Octet,
}

/// What stands at the beginning of the undecided octets.
enum Candidate {
    Whole(usize),
    Incomplete(usize),
    Damaged(Damage),
    Nothing,
}

impl Scanner {
    /// Takes octets. Call [`Scanner::next`] until `None` afterwards: only that keeps memory bounded.
    pub fn push(&mut self, octets: &[u8]) {
        self.forget_decided();
        self.ended = false;
        self.buffer.extend_from_slice(octets);
    }

    /// Takes an octet that the line damaged. A frame that contains one is dropped.
    pub fn push_damaged(&mut self, octet: u8) {
        self.forget_decided();
        self.ended = false;
        self.damaged.push_back(self.buffer.len());
        self.buffer.push(octet);
    }

    /// The next finding; `None` if more octets are needed.
    #[expect(clippy::should_implement_trait, reason = "it lends from itself")]
    pub fn next(&mut self) -> Option<Found<'_>> {
        loop {
            self.skip_to_a_start();
            if self.start == self.buffer.len() {
                let over = self.ended && self.noise + self.preamble > 0;
                return over.then(|| {
                    self.drop_preamble();
                    Found::Noise(core::mem::take(&mut self.noise))
                });
            }
            let candidate = self.candidate();
            if self.noise > 0 && matches!(candidate, Candidate::Whole(_) | Candidate::Damaged(_)) {
                return Some(Found::Noise(core::mem::take(&mut self.noise)));
            }
            match candidate {
                Candidate::Whole(len) => {
                    self.start += len;
                    let preamble = core::mem::take(&mut self.preamble);
                    let frame = Frame::checked(&self.buffer[self.start - len..self.start]);
                    return Some(Found::Frame { frame, preamble });
                }
                Candidate::Incomplete(_) if !self.ended => return None,
                Candidate::Damaged(damage) => {
                    self.step();
                    return Some(Found::Damaged(damage));
                }
                Candidate::Incomplete(_) | Candidate::Nothing => self.step(),
            }
        }
    }

    /// The next sound frame; noise and damaged candidates before it are passed over.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        loop {
            // Its octets are looked up again because a frame cannot be lent out of a loop.
            match self.next()? {
                Found::Frame { frame, .. } => {
                    let len = frame.octets().len();
                    return Some(Frame::checked(&self.buffer[self.start - len..self.start]));
                }
                Found::Damaged(_) | Found::Noise(_) => {}
            }
        }
    }

    /// How many octets are missing, at least, from the frame that seems to have begun; `None` if none
    /// has. FE octets are a beginning. Of use after [`Scanner::next`] answered `None`.
    pub fn missing(&self) -> Option<usize> {
        if self.start == self.buffer.len() {
            return (self.preamble > 0).then_some(MIN_LEN);
        }
        match self.candidate() {
            Candidate::Incomplete(missing) => Some(missing),
            Candidate::Whole(_) | Candidate::Damaged(_) | Candidate::Nothing => None,
        }
    }

    /// The rest did not come in time: gives up what seemed to begin a frame, one octet of it, so that
    /// [`Scanner::next`] searches behind it.
    pub fn give_up(&mut self) {
        if self.start < self.buffer.len() {
            self.step();
        } else {
            self.drop_preamble();
        }
    }

    /// Nothing more comes: [`Scanner::next`] finds all frames behind false starts, reports the rest
    /// as noise, then answers `None`. A later push begins anew.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Octets of the stream that are decided: all up to the end of the last finding.
    pub fn decided(&self) -> u64 {
        self.before + self.start as u64
    }

    /// The octet of the stream at which a frame not found yet can begin at the earliest, its FE included.
    pub(crate) fn earliest(&self) -> u64 {
        self.decided() - self.preamble as u64
    }

    fn candidate(&self) -> Candidate {
        let octets = &self.buffer[self.start..];
        let first_damaged = self.damaged.front().map_or(usize::MAX, |at| at - self.start);
        if first_damaged < HEADER {
            // Not even the length can be relied on.
            return Candidate::Nothing;
        }
        match Frame::parse(octets) {
            Ok(frame) if first_damaged < frame.octets().len() => Candidate::Damaged(Damage::Octet),
            Ok(frame) => Candidate::Whole(frame.octets().len()),
            Err(NoFrame::Incomplete { missing }) => Candidate::Incomplete(missing),
            Err(NoFrame::Not(NotAFrame::Checksum { stated, computed })) => {
                Candidate::Damaged(Damage::Checksum { stated, computed })
            }
            Err(NoFrame::Not(NotAFrame::NoStart | NotAFrame::NoSecondStart | NotAFrame::NoEnd)) => {
                Candidate::Nothing
            }
        }
    }

    fn skip_to_a_start(&mut self) {
        while self.buffer.get(self.start).is_some_and(|&octet| octet != START) {
            self.step();
        }
    }

    /// Drops one octet.
    fn step(&mut self) {
        let damaged = self.damaged.front() == Some(&self.start);
        if damaged {
            self.damaged.pop_front();
        }
        if self.buffer[self.start] == WAKE && !damaged {
            if self.preamble == LONGEST_PREAMBLE {
                self.noise += 1;
            } else {
                self.preamble += 1;
            }
        } else {
            self.drop_preamble();
            self.noise += 1;
        }
        self.start += 1;
    }

    fn drop_preamble(&mut self) {
        self.noise += core::mem::take(&mut self.preamble);
    }

    fn forget_decided(&mut self) {
        let decided = core::mem::take(&mut self.start);
        self.buffer.drain(..decided);
        self.before += decided as u64;
        self.damaged.iter_mut().for_each(|at| *at -= decided);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Control, emit};
    use crate::pdu::Request;
    use crate::{Address, Di};

    /// Owned findings, to compare.
    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Frame(Vec<u8>, usize),
        Damaged(Damage),
        Noise(usize),
    }

    fn all(scanner: &mut Scanner) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(found) = scanner.next() {
            seen.push(match found {
                Found::Frame { frame, preamble } => Seen::Frame(frame.octets().to_vec(), preamble),
                Found::Damaged(damage) => Seen::Damaged(damage),
                Found::Noise(octets) => Seen::Noise(octets),
            });
        }
        seen
    }

    fn scan(octets: &[u8]) -> Vec<Seen> {
        let mut scanner = Scanner::default();
        scanner.push(octets);
        let mut seen = all(&mut scanner);
        scanner.end();
        seen.extend(all(&mut scanner));
        seen
    }

    fn reply(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        emit("1234".parse().unwrap(), Control::reply(0x11, false), data, &mut out).unwrap();
        out
    }

    fn frame(octets: &[u8], preamble: usize) -> Seen {
        Seen::Frame(octets.to_vec(), preamble)
    }

    #[test]
    fn preamble_is_no_noise_and_what_stands_around_is() {
        let one = reply(&[0, 1, 1, 2, 5, 0x22]);
        let stream = [&[0x00, 0x55][..], &[WAKE; 4], &one, &one, &[0x00, 0xFE]].concat();
        assert_eq!(scan(&stream), [Seen::Noise(2), frame(&one, 4), frame(&one, 0), Seen::Noise(2)]);
    }

    #[test]
    fn start_and_end_octets_inside_data_and_as_checksum_do_not_cut_a_frame() {
        // 35H + 33H = 68H, E3H + 33H = 16H; the fifth octet makes the checksum 16H.
        let mut data = [0x35, 0xE3, 0x35, 0xE3, 0x00];
        let one = (0..=255)
            .map(|last| {
                data[4] = last;
                reply(&data)
            })
            .find(|octets| octets[octets.len() - 2] == 0x16)
            .unwrap();
        assert_eq!(scan(&one), [frame(&one, 0)]);
    }

    #[test]
    fn stray_68_before_a_frame_costs_nothing_but_itself() {
        let one = reply(&[0, 1, 1, 2, 5, 0x22]);
        let stream = [&[0x68][..], &one].concat();
        assert_eq!(scan(&stream), [Seen::Noise(1), frame(&one, 0)]);
        let stream = [&[0x68; 8][..], &one].concat();
        assert_eq!(scan(&stream), [Seen::Noise(8), frame(&one, 0)]);
    }

    #[test]
    fn false_start_hides_the_frame_behind_it_until_given_up() {
        let one = reply(&[0, 1, 1, 2, 5, 0x22]);
        let mut scanner = Scanner::default();
        // A false start whose L is 255.
        scanner.push(&[0x68, 0, 0, 0, 0, 0, 0, 0x68, 0x91, 0xFF]);
        scanner.push(&one);
        assert_eq!(all(&mut scanner), []);
        assert_eq!(scanner.missing(), Some(267 - 10 - one.len()));
        scanner.give_up();
        // The second 68H of the false start begins a candidate of its own: too long as well.
        let mut seen = all(&mut scanner);
        while seen.is_empty() && scanner.missing().is_some() {
            scanner.give_up();
            seen = all(&mut scanner);
        }
        assert_eq!(seen, [Seen::Noise(10), frame(&one, 0)]);
        assert_eq!(scanner.missing(), None);
    }

    #[test]
    fn bad_checksum_is_told_and_the_frame_behind_it_found() {
        let good = reply(&[0, 1, 1, 2, 5, 0x22]);
        let mut bad = good.clone();
        bad[16] ^= 1;
        let damage = Damage::Checksum { stated: bad[16], computed: good[16] };
        let stream = [&bad[..], &good].concat();
        assert_eq!(scan(&stream), [Seen::Damaged(damage), Seen::Noise(18), frame(&good, 0)]);
    }

    #[test]
    fn frame_with_a_damaged_octet_is_dropped_wherever_the_octet_stands() {
        let one = reply(&[0, 1, 1, 2, 5, 0x22]);
        for at in 0..one.len() {
            let mut scanner = Scanner::default();
            scanner.push(&one[..at]);
            scanner.push_damaged(one[at]);
            scanner.push(&one[at + 1..]);
            scanner.push(&one);
            scanner.end();
            let mut expected = Vec::from([Seen::Noise(18), frame(&one, 0)]);
            if at >= HEADER {
                expected.insert(0, Seen::Damaged(Damage::Octet));
            }
            assert_eq!(all(&mut scanner), expected, "octet {at}");
        }
    }

    #[test]
    fn next_frame_passes_noise_over() {
        let one = reply(&[0, 1, 1, 2]);
        let mut scanner = Scanner::default();
        scanner.push(&[0x00, 0x68, 0xFE]);
        scanner.push(&one);
        scanner.push(&one);
        assert_eq!(scanner.next_frame().map(|frame| frame.octets().to_vec()), Some(one.clone()));
        assert_eq!(scanner.next_frame().map(|frame| frame.octets().to_vec()), Some(one));
        assert_eq!(scanner.next_frame(), None);
    }

    #[test]
    fn endless_fe_and_endless_68_keep_less_than_one_longest_frame() {
        for octet in [WAKE, 0x68, 0x16, 0x00] {
            let mut scanner = Scanner::default();
            for _ in 0..100 {
                scanner.push(&[octet; 100]);
                all(&mut scanner);
                assert!(scanner.buffer.len() - scanner.start < 267, "{octet:02X}");
                assert!(scanner.buffer.capacity() < 1024);
                assert!(scanner.decided() - scanner.earliest() <= 32);
            }
        }
    }

    #[test]
    fn every_octet_is_frame_preamble_or_noise() {
        let mut request = Vec::new();
        Request::Read { address: Address::ANY, di: Di::new(0x0001_0000) }.emit(4, &mut request);
        let stream = [&[0x16, 0xFE][..], &request, &[0xFE, 0x00], &request, &[0x68, 0x01]].concat();
        let counted: usize = scan(&stream)
            .into_iter()
            .map(|seen| match seen {
                Seen::Frame(octets, preamble) => octets.len() + preamble,
                Seen::Noise(octets) => octets,
                Seen::Damaged(_) => 0,
            })
            .sum();
        assert_eq!(counted, stream.len());
    }
}
