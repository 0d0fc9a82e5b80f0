//! Where a virtual line is to be found, as it is written and as it was bound.

use crate::config::PortAddress;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen: `pty:/tmp/bus1`, `tcp://127.0.0.1:4001` or `modbus-tcp://127.0.0.1:502`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    /// A pseudo-terminal, with a symbolic link to it at this path.
    Pty(PathBuf),
    /// A transparent serial server.
    Tcp {
        /// Name or address; 0.0.0.0 for all.
        host: String,
        /// Port; 0 for any that is free.
        port: u16,
    },
    /// A gateway of Modbus TCP.
    ModbusTcp {
        /// Name or address; 0.0.0.0 for all.
        host: String,
        /// Port; 0 for any that is free.
        port: u16,
    },
}

/// How [`Listen::ModbusTcp`] is written.
const MODBUS_TCP: &str = "modbus-tcp://";

/// Where a virtual line listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bound {
    /// A pseudo-terminal.
    Pty {
        /// The symbolic link, the same at each start.
        link: PathBuf,
        /// What it leads to.
        device: PathBuf,
    },
    /// A listening socket, with the port that it really has.
    Tcp(SocketAddr),
}

impl Bound {
    /// How a reader on this machine reaches it.
    pub fn port_address(&self) -> PortAddress {
        match self {
            Self::Pty { link, .. } => PortAddress::Serial(link.clone()),
            Self::Tcp(at) => {
                let ip = match at.ip() {
                    ip if !ip.is_unspecified() => ip,
                    std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                };
                PortAddress::Tcp { host: ip.to_string(), port: at.port() }
            }
        }
    }
}

/// `pty:/tmp/bus1 (/dev/pts/3)` or `tcp://0.0.0.0:4001`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pty { link, device } => write!(f, "pty:{} ({})", link.display(), device.display()),
            Self::Tcp(at) => write!(f, "tcp://{at}"),
        }
    }
}

/// A text that is no place to listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "write pty:/tmp/bus1 for a pseudo-terminal, tcp://127.0.0.1:4001 for a serial server or modbus-tcp://127.0.0.1:502 for Modbus TCP (port 0: any free one)"
)]
pub struct BadListen;

impl FromStr for Listen {
    type Err = BadListen;

    fn from_str(text: &str) -> Result<Self, BadListen> {
        if let Some(path) = text.strip_prefix("pty:") {
            return if path.is_empty() || path.ends_with('/') {
                Err(BadListen)
            } else {
                Ok(Self::Pty(path.into()))
            };
        }
        let (is_modbus, at) = match text.strip_prefix(MODBUS_TCP) {
            Some(at) => (true, Some(at)),
            None => (false, text.strip_prefix("tcp://")),
        };
        let (host, port) = at.and_then(|at| at.rsplit_once(':')).ok_or(BadListen)?;
        let host = match host.strip_prefix('[').map(|h| h.strip_suffix(']')) {
            Some(v6) => v6.ok_or(BadListen)?,
            None if host.contains(':') => return Err(BadListen),
            None => host,
        };
        if host.is_empty() || host.contains('/') {
            return Err(BadListen);
        }
        let (host, port) = (host.to_owned(), port.parse().map_err(|_| BadListen)?);
        Ok(if is_modbus { Self::ModbusTcp { host, port } } else { Self::Tcp { host, port } })
    }
}

/// Why a virtual line cannot listen there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system has no pseudo-terminal for us.
    #[error("cannot open a pseudo-terminal: {0}; is /dev/pts mounted?")]
    NoPty(io::Error),
    /// Something that is not ours stands at the path.
    #[error("{} is there and is no link to a pseudo-terminal; choose another path or remove it", .0.display())]
    Occupied(PathBuf),
    /// The link cannot be made.
    #[error("cannot make the link {}: {error}; choose a path in a directory where you may write", path.display())]
    NoLink {
        /// The path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The socket cannot be bound.
    #[error("cannot listen on {host}:{port}: {error}; choose another port, or 0 for any that is free")]
    NoSocket {
        /// As asked.
        host: String,
        /// As asked.
        port: u16,
        /// Why.
        error: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_listen_is_a_pty_or_a_socket() {
        assert_eq!("pty:/tmp/bus1".parse(), Ok(Listen::Pty("/tmp/bus1".into())));
        let tcp = |host: &str, port| Ok(Listen::Tcp { host: host.into(), port });
        assert_eq!("tcp://127.0.0.1:0".parse(), tcp("127.0.0.1", 0));
        assert_eq!("tcp://[::1]:4001".parse(), tcp("::1", 4001));
        let modbus = Ok(Listen::ModbusTcp { host: "127.0.0.1".into(), port: 502 });
        assert_eq!("modbus-tcp://127.0.0.1:502".parse(), modbus);
        for text in [
            "",
            "pty:",
            "pty:/tmp/",
            "/tmp/bus1",
            "tcp://",
            "tcp://::1:1",
            "tcp://a",
            "tcp://a:70000",
            "tcp://:1",
        ] {
            assert_eq!(text.parse::<Listen>(), Err(BadListen), "{text}");
        }
    }

    #[test]
    fn a_socket_on_all_addresses_is_reached_by_loopback() {
        let bound = Bound::Tcp("0.0.0.0:4001".parse().unwrap());
        assert_eq!(bound.port_address().to_string(), "tcp://127.0.0.1:4001");
        let bound = Bound::Tcp("[::1]:4001".parse().unwrap());
        assert_eq!(bound.port_address().to_string(), "tcp://[::1]:4001");
    }
}
