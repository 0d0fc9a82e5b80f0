//! The whole way: into the store, to the broker, its receipt, out of the backlog.

use super::traffic;
use jiff::tz::TimeZone;
use meterd::clock::Clock;
use meterd::config::{Mqtt, Name};
use meterd::mqtt::{Counters, Settings, Status, Ways, session};
use meterd::store::Entry;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const ACK_DEADLINE: Duration = Duration::from_secs(30);

/// Puts all messages into a new store in `folder`, which a session serves meanwhile, until the broker has signed for each
/// and none is left in the backlog on the disk.
pub(crate) async fn deliver(folder: &Path, port: u16, window: u16, entries: Vec<Entry>) -> Duration {
    let (store, task) = traffic::open(folder);
    let settings = Settings {
        mqtt: Mqtt { window, ..Mqtt::at("127.0.0.1", port) },
        gateway: Name::new("fleet").expect("a sound name"),
        zone: TimeZone::UTC,
        ack_deadline: ACK_DEADLINE,
    };
    let (stop, stopped) = watch::channel(false);
    let (_status, seen) = watch::channel(Status::default());
    let counters = Arc::<Counters>::default();
    let (of, counted) = (store.clone(), Arc::clone(&counters));
    let session = tokio::spawn(async move {
        let mut ways = Ways::none();
        session::run(settings, of, Clock::system(), seen, &mut ways, counted, stopped).await
    });
    // As the bare client: connected before the time begins. One message says that it is.
    let count = entries.len() as u64;
    let mut entries = entries.into_iter();
    let mut forgotten = store.forgotten();
    store.put(entries.next().expect("a message")).await.expect("the store is open");
    store.flush().await.expect("the store is open");
    forgotten.wait_for(|forgotten| *forgotten == 1).await.expect("the store is open");

    let begin = Instant::now();
    for entry in entries {
        store.put(entry).await.expect("the store is open");
    }
    forgotten.wait_for(|forgotten| *forgotten == count).await.expect("the store is open");
    let took = begin.elapsed();
    assert_eq!(store.state().borrow().backlog, 0, "the backlog is empty");
    // Whoever listens may have ended.
    let _ = stop.send(true);
    let counts = session.await.expect("the session ends");
    assert_eq!((counts.signed_for, counts.reconnects), (count, 0), "{counts:?}");
    traffic::close(store, task).await;
    took
}
