//! Registers wanted of a meter to the fewest exchanges, and what these cost on the line. Pure.
//!
//! It knows nothing of ports, schedules or of what the meter will answer; a block that a meter has
//! refused is handed in and left out.

mod ask;
mod kept;
mod line;
mod spans;

pub use ask::{Ask, Costs, Subject, plan, replan};
pub use kept::Plans;
pub use line::{BadCharFormat, BadLine, CharFormat, Line, Parity, RATES, frame_gap};
