//! Runs commands of the page with the built program, and ends them.

use crate::page::{ENGLISH, commands, only_block};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use tempfile::TempDir;

/// How long a program may take for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The meters of the page, on a pseudo-terminal.
pub(crate) const SIMULATE_SCENARIO: &str =
    "meterd simulate --scenario fixtures/scenarios/example.toml --listen pty:/tmp/bus1";

/// The words of a shown command, with places of this test for those of the page.
pub(crate) fn words(command: &str, places: &[(&str, &str)]) -> Vec<String> {
    assert!(commands(ENGLISH).iter().any(|c| c == command), "the page does not show {command}");
    let mut text = command
        .strip_prefix("cargo run --release -- ")
        .or(command.strip_prefix("meterd "))
        .unwrap()
        .to_owned();
    for (shown, here) in places {
        assert!(text.contains(shown), "{command} has no {shown}");
        text = text.replace(shown, here);
    }
    text.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
}

pub(crate) fn meterd(words: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meterd"));
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command.env_remove("METERD_LOG").env_remove("NOTIFY_SOCKET").env("TZ", "Asia/Shanghai");
    command
}

/// What a command that ends by itself did.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run(words: &[String]) -> Ended {
    let output = meterd(words).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Ended { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

/// A command that runs until it is told to end; killed with its test.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts it; its lines are those of its output and its error output together.
    pub(crate) fn start(words: &[String]) -> Self {
        Self::spawn(meterd(words))
    }

    /// The same for any command.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let ends: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for end in ends {
            let sender = sender.clone();
            std::thread::spawn(move || {
                // A line that is not read any more is of no interest.
                BufReader::new(end).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
            });
        }
        Self { child, lines }
    }

    /// The next line for which `wanted` holds; those before it are passed over.
    pub(crate) fn line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut passed = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => passed.push(line),
                Err(e) => panic!("{what}: {e}; it printed\n{}", passed.join("\n")),
            }
        }
    }

    /// SIGTERM or SIGINT; how it ended, and what it still printed.
    pub(crate) fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut rest = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => rest.extend([line.as_str(), "\n"]),
                Err(RecvTimeoutError::Disconnected) => return (self.child.wait().unwrap(), rest),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; it printed\n{rest}"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The meters of fixtures/scenarios/example.toml on a pseudo-terminal.
pub(crate) struct Line {
    _simulator: Running,
    pub(crate) port: String,
    _folder: TempDir,
}

impl Line {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let port = folder.path().join("bus1").display().to_string();
        let simulator = Running::start(&words(SIMULATE_SCENARIO, &[("/tmp/bus1", &port)]));
        simulator.line("ready", |line| line == format!("READY {port}"));
        Self { _simulator: simulator, port, _folder: folder }
    }
}

/// The configuration of the page in a file, with places of this test for those of the page.
pub(crate) fn configuration(folder: &Path, places: &[(&str, &str)]) -> String {
    let mut text = only_block("toml");
    for (shown, here) in places {
        assert!(text.contains(shown), "the configuration has no {shown}");
        text = text.replace(shown, here);
    }
    let path = folder.join("meterd.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
