//! What holds for any input at all: the bodies of the fuzz targets (`fuzz/`), which `tests/corpus.rs` runs
//! over the committed corpus and over random octets as well.
//!
//! Each takes its input from one string of octets by [`Input`], which never runs dry: what is missing is 0.
#![allow(dead_code, unreachable_pub, reason = "each target uses one of them")]
#![allow(clippy::unwrap_used, reason = "what cannot be built or is not found fails the target")]

pub mod edition1997;
pub mod exchange;
pub mod formats;
pub mod scanner;

/// Takes an input apart.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn octet(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        let there = self.up_to(N);
        octets[..there.len()].copy_from_slice(there);
        octets
    }

    /// As many octets as the next one says.
    pub fn counted(&mut self) -> &'a [u8] {
        let len = self.octet();
        self.up_to(usize::from(len))
    }

    fn up_to(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
