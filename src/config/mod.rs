//! The configuration: what is written, what is proved, and every fault between the two.

mod air;
mod plan;

pub use air::{BusLoad, TaskLoad, air_time};
pub use plan::*;
