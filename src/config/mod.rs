//! The configuration: what is written, what is proved, and every fault between the two.

mod plan;

pub use plan::*;
