//! The daemon as a process, and what it tells its supervisor.
#![allow(dead_code, reason = "each test that includes this uses a part of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail loudly")]

use rustix::process::{Pid, kill_process};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub(crate) use rustix::process::Signal;

pub(crate) const METERD: &str = env!("CARGO_BIN_EXE_meterd");

/// A process that ends with this.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Sends it a signal.
    pub(crate) fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Sends a signal to the one process that it has started.
    pub(crate) fn tell_child(&self, signal: Signal) {
        let own = self.0.id();
        let child = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        kill_process(Pid::from_raw(child.trim().parse().unwrap()).unwrap(), signal).unwrap();
    }

    /// Its exit, or `None` if it has not ended within 5 s.
    pub(crate) fn ended_in_time(&mut self) -> Option<ExitStatus> {
        for _ in 0..1000 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

/// False, said aloud, where a program that a test needs is not there.
pub(crate) fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) => status.success(),
        Err(e) => {
            assert!(std::env::var("CI").is_err(), "{program} is needed here: {e}");
            eprintln!("left out: {program} is not there ({e})");
            false
        }
    }
}

/// What the daemon tells its supervisor.
pub(crate) struct Notices(pub(crate) UnixDatagram);

impl Notices {
    /// Waits for a line; what came before it.
    pub(crate) fn until(&self, wanted: &str) -> Vec<String> {
        self.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut before = Vec::new();
        loop {
            let mut octets = [0; 4096];
            let n = match self.0.recv(&mut octets) {
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => panic!("{wanted} did not come ({e}); before it came {before:?}"),
            };
            for line in String::from_utf8_lossy(&octets[..n]).lines() {
                if line == wanted {
                    return before;
                }
                before.push(line.to_owned());
            }
        }
    }
}
