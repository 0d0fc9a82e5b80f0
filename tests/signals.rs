//! What signals do to the daemon as a process: SIGHUP reads its configuration anew, SIGTERM ends it within 5 s with
//! everything that was read on disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "a test fails loudly")]

#[path = "support/process.rs"]
mod process;

use meterd::clock::Clock;
use meterd::simulator::{self, Scenario};
use meterd::store::{Pending, Writer};
use process::{METERD, Notices, Running, Signal, is_there};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// A folder with all that a daemon has, and its log.
struct Site {
    folder: TempDir,
    heard: Notices,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let heard = Notices(UnixDatagram::bind(folder.path().join("notify")).unwrap());
        Self { folder, heard }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration: broker, and name, port, number of meters of each bus.
    fn write(&self, mqtt: &str, buses: &[(&str, SocketAddr, usize)], every: &str) {
        let mut text = format!(
            "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\ndata_dir = \"store\"\nclock = \"set\"\n[mqtt]\n{mqtt}\n"
        );
        for (name, port, meters) in buses {
            text += &format!(
                "[[bus]]\nname = \"{name}\"\nport = \"tcp://{port}\"\nlatency = \"20ms\"\nbaud = 9600\n"
            );
            for address in 1..=*meters {
                text += &format!(
                    "[[meter]]\nname = \"{name}-{address}\"\nbus = \"{name}\"\naddress = \"{address}\"\n"
                );
            }
        }
        text += &format!(
            "[[task]]\nname = \"t\"\nevery = \"{every}\"\nregisters = [\"active_energy_import\", \"voltage_l1\"]\n"
        );
        fs::write(self.path("meterd.toml"), text).unwrap();
    }

    fn start(&self, before: &[&str]) -> Running {
        let mut words = before.iter().copied().chain([METERD, "run", "--config"]);
        let child = Command::new(words.next().unwrap())
            .args(words)
            .arg(self.path("meterd.toml"))
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env_remove("METERD_LOG")
            .stderr(Stdio::from(File::create(self.path("log")).unwrap()))
            .spawn()
            .unwrap();
        let running = Running(child);
        self.heard.until("READY=1");
        running
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Has the configuration read anew; the lines of the log that this brought.
    fn reload(&self, running: &Running) -> Vec<String> {
        let before = self.log().lines().count();
        running.tell(Signal::HUP);
        let said = self.heard.until("RELOADING=1");
        assert!(said.last().is_some_and(|said| said.starts_with("MONOTONIC_USEC=")), "{said:?}");
        self.heard.until("READY=1");
        self.log().lines().skip(before).map(str::to_owned).collect()
    }

    /// The data messages that the store has, once the daemon has ended.
    fn kept(&self) -> Vec<Pending> {
        let mut writer = Writer::open(&self.path("store")).unwrap();
        let all = writer.offer(0, 1_000_000).unwrap();
        all.into_iter().filter(|pending| pending.topic.ends_with("/data/t")).collect()
    }

    /// Every slot that a bus opened has a message of each of its meters, and none has two; the store has as many
    /// readings and failures as the daemon says that it took, and some of both.
    fn all_accounted_for(&self, buses: &[(&str, SocketAddr, usize)]) {
        let mut slots: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        let (mut readings, mut failures) = (0, 0);
        for pending in self.kept() {
            let meter = pending.topic.split('/').rev().nth(2).unwrap().to_owned();
            let (bus, at) =
                (meter.split_once('-').unwrap().0.to_owned(), pending.body.find("\"slot\":\"").unwrap() + 8);
            let slot = pending.body[at..at + 19].to_owned();
            readings += pending.body.matches("\"taken_at\"").count();
            failures += pending.body.matches("\"reason\"").count();
            let meters = slots.entry(bus).or_default().entry(slot).or_default();
            assert!(meters.insert(meter), "said twice: {}", pending.body);
        }
        for (bus, _, meters) in buses {
            let of_bus = slots.get(*bus).unwrap_or_else(|| panic!("nothing of {bus}"));
            for (slot, said) in of_bus {
                assert_eq!(said.len(), *meters, "of {bus} at {slot}: {said:?}");
            }
        }
        let log = self.log();
        let ended = log.lines().find(|line| line.contains("meterd has ended")).expect("it says so");
        assert!(
            ended.contains(&format!("readings={readings} failures={failures} ")),
            "{readings} {failures}: {ended}"
        );
        assert!(readings > 20 && failures > 20, "{ended}");
    }
}

/// A port at which nobody listens.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Takes connections and never says a word.
fn mute() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<TcpStream>>());
    at
}

/// A broker that takes clients in and signs for nothing; how many octets it got.
fn frozen_broker() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, got) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&got);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut octets = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut octets) {
                // CONNECT is answered by CONNACK of MQTT 5 (clause 3.2) without properties.
                if octets[0] == 0x10 && stream.write_all(&[0x20, 3, 0, 0, 0]).is_err() {
                    break;
                }
                count.fetch_add(n, Ordering::SeqCst);
            }
        }
    });
    (at, got)
}

/// Waits until this is so.
async fn at_work(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}

/// A line with so many meters.
async fn line(meters: usize) -> (simulator::Running, SocketAddr) {
    let text: String = (1..=meters).map(|address| format!("[[meter]]\naddress = \"{address}\"\n")).collect();
    let scenario = Scenario::parse("signals", &text).unwrap();
    let listen = "tcp://127.0.0.1:0".parse().unwrap();
    let line = simulator::spawn(scenario.line(), &listen, Clock::system(), 1_000_000).await.unwrap();
    let at = line.bound().port_address().to_string().strip_prefix("tcp://").unwrap().parse().unwrap();
    (line, at)
}

#[test]
fn sighup_brings_all_of_a_new_configuration_into_force_or_nothing_and_says_so() {
    let site = Site::new();
    let (broker, a, b) = (closed(), closed(), closed());
    let mqtt = format!("url = \"mqtt://{broker}\"");
    site.write(&mqtt, &[("a", a, 1)], "1s");
    let mut daemon = site.start(&[]);
    let in_force = |lines: &[String]| -> Vec<String> {
        let said = lines.iter().filter_map(|line| line.split_once("another configuration is in force: "));
        said.map(|(_, said)| said.split("; archive").next().unwrap().to_owned()).collect()
    };

    site.write(&mqtt, &[("b", b, 2), ("a", a, 1)], "1s");
    let said = site.reload(&daemon);
    assert_eq!(
        in_force(&said),
        ["buses: 1 go on, 1 new (b); meters: 2 new; tasks: 1 changed (t)"],
        "{said:?}"
    );

    fs::write(site.path("meterd.toml"), "[gateway]\nid = \"a/b\"\ntimezone = \"Nowhere\"\n").unwrap();
    let said = site.reload(&daemon);
    assert_eq!(in_force(&said), Vec::<String>::new());
    for part in ["meterd.toml:2:6: ", "meterd.toml:3:12: ", "the old one stays in force"] {
        assert!(said.iter().any(|line| line.contains(part)), "{part} in {said:?}");
    }

    site.write(&format!("{mqtt}\nprefix = \"other\""), &[("a", a, 1)], "1s");
    let text = fs::read_to_string(site.path("meterd.toml")).unwrap();
    fs::write(site.path("meterd.toml"), text.replace("\"store\"", "\"elsewhere\"")).unwrap();
    let said = site.reload(&daemon);
    assert!(said.iter().any(|line| line.contains("data_dir cannot change")), "{said:?}");
    assert_eq!(in_force(&said), Vec::<String>::new());

    fs::write(site.path("meterd.toml"), text).unwrap();
    let said = site.reload(&daemon);
    assert_eq!(
        said.iter().filter_map(|line| line.split_once("another configuration is in force: ")).count(),
        1,
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|line| line.contains("1 ended (b)") && line.ends_with("the MQTT session begins anew")),
        "{said:?}"
    );
    daemon.tell(Signal::TERM);
    assert_eq!(daemon.ended_in_time().and_then(|status| status.code()), Some(0), "{}", site.log());
    assert_eq!(site.log().matches("connecting to the broker").count(), 2, "once more for the new prefix");
}

#[tokio::test]
async fn sigterm_ends_it_in_time_with_nothing_lost_under_load_with_a_frozen_broker_and_hanging_lines() {
    let site = Site::new();
    let ((broker, got), (line, at)) = (frozen_broker(), line(12).await);
    let buses = [("live", at, 12), ("mute", mute(), 12), ("gone", closed(), 12)];
    site.write(&format!("url = \"mqtt://{broker}\""), &buses, "5s");
    let mut daemon = site.start(&[]);
    at_work("a second round is under way", || line.sent().len() > 30 && got.load(Ordering::SeqCst) > 30_000)
        .await;
    daemon.tell(Signal::TERM);
    let ended = tokio::task::spawn_blocking(move || daemon.ended_in_time()).await.unwrap();
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", site.log());
    site.all_accounted_for(&buses);
    assert!(!site.log().contains(" lost"), "{}", site.log());
}

#[tokio::test]
async fn sigterm_ends_it_in_time_with_nothing_lost_on_a_disk_that_takes_most_of_a_second_for_every_commit() {
    if !is_there("strace") {
        return;
    }
    let site = Site::new();
    let ((broker, got), (line, at)) = (frozen_broker(), line(12).await);
    let names: Vec<String> = (0..30).map(|number| format!("gone{number}")).collect();
    let gone = names.iter().map(|name| (name.as_str(), closed(), 12));
    let buses: Vec<_> = gone.chain([("live", at, 12)]).collect();
    site.write(&format!("url = \"mqtt://{broker}\""), &buses, "5s");
    let calls = site.path("calls");
    let slow = ["strace", "-f", "-qq", "-e", "trace=fdatasync,fsync", "-e"];
    let inject = "inject=fdatasync,fsync:delay_enter=700000";
    let before: Vec<&str> = slow.into_iter().chain([inject, "-o", calls.to_str().unwrap()]).collect();
    let mut daemon = site.start(&before);
    at_work("a second round is under way", || line.sent().len() > 30 && got.load(Ordering::SeqCst) > 30_000)
        .await;
    daemon.tell_child(Signal::TERM);
    let ended = tokio::task::spawn_blocking(move || daemon.ended_in_time()).await.unwrap();
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", site.log());
    site.all_accounted_for(&buses);
    assert!(!site.log().contains(" lost"), "{}", site.log());
}

#[tokio::test]
async fn a_second_sigterm_ends_it_at_once() {
    let site = Site::new();
    let (broker, got) = frozen_broker();
    site.write(&format!("url = \"mqtt://{broker}\""), &[("a", closed(), 1)], "1s");
    let mut daemon = site.start(&[]);
    at_work("something waits for its receipt", || got.load(Ordering::SeqCst) > 1_000).await;
    daemon.tell(Signal::TERM);
    site.heard.until("STOPPING=1");
    daemon.tell(Signal::TERM);
    let ended = tokio::task::spawn_blocking(move || daemon.ended_in_time()).await.unwrap();
    assert_eq!(ended.and_then(|status| status.code()), Some(1), "{}", site.log());
    assert!(
        site.log().contains("told twice to end") && !site.log().contains("meterd has ended"),
        "{}",
        site.log()
    );
}
