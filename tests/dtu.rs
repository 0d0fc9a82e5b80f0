//! DTUs that dial in to the daemon, in real time over the loopback: told apart by their registration,
//! with heartbeats wherever they fall.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use meterd::clock::Clock;
use meterd::config::{Plan, PortAddress};
use meterd::daemon::{Daemon, Running};
use meterd::mqtt::payload::{self, DataMessage};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{asked, plan, reply, until};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Registers that no block read covers, so that each is a frame of its own.
const REGISTERS: [&str; 4] = ["voltage_l1", "active_energy_import", "02800002", "current_l1"];

/// Buses on one port, each with these keys and one meter, whose address is the same on all of them.
fn configuration(dir: &Path, buses: &[&str]) -> Plan {
    let mut text =
        "[gateway]\nid = \"gw01\"\ntimezone = \"UTC\"\nclock = \"set\"\ndata_dir = \"$DATA\"\n".to_owned();
    for (index, keys) in buses.iter().enumerate() {
        text += &format!(
            "[[bus]]\nname = \"bus{index}\"\nport = \"tcp-listen://127.0.0.1:9001\"\nbaud = 115200\n{keys}\n\
             [[meter]]\nname = \"m{index}\"\nbus = \"bus{index}\"\naddress = \"1\"\nwiring = \"1p2w\"\n"
        );
    }
    text += &format!("[[task]]\nname = \"live\"\nevery = \"1s\"\nregisters = {REGISTERS:?}\n");
    let mut plan = plan(&text, dir);
    for bus in &mut plan.buses {
        bus.port = PortAddress::Listen("127.0.0.1:0".parse().unwrap());
    }
    plan
}

struct Bench {
    daemon: Running,
    at: SocketAddr,
    _dir: TempDir,
}

impl Bench {
    fn start(buses: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let plan = configuration(dir.path(), buses);
        let daemon = Daemon::new(plan, Clock::system()).without_broker().start().unwrap();
        let at = daemon.listening().bound(0).unwrap();
        for bus in 0..buses.len() {
            assert_eq!(daemon.listening().bound(bus), Some(at), "one port for all");
        }
        Self { daemon, at, _dir: dir }
    }

    /// A connection that has said this.
    async fn dial(&self, said: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(said).await.unwrap();
        stream
    }

    /// All messages of a meter until now, oldest first.
    async fn messages(&self, meter: &str) -> Vec<DataMessage> {
        let store = self.daemon.store();
        let pending = store.offer(0, 100_000).await.unwrap();
        let message = |p: &meterd::store::Pending| payload::compose(&store.id(), p.seq, &p.body);
        let data = pending.iter().filter(|p| p.topic.contains("/data/"));
        let messages = data.map(|p| DataMessage::parse(&message(p)).unwrap());
        messages.filter(|m| m.body.meter == meter).collect()
    }

    /// Waits until the messages of this meter are as wanted.
    async fn heard(
        &self,
        what: &str,
        meter: &str,
        wanted: impl Fn(&[DataMessage]) -> bool,
    ) -> Vec<DataMessage> {
        for _ in 0..4000 {
            let messages = self.messages(meter).await;
            if wanted(&messages) {
                return messages;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited in vain until {what}: {:#?}", self.messages(meter).await.last());
    }
}

fn voltage(message: &DataMessage) -> Option<String> {
    message
        .body
        .readings
        .iter()
        .find(|r| r.register == "voltage_l1")
        .and_then(|r| r.value.as_ref())
        .map(ToString::to_string)
}

/// The meter's answer; its voltage is 220.n V.
fn answer(request: &[u8], n: u8) -> Vec<u8> {
    let (di, address) = asked(request);
    let octets: &[u8] = match di.as_str() {
        "02010100" => &[n, 0x22],
        "00010000" => &[0x45, 0x28, 0x41, 0x00],
        "02800002" => &[0x98, 0x49],
        "02020100" => &[0x34, 0x12, 0x00],
        other => panic!("nobody asks for {other}"),
    };
    reply(&address, &di, octets)
}

/// Answers requests on a connection, with a heartbeat at another place of each answer, cut in two, and
/// another one now and then while nothing is asked. Ends with the connection.
async fn dtu(mut stream: TcpStream, n: u8, heartbeat: &'static [u8]) {
    let mut answered = 0;
    let mut heard = Vec::new();
    loop {
        let mut octets = [0; 512];
        let came = tokio::time::timeout(Duration::from_millis(90), stream.read(&mut octets)).await;
        let sent = match came {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(count)) => {
                heard.extend_from_slice(&octets[..count]);
                if heard.last() != Some(&0x16) {
                    continue;
                }
                let frame = answer(&heard, n);
                heard.clear();
                answered += 1;
                let (head, tail) = frame.split_at(answered % (frame.len() + 1));
                // Cut inside the heartbeat, and the rest of it glued to the rest of the frame.
                let cut = answered % heartbeat.len();
                let first = [head, &heartbeat[..cut]].concat();
                let second = [&heartbeat[cut..], tail].concat();
                say(&mut stream, &[&first, &second]).await
            }
            Err(_) => say(&mut stream, &[&heartbeat[..1], &heartbeat[1..]]).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Each piece in a segment of its own.
async fn say(stream: &mut TcpStream, pieces: &[&[u8]]) -> io::Result<()> {
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        stream.write_all(piece).await?;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    Ok(())
}

#[tokio::test]
async fn three_dtus_on_one_port_are_three_buses() {
    let bench = Bench::start(&[
        "registration = \"DTU-0001\"\nheartbeat = \"beat\"",
        // A heartbeat that begins and ends like a frame, and one of a single octet that values hold.
        "registration_hex = \"0A0B\"\nheartbeat_hex = \"6816\"",
        "registration = \"DTU-0003\"\nheartbeat_hex = \"FE\"",
    ]);
    let before = bench.heard("the first slot is over", "m0", |messages| !messages.is_empty()).await;
    for failure in &before[0].body.failures {
        assert_eq!(failure.reason.word(), "port_gone");
        assert_eq!(failure.detail, "no DTU has dialled in with registration \"DTU-0001\"");
    }
    assert!(before[0].body.readings.is_empty());

    // Glued to heartbeats before and behind it; octet by octet; with the half of a heartbeat behind it.
    let first = bench.dial(b"beatbeatDTU-0001beat").await;
    let mut second = bench.dial(&[]).await;
    say(&mut second, &[&[0x68], &[0x16], &[0x0A], &[0x0B]]).await.unwrap();
    let mut third = bench.dial(b"DTU-0003\xFE").await;
    third.flush().await.unwrap();
    let dtus: Vec<JoinHandle<()>> = vec![
        tokio::spawn(dtu(first, 0x01, b"beat")),
        tokio::spawn(dtu(second, 0x02, &[0x68, 0x16])),
        tokio::spawn(dtu(third, 0x03, &[0xFE])),
    ];
    for (meter, value) in [("m0", "220.1"), ("m1", "220.2"), ("m2", "220.3")] {
        let read = |m: &&DataMessage| !m.body.readings.is_empty();
        let messages = bench
            .heard("seven slots are read", meter, |messages| messages.iter().filter(read).count() >= 7)
            .await;
        for message in messages.iter().skip_while(|m| m.body.readings.is_empty()) {
            assert_eq!(message.body.failures, [], "{meter}");
            assert_eq!(message.body.readings.len(), REGISTERS.len());
            assert_eq!(voltage(message).as_deref(), Some(value), "{meter}");
        }
    }
    bench.daemon.stop().await;
    for dtu in dtus {
        dtu.await.unwrap();
    }
    TcpStream::connect(bench.at).await.expect_err("the port is free again");
}

#[tokio::test]
async fn a_second_connection_of_a_dtu_replaces_the_first() {
    let bench = Bench::start(&["registration = \"DTU-0001\""]);
    let first = bench.dial(b"DTU-0001").await;
    // The first one stays up and would go on answering.
    let first = tokio::spawn(answers(first, 0x01));
    bench.heard("the first is read", "m0", |m| m.iter().filter_map(voltage).any(|v| v == "220.1")).await;
    let second = bench.dial(b"DTU-0001").await;
    let second = tokio::spawn(answers(second, 0x02));
    let messages = bench
        .heard("the second is read", "m0", |messages| {
            messages.iter().filter_map(voltage).filter(|v| v == "220.2").count() >= 3
        })
        .await;
    let newer = messages.iter().position(|m| voltage(m).as_deref() == Some("220.2")).unwrap();
    assert!(messages[newer..].iter().all(|m| voltage(m).as_deref() == Some("220.2")), "{messages:#?}");
    let last_of_first = messages.iter().rposition(|m| voltage(m).as_deref() == Some("220.1")).unwrap();
    // The exchange that was under way may be lost; the next slot is read by the new connection.
    assert!(newer - last_of_first <= 2, "{messages:#?}");
    first.await.unwrap();
    bench.daemon.stop().await;
    second.await.unwrap();
}

/// As [`dtu`], without heartbeats.
async fn answers(mut stream: TcpStream, n: u8) {
    let mut octets = [0; 512];
    while let Ok(count @ 1..) = stream.read(&mut octets).await {
        if stream.write_all(&answer(&octets[..count], n)).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_bus_that_is_alone_on_its_port_takes_whoever_dials_in() {
    let bench = Bench::start(&[""]);
    let dtu = tokio::spawn(answers(bench.dial(b"any registration").await, 0x07));
    bench
        .heard("it is read", "m0", |messages| messages.iter().filter_map(voltage).any(|v| v == "220.7"))
        .await;
    bench.daemon.stop().await;
    dtu.await.unwrap();
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn an_unknown_dtu_is_logged_once_with_its_packet() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .finish();
    // For this thread, which is the whole runtime of this test.
    let _guard = tracing::subscriber::set_default(subscriber);

    let bench = Bench::start(&["registration = \"DTU-0001\"", "registration = \"DTU-0002\""]);
    let unknown: [&[u8]; 2] = [b"IMEI \"8601\"\r\n", &[0x00, 0x01, 0xFF]];
    let mut held = Vec::new();
    for _ in 0..3 {
        for packet in unknown {
            let (head, tail) = packet.split_at(2);
            let mut stream = bench.dial(head).await;
            stream.write_all(tail).await.unwrap();
            held.push(stream);
        }
    }
    let shown = until("both are logged", || {
        let lines = log.lines("an unknown DTU has dialled in");
        (lines.len() >= 2).then_some(lines)
    })
    .await;
    // A known one behind them: what came before it has been heard.
    let known = tokio::spawn(answers(bench.dial(b"DTU-0001").await, 1));
    bench.heard("the known one is read", "m0", |m| m.iter().any(|m| voltage(m).is_some())).await;
    assert_eq!(log.lines("an unknown DTU has dialled in").len(), 2, "{shown:#?}");
    let text = shown.iter().find(|line| line.contains("IMEI")).unwrap();
    assert!(text.contains("registration_hex = \"494D45492022383630312\u{32}0D0A\""), "{text}");
    assert!(shown.iter().any(|line| line.contains("registration_hex = \"0001FF\"")), "{shown:#?}");

    // What the log says can be copied into the configuration as it is.
    let written =
        text.split("its first packet is ").nth(1).unwrap().split(" or registration_hex").next().unwrap();
    let second = Bench::start(&[written]);
    let dtu = tokio::spawn(answers(second.dial(unknown[0]).await, 5));
    second.heard("it is read", "m0", |m| m.iter().filter_map(voltage).any(|v| v == "220.5")).await;
    bench.daemon.stop().await;
    second.daemon.stop().await;
    known.await.unwrap();
    dtu.await.unwrap();
}
