//! The task that gives a virtual line its port: hears, lets the meters answer, delivers.
//!
//! It holds no knowledge of the protocol and no clock of its own.

use super::line::{Answer, Log, Sent, VirtualLine};
use super::listen::{Bound, Listen, ListenError};
use super::pty::Pty;
use super::tcp::Tcp;
use super::wire::Wire;
use crate::clock::Clock;
use jiff::Timestamp;
use std::future::Future;
use std::io;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A port that a virtual line will speak through; it is open from [`bind`] on.
#[derive(Debug)]
pub struct Port(Side);

#[derive(Debug)]
enum Side {
    Pty(Pty),
    Tcp(Tcp),
}

impl Port {
    /// Where it listens.
    pub fn bound(&self) -> Bound {
        match &self.0 {
            Side::Pty(pty) => pty.bound(),
            Side::Tcp(tcp) => tcp.bound(),
        }
    }

    async fn hear(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.0 {
            Side::Pty(pty) => {
                let mut buffer = [0; 1024];
                let n = pty.hear(&mut buffer).await?;
                Ok(buffer.get(..n).unwrap_or_default().to_vec())
            }
            Side::Tcp(tcp) => tcp.hear().await,
        }
    }

    fn say(&self, octets: Vec<u8>) -> io::Result<()> {
        match &self.0 {
            Side::Pty(pty) => pty.say(&octets),
            Side::Tcp(tcp) => {
                tcp.say(octets);
                Ok(())
            }
        }
    }
}

/// Opens the pseudo-terminal or the socket. A runtime with I/O must be running.
///
/// # Errors
/// [`ListenError`] with what to do about it.
pub async fn bind(listen: &Listen) -> Result<Port, ListenError> {
    Ok(Port(match listen {
        Listen::Pty(link) => Side::Pty(Pty::open(link)?),
        Listen::Tcp { host, port } => Side::Tcp(Tcp::bind(host, *port).await?),
    }))
}

/// Answers on `port` until `stop` is ready; then the port is closed and its link removed.
///
/// # Errors
/// What the port says when it fails; it is not opened again.
pub async fn serve(
    mut line: VirtualLine,
    port: Port,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    answer(|octets, now| line.hear(octets, now), port, clock, stop).await
}

async fn answer(
    mut hear: impl FnMut(&[u8], Timestamp) -> Vec<Answer>,
    mut port: Port,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut stop = std::pin::pin!(stop);
    let mut wire = Wire::default();
    loop {
        let due = wire.due();
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(clock.instant(due)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut stop => return Ok(()),
            heard = port.hear() => wire.take(hear(&heard?, clock.now()), clock.elapsed()),
            () = due => {}
        }
        while let Some(octets) = wire.deliver(clock.elapsed()) {
            port.say(octets)?;
        }
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
    line: VirtualLine,
    listen: &Listen,
    clock: Clock,
    kept: usize,
) -> Result<Running, ListenError> {
    let log = Log::keeping(kept);
    let line = line.logged(log.clone());
    let port = bind(listen).await?;
    let bound = port.bound();
    let (stop, stopped) = oneshot::channel();
    // A sender that was dropped means the same as one that was used.
    let task = tokio::spawn(serve(line, port, clock, async { stopped.await.unwrap_or(()) }));
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
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::path::Path;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// A line that says back what it heard, one octet higher; it stops when the sender is dropped.
    async fn responder(listen: Listen) -> (Bound, oneshot::Sender<()>, JoinHandle<io::Result<()>>) {
        let port = bind(&listen).await.unwrap();
        let bound = port.bound();
        let (stop, stopped) = oneshot::channel::<()>();
        let hear = |octets: &[u8], _: Timestamp| {
            vec![Answer {
                octets: octets.iter().map(|o| o.wrapping_add(1)).collect(),
                after: Duration::from_millis(2),
            }]
        };
        let clock = Clock::system();
        let task = tokio::spawn(answer(hear, port, clock, async { stopped.await.unwrap_or(()) }));
        (bound, stop, task)
    }

    /// Writes and reads in a thread of its own, as a serial port's user does.
    async fn ask(path: &Path, octets: &'static [u8]) -> Vec<u8> {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut port = File::options().read(true).write(true).open(path).unwrap();
            port.write_all(octets).unwrap();
            let mut answer = vec![0; octets.len()];
            port.read_exact(&mut answer).unwrap();
            answer
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_pty_can_be_opened_again_and_carries_every_octet() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("bus1");
        let (bound, stop, task) = responder(Listen::Pty(link.clone())).await;
        assert_eq!(bound.port_address().to_string(), link.display().to_string());
        assert_eq!(ask(&link, &[1, 2, 3]).await, [2, 3, 4]);
        // What a terminal would act on: ^C, ^D, CR, LF, XON, XOFF, FF.
        assert_eq!(
            ask(&link, &[0x02, 0x03, 0x0C, 0x09, 0x10, 0x12, 0xFE]).await,
            [3, 4, 0x0D, 0x0A, 0x11, 0x13, 0xFF]
        );
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert!(link.symlink_metadata().is_err());
    }

    #[tokio::test]
    async fn a_pty_can_be_open_twice_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("bus1");
        let (_, stop, task) = responder(Listen::Pty(link.clone())).await;
        let other = File::options().read(true).write(true).open(&link).unwrap();
        assert_eq!(ask(&link, &[7]).await, [8]);
        drop(other);
        assert_eq!(ask(&link, &[8]).await, [9]);
        drop(stop);
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn every_client_of_a_socket_hears_every_answer() {
        let (bound, stop, task) = responder("tcp://127.0.0.1:0".parse().unwrap()).await;
        let Bound::Tcp(at) = bound else { panic!() };
        assert_ne!(at.port(), 0);
        let (mut one, mut other) =
            (TcpStream::connect(at).await.unwrap(), TcpStream::connect(at).await.unwrap());
        // The second client is surely accepted once it was answered.
        other.write_all(&[1]).await.unwrap();
        assert_eq!(other.read_u8().await.unwrap(), 2);
        assert_eq!(one.read_u8().await.unwrap(), 2);
        one.write_all(&[4]).await.unwrap();
        assert_eq!(one.read_u8().await.unwrap(), 5);
        assert_eq!(other.read_u8().await.unwrap(), 5);
        drop(one);
        other.write_all(&[6]).await.unwrap();
        assert_eq!(other.read_u8().await.unwrap(), 7);
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0, "clients are closed at the end");
    }

    #[tokio::test]
    async fn an_address_in_use_is_said() {
        let (bound, _stop, _task) = responder("tcp://127.0.0.1:0".parse().unwrap()).await;
        let Bound::Tcp(at) = bound else { panic!() };
        let again = Listen::Tcp { host: at.ip().to_string(), port: at.port() };
        assert!(matches!(bind(&again).await, Err(ListenError::NoSocket { .. })));
    }

    #[tokio::test]
    async fn a_spawned_line_answers_a_read_until_it_is_stopped() {
        use super::super::meter::{Fixed, MeterSettings, VirtualMeter};
        let mut settings = MeterSettings::household("1234".parse().unwrap());
        settings.fixed.insert(dlt645::Di::new(0x0201_0100), Fixed::Octets(vec![0x05, 0x22]));
        let line = VirtualLine::new(vec![VirtualMeter::new(settings, 1)]);
        let listen = "tcp://127.0.0.1:0".parse().unwrap();
        let running = spawn(line, &listen, Clock::system(), 8).await.unwrap();
        let Bound::Tcp(at) = *running.bound() else { panic!() };
        let mut client = TcpStream::connect(at).await.unwrap();
        let read = [0x68, 0x34, 0x12, 0, 0, 0, 0, 0x68, 0x11, 4, 0x33, 0x34, 0x34, 0x35, 0xFB, 0x16];
        client.write_all(&read).await.unwrap();
        let mut answer = [0; 22];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[..4], [0xFE; 4]);
        assert_eq!(answer[12..], [0x91, 6, 0x33, 0x34, 0x34, 0x35, 0x38, 0x55, 0x0A, 0x16]);
        assert_eq!(running.sent().len(), 1);
        running.stop().await.unwrap();
    }
}
