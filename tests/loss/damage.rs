//! What becomes of a store that is damaged between two lives of its daemon.

use super::plant::{Design, Plant};
use super::stored::Stored;
use super::stub::{Acks, Manners, Published};
use meterd::simulator::Dice;
use rustix::process::Signal;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAGE: u64 = 4096;
/// A page has room for so many messages of this plant; the shortest are states of meters.
const ON_A_PAGE: usize = 24;
const PATIENCE: Duration = Duration::from_secs(30);

/// What happens to the files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Damage {
    FlippedBit,
    ZeroedPage,
    CutFile,
    NoFile,
    FlippedBitOfLog,
    CutLog,
}

impl Damage {
    pub(crate) const ALL: [Self; 6] = [
        Self::FlippedBit,
        Self::ZeroedPage,
        Self::CutFile,
        Self::NoFile,
        Self::FlippedBitOfLog,
        Self::CutLog,
    ];

    /// Does it somewhere, and says where.
    fn strike(self, store: &Path, dice: &mut Dice) -> String {
        let log = matches!(self, Self::FlippedBitOfLog | Self::CutLog);
        let path = store.join(if log { "meterd.db-wal" } else { "meterd.db" });
        if self == Self::NoFile {
            std::fs::remove_file(path).unwrap();
            return "it is gone".to_owned();
        }
        let file = File::options().read(true).write(true).open(path).unwrap();
        let length = file.metadata().unwrap().len();
        let mut at = dice.between(0, length);
        if matches!(self, Self::FlippedBit | Self::ZeroedPage) && dice.hits(0.8) {
            at = of_messages(&file, length, dice);
        }
        match self {
            Self::FlippedBit | Self::FlippedBitOfLog => {
                let mut octet = [0];
                file.read_exact_at(&mut octet, at).unwrap();
                file.write_all_at(&[octet[0] ^ 1 << dice.between(0, 8)], at).unwrap();
            }
            Self::ZeroedPage => file.write_all_at(&[0; PAGE as usize], at / PAGE * PAGE).unwrap(),
            Self::CutFile | Self::CutLog => file.set_len(at).unwrap(),
            Self::NoFile => {}
        }
        format!("octet {at} of {length}")
    }

    /// Whether the newest messages may be gone and nobody knows that they ever were: numbers are known by what is left.
    fn hides_the_newest(self) -> bool {
        match self {
            Self::FlippedBit | Self::ZeroedPage => false,
            Self::CutFile | Self::NoFile | Self::FlippedBitOfLog | Self::CutLog => true,
        }
    }

    /// Messages that it may cost at most; `None` for all that stood there.
    fn costs(self) -> Option<usize> {
        match self {
            Self::FlippedBit | Self::ZeroedPage | Self::FlippedBitOfLog => Some(ON_A_PAGE),
            Self::CutFile | Self::NoFile | Self::CutLog => None,
        }
    }
}

/// An octet of a page that messages of readings stand on.
fn of_messages(file: &File, length: u64, dice: &mut Dice) -> u64 {
    let mut page = [0; PAGE as usize];
    let mut holds = |number: &u64| {
        file.read_exact_at(&mut page, number * PAGE).unwrap();
        page.windows(11).any(|text| text == b"\"readings\":")
    };
    let pages: Vec<u64> = (0..length / PAGE).filter(|number| holds(number)).collect();
    pages[dice.between(0, pages.len() as u64) as usize] * PAGE + dice.between(0, PAGE)
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Messages that were stored and not signed for when it happened.
    pub(crate) waiting: usize,
    /// Of these, how many were delivered afterwards, how many were said to be lost, and how many nobody knows of.
    pub(crate) saved: usize,
    pub(crate) said: usize,
    pub(crate) unknown: usize,
    pub(crate) made_anew: bool,
    /// Sentences.
    pub(crate) wrong: Vec<String>,
}

/// A daemon lives, ends, its store is damaged, and it lives again until all that is left is delivered.
pub(crate) async fn live_again(design: Design, damage: Damage) -> Outcome {
    let mut dice = Dice::new(design.seed);
    let mut plant = Plant::build(design).await;
    let mut outcome = Outcome::default();
    // What was signed for lies in the file with what was not.
    if dice.hits(0.5) {
        live(&mut plant, Manners::default(), dice.between(10, 40) as usize, &mut outcome).await;
    }
    // Each start writes the log back into the file: the first half is there then, the second in the log.
    let never = Manners { acks: Acks::Never, ..Manners::default() };
    for _ in 0..2 {
        live(&mut plant, never, dice.between(20, 60) as usize, &mut outcome).await;
    }
    let before = Heard::of(&plant);
    let old = Stored::read(&plant.store(), &plant.scratch(), 0).unwrap();
    let waiting: BTreeSet<u64> = (1..=old.last).filter(|seq| !before.signed.contains_key(seq)).collect();
    outcome.waiting = waiting.len();
    let place = damage.strike(&plant.store(), &mut dice);

    live_until_drained(&mut plant, &mut outcome).await;
    let after = Heard::of(&plant);
    plant.account.book(&plant.lines);
    for one in plant.stub.look(|record| record.published.clone()) {
        outcome.wrong.extend(plant.account.values_that_no_meter_sent(&one));
    }
    let same = |seq: &u64| match (before.payloads.get(seq), after.signed.get(seq)) {
        (Some(then), Some(now)) => then == now,
        (None, Some(now)) => {
            old.messages.get(seq).is_none_or(|key| now.contains(&format!("\"{}\"", key.meter)))
        }
        (_, None) => false,
    };
    let (saved, gone): (BTreeSet<u64>, BTreeSet<u64>) = waiting.into_iter().partition(same);
    let (said, unsaid): (Vec<u64>, Vec<u64>) = gone.iter().partition(|seq| after.is_lost(**seq));
    let newest = saved.iter().chain(before.signed.keys()).chain(&said).max().copied().unwrap_or(0);
    outcome.saved = saved.len();
    outcome.said = said.len();
    outcome.unknown = unsaid.len();
    let silently = unsaid.iter().filter(|seq| **seq < newest || !damage.hides_the_newest()).count();
    let mut say = |what: String| outcome.wrong.push(what);
    if silently > 0 {
        say(format!("{silently} messages are lost without a word: {unsaid:?}"));
    }
    if damage.costs().is_some_and(|most| gone.len() > most) {
        say(format!("it cost {} messages: {gone:?}", gone.len()));
    }
    for (messages, ranges) in &after.lost {
        let numbers: u64 = ranges.iter().map(|(first, last)| last - first + 1).sum();
        if *messages != numbers {
            say(format!("it says {messages} are lost, of {ranges:?}"));
        }
    }
    match Stored::read(&plant.store(), &plant.scratch(), 0) {
        Ok(now) => {
            outcome.made_anew = now.id != old.id;
            if let Some(wrong) = now.wrong.filter(|_| now.id != old.id) {
                outcome.wrong.push(format!("the new store is damaged: {wrong}"));
            }
            if now.id == old.id && !after.lost.is_empty() {
                outcome.wrong.push("messages are lost, and the store has its old id".to_owned());
            }
        }
        Err(e) => outcome.wrong.push(format!("the store cannot be read: {e}")),
    }
    for wrong in &mut outcome.wrong {
        wrong.push_str(&format!(" ({damage:?}, {place})"));
    }
    outcome
}

/// Until so many messages came, of which one is new: the log has something. Then it is killed.
async fn live(plant: &mut Plant, manners: Manners, messages: usize, outcome: &mut Outcome) {
    plant.stub.set(manners);
    let number = |one: &Published| json(one)["seq"].as_u64();
    let newest = |record: &super::stub::Record| record.published.iter().filter_map(number).max();
    let (before, old) = plant.stub.look(|record| (record.published.len(), newest(record)));
    let mut daemon = plant.start("");
    let enough =
        |record: &super::stub::Record| record.published.len() >= before + messages && newest(record) > old;
    if !plant.stub.until(PATIENCE, enough).await {
        outcome.wrong.push(format!("{messages} messages do not come: {}", plant.log()));
    }
    daemon.signal()(Signal::KILL);
    daemon.ended(Duration::from_secs(10)).await.unwrap();
    ended(plant, outcome).await;
}

/// Until what was read in this life is signed for, which is behind all that waits; then it ends in order.
async fn live_until_drained(plant: &mut Plant, outcome: &mut Outcome) {
    plant.stub.set(Manners::default());
    let connections = plant.stub.look(|record| record.connections.len());
    let started = plant.lines.now();
    let mut daemon = plant.start("");
    let is_new = |one: &Published| {
        let slot = json(one)["slot"].as_str().and_then(|slot| slot.parse::<jiff::Timestamp>().ok());
        one.connection >= connections && one.is_signed() && slot.is_some_and(|slot| slot > started)
    };
    let drained = plant.stub.until(PATIENCE, |record| record.published.iter().any(is_new));
    if !drained.await {
        outcome.wrong.push(format!("nothing new is delivered: {}", plant.log()));
    }
    if let Some(ended) = daemon.ended(Duration::ZERO).await {
        outcome.wrong.push(format!("it ended by itself with {ended}: {}", plant.log()));
    }
    let stopped = daemon.stop(Duration::from_secs(10)).await;
    if !stopped.is_some_and(|ended| ended.success()) {
        outcome.wrong.push(format!("after SIGTERM it ended with {stopped:?}"));
    }
    ended(plant, outcome).await;
}

async fn ended(plant: &Plant, outcome: &mut Outcome) {
    let over = |record: &super::stub::Record| record.connections.iter().all(|one| one.ended.is_some());
    if !plant.stub.until(PATIENCE, over).await {
        outcome.wrong.push("a connection of a daemon that has ended stands on".to_owned());
    }
}

fn json(one: &Published) -> Json {
    serde_json::from_slice(&one.payload).unwrap_or_default()
}

/// What the broker has, by number: payloads without the store's id.
#[derive(Debug, Default)]
struct Heard {
    payloads: BTreeMap<u64, String>,
    signed: BTreeMap<u64, String>,
    /// What was said to be lost by damage: how many, and which.
    lost: Vec<(u64, Vec<(u64, u64)>)>,
}

impl Heard {
    fn of(plant: &Plant) -> Self {
        let mut heard = Self::default();
        for one in plant.stub.look(|record| record.published.clone()) {
            let mut json = json(&one);
            let Some(seq) = json["seq"].as_u64() else { continue };
            if one.topic.ends_with("event/rows_dropped") {
                assert_eq!(json["why"], "damaged", "{json}");
                let ranges = json["ranges"].as_array().unwrap().iter();
                let ranges = ranges.map(|range| (range[0].as_u64().unwrap(), range[1].as_u64().unwrap()));
                heard.lost.push((json["messages"].as_u64().unwrap(), ranges.collect()));
            }
            json.as_object_mut().unwrap().remove("store");
            let text = json.to_string();
            // A number of which nothing was known may be given again: the first one stands.
            heard.payloads.entry(seq).or_insert_with(|| text.clone());
            if one.is_signed() {
                heard.signed.entry(seq).or_insert(text);
            }
        }
        heard.lost.dedup();
        heard
    }

    fn is_lost(&self, seq: u64) -> bool {
        self.lost.iter().any(|(_, ranges)| ranges.iter().any(|(first, last)| (*first..=*last).contains(&seq)))
    }
}

impl Plant {
    fn scratch(&self) -> PathBuf {
        self.store().with_file_name("scratch")
    }
}
