//! From files to a plan: reads them, has every part proved, and puts the parts together.

use super::archive::text::Written;
use super::fault::{Fault, Faults};
use super::file::{read, read_archive};
use super::findings::{Findings, Here};
use super::keys;
use super::plan::{Bus, Meter, Plan};
use super::profile::Shelf;
use super::raw::Document;
use super::registers::{self, Resolve};
use super::sent::{Origin, Sent};
use super::{air, archive, bus, commands, gateway, meter, mqtt, store, task};
use std::path::Path;

/// A configuration without faults.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the program works by.
    pub plan: Plan,
    /// What is worth a look all the same, by file and line.
    pub warnings: Vec<Fault>,
}

/// Reads and proves a configuration file and the archives it names. Faults name the files as they
/// were given: `path` as it is, an archive with the folder of `path` before it.
///
/// # Errors
/// Every fault that there is, none of which only follows from another.
pub fn load(path: &Path) -> Result<Loaded, Faults> {
    load_with(path, Sent::default())
}

/// [`load`] with what the head-end sends now, in the place of what it sent before.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, sent: Sent) -> Result<Loaded, Faults> {
    let name = path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new(""));
    match read(path) {
        Ok(text) => prove(name, &text, folder, &registers::known, sent),
        Err(unreadable) => Err(Faults(vec![Fault {
            file: name,
            place: None,
            key: String::new(),
            message: unreadable.to_string(),
        }])),
    }
}

/// Proves a configuration that is in memory; `name` stands for it in faults, and relative paths in
/// it are relative to `folder`.
///
/// # Errors
/// As [`load`].
pub fn plan_from_text(name: &str, text: &str, folder: &Path) -> Result<Loaded, Faults> {
    prove(name.to_owned(), text, folder, &registers::known, Sent::default())
}

fn prove(
    name: String,
    text: &str,
    folder: &Path,
    resolve: Resolve<'_>,
    sent: Sent,
) -> Result<Loaded, Faults> {
    let mut findings = Findings::default();
    let shown = name.clone();
    let file = findings.open(name, text);
    let document = Document::parse(file, &mut findings);
    let findings_ref = &mut findings;

    let gateways = document.sections(&keys::GATEWAY, findings_ref);
    let brokers = document.sections(&keys::MQTT, findings_ref);
    let stores = document.sections(&keys::STORE, findings_ref);
    let lines = document.sections(&keys::BUS, findings_ref);
    let points = document.sections(&keys::METER, findings_ref);
    let mut jobs = document.sections(&keys::TASK, findings_ref);
    let permits = document.sections(&keys::COMMANDS, findings_ref);

    let gateway = gateway::read(gateways.first(), &document.top(&keys::GATEWAY), folder, findings_ref);
    let mqtt = mqtt::read(brokers.first(), folder, findings_ref);
    let commands = commands::read(permits.first(), findings_ref);
    let data_dir = gateway.gateway.as_ref().map(|gateway| gateway.data_dir.as_path());
    let sent = sent.in_force(&commands, data_dir, &document.top(&keys::GATEWAY), findings_ref);
    let store = store::read(stores.first(), findings_ref);
    let mut buses = bus::read(&lines, findings_ref);
    let mut cells: Vec<meter::Cells> = points.iter().map(|s| meter::from_section(s, findings_ref)).collect();
    if let Some(Origin { name, text }) = sent.tasks {
        let file = findings_ref.open(name, &text);
        jobs = Document::parse(file, findings_ref).only(&keys::TASK, findings_ref);
    }
    let sent_archive = sent.archive.is_some();
    if let Some(Origin { name, text }) = sent.archive {
        let file = findings_ref.open(name, &text);
        cells = archive::read(file, findings_ref);
    }
    for written in gateway.meter_files.iter().filter(|_| !sent_archive) {
        let path = folder.join(&written.value);
        match read_archive(&path) {
            Ok((text, in_what)) => {
                let file = findings_ref.open(path.display().to_string(), &text);
                if in_what == Written::Gb18030 {
                    let top = Here { file, span: 0..0, label: "", key: String::new() };
                    findings_ref.warn(
                        &top,
                        format!("is not UTF-8 and is read as {in_what}; look whether its names are right"),
                    );
                }
                cells.extend(archive::read(file, findings_ref));
            }
            Err(unreadable) => {
                findings_ref
                    .unreadable(&written.here, format!("meter_files: {} {unreadable}", path.display()));
            }
        }
    }
    let mut shelf = Shelf::open(folder, gateway.profiles.as_ref(), findings_ref);
    let meters = meter::read(cells, &mut buses, &mut shelf, findings_ref);
    let tasks = task::read(&jobs, &meters, resolve, findings_ref);
    if let Some(section) = brokers.first() {
        mqtt::prove_size(section, meters.len(), findings_ref);
    }
    warn(&document, &buses, &meters, tasks.is_empty(), findings_ref);
    if findings_ref.sound() {
        air::prove(&buses, &meters, &tasks, findings_ref);
    }

    let warnings = findings.finish()?;
    let buses: Vec<Bus> = buses.into_iter().filter_map(|b| b.bus).collect();
    let meters: Vec<Meter> = meters.into_iter().filter_map(|m| m.meter).collect();
    let archive = meter::archive_digits(&meters, &buses);
    match (gateway.gateway, mqtt, store) {
        (Some(gateway), Some(mqtt), Some(store)) => {
            let plan = Plan { gateway, mqtt, store, buses, meters, tasks, commands, archive };
            Ok(Loaded { plan, warnings })
        }
        // No part is without a value and without a fault; if one were, it must not become a plan.
        (None, ..) | (_, None, _) | (_, _, None) => Err(Faults(vec![Fault {
            file: shown,
            place: None,
            key: String::new(),
            message: "the configuration could not be put together".to_owned(),
        }])),
    }
}

fn warn(
    document: &Document,
    buses: &[bus::Written],
    meters: &[meter::Written],
    no_task: bool,
    findings: &mut Findings,
) {
    if buses.is_empty() {
        let top = Here { label: "", ..document.top(&keys::BUS) };
        findings.warn(&top, "there is no [[bus]], so no meter is read");
        return;
    }
    for (index, written) in buses.iter().enumerate() {
        let used = meters.iter().filter_map(|m| m.meter.as_ref()).any(|m| m.bus == index);
        if let Some(name) = written.name.as_ref().filter(|_| !used) {
            findings.warn(&name.here, format!("\"{}\" has no meter", name.value));
        }
    }
    if no_task {
        let top = Here { label: "", ..document.top(&keys::TASK) };
        findings.warn(&top, "there is no [[task]], so no meter is read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Trust;
    use std::time::Duration;

    const EXAMPLE: &str = include_str!("../../deploy/config/meterd.example.toml");

    /// Knows every register and finds none, so that no test here depends on the tables.
    fn proved(text: &str) -> Result<Loaded, Faults> {
        let known = |_, _: &str| Ok(Vec::new());
        prove("meterd.toml".to_owned(), text, Path::new("deploy/config"), &known, Sent::default())
    }

    fn faults(text: &str) -> Vec<String> {
        proved(text).unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    const GATEWAY: &str = "[gateway]\nid = \"gw01\"\ntimezone = \"UTC\"\n";

    fn bus(name: &str, port: u8) -> String {
        format!("[[bus]]\nname = \"{name}\"\nport = \"/dev/ttyS{port}\"\n")
    }

    fn meter(name: &str, bus: &str, address: &str) -> String {
        format!("[[meter]]\nname = \"{name}\"\nbus = \"{bus}\"\naddress = \"{address}\"\n")
    }

    /// The example with its commented defaults written out.
    fn with_defaults_written() -> String {
        let is_default = |line: &str| {
            line.strip_prefix('#').and_then(|l| l.split_once(" = ")).is_some_and(|(key, _)| {
                !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            })
        };
        let written = |line: &str| if is_default(line) { line[1..].to_owned() } else { line.to_owned() };
        EXAMPLE.lines().map(written).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_loads_and_its_commented_defaults_are_the_loaders() {
        let (short, long) = (proved(EXAMPLE).unwrap(), proved(&with_defaults_written()).unwrap());
        assert_eq!(short.warnings, []);
        assert_ne!(EXAMPLE, with_defaults_written());
        assert_eq!(format!("{:?}", short.plan), format!("{:?}", long.plan));
    }

    #[test]
    fn the_example_shows_every_key() {
        let text = with_defaults_written();
        for shape in keys::ALL {
            let tables: Vec<&str> = text.split(shape.label).skip(1).collect();
            for key in shape.keys {
                // What has no default and is not everybody's stands in a comment.
                let lines = [format!("\n{key} = "), format!("\n# {key} = ")];
                let own = |table: &&str| table.split("\n[").next().unwrap_or("").to_owned();
                let shown = tables.iter().map(own).any(|t| lines.iter().any(|line| t.contains(line)));
                assert!(shown, "{} {key}", shape.label);
            }
        }
    }

    #[test]
    fn the_example_archive_loads_beside_the_example() {
        let text = EXAMPLE.replace("#meter_files = []", "meter_files = [\"meters.example.csv\"]");
        let plan = proved(&text).unwrap().plan;
        assert_eq!(plan.meters.len(), 5);
        let shop = &plan.meters[4].point;
        assert_eq!((shop.customer.as_deref(), shop.tariffs.len()), (Some("3100301"), 4));
        assert_eq!(plan.tasks[0].meters, [0, 1, 2, 3, 4]);
        assert_eq!(plan.tasks[4].meters, [0, 1, 2, 3], "flat-* and transformer-1, not shop-1");
    }

    #[test]
    fn the_plan_is_what_is_written() {
        let plan = proved(EXAMPLE).unwrap().plan;
        assert_eq!(plan.gateway.zone.iana_name(), Some("Asia/Shanghai"));
        assert_eq!(plan.gateway.clock, Trust::Auto);
        assert_eq!(plan.meters[1].ct().map(|r| r.to_string()).as_deref(), Some("75/5"));
        assert_eq!(plan.meters[1].pt().map(|r| r.to_string()).as_deref(), Some("10000/100"));
        assert_eq!(plan.tasks[1].when.every(), Duration::from_secs(3600));
        assert_eq!(plan.tasks[4].meters, [0, 1]);
    }

    #[test]
    fn the_archive_digits_do_not_depend_on_where_and_in_which_order_meters_are_written() {
        let text = |buses: [String; 2], meters: [String; 2]| {
            format!("{GATEWAY}{}{}", buses.concat(), meters.concat())
        };
        let digits = |text: &str| proved(text).unwrap().plan.archive;
        let (a, b) = (meter("a", "x", "1"), meter("b", "y", "2"));
        let first = digits(&text([bus("x", 1), bus("y", 2)], [a.clone(), b.clone()]));
        assert_eq!(first.len(), 12);
        assert!(first.bytes().all(|c| c.is_ascii_hexdigit()));
        assert_eq!(digits(&text([bus("y", 2), bus("x", 1)], [b.clone(), a.clone()])), first);
        assert_eq!(digits(&text([bus("x", 1), bus("y", 2)], [a.clone(), meter("b", "y", "02")])), first);
        for other in [
            meter("b", "y", "3"),
            meter("b", "x", "2"),
            meter("c", "y", "2"),
            b.clone() + "ct = \"75/5\"\n",
            b.clone() + "customer = \"31\"\n",
            b.clone() + "tariffs = [\"峰\", \"谷\"]\n",
        ] {
            assert_ne!(
                digits(&text([bus("x", 1), bus("y", 2)], [a.clone(), other.clone()])),
                first,
                "{other}"
            );
        }
        assert_ne!(digits(&text([bus("x", 1), bus("y", 2)], [a, String::new()])), first);
    }

    #[test]
    fn a_bus_without_meters_is_a_warning_and_so_is_a_gateway_without_work() {
        let loaded = proved(&format!("{GATEWAY}{}", bus("x", 1))).unwrap();
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "meterd.toml:1:1: there is no [[task]], so no meter is read",
                "meterd.toml:5:8: [[bus]] \"x\" has no meter",
            ]
        );
        let loaded = proved(GATEWAY).unwrap();
        assert_eq!(
            loaded.warnings[0].to_string(),
            "meterd.toml:1:1: there is no [[bus]], so no meter is read"
        );
    }

    #[test]
    fn a_fault_knows_its_place_and_the_path_of_its_key() {
        let text = format!("{GATEWAY}{}{}", bus("一号", 1), "baud = 1\n");
        let found = proved(&text).unwrap_err();
        assert_eq!(found.0.len(), 1, "{found}");
        assert_eq!(found.0[0].key, "bus[0].baud");
        assert_eq!(found.0[0].place.map(|p| (p.line, p.column)), Some((7, 8)));
    }

    #[test]
    fn a_column_counts_characters() {
        let text = format!("{GATEWAY}[[meter]]\n{}", "名字 = 1\n");
        assert!(faults(&text)[0].contains(":5:1:"), "bare keys are ASCII, so this is a syntax error");
        let text = format!(
            "{GATEWAY}{}[[task]]\nname = \"t\"\nevery = \"1m\"\nregisters = [\"a\"]\nmeters = [\"一楼\", \"二楼\"]\n",
            bus("x", 1)
        );
        let found = faults(&text);
        assert_eq!(found[0], "meterd.toml:11:11: [[task]] meters: no meter is called \"一楼\"");
        assert_eq!(found[1], "meterd.toml:11:17: [[task]] meters: no meter is called \"二楼\"");
    }

    #[test]
    fn what_only_follows_from_another_fault_is_not_said() {
        // The bus is named, though its port is wrong: its meter is no second fault.
        let text = format!("{GATEWAY}[[bus]]\nname = \"x\"\nport = \"COM1\"\n{}", meter("a", "x", "1"));
        assert_eq!(faults(&text).len(), 1, "{:?}", faults(&text));
        // The name of the bus may stand in the line that is no TOML.
        let text = format!("{GATEWAY}[[bus]]\nname = x\nport = \"/dev/ttyS1\"\n{}", meter("a", "x", "1"));
        assert_eq!(faults(&text).len(), 1, "{:?}", faults(&text));
        // A meter that is written twice has its address twice as well.
        let text = format!("{GATEWAY}{}{}{}", bus("x", 1), meter("a", "x", "1"), meter("a", "x", "1"));
        assert_eq!(faults(&text).len(), 1, "{:?}", faults(&text));
    }

    #[test]
    fn a_byte_order_mark_moves_no_column() {
        assert_eq!(
            faults("\u{feff}[getaway]\n")[0],
            "meterd.toml:1:1: [gateway] is missing; write it with id = \"…\" and timezone = \"Asia/Shanghai\""
        );
        assert!(
            faults("\u{feff}[getaway]\n")[1]
                .starts_with("meterd.toml:1:2: table [getaway] is not known; did you mean [gateway]?")
        );
    }

    #[test]
    fn an_archive_that_is_not_there_hides_no_unknown_bus() {
        let gateway = GATEWAY.to_owned() + "meter_files = [\"absent.csv\"]\n";
        let task = "[[task]]\nname = \"t\"\nevery = \"1m\"\nregisters = [\"a\"]\nmeters = [\"z\"]\n";
        let found = faults(&format!("{gateway}{}{}{task}", bus("x", 1), meter("a", "y", "1")));
        assert_eq!(
            found,
            [
                "meterd.toml:4:16: [gateway] meter_files: deploy/config/absent.csv does not exist",
                "meterd.toml:10:7: [[meter]] bus \"y\" is not known; known: \"x\"",
            ],
            "but the meter z may stand in the archive"
        );
    }

    #[test]
    fn a_fault_is_one_line_whatever_the_value_holds() {
        let found = proved(&format!("{GATEWAY}clock = \"a\\nb\\u0007\"\n")).unwrap_err();
        assert_eq!(found.to_string().lines().count(), 1, "{found}");
    }

    /// Pieces of configurations, sound and broken, in any order.
    fn pieces() -> impl proptest::strategy::Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "[gateway]\n",
            "[[bus]]\n",
            "[[meter]\n",
            "[meter.a]\n",
            "[[task]]\n",
            "name = ",
            "meters = [",
            "\"x\"",
            "'",
            "\"",
            "\"\"\"",
            "“",
            "电",
            "=",
            "\n",
            "\r\n",
            ",",
            "]",
            "{",
            "}",
            "#",
            "1",
            "0012",
            "8E1",
            "bus = \"x\"\n",
            "address = \"1\"\n",
            "\u{0}",
            ";",
            "a,b\n",
            "name,bus,address\n",
            "flat,x,1E+5\n",
        ]);
        proptest::strategy::Strategy::prop_map(proptest::collection::vec(piece, 0..40), |pieces| {
            pieces.concat()
        })
    }

    proptest::proptest! {
        #[test]
        fn no_text_stops_the_loader_and_every_fault_has_a_place_in_it(text in pieces()) {
            if let Err(faults) = proved(&text) {
                proptest::prop_assert!(!faults.0.is_empty());
                let lines = text.matches('\n').count() + 1;
                for fault in faults.0 {
                    proptest::prop_assert!(fault.place.is_some_and(|p| p.line >= 1 && p.line <= lines && p.column >= 1), "{}", fault);
                }
            }
        }

        #[test]
        fn no_archive_stops_the_loader(text in pieces()) {
            let mut findings = Findings::default();
            let file = findings.open("meters.csv".to_owned(), &text);
            let cells = archive::read(file, &mut findings);
            let mut shelf = Shelf::open(Path::new(""), None, &mut findings);
            let _ = meter::read(cells, &mut [], &mut shelf, &mut findings);
        }
    }
}
