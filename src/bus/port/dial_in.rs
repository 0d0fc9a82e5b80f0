//! DTUs (数传终端) that dial in: one task listens on a port, learns by its registration (注册包) which bus
//! a connection is for, and puts it on that bus's seat, where the bus takes it when it needs its line.

mod listening;

pub use listening::{Listening, listen};

use super::PortError;
use super::back_off::BackOff;
use super::heartbeat::Heartbeats;
use super::registration::{Known, Said};
use super::tcp::{self, Tcp};
use crate::config::{PortAddress, PortSettings, hex, written};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What a port does for those that have not registered.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// From dialling in to the registration; one that registers with something unknown is kept for so
    /// long too, since most DTUs dial again at once when they are turned away.
    register: Duration,
    /// Connections that have not registered; another one turns out the oldest.
    pending: usize,
    /// Silence after which a first packet is taken to be whole.
    packet: Duration,
}

const LIMITS: Limits =
    Limits { register: Duration::from_secs(30), pending: 64, packet: Duration::from_millis(200) };
/// Octets of a first packet that are shown: as many as can be configured.
const SHOWN: usize = 128;
/// Different first packets that are shown; a port that the world can reach has visitors enough.
const DIFFERENT: usize = 64;
/// After an error of the listening socket, as too many open files.
const PAUSE: Duration = Duration::from_secs(1);

/// The place of one bus: at most one connection waits there, and a newer one takes its place.
#[derive(Clone, Debug)]
pub struct Seat {
    place: watch::Sender<Place>,
    address: String,
    registration: Option<String>,
    heartbeat: Vec<u8>,
    latency: Duration,
}

#[derive(Debug, Default)]
struct Place {
    /// Counts connections, so that a bus can tell that its own is not the newest any more.
    generation: u64,
    waiting: Option<(TcpStream, Heartbeats)>,
    /// Why nothing listens.
    fault: Option<String>,
}

/// How long a connection is the newest of its DTU.
#[derive(Debug)]
pub(super) struct Turn {
    generation: u64,
    place: watch::Receiver<Place>,
}

impl Turn {
    pub(super) fn is_over(&self) -> bool {
        self.place.borrow().generation != self.generation
    }

    /// Comes when it is over.
    pub(super) async fn over(&mut self) {
        let own = self.generation;
        if self.place.wait_for(|place| place.generation != own).await.is_err() {
            // Nobody can put a newer connection there any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Seat {
    fn new(address: &PortAddress, settings: &PortSettings) -> Self {
        Self {
            place: watch::Sender::default(),
            address: address.to_string(),
            registration: settings.registration.as_ref().map(ToString::to_string),
            heartbeat: settings.heartbeat.as_ref().map_or_else(Vec::new, |h| h.octets().to_vec()),
            latency: settings.latency,
        }
    }

    /// A seat that no connection will come to.
    pub(super) fn unattended(address: &PortAddress, settings: &PortSettings) -> Self {
        let seat = Self::new(address, settings);
        seat.cannot_listen("DTUs dial in to meterd run only".to_owned());
        seat
    }

    fn cannot_listen(&self, why: String) {
        self.place.send_modify(|place| place.fault = Some(why));
    }

    /// Puts a connection there; `rest` came behind its registration.
    fn put(&self, stream: TcpStream, rest: &[u8]) {
        let mut heartbeats = Heartbeats::new(self.heartbeat.clone());
        heartbeats.take(rest, &mut Vec::new());
        heartbeats.drain();
        self.place.send_modify(|place| {
            place.generation += 1;
            place.waiting = Some((stream, heartbeats));
        });
    }

    /// Takes the connection that waits.
    pub(super) async fn open(&self) -> Result<Tcp, PortError> {
        let mut taken = None;
        self.place.send_if_modified(|place| {
            taken = place.waiting.take().map(|waiting| (waiting, place.generation));
            false
        });
        let absent = || PortError::NotDialledIn { registration: self.registration.clone() };
        let Some(((stream, heartbeats), generation)) = taken else {
            return Err(match &self.place.borrow().fault {
                Some(why) => PortError::NotListening { address: self.address.clone(), why: why.clone() },
                None => absent(),
            });
        };
        let turn = Turn { generation, place: self.place.subscribe() };
        // One that has hung up while it waited is as good as none.
        Tcp::settled(stream, self.latency, heartbeats, Some(turn)).await.map_err(|error| {
            tracing::debug!(port = self.address, %error, "a DTU has hung up before its line was needed");
            absent()
        })
    }
}

fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// What one connection turned out to be.
enum Introduced {
    Registered {
        stream: TcpStream,
        bus: usize,
        rest: Vec<u8>,
    },
    Strange {
        stream: TcpStream,
        packet: Vec<u8>,
    },
    /// Gone, or to be turned away, without a word.
    Nobody,
}

/// One listening port.
struct Port {
    at: SocketAddr,
    /// Name and seat of each bus.
    seats: Vec<(String, Seat)>,
    known: Arc<Known>,
    limits: Limits,
    /// First packets that were shown.
    shown: BTreeSet<Vec<u8>>,
}

impl Port {
    /// Listens until `stop` is true. The listening socket is given back, for a port that goes on with other buses.
    async fn run(
        mut self,
        mut listener: Option<TcpListener>,
        mut stop: watch::Receiver<bool>,
    ) -> Option<TcpListener> {
        let mut back_off = BackOff::new(u64::from(self.at.port()));
        let mut pending: JoinSet<(SocketAddr, Introduced)> = JoinSet::new();
        let mut oldest: VecDeque<AbortHandle> = VecDeque::new();
        while !*stop.borrow() {
            let Some(listens) = &listener else {
                tokio::select! {
                    biased;
                    _ = stop.changed() => {}
                    () = tokio::time::sleep(back_off.failed(Duration::ZERO)) => match bind(self.at) {
                        Ok(bound) => {
                            tracing::info!(port = %self.at, "DTUs can dial in now");
                            self.listens();
                            listener = Some(bound);
                        }
                        Err(error) => tracing::debug!(port = %self.at, %error, "still cannot listen for DTUs"),
                    },
                }
                continue;
            };
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                Some(introduced) = pending.join_next(), if !pending.is_empty() => match introduced {
                    Ok((from, Introduced::Registered { stream, bus, rest })) => self.seat(from, stream, bus, &rest),
                    Ok((from, Introduced::Strange { stream, packet })) => {
                        self.show(from, packet);
                        oldest.push_back(pending.spawn(turn_away(from, stream, self.limits)));
                    }
                    Ok((from, Introduced::Nobody)) => {
                        tracing::debug!(port = %self.at, %from, "a connection has gone without a registration");
                    }
                    // Turned out for a newer one.
                    Err(_) => {}
                },
                accepted = listens.accept() => match accepted {
                    Ok((stream, from)) => {
                        oldest.retain(|task| !task.is_finished());
                        while oldest.len() >= self.limits.pending {
                            if let Some(task) = oldest.pop_front() {
                                task.abort();
                                tracing::debug!(port = %self.at, "the oldest connection without a registration makes room");
                            }
                        }
                        let (known, limits) = (Arc::clone(&self.known), self.limits);
                        oldest.push_back(pending.spawn(async move {
                            (from, introduce(stream, &known, limits).await)
                        }));
                    }
                    Err(error) => {
                        tracing::warn!(port = %self.at, %error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        pending.shutdown().await;
        listener
    }

    fn cannot_listen(&self, error: &io::Error) {
        let hints = [
            (io::ErrorKind::AddrInUse, "; another program, perhaps a second meterd, has the port"),
            (io::ErrorKind::AddrNotAvailable, "; this box does not have this address, or not yet"),
            (io::ErrorKind::PermissionDenied, "; take a port above 1023"),
        ];
        let hint = hints.into_iter().find(|(kind, _)| *kind == error.kind()).map_or("", |(_, hint)| hint);
        let why = format!("{error}{hint}");
        tracing::warn!(port = %self.at, why, "cannot listen for DTUs; it is tried again");
        for (_, seat) in &self.seats {
            seat.cannot_listen(why.clone());
        }
    }

    fn listens(&self) {
        for (_, seat) in &self.seats {
            seat.place.send_modify(|place| place.fault = None);
        }
    }

    fn seat(&self, from: SocketAddr, stream: TcpStream, bus: usize, rest: &[u8]) {
        let Some((bus, seat)) = self.seats.get(bus) else { return };
        if let Err(error) = tcp::prepare(&stream) {
            tracing::debug!(bus, %from, %error, "a DTU has hung up again");
            return;
        }
        seat.put(stream, rest);
        tracing::info!(bus, %from, "a DTU has dialled in");
    }

    /// Says once what an unknown DTU has said, in the words of the configuration.
    fn show(&mut self, from: SocketAddr, mut packet: Vec<u8>) {
        packet.truncate(SHOWN);
        let is_new = self.shown.len() < DIFFERENT && self.shown.insert(packet.clone());
        let (text, digits) = (written("registration", &packet), hex(&packet));
        if is_new {
            tracing::warn!(
                port = %self.at,
                %from,
                "an unknown DTU has dialled in; its first packet is {text} or registration_hex = \"{digits}\": \
                 write one of them under the [[bus]] that it is for, without the heartbeat that may stand in it"
            );
        } else {
            tracing::debug!(port = %self.at, %from, digits, "an unknown DTU has dialled in");
        }
    }
}

/// Listens to a connection until it has said who it is.
async fn introduce(stream: TcpStream, known: &Known, limits: Limits) -> Introduced {
    let mut said = Vec::new();
    let deadline = tokio::time::sleep(limits.register);
    tokio::pin!(deadline);
    loop {
        match known.judge(&said) {
            Said::Registered { bus, rest } => {
                let rest = said.split_off(rest);
                return Introduced::Registered { stream, bus, rest };
            }
            Said::Strange => break,
            Said::Begun => {}
        }
        tokio::select! {
            biased;
            more = hear(&stream, &mut said) => if !more { break },
            () = &mut deadline => break,
        }
    }
    // The rest of the packet, for whoever has to write it down.
    while !said.is_empty() && said.len() < SHOWN {
        match tokio::time::timeout(limits.packet, hear(&stream, &mut said)).await {
            Ok(true) => {}
            Ok(false) | Err(_) => break,
        }
    }
    if said.is_empty() { Introduced::Nobody } else { Introduced::Strange { stream, packet: said } }
}

/// Appends what comes; false when the connection is over.
async fn hear(stream: &TcpStream, said: &mut Vec<u8>) -> bool {
    let mut octets = [0; 512];
    loop {
        if stream.readable().await.is_err() {
            return false;
        }
        match stream.try_read(&mut octets) {
            Ok(0) => return false,
            Ok(n) => {
                said.extend_from_slice(octets.get(..n).unwrap_or_default());
                return true;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
}

/// Lets a connection be for a while, whatever it says, and ends it.
async fn turn_away(from: SocketAddr, stream: TcpStream, limits: Limits) -> (SocketAddr, Introduced) {
    let ignore = async {
        let mut said = Vec::new();
        while hear(&stream, &mut said).await {
            said.clear();
        }
    };
    // Either way it is over.
    let _ = tokio::time::timeout(limits.register, ignore).await;
    (from, Introduced::Nobody)
}

#[cfg(test)]
mod tests {
    use super::listening::listen_within;
    use super::*;
    use crate::config::{Bus, Name, Packet};
    use crate::planner::Line;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const QUICK: Limits =
        Limits { register: Duration::from_millis(300), pending: 2, packet: Duration::from_millis(20) };

    fn bus(registration: Option<&str>) -> Bus {
        let port = PortAddress::Listen("127.0.0.1:0".parse().unwrap());
        let mut settings = PortSettings::usual(&port);
        settings.latency = Duration::from_millis(20);
        settings.registration = registration.map(|text| Packet::new(text.as_bytes().to_vec()).unwrap());
        Bus { name: Name::new("b").unwrap(), port, line: Line::DEFAULT, turnaround: None, settings }
    }

    struct Bench {
        listening: Listening,
    }

    impl Bench {
        fn start(limits: Limits) -> Self {
            Self { listening: listen_within(&[bus(Some("DTU-1")), bus(Some("DTU-2"))], limits) }
        }

        async fn dial(&self, said: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.listening.bound(0).unwrap()).await.unwrap();
            stream.write_all(said).await.unwrap();
            stream
        }

        /// Waits for the connection of a bus.
        async fn opened(&self, bus: usize) -> Tcp {
            loop {
                match self.listening.seat(bus).unwrap().open().await {
                    Ok(tcp) => return tcp,
                    Err(PortError::NotDialledIn { .. }) => tokio::task::yield_now().await,
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_never_registers_is_closed_at_the_deadline() {
        let bench = Bench::start(QUICK);
        for said in [&b""[..], b"DTU", b"something else"] {
            let mut stream = bench.dial(said).await;
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "{said:?}");
        }
    }

    #[tokio::test]
    async fn another_connection_without_registration_turns_out_the_oldest() {
        let bench = Bench::start(Limits { register: Duration::from_secs(3600), ..QUICK });
        let mut oldest = bench.dial(b"").await;
        let (mut strange, _third) = (bench.dial(b"strange").await, bench.dial(b"").await);
        // It ends long before its time, in whatever way the kernel says so.
        assert!(!matches!(oldest.read(&mut [0; 8]).await, Ok(1..)));
        let _fourth = bench.dial(b"").await;
        assert!(!matches!(strange.read(&mut [0; 8]).await, Ok(1..)));
        let _known = bench.dial(b"DTU-2").await;
        bench.opened(1).await;
    }

    #[tokio::test]
    async fn a_connection_is_open_until_its_dtu_dials_in_again() {
        let bench = Bench::start(QUICK);
        let _first = bench.dial(b"DTU-1").await;
        let mut tcp = bench.opened(0).await;
        assert_eq!(tcp.drain().unwrap(), 0);
        let _second = bench.dial(b"DTU-1").await;
        let ended = tcp.receive(&mut super::super::Received::default()).await.unwrap_err();
        assert!(matches!(ended, PortError::DialledInAgain), "{ended}");
        assert!(matches!(tcp.drain(), Err(PortError::DialledInAgain)));
        assert_eq!(bench.opened(0).await.drain().unwrap(), 0, "the new one is there at once");
    }

    #[tokio::test]
    async fn a_dtu_that_has_hung_up_while_it_waited_is_not_dialled_in() {
        let bench = Bench::start(QUICK);
        drop(bench.dial(b"DTU-1").await);
        let seat = bench.listening.seat(0).unwrap();
        let mut place = seat.place.subscribe();
        place.wait_for(|place| place.generation == 1).await.unwrap();
        let error = seat.open().await.unwrap_err().to_string();
        assert_eq!(error, "no DTU has dialled in with registration \"DTU-1\"");
    }

    #[tokio::test]
    async fn a_port_that_another_has_is_said_and_tried_again_until_it_is_free() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut bus = bus(None);
        bus.port = PortAddress::Listen(taken.local_addr().unwrap());
        let listening = listen_within(std::slice::from_ref(&bus), QUICK);
        let error = listening.seat(0).unwrap().open().await.unwrap_err().to_string();
        assert!(error.contains("does not listen") && error.contains("another program"), "{error}");
        let at = taken.local_addr().unwrap();
        drop(taken);
        let mut place = listening.seat(0).unwrap().place.subscribe();
        place.wait_for(|place| place.fault.is_none()).await.unwrap();
        let _dtu = TcpStream::connect(at).await.unwrap();
        place.wait_for(|place| place.generation == 1).await.unwrap();
    }

    #[tokio::test]
    async fn the_end_frees_the_port_and_hangs_up_on_who_has_not_registered() {
        let mut bench = Bench::start(LIMITS);
        let mut stream = bench.dial(b"DT").await;
        let at = bench.listening.bound(0).unwrap();
        bench.listening.stop();
        bench.listening.ended().await;
        assert!(!matches!(stream.read(&mut [0; 8]).await, Ok(1..)));
        std::net::TcpListener::bind(at).unwrap();
    }

    #[tokio::test]
    async fn a_port_that_gets_another_bus_keeps_its_socket_and_the_connections_of_the_others() {
        let mut bench = Bench::start(QUICK);
        let at = bench.listening.bound(0).unwrap();
        let mut first = bench.dial(b"DTU-1").await;
        let mut tcp = bench.opened(0).await;
        let (_waits, mut begun) = (bench.dial(b"DTU-2").await, bench.dial(b"DT").await);
        let mut place = bench.listening.seat(1).unwrap().place.subscribe();
        place.wait_for(|place| place.waiting.is_some()).await.unwrap();
        // A third bus comes before them, so that they are the second and the third.
        let buses = [bus(Some("DTU-3")), bus(Some("DTU-1")), bus(Some("DTU-2"))];
        bench.listening.adopt(&buses, |old| Some(old + 1));
        assert!(!matches!(begun.read(&mut [0; 8]).await, Ok(1..)), "it has to dial in again");
        assert_eq!(bench.listening.bound(2), Some(at));
        let mut third = TcpStream::connect(at).await.unwrap();
        third.write_all(b"DTU-3").await.unwrap();
        for (bus, stream) in [(0, &mut third), (1, &mut first)] {
            let mut open = if bus == 0 {
                bench.opened(0).await
            } else {
                std::mem::replace(&mut tcp, bench.opened(2).await)
            };
            open.send(b"?").await.unwrap();
            let mut asked = [0; 8];
            let n = stream.read(&mut asked).await.unwrap();
            assert_eq!(&asked[..n], b"?", "bus {bus} talks on its own connection");
        }
        // And without them the port is free.
        bench.listening.adopt(&[], |_| None);
        bench.listening.ended().await;
        std::net::TcpListener::bind(at).unwrap();
    }
}
