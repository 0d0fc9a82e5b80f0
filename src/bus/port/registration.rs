//! Which bus a DTU (数传终端) that has dialled in is for, by its registration packet (注册包). Pure.
//!
//! A connection says any number of heartbeats, then one registration, glued together or cut anywhere.
//! The configuration has no two that begin alike on one port, so the first octet that completes a
//! registration decides.

/// What is looked at before a stream is given up: many heartbeats and one registration.
const LONGEST: usize = 2048;

/// Packets of the buses on one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Registration of each bus, with its place in the list of buses here.
    pub(super) registrations: Vec<(Vec<u8>, usize)>,
    /// Heartbeats of all of them.
    pub(super) heartbeats: Vec<Vec<u8>>,
}

/// What a connection has said so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// Nothing that decides: wait.
    Begun,
    /// The registration of this bus; the octets behind it begin at `rest`.
    Registered {
        /// Its place.
        bus: usize,
        /// Where its line begins.
        rest: usize,
    },
    /// Something that no packet begins with.
    Strange,
}

impl Known {
    /// Judges all that a connection has said from its beginning.
    pub(super) fn judge(&self, said: &[u8]) -> Said {
        // Places that can be reached by heartbeats alone.
        let mut reached = vec![false; said.len() + 1];
        reached[0] = true;
        let mut is_open = false;
        let mut first: Option<(usize, usize)> = None;
        for at in 0..=said.len() {
            let Some(rest) = said.get(at..).filter(|_| reached[at]) else { continue };
            for (registration, bus) in &self.registrations {
                if rest.starts_with(registration) {
                    let end = at + registration.len();
                    if first.is_none_or(|(earliest, _)| end < earliest) {
                        first = Some((end, *bus));
                    }
                }
                is_open |= registration.starts_with(rest);
            }
            for heartbeat in &self.heartbeats {
                if rest.starts_with(heartbeat) {
                    reached[at + heartbeat.len()] = true;
                }
                is_open |= heartbeat.starts_with(rest);
            }
        }
        match first {
            Some((rest, bus)) => Said::Registered { bus, rest },
            None if is_open && said.len() < LONGEST => Said::Begun,
            None => Said::Strange,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known() -> Known {
        Known {
            registrations: vec![(b"DTU-0001".to_vec(), 0), (b"DTU-0002".to_vec(), 1), (vec![0x0A, 0x0B], 2)],
            heartbeats: vec![b"beat".to_vec(), vec![0xFE], b"DTU-0001".to_vec()],
        }
    }

    #[test]
    fn a_registration_is_found_behind_heartbeats_and_before_the_line() {
        let registered = |bus, rest| Said::Registered { bus, rest };
        assert_eq!(known().judge(b"DTU-0002"), registered(1, 8));
        assert_eq!(known().judge(b"beatbeat\xFEDTU-0002beat\x68"), registered(1, 17));
        assert_eq!(known().judge(&[0xFE, 0x0A, 0x0B, 0x68]), registered(2, 3));
        assert_eq!(known().judge(b"DTU-0001DTU-0001"), registered(0, 8), "also where it is the heartbeat");
    }

    #[test]
    fn what_no_packet_begins_with_is_strange_and_the_beginning_of_one_is_waited_for() {
        for begun in [&b""[..], b"D", b"beatbea", b"beatDTU-000"] {
            assert_eq!(known().judge(begun), Said::Begun, "{begun:?}");
        }
        for strange in [&b"x"[..], b"DTU-0003", b"GET / HTTP/1.1", b"beatx"] {
            assert_eq!(known().judge(strange), Said::Strange, "{strange:?}");
        }
        assert_eq!(known().judge(&[0xFE; LONGEST]), Said::Strange, "heartbeats without end");
    }

    proptest! {
        #[test]
        fn the_octet_that_completes_a_registration_decides_however_the_stream_is_cut(
            before in prop::collection::vec(prop::sample::select(vec![&b"beat"[..], &[0xFE]]), 0..4),
            which in 0usize..3,
            behind in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let known = known();
            let start = [before.concat(), known.registrations[which].0.clone()].concat();
            let stream = [start.clone(), behind].concat();
            for cut in 0..start.len() {
                prop_assert_eq!(known.judge(&stream[..cut]), Said::Begun, "{}", cut);
            }
            for cut in start.len()..=stream.len() {
                let registered = Said::Registered { bus: which, rest: start.len() };
                prop_assert_eq!(known.judge(&stream[..cut]), registered);
            }
        }
    }
}
