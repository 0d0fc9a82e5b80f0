//! `meterd run`: the daemon, until SIGTERM or SIGINT; SIGHUP reads its configuration anew.

use super::Interrupts;
use crate::clock::Clock;
use crate::command::desk::Wish;
use crate::config::{self, Loaded, Sent};
use crate::daemon::{Changed, Daemon, Running};
use anyhow::Context;
use sd_notify::NotifyState;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, clap::Args)]
#[command(after_help = END)]
pub(super) struct RunArgs {
    /// Configuration 配置文件
    #[arg(long, value_name = "FILE", default_value = "/etc/meterd/meterd.toml")]
    config: PathBuf,
}

const END: &str = "\
SIGHUP reads the configuration anew: all of it comes into force, or none of it,
and the log says every fault. Lines that did not change are not disturbed.
SIGTERM or Ctrl-C ends it within 5 s; what was read is stored, and published
after the next start. A second one ends it at once. systemd is told READY and
RELOADING, and its watchdog is fed while every line moves. The log goes to
standard error.";

pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(faults) => return Ok(super::faulty(&faults, "nothing was started")),
    };
    warn(&loaded);
    let mut interrupts = Interrupts::new()?;
    let mut hang_up = signal(SignalKind::hangup()).context("signals cannot be waited for")?;
    let mut running = Daemon::new(loaded.plan, Clock::system()).start()?;
    notify(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            () = interrupts.next() => break,
            _ = hang_up.recv() => {
                reloading();
                tokio::select! {
                    renewed = renew(&args.config, &mut running) => say(renewed),
                    // To end needs no new configuration.
                    () = interrupts.next() => break,
                }
                notify(&[NotifyState::Ready]);
            }
            wish = running.wish() => {
                let Wish { sent, answer } = wish;
                tokio::select! {
                    answered = put_in_force(&args.config, sent, &mut running) => {
                        // The caller may be gone.
                        let _ = answer.send(answered);
                    }
                    () = interrupts.next() => break,
                }
            }
            () = tokio::time::sleep(watchdog()) => feed(&running),
        }
    }
    notify(&[NotifyState::Stopping]);
    let (counts, sent) = tokio::select! {
        ended = running.stop() => ended,
        () = interrupts.next() => {
            tracing::error!("told twice to end, meterd ends at once: what was not stored yet is lost");
            return Ok(ExitCode::FAILURE);
        }
    };
    tracing::info!(
        readings = counts.readings,
        failures = counts.failures,
        published = sent.published,
        signed_for = sent.signed_for,
        "meterd has ended; what the broker has not signed for is kept"
    );
    Ok(ExitCode::SUCCESS)
}

/// Brings an archive or tasks of the head-end into force, and keeps them beside the store for the next start.
///
/// # Errors
/// Every reason why the old ones stay in force.
async fn put_in_force(path: &Path, sent: Sent, running: &mut Running) -> Result<(), Vec<String>> {
    let (path, given) = (path.to_owned(), sent.clone());
    let loaded = tokio::task::spawn_blocking(move || config::load_with(&path, given)).await;
    let loaded = loaded.map_err(|died| vec![format!("the configuration could not be read: {died}")])?;
    let loaded = loaded.map_err(|faults| faults.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    warn(&loaded);
    let kept = sent.keep(&loaded.plan.gateway.data_dir).map_err(|why| vec![why])?;
    running.reload(loaded.plan).await.map_err(|refused| refused.0)?;
    kept.put_in_place().map_err(|why| vec![why])
}

/// Reads the configuration anew and brings it into force.
///
/// # Errors
/// Every reason why the old one stays in force.
async fn renew(path: &Path, running: &mut Running) -> Result<Changed, Vec<String>> {
    let path = path.to_owned();
    // It may be long, and the lines want to be heard meanwhile.
    let loaded = tokio::task::spawn_blocking(move || config::load(&path)).await;
    let loaded = loaded.map_err(|died| vec![format!("the configuration could not be read: {died}")])?;
    let loaded = loaded.map_err(|faults| faults.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    warn(&loaded);
    running.reload(loaded.plan).await.map_err(|refused| refused.0)
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

fn say(renewed: Result<Changed, Vec<String>>) {
    match renewed {
        // What has changed is said where it is changed.
        Ok(_) => {}
        Err(faults) => {
            for fault in &faults {
                tracing::error!("{fault}");
            }
            tracing::error!(
                faults = faults.len(),
                "the new configuration is refused; the old one stays in force"
            );
        }
    }
}

/// Tells the supervisor; systemd wants to know when it began.
fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[now, NotifyState::Reloading]),
        Err(e) => tracing::debug!("the supervisor was not told: {e}"),
    }
}

/// Half of what the supervisor allows, as sd_watchdog_enabled(3) advises.
fn watchdog() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_secs(10), |limit| limit / 2)
}

fn feed(running: &Running) {
    let stuck = running.stuck();
    if stuck.is_empty() {
        notify(&[NotifyState::Watchdog]);
    } else {
        tracing::error!(buses = stuck.join(", "), "buses stand still: the watchdog is not fed");
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::debug!("the supervisor was not told: {e}");
    }
}
