//! What passes on a line to Modbus meters.

use super::{hex, take};
use crate::bus::exchange::Passed;
use crate::cli::modbus::{Said, named, no_frame};
use catalogue::Profile;
use modbus::rtu::{Piece, Side, pieces};
use modbus::tcp;

/// Collects what comes until it is a frame, or is known to be none.
#[derive(Debug)]
pub(in crate::cli) struct Line {
    profile: Option<&'static Profile>,
    /// Frames have the head of Modbus over TCP.
    over_tcp: bool,
    /// The last request, while it may come back from the adapter.
    sent: Vec<u8>,
    /// Octets that came and have not been shown.
    unshown: Vec<u8>,
}

impl Line {
    pub(super) const fn new(profile: Option<&'static Profile>, over_tcp: bool) -> Self {
        Self { profile, over_tcp, sent: Vec::new(), unshown: Vec::new() }
    }

    /// The lines to print after `passed`.
    pub(super) fn take(&mut self, passed: Passed<'_>) -> Vec<String> {
        match passed {
            Passed::Sent(octets) => {
                let mut lines = self.rest();
                lines.push(format!("> {}", hex(octets)));
                lines.extend(self.first(octets, Side::Reader).map(|(said, _)| self.explained(&said)));
                self.sent = octets.to_vec();
                lines
            }
            Passed::Came(octets) => {
                self.unshown.extend_from_slice(octets);
                self.found()
            }
            Passed::CameDamaged(octet) => {
                self.unshown.push(octet);
                vec!["    damaged: the line reported a parity or framing error".to_owned()]
            }
        }
    }

    /// What is left when nothing more comes.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let mut lines = self.found();
        self.sent.clear();
        let count = self.unshown.len();
        if count > 0 {
            let why =
                if self.over_tcp { "no frame".to_owned() } else { no_frame(&self.unshown, Side::Meter) };
            lines.push(format!("< {}", hex(&take(&mut self.unshown, count))));
            lines.push(match why.as_str() {
                "no frame" => format!("    {count} octets that are no frame"),
                _ => format!("    damaged: {why}"),
            });
        }
        lines
    }

    /// The frame that octets begin with.
    fn first(&self, octets: &[u8], side: Side) -> Option<(Said, usize)> {
        if self.over_tcp {
            let frame = tcp::Frame::parse(octets).ok()?;
            return Some((Said::of(frame.unit, frame.pdu, side)?, frame.octets()));
        }
        let (frame, length) = modbus::rtu::Frame::first(octets, side).ok()?;
        Some((Said::of(frame.unit, frame.pdu, side)?, length))
    }

    fn found(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let echo = self.sent.len();
        if echo > 0 && self.unshown.starts_with(&self.sent) {
            lines.push(format!("< {}", hex(&take(&mut self.unshown, echo))));
            lines.push("    the request itself: the adapter echoes".to_owned());
            self.sent.clear();
        }
        loop {
            if let Some((said, length)) = self.first(&self.unshown, Side::Meter) {
                lines.push(format!("< {}", hex(&take(&mut self.unshown, length))));
                lines.push(self.explained(&said));
                continue;
            }
            // What stands before a whole frame is of none.
            let noise = match pieces(&self.unshown, Side::Meter).collect::<Vec<_>>().as_slice() {
                [Piece::Noise(noise), Piece::Frame(..), ..] if !self.over_tcp => noise.len(),
                _ => return lines,
            };
            lines.push(format!("< {}", hex(&take(&mut self.unshown, noise))));
            lines.push(format!("    {noise} octets that are no frame"));
        }
    }

    /// The frame in words, with the name of the register that is asked for.
    fn explained(&self, said: &Said) -> String {
        match said {
            Said::Asked(request) => {
                let name = request.span().and_then(|span| named(self.profile, span));
                format!("    {request}{}", name.map(|name| format!("  ({name})")).unwrap_or_default())
            }
            Said::Answered(reply) => format!("    {reply}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: [u8; 8] = [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB];
    const ANSWER: [u8; 9] = [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38];

    #[test]
    fn an_echo_noise_and_the_answer_are_told_apart_however_they_come() {
        let mut line = Line::new(Profile::named("eastron-sdm630").ok(), false);
        let asked = line.take(Passed::Sent(&ASKED));
        assert_eq!(
            asked,
            [
                "> 01 04 00 00 00 02 71 CB",
                "    unit 1, read input registers (04), 0000+2  (voltage_l1 A相电压)"
            ]
        );
        let came = [&ASKED[..], &[0x00, 0xFF], &ANSWER].concat();
        let mut lines: Vec<String> =
            came.iter().flat_map(|octet| line.take(Passed::Came(&[*octet]))).collect();
        lines.extend(line.rest());
        assert_eq!(
            lines,
            [
                "< 01 04 00 00 00 02 71 CB",
                "    the request itself: the adapter echoes",
                "< 00 FF",
                "    2 octets that are no frame",
                "< 01 04 04 43 66 33 34 1B 38",
                "    unit 1, read input registers (04): 4366 3334",
            ]
        );
    }

    #[test]
    fn a_damaged_answer_is_shown_with_its_crc_once_nothing_more_comes() {
        let mut line = Line::new(None, false);
        let mut damaged = ANSWER;
        damaged[4] ^= 1;
        assert!(line.take(Passed::Came(&damaged)).is_empty());
        assert_eq!(line.rest(), ["< 01 04 04 43 67 33 34 1B 38", "    damaged: CRC is 1B38, computed 4AF8"]);
    }
}
