//! Commands of the head-end, on virtual time: the test stands in for the MQTT session.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use bytes::Bytes;
use dlt645::pdu::{FreezeAt, Request};
use meterd::clock::Clock;
use meterd::daemon::{Daemon, Running};
use meterd::mqtt::{Direct, Incoming, Properties, Ways};
use meterd::simulator::{MeterSettings, VirtualLine, VirtualMeter, in_memory};
use serde_json::Value as Json;
use std::time::Duration;

const START: &str = "2026-11-21T10:00:30Z";

const CONFIGURATION: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "$DATA"

[commands]
allow = ["read:flat-*", "clock", "resend", "plan", "status", "loglevel", "raw:flat-*"]

[[bus]]
name = "riser-1"
port = "/dev/null"

[[meter]]
name = "flat-101"
bus = "riser-1"
address = "101"

[[meter]]
name = "flat-102"
bus = "riser-1"
address = "102"
ct = "75/5"

[[meter]]
name = "shop-1"
bus = "riser-1"
address = "103"

[[task]]
name = "live"
every = "1m"
registers = ["active_energy_import", "voltage_l1"]
"#;

struct Bench {
    running: Running,
    ways: Ways,
    data: tempfile::TempDir,
}

impl Bench {
    fn start() -> Self {
        Self::of(CONFIGURATION)
    }

    fn of(configuration: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::virtual_at(START.parse().unwrap());
        let meters = ["101", "102", "103"]
            .map(|address| VirtualMeter::new(MeterSettings::household(address.parse().unwrap()), 1))
            .into();
        let (opener, _line) = in_memory(VirtualLine::new(meters), clock.clone(), 0);
        let plan = support::plan(configuration, data.path());
        let mut running = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
        let ways = running.take_ways().unwrap();
        Self { running, ways, data }
    }

    fn say(&self, verb: &str, payload: &str, properties: Properties) {
        let topic = format!("meterd/v1/gw01/command/{verb}");
        let incoming = Incoming { topic, payload: Bytes::copy_from_slice(payload.as_bytes()), properties };
        self.ways.incoming.try_send(incoming).unwrap();
    }

    async fn hear(&mut self) -> (Direct, Json) {
        let direct = tokio::time::timeout(Duration::from_secs(120), self.ways.direct.recv());
        let direct = direct.await.expect("an answer in time").expect("the desk is there");
        let json = serde_json::from_slice(&direct.payload).expect("an answer is JSON");
        (direct, json)
    }

    /// All answers to a command, up to the last.
    async fn ask(&mut self, verb: &str, payload: &str) -> Vec<Json> {
        self.say(verb, payload, Properties::default());
        let mut answers = Vec::new();
        loop {
            let (direct, json) = self.hear().await;
            let is_answer = json.get("outcome").is_some();
            assert_eq!(direct.topic == format!("meterd/v1/gw01/reply/{verb}"), is_answer, "{}", direct.topic);
            let over = is_answer && json["outcome"] != "part";
            answers.push(json);
            if over {
                return answers;
            }
        }
    }

    async fn outcome(&mut self, verb: &str, payload: &str) -> (String, String) {
        let answers = self.ask(verb, payload).await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        let text = |key: &str| answers[0][key].as_str().unwrap_or_default().to_owned();
        (text("outcome"), text("detail"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_is_answered_meter_by_meter_as_they_come() {
    let mut bench = Bench::start();
    let asked = r#"{"id":"a1","author":"ops","meters":["flat-*"],"registers":["voltage_l1","1-0:1.8.0"]}"#;
    let answers = bench.ask("read", asked).await;
    let seen: Vec<_> =
        answers.iter().map(|a| (a["outcome"].as_str().unwrap(), a["meter"].as_str())).collect();
    assert_eq!(seen, [("part", Some("flat-101")), ("part", Some("flat-102")), ("done", None)]);
    for part in &answers[..2] {
        assert_eq!((&part["id"], &part["verb"]), (&Json::from("a1"), &Json::from("read")));
        assert_eq!(part["readings"].as_array().unwrap().len(), 2, "{part}");
        assert_eq!(part["readings"][0]["register"], "voltage_l1");
    }
    assert_eq!(
        answers[1]["readings"][1]["ratio"], 15,
        "the ratio of its transformer stands beside the value"
    );
    assert_eq!(answers[2]["meters"], 2);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_answer_goes_where_mqtt_5_asks_for_it_and_carries_the_callers_correlation() {
    let mut bench = Bench::start();
    let properties = |topic: &str| Properties {
        response_topic: Some(topic.to_owned()),
        correlation_data: Some(Bytes::from_static(b"\x00\xff")),
        ..Properties::default()
    };
    bench.say("plan", r#"{"id":"1"}"#, properties("head/answers"));
    let (direct, json) = bench.hear().await;
    assert_eq!((direct.topic.as_str(), direct.retain), ("head/answers", false));
    assert_eq!(direct.properties.correlation_data.as_deref(), Some(&b"\x00\xff"[..]));
    assert_eq!(json["plan"]["buses"][0]["meters"].as_array().unwrap().len(), 3);
    bench.say("plan", r#"{"id":"2"}"#, properties("meterd/v1/gw01/status"));
    let (direct, _) = bench.hear().await;
    assert_eq!(direct.topic, "meterd/v1/gw01/reply/plan", "nobody has the gateway's status forged by itself");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_malformed_too_large_unknown_expired_or_not_allowed_is_said_to_be_and_nothing_is_done() {
    let mut bench = Bench::start();
    let long = format!(r#"{{"id":"1","meters":["{}"]}}"#, "x".repeat(70_000));
    let read = |rest: &str| format!(r#"{{"id":"1","registers":["voltage_l1"],{rest}}}"#);
    for (verb, payload, outcome, detail) in [
        ("reed", r#"{"id":"1"}"#.to_owned(), "unknown_verb", "there is no verb \"reed\""),
        ("archive", r#"{"id":"1","text":"x"}"#.to_owned(), "not_allowed", "list it in [commands] allow"),
        ("raw-write", r#"{"id":"1"}"#.to_owned(), "not_allowed", "does not allow raw-write"),
        ("read", "{".to_owned(), "malformed", "the payload is no command"),
        ("read", long, "too_large", "65536 at most"),
        ("read", read(r#""meters":["shop-1"]"#), "not_allowed", "does not allow read of shop-1"),
        ("read", read(r#""meters":["*"]"#), "not_allowed", "does not allow read of shop-1"),
        ("read", read(r#""meters":["flat-9"]"#), "not_allowed", "no meter is called \"flat-9\""),
        (
            "read",
            read(r#""meters":["flat-101"],"expires":"2026-11-21T09:00:00Z""#),
            "expired",
            "nothing was done",
        ),
    ] {
        let (word, said) = bench.outcome(verb, &payload).await;
        assert_eq!(word, outcome, "{payload}: {said}");
        assert!(said.contains(detail), "{payload}: {said}");
    }
    let (word, said) =
        bench.outcome("read", r#"{"id":"2","meters":["flat-101"],"registers":["voltage_l9"]}"#).await;
    assert_eq!(word, "malformed", "{said}");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_table_no_command_is_listened_for() {
    let allow = CONFIGURATION.find("[commands]").unwrap()..CONFIGURATION.find("[[bus]]").unwrap();
    let mut text = CONFIGURATION.to_owned();
    text.replace_range(allow, "");
    let bench = Bench::of(&text);
    assert!(bench.ways.subscribe.is_empty());
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_comes_twice_is_carried_out_once() {
    let mut bench = Bench::start();
    let asked = r#"{"id":"a1","author":"ops","meters":["flat-101"],"registers":["voltage_l1"]}"#;
    assert_eq!(bench.ask("read", asked).await.len(), 2);
    let (word, said) = bench.outcome("read", asked).await;
    assert_eq!((word.as_str(), said.contains("ended as done")), ("repeated", true), "{said}");
    let other = asked.replace("ops", "night shift");
    assert_eq!(bench.ask("read", &other).await.len(), 2, "ids are each author's own");
    bench.running.stop().await;
    let database = rusqlite::Connection::open(bench.data.path().join("meterd.db")).unwrap();
    let rows: Vec<(String, String, String)> = database
        .prepare("SELECT author, arguments, outcome FROM command ORDER BY number")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let row = |author: &str| {
        (author.to_owned(), "meters flat-101; registers voltage_l1".to_owned(), "done".to_owned())
    };
    assert_eq!(rows, [row("ops"), row("night shift")]);
}

#[tokio::test(start_paused = true)]
async fn a_resend_brings_the_same_messages_under_their_old_numbers() {
    let mut bench = Bench::start();
    tokio::time::sleep(Duration::from_secs(150)).await;
    let store = bench.running.store().clone();
    store.flush().await.unwrap();
    let stored = store.offer(0, 100).await.unwrap();
    assert!(stored.len() >= 6);
    store.forget(stored.iter().map(|pending| pending.seq).collect()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let answers = bench.ask("resend", r#"{"id":"1","seq":[2,5]}"#).await;
    let (last, messages) = answers.split_last().unwrap();
    let numbers: Vec<_> = messages.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [2, 3, 4, 5], "signed for or not");
    assert_eq!((&last["outcome"], &last["messages"]), (&Json::from("done"), &Json::from(4)));
    for message in messages {
        let old = stored.iter().find(|pending| Some(pending.seq) == message["seq"].as_u64()).unwrap();
        assert!(
            message["slot"].is_null() || old.body.contains(&format!("\"slot\":{}", message["slot"])),
            "{message}"
        );
    }
    let slot = messages.iter().find_map(|message| message["slot"].as_str()).unwrap();
    let by_time = format!(r#"{{"id":"2","from":"{slot}","to":"{slot}"}}"#);
    let answers = bench.ask("resend", &by_time).await;
    let of_slot = answers.iter().filter(|answer| answer["slot"] == *slot).count();
    assert_eq!(of_slot, 3, "one of each meter");
    drop(store);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn clocks_are_compared_with_ours() {
    let mut bench = Bench::start();
    let answers = bench.ask("clock", r#"{"id":"1","meters":["*"]}"#).await;
    assert_eq!(answers.len(), 4);
    for part in &answers[..3] {
        let ahead = part["clock_offset_s"].as_i64().unwrap();
        assert!((-1..=1).contains(&ahead), "{part}");
        assert!(part["meter_time"].as_str().unwrap().starts_with("2026-11-21T18:0"), "{part}");
    }
    bench.running.stop().await;
}

fn raw(id: &str, bus: &str, request: &Request) -> String {
    let mut octets = Vec::new();
    request.emit(4, &mut octets);
    let frame: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    format!(r#"{{"id":"{id}","bus":"{bus}","frame":"{frame}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_raw_frame_goes_through_and_brings_the_meters_frame_back() {
    let mut bench = Bench::start();
    let read =
        |address: &str| Request::Read { address: address.parse().unwrap(), di: "02010100".parse().unwrap() };
    let answers = bench.ask("raw", &raw("1", "riser-1", &read("101"))).await;
    assert_eq!(answers[0]["outcome"], "done", "{answers:?}");
    let frame = answers[0]["frames"][0].as_str().unwrap();
    assert!(frame.starts_with("680101000000006891") || frame.starts_with("68010100000000689106"), "{frame}");
    assert!(frame.ends_with("16"));
    let (word, said) = bench.outcome("raw", &raw("2", "riser-1", &read("103"))).await;
    assert_eq!(word, "not_allowed", "{said}");
    let (word, said) = bench.outcome("raw", &raw("3", "riser-1", &read("999"))).await;
    assert_eq!(word, "not_allowed", "a meter that is in no file needs raw without a pattern: {said}");
    let (word, said) = bench.outcome("raw", &raw("4", "riser-9", &read("101"))).await;
    assert_eq!(word, "not_allowed", "{said}");
    let freeze = Request::Freeze { address: "101".parse().unwrap(), at: FreezeAt::INSTANT };
    let (word, said) = bench.outcome("raw", &raw("5", "riser-1", &freeze)).await;
    assert_eq!((word.as_str(), said.contains("16H")), ("malformed", true), "{said}");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn status_and_plan_say_how_it_is_and_what_it_works_by() {
    let mut bench = Bench::start();
    let status = bench.ask("status", r#"{"id":"1"}"#).await.remove(0);
    assert_eq!(
        (&status["outcome"], &status["status"]["state"]),
        (&Json::from("done"), &Json::from("online"))
    );
    let plan = bench.ask("plan", r#"{"id":"2"}"#).await.remove(0);
    assert_eq!(plan["plan"]["tasks"][0]["registers"][0], "active_energy_import");
    let (word, said) = bench.outcome("loglevel", r#"{"id":"3","level":"=="}"#).await;
    assert_eq!(word, "malformed", "{said}");
    assert_eq!(bench.outcome("loglevel", r#"{"id":"4","level":"info"}"#).await.0, "done");
    bench.running.stop().await;
}
