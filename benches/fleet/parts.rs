//! The parts of the bench `fleet`, for benches that use some of them.

#[path = "broker.rs"]
pub(crate) mod broker;
#[path = "daemon.rs"]
pub(crate) mod daemon;
#[path = "emulator.rs"]
pub(crate) mod emulator;
#[path = "onlooker.rs"]
pub(crate) mod onlooker;
#[path = "options.rs"]
pub(crate) mod options;
#[path = "poller.rs"]
pub(crate) mod poller;
#[path = "process.rs"]
pub(crate) mod process;
#[path = "run.rs"]
pub(crate) mod run;
#[path = "work.rs"]
pub(crate) mod work;
