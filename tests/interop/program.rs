//! Programs that a test starts: their lines as they come, and their end. Dropping one kills it.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a test waits for a line before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs.
pub(crate) struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    complaints: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<String>,
    /// What it wrote to standard error.
    pub(crate) complaints: String,
}

impl Program {
    /// Starts it; its standard input stays open until it is dropped or waited for.
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        let (sender, lines) = mpsc::channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        each_line(out, move |line| drop(sender.send(line)));
        let complaints = Arc::<Mutex<String>>::default();
        let noted = Arc::clone(&complaints);
        let listener = each_line(err, move |line| writeln!(noted.lock().unwrap(), "{line}").unwrap());
        Self { name, child, lines, complaints, listener: Some(listener) }
    }

    /// Waits for a line that begins so, passing others over; what stands behind the beginning.
    pub(crate) fn line(&self, beginning: &str) -> String {
        loop {
            if let Some(rest) = self.next().unwrap_or_else(|| self.fail(beginning)).strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    /// How many lines that have come and were not asked for are this one.
    pub(crate) fn came(&self, line: &str) -> usize {
        self.lines.try_iter().filter(|came| came == line).count()
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it has written to standard error until now.
    pub(crate) fn complaints(&self) -> String {
        self.complaints.lock().unwrap().clone()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.child.stdin.take());
        let lines = std::iter::from_fn(|| self.next()).collect();
        let code = self.child.wait().unwrap().code();
        self.listener.take().unwrap().join().unwrap();
        Ended { code, lines, complaints: self.complaints() }
    }

    /// The next line; `None` when no more can come.
    fn next(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.fail("a line or its end"),
        }
    }

    fn fail(&self, wanted: &str) -> ! {
        panic!("waited in vain for {wanted:?} of {}\n{}", self.name, self.complaints());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, and needs not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn each_line(
    from: impl Read + Send + 'static,
    mut take: impl FnMut(String) + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).for_each(&mut take))
}

/// A Python that has these packages (`pymodbus, serial`); `None`, and a line that says so, where there is
/// none. With `CI=true` its absence is a failure.
pub(crate) fn python(packages: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop/bin/python");
    let python = match std::env::var_os("METERD_INTEROP_PYTHON") {
        Some(named) => named.into(),
        None if own.exists() => own,
        None => PathBuf::from("python3"),
    };
    let import =
        Command::new(&python).args(["-c", &format!("import {packages}")]).stderr(Stdio::null()).status();
    if import.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    let what = format!(
        "{} has not {packages}: python3 -m venv target/interop && \
         target/interop/bin/pip install -r tests/interop/requirements.txt",
        python.display()
    );
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}");
    eprintln!("left out: {what}");
    None
}

/// A script beside this file.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}
