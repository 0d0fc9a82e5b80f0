//! The desk: takes commands as they come, lets in what is allowed, has it carried out and answers.

use super::order::{self, Order, Span, What};
use super::reply::{Brought, Outcome, PlanJson};
use super::{Answer, Command, Lane, Verb, Word, caller::Caller};
use crate::clock::Clock;
use crate::config::{self, Meter, Plan, Sent};
use crate::mqtt::payload::{self, FailureJson, ReadingJson};
use crate::mqtt::{Direct, Incoming, Properties, StatusMessage, topics};
use crate::reading::{Decoded, Reading, clock};
use crate::store::{self, Audited, Begun};
use catalogue::Register;
use dlt645::format::Value;
use dlt645::pdu::Request;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Commands that are carried out at the same time; more are told to come again.
const AT_ONCE: usize = 16;
/// Messages that are asked of the store at a time.
const BATCH: usize = 100;
/// What a bus may take beyond a command's end to say what it has.
const AFTER: Duration = Duration::from_secs(10);

/// What the daemon works by at present; a reload changes it.
#[derive(Clone, Debug)]
pub struct Works {
    /// The configuration in force.
    pub plan: Arc<Plan>,
    /// The way to each bus, by its index.
    pub lanes: Vec<Lane>,
}

/// A new archive or new tasks, for who has the configuration's file.
#[derive(Debug)]
pub struct Wish {
    /// What the head-end sent.
    pub sent: Sent,
    /// Nothing if it is in force now, and every fault if the old one is.
    pub answer: oneshot::Sender<Result<(), Vec<String>>>,
}

/// What the desk needs.
pub struct Desk {
    /// What the daemon works by.
    pub works: watch::Receiver<Arc<Works>>,
    /// Where messages and the audit table lie.
    pub store: store::Handle,
    /// Time.
    pub clock: Clock,
    /// Commands as they come.
    pub incoming: mpsc::Receiver<Incoming>,
    /// Answers as they go.
    pub direct: mpsc::Sender<Direct>,
    /// The gateway's status now.
    pub status: Arc<dyn Fn() -> StatusMessage + Send + Sync>,
    /// Where archives and tasks go.
    pub wishes: mpsc::Sender<Wish>,
}

/// What every command under way shares.
#[derive(Clone)]
struct Counter {
    works: Arc<Works>,
    store: store::Handle,
    clock: Clock,
    status: Arc<dyn Fn() -> StatusMessage + Send + Sync>,
    wishes: mpsc::Sender<Wish>,
}

/// The end of a command, before it is answered.
struct End {
    outcome: Outcome,
    detail: Option<String>,
    brought: Brought,
}

impl Desk {
    /// Serves until the session ends or has ended; commands under way are given up then, since nobody would hear of them.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                stopped = stop.changed() => if stopped.is_err() || *stop.borrow() { break },
                incoming = self.incoming.recv() => match incoming {
                    Some(incoming) => self.take(incoming, &mut under_way).await,
                    None => break,
                },
                Some(ended) = under_way.join_next() => if let Err(died) = ended {
                    tracing::error!("a command died: {died}");
                },
            }
        }
        under_way.shutdown().await;
    }

    /// Lets a command in, or answers why not.
    async fn take(&self, incoming: Incoming, under_way: &mut JoinSet<()>) {
        let works = Arc::clone(&self.works.borrow());
        let plan = &works.plan;
        let own = topics::command(&plan.mqtt.prefix, plan.gateway.id.as_str(), "");
        let Some(word) = incoming.topic.strip_prefix(&own).map(str::to_owned) else {
            tracing::debug!(topic = incoming.topic, "not a command");
            return;
        };
        let caller = Caller::of(plan, &word, &incoming.properties, self.direct.clone());
        let Some(verb) = Word::parse(&word) else {
            let known: Vec<&str> = Word::ALL.into_iter().map(Word::text).collect();
            let detail = format!("there is no verb \"{word}\"; there are {}", known.join(", "));
            return caller.refuse(None, Outcome::UnknownVerb, detail).await;
        };
        if !plan.commands.allows(verb) {
            let detail = format!("the gateway does not allow {word}; list it in [commands] allow");
            return caller.refuse(None, Outcome::NotAllowed, detail).await;
        }
        let now = self.clock.now();
        let order = match order::parse(verb, &incoming.payload, now) {
            Ok(order) => order,
            Err(bad) => {
                let outcome = if bad.too_large { Outcome::TooLarge } else { Outcome::Malformed };
                return caller.refuse(bad.id, outcome, bad.detail).await;
            }
        };
        let caller = caller.named(&order.id);
        if now >= order.until {
            let detail = format!("it was void from {} on, and nothing was done", order.until);
            return caller.refuse(Some(order.id), Outcome::Expired, detail).await;
        }
        if under_way.len() >= AT_ONCE {
            let detail = format!("{AT_ONCE} commands are under way; send it again later");
            return caller.refuse(Some(order.id), Outcome::Busy, detail).await;
        }
        if let Err(detail) = may(plan, verb, &order.what) {
            return caller.refuse(Some(order.id), Outcome::NotAllowed, detail).await;
        }
        let begun = self.store.command_begins(Audited {
            author: order.author.clone(),
            id: order.id.clone(),
            verb: verb.text().to_owned(),
            arguments: arguments(&order.what),
            received_at: now,
            expires_at: order.until,
        });
        match begun.await {
            Ok(Begun::New) => {}
            Ok(Begun::Known { outcome }) => {
                let before = outcome
                    .map_or("is under way or was cut off".to_owned(), |word| format!("ended as {word}"));
                let detail = format!("a command with this id came before and {before}; nothing was done now");
                return caller.refuse(Some(order.id), Outcome::Repeated, detail).await;
            }
            Err(why) => {
                let detail = format!("it cannot be written into the audit table: {why}");
                return caller.refuse(Some(order.id), Outcome::Failed, detail).await;
            }
        }
        tracing::info!(verb = word, id = order.id, author = order.author, "a command");
        let counter = Counter {
            works,
            store: self.store.clone(),
            clock: self.clock.clone(),
            status: Arc::clone(&self.status),
            wishes: self.wishes.clone(),
        };
        under_way.spawn(counter.serve(order, caller));
    }
}

/// Whether the meters or the line that a command concerns may be commanded so.
fn may(plan: &Plan, verb: Word, what: &What) -> Result<(), String> {
    let not = |name: &str| format!("the gateway does not allow {} of {name}", verb.text());
    match what {
        What::Read { meters, .. } | What::Clock { meters } => {
            let mut asked = chosen(plan, meters)?;
            match asked.find(|meter| !plan.commands.allows_for(verb, meter.name.as_str())) {
                Some(meter) => Err(not(meter.name.as_str())),
                None => Ok(()),
            }
        }
        What::Raw { bus, request } => {
            let of_bus = |meter: &&Meter| plan.buses.get(meter.bus).is_some_and(|b| b.name.as_str() == bus);
            let here = |meter: &&Meter| meter.protocol.dlt645_address() == Some(request.address());
            let meter = plan.meters.iter().filter(of_bus).find(here);
            match meter {
                Some(meter) if !plan.commands.allows_for(verb, meter.name.as_str()) => {
                    Err(not(meter.name.as_str()))
                }
                None if !plan.commands.allows_for(verb, "") => Err(not("a meter that is in no file")),
                Some(_) | None => Ok(()),
            }
        }
        What::Resend(_)
        | What::Plan
        | What::Status
        | What::Loglevel(_)
        | What::Archive(_)
        | What::Tasks(_) => Ok(()),
    }
}

/// The meters that fit; a text that fits none is an error.
fn chosen<'a>(plan: &'a Plan, patterns: &'a [String]) -> Result<impl Iterator<Item = &'a Meter>, String> {
    let fits = |pattern: &str, meter: &Meter| config::fits(pattern, meter.name.as_str());
    match patterns.iter().find(|pattern| !plan.meters.iter().any(|meter| fits(pattern, meter))) {
        Some(pattern) => Err(format!("no meter is called \"{pattern}\" or fits it")),
        None => {
            Ok(plan.meters.iter().filter(move |meter| patterns.iter().any(|pattern| fits(pattern, meter))))
        }
    }
}

/// What stands in the audit table; passwords in frames are masked there.
fn arguments(what: &What) -> String {
    match what {
        What::Read { meters, registers } => {
            format!("meters {}; registers {}", meters.join(" "), registers.join(" "))
        }
        What::Clock { meters } => format!("meters {}", meters.join(" ")),
        What::Resend(Span::Seq(first, last)) => format!("seq {first} to {last}"),
        What::Resend(Span::Time(from, to)) => format!("{from} to {to}"),
        What::Plan | What::Status => String::new(),
        What::Loglevel(level) => level.clone(),
        What::Archive(text) | What::Tasks(text) => format!("{} octets", text.len()),
        What::Raw { bus, request } => format!("bus {bus}; {request}"),
    }
}

impl Counter {
    async fn serve(self, order: Order, caller: Caller) {
        let Order { id, author, until, what } = order;
        let End { outcome, detail, brought } = match what {
            What::Read { meters, registers } => {
                self.meters(&meters, &Wanted::Texts(registers), (&id, &author, until), &caller).await
            }
            What::Clock { meters } => {
                self.meters(&meters, &Wanted::Clock, (&id, &author, until), &caller).await
            }
            What::Resend(span) => self.resend(span, until, &caller).await,
            What::Plan => {
                End::done(Brought { plan: Some(PlanJson::of(&self.works.plan)), ..Brought::default() })
            }
            What::Status => End::done(Brought { status: Some((self.status)()), ..Brought::default() }),
            What::Loglevel(level) => match crate::telemetry::set_log(&level) {
                Ok(()) => End::done(Brought::default()),
                Err(why) => End::bad(Outcome::Malformed, why.to_string()),
            },
            What::Archive(text) => self.wish(Sent { archive: Some(text), tasks: None }).await,
            What::Tasks(text) => self.wish(Sent { archive: None, tasks: Some(text) }).await,
            What::Raw { bus, request } => self.raw(&bus, request, (&id, &author, until)).await,
        };
        if let Err(why) =
            self.store.command_ends(author, id, outcome.word().to_owned(), self.clock.now()).await
        {
            tracing::warn!(%why, "what came of a command is not in the audit table");
        }
        caller.answer(outcome, detail, brought).await;
    }

    /// Every meter's answer as it comes, bus by bus at the same time, and how many came at the end.
    async fn meters(
        &self,
        patterns: &[String],
        wanted: &Wanted,
        (id, author, until): (&str, &str, jiff::Timestamp),
        caller: &Caller,
    ) -> End {
        let plan = &self.works.plan;
        let meters = match chosen(plan, patterns) {
            Ok(meters) => meters,
            Err(why) => return End::bad(Outcome::Malformed, why),
        };
        let mut by_bus: BTreeMap<usize, Vec<(&Meter, Vec<Register>)>> = BTreeMap::new();
        let mut known = false;
        let mut unknown = None;
        for meter in meters {
            let (registers, not_found) = wanted.of(meter);
            known |= !registers.is_empty();
            unknown = unknown.or(not_found);
            by_bus.entry(meter.bus).or_default().push((meter, registers));
        }
        if !known {
            return End::bad(Outcome::Malformed, unknown.unwrap_or_else(|| "no registers".to_owned()));
        }
        let mut asked = JoinSet::new();
        for (bus, meters) in by_bus {
            let Some(lane) = self.works.lanes.get(bus).cloned() else { continue };
            let owned =
                meters.into_iter().map(|(meter, registers)| (meter.clone(), registers)).collect::<Vec<_>>();
            let (counter, caller, wanted) = (self.clone(), caller.clone(), wanted.clone());
            let (id, author) = (id.to_owned(), author.to_owned());
            asked.spawn(async move {
                let mut whole = (0_usize, true);
                for (meter, registers) in owned {
                    let verb = Verb::Read { meter: meter.name.to_string(), registers };
                    let answer = counter.ask(&lane, verb, (&id, &author, until)).await;
                    whole.1 &= !matches!(answer, Some(Answer::Expired) | None);
                    let (detail, brought) = counter.part(&meter, answer, &wanted);
                    caller.answer(Outcome::Part, detail, brought).await;
                    whole.0 += 1;
                }
                whole
            });
        }
        let (mut count, mut all) = (0, true);
        while let Some(bus) = asked.join_next().await {
            let (meters, whole) = bus.unwrap_or((0, false));
            count += meters;
            all &= whole;
        }
        let brought = Brought { meters: Some(count), ..Brought::default() };
        if all {
            End::done(brought)
        } else {
            let detail = "its time was over, or a bus ended, before every meter had its turn".to_owned();
            End { outcome: Outcome::Expired, detail: Some(detail), brought }
        }
    }

    /// One command on a lane; `None` if the bus has ended or does not come to an end.
    async fn ask(
        &self,
        lane: &Lane,
        verb: Verb,
        (id, author, expires): (&str, &str, jiff::Timestamp),
    ) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        let command = Command { id: id.to_owned(), author: author.to_owned(), expires, verb, answer };
        let limit = order::left(expires, self.clock.now()) + AFTER;
        let came = tokio::time::timeout(limit, async {
            lane.send(command).await.ok()?;
            answered.await.ok()
        });
        came.await.ok().flatten()
    }

    fn part(&self, meter: &Meter, answer: Option<Answer>, wanted: &Wanted) -> (Option<String>, Brought) {
        let zone = &self.works.plan.gateway.zone;
        let mut brought = Brought {
            meter: Some(meter.name.to_string()),
            address: Some(meter.protocol.address()),
            ..Brought::default()
        };
        let detail = match answer {
            Some(Answer::Read(Decoded { readings, failures, .. })) => {
                if matches!(wanted, Wanted::Clock)
                    && let Some((meter_time, ahead)) = clock_of(&readings, zone)
                {
                    brought.meter_time = Some(meter_time.to_string());
                    brought.clock_offset_s = Some(ahead.as_secs());
                }
                brought.readings = readings.iter().map(|reading| ReadingJson::of(reading, zone)).collect();
                brought.failures = failures.iter().map(FailureJson::of).collect();
                None
            }
            Some(Answer::Expired) => Some("the command's time was over before it was this meter's turn"),
            Some(Answer::UnknownMeter) => Some("the meter is in no file any more"),
            Some(Answer::Raw { .. }) | None => Some("the meter's bus has ended"),
        };
        (detail.map(str::to_owned), brought)
    }

    async fn resend(&self, span: Span, until: jiff::Timestamp, caller: &Caller) -> End {
        let mut messages = 0;
        let mut after = 0;
        let end = |outcome, detail: Option<&str>, messages| End {
            outcome,
            detail: detail.map(str::to_owned),
            brought: Brought { messages: Some(messages), ..Brought::default() },
        };
        loop {
            let wanted = match span {
                Span::Seq(first, last) => store::Wanted::Seq(first..=last),
                Span::Time(from, to) => store::Wanted::Time(from..=to),
            };
            let Ok(batch) = self.store.resend(wanted, after, BATCH).await else {
                return end(Outcome::Failed, Some("the store has been closed"), messages);
            };
            if batch.is_empty() {
                return end(Outcome::Done, None, messages);
            }
            for pending in batch {
                if self.clock.now() >= until {
                    let detail =
                        "its time was over; ask for the rest, from the number after the last that came";
                    return end(Outcome::Expired, Some(detail), messages);
                }
                after = pending.seq;
                let direct = Direct {
                    topic: pending.topic,
                    payload: payload::compose(&self.store.id(), pending.seq, &pending.body),
                    // What the broker keeps is newer than this.
                    retain: false,
                    properties: Properties {
                        content_type: Some("application/json".to_owned()),
                        ..Properties::default()
                    },
                    ..Direct::default()
                };
                caller.publish(direct).await;
                messages += 1;
            }
        }
    }

    /// Has a new archive or new tasks put into force by who has the file.
    async fn wish(&self, sent: Sent) -> End {
        let (answer, answered) = oneshot::channel();
        if self.wishes.send(Wish { sent, answer }).await.is_err() {
            let detail = "this daemon was not started from a file, so nothing can take its place".to_owned();
            return End::bad(Outcome::Failed, detail);
        }
        match answered.await {
            Ok(Ok(())) => End::done(Brought::default()),
            Ok(Err(faults)) => End {
                outcome: Outcome::Refused,
                detail: Some(format!("{} fault(s); the old one stays in force", faults.len())),
                brought: Brought { faults, ..Brought::default() },
            },
            Err(_) => End::bad(Outcome::Failed, "the daemon is about to end".to_owned()),
        }
    }

    async fn raw(&self, bus: &str, request: Request, order: (&str, &str, jiff::Timestamp)) -> End {
        let buses = &self.works.plan.buses;
        let Some(lane) =
            buses.iter().position(|b| b.name.as_str() == bus).and_then(|n| self.works.lanes.get(n))
        else {
            let known: Vec<&str> = buses.iter().map(|bus| bus.name.as_str()).collect();
            return End::bad(
                Outcome::Malformed,
                format!("no bus is called \"{bus}\"; known: {}", known.join(", ")),
            );
        };
        match self.ask(lane, Verb::Raw(request), order).await {
            Some(Answer::Raw { frames, failed }) => {
                let outcome = if failed.is_some() { Outcome::Failed } else { Outcome::Done };
                let detail = failed.map(|why| format!("{}: {}", why.reason, why.detail));
                let frames = frames.iter().map(|frame| hex(frame)).collect();
                End { outcome, detail, brought: Brought { frames, ..Brought::default() } }
            }
            Some(Answer::Expired) => End::bad(
                Outcome::Expired,
                "its time was over before it was its turn; nothing was sent".to_owned(),
            ),
            Some(Answer::Read(_) | Answer::UnknownMeter) | None => {
                End::bad(Outcome::Failed, "the bus has ended".to_owned())
            }
        }
    }
}

/// What is asked of each meter.
#[derive(Clone, Debug)]
enum Wanted {
    /// What the caller wrote.
    Texts(Vec<String>),
    /// Date and time.
    Clock,
}

impl Wanted {
    /// The registers that a meter has of it, each once, and why one is not there.
    fn of(&self, meter: &Meter) -> (Vec<Register>, Option<String>) {
        let clock = ["clock_date".to_owned(), "clock_time".to_owned()];
        let texts = match self {
            Self::Texts(texts) => texts.as_slice(),
            Self::Clock => &clock,
        };
        let (mut registers, mut why) = (Vec::new(), None);
        for text in texts {
            match config::registers(meter.dialect(), text) {
                Ok(found) => found.into_iter().for_each(|register| {
                    if !registers.contains(&register) {
                        registers.push(register);
                    }
                }),
                Err(sentence) => why = Some(sentence),
            }
        }
        (registers, why)
    }
}

/// The clock out of date and time.
fn clock_of(
    readings: &[Reading],
    zone: &jiff::tz::TimeZone,
) -> Option<(jiff::civil::DateTime, jiff::SignedDuration)> {
    let date = readings.iter().find_map(|r| match r.value() {
        Some(Value::Date(date)) => Some((*date, r.taken_at)),
        _ => None,
    })?;
    let time = readings.iter().find_map(|r| match r.value() {
        Some(Value::Time(time)) => Some((*time, r.taken_at)),
        _ => None,
    })?;
    clock::offset(date, time, zone)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02X}");
        text
    })
}

impl End {
    const fn done(brought: Brought) -> Self {
        Self { outcome: Outcome::Done, detail: None, brought }
    }

    fn bad(outcome: Outcome, detail: String) -> Self {
        Self { outcome, detail: Some(detail), brought: Brought::default() }
    }
}
