//! The lines of a gateway: virtual meters behind TCP, and a gate before each that sees every frame pass.

use dlt645::{Address, Di};
use meterd::clock::Clock;
use meterd::simulator::{Fixed, Injection, Listen, MeterSettings, Pair, Running, Sent, VirtualLine};
use meterd::simulator::{VirtualMeter, spawn};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Answers that a line remembers: those of minutes.
const KEPT: usize = 20_000;

/// What passes a gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frame {
    Request,
    Reply,
}

type Act = Arc<Mutex<Option<Box<dyn FnMut(Frame) + Send>>>>;

/// All lines; they end with this.
pub(crate) struct Lines {
    running: Vec<Running>,
    gates: Vec<(u16, JoinHandle<()>)>,
    act: Act,
    clock: Clock,
    /// When somebody last connected.
    connected: Arc<Mutex<Duration>>,
}

/// The meters of a line by their numbers.
pub(crate) fn meters_of(line: usize, each: usize) -> std::ops::Range<usize> {
    line * each + 1..(line + 1) * each + 1
}

impl Lines {
    /// So many lines of so many meters, with these faults.
    pub(crate) async fn start(lines: usize, each: usize, faults: &[Injection], seed: u64) -> Self {
        let (mut running, mut gates, act) = (Vec::new(), Vec::new(), Act::default());
        let (clock, connected) = (Clock::system(), Arc::<Mutex<Duration>>::default());
        for line in 0..lines {
            let meters = meters_of(line, each).map(|number| meter(number, seed)).collect();
            let pair = Pair::from(VirtualLine::new(meters)).with_faults(faults, seed + line as u64, false);
            let listen: Listen = "tcp://127.0.0.1:0".parse().unwrap();
            let line = spawn(pair, &listen, clock.clone(), KEPT).await.unwrap();
            let to = line.bound().port_address().to_string();
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let (clock, connected) = (clock.clone(), Arc::clone(&connected));
            let opened = move || *connected.lock().unwrap() = clock.elapsed();
            gates.push((port, tokio::spawn(gate(listener, to, Arc::clone(&act), opened))));
            running.push(line);
        }
        Self { running, gates, act, clock, connected }
    }

    /// Its clock: time since it was started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Wall time of its clock.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// When somebody last connected to any line.
    pub(crate) fn connected(&self) -> Duration {
        *self.connected.lock().unwrap()
    }

    /// Where the daemon is to connect to, line by line.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.gates.iter().map(|(port, _)| *port)
    }

    /// Does this before each frame is handed on; `None` for nothing. It must not wait.
    pub(crate) fn act(&self, act: Option<Box<dyn FnMut(Frame) + Send>>) {
        *self.act.lock().unwrap_or_else(PoisonError::into_inner) = act;
    }

    /// What the meters of each line answered, as far back as it is remembered.
    pub(crate) fn sent(&self) -> impl Iterator<Item = Vec<Sent>> {
        self.running.iter().map(Running::sent)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.gates.iter().for_each(|(_, gate)| gate.abort());
    }
}

/// Its power and its frequency are other values in each answer; its energy is a household's.
fn meter(number: usize, seed: u64) -> VirtualMeter {
    let address: Address = number.to_string().parse().unwrap();
    let mut settings = MeterSettings::household(address);
    settings.response_delay = Duration::from_millis(1);
    settings.energy = 100_000 * number as u64;
    settings.fixed.insert(Di::new(0x0203_0000), Fixed::Time(3));
    settings.fixed.insert(Di::new(0x0280_0002), Fixed::Time(2));
    VirtualMeter::new(settings, seed)
}

async fn gate(listener: TcpListener, to: String, act: Act, opened: impl Fn()) {
    let to = to.trim_start_matches("tcp://").to_owned();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((near, _)) = accepted {
                    opened();
                    // It ends with its connection.
                    let (to, act) = (to.clone(), Arc::clone(&act));
                    connections.spawn(async move { drop(carry(near, to, act).await) });
                }
            }
            Some(ended) = connections.join_next() => ended.unwrap(),
        }
    }
}

async fn carry(mut near: TcpStream, to: String, act: Act) -> std::io::Result<()> {
    let mut far = TcpStream::connect(&to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let act = |frame| {
        if let Some(act) = act.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            act(frame);
        }
    };
    let (mut up, mut down) = ([0; 1024], [0; 1024]);
    loop {
        tokio::select! {
            read = near.read(&mut up) => match read? {
                0 => return Ok(()),
                count => {
                    act(Frame::Request);
                    far.write_all(&up[..count]).await?;
                }
            },
            read = far.read(&mut down) => match read? {
                0 => return Ok(()),
                count => {
                    act(Frame::Reply);
                    near.write_all(&down[..count]).await?;
                }
            },
        }
    }
}
