//! How complete a day is (采集成功率, 实抄率), and what was consumed in a period (用电量), from what the store knows.

mod consumption;
mod ends;
mod gather;
mod rate;

pub use consumption::{Balance, Consumption, End, Ends, Loss, OfPoint, Period, REGISTER, Used, consumption};
pub use ends::{NoPeriod, consumed};
pub use gather::{NoDay, gather};
pub use rate::{By, Counts, Customers, Fraction, Group, Missing, Report, TaskRate};
