//! One gateway on virtual time whose lines are in memory: what its meters hold is what a test compares with.

use dlt645::Di;
use jiff::civil::DateTime;
use jiff::tz::{Offset, offset};
use jiff::{SignedDuration, Timestamp};
use meterd::clock::Clock;
use meterd::config::plan_from_text;
use meterd::daemon::{Daemon, Running};
use meterd::mqtt::payload::{Body, EventJson, EventMessage, GapJson, RoundBody, compose};
use meterd::planner::Line;
use meterd::simulator::{InMemory, MeterSettings, Outage, Pair, VirtualLine, VirtualMeter, in_memory_with};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Of the meters' clocks, and of the gateway unless a test says otherwise.
pub(crate) const LOCAL: Offset = offset(8);

/// What a gateway is made of; it can be started again on the same data.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) zone: &'static str,
    /// Further keys of the gateway.
    pub(crate) gateway: &'static str,
    /// Of its line.
    pub(crate) port: &'static str,
    /// Each with what the archive says of it beside its address.
    pub(crate) meters: Vec<(VirtualMeter, &'static str)>,
    /// Tasks, as the configuration has them.
    pub(crate) tasks: String,
    pub(crate) outages: Vec<Outage>,
    data: tempfile::TempDir,
}

/// A gateway that runs.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) running: Running,
    pub(crate) clock: Clock,
    pub(crate) line: InMemory,
    /// The line of a port that comes later.
    _later: Option<InMemory>,
}

/// A meter, by its number and what is peculiar to it.
pub(crate) fn meter(number: usize, change: impl FnOnce(&mut MeterSettings)) -> VirtualMeter {
    let mut settings = MeterSettings::household((100 + number).to_string().parse().unwrap());
    settings.energy = 1_234_567;
    change(&mut settings);
    VirtualMeter::new(settings, 7)
}

/// A task of imported energy: how it is read and when.
pub(crate) fn task(name: &str, read: &str, when: &str) -> String {
    format!(
        "[[task]]\nname = \"{name}\"\nread = \"{read}\"\n{when}\nregisters = [\"active_energy_import\"]\n"
    )
}

pub(crate) fn day() -> String {
    task("day", "daily-freeze", "daily = \"00:05\"")
}

pub(crate) fn profile() -> String {
    task("profile", "load-profile", "every = \"1h\"")
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A local time of the meters.
pub(crate) fn local(text: &str) -> Timestamp {
    LOCAL.to_timestamp(text.parse::<DateTime>().unwrap()).unwrap()
}

/// The imported energy of a meter at an instant.
pub(crate) fn energy(meter: &VirtualMeter, at: Timestamp) -> String {
    meter.value(Di::new(0x0001_0000), at).unwrap().to_string()
}

impl Plan {
    pub(crate) fn new(meters: Vec<VirtualMeter>, tasks: &[String]) -> Self {
        Self {
            zone: "Asia/Shanghai",
            gateway: "",
            port: "/dev/null",
            meters: meters.into_iter().map(|meter| (meter, "")).collect(),
            tasks: tasks.concat(),
            outages: Vec::new(),
            data: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.data.path().to_owned()
    }

    fn text(&self, data: &Path) -> String {
        let mut text = format!(
            "[gateway]\nid = \"gw\"\ntimezone = \"{}\"\ndata_dir = \"{}\"\n{}\n\
             [[bus]]\nname = \"riser\"\nport = \"{}\"\nbaud = 2400\n",
            self.zone,
            data.display(),
            self.gateway,
            self.port
        );
        for (n, (meter, beside)) in self.meters.iter().enumerate() {
            let address = meter.settings().address;
            write!(text, "[[meter]]\nname = \"m{n}\"\nbus = \"riser\"\naddress = \"{address}\"\n{beside}\n")
                .unwrap();
        }
        text + &self.tasks
    }

    /// The configuration.
    pub(crate) fn proved(&self) -> meterd::config::Plan {
        let data = self.folder();
        match plan_from_text("daily.toml", &self.text(&data), &data) {
            Ok(loaded) => loaded.plan,
            Err(faults) => panic!("{faults}"),
        }
    }

    /// Starts the gateway; its line has a rate, and answers come as they go over the wires.
    pub(crate) fn start(&self, now: Timestamp) -> Bench {
        self.start_with(now, false)
    }

    /// The same; where `and_another`, its meters hang on another line too, which works, for a port that comes later.
    pub(crate) fn start_with(&self, now: Timestamp, and_another: bool) -> Bench {
        let clock = Clock::virtual_at(now);
        let wire = |outages: Vec<Outage>| {
            let meters = self.meters.iter().map(|(meter, _)| meter.clone()).collect();
            let pair = Pair::from(VirtualLine::new(meters)).at(Line { baud: 2400, ..Line::DEFAULT });
            in_memory_with(pair, clock.clone(), 10_000, outages)
        };
        let (opener, line) = wire(self.outages.clone());
        let mut daemon = Daemon::new(self.proved(), clock.clone()).with_line(0, opener).without_broker();
        let mut later = None;
        if and_another {
            let (opener, line) = wire(Vec::new());
            daemon = daemon.with_line(0, opener);
            later = Some(line);
        }
        Bench { running: daemon.start().unwrap(), clock, line, _later: later }
    }
}

impl Bench {
    /// Until the clock shows this.
    pub(crate) async fn until(&self, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(self.clock.now())).unwrap();
        tokio::time::sleep(wait).await;
    }

    /// The data messages of a task, in their order; those without a reading left out.
    pub(crate) async fn read(&self, task: &str) -> Vec<Body> {
        self.running.store().flush().await.unwrap();
        let all = self.running.store().offer(0, 1_000_000).await.unwrap();
        let data = all.iter().filter(|pending| pending.topic.contains("/data/"));
        let bodies =
            data.map(|pending| serde_json::from_str::<Body>(&format!("{{{}", pending.body)).unwrap());
        bodies.filter(|body| body.task == task && !body.readings.is_empty()).collect()
    }

    /// The rounds that were told of a task, in their order; each is retained.
    pub(crate) async fn rounds(&self, task: &str) -> Vec<RoundBody> {
        self.running.store().flush().await.unwrap();
        let all = self.running.store().offer(0, 1_000_000).await.unwrap();
        let own = all.iter().filter(|pending| pending.topic.ends_with(&format!("/round/{task}")));
        own.map(|pending| {
            assert!(pending.retain);
            serde_json::from_str(&format!("{{{}", pending.body)).unwrap()
        })
        .collect()
    }

    /// The events of a kind, each with its meter if it is one's.
    pub(crate) async fn events(&self, word: &str) -> Vec<(Option<String>, EventJson)> {
        self.running.store().flush().await.unwrap();
        let all = self.running.store().offer(0, 1_000_000).await.unwrap();
        let end = format!("/event/{word}");
        let events = all.iter().filter(|pending| pending.topic.ends_with(&end));
        let parsed =
            events.map(|pending| EventMessage::parse(&compose("", pending.seq, &pending.body)).unwrap());
        parsed.map(|message| (message.body.meter, message.body.event)).collect()
    }

    /// The gaps that were announced, each with its meter.
    pub(crate) async fn gaps(&self) -> Vec<(String, GapJson)> {
        let gap = |(meter, event): (Option<String>, EventJson)| {
            let EventJson::Gap(gap) = event else { return None };
            Some((meter.unwrap(), gap))
        };
        self.events("gap").await.into_iter().filter_map(gap).collect()
    }
}

/// The value of a message with one.
pub(crate) fn value(body: &Body) -> String {
    assert_eq!(body.readings.len(), 1, "{body:?}");
    body.readings[0].value.as_ref().unwrap().to_string()
}

/// When its answer came.
pub(crate) fn taken(body: &Body) -> Timestamp {
    at(&body.readings[0].taken_at)
}

pub(crate) fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}
