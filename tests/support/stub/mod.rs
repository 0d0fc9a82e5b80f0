//! A broker for what a real one will not do: it never acks, acks out of order or what nobody sent, refuses, drops
//! sessions and cuts connections at a packet. It writes down each PUBLISH that it heard and each PUBACK that it sent.
//!
//! MQTT 3.1.1 and 5 by what the client speaks. It delivers nothing to anybody.
#![allow(dead_code, reason = "each test uses its part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

mod codec;
mod talk;

pub(crate) use rumqttc::v5::mqttbytes::v5::{PubAckReason, PublishProperties};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How the stub behaves, from the next packet on; what concerns CONNACK from the next connection on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Manners {
    pub(crate) acks: Acks,
    /// Before each PUBACK, one for an id that no packet has.
    pub(crate) unknown_ids: bool,
    /// Each n-th PUBLISH of a connection is refused for this reason (MQTT 5; it counts as not signed for).
    pub(crate) refuses: Option<(u64, PubAckReason)>,
    /// Of CONNACK: whether it says that it still has the session.
    pub(crate) session_present: bool,
    /// Of CONNACK (MQTT 5).
    pub(crate) receive_max: Option<u16>,
    pub(crate) cut: Option<Cut>,
    pub(crate) open: Open,
}

/// When PUBACKs are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Acks {
    /// Each at once.
    InOrder,
    /// Up to so many are held back, and sent with the last one first.
    Backwards(usize),
    /// Pings are answered.
    Never,
}

/// When a connection is cut (RST); counted from the begin of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// In the PUBLISH behind so many whole ones.
    MidPublish(u64),
    /// Behind so many PUBACKs.
    AfterPuback(u64),
}

/// Whether it is there at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Open {
    Yes,
    /// It takes connections and neither reads nor writes, as a process that was stopped.
    Frozen,
    /// Connections are cut at once, those that stand too.
    No,
}

impl Default for Manners {
    /// As a broker without persistence does.
    fn default() -> Self {
        Self {
            acks: Acks::InOrder,
            unknown_ids: false,
            refuses: None,
            session_present: false,
            receive_max: None,
            cut: None,
            open: Open::Yes,
        }
    }
}

/// One PUBLISH that came whole.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Published {
    /// Which connection of the stub brought it, from 0.
    pub(crate) connection: usize,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) pkid: u16,
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    /// Of MQTT 5.
    pub(crate) properties: Option<PublishProperties>,
    /// What was answered, once it was handed to the socket.
    pub(crate) acked: Option<PubAckReason>,
}

impl Published {
    /// Whether the broker signed for it. A receipt may be lost on its way: who sent it need not know.
    pub(crate) fn is_signed(&self) -> bool {
        matches!(self.acked, Some(PubAckReason::Success | PubAckReason::NoMatchingSubscribers))
    }
}

/// A connection that was accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Connected {
    /// 4 for MQTT 3.1.1.
    pub(crate) version: u8,
    pub(crate) client_id: String,
    pub(crate) clean: bool,
    /// Topic of the last will.
    pub(crate) will: Option<String>,
    pub(crate) subscribed: Vec<String>,
    pub(crate) ended: Option<Ended>,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// By DISCONNECT.
    Goodbye,
    /// The client was gone.
    Lost,
    /// The stub cut it.
    Cut,
}

/// All that happened.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) connections: Vec<Connected>,
    /// In the order of arrival.
    pub(crate) published: Vec<Published>,
    /// PUBACKs sent, those for unknown ids left out.
    pub(crate) pubacks: u64,
    /// Sentences: what no client may say.
    pub(crate) wrong: Vec<String>,
}

/// A moment that a test can do something at; the stub waits meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// A PUBLISH came, and is not written down yet.
    Publish,
    /// A PUBACK is about to be sent.
    BeforePuback,
    /// It was handed to the socket.
    AfterPuback,
}

type Act = Box<dyn FnMut(Moment) + Send>;

struct Shared {
    record: Mutex<Record>,
    /// Counts changes of the record.
    changed: watch::Sender<u64>,
    manners: watch::Sender<Manners>,
    act: Mutex<Option<Act>>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, note: impl FnOnce(&mut Record) -> T) -> T {
        let noted = note(&mut self.record());
        self.changed.send_modify(|count| *count += 1);
        noted
    }

    fn at(&self, moment: Moment) {
        if let Some(act) = self.act.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            act(moment);
        }
    }
}

/// A broker on a free port of the loopback; it ends with this.
pub(crate) struct Stub {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Stub {
    /// Starts it on the current runtime.
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            record: Mutex::default(),
            changed: watch::channel(0).0,
            manners: watch::channel(manners).0,
            act: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, task }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How it behaves from now on.
    pub(crate) fn set(&self, manners: Manners) {
        self.shared.manners.send_replace(manners);
    }

    /// How it behaves now.
    pub(crate) fn manners(&self) -> Manners {
        *self.shared.manners.borrow()
    }

    /// Does this at every moment from now on, on the stub's task; it must not wait.
    pub(crate) fn act(&self, act: impl FnMut(Moment) + Send + 'static) {
        *self.shared.act.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(act));
    }

    /// Does nothing more. When this returns, nothing is being done either.
    pub(crate) fn act_no_more(&self) {
        *self.shared.act.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Looks at what happened until now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.shared.record())
    }

    /// Takes what was published until now out of the record.
    pub(crate) fn take(&self) -> Vec<Published> {
        std::mem::take(&mut self.shared.record().published)
    }

    /// Waits until the record satisfies `holds`; false if it does not within `limit`.
    pub(crate) async fn until(&self, limit: Duration, mut holds: impl FnMut(&Record) -> bool) -> bool {
        let mut changed = self.shared.changed.subscribe();
        let waited = tokio::time::timeout(limit, async {
            while !holds(&self.shared.record()) {
                changed.changed().await.unwrap();
            }
        });
        waited.await.is_ok()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(talk::serve(stream, Arc::clone(&shared)));
                }
            }
            Some(ended) = connections.join_next() => ended.unwrap(),
        }
    }
}
