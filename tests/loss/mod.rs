//! A gateway to be killed: virtual meters, `meterd run` as a process, a broker stub; and the account of what the
//! meters sent, what the store took and what the broker signed for.
#![allow(dead_code, reason = "each user takes its part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail loudly")]

pub(crate) mod account;
pub(crate) mod damage;
pub(crate) mod kills;
pub(crate) mod lines;
#[path = "../lines/oracle.rs"]
pub(crate) mod oracle;
pub(crate) mod plant;
pub(crate) mod stored;

#[path = "../support/disk/mod.rs"]
pub(crate) mod disk;
#[path = "../support/stub/mod.rs"]
pub(crate) mod stub;
