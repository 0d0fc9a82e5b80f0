//! The daemon and virtual meters on pseudo-terminals and TCP, in real time: what is published is what the
//! meters really sent, and a line that is lost and comes back disturbs nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

#[path = "lines/oracle.rs"]
mod oracle;

use meterd::clock::Clock;
use meterd::daemon::{Daemon, Running};
use meterd::mqtt::payload::{self, DataMessage};
use meterd::planner::Line;
use meterd::simulator::{self, Bound, Injection, Listen, Scenario};
use oracle::{PLACES, sent_for, text_in};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{asked, plan, reply};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::{SerialPort, SerialStream};

/// Answers that a line's log keeps: more than any of these tests has.
const KEPT: usize = 10_000;

/// A configuration of two lines with two meters each, read once a second.
fn configuration(dir: &Path, serial: &Path, tcp: &str, registers: &[&str]) -> meterd::config::Plan {
    let serial = serial.display();
    let meters: String = [("p1", "serial", 1), ("p2", "serial", 2), ("t1", "dtu", 3), ("t2", "dtu", 4)]
        .map(|(name, bus, address)| {
            format!(
                "[[meter]]\nname = \"{name}\"\nbus = \"{bus}\"\naddress = \"{address}\"\nwiring = \"3p4w\"\n"
            )
        })
        .concat();
    let text = format!(
        r#"
        gateway = {{ id = "gw01", timezone = "Asia/Shanghai", clock = "set", data_dir = "$DATA/store" }}
        [[bus]]
        name = "serial"
        port = "{serial}"
        baud = 115200
        frame = "8E1"
        [[bus]]
        name = "dtu"
        port = "{tcp}"
        baud = 115200
        {meters}
        [[task]]
        name = "live"
        every = "1s"
        registers = {registers:?}
        "#
    );
    plan(&text, dir)
}

/// A virtual line with these meters, three-phase and with these further keys.
async fn line(listen: &Listen, addresses: [u8; 2], keys: &str) -> simulator::Running {
    let meters: String = addresses
        .map(|address| {
            format!("[[meter]]\naddress = \"{address}\"\nphases = 3\nenergy = \"1234.56\"\n{keys}\n")
        })
        .concat();
    let scenario = Scenario::parse("lines", &meters).unwrap();
    simulator::spawn(scenario.line(), listen, Clock::system(), KEPT).await.unwrap()
}

/// Both lines and the daemon that reads them.
struct Bench {
    serial: simulator::Running,
    tcp: simulator::Running,
    daemon: Running,
    dir: TempDir,
}

impl Bench {
    async fn start(registers: &[&str], keys: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let link = dir.path().join("bus1");
        let serial = line(&Listen::Pty(link.clone()), [1, 2], keys).await;
        let tcp = line(&"tcp://127.0.0.1:0".parse().unwrap(), [3, 4], keys).await;
        let plan = configuration(dir.path(), &link, &tcp.bound().port_address().to_string(), registers);
        let daemon = Daemon::new(plan, Clock::system()).without_broker().start().unwrap();
        Self { serial, tcp, daemon, dir }
    }

    /// Messages of a meter until now, oldest first.
    async fn messages(&self, meter: &str) -> Vec<DataMessage> {
        messages(&self.daemon).await.into_iter().filter(|m| m.body.meter == meter).collect()
    }

    /// Waits until the messages of this meter are as wanted.
    async fn heard(
        &self,
        what: &str,
        meter: &str,
        wanted: impl Fn(&[DataMessage]) -> bool,
    ) -> Vec<DataMessage> {
        heard(&self.daemon, what, meter, wanted).await
    }
}

async fn heard(
    daemon: &Running,
    what: &str,
    meter: &str,
    wanted: impl Fn(&[DataMessage]) -> bool,
) -> Vec<DataMessage> {
    for _ in 0..4000 {
        let mut messages = messages(daemon).await;
        messages.retain(|m| m.body.meter == meter);
        if wanted(&messages) {
            return messages;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain until {what}: {:#?}", messages(daemon).await.last());
}

/// All data messages that nobody has signed for.
async fn messages(daemon: &Running) -> Vec<DataMessage> {
    let store = daemon.store();
    let pending = store.offer(0, 100_000).await.unwrap();
    let message = |p: &meterd::store::Pending| payload::compose(&store.id(), p.seq, &p.body);
    let data = pending.iter().filter(|p| p.topic.contains("/data/"));
    data.map(|p| DataMessage::parse(&message(p)).unwrap()).collect()
}

#[tokio::test]
async fn readings_of_a_serial_and_of_a_tcp_line_are_what_their_meters_sent() {
    let bench = Bench::start(&PLACES.map(|place| place.register), "").await;
    for (meter, address, line) in [
        ("p1", "000000000001", &bench.serial),
        ("p2", "000000000002", &bench.serial),
        ("t1", "000000000003", &bench.tcp),
        ("t2", "000000000004", &bench.tcp),
    ] {
        let messages = bench.heard("four slots are read", meter, |messages| messages.len() >= 4).await;
        let mut clocks = BTreeSet::new();
        for message in messages {
            assert_eq!(message.body.address, address);
            assert_eq!((message.body.readings.len(), message.body.failures.len()), (PLACES.len(), 0));
            for reading in &message.body.readings {
                let value = reading.value.as_ref().unwrap().to_string();
                assert_eq!(value, sent_for(reading, address, &line.sent()), "{reading:?}");
                if reading.register == "clock_time" {
                    clocks.insert(value);
                }
            }
        }
        assert!(clocks.len() >= 3, "each slot has a value of its own: {clocks:?}");
    }
    bench.daemon.stop().await;
}

#[tokio::test]
async fn faults_of_a_serial_and_of_a_tcp_line_leave_only_values_that_the_meters_sent() {
    let dir = TempDir::new().unwrap();
    let link = dir.path().join("bus1");
    let faults =
        ["echo=0.5", "cut=0.1", "damaged=0.1", "stray=0.2", "glued=0.2", "silent=0.05", "refuse_blocks=0.2"];
    let injections = faults.map(|fault| fault.parse::<Injection>().unwrap());
    let rate = Line { baud: 115_200, ..Line::DEFAULT };
    let mut lines = Vec::new();
    for (listen, addresses) in
        [(Listen::Pty(link.clone()), [1, 2]), ("tcp://127.0.0.1:0".parse().unwrap(), [3, 4])]
    {
        let meters =
            addresses.map(|n| format!("[[meter]]\naddress = \"{n}\"\nphases = 3\nenergy = \"{n}234.56\"\n"));
        let scenario = Scenario::parse("faults", &meters.concat()).unwrap();
        let pair = scenario.pair().at(rate).with_faults(&injections, 3, false);
        lines.push(simulator::spawn(pair, &listen, Clock::system(), KEPT).await.unwrap());
    }
    let tcp = lines[1].bound().port_address().to_string();
    let plan = configuration(dir.path(), &link, &tcp, &PLACES.map(|place| place.register));
    let daemon = Daemon::new(plan, Clock::system()).without_broker().start().unwrap();
    for (meter, address, line) in [("p1", 1, 0), ("p2", 2, 0), ("t1", 3, 1), ("t2", 4, 1)] {
        let messages = heard(&daemon, "six slots are read", meter, |messages| messages.len() >= 6).await;
        let (address, sent) = (format!("{address:012}"), lines[line].sent());
        for message in &messages {
            assert_eq!(message.body.readings.len() + message.body.failures.len(), PLACES.len());
            for reading in &message.body.readings {
                let place = PLACES.iter().find(|place| place.register == reading.register).unwrap();
                let taken_at: jiff::Timestamp = reading.taken_at.parse().unwrap();
                let near = sent.iter().filter(|sent| {
                    sent.meter.to_string() == address
                        && taken_at.duration_since(sent.begun).abs() < jiff::SignedDuration::from_secs(1)
                });
                let own: Vec<_> = near.filter_map(|sent| text_in(place, &sent.said)).collect();
                assert!(own.contains(&reading.value.as_ref().unwrap().to_string()), "{reading:?}: {own:?}");
            }
        }
        assert!(messages.iter().any(|message| !message.body.readings.is_empty()));
    }
    daemon.stop().await;
}

/// A voltage whose reply by this meter has the checksum FF on the wire.
fn voltage_with_checksum_ff(address: &str) -> String {
    let bcd = |n: u16| u8::try_from(n / 10 % 10 * 16 + n % 10).unwrap();
    let sum_is_ff = |tenths: &u16| {
        let frame = reply(address, "02010100", &[bcd(*tenths), bcd(*tenths / 100)]);
        frame[frame.len() - 2] == 0xFF
    };
    let tenths = (1800..2600).find(sum_is_ff).unwrap();
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[tokio::test]
async fn octet_ff_passes_through_a_serial_line_that_marks_damage_with_it() {
    let voltages = [1, 2].map(|address| voltage_with_checksum_ff(&address.to_string()));
    // On the wire, with 33H added: FF FF; FF 00 45, which is how a damaged 45 is marked; 32 32.
    let raw = r#"raw = { "02010200" = "CCCC", "02020100" = "CCCD12", "02010300" = "FFFF" }"#;
    let dir = TempDir::new().unwrap();
    let link = dir.path().join("bus1");
    let meters: String = [1, 2]
        .map(|n| {
            let (voltage, preamble) = (&voltages[n - 1], [0, 32][n - 1]);
            format!(
                "[[meter]]\naddress = \"{n}\"\nphases = 3\nblocks = false\npreamble = {preamble}\n{raw}\n\
                 fixed = {{ voltage_l1 = \"{voltage}\" }}\n"
            )
        })
        .concat();
    let scenario = Scenario::parse("octets", &meters).unwrap();
    let serial =
        simulator::spawn(scenario.line(), &Listen::Pty(link.clone()), Clock::system(), KEPT).await.unwrap();
    let tcp = line(&"tcp://127.0.0.1:0".parse().unwrap(), [3, 4], "").await;
    let registers = ["voltage_l1", "voltage_l2", "voltage_l3", "current_l1"];
    let plan = configuration(dir.path(), &link, &tcp.bound().port_address().to_string(), &registers);
    let daemon = Daemon::new(plan, Clock::system()).without_broker().start().unwrap();
    for (meter, voltage) in [("p1", &voltages[0]), ("p2", &voltages[1])] {
        let messages = heard(&daemon, "two slots are read", meter, |messages| messages.len() >= 2).await;
        for DataMessage { body, .. } in &messages {
            let values: Vec<_> = body
                .readings
                .iter()
                .map(|r| (r.register.as_str(), r.value.as_ref().unwrap().to_string()))
                .collect();
            assert_eq!(values, [("voltage_l1", voltage.clone())], "{body:?}");
            let mut failures: Vec<_> = body
                .failures
                .iter()
                .map(|f| (f.register.as_str(), f.reason.word(), f.raw.as_deref().unwrap_or_default()))
                .collect();
            failures.sort_unstable();
            let expected = [
                ("current_l1", "implausible", "CCCD12"),
                ("voltage_l2", "implausible", "CCCC"),
                ("voltage_l3", "missing", "FFFF"),
            ];
            assert_eq!(failures, expected, "{body:?}");
        }
    }
    let on_the_wire = |octets: &[u8]| serial.sent().iter().any(|s| contains(&s.frame, octets));
    assert!(on_the_wire(&[0xFF, 0xFF]) && on_the_wire(&[0xFF, 0x00, 0x45]) && on_the_wire(&[0xFF, 0x16]));
    daemon.stop().await;
}

/// What stands before a reply on the wire, one after the other: nothing, FE and FF in all ways, a damage mark, a
/// beginning that is none.
const NOISE: [&[u8]; 6] = [
    &[],
    &[0xFF],
    &[0xFF, 0x00, 0x68],
    &[0xFF, 0xFF, 0xFE, 0xFF],
    &[0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFF, 0x00],
    &[0x68, 0x01, 0xFF],
];

/// Meters that answer each read with 220.1 V, behind noise.
async fn answer_behind_noise(mut wire: SerialStream) {
    // Four FE, twelve octets of the frame, four of the identifier.
    let mut request = [0; 20];
    let mut times: HashMap<String, usize> = HashMap::new();
    let mut last = String::new();
    for noise in NOISE.iter().cycle() {
        wire.read_exact(&mut request).await.unwrap();
        let (di, address) = asked(&request);
        // A noisy line is believed where two answers agree: each question is asked twice, and no third time.
        let times = if address == last {
            times.entry(address.clone()).or_default()
        } else {
            times.entry(address.clone()).insert_entry(0).into_mut()
        };
        *times += 1;
        assert!(*times <= 2, "asked {times} times: a reply behind noise was not heard");
        let mut octets = noise.to_vec();
        octets.extend(reply(&address, &di, &[0x01, 0x22]));
        wire.write_all(&octets).await.unwrap();
        last = address;
    }
}

#[tokio::test]
async fn noise_before_a_reply_costs_no_reading_on_a_serial_line() {
    let dir = TempDir::new().unwrap();
    let (wire, held) = SerialStream::pair().unwrap();
    let device = PathBuf::from(held.name().unwrap());
    let tcp = line(&"tcp://127.0.0.1:0".parse().unwrap(), [3, 4], "").await;
    let plan = configuration(dir.path(), &device, &tcp.bound().port_address().to_string(), &["voltage_l1"]);
    let daemon = Daemon::new(plan, Clock::system()).without_broker().start().unwrap();
    let mut meters = tokio::spawn(answer_behind_noise(wire));
    for meter in ["p1", "p2"] {
        // Two meters: each noise has had its turn after three slots.
        let messages = tokio::select! {
            messages = heard(&daemon, "three slots are read", meter, |messages| messages.len() >= 3) => messages,
            died = &mut meters => panic!("the meters died: {died:?}"),
        };
        for message in messages {
            let values: Vec<_> =
                message.body.readings.iter().map(|r| r.value.as_ref().unwrap().to_string()).collect();
            assert_eq!(values, ["220.1"], "{message:?}");
        }
    }
    daemon.stop().await;
    meters.abort();
    drop(held);
}

fn contains(frame: &[u8], octets: &[u8]) -> bool {
    frame.windows(octets.len()).any(|window| window == octets)
}

/// Nothing was read, since the port was gone.
fn is_port_gone(message: &DataMessage) -> bool {
    let failures = &message.body.failures;
    message.body.readings.is_empty() && failures.iter().all(|f| f.reason.word() == "port_gone")
}

fn is_read(message: &DataMessage) -> bool {
    message.body.failures.is_empty()
}

/// Takes a line away and puts it back; `lost` is a meter on it, `other` one that must not notice.
async fn lost_and_back(bench: &mut Bench, serial: bool, lost: &str, other: &str) {
    bench.heard("both lines are read", lost, |messages| messages.iter().any(is_read)).await;
    let before = bench.heard("both lines are read", other, |messages| messages.iter().any(is_read)).await;
    let at = if serial { &bench.serial } else { &bench.tcp }.bound().clone();
    let (listen, addresses) = match at {
        Bound::Pty { link, .. } => (Listen::Pty(link), [1, 2]),
        Bound::Tcp(at) => (Listen::Tcp { host: at.ip().to_string(), port: at.port() }, [3, 4]),
    };
    // The other line stands in until this one is there again.
    let elsewhere = Listen::Pty(bench.dir.path().join("elsewhere"));
    let place = if serial { &mut bench.serial } else { &mut bench.tcp };
    let gone = std::mem::replace(place, line(&elsewhere, addresses, "").await);
    gone.stop().await.unwrap();
    let gone = bench
        .heard("the port is gone", lost, |messages| messages.iter().filter(|m| is_port_gone(m)).count() >= 2)
        .await;
    let back = line(&listen, addresses, "").await;
    if serial {
        bench.serial = back;
    } else {
        bench.tcp = back;
    }
    let seen = gone.len();
    bench
        .heard("the line is read again", lost, |messages| {
            messages[seen..].iter().filter(|m| is_read(m)).count() >= 2
        })
        .await;
    let after = bench.messages(other).await;
    assert!(after.len() > before.len() + 2, "the other line goes on");
    assert!(after.iter().all(is_read), "and notices nothing: {after:#?}");
    let all = bench.messages(lost).await;
    let strange: Vec<_> = all.iter().filter(|m| !is_read(m) && !is_port_gone(m)).collect();
    // The exchange that was under way may have had some of its registers.
    assert!(strange.len() <= 1, "{strange:#?}");
}

#[tokio::test]
async fn a_serial_line_that_is_unplugged_is_read_again_when_it_is_back_and_disturbs_no_other() {
    let mut bench = Bench::start(&["voltage_l1", "clock_time"], "").await;
    lost_and_back(&mut bench, true, "p1", "t1").await;
    bench.daemon.stop().await;
}

#[tokio::test]
async fn an_adapter_that_comes_back_under_another_name_is_found_by_its_lasting_one() {
    let dir = TempDir::new().unwrap();
    let device = |name: &str| dir.path().join(name);
    let by_id = device("usb-FTDI_FT0ABCDE-if00-port0");
    let first = line(&Listen::Pty(device("ttyUSB0")), [1, 2], "").await;
    std::os::unix::fs::symlink(device("ttyUSB0"), &by_id).unwrap();
    let tcp = line(&"tcp://127.0.0.1:0".parse().unwrap(), [3, 4], "").await;
    let plan = configuration(dir.path(), &by_id, &tcp.bound().port_address().to_string(), &["voltage_l1"]);
    let daemon = Daemon::new(plan, Clock::system()).without_broker().start().unwrap();
    heard(&daemon, "it is read", "p1", |messages| messages.iter().any(is_read)).await;

    let Bound::Pty { device: before, .. } = first.bound().clone() else { panic!("a pty") };
    // Another adapter has taken the old name meanwhile: nobody answers there.
    let second = line(&Listen::Pty(device("ttyUSB1")), [1, 2], "").await;
    let Bound::Pty { device: now, .. } = second.bound().clone() else { panic!("a pty") };
    assert_ne!(now, before);
    first.stop().await.unwrap();
    std::fs::remove_file(&by_id).unwrap();
    let gone = heard(&daemon, "it is gone", "p1", |messages| messages.iter().any(is_port_gone)).await;
    let held = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let held =
        held.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(&before))).count();
    assert_eq!(held, 0, "no descriptor of what was unplugged is kept");
    std::os::unix::fs::symlink(device("ttyUSB1"), &by_id).unwrap();
    heard(&daemon, "it is read again", "p1", |messages| messages[gone.len()..].iter().any(is_read)).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_serial_server_that_goes_away_is_read_again_when_it_is_back_and_disturbs_no_other() {
    let mut bench = Bench::start(&["voltage_l1", "clock_time"], "").await;
    lost_and_back(&mut bench, false, "t2", "p2").await;
    bench.daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_that_is_started_again_goes_on_in_the_same_store() {
    let bench = Bench::start(&["voltage_l1"], "").await;
    bench.heard("two slots are read", "t2", |messages| messages.len() >= 2).await;
    let Bench { serial, tcp, daemon, dir } = bench;
    let (id, signed) = (daemon.store().id().to_owned(), [1, 2, 4]);
    daemon.store().forget(signed.to_vec()).await.unwrap();
    daemon.stop().await;

    let (link, port) = (dir.path().join("bus1"), tcp.bound().port_address().to_string());
    let plan = configuration(dir.path(), &link, &port, &["voltage_l1"]);
    let daemon = Daemon::new(plan, Clock::system()).without_broker().start().unwrap();
    assert_eq!(daemon.store().id(), id);
    let kept = messages(&daemon).await;
    let bench = Bench { serial, tcp, daemon, dir };
    let enough = kept.iter().filter(|m| m.body.meter == "t2").count() + 2;
    bench.heard("two further slots are read", "t2", |messages| messages.len() >= enough).await;

    let all = messages(&bench.daemon).await;
    assert_eq!(all[..kept.len()], kept, "what was not signed for is offered again as it was");
    let unsigned = bench.daemon.store().offer(0, 100_000).await.unwrap();
    let numbers: Vec<u64> = unsigned.iter().map(|pending| pending.seq).collect();
    let expected: Vec<u64> = (1..=*numbers.last().unwrap()).filter(|n| !signed.contains(n)).collect();
    assert_eq!(numbers, expected, "no number is given twice, none is left out");
    let read: Vec<_> = all.iter().filter(|m| is_read(m)).map(|m| (&m.body.meter, &m.body.slot)).collect();
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), read.len(), "no slot is read twice");
    bench.daemon.stop().await;
}
