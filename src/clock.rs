//! Time as a value that is handed down; the only place in the program that asks for `now`.
//!
//! A [`Clock`] gives monotonic time (tokio's, so that a paused runtime moves it) and wall time. A
//! virtual clock's wall time is its start plus tokio's elapsed time plus the steps of a test. It
//! never sleeps on its own: timers are tokio's.

use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// When this version was released. No wall time before it can be right (2026-11-01T00:00Z).
const RELEASED: i64 = 1_793_491_200;

/// Wall and monotonic time; clones share their steps.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    wall: Wall,
}

#[derive(Clone, Debug)]
enum Wall {
    System,
    Virtual { start: Timestamp, stepped_ms: Arc<AtomicI64>, is_unattended: Arc<AtomicBool> },
}

impl Clock {
    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn system() -> Self {
        Self { origin: Instant::now(), wall: Wall::System }
    }

    /// A clock that shows `start` now and goes on with tokio's time, paused or not.
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn virtual_at(start: Timestamp) -> Self {
        let (stepped_ms, is_unattended) = (Arc::default(), Arc::default());
        Self { origin: Instant::now(), wall: Wall::Virtual { start, stepped_ms, is_unattended } }
    }

    /// Wall time, as the machine believes it.
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn now(&self) -> Timestamp {
        match &self.wall {
            Wall::System => Timestamp::now(),
            Wall::Virtual { start, stepped_ms, .. } => {
                let stepped = SignedDuration::from_millis(stepped_ms.load(Ordering::Relaxed));
                let gone = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::MAX);
                start.saturating_add(gone).and_then(|t| t.saturating_add(stepped)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Monotonic time since this clock was made; no step of the wall clock moves it.
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(self.origin)
    }

    /// The instant for tokio's timers at which [`Clock::elapsed`] will be `elapsed`.
    pub fn instant(&self, elapsed: Duration) -> Instant {
        self.origin + elapsed
    }

    /// Steps the wall time of a virtual clock; a system clock is the system's to step.
    pub fn step(&self, by: SignedDuration) {
        match &self.wall {
            Wall::System => {}
            Wall::Virtual { stepped_ms, .. } => {
                stepped_ms.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
            }
        }
    }

    /// Says of a virtual clock that no time service keeps it; of a system clock the kernel says it.
    pub fn leave_unattended(&self) {
        match &self.wall {
            Wall::System => {}
            Wall::Virtual { is_unattended, .. } => is_unattended.store(true, Ordering::Relaxed),
        }
    }

    /// What the kernel says of the clock; a virtual clock is synchronised unless a test says otherwise.
    pub fn kernel(&self) -> Kernel {
        match &self.wall {
            Wall::System => kernel::state(),
            Wall::Virtual { is_unattended, .. } if is_unattended.load(Ordering::Relaxed) => {
                Kernel::Unattended
            }
            Wall::Virtual { .. } => Kernel::Synchronised,
        }
    }
}

/// A change of the clock from here on is a step; a time service slews by less than 1 ms in a second.
const STEP: SignedDuration = SignedDuration::from_secs(2);

/// Finds steps of the wall clock by looks at both clocks. Pure.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    last: Option<(Duration, Timestamp)>,
}

impl Steps {
    /// A look; what the wall clock would have shown and what it shows, if it was stepped by 2 s or more since the last.
    pub fn look(&mut self, elapsed: Duration, wall: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (then, shown) = self.last.replace((elapsed, wall))?;
        let gone = SignedDuration::try_from(elapsed.saturating_sub(then)).unwrap_or(SignedDuration::MAX);
        let due = shown.saturating_add(gone).unwrap_or(Timestamp::MAX);
        (wall.duration_since(due).abs() >= STEP).then_some((due, wall))
    }
}

/// Whether a time service has set the kernel's clock since boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    /// A time service says that the clock is right.
    Synchronised,
    /// A time service runs and has not yet set the clock.
    Waiting,
    /// No time service runs here, or the kernel may not be asked (a sandbox): nothing will ever say
    /// that the clock is right.
    Unattended,
}

/// Why wall time is not to be trusted: no slot opens then, commands still work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Distrust {
    /// The clock shows a time before this version was released, as a box without an RTC does.
    #[error("the clock shows {0}, before this version of meterd was released")]
    BeforeRelease(Timestamp),
    /// The clock shows a time before the newest reading in the store.
    #[error(
        "the clock shows {now}, earlier than the newest reading in the store, {newest}; set the clock, or say \
         clock = \"set\" under [gateway] if the clock is right and the store was written in a wrong time"
    )]
    BeforeStore {
        /// What the clock shows.
        now: Timestamp,
        /// The newest time in the store.
        newest: Timestamp,
    },
    /// The kernel has not been synchronised since boot although a time service runs.
    #[error("the time service has not set the clock since boot")]
    Unsynchronised,
}

/// How much of the kernel's word is asked for before slots open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// Wait for the time service where one runs; a box without one relies on its RTC.
    #[default]
    Auto,
    /// Wait for the kernel to be synchronised, whatever runs.
    Synchronised,
    /// Take the clock as it is, unless it shows a time before the release: also the way out of a store
    /// that was written while the clock ran ahead.
    Set,
}

/// How far behind the newest time in the store the clock may be: steps of a time service.
const TOLERATED_BACK: SignedDuration = SignedDuration::from_secs(60);

/// Judges wall time against the release, the newest time in the store and the kernel's word.
///
/// # Errors
/// The first reason not to trust it.
pub fn trusted(
    now: Timestamp,
    newest: Option<Timestamp>,
    kernel: Kernel,
    trust: Trust,
) -> Result<(), Distrust> {
    if now.as_second() < RELEASED {
        return Err(Distrust::BeforeRelease(now));
    }
    if let Some(newest) = newest
        && trust != Trust::Set
        && newest.duration_since(now) > TOLERATED_BACK
    {
        return Err(Distrust::BeforeStore { now, newest });
    }
    let waiting = match trust {
        Trust::Auto => kernel == Kernel::Waiting,
        Trust::Synchronised => kernel != Kernel::Synchronised,
        Trust::Set => false,
    };
    if waiting { Err(Distrust::Unsynchronised) } else { Ok(()) }
}

mod kernel {
    //! What the kernel and `/proc` say; read only, and only a few times a minute.

    use super::Kernel;

    /// Time services by the name that `/proc/PID/comm` gives (15 characters at most).
    const SERVICES: [&str; 6] = ["chronyd", "ntpd", "systemd-timesyn", "openntpd", "ntpd-rs", "ntp-daemon"];

    pub(super) fn state() -> Kernel {
        // SAFETY: adjtimex with modes = 0 only fills the struct that it is given, which lives here
        // and for which all-zero octets are a valid value (integers only).
        #[allow(unsafe_code)]
        let (state, status) = unsafe {
            let mut timex: libc::timex = std::mem::zeroed();
            (libc::adjtimex(&mut timex), timex.status)
        };
        if state >= 0 && state != libc::TIME_ERROR && status & libc::STA_UNSYNC == 0 {
            Kernel::Synchronised
        } else if state >= 0 && service_runs() {
            Kernel::Waiting
        } else {
            Kernel::Unattended
        }
    }

    fn service_runs() -> bool {
        let Ok(processes) = std::fs::read_dir("/proc") else { return false };
        processes
            .flatten()
            .filter_map(|p| std::fs::read_to_string(p.path().join("comm")).ok())
            .any(|comm| SERVICES.contains(&comm.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_wall_and_monotonic_alike_and_a_step_only_the_wall() {
        let clock = Clock::virtual_at(at("2026-11-21T00:00:00Z"));
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), at("2026-11-21T00:01:30Z"));
        clock.step(SignedDuration::from_hours(-1));
        assert_eq!(clock.now(), at("2026-11-20T23:01:30Z"));
        assert_eq!(clock.elapsed(), Duration::from_secs(90));
        assert_eq!(
            clock.instant(Duration::from_secs(90)).duration_since(clock.instant(Duration::ZERO)).as_secs(),
            90
        );
    }

    #[test]
    fn a_clock_that_starts_in_1970_is_not_trusted() {
        let early = at("1970-01-01T00:00:10Z");
        for trust in [Trust::Auto, Trust::Synchronised, Trust::Set] {
            assert_eq!(
                trusted(early, None, Kernel::Synchronised, trust),
                Err(Distrust::BeforeRelease(early))
            );
        }
    }

    #[test]
    fn a_clock_behind_the_store_is_not_trusted_until_it_has_caught_up() {
        let (now, newest) = (at("2026-11-21T00:00:00Z"), at("2026-11-21T00:05:00Z"));
        let distrust = trusted(now, Some(newest), Kernel::Synchronised, Trust::Auto);
        assert_eq!(distrust, Err(Distrust::BeforeStore { now, newest }));
        assert_eq!(trusted(newest, Some(newest), Kernel::Synchronised, Trust::Auto), Ok(()));
        assert_eq!(trusted(now, Some(newest), Kernel::Synchronised, Trust::Set), Ok(()), "the way out");
        assert_eq!(
            trusted(at("2026-11-21T00:04:30Z"), Some(newest), Kernel::Unattended, Trust::Auto),
            Ok(())
        );
    }

    #[test]
    fn an_unsynchronised_kernel_is_waited_for_only_where_someone_will_synchronise_it() {
        let now = at("2026-12-01T00:00:00Z");
        assert_eq!(trusted(now, None, Kernel::Waiting, Trust::Auto), Err(Distrust::Unsynchronised));
        assert_eq!(trusted(now, None, Kernel::Unattended, Trust::Auto), Ok(()));
        assert_eq!(
            trusted(now, None, Kernel::Unattended, Trust::Synchronised),
            Err(Distrust::Unsynchronised)
        );
        assert_eq!(trusted(now, None, Kernel::Waiting, Trust::Set), Ok(()));
    }
}
