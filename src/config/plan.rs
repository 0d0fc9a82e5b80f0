//! What is proved: the configuration as the rest of the program sees it. Nothing in it can be wrong.

use super::access::{Login, Tls};
use super::packet::Packet;
use super::point::Point;
use super::when::When;
use crate::clock::Trust;
use crate::command::Word;
use crate::event::Broadcast;
use crate::planner::Line;
use crate::reading::{Ratio, Transformers};
use catalogue::{Catalogue, Profile, Register};
use dlt645::{Address, Edition};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A proved configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The gateway itself.
    pub gateway: Gateway,
    /// The way to the head-end (主站).
    pub mqtt: Mqtt,
    /// What is kept of readings on disk.
    pub store: Store,
    /// RS-485 lines (总线).
    pub buses: Vec<Bus>,
    /// Meter points (计量点); reports and tasks name them by index.
    pub meters: Vec<Meter>,
    /// What is read when.
    pub tasks: Vec<Task>,
    /// What the head-end may ask for beside the tasks.
    pub commands: Commands,
    /// Twelve hexadecimal digits that change whenever the archive of meters does.
    pub archive: String,
}

/// `[commands]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Commands {
    /// What is allowed; all else is not.
    pub allow: Vec<Allowed>,
}

/// One entry of `allow`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allowed {
    /// The verb.
    pub verb: Word,
    /// A pattern of names of meters; `None` allows it for all of them, and for what is in no file.
    pub meters: Option<String>,
}

/// `[gateway]`.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Second level of every topic.
    pub id: Name,
    /// Zone of slots and of published times.
    pub zone: TimeZone,
    /// Where the store lives.
    pub data_dir: PathBuf,
    /// When wall time is trusted.
    pub clock: Trust,
    /// How far a meter's clock may be off (时钟超差).
    pub clock_bound: Duration,
}

impl Gateway {
    /// The bound, if none is written.
    pub const CLOCK_BOUND: Duration = Duration::from_secs(300);
}

/// `[store]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Store {
    /// How long a message may be in memory only.
    pub exposure: Duration,
    /// Bound of the file with its log, in octets; `None` for what the file system suggests.
    pub max_bytes: Option<u64>,
    /// How long a message waits for the broker.
    pub max_age: Duration,
    /// How long a message that the broker has signed for can be asked for again.
    pub keep: Duration,
}

impl Store {
    /// The smallest bound, in octets: the log alone takes half of it.
    pub const LEAST_BYTES: u64 = 16 << 20;
}

impl Default for Store {
    /// 1 s; as the file system suggests; 62 days, as far back as a meter's daily freezes reach; 7 days.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { exposure: Duration::from_secs(1), max_bytes: None, max_age: 62 * DAY, keep: 7 * DAY }
    }
}

/// `[mqtt]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mqtt {
    /// Host of the broker.
    pub host: String,
    /// Port of the broker.
    pub port: u16,
    /// Protocol version.
    pub version: MqttVersion,
    /// First levels of every topic.
    pub prefix: String,
    /// Who signs in; nobody without it.
    pub login: Option<Login>,
    /// The broker is reached by TLS 1.2 or 1.3.
    pub tls: Option<Tls>,
    /// The most messages in flight, 1 to [`Mqtt::WINDOW`]; the broker may ask for fewer (MQTT 5).
    pub window: u16,
    /// How long the broker may keep a message that is not retained for who is not connected (MQTT 5); for
    /// ever without it.
    pub expiry: Option<Duration>,
    /// The form of data messages.
    pub payload: PayloadForm,
    /// First levels of Home Assistant's discovery topics; nothing is announced without it.
    pub home_assistant: Option<String>,
}

impl Mqtt {
    /// The window, if none is written: what is repeated at most after a lost connection.
    pub const WINDOW: u16 = 100;

    /// A broker with MQTT 5, without TLS and user, and topics below `meterd/v1`.
    pub fn at(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            version: MqttVersion::V5,
            prefix: super::mqtt::PREFIX.to_owned(),
            login: None,
            tls: None,
            window: Self::WINDOW,
            expiry: None,
            payload: PayloadForm::Full,
            home_assistant: None,
        }
    }

    /// As a URL, without user and password.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "mqtts" } else { "mqtt" };
        format!("{scheme}://{}", self.authority())
    }

    /// Host and port as one text.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// The form of data messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadForm {
    /// Each register with its unit, quality, times and codes.
    Full,
    /// One flat object: a key for each register.
    Flat,
}

/// Version of MQTT, by its protocol level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MqttVersion {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// `[[bus]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bus {
    /// Name in logs and events.
    pub name: Name,
    /// Where the line is.
    pub port: PortAddress,
    /// Rate and character, where a meter has none of its own.
    pub line: Line,
    /// The pause between two exchanges, where it is set; else it is learned.
    pub turnaround: Option<Duration>,
    /// What is peculiar to the port.
    pub settings: PortSettings,
}

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

/// `[[meter]]`, or a row of the archive (档案).
#[derive(Clone, Debug)]
pub struct Meter {
    /// The meter point's name; it stays when the meter is exchanged.
    pub name: Name,
    /// Index of its bus.
    pub bus: usize,
    /// What it speaks, and its address in that protocol.
    pub protocol: Protocol,
    /// Rate and character that it is asked with.
    pub line: Line,
    /// FE octets before a request to it.
    pub preamble: u8,
    /// What its model has beside the standard (表型).
    pub profile: Option<&'static Profile>,
    /// How it is wired.
    pub wiring: Option<Wiring>,
    /// CT and PT.
    pub transformers: Transformers,
    /// What the archive says of it beside.
    pub point: Point,
}

/// What a meter speaks, with its address there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// DL/T 645-1997.
    Dlt645_1997(Address),
    /// DL/T 645-2007.
    Dlt645_2007(Address),
}

/// What a meter speaks: an edition of DL/T 645, with what its model has beside it. It decides which registers there
/// are.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// The standard.
    pub edition: Edition,
    /// The meter model's profile (表型), of the same edition.
    pub profile: Option<&'static Profile>,
}

/// Wiring of a meter (接线方式).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Wiring {
    /// Single-phase, two wires (单相).
    P1W2,
    /// Three-phase, three wires (三相三线): l1 is Uab, l2 is absent, l3 is Ucb.
    P3W3,
    /// Three-phase, four wires (三相四线).
    P3W4,
}

/// `[[task]]`.
#[derive(Clone, Debug)]
pub struct Task {
    /// Last level of the data topic.
    pub name: Name,
    /// When.
    pub when: When,
    /// What kind of value.
    pub read: Read,
    /// Of several tasks at once the lower number goes first, 1 to 9.
    pub priority: u8,
    /// From when to when on a day it may run; at any time without it. It may go over midnight.
    pub window: Option<(Time, Time)>,
    /// Days that are fetched later by itself from what meters keep (补抄).
    pub backfill: u8,
    /// What it broadcasts to all meters of its lines.
    pub broadcast: Option<Broadcast>,
    /// Which registers.
    pub registers: Registers,
    /// Indices of meters, ascending.
    pub meters: Vec<usize>,
}

/// The registers of a task by what its meters speak, in the order they were written, each once.
///
/// What a dialect does not have is left out of its list: meters of several can stand in one task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    /// One list for each dialect of the task's meters; few.
    lists: Vec<(Dialect, Vec<Register>)>,
}

/// What a task reads.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// Present registers, now (实时).
    Live,
    /// What meters froze at midnight (日冻结).
    DailyFreeze,
    /// What meters froze at the begin of a month (月冻结).
    Month,
    /// What meters recorded at each slot (负荷曲线).
    LoadProfile,
    /// Event records (事件记录), now.
    Events,
    /// How far the meters' clocks are off, now.
    Clock,
    /// What is written in the meter and changes seldom (铭牌, 参数), now.
    Nameplate,
}

impl Read {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Live,
        Self::DailyFreeze,
        Self::Month,
        Self::LoadProfile,
        Self::Events,
        Self::Clock,
        Self::Nameplate,
    ];

    /// The word of the configuration and of payloads.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::DailyFreeze => "daily-freeze",
            Self::Month => "month",
            Self::LoadProfile => "load-profile",
            Self::Events => "events",
            Self::Clock => "clock",
            Self::Nameplate => "nameplate",
        }
    }

    /// Whether meters keep it, so that a slot that was missed can be read later.
    pub const fn is_kept(self) -> bool {
        match self {
            Self::DailyFreeze | Self::Month | Self::LoadProfile => true,
            Self::Live | Self::Events | Self::Clock | Self::Nameplate => false,
        }
    }

    /// What is read where no registers are written; nothing where they must be.
    pub const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Live | Self::Events => &[],
            Self::DailyFreeze | Self::Month => {
                &["active_energy_import", "active_energy_import_t*", "active_energy_export"]
            }
            Self::LoadProfile => &["active_energy_import", "active_energy_export"],
            Self::Clock => &["clock_date", "clock_time"],
            Self::Nameplate => &["communication_address"],
        }
    }
}

/// A name of a gateway, bus, meter or task: 1–64 characters of any script, none of / + #, no
/// control character, no leading $; so that it can be a level of a topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(String);

/// A text that is no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a name has 1 to 64 characters without / + # and control characters, and no $ first")]
pub struct BadName;

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`BadName`] with the rule.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let count = text.chars().count();
        let forbidden = |c: char| matches!(c, '/' | '+' | '#') || c.is_control();
        if (1..=64).contains(&count) && !text.starts_with('$') && !text.chars().any(forbidden) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Protocol {
    /// DL/T 645 of an edition.
    pub const fn dlt645(edition: Edition, address: Address) -> Self {
        match edition {
            Edition::E1997 => Self::Dlt645_1997(address),
            Edition::E2007 => Self::Dlt645_2007(address),
        }
    }

    /// The word of the configuration.
    pub const fn word(self) -> &'static str {
        Self::word_of(self.edition())
    }

    /// The word of the configuration for an edition.
    pub const fn word_of(edition: Edition) -> &'static str {
        match edition {
            Edition::E1997 => "dlt645-1997",
            Edition::E2007 => "dlt645-2007",
        }
    }

    /// The edition of DL/T 645.
    pub const fn edition(self) -> Edition {
        match self {
            Self::Dlt645_1997(_) => Edition::E1997,
            Self::Dlt645_2007(_) => Edition::E2007,
        }
    }

    /// The address as it is printed on the meter.
    pub fn address(self) -> String {
        match self {
            Self::Dlt645_1997(address) | Self::Dlt645_2007(address) => address.to_string(),
        }
    }
}

impl Registers {
    /// Those of meters that speak so.
    pub fn of(&self, dialect: Dialect) -> &[Register] {
        let own = self.lists.iter().find(|(own, _)| *own == dialect);
        own.map_or(&[], |(_, registers)| registers)
    }

    /// Every dialect that has registers here.
    pub fn dialects(&self) -> impl Iterator<Item = Dialect> {
        self.lists.iter().map(|(dialect, _)| *dialect)
    }

    /// Adds those that are not there yet.
    pub(super) fn add(&mut self, dialect: Dialect, registers: Vec<Register>) {
        let place = self.lists.iter().position(|(own, _)| *own == dialect);
        let place = place.unwrap_or_else(|| {
            self.lists.push((dialect, Vec::new()));
            self.lists.len() - 1
        });
        let Some((_, own)) = self.lists.get_mut(place) else { return };
        for register in registers {
            if !own.contains(&register) {
                own.push(register);
            }
        }
    }
}

impl Wiring {
    /// Whether a meter wired so measures this phase, 1 to 3: a three-wire one has no l2.
    pub const fn has_phase(self, phase: u8) -> bool {
        match self {
            Self::P1W2 => phase == 1,
            Self::P3W3 => phase != 2,
            Self::P3W4 => true,
        }
    }

    /// The word of the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::P1W2 => "1p2w",
            Self::P3W3 => "3p3w",
            Self::P3W4 => "3p4w",
        }
    }
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
            Some(("tcp", rest)) => super::mqtt::host_and_port(rest, None)
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
    pub(super) const ALL: [Self; 3] = [Self::Adapter, Self::Rts, Self::RtsInverted];

    /// The word of the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Rts => "rts",
            Self::RtsInverted => "rts-inverted",
        }
    }
}

impl Dialect {
    /// An edition of the standard alone.
    pub const fn plain(edition: Edition) -> Self {
        Self { edition, profile: None }
    }

    /// The registers that a meter of it can have.
    pub fn catalogue(self) -> &'static Catalogue {
        self.profile.map_or_else(|| Catalogue::of(self.edition), Profile::catalogue)
    }
}

/// Two profiles are one if they were read once.
impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.edition == other.edition
            && match (self.profile, other.profile) {
                (Some(own), Some(theirs)) => std::ptr::eq(own, theirs),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }
}
impl Eq for Dialect {}

/// `DL/T 645-2007 with profile lv-breaker`.
impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.edition {
            Edition::E1997 => "DL/T 645-1997",
            Edition::E2007 => "DL/T 645-2007",
        })?;
        self.profile.map_or(Ok(()), |profile| write!(f, " with profile {}", profile.name()))
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialect({self})")
    }
}

impl Meter {
    /// What it speaks, without its address.
    pub const fn dialect(&self) -> Dialect {
        Dialect { edition: self.protocol.edition(), profile: self.profile }
    }

    /// CT as configured.
    pub const fn ct(&self) -> Option<Ratio> {
        self.transformers.ct
    }

    /// PT as configured.
    pub const fn pt(&self) -> Option<Ratio> {
        self.transformers.pt
    }
}
