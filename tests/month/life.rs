//! Lives of the gateway: each a runtime of its own on paused time, whose end is a cut of its power.

use crate::fleet::{self, OnBus};
use crate::ledger::Ledger;
use crate::nights::Nights;
use jiff::Timestamp;
use meterd::clock::Clock;
use meterd::config::plan_from_text;
use meterd::daemon::{Daemon, Running};
use meterd::simulator::{Dice, in_memory_with};
use std::path::Path;
use std::time::Duration;

/// What all lives have in common.
pub(crate) struct Plant<'a> {
    pub(crate) fleet: &'a [OnBus],
    pub(crate) buses: usize,
    pub(crate) nights: &'a Nights,
    pub(crate) data: &'a Path,
    pub(crate) seed: u64,
}

/// How often the broker signs for what there is.
const SIGNS: Duration = Duration::from_secs(10);
/// Messages that it signs for at once.
const AT_ONCE: usize = 5000;

impl Plant<'_> {
    /// The gateway runs from one instant to another; what the broker signs for goes into the ledger. The last life ends in
    /// order.
    pub(crate) fn live(&self, (from, to): (Timestamp, Timestamp), is_last: bool, ledger: &mut Ledger<'_>) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = Clock::virtual_at(from);
            let running = self.start(&clock, from);
            let mut committed = running.store().committed();
            let end = clock.instant(Duration::try_from(to.duration_since(from)).unwrap());
            while clock.now() < to {
                let signs = async {
                    if let Some(back) = self.nights.broker_is_back(clock.now()) {
                        let away = Duration::try_from(back.duration_since(clock.now())).unwrap();
                        tokio::time::sleep(away).await;
                    }
                    committed.changed().await.unwrap();
                    tokio::time::sleep(SIGNS).await;
                };
                if tokio::time::timeout_at(end, signs).await.is_ok() {
                    sign(&running, ledger).await;
                }
            }
            if is_last {
                while sign(&running, ledger).await {}
                running.stop().await;
            }
        });
    }

    fn start(&self, clock: &Clock, from: Timestamp) -> Running {
        let text = fleet::configuration(self.fleet, self.buses, self.data);
        let plan = match plan_from_text("month.toml", &text, self.data) {
            Ok(loaded) => loaded.plan,
            Err(faults) => panic!("{faults}"),
        };
        let mut dice = Dice::new(self.seed ^ from.as_second().unsigned_abs());
        let mut daemon = Daemon::new(plan, clock.clone()).without_broker();
        for bus in 0..self.buses {
            let pair = fleet::line(self.fleet, bus, dice.roll());
            let (opener, _) = in_memory_with(pair, clock.clone(), 0, self.nights.of_line(bus));
            daemon = daemon.with_line(bus, opener);
        }
        daemon.start().unwrap()
    }
}

/// Signs for what is in the outbox; whether there was any.
async fn sign(running: &Running, ledger: &mut Ledger<'_>) -> bool {
    let pending = running.store().offer(0, AT_ONCE).await.unwrap();
    pending.iter().for_each(|pending| ledger.take(pending));
    let numbers: Vec<u64> = pending.iter().map(|pending| pending.seq).collect();
    running.store().forget(numbers).await.unwrap();
    !pending.is_empty()
}
