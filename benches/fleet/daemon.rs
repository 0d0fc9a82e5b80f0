//! The daemon as it is installed: a process with a configuration, a store and a broker.

use super::broker::Broker;
use super::work::{self, Kind, Work};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It has ended within this when it was asked to.
const END: Duration = Duration::from_secs(10);
/// A port that nobody listens on.
const NOBODY: u16 = 1;

/// A daemon that ends with this.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts it on the store in `folder`, where its files are, and with a broker or with none that answers.
    pub(crate) fn start(
        folder: &Path,
        work: &Work,
        ports: &[u16],
        meters: usize,
        broker: Option<&Broker>,
    ) -> Self {
        let settings = folder.join("meterd.toml");
        std::fs::write(&settings, configuration(work, ports, broker)).expect("the folder can be written");
        std::fs::write(folder.join("meters.csv"), archive(ports.len(), meters, work.kind))
            .expect("the folder can be written");
        let log = File::create(folder.join("log")).expect("the folder can be written");
        let child = Command::new(env!("CARGO_BIN_EXE_meterd"))
            .args(["run", "--config"])
            .arg(settings)
            .env_remove("METERD_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("meterd starts");
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it runs.
    pub(crate) fn runs(&mut self, folder: &Path) {
        while !log(folder).contains("meterd runs") {
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "meterd ended: {}", log(folder));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self, folder: &Path) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        let begin = Instant::now();
        let ended = loop {
            if let Some(ended) = self.child.try_wait().expect("it is our child") {
                break ended;
            }
            assert!(begin.elapsed() < END, "meterd does not end: {}", log(folder));
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(ended.success(), "meterd ended with {ended}: {}", log(folder));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the daemon logged.
pub(crate) fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn configuration(work: &Work, ports: &[u16], broker: Option<&Broker>) -> String {
    let registers: Vec<String> = work.registers.iter().map(|name| format!("\"{name}\"")).collect();
    let (mqtt, version) = broker.map_or((NOBODY, 5), |broker| (broker.port, broker.version));
    let (every, registers) = (work.every_s, registers.join(", "));
    let mut text = format!(
        "[gateway]\nid = \"fleet\"\ntimezone = \"UTC\"\ndata_dir = \"store\"\nclock = \"set\"\n\
         meter_files = [\"meters.csv\"]\n[mqtt]\nurl = \"mqtt://127.0.0.1:{mqtt}\"\nversion = {version}\n\
         [[task]]\nname = \"live\"\nevery = \"{every}s\"\nregisters = [{registers}]\n"
    );
    for (line, port) in ports.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "[[bus]]\nname = \"line-{line}\"\nport = \"tcp://127.0.0.1:{port}\"\nbaud = {}\n",
            work.line.baud
        );
    }
    text
}

fn archive(lines: usize, meters: usize, kind: Kind) -> String {
    let wiring = match kind {
        Kind::Block => "",
        Kind::ThreePhase => "3p4w",
    };
    let mut text = "name,bus,address,wiring\n".to_owned();
    for meter in 0..meters {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "meter-{meter},line-{},{},{wiring}", meter % lines, work::address(meter));
    }
    text
}
