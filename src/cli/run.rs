//! `meterd run`: the daemon, until SIGTERM or SIGINT.

use crate::clock::Clock;
use crate::config;
use crate::daemon::{Daemon, Running};
use anyhow::Context;
use sd_notify::NotifyState;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(after_help = END)]
pub(super) struct RunArgs {
    /// Configuration 配置文件
    #[arg(long, value_name = "FILE", default_value = "/etc/meterd/meterd.toml")]
    config: PathBuf,
}

const END: &str = "\
SIGTERM or Ctrl-C ends it within 5 s; what was read is stored, and published
after the next start. systemd is told READY, and its watchdog is fed while every
line moves. The log goes to standard error.";

pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(faults) => return Ok(super::faulty(&faults, "nothing was started")),
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let running = Daemon::new(loaded.plan, Clock::system()).start()?;
    notify(&[NotifyState::Ready]);
    let mut interrupted = Box::pin(super::interrupted());
    loop {
        tokio::select! {
            ended = &mut interrupted => {
                ended.context("signals cannot be waited for")?;
                break;
            }
            () = tokio::time::sleep(watchdog()) => feed(&running),
        }
    }
    notify(&[NotifyState::Stopping]);
    let (counts, sent) = running.stop().await;
    tracing::info!(
        readings = counts.readings,
        failures = counts.failures,
        published = sent.published,
        signed_for = sent.signed_for,
        "meterd has ended; what the broker has not signed for is kept"
    );
    Ok(ExitCode::SUCCESS)
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
