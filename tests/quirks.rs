//! What a profile says of how its meters want to be asked is heeded: by the configuration, and by the whole daemon but
//! the broker on virtual time, with a meter that has the quirk, with its profile and without.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use dlt645::{Di, Edition};
use meterd::clock::Clock;
use meterd::config::Plan;
use meterd::daemon::Daemon;
use meterd::planner::Line;
use meterd::simulator::{
    Fixed, MeterSettings, Pair, Phases, Said, Sent, VirtualLine, VirtualMeter, in_memory,
};
use std::path::Path;
use std::time::Duration;

const START: &str = "2026-11-21T10:00:30Z";
const VOLTAGES: &str = "\"voltage_l*\"";

/// A gateway whose meters are `meters`: further keys of each, 101 the first.
fn plan(data: &Path, bus: &str, meters: &[&str], registers: &str) -> Plan {
    let mut text = format!(
        "[gateway]\nid = \"gw\"\ntimezone = \"Asia/Shanghai\"\ndata_dir = \"$DATA\"\n\
         [[bus]]\nname = \"riser\"\nport = \"/dev/null\"\n{bus}\n"
    );
    for (n, keys) in (101..).zip(meters) {
        text += &format!("[[meter]]\nname = \"m{n}\"\nbus = \"riser\"\naddress = \"{n}\"\n{keys}\n");
    }
    text += &format!("[[task]]\nname = \"live\"\nevery = \"10s\"\nregisters = [{registers}]\n");
    support::plan(&text, data)
}

fn meter() -> MeterSettings {
    let mut settings = MeterSettings::household("101".parse().unwrap());
    settings.phases = Phases::Three;
    settings
}

/// What a minute of reading one meter brought.
struct Minute {
    /// The bodies of its data messages.
    bodies: Vec<String>,
    sent: Vec<Sent>,
}

impl Minute {
    /// Five or six rounds, and every one brought it all.
    fn is_read(&self) -> bool {
        self.bodies.len() >= 5 && self.bodies.iter().all(|body| body.contains("\"failures\":[]"))
    }

    fn refused(&self) -> usize {
        self.sent.iter().filter(|sent| matches!(sent.said, Said::Refused { .. })).count()
    }

    /// The longest silence between two answers of one round.
    fn longest_gap(&self) -> Duration {
        let gaps = self.sent.windows(2).map(|two| two[1].begun.duration_since(two[0].begun));
        let of_round = gaps.filter_map(|gap| Duration::try_from(gap).ok());
        of_round.filter(|gap| *gap < Duration::from_secs(4)).max().unwrap()
    }
}

async fn minute(settings: MeterSettings, keys: &str, registers: &str) -> Minute {
    let data = tempfile::tempdir().unwrap();
    let slow = "protocol = \"dlt645-2007\"\nmodel = \"m\"\nsource = \"s\"\npause_ms = 250\nblocks = false\n";
    std::fs::write(data.path().join("slow.toml"), slow).unwrap();
    let clock = Clock::virtual_at(START.parse().unwrap());
    let line = VirtualLine::new(vec![VirtualMeter::new(settings, 1)]);
    let (opener, line) = in_memory(Pair::from(line).at(Line::DEFAULT), clock.clone(), 10_000);
    let plan = plan(data.path(), "", &[keys], registers);
    let running = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    running.store().flush().await.unwrap();
    let all = running.store().offer(0, 100_000).await.unwrap();
    let bodies = all.into_iter().filter(|pending| pending.topic.contains("/data/"));
    let minute =
        Minute { bodies: bodies.map(|pending| pending.body.to_string()).collect(), sent: line.sent() };
    running.stop().await;
    minute
}

#[test]
fn rate_and_fe_are_the_meters_then_the_buss_then_those_of_the_model_and_then_the_usual_ones() {
    let data = tempfile::tempdir().unwrap();
    let of = |bus: &str, keys: &str| {
        let plan = plan(data.path(), bus, &[keys], "\"active_energy_import\"");
        (plan.meters[0].line.to_string(), plan.meters[0].preamble, plan.buses[0].line.to_string())
    };
    let is = |own: &str, preamble, bus: &str| (own.to_owned(), preamble, bus.to_owned());
    assert_eq!(of("", ""), is("2400 8E1", 4, "2400 8E1"));
    let fast = "profile = \"sgcc-9600\"";
    assert_eq!(of("", fast), is("9600 8E1", 4, "9600 8E1"));
    assert_eq!(of("baud = 1200", fast), is("1200 8E1", 4, "1200 8E1"));
    assert_eq!(of("frame = \"8N1\"", fast), is("9600 8N1", 4, "9600 8N1"));
    assert_eq!(of("", "profile = \"sgcc-9600\"\nbaud = 4800").0, "4800 8E1");
    let two = "profile = \"relay-state-04ff\"";
    assert_eq!(of("", two).1, 2);
    assert_eq!(of("preamble = 3", two).1, 3);
    assert_eq!(of("preamble = 3", "profile = \"relay-state-04ff\"\npreamble = 0").1, 0);
    assert_eq!(of("preamble = 3", "").1, 3);
}

#[test]
fn meters_of_two_models_on_one_bus_leave_it_its_usual_rate() {
    let data = tempfile::tempdir().unwrap();
    let plan = plan(data.path(), "", &["profile = \"sgcc-9600\"", ""], "\"active_energy_import\"");
    let lines: Vec<_> = plan.meters.iter().map(|meter| meter.line.to_string()).collect();
    assert_eq!((lines, plan.buses[0].line), (vec!["9600 8E1".into(), "2400 8E1".into()], Line::DEFAULT));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_answers_no_blocks_is_never_asked_for_one() {
    let settings = || MeterSettings { blocks: false, ..meter() };
    let usual = minute(settings(), "", VOLTAGES).await;
    assert!(usual.is_read() && usual.refused() > 0, "it is found out: {:?}", usual.bodies);
    let told = minute(settings(), "profile = \"single-registers\"", VOLTAGES).await;
    assert!(told.is_read(), "{:?}", told.bodies);
    assert_eq!(told.refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_model_is_woken_by_as_many_fe_as_it_wants() {
    let deaf = || MeterSettings { woken_by: 0..=0, edition: Edition::E1997, ..meter() };
    let keys = "protocol = \"dlt645-1997\"\nprofile = \"wkj-1997\"\n";
    assert!(minute(deaf(), keys, VOLTAGES).await.is_read());
    assert_eq!(minute(deaf(), "protocol = \"dlt645-1997\"", VOLTAGES).await.sent, []);
    assert_eq!(minute(deaf(), &format!("{keys}preamble = 4"), VOLTAGES).await.sent, []);
    let two = || MeterSettings { woken_by: 2..=2, ..meter() };
    assert!(minute(two(), "profile = \"relay-state-04ff\"", VOLTAGES).await.is_read());
    assert_eq!(minute(two(), "", VOLTAGES).await.sent, []);
}

#[tokio::test(start_paused = true)]
async fn a_model_is_asked_at_the_rate_that_it_is_shipped_with() {
    let fast = || MeterSettings { baud: Some(9600), ..meter() };
    assert!(minute(fast(), "profile = \"sgcc-9600\"", VOLTAGES).await.is_read());
    assert_eq!(minute(fast(), "", VOLTAGES).await.sent, []);
}

#[tokio::test(start_paused = true)]
async fn texts_of_a_model_that_sends_them_as_typed_are_published_so() {
    let typed = || {
        let octets = Fixed::Octets(b"DTZY1234-X".to_vec());
        MeterSettings { fixed: [(Di::new(0x0400_040B), octets)].into(), ..meter() }
    };
    let told = minute(typed(), "profile = \"text-as-typed\"", "\"meter_model\"").await;
    assert!(told.is_read() && told.bodies.iter().all(|body| body.contains("\"DTZY1234-X\"")));
    let usual = minute(typed(), "", "\"meter_model\"").await;
    assert!(usual.bodies.iter().all(|body| body.contains("\"X-4321YZTD\"")), "{:?}", usual.bodies);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_needs_a_rest_has_it_before_each_request() {
    let slow = || MeterSettings { rest: Duration::from_millis(200), blocks: false, ..meter() };
    let told = minute(slow(), "profile = \"slow.toml\"", VOLTAGES).await;
    assert!(told.is_read(), "{:?}", told.bodies);
    // 24 characters, 250 ms, 20 characters and 30 ms at 2400 baud: 0.48 s.
    assert!(told.longest_gap() < Duration::from_millis(500), "{:?}", told.longest_gap());
    let usual = minute(slow(), "profile = \"single-registers\"", VOLTAGES).await;
    assert!(usual.longest_gap() > Duration::from_millis(1000), "unheard at first: {:?}", usual.longest_gap());
}
