//! What was read is announced to Home Assistant: heard by the collector, kept in the store, said by the herald.

use crate::clock::Clock;
use crate::config::Plan;
use crate::mqtt::Direct;
use crate::mqtt::home_assistant::{self, Known, REGISTERS};
use crate::reading::Report;
use crate::store::{self, About, Fact};
use catalogue::Identifier;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Keys of facts of the gateway: a meter point, and a topic whose message the broker is to forget.
const MEETS: &str = "home_assistant/";
const GONE: &str = "home_assistant_gone/";
/// A topic is emptied at every connect for so long: Home Assistant or the broker may be away.
const FORGET: SignedDuration = SignedDuration::from_hours(31 * 24);
/// What comes within this time is announced together.
const TOGETHER: Duration = Duration::from_secs(5);
/// News that may wait for the disk; more come again with the next slot.
const NEWS: usize = 64;

/// Registers of a meter that a task read well for the first time.
#[derive(Debug)]
pub(super) struct News {
    plan: Arc<Plan>,
    meter: usize,
    task: usize,
    registers: Vec<String>,
}

/// Hears in passing what is read for the first time.
#[derive(Debug)]
pub(super) struct Ear {
    news: mpsc::Sender<News>,
    /// By this plan's numbers of meters and tasks.
    plan: Option<Arc<Plan>>,
    heard: HashSet<(usize, usize, Identifier)>,
}

impl Ear {
    /// Never waits.
    pub(super) fn listen(&mut self, report: &Report, plan: &Arc<Plan>) {
        if plan.mqtt.home_assistant.is_none() {
            return;
        }
        if self.plan.as_ref().is_none_or(|own| !Arc::ptr_eq(own, plan)) {
            self.heard.clear();
            self.plan = Some(Arc::clone(plan));
        }
        let (meter, task) = (report.meter, report.task);
        let is_new = |di| !self.heard.contains(&(meter, task, di));
        let new: Vec<_> = report
            .readings
            .iter()
            .filter(|reading| is_new(reading.register.id()) && home_assistant::announces(reading))
            .map(|reading| reading.register)
            .collect();
        if new.is_empty() {
            return;
        }
        let registers = new.iter().map(|register| register.name().to_string()).collect();
        if self.news.try_send(News { plan: Arc::clone(plan), meter, task, registers }).is_ok() {
            self.heard.extend(new.iter().map(|register| (meter, task, register.id())));
        }
    }
}

/// The task that knows what was announced.
#[derive(Debug)]
pub(super) struct Announcer {
    news: mpsc::Receiver<News>,
    in_force: watch::Receiver<Arc<Plan>>,
    store: store::Handle,
    clock: Clock,
    /// By meter point.
    known: BTreeMap<String, Known>,
    /// Topics that are to be empty.
    gone: BTreeMap<String, Timestamp>,
    list: watch::Sender<Arc<[Direct]>>,
}

/// What an announcer needs, and what comes of it: who hears for it, itself, and what the broker is to keep.
pub(super) fn announcer(
    in_force: watch::Receiver<Arc<Plan>>,
    store: store::Handle,
    clock: Clock,
    facts: &[Fact],
) -> (Ear, Announcer, watch::Receiver<Arc<[Direct]>>) {
    let (news, heard) = mpsc::channel(NEWS);
    let (list, announced) = watch::channel(Arc::from([]));
    let known = facts.iter().filter_map(|fact| {
        let meter = fact.key.strip_prefix(MEETS)?;
        Some((meter.to_owned(), serde_json::from_str(&fact.value).ok()?))
    });
    let gone = facts.iter().filter_map(|fact| Some((fact.key.strip_prefix(GONE)?.to_owned(), fact.at)));
    let (known, gone) = (known.collect(), gone.collect());
    let announcer = Announcer { news: heard, in_force, store, clock, known, gone, list };
    (Ear { news, plan: None, heard: HashSet::new() }, announcer, announced)
}

impl Announcer {
    /// Ends when nobody hears for it any more.
    pub(super) async fn run(mut self) {
        if self.forget_old().await.and(self.announce().await).is_err() {
            return;
        }
        let mut due = None;
        loop {
            let waits = due.unwrap_or_default();
            let done = tokio::select! {
                biased;
                news = self.news.recv() => match news {
                    Some(news) => match self.take(news).await {
                        Ok(true) => {
                            due = due.or(Some(self.clock.elapsed() + TOGETHER));
                            Ok(())
                        }
                        Ok(false) => Ok(()),
                        Err(closed) => Err(closed),
                    },
                    None => return,
                },
                Ok(()) = self.in_force.changed() => self.announce().await,
                () = tokio::time::sleep_until(self.clock.instant(waits)), if due.is_some() => {
                    due = None;
                    self.announce().await
                }
            };
            if let Err(store::Closed) = done {
                return;
            }
        }
    }

    /// Takes over what was read; whether it changes anything.
    async fn take(&mut self, news: News) -> Result<bool, store::Closed> {
        let News { plan, meter, task, registers } = news;
        let (Some(prefix), Some(meter), Some(task)) =
            (&plan.mqtt.home_assistant, plan.meters.get(meter), plan.tasks.get(task))
        else {
            return Ok(false);
        };
        let (gateway, name) = (plan.gateway.id.as_str(), meter.name.as_str());
        let known = self.known.entry(name.to_owned()).or_default();
        let before = known.clone();
        if known.topic.is_empty() {
            known.topic = crate::mqtt::topics::home_assistant(prefix, gateway, name);
        }
        let address = meter.protocol.address();
        if known.address != address {
            known.address = address;
            known.registers.values_mut().for_each(String::clear);
        }
        for register in registers {
            let by = known.registers.get(&register);
            let by = by.and_then(|by| plan.tasks.iter().find(|task| task.name.as_str() == by));
            // The task that reads it more often.
            let is_better = by.is_none_or(|by| task.when.every() < by.when.every());
            let has_room = known.registers.len() < REGISTERS || known.registers.contains_key(&register);
            if is_better && has_room {
                known.registers.insert(register, task.name.to_string());
            } else if !has_room {
                tracing::warn!(
                    meter = name,
                    register,
                    "not announced to Home Assistant: {REGISTERS} registers of the meter are"
                );
            }
        }
        if *known == before {
            return Ok(false);
        }
        let known = known.clone();
        self.keep(name, &known).await?;
        Ok(true)
    }

    async fn keep(&self, meter: &str, known: &Known) -> Result<(), store::Closed> {
        let Ok(value) = serde_json::to_string(known) else { return Ok(()) };
        let fact = Fact { key: format!("{MEETS}{meter}"), value, at: self.clock.now() };
        self.store.learn(About::Gateway, fact).await
    }

    /// Says what is to be said by the plan in force.
    async fn announce(&mut self) -> Result<(), store::Closed> {
        let plan = self.in_force.borrow_and_update().clone();
        let gateway = plan.gateway.id.as_str();
        let topic = |meter: &str| {
            let prefix = plan.mqtt.home_assistant.as_ref()?;
            plan.meters.iter().any(|own| own.name.as_str() == meter).then_some(())?;
            Some(crate::mqtt::topics::home_assistant(prefix, gateway, meter))
        };
        let moved: Vec<(String, Option<String>)> = self
            .known
            .iter()
            .map(|(meter, known)| (meter, known, topic(meter)))
            .filter(|(_, known, topic)| topic.as_ref() != Some(&known.topic))
            .map(|(meter, _, topic)| (meter.clone(), topic))
            .collect();
        for (meter, topic) in moved {
            let old = match topic {
                Some(topic) => {
                    let Some(known) = self.known.get_mut(&meter) else { continue };
                    let old = std::mem::replace(&mut known.topic, topic);
                    let known = known.clone();
                    self.keep(&meter, &known).await?;
                    old
                }
                None => {
                    let Some(known) = self.known.remove(&meter) else { continue };
                    self.store.unlearn(About::Gateway, format!("{MEETS}{meter}")).await?;
                    known.topic
                }
            };
            let at = self.clock.now();
            let fact = Fact { key: format!("{GONE}{old}"), value: String::new(), at };
            self.store.learn(About::Gateway, fact).await?;
            self.gone.insert(old, at);
        }
        let mut directs = home_assistant::announcements(&plan, &self.known);
        for direct in &directs {
            if self.gone.remove(&direct.topic).is_some() {
                self.store.unlearn(About::Gateway, format!("{GONE}{}", direct.topic)).await?;
            }
        }
        directs.extend(self.gone.keys().cloned().map(home_assistant::forget));
        self.list.send_if_modified(|list| {
            let differs = **list != *directs;
            if differs {
                *list = directs.into();
            }
            differs
        });
        Ok(())
    }

    /// Topics that were emptied for long enough.
    async fn forget_old(&mut self) -> Result<(), store::Closed> {
        let now = self.clock.now();
        let is_old = |at: &Timestamp| at.checked_add(FORGET).is_ok_and(|until| until < now);
        let old: Vec<String> =
            self.gone.iter().filter(|(_, at)| is_old(at)).map(|(topic, _)| topic.clone()).collect();
        for topic in old {
            self.store.unlearn(About::Gateway, format!("{GONE}{topic}")).await?;
            self.gone.remove(&topic);
        }
        Ok(())
    }
}
