use super::*;
use crate::store::{SlotNote, SlotState};

fn say_version(connection: &Connection, version: u32) {
    connection.execute("UPDATE meta SET version = ?1", [version]).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}

#[test]
fn a_newer_file_is_refused_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let connection = open(&path).unwrap();
    say_version(&connection, 7);
    connection.close().unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 7, known: 5, .. }), "{refused:?}");
    assert!(refused.to_string().contains("needs a meterd that knows store version 7"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_file_with_an_unfinished_log_is_refused_and_neither_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, image) = (dir.path().join(NAME), dir.path().join("image.db"));
    let connection = open(&path).unwrap();
    say_version(&connection, 6);
    let log = dir.path().join("image.db-wal");
    std::fs::copy(&path, &image).unwrap();
    std::fs::copy(dir.path().join("meterd.db-wal"), &log).unwrap();
    let before = (std::fs::read(&image).unwrap(), std::fs::read(&log).unwrap());
    assert!(matches!(open(&image).unwrap_err(), OpenError::Newer { found: 6, .. }));
    assert_eq!((std::fs::read(&image).unwrap(), std::fs::read(&log).unwrap()), before);
}

/// A store as an earlier version made it, with a reading that nobody signed for.
fn of_version(path: &Path, version: usize) {
    let connection = Connection::open(path).unwrap();
    // The message is put where the first two versions have their messages.
    let (first, later) = MIGRATIONS[..version].split_at(version.min(2));
    first.iter().for_each(|step| connection.execute_batch(step).unwrap());
    connection
        .execute_batch(
            "INSERT INTO meta (one, store) VALUES (1, '0123456789abcdef');
             UPDATE seq SET last = 7, backlog = 1;
             INSERT INTO name (id, text) VALUES (0, 'a'), (1, 'live');
             INSERT INTO register (id, text) VALUES (0, 'x');
             INSERT INTO reading VALUES (1795000000000, 0, 1, 7, x'01');
             INSERT INTO outbox (seq, topic, body) VALUES (7, 'em/gw/a/data/live', '\"n\":7}');",
        )
        .unwrap();
    later.iter().for_each(|step| connection.execute_batch(step).unwrap());
    if version > 2 {
        connection.execute("UPDATE meta SET version = ?1", [narrow(version)]).unwrap();
    }
    connection.pragma_update(None, "application_id", APPLICATION).unwrap();
    connection.pragma_update(None, "user_version", narrow(version)).unwrap();
}

#[test]
fn a_file_of_an_earlier_version_keeps_its_messages_and_its_id() {
    for version in 1..MIGRATIONS.len() {
        keeps_its_messages_and_its_id(version);
    }
}

fn keeps_its_messages_and_its_id(version: usize) {
    use crate::store::{Entry, Pending, Wanted, Worth, Writer};
    let dir = tempfile::tempdir().unwrap();
    of_version(&dir.path().join(NAME), version);
    let mut writer = Writer::open(dir.path()).unwrap();
    assert_eq!((writer.id(), writer.committed()), ("0123456789abcdef", 7));
    let old =
        Pending { seq: 7, topic: "em/gw/a/data/live".to_owned(), body: "\"n\":7}".to_owned(), retain: false };
    assert_eq!(writer.offer(0, 9).unwrap(), std::slice::from_ref(&old));
    let slot = jiff::Timestamp::from_second(1_795_000_000).unwrap();
    assert!(writer.slot_is_read("a", "live", "x", slot).unwrap());
    let topic = "em/gw/meter/a/status".to_owned();
    let kept = Entry {
        topic: topic.clone(),
        body: "}".to_owned(),
        retain: true,
        worth: Worth::Event,
        identity: None,
        notes: Vec::new(),
    };
    let note = note(slot);
    writer.note_slots(std::slice::from_ref(&note)).unwrap();
    writer.set_now(slot + std::time::Duration::from_secs(60));
    writer.commit(&[kept]).unwrap();
    drop(writer);
    let new = Pending { seq: 8, topic, body: "}".to_owned(), retain: true };
    let mut writer = Writer::open(dir.path()).unwrap();
    assert_eq!(writer.offer(0, 9).unwrap(), [old.clone(), new.clone()]);
    writer.forget(&[7]).unwrap();
    assert_eq!(writer.offer(0, 9).unwrap(), [new]);
    assert_eq!(writer.resend(&Wanted::Time(slot..=slot), 0, 9).unwrap(), [old]);
    assert_eq!(writer.slot_notes("live", slot).unwrap(), [note]);
}

fn note(slot: jiff::Timestamp) -> SlotNote {
    SlotNote {
        meter: "a".to_owned(),
        task: "live".to_owned(),
        slot,
        state: SlotState::Open,
        why: "no octet came".to_owned(),
        reason: None,
        tries: 1,
        registers: Vec::new(),
        at: slot,
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open(&path).unwrap_err(), OpenError::Foreign { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    std::fs::write(&path, [0x5a; 8192]).unwrap();
    let refused = open(&path).unwrap_err();
    let damaged = OpenError::Store { path, cause: StoreError::Damaged { detail: String::new() } };
    assert_eq!(std::mem::discriminant(&refused), std::mem::discriminant(&damaged));
    assert!(refused.to_string().contains("damaged"), "{refused}");
}

#[test]
fn durability_is_what_it_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let connection = open(&dir.path().join(NAME)).unwrap();
    let ask = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(ask("synchronous"), 2, "FULL");
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}
