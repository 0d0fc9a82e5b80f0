//! What the plan writes to the flash in a day.

use crate::config::{BusLoad, Plan};
use crate::store::written;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Octets of a message beside its readings: topic, names, times.
const MESSAGE: u64 = 330;
/// Octets of one reading.
const READING: u64 = 145;

/// Commits and octets of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Daily {
    pub(super) commits: u64,
    pub(super) octets: u64,
}

/// The most that is written: as if no two lines shared a commit. A round is committed whenever its oldest message is
/// as old as the exposure allows, and at its end.
pub(super) fn daily(plan: &Plan, loads: &[BusLoad]) -> Daily {
    let exposure = plan.store.exposure.as_millis().max(1);
    let mut daily = Daily::default();
    for task in loads.iter().flat_map(|load| &load.tasks).filter(|task| task.meters > 0) {
        let rounds = (DAY.as_millis() / task.every.as_millis().max(1)) as u64;
        let (messages, readings) = (task.meters as u64, task.registers as u64);
        let commits =
            (task.air.as_millis().div_ceil(exposure) as u64).max(messages.div_ceil(100)).clamp(1, messages);
        let octets = MESSAGE + READING * readings / messages;
        daily.commits += rounds * commits;
        daily.octets += rounds * commits * written(messages.div_ceil(commits), octets);
    }
    daily
}

impl Daily {
    /// `96 MiB`, or `0.4 MiB`.
    pub(super) fn mebibytes(self) -> String {
        let tenths = self.octets.saturating_mul(10) >> 20;
        if tenths >= 100 {
            format!("{} MiB", tenths / 10)
        } else {
            format!("{}.{} MiB", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{air_time, plan_from_text};
    use std::path::Path;

    fn of(store: &str) -> Daily {
        let meters: String = (1..=20)
            .map(|n| format!("[[meter]]\nname = \"m{n}\"\nbus = \"b\"\naddress = \"{n}\"\n"))
            .collect();
        let text = format!(
            "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\n{store}[[bus]]\nname = \"b\"\nport = \"/dev/ttyS1\"\n{meters}\
             [[task]]\nname = \"t\"\nevery = \"15m\"\nregisters = [\"active_energy_import\"]\n"
        );
        let plan = plan_from_text("m.toml", &text, Path::new("")).unwrap().plan;
        daily(&plan, &air_time(&plan))
    }

    #[test]
    fn a_longer_exposure_writes_less() {
        let (short, usual, long) =
            (of("[store]\nexposure = \"100ms\"\n"), of(""), of("[store]\nexposure = \"30s\"\n"));
        assert_eq!(short.commits, 96 * 20, "no more commits than messages");
        assert_eq!(long.commits, 96, "one for each round");
        assert!(short.octets > usual.octets && usual.octets > long.octets, "{short:?} {usual:?} {long:?}");
        assert_eq!(Daily { commits: 0, octets: 3 << 19 }.mebibytes(), "1.5 MiB");
        assert_eq!(Daily { commits: 0, octets: 96 << 20 }.mebibytes(), "96 MiB");
    }
}
