//! Registers wanted of a meter to the fewest exchanges, and their air time. Pure.

mod line;

pub use line::{BadCharFormat, CharFormat, Line, Parity, RATES};
