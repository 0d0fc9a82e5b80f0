//! Heartbeats (心跳包) of a DTU, taken out of what its line says. Pure.
//!
//! A DTU sends its heartbeat between the octets of its line wherever it likes, also inside a frame, and
//! TCP cuts it anywhere. The rule: where the heartbeat's octets stand in a row they are a heartbeat,
//! unless a DL/T 645 frame that began before or with them is sound with them in it; then they are the
//! frame's. So the frame decides, by its length, checksum and end, and no octet of a sound frame is
//! taken. Whatever is decided first in the order of the octets holds, so that no cut matters.
//!
//! Left undecidable: octets of a frame that are equal to the heartbeat while another heartbeat stands in
//! the same frame; such a frame is damaged by its checksum and asked for again, never a value.
//! (Every frame has two 68 of its own, so the configuration refuses the single octet 68 as a heartbeat.)

use dlt645::frame::{END, Frame, MAX_LEN, NoFrame, START};

/// Takes heartbeats out of a stream that is cut anywhere.
#[derive(Clone, Debug)]
pub(super) struct Heartbeats {
    /// What is taken out; empty: nothing.
    heartbeat: Vec<u8>,
    /// What was let through last: a frame may have begun in it.
    before: Vec<u8>,
    /// Octets that are not decided yet; they begin like a heartbeat.
    held: Vec<u8>,
    /// How many of them were looked at in vain.
    looked_at: usize,
}

/// What a frame says of the octets that are held.
enum Verdict {
    /// A sound frame with them ends after so many of them.
    Frames(usize),
    /// A sound frame without them has ended.
    Heartbeat,
    /// A frame that has begun may need more octets.
    Open,
    /// None of them is a frame's.
    Nobodys,
}

impl Heartbeats {
    pub(super) const fn new(heartbeat: Vec<u8>) -> Self {
        Self { heartbeat, before: Vec::new(), held: Vec::new(), looked_at: 0 }
    }

    /// True while octets wait for what comes behind them.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes octets, and gives the line's as far as they are decided.
    pub(super) fn take(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        if self.heartbeat.is_empty() {
            into.extend_from_slice(octets);
            return;
        }
        self.held.extend_from_slice(octets);
        self.settle(false, into);
    }

    /// Nothing more comes for a while: a whole heartbeat is one, and a part of one is the line's.
    pub(super) fn give_up(&mut self, into: &mut Vec<u8>) {
        self.settle(true, into);
    }

    /// Forgets the line's octets, which nobody asked for; the beginning of a heartbeat stays, since its
    /// rest is still to come.
    pub(super) fn drain(&mut self) {
        self.before.clear();
        let longest = self.held.len().min(self.heartbeat.len().saturating_sub(1));
        let begun = (0..=longest).rev().find(|n| {
            let tail = self.held.get(self.held.len() - n..);
            tail.is_some_and(|tail| self.heartbeat.starts_with(tail))
        });
        self.take_off(self.held.len() - begun.unwrap_or(0));
    }

    fn settle(&mut self, is_over: bool, into: &mut Vec<u8>) {
        while !self.held.is_empty() {
            let seen = self.held.len().min(self.heartbeat.len());
            if self.held.get(..seen) != self.heartbeat.get(..seen) {
                self.let_through(1, into);
                continue;
            }
            let whole = seen == self.heartbeat.len();
            match self.verdict() {
                Verdict::Frames(octets) => self.let_through(octets, into),
                Verdict::Heartbeat => self.take_off(seen),
                Verdict::Open if !is_over => return,
                Verdict::Nobodys if !is_over && !whole => return,
                Verdict::Open | Verdict::Nobodys if whole => self.take_off(seen),
                Verdict::Open | Verdict::Nobodys => self.let_through(1, into),
            }
        }
    }

    fn take_off(&mut self, octets: usize) {
        self.held.drain(..octets);
        self.looked_at = 0;
    }

    fn let_through(&mut self, octets: usize, into: &mut Vec<u8>) {
        let through = self.held.get(..octets).unwrap_or_default();
        into.extend_from_slice(through);
        self.before.extend_from_slice(through);
        self.take_off(octets);
        // No frame that is still open began further back.
        self.before.drain(..self.before.len().saturating_sub(MAX_LEN - 1));
    }

    /// Looks at one octet more of what is held, again and again, until a frame decides.
    fn verdict(&mut self) -> Verdict {
        for seen in self.looked_at + 1..=self.held.len() {
            let held = self.held.get(..seen).unwrap_or_default();
            if self.ends_a_frame(held) {
                return Verdict::Frames(seen);
            }
            if let Some(rest) = held.strip_prefix(self.heartbeat.as_slice())
                && !rest.is_empty()
                && self.ends_a_frame(&without(rest, &self.heartbeat))
            {
                return Verdict::Heartbeat;
            }
        }
        self.looked_at = self.held.len();
        if self.is_open() { Verdict::Open } else { Verdict::Nobodys }
    }

    /// True if a frame that began before or with these octets is sound and ends with the last of them.
    fn ends_a_frame(&self, octets: &[u8]) -> bool {
        if octets.last() != Some(&END) {
            return false;
        }
        let all = [self.before.as_slice(), octets].concat();
        self.beginnings(&all)
            .any(|frame| Frame::parse(frame).is_ok_and(|sound| sound.octets().len() == frame.len()))
    }

    /// True if a frame that began before or with what is held may need more octets.
    fn is_open(&self) -> bool {
        let all = [self.before.as_slice(), self.held.as_slice()].concat();
        self.beginnings(&all).any(|frame| matches!(Frame::parse(frame), Err(NoFrame::Incomplete { .. })))
    }

    /// What begins like a frame at each place up to the first octet behind `before`.
    fn beginnings<'a>(&self, all: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        (0..=self.before.len())
            .filter_map(|from| all.get(from..))
            .filter(|frame| frame.first() == Some(&START))
    }
}

/// The octets without each heartbeat in them.
fn without(octets: &[u8], heartbeat: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(octets.len()), octets);
    while let Some((&first, behind)) = rest.split_first() {
        rest = match rest.strip_prefix(heartbeat) {
            Some(behind) => behind,
            None => {
                out.push(first);
                behind
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt645::Address;
    use dlt645::frame::{Control, emit};
    use proptest::prelude::*;

    fn frame(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let address: Address = "000012345678".parse().unwrap();
        emit(address, Control::reply(0x11, false), data, &mut out).unwrap();
        out
    }

    /// What comes out of a stream that comes in these pieces, and then nothing more.
    fn line(heartbeat: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
        let (mut heartbeats, mut out) = (Heartbeats::new(heartbeat.to_vec()), Vec::new());
        for piece in pieces {
            heartbeats.take(piece, &mut out);
        }
        heartbeats.give_up(&mut out);
        assert!(!heartbeats.holds());
        out
    }

    #[test]
    fn a_heartbeat_is_taken_out_at_every_place_of_a_frame() {
        let frame = frame(&[0, 0, 1, 0, 0x45, 0x28, 0x41, 0]);
        for heartbeat in [&b"hello"[..], b"HB", &[0xFE], &[0x16], &[0x0D, 0x0A], &[0x68, 0x68]] {
            for at in 0..=frame.len() {
                let stream = [&frame[..at], heartbeat, &frame[at..]].concat();
                let out = line(heartbeat, &[&stream]);
                // 16 beside the frame's own 16 is the same stream either way.
                let shown: Vec<_> = out.windows(frame.len()).filter(|w| *w == frame).collect();
                assert_eq!(shown.len(), 1, "{heartbeat:02X?} at {at}: {out:02X?}");
                if heartbeat.len() > 1 {
                    assert_eq!(out, frame, "{heartbeat:02X?} at {at}");
                }
            }
        }
    }

    #[test]
    fn octets_of_a_frame_that_look_like_a_heartbeat_are_the_frames() {
        for heartbeat in [&b"hello"[..], &[0xFE], &[0x33], &[0x68], &[0x16], &[0x33, 0x33]] {
            let data: Vec<u8> =
                [&[0, 0, 1, 0], heartbeat].concat().iter().map(|o| o.wrapping_sub(0x33)).collect();
            let frame = frame(&data);
            let mut heartbeats = Heartbeats::new(heartbeat.to_vec());
            let mut out = Vec::new();
            heartbeats.take(&frame, &mut out);
            assert_eq!(out, frame, "at once, without waiting for a pause: {heartbeat:02X?}");
        }
    }

    #[test]
    fn a_frame_with_heartbeats_in_it_is_there_with_its_last_octet_and_waits_for_no_pause() {
        let frame = frame(&[0, 0, 1, 0, 0x45, 0x28, 0x41, 0]);
        for first in 0..frame.len() {
            for second in first..frame.len() {
                let parts = [&frame[..first], b"beat", &frame[first..second], b"beat", &frame[second..]];
                let (mut heartbeats, mut out) = (Heartbeats::new(b"beat".to_vec()), Vec::new());
                heartbeats.take(&parts.concat(), &mut out);
                assert_eq!(out, frame, "at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_is_not_a_heartbeat_in_the_end_is_the_lines() {
        assert_eq!(line(b"hello", &[b"hel", b"p"]), b"help");
        assert_eq!(line(b"hello", &[b"hel"]), b"hel");
        assert_eq!(line(b"aab", &[b"aaab"]), b"a");
        assert_eq!(line(b"", &[b"any", b"thing"]), b"anything");
    }

    #[test]
    fn a_heartbeat_that_began_before_a_request_is_no_part_of_the_answer() {
        let mut heartbeats = Heartbeats::new(b"heartbeat".to_vec());
        let mut out = Vec::new();
        heartbeats.take(b"stale octets heart", &mut out);
        heartbeats.drain();
        out.clear();
        let frame = frame(&[0, 0, 1, 0]);
        heartbeats.take(&[b"beat".as_slice(), &frame].concat(), &mut out);
        assert_eq!(out, frame);
    }

    #[test]
    fn a_false_beginning_of_a_frame_holds_a_bounded_number_of_octets() {
        let mut heartbeats = Heartbeats::new(b"h".to_vec());
        let mut out = Vec::new();
        for _ in 0..1000 {
            heartbeats.take(&[0x68, 0xFF, b'h'], &mut out);
            assert!(heartbeats.held.len() <= MAX_LEN && heartbeats.before.len() <= MAX_LEN);
        }
    }

    /// Frames, heartbeats, parts of both and noise.
    fn piece(heartbeat: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
        let part = heartbeat[..heartbeat.len() - 1].to_vec();
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12).prop_map(|data| frame(&data)),
            Just(heartbeat),
            Just(part),
            prop::collection::vec(any::<u8>(), 0..6),
            prop::collection::vec(prop::sample::select(vec![0x68, 0x16, 0xFE, b'h', b'e']), 0..6),
            (prop::collection::vec(any::<u8>(), 0..12), 0usize..12)
                .prop_map(|(data, cut)| frame(&data)[..cut].to_vec()),
        ]
    }

    fn stream() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let heartbeat = prop_oneof![
            Just(b"hello".to_vec()),
            Just(vec![0x68, 0x68]),
            Just(vec![0xFE]),
            Just(vec![0x16, 0x68]),
            prop::collection::vec(any::<u8>(), 1..8)
        ];
        heartbeat.prop_flat_map(|h| {
            let pieces = prop::collection::vec(piece(h.clone()), 0..12).prop_map(|p| p.concat());
            (Just(h), pieces)
        })
    }

    proptest! {
        #[test]
        fn any_cutting_of_a_stream_gives_the_same_octets(
            (heartbeat, stream) in stream(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            let single: Vec<&[u8]> = stream.chunks(1).collect();
            let whole = line(&heartbeat, &[&stream]);
            prop_assert_eq!(&line(&heartbeat, &pieces), &whole);
            prop_assert_eq!(&line(&heartbeat, &single), &whole);
        }

        #[test]
        fn frames_with_text_heartbeats_anywhere_come_out_whole(
            data in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..4),
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let frames: Vec<u8> = data.iter().flat_map(|d| frame(d)).collect();
            let mut stream = frames.clone();
            let mut at: Vec<usize> = at.iter().map(|i| i.index(frames.len() + 1)).collect();
            at.sort_unstable();
            for place in at.iter().rev() {
                stream.splice(place..place, *b"heartbeat-0001");
            }
            prop_assert_eq!(line(b"heartbeat-0001", &[&stream]), frames);
        }
    }
}
