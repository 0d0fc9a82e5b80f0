//! The log: to standard error, which systemd keeps.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// A level or filter that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the log filter {text:?} is not understood: write error, warn, info, debug or trace ({source})")]
pub struct BadLevel {
    text: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Starts the log. `METERD_LOG` in the environment goes before `level`. Under systemd the journal
/// has the time, so lines carry none there.
///
/// # Errors
/// [`BadLevel`].
pub fn start_log(level: &str) -> Result<(), BadLevel> {
    let text = std::env::var("METERD_LOG").unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::builder().parse(&text).map_err(|source| BadLevel { text, source })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let started = if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().try_init()
    } else {
        log.try_init()
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
    Ok(())
}
