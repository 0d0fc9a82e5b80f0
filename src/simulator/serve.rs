//! The task that gives a virtual line its port: hears, lets the meters answer, delivers.
//!
//! It holds no knowledge of the protocol and no clock of its own.

use super::gateway::{self, Gateway};
use super::line::{Log, Sent};
use super::listen::{Bound, Listen, ListenError};
use super::paced;
use super::pair::Pair;
use super::pty::{self, Pty};
use super::tcp::{self, Tcp};
use crate::clock::Clock;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A port that a virtual line will speak through; it is open from [`bind`] on.
#[derive(Debug)]
pub struct Port {
    side: Side,
    /// Where it is opened again after it was unplugged.
    listen: Listen,
}

#[derive(Debug)]
enum Side {
    Pty(Pty),
    Tcp(Tcp),
    ModbusTcp(Gateway),
}

impl Port {
    /// Where it listens.
    pub fn bound(&self) -> Bound {
        match &self.side {
            Side::Pty(pty) => pty.bound(),
            Side::Tcp(tcp) => tcp.bound(),
            Side::ModbusTcp(gateway) => Bound::Tcp(gateway.at()),
        }
    }

    pub(super) async fn hear(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.side {
            Side::Pty(pty) => {
                let mut buffer = [0; 1024];
                let n = pty.hear(&mut buffer).await?;
                Ok(buffer.get(..n).unwrap_or_default().to_vec())
            }
            Side::Tcp(tcp) => tcp.hear().await,
            // Its clients hear for themselves.
            Side::ModbusTcp(_) => std::future::pending().await,
        }
    }

    /// The socket of Modbus TCP, where it is that.
    pub(super) const fn gateway(&self) -> Option<&Gateway> {
        match &self.side {
            Side::ModbusTcp(gateway) => Some(gateway),
            Side::Pty(_) | Side::Tcp(_) => None,
        }
    }

    /// Closes it, and opens it again at the same place after some time.
    pub(super) async fn unplug(self, time: Duration) -> io::Result<Self> {
        let listen = self.listen.clone();
        tracing::info!(?time, "virtual line: unplugged");
        drop(self);
        tokio::time::sleep(time).await;
        bind(&listen).await.map_err(io::Error::other)
    }

    /// What speaks through it, also from another thread.
    pub(super) fn voice(&self) -> Voice {
        match &self.side {
            Side::Pty(pty) => Voice::Pty(pty.voice()),
            Side::Tcp(tcp) => Voice::Tcp(tcp.voice()),
            Side::ModbusTcp(_) => Voice::None,
        }
    }
}

/// The way out of a port.
#[derive(Debug)]
pub(super) enum Voice {
    Pty(pty::Voice),
    Tcp(tcp::Voice),
    None,
}

impl Voice {
    pub(super) fn say(&self, octets: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Pty(pty) => pty.say(&octets),
            Self::Tcp(tcp) => {
                tcp.say(octets);
                Ok(())
            }
            Self::None => Ok(()),
        }
    }
}

/// Opens the pseudo-terminal or the socket. A runtime with I/O must be running.
///
/// # Errors
/// [`ListenError`] with what to do about it.
pub async fn bind(listen: &Listen) -> Result<Port, ListenError> {
    let side = match listen {
        Listen::Pty(link) => Side::Pty(Pty::open(link)?),
        Listen::Tcp { host, port } => Side::Tcp(Tcp::bind(host, *port).await?),
        Listen::ModbusTcp { host, port } => Side::ModbusTcp(Gateway::bind(host, *port).await?),
    };
    let listen = match (&side, listen) {
        // The port that a socket got is to stay its own.
        (Side::Tcp(tcp), Listen::Tcp { host, .. }) => Listen::Tcp { host: host.clone(), port: tcp.port() },
        (Side::ModbusTcp(gateway), Listen::ModbusTcp { host, .. }) => {
            Listen::ModbusTcp { host: host.clone(), port: gateway.at().port() }
        }
        (Side::Pty(_) | Side::Tcp(_) | Side::ModbusTcp(_), listen) => listen.clone(),
    };
    Ok(Port { side, listen })
}

/// Answers on `port` until `stop` is ready; then the port is closed and its link removed. Wires that have a rate
/// are paced by a thread; behind Modbus TCP the rate is of no use.
///
/// # Errors
/// What the port says when it fails; it is opened again only where a fault has unplugged it.
pub async fn serve(
    pair: impl Into<Pair>,
    port: Port,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let pair = pair.into();
    if port.gateway().is_some() {
        gateway::serve(pair, port, clock, stop).await
    } else if pair.is_paced() {
        paced::serve(pair, port, clock, stop).await
    } else {
        answer(pair, port, clock, stop).await
    }
}

async fn answer(
    mut pair: Pair,
    mut port: Port,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut stop = std::pin::pin!(stop);
    loop {
        let voice = port.voice();
        let unplugged = loop {
            let due = pair.due();
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(clock.instant(due)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stop => return Ok(()),
                heard = port.hear() => {
                    if let Some(time) = pair.hear(&heard?, clock.elapsed(), clock.now(), None) {
                        break time;
                    }
                }
                () = due => {}
            }
            while let Some(piece) = pair.deliver(clock.elapsed()) {
                voice.say(piece.into_iter().map(|(octet, _)| octet).collect())?;
            }
        };
        drop(voice);
        pair.cut();
        port = tokio::select! {
            () = &mut stop => return Ok(()),
            port = port.unplug(unplugged) => port?,
        };
    }
}

/// A virtual line that runs as a task of this runtime. Dropping it ends the task; [`Running::stop`] waits for that.
#[derive(Debug)]
pub struct Running {
    bound: Bound,
    log: Log,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

/// Opens the port and answers on it in a task; `kept` answers can be asked for by [`Running::sent`].
///
/// # Errors
/// As [`bind`].
pub async fn spawn(
    pair: impl Into<Pair>,
    listen: &Listen,
    clock: Clock,
    kept: usize,
) -> Result<Running, ListenError> {
    let log = Log::keeping(kept);
    let pair = pair.into().logged(log.clone());
    let port = bind(listen).await?;
    let bound = port.bound();
    let (stop, stopped) = oneshot::channel();
    // A sender that was dropped means the same as one that was used.
    let task = tokio::spawn(serve(pair, port, clock, async { stopped.await.unwrap_or(()) }));
    Ok(Running { bound, log, stop, task })
}

impl Running {
    /// Where it listens.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// What its meters answered until now, oldest first, as far as the log goes back.
    pub fn sent(&self) -> Vec<Sent> {
        self.log.sent()
    }

    /// Ends the line and waits until its port is closed.
    ///
    /// # Errors
    /// What ended it before.
    pub async fn stop(self) -> io::Result<()> {
        // It may have ended by itself, then nobody hears this.
        let _ = self.stop.send(());
        self.task.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use super::super::VirtualLine;
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::path::Path;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// What a terminal would act on, in both directions: ^C, ^D, CR, LF, XON, XOFF, FF.
    const CONTROLS: [u8; 8] = [0x03, 0x04, 0x0D, 0x11, 0x0A, 0x13, 0xFF, 0x00];

    fn frame(control: u8, data: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x68, 0x34, 0x12, 0, 0, 0, 0, 0x68, control, data.len() as u8];
        frame.extend_from_slice(data);
        frame.push(frame.iter().fold(0, |sum: u8, o| sum.wrapping_add(*o)));
        frame.push(0x16);
        frame
    }

    fn request() -> Vec<u8> {
        frame(0x11, &CONTROLS[..4])
    }

    fn reply() -> Vec<u8> {
        frame(0x91, &CONTROLS)
    }

    /// A meter that answers [`request`] with [`reply`].
    fn meter() -> Pair {
        use super::super::meter::{Fixed, MeterSettings, VirtualMeter};
        let data = CONTROLS.map(|octet| octet.wrapping_sub(0x33));
        let mut settings = MeterSettings::household("1234".parse().unwrap());
        (settings.preamble, settings.response_delay) = (0, Duration::from_millis(20));
        let di = dlt645::Di::new(u32::from_le_bytes([data[0], data[1], data[2], data[3]]));
        settings.fixed.insert(di, Fixed::Octets(data[4..].to_vec()));
        Pair::from(VirtualLine::new(vec![VirtualMeter::new(settings, 1)]))
    }

    /// A line that stops when the sender is dropped.
    async fn served(pair: Pair, listen: Listen) -> (Bound, oneshot::Sender<()>, JoinHandle<io::Result<()>>) {
        let port = bind(&listen).await.unwrap();
        let bound = port.bound();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { stopped.await.unwrap_or(()) };
        (bound, stop, tokio::spawn(serve(pair, port, Clock::system(), stopped)))
    }

    /// Writes and reads in a thread of its own, as a serial port's user does: the answer, and how long it took.
    async fn ask(path: &Path) -> (Vec<u8>, Duration) {
        let (path, clock) = (path.to_owned(), Clock::system());
        tokio::task::spawn_blocking(move || {
            let mut port = File::options().read(true).write(true).open(path).unwrap();
            let begun = clock.elapsed();
            port.write_all(&request()).unwrap();
            let mut answer = vec![0; reply().len()];
            port.read_exact(&mut answer).unwrap();
            (answer, clock.elapsed() - begun)
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_pty_can_be_opened_again_and_carries_every_octet() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("bus1");
        let (bound, stop, task) = served(meter(), Listen::Pty(link.clone())).await;
        assert_eq!(bound.port_address().to_string(), link.display().to_string());
        assert_eq!(ask(&link).await.0, reply());
        assert_eq!(ask(&link).await.0, reply());
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert!(link.symlink_metadata().is_err());
    }

    #[tokio::test]
    async fn a_pty_can_be_open_twice_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("bus1");
        let (_, stop, task) = served(meter(), Listen::Pty(link.clone())).await;
        let other = File::options().read(true).write(true).open(&link).unwrap();
        assert_eq!(ask(&link).await.0, reply());
        drop(other);
        assert_eq!(ask(&link).await.0, reply());
        drop(stop);
        task.await.unwrap().unwrap();
    }

    /// (16 + 20) characters and 20 ms: 185 ms at 2400 baud, and never less.
    #[tokio::test]
    async fn a_paced_pty_takes_the_time_of_its_characters() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("bus1");
        let rate = crate::planner::Line::DEFAULT;
        let (_, stop, task) = served(meter().at(rate), Listen::Pty(link.clone())).await;
        for _ in 0..3 {
            let (answer, took) = ask(&link).await;
            assert_eq!(answer, reply());
            assert!(took >= rate.octets(36) + Duration::from_millis(20), "{took:?}");
        }
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert!(link.symlink_metadata().is_err());
    }

    #[tokio::test]
    async fn every_client_of_a_socket_hears_every_answer() {
        for pair in
            [meter(), meter().at(crate::planner::Line { baud: 19_200, ..crate::planner::Line::DEFAULT })]
        {
            let (bound, stop, task) = served(pair, "tcp://127.0.0.1:0".parse().unwrap()).await;
            let Bound::Tcp(at) = bound else { panic!() };
            assert_ne!(at.port(), 0);
            let (mut one, mut other) =
                (TcpStream::connect(at).await.unwrap(), TcpStream::connect(at).await.unwrap());
            let mut came = vec![0; reply().len()];
            // The second client is surely accepted once it was answered.
            for asks_first in [false, true] {
                let asking = if asks_first { &mut one } else { &mut other };
                asking.write_all(&request()).await.unwrap();
                for client in [&mut other, &mut one] {
                    client.read_exact(&mut came).await.unwrap();
                    assert_eq!(came, reply());
                }
            }
            drop(one);
            other.write_all(&request()).await.unwrap();
            other.read_exact(&mut came).await.unwrap();
            assert_eq!(came, reply());
            stop.send(()).unwrap();
            task.await.unwrap().unwrap();
            assert_eq!(other.read(&mut [0]).await.unwrap(), 0, "clients are closed at the end");
        }
    }

    #[tokio::test]
    async fn an_unplugged_port_is_gone_and_comes_back_at_the_same_place() {
        use super::super::fault::{Injection, LineFault};
        // The least time that it is gone with this seed is 1.02 s.
        let unplugged = |pair: Pair| {
            pair.with_faults(&[Injection { fault: LineFault::Unplugged, rate: 1.0 }], 205, false)
        };
        for pair in [meter(), meter().at(crate::planner::Line::DEFAULT)] {
            let dir = tempfile::tempdir().unwrap();
            let link = dir.path().join("bus1");
            let (_, stop, task) = served(unplugged(pair), Listen::Pty(link.clone())).await;
            let first = std::fs::read_link(&link).unwrap();
            let path = link.clone();
            let gone = tokio::task::spawn_blocking(move || {
                let mut port = File::options().read(true).write(true).open(path).unwrap();
                port.write_all(&request()).unwrap();
                matches!(port.read(&mut [0]), Ok(0) | Err(_))
            });
            assert!(gone.await.unwrap(), "no answer comes from {}", first.display());
            while link.symlink_metadata().is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            File::options().read(true).write(true).open(&link).unwrap();
            stop.send(()).unwrap();
            task.await.unwrap().unwrap();
        }
        for pair in [meter(), meter().at(crate::planner::Line::DEFAULT)] {
            let (bound, stop, task) = served(unplugged(pair), "tcp://127.0.0.1:0".parse().unwrap()).await;
            let Bound::Tcp(at) = bound else { panic!() };
            let mut client = TcpStream::connect(at).await.unwrap();
            client.write_all(&request()).await.unwrap();
            assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
            while TcpStream::connect(at).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.send(()).unwrap();
            task.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_said() {
        let (bound, _stop, _task) = served(meter(), "tcp://127.0.0.1:0".parse().unwrap()).await;
        let Bound::Tcp(at) = bound else { panic!() };
        let again = Listen::Tcp { host: at.ip().to_string(), port: at.port() };
        assert!(matches!(bind(&again).await, Err(ListenError::NoSocket { .. })));
    }

    #[tokio::test]
    async fn a_spawned_line_answers_a_read_until_it_is_stopped() {
        let listen = "tcp://127.0.0.1:0".parse().unwrap();
        let running = spawn(meter(), &listen, Clock::system(), 8).await.unwrap();
        let Bound::Tcp(at) = *running.bound() else { panic!() };
        let mut client = TcpStream::connect(at).await.unwrap();
        client.write_all(&request()).await.unwrap();
        let mut answer = vec![0; reply().len()];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, reply());
        assert_eq!(running.sent().len(), 1);
        running.stop().await.unwrap();
    }
}
