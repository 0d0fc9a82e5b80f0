//! Other processes: started, asked, measured by what the system says of them, and ended.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// This program in another role. It ends with this.
#[derive(Debug)]
pub(crate) struct Part {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) ports: Vec<u16>,
}

/// Says the ports, as [`Part::start`] waits for them.
#[expect(clippy::print_stdout, reason = "the other process reads it")]
pub(crate) fn ready(ports: &[u16]) {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    println!("{}", ports.join(","));
}

/// One line to who asked.
#[expect(clippy::print_stdout, reason = "the other process reads it")]
pub(crate) fn answer_to(line: &str) {
    println!("{line}");
}

impl Part {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(role: &str, args: &[String]) -> Self {
        let own = std::env::current_exe().expect("the bench has a path");
        let mut child = Command::new(own)
            .arg(role)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bench starts itself");
        let orders = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut part = Self { child, orders, answers, ports: Vec::new() };
        part.ports = part.line().split(',').filter_map(|port| port.parse().ok()).collect();
        part
    }

    /// Sends a line and takes the answer.
    pub(crate) fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").expect("the part runs");
        self.line()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the part speaks UTF-8");
        assert!(!line.is_empty(), "a part of the bench ended: {:?}", self.child.try_wait());
        line.trim_end().to_owned()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process so far, in user and kernel mode, with its threads that have ended. The ticks of /proc/PID/stat
/// are too coarse for a poller that takes 1 % of a core.
#[allow(unsafe_code)]
pub(crate) fn cpu(pid: u32) -> Duration {
    let mut spent = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // The number that clock_getcpuclockid(3) makes of a process: its complement, and 2 for what the scheduler counted.
    let clock = (!(pid as libc::clockid_t) << 3) | 2;
    // SAFETY: the kernel writes one timespec, which is ours, or refuses the number.
    let refused = unsafe { libc::clock_gettime(clock, &raw mut spent) };
    assert_eq!(refused, 0, "the process {pid} runs");
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

/// A line of /proc/PID/status in KiB: VmRSS, VmHWM.
pub(crate) fn memory_kib(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).expect("a size in kB")
}
