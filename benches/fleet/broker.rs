//! The broker: mosquitto where it is installed, else rumqttd in a process of its own.

use super::process::Part;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const ROLE: &str = "broker";
/// How long it may take until it listens.
const READY: Duration = Duration::from_secs(10);

/// A broker that ends with this.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) name: &'static str,
    /// Of MQTT, as the daemon's configuration has it.
    pub(crate) version: u8,
    pub(crate) port: u16,
    _process: Process,
}

#[derive(Debug)]
enum Process {
    Mosquitto { _child: Mosquitto },
    Rumqttd { _part: Part },
}

#[derive(Debug)]
struct Mosquitto(Child);

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Broker {
    /// Starts it on a free port, with its files in `folder`, and waits until it listens.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, "")
    }

    /// The same with more lines of mosquitto's configuration.
    pub(crate) fn start_with(folder: &Path, more: &str) -> Self {
        match find("mosquitto") {
            Some(program) => {
                let port = free();
                let file = folder.join("mosquitto.conf");
                let settings = "allow_anonymous true\npersistence false\nmax_queued_messages 0\n";
                let text = format!("listener {} 127.0.0.1\n{settings}{more}\n", port.port());
                std::fs::write(&file, text).expect("the folder can be written");
                let silent = || Stdio::null();
                let child = Command::new(program)
                    .args(["-c".as_ref(), file.as_os_str()])
                    .stdin(silent())
                    .stdout(silent())
                    .stderr(silent())
                    .spawn()
                    .expect("mosquitto starts");
                let process = Process::Mosquitto { _child: Mosquitto(child) };
                listens(port);
                Self { name: "mosquitto", version: 5, port: port.port(), _process: process }
            }
            None => {
                let part = Part::start(ROLE, &[]);
                let port = part.ports[0];
                Self { name: "rumqttd", version: 4, port, _process: Process::Rumqttd { _part: part } }
            }
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian puts daemons where a user's PATH does not go.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound")
}

fn listens(at: SocketAddr) {
    let begin = Instant::now();
    while TcpStream::connect(at).is_err() {
        assert!(begin.elapsed() < READY, "no broker listens on {at}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// rumqttd until the process is ended.
#[cfg(feature = "demo")]
pub(crate) fn main() {
    use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};
    let port = free();
    let connections = ConnectionSettings {
        connection_timeout_ms: 5000,
        max_payload_size: 256 * 1024,
        max_inflight_count: 200,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "fleet".to_owned(),
        listen: port,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let config = Config {
        router: RouterConfig {
            max_connections: 8,
            max_outgoing_packet_count: 200,
            max_segment_size: 16 * 1024 * 1024,
            max_segment_count: 8,
            ..RouterConfig::default()
        },
        v4: Some([("fleet".to_owned(), server)].into()),
        ..Config::default()
    };
    std::thread::spawn(move || {
        listens(port);
        super::process::ready(&[port.port()]);
    });
    rumqttd::Broker::new(config).start().expect("rumqttd starts");
}

/// Without the feature there is none.
#[cfg(not(feature = "demo"))]
pub(crate) fn main() {
    panic!("install mosquitto, or build with the feature demo");
}
