//! The log: to standard error, which systemd keeps.

use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// A level or filter that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the log filter {text:?} is not understood: write error, warn, info, debug or trace ({source})")]
pub struct BadLevel {
    text: String,
    source: tracing_subscriber::filter::ParseError,
}

/// The filter of the log of this process, which has one.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts the log. `METERD_LOG` in the environment goes before `level`. Under systemd the journal
/// has the time, so lines carry none there.
///
/// # Errors
/// [`BadLevel`].
pub fn start_log(level: &str) -> Result<(), BadLevel> {
    let text = std::env::var("METERD_LOG").unwrap_or_else(|_| level.to_owned());
    let (filter, handle) = reload::Layer::new(filter(&text)?);
    let log = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(log.without_time()).try_init()
    } else {
        registry.with(log).try_init()
    };
    if started.is_err() || FILTER.set(handle).is_err() {
        tracing::debug!("the log was started before");
    }
    Ok(())
}

/// Sets how much the log says from now on; a restart forgets it.
///
/// # Errors
/// [`BadLevel`]; nothing is changed.
pub fn set_log(level: &str) -> Result<(), BadLevel> {
    let filter = filter(level)?;
    if let Some(Err(gone)) = FILTER.get().map(|handle| handle.reload(filter)) {
        tracing::warn!(%gone, "the log stays as it is");
    }
    Ok(())
}

fn filter(text: &str) -> Result<EnvFilter, BadLevel> {
    EnvFilter::builder().parse(text).map_err(|source| BadLevel { text: text.to_owned(), source })
}
