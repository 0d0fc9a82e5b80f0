//! Whether the wall clock can be trusted, for the buses and for the status.

use crate::clock::{Clock, Distrust, Kernel, trusted};
use crate::config::Plan;
use crate::mqtt;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often the clock is judged.
const JUDGE: Duration = Duration::from_secs(1);
/// How often the kernel is asked about its clock while there is nothing to wait for.
const ASK_KERNEL: Duration = Duration::from_secs(60);

pub(super) type Trusted = watch::Receiver<Result<(), Distrust>>;

/// Judges the clock once a second, for the buses and for the status.
pub(super) fn judge(
    mut in_force: watch::Receiver<Arc<Plan>>,
    clock: &Clock,
    newest: watch::Receiver<Option<Timestamp>>,
    mut stop: watch::Receiver<bool>,
) -> (JoinHandle<()>, Trusted, watch::Receiver<mqtt::Status>) {
    let clock = clock.clone();
    let trust = in_force.borrow_and_update().gateway.clock;
    let verdict =
        move |kernel: Kernel, clock: &Clock, trust| trusted(clock.now(), *newest.borrow(), kernel, trust);
    let mut kernel = clock.kernel();
    let first = verdict(kernel, &clock, trust);
    say_verdict(first);
    let (trust_in, trust_out) = watch::channel(first);
    let (status_in, status_out) = watch::channel(mqtt::Status { distrust: first.err() });
    let task = tokio::spawn(async move {
        let mut asked = clock.elapsed();
        loop {
            tokio::select! {
                biased;
                stopped = stop.changed() => if stopped.is_err() || *stop.borrow() { return },
                // The configuration says how much is asked for.
                Ok(()) = in_force.changed() => {}
                () = tokio::time::sleep(JUDGE) => {}
            }
            if kernel == Kernel::Waiting || clock.elapsed() - asked >= ASK_KERNEL {
                kernel = clock.kernel();
                asked = clock.elapsed();
            }
            let trust = in_force.borrow_and_update().gateway.clock;
            let now = verdict(kernel, &clock, trust);
            let changed = trust_in.send_if_modified(|before| {
                let other = before.is_ok() != now.is_ok();
                *before = now;
                other
            });
            if changed {
                say_verdict(now);
                status_in.send_replace(mqtt::Status { distrust: now.err() });
            }
        }
    });
    (task, trust_out, status_out)
}

fn say_verdict(verdict: Result<(), Distrust>) {
    match verdict {
        Ok(()) => tracing::info!("the clock is trusted: slots open"),
        Err(why) => tracing::warn!(%why, "the clock is not trusted: no slot opens until it is set"),
    }
}
