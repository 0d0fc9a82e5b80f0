//! Requests and replies.
use crate::{Address, Di};

/// What a master asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// 11H: read data.
    Read {
        /// Whom; wildcard nibbles allowed.
        address: Address,
        /// What.
        di: Di,
    },
    /// 13H: read the address of the one meter on the line.
    ReadAddress,
}
