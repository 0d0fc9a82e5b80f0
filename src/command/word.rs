//! The words of the verbs, as they stand in topics and in the configuration.

/// A verb.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Registers of meters, now (召测).
    Read,
    /// Messages out of the store once more, under their old numbers (补发).
    Resend,
    /// The clocks of meters against ours.
    Clock,
    /// What the gateway works by.
    Plan,
    /// How the gateway is.
    Status,
    /// How much the log says.
    Loglevel,
    /// A new archive of meters (档案下发).
    Archive,
    /// A new list of tasks (任务下发).
    Tasks,
    /// One frame through to the line, and what comes back (透明转发): reading functions only.
    Raw,
    /// The same with a function that writes to a meter.
    RawWrite,
}

impl Word {
    /// Every verb.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Resend,
        Self::Clock,
        Self::Plan,
        Self::Status,
        Self::Loglevel,
        Self::Archive,
        Self::Tasks,
        Self::Raw,
        Self::RawWrite,
    ];

    /// Last level of the topic.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Resend => "resend",
            Self::Clock => "clock",
            Self::Plan => "plan",
            Self::Status => "status",
            Self::Loglevel => "loglevel",
            Self::Archive => "archive",
            Self::Tasks => "tasks",
            Self::Raw => "raw",
            Self::RawWrite => "raw-write",
        }
    }

    /// The verb of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.text() == text)
    }

    /// Whether it can be allowed for some meters only.
    pub const fn concerns_meters(self) -> bool {
        match self {
            Self::Read | Self::Clock | Self::Raw | Self::RawWrite => true,
            Self::Resend | Self::Plan | Self::Status | Self::Loglevel | Self::Archive | Self::Tasks => false,
        }
    }
}
