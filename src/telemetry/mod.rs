//! What an operator sees of the daemon: the log and the counts.

mod counts;
mod log;

pub use counts::{Counts, Pulse, Snapshot};
pub use log::{BadLevel, set_log, start_log};
