//! A real mosquitto on a free port of the loopback, a gate before it, and an onlooker behind it.
#![allow(dead_code, reason = "each test that includes this uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "helpers of tests fail loudly"
)]

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How long a test waits for a condition before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a condition; a test that waits in vain says for what.
pub(crate) async fn within<T>(what: &str, condition: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, condition).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// A mosquitto without persistence: what it held is gone when it is killed.
pub(crate) struct Broker {
    child: Option<Child>,
    /// Bound and never listening: nobody else gets its port, not even while mosquitto is down.
    reserved: TcpSocket,
    /// Lines of its configuration beside the listener.
    settings: String,
    /// The newest TLS that it speaks, in OpenSSL's words; its own newest without it.
    newest_tls: Option<&'static str>,
    program: PathBuf,
    dir: TempDir,
}

impl Broker {
    /// Starts one; `None` as [`needed`] has it.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with("").await
    }

    /// The same with more lines of configuration.
    pub(crate) async fn start_with(settings: &str) -> Option<Self> {
        Self::start_tls(settings, None).await
    }

    /// The same with no newer TLS than this; mosquitto's own setting says the oldest only.
    pub(crate) async fn start_tls(settings: &str, newest_tls: Option<&'static str>) -> Option<Self> {
        let program = needed("mosquitto")?;
        let reserved = TcpSocket::new_v4().unwrap();
        reserved.set_reuseaddr(true).unwrap();
        reserved.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let (settings, dir) = (settings.to_owned(), TempDir::new().unwrap());
        let mut broker = Self { child: None, reserved, settings, newest_tls, program, dir };
        broker.start_again().await;
        Some(broker)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.reserved.local_addr().unwrap().port()
    }

    /// Kills it (SIGKILL): no farewell, nothing kept.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it where it stands (SIGSTOP): its connections stay and nobody answers.
    pub(crate) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
    }

    /// Starts it on the port that it had, and waits until it takes connections.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let file = self.dir.path().join("mosquitto.conf");
        let (port, settings) = (self.port(), &self.settings);
        let written = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
             max_queued_messages 100000\n{settings}\n"
        );
        std::fs::write(&file, written).unwrap();
        let openssl = self.dir.path().join("openssl.cnf");
        let newest = self.newest_tls.map_or(String::new(), |newest| {
            format!(
                "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = {newest}\n"
            )
        });
        std::fs::write(&openssl, newest).unwrap();
        let child = Command::new(&self.program)
            .env("OPENSSL_CONF", &openssl)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        within("mosquitto listens", async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                let ended = self.child.as_mut().unwrap().try_wait().unwrap();
                assert!(ended.is_none(), "mosquitto ended at once: {ended:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program is that a test needs; `None`, and a line that says so, where it is not installed. With `CI=true` its
/// absence is a failure.
pub(crate) fn needed(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} must be installed for this test");
        eprintln!("left out: {program} is not installed");
    }
    found
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian puts daemons where a user's PATH does not go.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// What a gate lets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Everything.
    Open,
    /// What goes to the broker; its answers wait, and are lost if the gate is shut on them.
    Deaf,
    /// Nothing: connections are cut, new ones too.
    Shut,
}

/// A way to a port that a test can narrow and cut.
pub(crate) struct Gate {
    port: u16,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Gate {
    /// An open gate before `to`.
    pub(crate) async fn before(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, seen) = watch::channel(Way::Open);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                connections.spawn(carry(near, to, seen.clone()));
            }
        });
        Self { port, way, task }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on.
    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut near: TcpStream, to: u16, way: watch::Receiver<Way>) {
    let (mut shut, mut answers) = (way.clone(), way);
    let carried = async {
        let mut far = TcpStream::connect(("127.0.0.1", to)).await?;
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = far.split();
        let up = tokio::io::copy(&mut near_read, &mut far_write);
        let down = async {
            let mut octets = [0; 4096];
            loop {
                let count = far_read.read(&mut octets).await?;
                let _ = answers.wait_for(|way| *way == Way::Open).await;
                if count == 0 {
                    return std::io::Result::Ok(());
                }
                near_write.write_all(&octets[..count]).await?;
            }
        };
        tokio::select! { end = up => end.map(drop), end = down => end }
    };
    let cut = async { drop(shut.wait_for(|way| *way == Way::Shut).await) };
    tokio::select! { () = cut => {}, _ = carried => {} }
}

/// A message as an onlooker has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) retained: bool,
    pub(crate) qos: u8,
}

/// A subscriber (MQTT 3.1.1, QoS 1) of its own, which shares nothing with what is tested but the library.
pub(crate) struct Onlooker {
    client: AsyncClient,
    messages: mpsc::Receiver<Message>,
    task: JoinHandle<()>,
}

impl Onlooker {
    /// Subscribes; when this returns, the broker has confirmed it. Its connection may then end: so it does.
    pub(crate) async fn of(port: u16, filter: &str) -> Self {
        let name = format!("onlooker-{:?}", std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
        let mut options = MqttOptions::new(name, "127.0.0.1", port);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut eventloop) = AsyncClient::new(options, 10);
        client.try_subscribe(filter, QoS::AtLeastOnce).unwrap();
        within("the onlooker is subscribed", async {
            while !matches!(eventloop.poll().await.unwrap(), Event::Incoming(Incoming::SubAck(_))) {}
        })
        .await;
        let (sender, messages) = mpsc::channel(10_000);
        let task = tokio::spawn(async move {
            while let Ok(event) = eventloop.poll().await {
                if let Event::Incoming(Incoming::Publish(p)) = event {
                    let payload = String::from_utf8(p.payload.to_vec()).unwrap();
                    let message = Message { topic: p.topic, payload, retained: p.retain, qos: p.qos as u8 };
                    sender.send(message).await.unwrap();
                }
            }
        });
        Self { client, messages, task }
    }

    /// Says something itself.
    pub(crate) async fn say(&self, topic: &str, payload: String) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Message {
        within("a message", self.messages.recv()).await.expect("the onlooker lost its connection")
    }

    /// Messages that have come and were not asked for.
    pub(crate) fn rest(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.messages.try_recv().ok()).collect()
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
