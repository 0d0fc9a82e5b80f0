//! The head-end sends a new archive of meters and new tasks to a daemon that runs as a process, by a real broker.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

#[path = "support/broker.rs"]
mod broker;
#[path = "lines/oracle.rs"]
mod oracle;
#[path = "support/process.rs"]
mod process;

use broker::{Broker, Onlooker, within};
use meterd::clock::Clock;
use meterd::mqtt::payload::DataMessage;
use meterd::simulator::{self, Scenario};
use process::{METERD, Running, Signal};
use serde_json::{Value as Json, json};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const ARCHIVE: &str = "name,bus,address,ct\nm-2,riser,2,\nm-3,riser,3,75/5\n";
const TASKS: &str =
    "[[task]]\nname = \"grid\"\nevery = \"1s\"\nregisters = [\"frequency\", \"voltage_l1\"]\n";

/// A gateway with three meters on its line, of which it knows one, and the head-end.
struct Site {
    folder: TempDir,
    line: simulator::Running,
    answers: Onlooker,
    data: Onlooker,
    asked: u64,
}

impl Site {
    async fn new(broker: &Broker) -> Self {
        let meters: String = (1..=3).map(|address| format!("[[meter]]\naddress = \"{address}\"\n")).collect();
        let scenario = Scenario::parse("head-end", &meters).unwrap();
        let listen = "tcp://127.0.0.1:0".parse().unwrap();
        let line = simulator::spawn(scenario.line(), &listen, Clock::system(), 100_000).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (at, port) = (line.bound().port_address().to_string(), broker.port());
        let text = format!(
            "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\ndata_dir = \"store\"\nclock = \"set\"\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n\
             [commands]\nallow = [\"archive\", \"tasks\", \"plan\"]\n\
             [[bus]]\nname = \"riser\"\nport = \"{at}\"\nbaud = 115200\n\
             [[meter]]\nname = \"m-1\"\nbus = \"riser\"\naddress = \"1\"\n\
             [[task]]\nname = \"live\"\nevery = \"1s\"\nregisters = [\"active_energy_import\"]\n"
        );
        fs::write(folder.path().join("meterd.toml"), text).unwrap();
        let answers = Onlooker::of(port, "meterd/v1/gw/reply/+").await;
        let data = Onlooker::of(port, "meterd/v1/gw/meter/+/data/+").await;
        Self { folder, line, answers, data, asked: 0 }
    }

    fn start(&self) -> Running {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(METERD);
        command.args(["run", "--config"]).arg(self.folder.path().join("meterd.toml"));
        command.env_remove("METERD_LOG").env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stderr(log);
        Running(command.spawn().unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// A file beside the store, if it is there.
    fn kept(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("store").join(name)
    }

    /// The answer to a command.
    async fn ask(&mut self, verb: &str, text: Option<&str>) -> Json {
        self.asked += 1;
        let id = self.asked.to_string();
        let mut asked = json!({ "id": id });
        if let Some(text) = text {
            asked["text"] = text.into();
        }
        self.answers.say(&format!("meterd/v1/gw/command/{verb}"), asked.to_string()).await;
        let answer: Json = serde_json::from_str(&self.answers.next().await.payload).unwrap();
        assert_eq!([&answer["verb"], &answer["id"]], [verb, id.as_str()], "{answer}");
        answer
    }

    /// What it works by: its meters, and its tasks with their registers.
    async fn plan(&mut self) -> (Json, Json, Json) {
        let mut plan = self.ask("plan", None).await;
        let tasks = plan["plan"]["tasks"].as_array().unwrap().iter();
        let tasks = tasks.map(|task| json!([task["task"], task["registers"]])).collect();
        (plan["plan"]["buses"][0]["meters"].take(), tasks, plan["plan"]["archive"].take())
    }

    /// Reads on until each of these meters has two whole messages of this task; whose value is not its own is told.
    async fn read(&mut self, meters: &[&str], task: &str) -> Vec<DataMessage> {
        let mut found: Vec<DataMessage> = Vec::new();
        within("readings of all", async {
            let many = |found: &[DataMessage], meter: &&str| {
                found.iter().filter(|message| message.body.meter == **meter).count() >= 2
            };
            while !meters.iter().all(|meter| many(&found, meter)) {
                let message = DataMessage::parse(self.data.next().await.payload.as_bytes()).unwrap();
                if message.body.task == task && message.body.failures.is_empty() {
                    found.push(message);
                }
            }
        })
        .await;
        let sent = self.line.sent();
        for message in &found {
            for reading in &message.body.readings {
                let value = reading.value.as_ref().unwrap().to_string();
                assert_eq!(value, oracle::sent_for(reading, &message.body.address, &sent), "{message:?}");
            }
        }
        found
    }

    /// Sends what has faults: every part of `faults` is in the answer, nothing else changes.
    async fn is_refused(&mut self, verb: &str, text: &str, faults: &[&str]) {
        let before = (self.plan().await, self.kept("archive.csv"), self.kept("tasks.toml"));
        let answer = self.ask(verb, Some(text)).await;
        assert_eq!(answer["outcome"], "refused", "{answer}");
        let said: Vec<&str> =
            answer["faults"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
        assert_eq!(said.len(), faults.len(), "{said:?}");
        for (said, fault) in said.iter().zip(faults) {
            assert!(said.starts_with(fault), "{said} is not {fault}");
        }
        let after = (self.plan().await, self.kept("archive.csv"), self.kept("tasks.toml"));
        assert_eq!(after, before, "{verb}");
    }

    async fn both_are_refused(&mut self) {
        let faults =
            ["archive:2:5: bus \"risor\" is not known", "archive:3:11: address \"12B4\" cannot be used"];
        self.is_refused("archive", "name,bus,address\nm-2,risor,2\nm-3,riser,12B4\n", &faults).await;
        let text = "[[task]]\nname = \"grid\"\nevery = \"soon\"\nregisters = [\"voltage_l9\"]\n";
        self.is_refused("tasks", text, &["tasks:3:9: ", "tasks:4:14: "]).await;
    }

    async fn stop(self, mut daemon: Running) {
        daemon.tell(Signal::TERM);
        let ended = tokio::task::spawn_blocking(move || daemon.ended_in_time()).await.unwrap();
        assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", self.log());
    }
}

#[tokio::test]
async fn meters_and_tasks_of_the_head_end_come_into_force_without_a_restart_and_survive_one() {
    let Some(broker) = Broker::start().await else { return };
    let mut site = Site::new(&broker).await;
    let mut daemon = site.start();
    site.read(&["m-1"], "live").await;
    site.both_are_refused().await;
    assert_eq!((site.kept("archive.csv"), site.kept("tasks.toml")), (None, None));
    site.read(&["m-1"], "live").await;

    let (_, _, old) = site.plan().await;
    assert_eq!(site.ask("archive", Some(ARCHIVE)).await["outcome"], "done");
    let messages = site.read(&["m-2", "m-3"], "live").await;
    let (meters, _, archive) = site.plan().await;
    assert_eq!(meters, json!(["m-2", "m-3"]));
    assert_ne!(archive, old);
    for message in messages.iter().filter(|message| message.body.meter != "m-1") {
        assert_eq!(message.body.archive, archive, "each message says of which archive it is");
        assert_eq!(message.body.readings[0].ratio.is_some(), message.body.meter == "m-3");
    }
    assert_eq!(site.ask("tasks", Some(TASKS)).await["outcome"], "done");
    site.read(&["m-2", "m-3"], "grid").await;
    let in_force = site.plan().await;
    assert_eq!(in_force.1, json!([["grid", ["frequency", "voltage_l1"]]]));
    assert_eq!(site.log().matches("connecting to the broker").count(), 1, "all in one life: {}", site.log());
    site.both_are_refused().await;

    daemon.0.kill().unwrap();
    daemon.0.wait().unwrap();
    site.data.rest();
    assert_eq!(
        (site.kept("archive.csv").as_deref(), site.kept("tasks.toml").as_deref()),
        (Some(ARCHIVE), Some(TASKS))
    );
    let daemon = site.start();
    let messages = site.read(&["m-2", "m-3"], "grid").await;
    assert!(messages.iter().all(|m| m.body.archive == archive && m.body.meter != "m-1"), "{messages:?}");
    assert_eq!(site.plan().await, in_force);
    assert!(site.log().contains("which the head-end sent"), "the start says where its meters come from");
    site.stop(daemon).await;
}
