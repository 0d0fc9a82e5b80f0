//! How a tty marks damaged octets with PARMRK: FF 00 x is a damaged x, FF FF is FF (termios(3)).

use super::Received;

/// Where in a mark the last read ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Unmark {
    /// Outside a mark.
    #[default]
    Plain,
    /// After FF.
    Escaped,
    /// After FF 00.
    Marked,
}

impl Unmark {
    /// Takes octets as the tty gives them, cut anywhere.
    pub(super) fn take(&mut self, raw: &[u8], into: &mut Received) {
        for &octet in raw {
            *self = match (*self, octet) {
                (Self::Plain, 0xFF) => Self::Escaped,
                (Self::Plain, good) => {
                    into.push(&[good]);
                    Self::Plain
                }
                (Self::Escaped, 0x00) => Self::Marked,
                // FF FF; anything else after FF is no mark that a tty makes, so both octets stand.
                (Self::Escaped, 0xFF) => {
                    into.push(&[0xFF]);
                    Self::Plain
                }
                (Self::Escaped, other) => {
                    into.push(&[0xFF, other]);
                    Self::Plain
                }
                (Self::Marked, damaged) => {
                    into.push_damaged(damaged);
                    Self::Plain
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Piece;
    use super::*;

    #[test]
    fn marks_are_undone_however_the_stream_is_cut() {
        let raw = [0x68, 0xFF, 0xFF, 0x01, 0xFF, 0x00, 0xFF, 0xFF, 0x00, 0x16, 0x02];
        for cut in 0..=raw.len() {
            let (mut unmark, mut received) = (Unmark::default(), Received::default());
            unmark.take(&raw[..cut], &mut received);
            unmark.take(&raw[cut..], &mut received);
            let pieces: Vec<_> = received.pieces().collect();
            assert_eq!(
                pieces,
                [
                    Piece::Good(&[0x68, 0xFF, 0x01]),
                    Piece::Damaged(0xFF),
                    Piece::Damaged(0x16),
                    Piece::Good(&[0x02])
                ],
                "cut at {cut}"
            );
        }
    }
}
