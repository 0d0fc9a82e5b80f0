//! Another configuration for a daemon that runs: all of it or nothing, and nothing stands still that is as it was.

use super::buses::Before;
use super::past::{is_exchanged, recalled};
use super::{Running, link, slots};
use crate::bus::learned::Learned;
use crate::bus::task::Step;
use crate::command::desk::Works;
use crate::config::{BusFate, Plan, Same, Shift};
use crate::schedule::Past;
use crate::store::About;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the store is asked for what it knows of meters that are new on a bus. Without it they are learned anew.
const RECALL: Duration = Duration::from_secs(2);

/// Why a configuration cannot come into force in a daemon that runs; the old one stays.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Refused(pub Vec<String>);

/// What another configuration has changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changed {
    /// Buses that go on, by name: their connection, the round under way and what they learned.
    pub kept: Vec<String>,
    /// Buses with another port or other settings, which are started anew.
    pub restarted: Vec<String>,
    /// New buses.
    pub started: Vec<String>,
    /// Buses that are in the configuration no more.
    pub ended: Vec<String>,
    /// How many meter points there are for the first time.
    pub meters_added: usize,
    /// How many meter points there are no more.
    pub meters_removed: usize,
    /// How many meter points have another meter, another bus or other settings.
    pub meters_changed: usize,
    /// New tasks.
    pub tasks_added: Vec<String>,
    /// Tasks that are in the configuration no more.
    pub tasks_removed: Vec<String>,
    /// Tasks with another period, other registers or other meters.
    pub tasks_changed: Vec<String>,
    /// Whether the MQTT session is begun anew.
    pub session: bool,
    /// The archive's revision before and now, where it is another.
    pub archive: Option<(String, String)>,
}

impl Running {
    /// Brings another configuration into force; the rest of the daemon hears of it in [`Running::plan`].
    ///
    /// Buses whose port and settings are the same go on, whatever became of their meters and tasks: they take over the
    /// new plan between two exchanges, and what they say until then is of the old one. Dropping the future before it is
    /// ready changes nothing.
    ///
    /// # Errors
    /// [`Refused`] with every reason; then nothing has changed.
    pub async fn reload(&mut self, plan: Plan) -> Result<Changed, Refused> {
        let refused = refusals(&self.plan, &plan);
        if !refused.is_empty() {
            return Err(Refused(refused));
        }
        let shift = Arc::new(Shift::between(Arc::clone(&self.plan), Arc::new(plan)));
        let (learned, exchanged) = self.recall(&shift).await;
        let mut slots = self.recall_slots(&shift).await;
        for (bus, meter) in exchanged {
            if let Some(past) = slots.get_mut(bus) {
                past.exchange(meter);
            }
        }
        // From here on nothing waits: it is done, or it is not.
        let Some(ground) = &mut self.ground else {
            return Err(Refused(vec!["the daemon is about to end".to_owned()]));
        };
        let goes_on = |bus: &usize| matches!(shift.bus(*bus), BusFate::GoesOn(_));
        let behind = (0..self.buses.len()).filter(goes_on).filter_map(|bus| self.buses.get(bus));
        let behind: Vec<String> = behind
            .filter(|line| line.steps.capacity() == 0)
            .map(|line| {
                format!(
                    "bus \"{}\" has not taken the configurations before this one; try again later",
                    line.name
                )
            })
            .collect();
        if !behind.is_empty() {
            return Err(Refused(behind));
        }

        let after = Arc::clone(shift.after());
        let changed =
            Changed::between(&shift, self.link.as_ref().is_some_and(|link| link.differs_from(&after)));
        self.listening.adopt(&after.buses, |bus| match shift.bus(bus) {
            BusFate::GoesOn(to) => Some(to),
            BusFate::Changed(_) | BusFate::Ends => None,
        });
        let mut learned: Vec<Option<Vec<Learned>>> = learned.into_iter().map(Some).collect();
        let mut slots: Vec<Option<Past>> = slots.into_iter().map(Some).collect();
        let mut past = |bus: usize| slots.get_mut(bus).and_then(Option::take).unwrap_or_default();
        let mut take = |bus: usize| learned.get_mut(bus).and_then(Option::take).unwrap_or_default();
        let mut lines: Vec<_> = after.buses.iter().map(|_| None).collect();
        let mut remains: Vec<_> = after.buses.iter().map(|_| None).collect();
        let mut ending = Vec::new();
        for (index, mut line) in std::mem::take(&mut self.buses).into_iter().enumerate() {
            match shift.bus(index) {
                BusFate::GoesOn(to) => {
                    let step = Step { shift: Arc::clone(&shift), learned: take(to), past: past(to) };
                    if line.steps.try_send(step).is_err() {
                        // There was room; so its task is gone, which is said when it is joined.
                        tracing::error!(bus = line.name, "the bus is dead and cannot take the configuration");
                    }
                    lines[to] = Some(line);
                }
                BusFate::Changed(to) => {
                    line.stop();
                    self.alarms.send_if_modified(|alarms| alarms.forget(&line.name));
                    remains[to] = line.take_remains();
                    ending.push(line);
                }
                BusFate::Ends => {
                    line.stop();
                    self.alarms.send_if_modified(|alarms| alarms.forget(&line.name));
                    ending.push(line);
                }
            }
        }
        self.ending.retain(|line| !line.task.is_finished());
        self.ending.extend(ending);
        self.buses = lines
            .into_iter()
            .zip(remains)
            .enumerate()
            .map(|(index, (line, remains))| {
                line.unwrap_or_else(|| {
                    let port = &after.buses[index].port;
                    let closed = self.ending.iter().filter_map(|line| line.in_the_way_of(port)).collect();
                    let remains = remains.map(|remains| (remains, Arc::clone(&shift)));
                    let seat = self.listening.seat(index);
                    ground.start(&after, index, seat, (take(index), past(index)), Before { closed, remains })
                })
            })
            .collect();
        self.lanes = self.buses.iter().map(|line| line.lane.clone()).collect();
        if changed.session {
            // It differs, so it is there.
            self.link = self.link.take().map(|old| {
                let before = link::Before::Link(Box::new(old));
                link::open(&after, &self.store, &self.clock, self.status.clone(), &self.sent, before)
            });
        }
        self.office.works(Works { plan: Arc::clone(&after), lanes: self.lanes.clone() });
        self.plan = Arc::clone(&after);
        self.in_force.send_replace(after);
        announce(&changed);
        Ok(changed)
    }

    /// What the store knows of what is new on each bus, by the new index of the bus; and the points, with their bus, at
    /// which another meter was the last in service.
    async fn recall(&self, shift: &Shift) -> super::Known {
        let plan = shift.after();
        let known: HashSet<usize> = (0..self.buses.len()).filter_map(|bus| shift.bus(bus).index()).collect();
        let buses = (0..plan.buses.len()).filter(|bus| !known.contains(bus));
        let buses =
            buses.filter_map(|bus| Some((bus, None, About::Bus(plan.buses.get(bus)?.name.to_string()))));
        let meters =
            (0..plan.buses.len()).flat_map(|bus| shift.arrived(bus).iter().map(move |meter| (bus, *meter)));
        let meters = meters.filter_map(|(bus, meter)| {
            let of = plan.meters.get(meter)?;
            Some((bus, Some(meter), About::Meter(of.name.to_string())))
        });
        let mut learned = vec![Vec::new(); plan.buses.len()];
        let wanted: Vec<_> = buses.chain(meters).collect();
        if wanted.is_empty() {
            return (learned, Vec::new());
        }
        let abouts = wanted.iter().map(|(.., about)| about.clone()).collect();
        let Ok(Ok(facts)) = timeout(RECALL, self.store.facts(abouts)).await else {
            tracing::warn!("the store does not say what was learned of the new meters: it is learned anew");
            return (learned, Vec::new());
        };
        let mut exchanged = Vec::new();
        for ((bus, meter, _), facts) in wanted.into_iter().zip(facts) {
            let Some(learned) = learned.get_mut(bus) else { continue };
            match meter {
                Some(meter) => {
                    let address = plan.meters.get(meter).map(|meter| meter.protocol.address());
                    let is_other = address.is_some_and(|address| is_exchanged(&address, &facts));
                    exchanged.extend(is_other.then_some((bus, meter)));
                    learned.extend(recalled(plan, meter, &facts));
                }
                None => learned.extend(facts.iter().filter_map(|f| Learned::of_bus(&f.key, &f.value))),
            }
        }
        (learned, exchanged)
    }
}

impl Running {
    /// What the store knows of kept slots of which the buses do not know, by the new index of the bus.
    async fn recall_slots(&self, shift: &Arc<Shift>) -> Vec<Past> {
        let buses = shift.after().buses.len();
        let arrived: HashSet<usize> = (0..buses).flat_map(|bus| shift.arrived(bus).iter().copied()).collect();
        let is_kept = |task: &usize| shift.after().tasks.get(*task).is_some_and(|task| task.read.is_kept());
        let new_tasks: HashSet<usize> = (0..shift.after().tasks.len())
            .filter(is_kept)
            .filter(|task| shift.kept_before(*task).is_none())
            .collect();
        if arrived.is_empty() && new_tasks.is_empty() {
            return vec![Past::default(); buses];
        }
        let plan = Arc::clone(shift.after());
        let recalled = self.store.have(move |writer| {
            slots::past(writer, &plan, |task, meter| new_tasks.contains(&task) || arrived.contains(&meter))
        });
        match timeout(RECALL, recalled).await {
            Ok(Ok(Ok(past))) => past,
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => {
                tracing::warn!(
                    "the store does not say which slots of the new meters are read: they are read again"
                );
                vec![Past::default(); buses]
            }
        }
    }
}

/// Says what a new configuration has changed.
fn announce(changed: &Changed) {
    tracing::info!("another configuration is in force: {changed}");
}

/// What cannot change while the daemon runs, a sentence each.
fn refusals(before: &Plan, after: &Plan) -> Vec<String> {
    let mut refused = Vec::new();
    let (old, new) = (&before.gateway.data_dir, &after.gateway.data_dir);
    if old != new {
        refused.push(format!(
            "[gateway] data_dir cannot change from {} to {} while meterd runs, for the store is open there: restart it",
            old.display(),
            new.display()
        ));
    }
    if before.store != after.store {
        refused.push(
            "[store] cannot change while meterd runs, for the store is held to it from its start: restart it"
                .to_owned(),
        );
    }
    refused
}

impl Changed {
    fn between(shift: &Shift, session: bool) -> Self {
        let (old, new) = (shift.before(), shift.after());
        let mut changed = Self { session, ..Self::default() };
        let mut known = vec![false; new.buses.len()];
        for (index, bus) in old.buses.iter().enumerate() {
            let name = bus.name.to_string();
            match shift.bus(index) {
                BusFate::GoesOn(_) => changed.kept.push(name),
                BusFate::Changed(_) => changed.restarted.push(name),
                BusFate::Ends => changed.ended.push(name),
            }
            if let Some(known) = shift.bus(index).index().and_then(|to| known.get_mut(to)) {
                *known = true;
            }
        }
        let fresh = new.buses.iter().zip(known).filter(|(_, known)| !known);
        changed.started = fresh.map(|(bus, _)| bus.name.to_string()).collect();

        let names = |plan: &Plan| plan.meters.iter().map(|m| m.name.clone()).collect::<HashSet<_>>();
        let (were, are) = (names(old), names(new));
        let unchanged = old
            .meters
            .iter()
            .enumerate()
            .filter_map(|(index, meter)| Some((meter, new.meters.get(shift.meter(index, Same::All)?)?)))
            .filter(|(before, now)| before.point == now.point)
            .count();
        let both = were.intersection(&are).count();
        changed.meters_added = are.len() - both;
        changed.meters_removed = were.len() - both;
        changed.meters_changed = both.saturating_sub(unchanged);

        for (index, task) in old.tasks.iter().enumerate() {
            let name = task.name.to_string();
            match shift.task(index).and_then(|to| new.tasks.get(to)) {
                None => changed.tasks_removed.push(name),
                Some(now) => {
                    let meters = |plan: &Plan, of: &[usize]| {
                        of.iter()
                            .filter_map(|m| Some(plan.meters.get(*m)?.name.clone()))
                            .collect::<HashSet<_>>()
                    };
                    let same =
                        (&task.when, task.read, task.priority, task.window, task.backfill, &task.registers)
                            == (&now.when, now.read, now.priority, now.window, now.backfill, &now.registers)
                            && meters(old, &task.meters) == meters(new, &now.meters);
                    if !same {
                        changed.tasks_changed.push(name);
                    }
                }
            }
        }
        let fresh = (0..new.tasks.len()).filter(|task| shift.task_before(*task).is_none());
        changed.tasks_added = fresh.filter_map(|task| Some(new.tasks.get(task)?.name.to_string())).collect();
        changed.archive = (old.archive != new.archive).then(|| (old.archive.clone(), new.archive.clone()));
        changed
    }
}

/// One line: `buses: 3 go on, 1 started anew (riser-2); meters: 12 new, 1 removed; …`.
impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let named = |names: &[String], what: &str| {
            (!names.is_empty()).then(|| format!("{} {what} ({})", names.len(), shown(names)))
        };
        let buses = [
            count(self.kept.len(), "go on"),
            named(&self.restarted, "started anew"),
            named(&self.started, "new"),
            named(&self.ended, "ended"),
        ];
        let meters = [
            count(self.meters_added, "new"),
            count(self.meters_removed, "removed"),
            count(self.meters_changed, "changed"),
        ];
        let tasks = [
            named(&self.tasks_added, "new"),
            named(&self.tasks_removed, "removed"),
            named(&self.tasks_changed, "changed"),
        ];
        for (what, parts) in [("buses", &buses[..]), ("; meters", &meters), ("; tasks", &tasks)] {
            let parts: Vec<&str> = parts.iter().filter_map(Option::as_deref).collect();
            let said = if parts.is_empty() { "as they were".to_owned() } else { parts.join(", ") };
            write!(f, "{what}: {said}")?;
        }
        if let Some((before, now)) = &self.archive {
            write!(f, "; archive {before} is {now}")?;
        }
        if self.session {
            f.write_str("; the MQTT session begins anew")?;
        }
        Ok(())
    }
}

/// The first few names.
fn shown(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{first}, …") } else { first }
}
