//! Modbus meters behind Modbus TCP, as a gateway (网关) has them, or a meter with a network of its own.
//!
//! Each client is answered by itself, an answer with the transaction of its request. The gateway passes on whole frames:
//! what a meter cut short or the line damaged is silence to the client, and a unit that is not there is exception 0B.

use super::listen::ListenError;
use super::pair::Pair;
use super::serve::Port;
use crate::clock::Clock;
use modbus::Exception;
use modbus::rtu::{self, Reply};
use modbus::tcp::{BadFrame, Frame};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Clients at once; a further one is turned away.
const CLIENTS: usize = 32;
/// Answers under way to a client; when it is full, that client is read no further.
const UNDER_WAY: usize = 256;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Gateway {
    listener: TcpListener,
    at: SocketAddr,
}

/// What the clients share.
#[derive(Clone)]
struct Line {
    pair: Arc<Mutex<Pair>>,
    clock: Clock,
    unplug: mpsc::Sender<Duration>,
}

impl Gateway {
    pub(super) async fn bind(host: &str, port: u16) -> Result<Self, ListenError> {
        let no_socket = |error| ListenError::NoSocket { host: host.to_owned(), port, error };
        let listener = TcpListener::bind((host, port)).await.map_err(no_socket)?;
        let at = listener.local_addr().map_err(no_socket)?;
        Ok(Self { listener, at })
    }

    pub(super) const fn at(&self) -> SocketAddr {
        self.at
    }
}

/// Answers on `port` until `stop` is ready; then the port and all clients are closed.
pub(super) async fn serve(
    pair: Pair,
    mut port: Port,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (unplug, mut unplugged) = mpsc::channel(1);
    let line = Line { pair: Arc::new(Mutex::new(pair)), clock, unplug };
    let mut stop = std::pin::pin!(stop);
    loop {
        let gone = {
            let Some(gateway) = port.gateway() else {
                return Err(io::Error::other("no socket to listen on"));
            };
            // Dropped at the end, and its clients with it.
            let mut clients = JoinSet::new();
            loop {
                tokio::select! {
                    () = &mut stop => return Ok(()),
                    Some(time) = unplugged.recv() => break time,
                    Some(ended) = clients.join_next() => ended.map_err(io::Error::other)?,
                    accepted = gateway.listener.accept() => match accepted {
                        Ok((stream, _)) if clients.len() < CLIENTS => drop(clients.spawn(client(stream, line.clone()))),
                        Ok(_) => tracing::warn!(clients = CLIENTS, "virtual gateway: one client too many was turned away"),
                        // A client that was gone before it was accepted; the listener itself is sound.
                        Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                        Err(e) => return Err(e),
                    },
                }
            }
        };
        port = tokio::select! {
            () = &mut stop => return Ok(()),
            port = port.unplug(gone) => port?,
        };
        // What another client brought about meanwhile is the same unplugging.
        while unplugged.try_recv().is_ok() {}
    }
}

/// One client until it closes, fails, or sends what is no Modbus.
async fn client(mut stream: TcpStream, line: Line) {
    // An answer is one segment; without this it may wait for the last one's receipt.
    let _ = stream.set_nodelay(true);
    let (mut from, mut to) = stream.split();
    let mut buffer = [0; 1024];
    let mut came = Vec::new();
    let mut answers: BTreeMap<(Duration, u64), Vec<u8>> = BTreeMap::new();
    let mut count = 0;
    loop {
        let due = answers.first_key_value().map(|((due, _), _)| *due);
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(line.clock.instant(due)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = from.read(&mut buffer), if answers.len() < UNDER_WAY => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => came.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            },
            () = due => {
                if let Some((_, answer)) = answers.pop_first()
                    && to.write_all(&answer).await.is_err()
                {
                    return;
                }
            }
        }
        loop {
            let (frame, length) = match Frame::parse(&came) {
                Ok(frame) => (frame, frame.octets()),
                Err(BadFrame::Incomplete) => break,
                Err(BadFrame::NotAFrame) => return,
            };
            for (after, answer) in line.ask(frame) {
                count += 1;
                answers.insert((line.clock.elapsed() + after, count), answer);
            }
            came.drain(..length);
        }
    }
}

impl Line {
    /// The answers to a request, each so long after it.
    fn ask(&self, asked: Frame<'_>) -> Vec<(Duration, Vec<u8>)> {
        let answer = |unit, pdu: &[u8]| {
            let mut octets = Vec::new();
            Frame { transaction: asked.transaction, unit, pdu }.emit(&mut octets);
            octets
        };
        let mut pair = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.unit != 0 && !pair.has_unit(asked.unit) {
            let function = asked.pdu.first().copied().unwrap_or(0);
            let refusal = Reply::refusal(asked.unit, function, Exception::GatewayTarget);
            return vec![(Duration::ZERO, answer(asked.unit, &refusal.pdu()))];
        }
        let mut request = Vec::new();
        rtu::Frame { unit: asked.unit, pdu: asked.pdu }.emit(&mut request);
        let (frames, unplugged) = pair.ask(&request, self.clock.now());
        if let Some(time) = unplugged {
            // The port is told once, and tells us when it is back.
            let _ = self.unplug.try_send(time);
        }
        let whole =
            frames.iter().filter_map(|(after, octets)| Some((after, rtu::Frame::checked(octets).ok()?)));
        whole.map(|(after, frame)| (*after, answer(frame.unit, frame.pdu))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::{Injection, LineFault};
    use super::super::listen::{Bound, Listen};
    use super::super::serve::{Running, spawn};
    use super::super::{ModbusMeter, ModbusSettings, Said, VirtualLine};
    use super::*;
    use catalogue::Profile;
    use modbus::rtu::Request;
    use modbus::{Span, UnitId};

    fn pair(faults: &[(LineFault, f64)]) -> Pair {
        let meters = [(1, "eastron-sdm630"), (7, "janitza-umg-b")].map(|(unit, profile)| {
            let profile = Profile::named(profile).unwrap();
            ModbusMeter::new(ModbusSettings::new(UnitId::new(unit).unwrap(), profile), 1)
        });
        let injections: Vec<_> = faults.iter().map(|&(fault, rate)| Injection { fault, rate }).collect();
        let line = VirtualLine::new(Vec::new()).with_modbus(meters.into());
        Pair::from(line).with_faults(&injections, 205, false)
    }

    async fn served(faults: &[(LineFault, f64)]) -> (Running, TcpStream) {
        let listen = Listen::ModbusTcp { host: "127.0.0.1".into(), port: 0 };
        let running = spawn(pair(faults), &listen, Clock::system(), 100).await.unwrap();
        let Bound::Tcp(at) = *running.bound() else { panic!() };
        (running, TcpStream::connect(at).await.unwrap())
    }

    fn request(transaction: u16, unit: u8, span: &str) -> Vec<u8> {
        let pdu = Request::read(unit, span.parse().unwrap()).pdu();
        let mut octets = Vec::new();
        Frame { transaction, unit, pdu: &pdu }.emit(&mut octets);
        octets
    }

    /// The next frame: transaction, unit, what it says.
    async fn answer(client: &mut TcpStream) -> (u16, u8, Reply) {
        let mut octets = vec![0; 7];
        client.read_exact(&mut octets).await.unwrap();
        let left = usize::from(u16::from_be_bytes([octets[4], octets[5]])) - 1;
        octets.resize(7 + left, 0);
        client.read_exact(&mut octets[7..]).await.unwrap();
        let frame = Frame::parse(&octets).unwrap();
        (frame.transaction, frame.unit, Reply::of_pdu(frame.unit, frame.pdu).unwrap())
    }

    #[tokio::test]
    async fn units_answer_with_the_transaction_of_their_request_until_the_server_is_stopped() {
        let (running, mut client) = served(&[]).await;
        let both = [request(0x1234, 7, "03 4A38+6"), request(2, 1, "04 0000+2")].concat();
        client.write_all(&both[..5]).await.unwrap();
        client.write_all(&both[5..]).await.unwrap();
        let (transaction, unit, first) = answer(&mut client).await;
        assert_eq!((transaction, unit, first.words().map(|words| words.len())), (0x1234, 7, Some(6)));
        let (transaction, unit, second) = answer(&mut client).await;
        assert_eq!((transaction, unit), (2, 1));
        let sent = running.sent();
        let said = |span: &str, words| Said::Registers { span: span.parse::<Span>().unwrap(), words };
        assert_eq!(sent[0].said, said("03 4A38+6", first.words().unwrap()));
        assert_eq!(sent[1].said, said("04 0000+2", second.words().unwrap()));
        running.stop().await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0, "clients are closed at the end");
    }

    #[tokio::test]
    async fn every_client_has_its_own_answers_alone() {
        let (running, mut one) = served(&[]).await;
        let Bound::Tcp(at) = *running.bound() else { panic!() };
        let mut other = TcpStream::connect(at).await.unwrap();
        one.write_all(&request(1, 1, "04 0000+2")).await.unwrap();
        other.write_all(&request(2, 1, "04 0000+2")).await.unwrap();
        assert_eq!((answer(&mut one).await.0, answer(&mut other).await.0), (1, 2));
        running.stop().await.unwrap();
    }

    #[tokio::test]
    async fn exceptions_are_told_and_a_unit_that_is_not_there_is_the_gateways() {
        let (running, mut client) = served(&[]).await;
        for (unit, span, code) in [(1, "04 0000+81", 3), (1, "04 0502+4", 2), (9, "04 0000+2", 11)] {
            client.write_all(&request(1, unit, span)).await.unwrap();
            let (_, from, reply) = answer(&mut client).await;
            assert_eq!((from, reply.exception().map(Exception::code)), (unit, Some(code)));
        }
        assert_eq!(running.sent().len(), 2, "no meter said what the gateway did");
        client.write_all(&[0, 1, 0, 9, 0, 6]).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0, "another protocol is hung up on");
        running.stop().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_whole_frame_is_silence_and_the_next_request_is_answered() {
        let (running, mut client) = served(&[(LineFault::Cut, 0.5), (LineFault::Damaged, 0.3)]).await;
        let mut answered = 0;
        for transaction in 0..40 {
            client.write_all(&request(transaction, 1, "04 0000+2")).await.unwrap();
        }
        while running.sent().len() < 40 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Answers take 30 ms, so that none comes behind that of a request which is asked when all of them are due.
        let due = running.sent().last().unwrap().ended;
        while Clock::system().now() <= due {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // A unit that is not there is answered at once.
        client.write_all(&request(1000, 9, "04 0000+2")).await.unwrap();
        loop {
            let (transaction, _, reply) = answer(&mut client).await;
            if transaction == 1000 {
                break;
            }
            assert_eq!(reply.words().map(|words| words.len()), Some(2));
            answered += 1;
        }
        let whole = running.sent().iter().filter(|sent| sent.said != Said::Nothing).count();
        assert!(answered > 0 && answered <= whole && whole < 40, "{answered} of {whole}");
        running.stop().await.unwrap();
    }

    #[tokio::test]
    async fn an_unplugged_gateway_is_gone_and_comes_back_at_the_same_place() {
        let (running, mut client) = served(&[(LineFault::Unplugged, 1.0)]).await;
        let Bound::Tcp(at) = *running.bound() else { panic!() };
        client.write_all(&request(1, 1, "04 0000+2")).await.unwrap();
        assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
        while TcpStream::connect(at).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.stop().await.unwrap();
    }
}
