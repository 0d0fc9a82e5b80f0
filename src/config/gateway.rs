//! `[gateway]`: who we are, where time is counted and where the store lives.

use super::findings::{At, Findings, Here};
use super::keys::{did_you_mean, nearest, not_among};
use super::plan::Gateway;
use super::raw::{self, Section};
use super::store::between;
use crate::clock::Trust;
use jiff::tz::{self, TimeZone, TimeZoneDatabase};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the store lives if `data_dir` is not written.
pub(super) const DATA_DIR: &str = "/var/lib/meterd";

const CLOCKS: [(&str, Trust); 3] =
    [("auto", Trust::Auto), ("synchronised", Trust::Synchronised), ("set", Trust::Set)];

/// What a bound of the meters' clocks may be: more than a display of seconds and a slow line make, and a day at most.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(86_400));

/// What was written, as far as it is sound.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) gateway: Option<Gateway>,
    /// Files of the archive, as they are written.
    pub(super) meter_files: Vec<At<String>>,
    /// The folder of the user's own profiles, as it is written.
    pub(super) profiles: Option<At<String>>,
}

/// Reads the table; relative paths are relative to `folder`, where the file is.
pub(super) fn read(section: Option<&Section>, top: &Here, folder: &Path, findings: &mut Findings) -> Written {
    let Some(section) = section else {
        findings.unresolved(top, "is missing; write it with id = \"…\" and timezone = \"Asia/Shanghai\"");
        return Written::default();
    };
    let id = section.required("id", "\"gw01\"", findings);
    let id = id.and_then(|text| raw::name(&text, "id", findings));
    let zone = section.required("timezone", "\"Asia/Shanghai\"", findings);
    let zone = zone.and_then(|text| zone_of(&text, findings));
    let data_dir = match section.text("data_dir", findings) {
        Some(text) if text.value.is_empty() => {
            findings.fault(&text.here, format!("data_dir is empty; write data_dir = \"{DATA_DIR}\""));
            None
        }
        Some(text) => Some(folder.join(text.value)),
        None => Some(PathBuf::from(DATA_DIR)),
    };
    let clock = match section.text("clock", findings) {
        Some(text) => trust_of(&text, findings),
        None => Some(Trust::default()),
    };
    let clock_bound = match section.text("clock_bound", findings) {
        Some(text) => between("clock_bound", &text, BOUNDS.0, BOUNDS.1, findings),
        None => Some(Gateway::CLOCK_BOUND),
    };
    let meter_files = meter_files(section, findings);
    let profiles = section.text("profiles", findings);
    let gateway = id.zip(zone).zip(data_dir).zip(clock).zip(clock_bound);
    let gateway = gateway.map(|((((id, zone), data_dir), clock), clock_bound)| Gateway {
        id,
        zone,
        data_dir,
        clock,
        clock_bound,
    });
    Written { gateway, meter_files, profiles }
}

fn zone_of(text: &At<String>, findings: &mut Findings) -> Option<TimeZone> {
    let asked = text.value.as_str();
    match tz::db().get(asked) {
        Ok(zone) if !zone.is_unknown() => Some(zone),
        Ok(_) | Err(_) => {
            let known: Vec<String> = TimeZoneDatabase::bundled().available().map(|n| n.to_string()).collect();
            let near = nearest(asked, known.iter().map(String::as_str));
            let hint = match near {
                Some(_) => did_you_mean(near),
                None => "; write a name of the IANA list such as \"Asia/Shanghai\" or \"UTC\"".to_owned(),
            };
            findings.fault(&text.here, format!("timezone \"{asked}\" is not known{hint}"));
            None
        }
    }
}

fn trust_of(text: &At<String>, findings: &mut Findings) -> Option<Trust> {
    let found = CLOCKS.iter().find(|(word, _)| *word == text.value).map(|(_, trust)| *trust);
    if found.is_none() {
        findings.fault(&text.here, not_among("clock", &text.value, &CLOCKS.map(|(word, _)| word)));
    }
    found
}

fn meter_files(section: &Section, findings: &mut Findings) -> Vec<At<String>> {
    let files = section.texts("meter_files", findings).map(|list| list.value).unwrap_or_default();
    let mut kept: Vec<At<String>> = Vec::with_capacity(files.len());
    for file in files {
        if kept.iter().any(|other| other.value == file.value) {
            findings.fault(&file.here, format!("meter_files names \"{}\" twice; keep one", file.value));
        } else {
            kept.push(file);
        }
    }
    kept
}
