//! One task per RS-485 line (总线): it alone talks on the line, one exchange at a time.
//!
//! [`port`] is where octets come and go, [`exchange`] one question with all that may come back,
//! [`talk`] a question with its retries, [`round`] all that is wanted of one meter, [`task`] the
//! order of rounds. What the answers teach is pure: [`timing`] how long to wait, [`refusals`] what not to ask
//! for, [`standing`] who answers at all, [`noise`] how much the line damages, [`habits`] in what a meter keeps its
//! values; [`learned`] keeps it over restarts. [`reports`] tells which active reports are news, [`energies`] by what the
//! next energy is judged. [`clock_check`] measures a clock, [`clocks`] tells whose is off, [`sync`] what may be broadcast
//! to all of a line. [`freeze`] and [`profile`] are visits for what meters keep. A bus never waits for the network, and
//! never believes a reply because it came.

pub mod change;
pub mod clock_check;
pub mod clocks;
pub mod energies;
pub mod exchange;
pub mod freeze;
pub mod habits;
pub mod learned;
pub mod noise;
pub mod port;
pub mod profile;
pub mod refusals;
mod renumber;
pub mod reports;
pub mod round;
pub mod settlements;
pub mod share;
pub mod standing;
pub mod sync;
pub mod talk;
pub mod task;
pub mod timing;
pub mod visit;
