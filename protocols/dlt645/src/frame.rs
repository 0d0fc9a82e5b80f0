//! One frame.

/// A checked view over exactly one frame, 68H to 16H.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a>(&'a [u8]);

impl<'a> Frame<'a> {
    /// The octets from 68H to 16H.
    pub fn octets(&self) -> &'a [u8] {
        self.0
    }
}
