//! One gateway: its lines, its broker, its folder, and the daemon as a process.

use super::account::Account;
use super::disk::{Calls, Disk};
use super::lines::{Lines, meters_of};
use super::stored::Stored;
use super::stub::{Manners, Stub};
use meterd::simulator::Injection;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What is built.
#[derive(Clone, Debug)]
pub(crate) struct Design {
    /// The daemon's binary.
    pub(crate) daemon: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) lines: usize,
    /// Meters of each line.
    pub(crate) meters: usize,
    pub(crate) faults: Vec<Injection>,
    /// Of MQTT: 4 or 5.
    pub(crate) version: u8,
    pub(crate) seed: u64,
}

pub(crate) struct Plant {
    design: Design,
    dir: TempDir,
    pub(crate) lines: Lines,
    pub(crate) stub: Stub,
    pub(crate) account: Account,
    first_calls: Calls,
}

/// A daemon that ends with this.
pub(crate) struct Daemon {
    child: Child,
    started: Duration,
}

impl Plant {
    pub(crate) async fn build(design: Design) -> Self {
        let dir = TempDir::new().unwrap();
        let lines = Lines::start(design.lines, design.meters, &design.faults, design.seed).await;
        let stub = Stub::start(Manners::default()).await;
        std::fs::write(dir.path().join("meterd.toml"), configuration(&design, &lines, stub.port())).unwrap();
        for folder in ["store", "scratch"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let account = Account::of(!design.faults.is_empty());
        Self { design, dir, lines, stub, account, first_calls: Calls::default() }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Takes what is certain into the account while the daemon runs.
    pub(crate) fn glance(&mut self) {
        // What is published was sent before.
        let published = self.stub.take_done();
        self.account.book(&self.lines);
        self.account.take(&published);
    }

    fn counts(&self) -> PathBuf {
        self.dir.path().join("counts")
    }

    /// Starts the daemon, which writes to the disk as `plan` says.
    pub(crate) fn start(&self, plan: &str) -> Daemon {
        self.start_by(Command::new(&self.design.daemon), plan)
    }

    /// The same where `command` is what runs the daemon: its name and first arguments.
    pub(crate) fn start_by(&self, mut command: Command, plan: &str) -> Daemon {
        let log = File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        command
            .args(["run", "--config"])
            .arg(self.dir.path().join("meterd.toml"))
            .env_remove("METERD_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.design.disk.load(&mut command, &self.store(), &self.counts(), plan);
        Daemon { child: command.spawn().unwrap(), started: self.lines.elapsed() }
    }

    /// What the daemon that ran last wrote.
    pub(crate) fn calls(&self) -> Calls {
        Calls::read(&self.counts())
    }

    /// What the first daemon of this gateway wrote, from its start to its end.
    pub(crate) fn first_calls(&self) -> Calls {
        self.first_calls
    }

    /// All that daemons logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Forgets what was logged.
    pub(crate) fn clear_log(&self) {
        std::fs::write(self.dir.path().join("log"), "").unwrap();
    }

    /// Takes all of the last daemon into the account; it has ended.
    pub(crate) async fn settle(&mut self) {
        let all_over =
            |record: &super::stub::Record| record.connections.iter().all(|one| one.ended.is_some());
        if !self.stub.until(Duration::from_secs(20), all_over).await {
            self.account.wrong.push("a connection of a daemon that has ended stands on".to_owned());
        }
        if self.first_calls == Calls::default() {
            self.first_calls = self.calls();
        }
        self.account.book(&self.lines);
        let published = self.stub.take();
        self.account.take(&published);
        let wrong = self.stub.look(|record| record.wrong.clone());
        self.account
            .wrong
            .extend(wrong.into_iter().filter(|one| !self.account.wrong.contains(one)).collect::<Vec<_>>());
        match Stored::read(&self.store(), &self.dir.path().join("scratch"), self.account.after()) {
            Ok(found) => self.account.look(found),
            Err(e) => self.account.wrong.push(format!("the store cannot be read: {e}")),
        }
    }

    /// Runs the daemon, with a broker as it should be and a disk that works, until all that is stored was signed for.
    pub(crate) async fn drain(&mut self) {
        self.stub.set(Manners::default());
        for _ in 0..3 {
            let owed = self.account.missing();
            let daemon = self.start("");
            let signed = |record: &super::stub::Record| {
                // Numbers only grow: more than are owed, and the newest of them.
                record.published.iter().filter(|one| one.is_signed()).count() > owed.len()
            };
            self.stub.until(Duration::from_secs(30), signed).await;
            let ended = daemon.stop(Duration::from_secs(10)).await;
            self.settle().await;
            if !ended.is_some_and(|ended| ended.success()) {
                self.account.wrong.push(format!("after SIGTERM it ended with {ended:?}"));
            }
            if self.account.missing().is_empty() {
                break;
            }
        }
        self.account.close();
    }
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// When it was started, by the clock of the lines.
    pub(crate) fn started(&self) -> Duration {
        self.started
    }

    /// What sends it a signal, also while somebody else waits for its end.
    pub(crate) fn signal(&self) -> impl Fn(Signal) + Send + use<> {
        let pid = Pid::from_child(&self.child);
        move |signal| {
            // It may have ended a moment ago; it is not waited for before this is dropped.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks the processes that it started to end: itself is a tracer.
    pub(crate) fn signal_children(&self) {
        let own = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        for child in children.split_whitespace() {
            let _ = kill_process(Pid::from_raw(child.parse().unwrap()).unwrap(), Signal::TERM);
        }
    }

    /// Waits for its end; `None` if it runs on.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        let waited = tokio::time::timeout(limit, async {
            loop {
                if let Some(ended) = self.child.try_wait().unwrap() {
                    return ended;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        waited.await.ok()
    }

    /// Ends it by SIGTERM; `None` if it does not end in time.
    pub(crate) async fn stop(mut self, limit: Duration) -> Option<ExitStatus> {
        self.signal()(Signal::TERM);
        self.ended(limit).await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(design: &Design, lines: &Lines, broker: u16) -> String {
    let version = design.version;
    let mut text = format!(
        "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\ndata_dir = \"store\"\nclock = \"set\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\nversion = {version}\n\
         [[task]]\nname = \"live\"\nevery = \"1s\"\n\
         registers = [\"active_energy_import\", \"active_power\", \"frequency\"]\n"
    );
    for (line, port) in lines.ports().enumerate() {
        let port = format!("port = \"tcp://127.0.0.1:{port}\"\nbaud = 115200\nturnaround = \"5ms\"\n");
        // Writing to a String cannot fail.
        let _ = write!(text, "[[bus]]\nname = \"line-{line}\"\n{port}");
        for meter in meters_of(line, design.meters) {
            let _ = write!(
                text,
                "[[meter]]\nname = \"m{meter}\"\nbus = \"line-{line}\"\naddress = \"{meter}\"\n"
            );
        }
    }
    text
}

/// Where examples find the daemon: beside themselves, one folder up.
pub(crate) fn beside(example: &Path) -> Option<PathBuf> {
    let daemon = example.parent()?.parent()?.join("meterd");
    daemon.is_file().then_some(daemon)
}
