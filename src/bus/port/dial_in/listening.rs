//! The listening ports of all buses whose DTUs dial in, from one configuration to the next.

use super::{Known, LIMITS, Limits, Port, Seat, bind};
use crate::config::{Bus, Packet, PortAddress};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The listening ports of a daemon.
#[derive(Debug)]
pub struct Listening {
    seats: BTreeMap<usize, Seat>,
    ports: BTreeMap<SocketAddr, Listener>,
    /// Ports that were told to end.
    ending: Vec<JoinHandle<Option<TcpListener>>>,
    limits: Limits,
}

/// One listening port.
#[derive(Debug)]
struct Listener {
    /// Its buses, in the order of their places there.
    buses: Vec<usize>,
    /// Where it is, if that could be bound at once.
    bound: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Option<TcpListener>>,
}

/// Listens for the DTUs of these buses, one task a port, until [`Listening::stop`].
pub fn listen(buses: &[Bus]) -> Listening {
    listen_within(buses, LIMITS)
}

pub(super) fn listen_within(buses: &[Bus], limits: Limits) -> Listening {
    let mut listening =
        Listening { seats: BTreeMap::new(), ports: BTreeMap::new(), ending: Vec::new(), limits };
    listening.adopt(buses, |_| None);
    listening
}

impl Listening {
    /// The seat of a bus whose DTU dials in.
    pub fn seat(&self, bus: usize) -> Option<&Seat> {
        self.seats.get(&bus)
    }

    /// Where the DTU of a bus dials in, if that could be bound at the start.
    pub fn bound(&self, bus: usize) -> Option<SocketAddr> {
        self.ports.values().find(|port| port.buses.contains(&bus)).and_then(|port| port.bound)
    }

    /// Listens for these buses from now on; `goes_on` gives the new index of a bus that is as it was. Such a bus keeps
    /// its connection. A port with other buses than before keeps its socket; who has dialled in there without having
    /// registered has to dial in again.
    pub fn adopt(&mut self, buses: &[Bus], goes_on: impl Fn(usize) -> Option<usize>) {
        let seats = std::mem::take(&mut self.seats);
        let mut seats: BTreeMap<usize, Seat> =
            seats.into_iter().filter_map(|(bus, seat)| Some((goes_on(bus)?, seat))).collect();
        let mut before = std::mem::take(&mut self.ports);
        let mut wanted: BTreeMap<SocketAddr, Vec<usize>> = BTreeMap::new();
        for (index, bus) in buses.iter().enumerate() {
            if let PortAddress::Listen(at) = bus.port {
                wanted.entry(at).or_default().push(index);
            }
        }
        for (at, indices) in wanted {
            let port = match before.remove(&at) {
                Some(port) if port.has_become(&indices, &goes_on) => Listener { buses: indices, ..port },
                other => self.open(at, indices, buses, &mut seats, other),
            };
            self.ports.insert(at, port);
        }
        for port in before.into_values() {
            port.stop.send_replace(true);
            self.ending.push(port.task);
        }
        self.ending.retain(|task| !task.is_finished());
        let listened: BTreeSet<usize> = self.ports.values().flat_map(|port| &port.buses).copied().collect();
        seats.retain(|bus, _| listened.contains(bus));
        self.seats = seats;
    }

    /// Begins to listen on a port, with the socket of the task that had it.
    fn open(
        &self,
        at: SocketAddr,
        indices: Vec<usize>,
        buses: &[Bus],
        seats: &mut BTreeMap<usize, Seat>,
        before: Option<Listener>,
    ) -> Listener {
        let (mut here, mut known) = (Vec::new(), Known::default());
        for (place, (index, bus)) in
            indices.iter().filter_map(|index| Some((*index, buses.get(*index)?))).enumerate()
        {
            let packet = |packet: &Option<Packet>| packet.as_ref().map(|p| p.octets().to_vec());
            // A bus that is alone on its port takes whoever comes: its registration is empty.
            known.registrations.push((packet(&bus.settings.registration).unwrap_or_default(), place));
            known.heartbeats.extend(packet(&bus.settings.heartbeat));
            let seat = seats.entry(index).or_insert_with(|| Seat::new(&bus.port, &bus.settings));
            here.push((bus.name.to_string(), seat.clone()));
        }
        let port =
            Port { at, seats: here, known: Arc::new(known), limits: self.limits, shown: BTreeSet::new() };
        let (stop, stopped) = watch::channel(false);
        let (bound, task) = match before {
            Some(before) => {
                before.stop.send_replace(true);
                let run = async move {
                    let listener = before.task.await.unwrap_or_else(|died| {
                        tracing::error!("a listener died: {died}");
                        None
                    });
                    port.run(listener, stopped).await
                };
                (before.bound, tokio::spawn(run))
            }
            None => {
                let listener = bind(at).map_err(|error| port.cannot_listen(&error)).ok();
                let bound = listener.as_ref().and_then(|listener| listener.local_addr().ok());
                (bound, tokio::spawn(port.run(listener, stopped)))
            }
        };
        Listener { buses: indices, bound, stop, task }
    }

    /// Tells the ports to end.
    pub fn stop(&self) {
        for port in self.ports.values() {
            port.stop.send_replace(true);
        }
    }

    /// Waits until the ports that were told to end have ended and are free.
    pub async fn ended(&mut self) {
        let ports = std::mem::take(&mut self.ports);
        let (over, on): (BTreeMap<_, _>, BTreeMap<_, _>) =
            ports.into_iter().partition(|(_, port)| *port.stop.borrow());
        self.ports = on;
        self.ending.extend(over.into_values().map(|port| port.task));
        while let Some(task) = self.ending.last_mut() {
            if let Err(died) = task.await {
                tracing::error!("a listener died: {died}");
            }
            self.ending.pop();
        }
    }
}

impl Listener {
    /// Whether it is for the same buses as before, in the same order.
    fn has_become(&self, indices: &[usize], goes_on: impl Fn(usize) -> Option<usize>) -> bool {
        self.buses.iter().map(|bus| goes_on(*bus)).eq(indices.iter().map(|index| Some(*index)))
    }
}
