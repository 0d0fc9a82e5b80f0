//! How complete a day is (采集成功率, 实抄率), from what the store knows. Pure.

mod gather;
mod rate;

pub use gather::{NoDay, gather};
pub use rate::{By, Counts, Customers, Fraction, Group, Missing, Report, TaskRate};
