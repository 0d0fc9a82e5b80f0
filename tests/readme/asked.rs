//! What an operator asks of the gateway with mosquitto's own programs, word for word as the page shows it.

use crate::page::{ENGLISH, assert_in_both, commands};
use crate::programs::{Line, Running, configuration, words};
use crate::support::broker::{Broker, Onlooker, needed};
use crate::{RUN, json};
use rustix::process::Signal;
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const HEAR: &str = "mosquitto_sub -v -t meterd/v1/gw01/reply/+";
const READ: &str = "mosquitto_pub -q 1 -t meterd/v1/gw01/command/read \
                    -m '{\"id\":\"a1\",\"meters\":[\"flat-*\"],\"registers\":[\"voltage_l1\"]}'";
const HEAR_5: &str = "mosquitto_sub -V 5 -F '%D %p' -t head/answers";
const RESEND: &str = "mosquitto_pub -V 5 -q 1 -t meterd/v1/gw01/command/resend \
                      -D publish response-topic head/answers -D publish correlation-data 7 \
                      -m '{\"id\":\"a2\",\"seq\":[1,50]}'";
/// Commands of the page that are run here.
pub(crate) const ASKED: [&str; 4] = [HEAR, READ, HEAR_5, RESEND];
const ALLOWED: &str = "allow = [\"read:flat-*\", \"resend\"]";

/// A shown command line by a shell, as a user has it; the broker's port stands where its programs look for options.
fn shell(line: &str, options: &Path) -> Command {
    assert!(commands(ENGLISH).iter().any(|shown| shown == line), "the page does not show {line}");
    by_shell(line, options)
}

fn by_shell(line: &str, options: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {line}")]).env("XDG_CONFIG_HOME", options);
    command
}

/// Starts one that listens; when this returns, the broker has it: what `topic` keeps has come.
fn listen(line: &str, topic: &str, options: &Path) -> Running {
    let kept = format!("mosquitto_pub -r -q 1 -t {topic} -m kept");
    assert!(by_shell(&kept, options).status().unwrap().success());
    let listening = Running::spawn(shell(line, options));
    listening.line("what the topic keeps", |line| line.ends_with(" kept"));
    listening
}

#[tokio::test]
async fn meters_are_read_and_messages_sent_again_by_commands_as_shown() {
    let Some(broker) = Broker::start().await else { return };
    if needed("mosquitto_pub").is_none() || needed("mosquitto_sub").is_none() {
        return;
    }
    let (line, folder) = (Line::start(), TempDir::new().unwrap());
    let at = broker.port().to_string();
    for program in ["mosquitto_pub", "mosquitto_sub"] {
        std::fs::write(folder.path().join(program), format!("-h 127.0.0.1\n-p {at}\n")).unwrap();
    }
    assert_in_both(ALLOWED);
    let data = format!("id = \"gw01\"\ndata_dir = \"{}\"", folder.path().join("store").display());
    let allowed = format!("[commands]\n{ALLOWED}\n\n[mqtt]");
    let places = [
        ("id = \"gw01\"", data.as_str()),
        ("[mqtt]", &allowed),
        ("1883", &at),
        ("/dev/ttyUSB0", &line.port),
        ("\"15m\"", "\"5s\""),
    ];
    let path = configuration(folder.path(), &places);
    let mut onlooker = Onlooker::of(broker.port(), "meterd/v1/gw01/meter/+/data/+").await;
    let heard = listen(HEAR, "meterd/v1/gw01/reply/x", folder.path());
    let heard_5 = listen(HEAR_5, "head/answers", folder.path());
    let daemon = Running::start(&words(RUN, &[("/etc/meterd/meterd.toml", &path)]));
    // It listens before it publishes.
    let first = onlooker.next().await;

    assert!(shell(READ, folder.path()).status().unwrap().success());
    let answer = |what: &str| {
        let line = heard.line(what, |line| line.starts_with("meterd/v1/gw01/reply/read "));
        json(line.split_once(' ').unwrap().1)
    };
    let (part, done) = (answer("a meter's part"), answer("the last answer"));
    assert_eq!([&part["id"], &part["outcome"], &part["meter"]], ["a1", "part", "flat-101"]);
    let reading = &part["readings"][0];
    assert_eq!([&reading["register"], &reading["unit"]], ["voltage_l1", "V"]);
    assert_eq!(reading["value"].to_string(), "220.8", "as the scenario has it");
    assert_eq!([&done["outcome"], &done["meters"]], [&Json::from("done"), &Json::from(1)]);

    assert!(shell(RESEND, folder.path()).status().unwrap().success());
    let last = heard_5.line("the answer where it was asked for", |line| line.starts_with("7 {"));
    let last = json(last.strip_prefix("7 ").unwrap());
    assert_eq!([&last["verb"], &last["id"], &last["outcome"]], ["resend", "a2", "done"]);
    assert!(last["messages"].as_u64() > Some(0), "{last}");
    while onlooker.next().await != first {}

    assert!(shell(READ, folder.path()).status().unwrap().success());
    assert_eq!(answer("an answer to the same id")["outcome"], "repeated");
    assert!(daemon.end(Signal::TERM).0.success());
}
