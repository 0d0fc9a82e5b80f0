//! Where a line is to be found, and how its port is used.

use crate::config::packet::Packet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How a port is used beyond its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortSettings {
    /// What an answer may be late by beyond its air time.
    pub latency: Duration,
    /// Who turns a serial adapter to sending and back.
    pub direction: Direction,
    /// The first packet of the DTU that dials in for this bus (注册包).
    pub registration: Option<Packet>,
    /// What a DTU sends between the octets of its line (心跳包).
    pub heartbeat: Option<Packet>,
}

/// Who turns an RS-485 adapter to sending and back (收发切换).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Direction {
    /// The adapter itself, or its driver as it is set up: left alone.
    #[default]
    Adapter,
    /// The driver by RTS, which is high while it sends.
    Rts,
    /// The driver by RTS, which is low while it sends.
    RtsInverted,
}

/// Where a line is to be found.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PortAddress {
    /// A serial device, or a pty.
    Serial(PathBuf),
    /// A transparent serial server, `tcp://host:port`.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Where DTUs (数传终端) dial in, `tcp-listen://0.0.0.0:9001`; several buses may share it.
    Listen(SocketAddr),
}

impl PortAddress {
    /// Whether we set rate and character of the line; a serial server has its own.
    pub const fn is_switched(&self) -> bool {
        match self {
            Self::Serial(_) => true,
            Self::Tcp { .. } | Self::Listen(_) => false,
        }
    }
}

impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(path) => write!(f, "{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Listen(at) => write!(f, "tcp-listen://{at}"),
        }
    }
}

/// A text that is no port; it says what to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPort {
    /// A device without its folder.
    #[error("write it with its folder, /dev/…")]
    Device,
    /// A serial server that lacks host or port.
    #[error("write tcp://HOST:PORT of the serial server")]
    Server,
    /// A place to listen that is no address with a port.
    #[error(
        "write tcp-listen://0.0.0.0:9001, with the port that DTUs dial in to; another address than 0.0.0.0 listens on that one only"
    )]
    Listen,
    /// None of these.
    #[error(
        "write the path of a serial device, /dev/…, tcp://HOST:PORT of a serial server, or tcp-listen://0.0.0.0:PORT for DTUs that dial in"
    )]
    Form,
}

/// The absolute path of a serial device, `tcp://HOST:PORT`, or `tcp-listen://ADDRESS:PORT`.
impl FromStr for PortAddress {
    type Err = BadPort;

    fn from_str(text: &str) -> Result<Self, BadPort> {
        match text.split_once("://") {
            Some(("tcp", rest)) => crate::config::mqtt::host_and_port(rest, None)
                .map(|(host, port)| Self::Tcp { host, port })
                .ok_or(BadPort::Server),
            Some(("tcp-listen", rest)) => rest
                .parse()
                .ok()
                .filter(|at: &SocketAddr| at.port() > 0)
                .map(Self::Listen)
                .ok_or(BadPort::Listen),
            Some(_) => Err(BadPort::Form),
            None if text.starts_with('/') && text.len() > 1 => Ok(Self::Serial(PathBuf::from(text))),
            None if text.starts_with("tty") => Err(BadPort::Device),
            None => Err(BadPort::Form),
        }
    }
}

impl PortSettings {
    /// What is usual for the kind of port: USB adapters hand over in steps of 16 ms, and a loaded box
    /// adds some; serial servers collect octets before they send them, and the network adds its way.
    pub const fn usual(port: &PortAddress) -> Self {
        let latency = match port {
            PortAddress::Serial(_) => Duration::from_millis(50),
            PortAddress::Tcp { .. } | PortAddress::Listen(_) => Duration::from_millis(300),
        };
        Self { latency, direction: Direction::Adapter, registration: None, heartbeat: None }
    }
}

impl Direction {
    /// Every one, by its word.
    pub(in crate::config) const ALL: [Self; 3] = [Self::Adapter, Self::Rts, Self::RtsInverted];

    /// The word of the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Rts => "rts",
            Self::RtsInverted => "rts-inverted",
        }
    }
}
