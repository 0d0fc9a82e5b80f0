//! The command line: one file a subcommand. It prints; it never decides about readings.

mod check;
mod decode;
mod modbus;
mod profiles;
mod protocol;
mod read;
mod registers;
mod report;
mod run;
mod simulate;
mod trace;
mod watch;

#[cfg(feature = "demo")]
mod demo;

use crate::config::Faults;
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Reads electricity meters on RS-485 lines (DL/T 645, Modbus) and publishes their readings over MQTT.
#[derive(Debug, Parser)]
#[command(name = "meterd", version, about, max_term_width = 80, after_help = TRY)]
struct Arguments {
    /// What to log: error, warn, info, debug or trace; METERD_LOG goes before it
    #[arg(long, global = true, value_name = "LEVEL", display_order = 900)]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: poll the meters, publish their readings 抄表
    Run(run::RunArgs),
    /// Prove a configuration without hardware, print its plan 检查配置
    Check(check::CheckArgs),
    /// Read registers of meters once, without a configuration 抄读
    Read(read::ReadArgs),
    /// Explain frames in hexadecimal text 报文解析
    Decode(decode::DecodeArgs),
    /// Search the registers by DI, name, OBIS code or words 数据项查询
    Registers(registers::RegistersArgs),
    /// List, show and test the profiles of meter models 表型
    Profiles(profiles::ProfilesArgs),
    /// Play meters on a virtual line 模拟电能表
    Simulate(simulate::SimulateArgs),
    /// Show it all here: virtual meters, a broker, the daemon 演示
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Say how complete a day is, which meters are missing 采集成功率
    Report(report::ReportArgs),
    /// Watch readings as they arrive over MQTT
    Watch(watch::WatchArgs),
}

#[cfg(feature = "demo")]
const TRY: &str = "Try it without hardware: meterd demo";
#[cfg(not(feature = "demo"))]
const TRY: &str = "Try it without hardware: meterd simulate --meters 3";

/// Exit code for wrong usage, as clap has it.
const USAGE: u8 = 2;

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = arguments.log.as_deref().unwrap_or(match arguments.command {
        Command::Run(_) => "info",
        Command::Check(_)
        | Command::Read(_)
        | Command::Decode(_)
        | Command::Registers(_)
        | Command::Profiles(_)
        | Command::Simulate(_)
        | Command::Report(_)
        | Command::Watch(_) => "warn",
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
            Command::Decode(args) => decode::run(&args),
            Command::Registers(args) => registers::run(&args),
            Command::Profiles(args) => profiles::run(args),
            Command::Simulate(args) => simulate::run(args).await,
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(args).await,
            Command::Report(args) => report::run(&args),
            Command::Watch(args) => watch::run(args).await,
        }
    });
    // What a blocking thread still waits for, a disk that hangs or standard input, holds nobody up.
    runtime.shutdown_background();
    ended.unwrap_or_else(|e| fail(1, &format!("{e:#}")))
}

/// Shows every fault of a configuration on a line of its own, as editors jump to them, and what
/// follows.
#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
fn faulty(faults: &Faults, so: &str) -> ExitCode {
    eprintln!("{faults}");
    let count = faults.0.len();
    let unread = faults.0.iter().any(|fault| fault.place.is_none());
    let other = if unread { "; --config FILE names another file" } else { "" };
    fail(1, &format!("{count} fault{} 处错误, {so}{other}", if count == 1 { "" } else { "s" }))
}

/// Says why on standard error.
#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
fn fail(code: u8, why: &str) -> ExitCode {
    eprintln!("meterd: {why}");
    ExitCode::from(code)
}

/// Prints text as it is. Whoever stopped reading (head, less) wanted no more of it.
///
/// # Errors
/// Standard output cannot be written for another reason, such as a full disk.
fn out(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The signals that end a command, SIGINT and SIGTERM; from now on none of them is lost.
struct Interrupts {
    int: Signal,
    term: Signal,
}

impl Interrupts {
    fn new() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("signals cannot be waited for");
        Ok(Self { int: of(SignalKind::interrupt())?, term: of(SignalKind::terminate())? })
    }

    /// Comes with the next of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}
