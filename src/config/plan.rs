//! What is proved: the configuration as the rest of the program sees it. Nothing in it can be wrong.

mod port;
mod work;

pub use port::{BadPort, Direction, PortAddress, PortSettings};
pub use work::{Read, Registers, Task};

use super::access::{Login, Tls};
use super::point::Point;
use crate::clock::Trust;
use crate::command::Word;
use crate::planner::{Costs, Line};
use crate::reading::{Ratio, Transformers};
use catalogue::{Catalogue, Manner, Profile, Standard};
use dlt645::{Address, Edition};
use jiff::tz::TimeZone;
use modbus::UnitId;
use std::fmt;
use std::path::PathBuf;
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
    /// Modbus in RTU frames, on a serial line or over a transparent serial server.
    ModbusRtu(UnitId),
    /// Modbus over TCP.
    ModbusTcp(UnitId),
}

/// What a meter speaks, with what its model has beside it. It decides which registers there are.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// The standard.
    pub standard: Standard,
    /// The meter model's profile (表型), of the same standard. A Modbus meter has no registers without one.
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
        match self {
            Self::Dlt645_1997(_) | Self::Dlt645_2007(_) => self.standard().word(),
            Self::ModbusRtu(_) => "modbus-rtu",
            Self::ModbusTcp(_) => "modbus-tcp",
        }
    }

    /// The standard that it is of.
    pub const fn standard(self) -> Standard {
        match self {
            Self::Dlt645_1997(_) => Standard::Dlt645(Edition::E1997),
            Self::Dlt645_2007(_) => Standard::Dlt645(Edition::E2007),
            Self::ModbusRtu(_) | Self::ModbusTcp(_) => Standard::Modbus,
        }
    }

    /// The edition of DL/T 645, where it is one.
    pub const fn edition(self) -> Option<Edition> {
        self.standard().edition()
    }

    /// The address of a meter of DL/T 645.
    pub const fn dlt645_address(self) -> Option<Address> {
        match self {
            Self::Dlt645_1997(address) | Self::Dlt645_2007(address) => Some(address),
            Self::ModbusRtu(_) | Self::ModbusTcp(_) => None,
        }
    }

    /// The address as it is printed on the meter; of a Modbus meter its unit id.
    pub fn address(self) -> String {
        match self {
            Self::Dlt645_1997(address) | Self::Dlt645_2007(address) => address.to_string(),
            Self::ModbusRtu(unit) | Self::ModbusTcp(unit) => unit.to_string(),
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

impl Dialect {
    /// A standard alone.
    pub const fn plain(standard: Standard) -> Self {
        Self { standard, profile: None }
    }

    /// The registers that a meter of it can have.
    pub fn catalogue(self) -> &'static Catalogue {
        self.profile.map_or_else(|| Catalogue::of_standard(self.standard), Profile::catalogue)
    }

    /// How a meter of it wants to be asked, where its profile says it.
    pub fn manner(self) -> Option<&'static Manner> {
        self.profile.and_then(Profile::manner)
    }

    /// What an exchange with a meter of it costs, as far as its profile and its standard say it.
    pub fn costs(self, line: Line) -> Costs {
        Costs::of(line, self.standard, self.manner())
    }
}

/// Two profiles are one if they were read once.
impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.standard == other.standard
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
        self.standard.fmt(f)?;
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
        Dialect { standard: self.protocol.standard(), profile: self.profile }
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
