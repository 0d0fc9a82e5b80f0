//! The command line: one file a subcommand. It prints; it never decides about readings.

mod check;
mod read;
mod run;
mod simulate;
mod trace;
mod watch;

#[cfg(feature = "demo")]
mod demo;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Reads electricity meters on RS-485 lines (DL/T 645) and publishes their readings over MQTT.
#[derive(Debug, Parser)]
#[command(name = "meterd", version, about, max_term_width = 100)]
struct Arguments {
    /// What to log: error, warn, info, debug, trace (METERD_LOG in the environment goes before it)
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: poll the meters and publish their readings
    Run(run::RunArgs),
    /// Prove a configuration without hardware and print the plan
    Check(check::CheckArgs),
    /// Read registers of meters once, without a configuration
    Read(read::ReadArgs),
    /// Be virtual meters on a virtual line
    Simulate(simulate::SimulateArgs),
    /// Show it all on this machine: virtual meters, a broker, the daemon, the readings
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Watch readings as they arrive over MQTT, one line each
    Watch(watch::WatchArgs),
}

/// Exit code for wrong usage, as clap has it.
const USAGE: u8 = 2;

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = arguments.log.as_deref().unwrap_or(match arguments.command {
        Command::Run(_) => "info",
        Command::Check(_) | Command::Read(_) | Command::Simulate(_) | Command::Watch(_) => "warn",
        // The demo's broker calls every closed connection an error.
        #[cfg(feature = "demo")]
        Command::Demo(_) => "warn,rumqttd=off",
    });
    if let Err(bad) = crate::telemetry::start_log(level) {
        return fail(USAGE, &bad.to_string());
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return fail(1, &format!("the system gives no event loop: {e}")),
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Run(args) => run::run(args).await,
            Command::Check(args) => check::run(&args),
            Command::Read(args) => read::run(args).await,
            Command::Simulate(args) => simulate::run(args).await,
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(args).await,
            Command::Watch(args) => watch::run(args).await,
        }
    });
    ended.unwrap_or_else(|e| fail(1, &format!("{e:#}")))
}

/// Says why on standard error.
#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
fn fail(code: u8, why: &str) -> ExitCode {
    eprintln!("meterd: {why}");
    ExitCode::from(code)
}

/// Ends when the user or the supervisor says so: SIGINT or SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
    Ok(())
}
