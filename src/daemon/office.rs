//! Where commands are taken: the desk between the session and the buses, and its ways.

use crate::clock::Clock;
use crate::command::Lane;
use crate::command::desk::{Desk, Wish, Works};
use crate::config::Plan;
use crate::mqtt::{self, StatusMessage, Ways, payload, topics};
use crate::store;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Archives and lists of tasks that wait to be proved; more make their commands wait.
const WISHES: usize = 1;

/// The desk of a daemon. It is there also where nothing is allowed: a reload may allow it.
#[derive(Debug)]
pub(super) struct Office {
    works: watch::Sender<Arc<Works>>,
    wishes: mpsc::Receiver<Wish>,
    desk: JoinHandle<()>,
}

/// What the session is to listen for: nothing where nothing is allowed.
pub(super) fn subscriptions(plan: &Plan) -> Vec<String> {
    if plan.commands.is_off() {
        Vec::new()
    } else {
        vec![topics::command(&plan.mqtt.prefix, plan.gateway.id.as_str(), "+")]
    }
}

/// Opens the desk; the ways are the session's.
pub(super) fn open(
    plan: &Arc<Plan>,
    lanes: Vec<Lane>,
    store: &store::Handle,
    clock: &Clock,
    status: watch::Receiver<mqtt::Status>,
    stop: watch::Receiver<bool>,
) -> (Ways, Office) {
    let (works, at_work) = watch::channel(Arc::new(Works { plan: Arc::clone(plan), lanes }));
    let (wish, wishes) = mpsc::channel(WISHES);
    let mut ways = Ways::none();
    let (direct, directs) = mpsc::channel(mqtt::DIRECTS);
    let (comes, incoming) = mpsc::channel(mqtt::INCOMING);
    ways.direct = directs;
    ways.incoming = comes;
    let since = payload::second(clock.now(), &plan.gateway.zone);
    let (gateway, own) = (plan.gateway.id.to_string(), store.clone());
    let status =
        Arc::new(move || StatusMessage::online(&gateway, &own.id(), since.clone(), *status.borrow()));
    let desk = Desk {
        works: at_work,
        store: store.clone(),
        clock: clock.clone(),
        incoming,
        direct,
        status,
        wishes: wish,
    };
    (ways, Office { works, wishes, desk: tokio::spawn(desk.run(stop)) })
}

impl Office {
    /// The next archive or list of tasks; waits for ever where none can come.
    pub(super) async fn wish(&mut self) -> Wish {
        match self.wishes.recv().await {
            Some(wish) => wish,
            None => std::future::pending().await,
        }
    }

    /// Other buses and meters are in force from now on.
    pub(super) fn works(&self, works: Works) {
        self.works.send_replace(Arc::new(works));
    }

    /// Joins the desk, which ends with the session.
    pub(super) async fn ended(self) {
        super::joined("desk", self.desk.await);
    }
}
