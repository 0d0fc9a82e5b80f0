//! The account: what meters sent, what was stored, what was published and signed for.

use super::lines::Lines;
use super::oracle::{PLACES, Place, text_in};
use super::stored::{Key, Stored};
use super::stub::Published;
use jiff::{SignedDuration, Timestamp};
use meterd::mqtt::payload::{DataMessage, ReadingJson};
use meterd::simulator::Sent;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Packets on their way, and those signed for and not yet deleted durably.
pub(crate) const WINDOW: usize = 100;
/// From the begin of a slot to its last reply: the next slot comes after a second, and what was begun is brought to its
/// end. Where a line has faults, each exchange of a meter may have its second try and a late answer.
const LONGEST: SignedDuration = SignedDuration::from_secs(6);
const LONGEST_OF_FAULTY_LINES: SignedDuration = SignedDuration::from_secs(20);
/// From the end of a reply until the daemon has it, at most.
const HANDING_OVER: SignedDuration = SignedDuration::from_secs(3);
/// `taken_at` may be so much before the instant that the line noted, at most: it is cut to milliseconds, and the line
/// reckons the instant from when it looked at the clock, before which the machine may have let it wait.
const BEFORE: SignedDuration = SignedDuration::from_millis(20);
/// Numbers below those of the last look that are looked at again: what may have been lost since.
const AGAIN: u64 = 500;

/// A message as it was published first.
struct First {
    payload: Vec<u8>,
    key: Option<Key>,
    /// The connection that brought it last.
    connection: usize,
    signed: bool,
}

/// One register's answers: the text of a value, and when its first and its last octet went out.
type Answers = HashMap<String, Vec<(Timestamp, Timestamp)>>;

/// All that is known, and what is wrong.
#[derive(Default)]
pub(crate) struct Account {
    /// Whether the lines have faults.
    faulty_lines: bool,
    answers: HashMap<(String, &'static str), Answers>,
    /// The last answer of each line that is in the books.
    booked: Vec<Option<Sent>>,
    store: String,
    /// What was seen in the file.
    stored: BTreeMap<u64, Key>,
    last: u64,
    published: BTreeMap<u64, First>,
    /// By meter: the last number published first, and its slot.
    order: BTreeMap<String, (u64, i64)>,
    /// Numbers that a connection brought again, and which connection had brought them last. Each leaves a window of
    /// them at most, and more than one may be left: a long backlog goes in another order than a short one.
    again: BTreeMap<(usize, usize), BTreeSet<u64>>,
    /// PUBLISHes of numbers that another had before.
    pub(crate) duplicates: u64,
    /// Numbers that a connection brought and another had brought last: the most of any two.
    pub(crate) most_again: usize,
    /// Readings published, each message once.
    pub(crate) readings: u64,
    pub(crate) failures: u64,
    /// Sentences.
    pub(crate) wrong: Vec<String>,
}

impl Account {
    /// An empty one, of lines that have faults or none.
    pub(crate) fn of(faulty_lines: bool) -> Self {
        Self { faulty_lines, ..Self::default() }
    }

    fn say(&mut self, what: String) {
        // The first ones tell; a thousand more would not.
        if self.wrong.len() < 50 {
            self.wrong.push(what);
        }
    }

    /// Messages seen in the store.
    pub(crate) fn stored(&self) -> u64 {
        self.last
    }

    /// Messages that the broker signed for.
    pub(crate) fn signed(&self) -> u64 {
        self.published.values().filter(|first| first.signed).count() as u64
    }

    /// Numbers up to the last one seen in the store that nobody signed for.
    pub(crate) fn missing(&self) -> Vec<u64> {
        let signed = |seq: &u64| self.published.get(seq).is_some_and(|first| first.signed);
        (1..=self.last).filter(|seq| !signed(seq)).collect()
    }

    /// Books what the meters answered.
    pub(crate) fn book(&mut self, lines: &Lines) {
        for (line, sent) in lines.sent().enumerate() {
            if self.booked.len() <= line {
                self.booked.push(None);
            }
            let old = self.booked[line].as_ref().and_then(|last| sent.iter().rposition(|one| one == last));
            for one in &sent[old.map_or(0, |old| old + 1)..] {
                for place in &PLACES {
                    if let Some(text) = text_in(place, &one.said) {
                        let answers =
                            self.answers.entry((one.meter.to_string(), place.register)).or_default();
                        answers.entry(text).or_default().push((one.begun, one.ended));
                    }
                }
            }
            self.booked[line] = sent.last().cloned();
        }
    }

    /// Books what the broker heard, in its order. The answers of the meters are to be booked before.
    pub(crate) fn take(&mut self, published: &[Published]) {
        for one in published {
            let Ok(json) = serde_json::from_slice::<serde_json::Value>(&one.payload) else {
                self.say(format!("{} is no JSON", one.topic));
                continue;
            };
            // The states of the gateway have no number.
            let Some(seq) = json["seq"].as_u64() else { continue };
            let store = json["store"].as_str().unwrap_or_default();
            if self.store.is_empty() {
                store.clone_into(&mut self.store);
            }
            if store != self.store {
                self.say(format!("number {seq} is of the store {store}, not {}", self.store));
                continue;
            }
            match self.published.get_mut(&seq) {
                None => self.first(seq, one),
                Some(first) => {
                    first.signed |= one.is_signed();
                    let same = first.payload == one.payload;
                    if first.connection != one.connection {
                        let both = (one.connection, first.connection);
                        self.again.entry(both).or_default().insert(seq);
                        first.connection = one.connection;
                    }
                    self.duplicates += 1;
                    if !same {
                        self.say(format!("number {seq} came again with another content"));
                    }
                }
            }
        }
        let most = self.again.values().map(BTreeSet::len).max().unwrap_or_default();
        if most > WINDOW && most > self.most_again {
            self.say(format!("a connection brought {most} messages of another again"));
        }
        self.most_again = self.most_again.max(most);
        while self.again.len() > 30 {
            self.again.pop_first();
        }
    }

    fn first(&mut self, seq: u64, one: &Published) {
        let data = one.topic.contains("/data/").then(|| DataMessage::parse(&one.payload));
        let key = match data {
            Some(Err(e)) => {
                self.say(format!("{} is no data message: {e}", one.topic));
                None
            }
            Some(Ok(message)) => Some(self.message(seq, &message)),
            None => None,
        };
        let (payload, connection, signed) = (one.payload.clone(), one.connection, one.is_signed());
        self.published.insert(seq, First { payload, key, connection, signed });
    }

    fn message(&mut self, seq: u64, message: &DataMessage) -> Key {
        let body = &message.body;
        let slot: Timestamp = body.slot.parse().unwrap();
        let key = Key { meter: body.meter.clone(), task: body.task.clone(), slot: slot.as_millisecond() };
        if let Some((before, earlier)) = self.order.insert(key.meter.clone(), (seq, key.slot))
            && (before > seq || earlier > key.slot)
        {
            self.say(format!("{} {slot}: number {seq} comes first after {before}", key.meter));
        }
        for wrong in self.wrong_values(message, slot) {
            self.say(wrong);
        }
        self.readings += body.readings.len() as u64;
        self.failures += body.failures.len() as u64;
        key
    }

    fn wrong_values(&self, message: &DataMessage, slot: Timestamp) -> Vec<String> {
        let body = &message.body;
        let wrong = body.readings.iter().filter_map(|reading| self.is_wrong(reading, &body.address, slot));
        wrong.map(|wrong| format!("{} {slot}: {wrong}", body.meter)).collect()
    }

    /// Values in a message of readings that its meter did not send; the answers of the meters are to be booked before.
    pub(crate) fn values_that_no_meter_sent(&self, one: &Published) -> Vec<String> {
        if !one.topic.contains("/data/") {
            return Vec::new();
        }
        match DataMessage::parse(&one.payload) {
            Ok(message) => self.wrong_values(&message, message.body.slot.parse().unwrap()),
            Err(e) => vec![format!("{} is no data message: {e}", one.topic)],
        }
    }

    /// Why this value is none that the meter sent for this register in this slot.
    fn is_wrong(&self, reading: &ReadingJson, address: &str, slot: Timestamp) -> Option<String> {
        let register = &reading.register;
        let Some(Place { register: name, .. }) = PLACES.iter().find(|place| place.register == *register)
        else {
            return Some(format!("{register} was not asked for"));
        };
        let value = reading.value.as_ref().map(ToString::to_string).unwrap_or_default();
        let answers = self.answers.get(&(address.to_owned(), *name)).and_then(|all| all.get(&value));
        let Some(answers) = answers else { return Some(format!("{register} = {value} was never sent")) };
        let taken_at: Timestamp = reading.taken_at.parse().unwrap();
        let latest = taken_at + BEFORE;
        let longest = if self.faulty_lines { LONGEST_OF_FAULTY_LINES } else { LONGEST };
        let is_meant = |(begun, ended): &&(Timestamp, Timestamp)| {
            let in_window = *begun >= slot && *ended <= slot + longest;
            in_window && *begun <= latest && *ended >= taken_at - HANDING_OVER
        };
        match answers.iter().find(is_meant) {
            Some(_) => None,
            None => {
                let near = answers.iter().rev().take(3).collect::<Vec<_>>();
                Some(format!("{register} = {value} taken at {taken_at} was last sent at {near:?}"))
            }
        }
    }

    /// From which number on the store is to be read for [`Account::look`].
    pub(crate) fn after(&self) -> u64 {
        self.last.saturating_sub(AGAIN)
    }

    /// Looks at what the file holds; the daemon does not run.
    pub(crate) fn look(&mut self, found: Stored) {
        if let Some(wrong) = found.wrong {
            self.say(format!("the store is damaged: {wrong}"));
        }
        if self.last > 0 && found.id != self.store {
            self.say(format!("the store is {}, it was {}", found.id, self.store));
        }
        if self.store.is_empty() {
            self.store = found.id;
        }
        if found.last < self.last {
            self.say(format!("the store went back from number {} to {}", self.last, found.last));
        }
        let lost: Vec<u64> = self.stored.range(self.after() + 1..).map(|(seq, _)| *seq).collect();
        for seq in lost {
            if found.messages.get(&seq) != self.stored.get(&seq) {
                let (was, is) = (self.stored.get(&seq), found.messages.get(&seq));
                self.say(format!("number {seq} was stored as {was:?} and is {is:?}"));
            }
        }
        self.last = self.last.max(found.last);
        if let Some((newest, _)) = self.published.last_key_value()
            && *newest > found.last
        {
            self.say(format!("number {newest} was published, and the store has {} at most", found.last));
        }
        self.stored.extend(found.messages);
    }

    /// What must hold when nothing is left to deliver.
    pub(crate) fn close(&mut self) {
        let missing = self.missing();
        if !missing.is_empty() {
            let few: Vec<_> = missing.iter().take(10).collect();
            self.say(format!("{} messages were stored and never signed for: {few:?}", missing.len()));
        }
        let of_data = |first: &First| first.key.clone();
        let published: BTreeMap<u64, Key> =
            self.published.iter().filter_map(|(seq, first)| Some((*seq, of_data(first)?))).collect();
        for (seq, key) in &self.stored {
            if published.get(seq) != Some(key) {
                self.wrong.push(format!("stored {seq} {key:?}, published {:?}", published.get(seq)));
            }
        }
        for (seq, key) in &published {
            if !self.stored.contains_key(seq) {
                self.wrong.push(format!("published {seq} {key:?}, never seen in the store"));
            }
        }
        let mut keys = BTreeMap::new();
        for (seq, key) in published {
            *keys.entry((key, self.has_readings(seq))).or_insert(0) += 1;
        }
        for ((key, has), count) in keys {
            if has && count > 1 {
                self.wrong.push(format!("{key:?} has {count} messages with readings"));
            }
        }
    }

    fn has_readings(&self, seq: u64) -> bool {
        let payload = self.published.get(&seq).map(|first| first.payload.as_slice()).unwrap_or_default();
        DataMessage::parse(payload).is_ok_and(|message| !message.body.readings.is_empty())
    }
}
