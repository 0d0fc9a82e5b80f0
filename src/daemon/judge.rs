//! Whether the wall clock can be trusted, and whether it was stepped.

use crate::clock::{Clock, Distrust, Kernel, Steps, trusted};
use crate::config::Plan;
use crate::event::{Event, Kind, Of};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How often the clock is judged.
const JUDGE: Duration = Duration::from_secs(1);
/// How often the kernel is asked about its clock while there is nothing to wait for.
const ASK_KERNEL: Duration = Duration::from_secs(60);
/// Two clocks that took longer to look at were not looked at together.
const TOGETHER: Duration = Duration::from_millis(500);

/// A time service slews the clock by less in minutes; after more the lines look at what is due.
const SLEWED: SignedDuration = SignedDuration::from_millis(500);

/// The verdict; sent again, even if it is the same, when the clock was stepped.
pub(super) type Trusted = watch::Receiver<Result<(), Distrust>>;

/// Judges the clock once a second; says in `events` when it was stepped.
pub(super) fn judge(
    mut in_force: watch::Receiver<Arc<Plan>>,
    clock: &Clock,
    newest: watch::Receiver<Option<Timestamp>>,
    events: mpsc::Sender<Event>,
    mut stop: watch::Receiver<bool>,
) -> (JoinHandle<()>, Trusted) {
    let clock = clock.clone();
    let trust = in_force.borrow_and_update().gateway.clock;
    let verdict =
        move |kernel: Kernel, clock: &Clock, trust| trusted(clock.now(), *newest.borrow(), kernel, trust);
    let mut kernel = clock.kernel();
    let first = verdict(kernel, &clock, trust);
    say_verdict(first);
    let (trust_in, trust_out) = watch::channel(first);
    let task = tokio::spawn(async move {
        let mut asked = clock.elapsed();
        let mut steps = Steps::default();
        let mut known = (asked, clock.now());
        loop {
            look_for_step(&mut steps, &clock, &events);
            tokio::select! {
                biased;
                stopped = stop.changed() => if stopped.is_err() || *stop.borrow() { return },
                // The configuration says how much is asked for.
                Ok(()) = in_force.changed() => {}
                // At a full second, as other daemons wake: a small machine sleeps longer so.
                () = tokio::time::sleep(JUDGE.saturating_sub(since_second(&clock))) => {}
            }
            if kernel == Kernel::Waiting || clock.elapsed() - asked >= ASK_KERNEL {
                kernel = clock.kernel();
                asked = clock.elapsed();
            }
            let trust = in_force.borrow_and_update().gateway.clock;
            let now = verdict(kernel, &clock, trust);
            let stepped = is_stepped(&mut known, &clock);
            let mut changed = false;
            trust_in.send_if_modified(|before| {
                changed = before.is_ok() != now.is_ok();
                *before = now;
                changed || stepped
            });
            if changed {
                say_verdict(now);
            }
        }
    });
    (task, trust_out)
}

fn since_second(clock: &Clock) -> Duration {
    Duration::from_nanos(clock.elapsed().subsec_nanos().into())
}

/// Whether the wall clock went on otherwise than the monotonic one since `known`, which is then what is known from here on.
fn is_stepped(known: &mut (Duration, Timestamp), clock: &Clock) -> bool {
    let (elapsed, wall) = (clock.elapsed(), clock.now());
    let gone = SignedDuration::try_from(elapsed.saturating_sub(known.0)).unwrap_or(SignedDuration::MAX);
    let stepped = (wall.duration_since(known.1) - gone).abs() > SLEWED;
    if stepped {
        *known = (elapsed, wall);
    }
    stepped
}

fn look_for_step(steps: &mut Steps, clock: &Clock, events: &mpsc::Sender<Event>) {
    let (elapsed, wall) = (clock.elapsed(), clock.now());
    if clock.elapsed() - elapsed > TOGETHER {
        return;
    }
    let Some((before, after)) = steps.look(elapsed, wall) else { return };
    tracing::warn!(%before, %after, "the clock was stepped");
    let event = Event { of: Of::Gateway, at: after, kind: Kind::ClockStepped { before, after } };
    if let Err(lost) = events.try_send(event) {
        tracing::error!(%lost, "an event is lost: the store takes nothing");
    }
}

fn say_verdict(verdict: Result<(), Distrust>) {
    match verdict {
        Ok(()) => tracing::info!("the clock is trusted: slots open"),
        Err(why) => tracing::warn!(%why, "the clock is not trusted: no slot opens until it is set"),
    }
}
