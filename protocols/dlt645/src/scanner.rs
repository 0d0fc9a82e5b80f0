//! Frames out of any stream.

use crate::frame::Frame;
use alloc::vec::Vec;

/// Finds frames in a stream of octets, however it is cut. Bounded by the longest frame.
#[derive(Debug, Default)]
pub struct Scanner {
    buffer: Vec<u8>,
}

impl Scanner {
    /// Takes octets; good ones.
    pub fn push(&mut self, _octets: &[u8]) {
        self.buffer.clear();
        unimplemented!()
    }
    /// The next frame, if one is whole.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        unimplemented!()
    }
}
