//! One connection of the stub.

use super::codec::{self, Heard, Said};
use super::{Acks, Connected, Cut, Ended, Manners, Moment, Open, PubAckReason, Published, Shared};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// What is held back goes when nothing more came for so long.
const LULL: Duration = Duration::from_millis(20);
/// No session has so many packets on their way.
const UNKNOWN: u16 = 65_000;

struct Talk {
    stream: TcpStream,
    shared: Arc<Shared>,
    manners: watch::Receiver<Manners>,
    version: u8,
    /// Its number, once CONNECT has come.
    number: Option<usize>,
    /// Not acked yet: packet ids, and places in the record.
    held: Vec<u16>,
    publishes: u64,
    pubacks: u64,
}

pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let manners = shared.manners.subscribe();
    let mut talk = Talk {
        stream,
        shared,
        manners,
        version: 0,
        number: None,
        held: Vec::new(),
        publishes: 0,
        pubacks: 0,
    };
    let ended = talk.run().await.unwrap_or(Ended::Lost);
    if ended == Ended::Cut {
        // RST instead of FIN.
        let _ = socket2::SockRef::from(&talk.stream).set_linger(Some(Duration::ZERO));
    }
    if let Some(number) = talk.number {
        talk.shared.note(|record| record.connections[number].ended = Some(ended));
    }
}

impl Talk {
    async fn run(&mut self) -> std::io::Result<Ended> {
        let mut heard = BytesMut::new();
        loop {
            let manners = *self.manners.borrow_and_update();
            match manners.open {
                Open::Yes => {}
                Open::No => return Ok(Ended::Cut),
                Open::Frozen => {
                    // The sender is gone with the stub.
                    if self.manners.changed().await.is_err() {
                        return Ok(Ended::Cut);
                    }
                    continue;
                }
            }
            if !heard.is_empty() && self.is_to_be_cut(manners, heard[0]) {
                return Ok(Ended::Cut);
            }
            if self.version == 0 {
                self.version = codec::version(&heard).unwrap_or(0);
            }
            if self.version != 0 {
                match codec::read(self.version, &mut heard) {
                    Ok(Some(packet)) => {
                        if let Some(ended) = self.hear(packet, manners).await? {
                            return Ok(ended);
                        }
                        continue;
                    }
                    Ok(None) => {}
                    Err(e) => {
                        self.shared.note(|record| record.wrong.push(format!("no packet: {e}")));
                        return Ok(Ended::Cut);
                    }
                }
            }
            let lull = async {
                match self.held.is_empty() || manners.acks == Acks::Never {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(LULL).await,
                }
            };
            tokio::select! {
                read = self.stream.read_buf(&mut heard) => if read? == 0 { return Ok(Ended::Lost) },
                changed = self.manners.changed() => if changed.is_err() { return Ok(Ended::Cut) },
                () = lull => {
                    if self.release(manners).await? {
                        return Ok(Ended::Cut);
                    }
                }
            }
        }
    }

    /// The first octet of a packet says whether it is a PUBLISH.
    fn is_to_be_cut(&self, manners: Manners, first: u8) -> bool {
        match manners.cut {
            Some(Cut::MidPublish(whole)) => first >> 4 == 3 && self.publishes >= whole,
            Some(Cut::AfterPuback(_)) | None => false,
        }
    }

    async fn hear(&mut self, packet: Heard, manners: Manners) -> std::io::Result<Option<Ended>> {
        match packet {
            Heard::Connect { client_id, clean, will } => {
                let (version, subscribed) = (self.version, Vec::new());
                let connected = Connected { version, client_id, clean, will, subscribed, ended: None };
                self.number = Some(self.shared.note(|record| {
                    record.connections.push(connected);
                    record.connections.len() - 1
                }));
                let ack = codec::connack(self.version, manners.session_present, manners.receive_max);
                self.stream.write_all(&ack).await?;
            }
            Heard::Publish(said) => {
                let pkid = said.pkid;
                self.publishes += 1;
                self.shared.at(Moment::Publish);
                self.note(*said, manners);
                if pkid != 0 {
                    self.held.push(pkid);
                }
                let full = match manners.acks {
                    Acks::InOrder => true,
                    Acks::Backwards(most) => self.held.len() >= most,
                    Acks::Never => false,
                };
                if full && self.release(manners).await? {
                    return Ok(Some(Ended::Cut));
                }
            }
            Heard::Subscribe { pkid, filters } => {
                let ack = codec::suback(self.version, pkid, filters.len());
                if let Some(number) = self.number {
                    self.shared.note(|record| record.connections[number].subscribed.extend(filters));
                }
                self.stream.write_all(&ack).await?;
            }
            Heard::Ping => self.stream.write_all(&codec::pong(self.version)).await?,
            Heard::Goodbye => return Ok(Some(Ended::Goodbye)),
            Heard::Other => {}
        }
        Ok(None)
    }

    fn note(&self, said: Said, manners: Manners) {
        let Some(connection) = self.number else {
            self.shared.note(|record| record.wrong.push("PUBLISH before CONNECT".to_owned()));
            return;
        };
        let Said { topic, payload, pkid, qos, dup, retain, properties } = said;
        let most = manners.receive_max.map_or(usize::from(u16::MAX), usize::from);
        let (held, version) = (self.held.len(), self.version);
        self.shared.note(|record| {
            if self.held.contains(&pkid) {
                record.wrong.push(format!("packet id {pkid} is used twice at once"));
            }
            if version == 5 && held >= most {
                record.wrong.push(format!("{} packets on their way, {most} are allowed", held + 1));
            }
            let acked = None;
            record.published.push(Published {
                connection,
                topic,
                payload,
                pkid,
                qos,
                dup,
                retain,
                properties,
                acked,
            });
        });
    }

    /// Sends all that is held back, the last one first; true if the connection is to be cut.
    async fn release(&mut self, manners: Manners) -> std::io::Result<bool> {
        while let Some(pkid) = self.held.pop() {
            if manners.unknown_ids {
                let ack = codec::puback(self.version, UNKNOWN, PubAckReason::Success);
                self.stream.write_all(&ack).await?;
            }
            self.pubacks += 1;
            let reason = match manners.refuses {
                Some((each, reason)) if self.version == 5 && self.pubacks.is_multiple_of(each) => reason,
                Some(_) | None => PubAckReason::Success,
            };
            self.shared.at(Moment::BeforePuback);
            self.stream.write_all(&codec::puback(self.version, pkid, reason)).await?;
            let number = self.number;
            self.shared.note(|record| {
                record.pubacks += 1;
                let meant = |one: &&mut Published| Some(one.connection) == number && one.pkid == pkid;
                if let Some(one) = record.published.iter_mut().rev().find(meant) {
                    one.acked = Some(reason);
                }
            });
            self.shared.at(Moment::AfterPuback);
            if let Some(Cut::AfterPuback(count)) = manners.cut
                && self.pubacks >= count
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
