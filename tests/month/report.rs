//! What `meterd report rate` says of the month, against what was delivered.

use crate::fleet::{OnBus, configuration};
use jiff::civil::Date;
use std::path::Path;
use std::process::Command;

/// The numbers of one day that the report has of the daily freezes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rate {
    pub(crate) planned: usize,
    pub(crate) read: usize,
    pub(crate) gone: usize,
}

/// A report on the store that the month left.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    data: &'a Path,
}

impl<'a> Report<'a> {
    pub(crate) fn of(fleet: &[OnBus], buses: usize, data: &'a Path) -> Self {
        std::fs::write(data.join("month.toml"), configuration(fleet, buses, data)).unwrap();
        Self { data }
    }

    /// What the command prints of a day.
    pub(crate) fn printed(&self, day: Date, format: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_meterd"))
            .args([
                "report",
                "rate",
                "--task",
                "day",
                "--day",
                &day.to_string(),
                "--format",
                format,
                "--config",
            ])
            .arg(self.data.join("month.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The numbers of a day.
    pub(crate) fn rate(&self, day: Date) -> Rate {
        let json: serde_json::Value = serde_json::from_str(&self.printed(day, "json")).unwrap();
        let of = |key: &str| usize::try_from(json["tasks"][0][key].as_u64().unwrap()).unwrap();
        Rate { planned: of("planned"), read: of("read"), gone: of("gone") }
    }
}
