//! Messages as a gateway makes them: 27 readings of a three-phase meter, by the daemon's own payload builder.

use super::three_phase::REGISTERS;
use catalogue::{Catalogue, Register};
use dlt645::Address;
use jiff::Timestamp;
use meterd::clock::Clock;
use meterd::config;
use meterd::mqtt::payload;
use meterd::planner::{Ask, Costs, Line, plan};
use meterd::reading::{Origin, Report, Transformers, decode};
use meterd::simulator::{MeterSettings, Phases, VirtualMeter};
use meterd::store::{self, Dropped, Entry, Handle, Lost, Rules, Writer};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Readings in a message.
pub(crate) const READINGS: usize = 27;
/// Meters of a line, so that the plan fits its air time.
const A_LINE: usize = 32;
/// The messages are of the hour before this moment.
const SPAN_S: i64 = 3600;

/// What makes messages.
pub(crate) struct Traffic {
    bodies: RefCell<payload::Bodies>,
    asks: Vec<Ask>,
    meter: VirtualMeter,
    meters: usize,
    begin: Timestamp,
    /// Milliseconds between two slots.
    every_ms: i64,
}

impl Traffic {
    /// Of so many meters, named as those of the bench `fleet`, for `messages` within the last hour.
    pub(crate) fn of(meters: usize, messages: usize) -> Self {
        let mut text = "[gateway]\nid = \"fleet\"\ntimezone = \"Asia/Shanghai\"\ndata_dir = \"store\"\n\
                        [mqtt]\nurl = \"mqtt://127.0.0.1\"\n"
            .to_owned();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "[[task]]\nname = \"full\"\nevery = \"15m\"\nregisters = {REGISTERS:?}");
        for line in 0..meters.div_ceil(A_LINE) {
            let _ = writeln!(
                text,
                "[[bus]]\nname = \"line-{line}\"\nport = \"tcp://127.0.0.1:{}\"\nbaud = 9600",
                line + 1
            );
        }
        for meter in 0..meters {
            let (line, address) = (meter / A_LINE, meter + 1);
            let _ = writeln!(
                text,
                "[[meter]]\nname = \"meter-{meter}\"\nbus = \"line-{line}\"\naddress = \"{address:012}\""
            );
        }
        let loaded = config::plan_from_text("traffic.toml", &text, Path::new("/"));
        let plan_of = loaded.expect("a sound configuration").plan;
        let table = Catalogue::dlt645_2007();
        let wanted: Vec<Register> =
            REGISTERS.iter().flat_map(|name| table.find(name, 4).expect("a known name")).collect();
        assert_eq!(wanted.len(), READINGS);
        let asks = plan(&wanted, &BTreeSet::new(), &Costs::usual(Line::DEFAULT));
        let address: Address = "000000000001".parse().expect("twelve digits");
        let settings = MeterSettings { phases: Phases::Three, ..MeterSettings::household(address) };
        let slots = messages.div_ceil(meters).max(1);
        let now = Clock::system().now();
        let begin = Timestamp::from_second(now.as_second() - SPAN_S).expect("after 1970");
        let every_ms = SPAN_S * 1000 / slots as i64;
        Self {
            bodies: payload::Bodies::new(Arc::new(plan_of)).into(),
            asks,
            meter: VirtualMeter::new(settings, 7),
            meters,
            begin,
            every_ms,
        }
    }

    /// Message number `n`: each meter once, then each for the next slot.
    pub(crate) fn entry(&self, n: usize) -> Entry {
        let slot_ms = self.begin.as_millisecond() + (n / self.meters) as i64 * self.every_ms;
        let slot = Timestamp::from_millisecond(slot_ms).expect("within the last hour");
        let mut readings = Vec::with_capacity(READINGS);
        for ask in &self.asks {
            let mut octets = Vec::new();
            self.meter
                .read(ask.subject.id().di().expect("all meters speak DL/T 645"), slot, &mut octets)
                .expect("the meter has it");
            let decoded = decode(ask, &octets, slot, Transformers::default()).expect("a sound answer");
            assert!(decoded.failures.is_empty(), "{:?}", decoded.failures);
            readings.extend(decoded.readings);
        }
        let meter = n % self.meters;
        self.bodies.borrow_mut().entry(&Report {
            meter,
            task: 0,
            slot,
            origin: Origin::default(),
            readings,
            failures: Vec::new(),
        })
    }

    /// The first `count` messages.
    pub(crate) fn entries(&self, count: usize) -> Vec<Entry> {
        (0..count).map(|n| self.entry(n)).collect()
    }
}

/// The task of a store in `folder`, by the usual rules.
pub(crate) fn open(folder: &Path) -> (Handle, JoinHandle<Result<Writer, Lost>>) {
    let writer = Writer::open(folder).expect("the store opens");
    let announce = |dropped: &Dropped| -> Entry { panic!("dropped: {dropped:?}") };
    store::start(writer, Rules::default(), Clock::system(), Arc::new(announce))
}

/// Ends it in order.
pub(crate) async fn close(store: Handle, task: JoinHandle<Result<Writer, Lost>>) {
    store.close().await.expect("the store is open");
    task.await.expect("the store's task ends").expect("nothing is lost");
}
