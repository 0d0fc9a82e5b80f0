//! The meter's side: from a request to the frame that a meter answers.
use crate::{Address, Di, ErrorWord};
use alloc::vec::Vec;

/// Answers one frame as the meter `own` would; `None` where a meter stays silent (another address, broadcast,
/// a reply, a frame that is damaged). `octets` appends the octets of a register or block after its DI (before
/// +33H), or refuses. The answer has no FE before it.
pub fn answer(
    _own: Address,
    _frame: &crate::frame::Frame<'_>,
    _octets: impl FnOnce(Di, &mut Vec<u8>) -> Result<(), ErrorWord>,
) -> Option<Vec<u8>> {
    unimplemented!()
}
