//! What is wrong with a configuration is said all at once, in the same words every time.
//!
//! `fixtures/configs/bad/NAME.expected` holds the faults of `NAME.toml`, `noted/NAME.expected` what is to be looked at. With `UPDATE=1` in the
//! environment the expected texts are written instead of compared.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

use catalogue::Standard;
use dlt645::Edition;
use meterd::config::{self, Dialect, MqttVersion, Wiring};
use std::fs;
use std::path::{Path, PathBuf};

const BAD: &str = "fixtures/configs/bad/";
const GOOD: &str = "fixtures/configs/good/";
/// Those that can run, and have something to look at.
const NOTED: &str = "fixtures/configs/noted/";
const STANDARD: Dialect = Dialect::plain(Standard::Dlt645(Edition::E2007));

fn configurations(folder: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[test]
fn every_bad_configuration_is_answered_with_all_its_faults() {
    let paths = configurations(BAD).unwrap();
    assert!(paths.len() >= 15, "{} bad configurations", paths.len());
    are_answered(paths, BAD, |path| {
        config::load(path).map(|_| ()).expect_err(&path.display().to_string()).to_string()
    });
}

#[test]
fn what_is_to_be_looked_at_in_an_archive_that_can_be_used_is_said_with_its_place() {
    are_answered(configurations(NOTED).unwrap(), NOTED, |path| {
        let loaded = config::load(path).unwrap_or_else(|faults| panic!("{faults}"));
        loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    });
}

fn are_answered(paths: Vec<PathBuf>, folder: &str, answer: impl Fn(&Path) -> String) {
    let update = std::env::var_os("UPDATE").is_some();
    let mut differing = Vec::new();
    for path in paths {
        let text = answer(&path).replace(folder, "") + "\n";
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &text).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != text {
            differing.push(format!("{} should hold:\n{text}", expected.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_file_that_is_not_there_is_named_with_its_path() {
    let faults = config::load(Path::new("fixtures/configs/absent.toml")).unwrap_err();
    assert_eq!(faults.to_string(), "fixtures/configs/absent.toml: does not exist");
    let faults = config::load(Path::new("fixtures/configs")).unwrap_err();
    assert_eq!(faults.to_string(), "fixtures/configs: is a folder; name a file");
}

#[test]
fn good_configurations_and_the_example_load_without_a_warning() {
    let example = PathBuf::from("deploy/config/meterd.example.toml");
    for path in configurations(GOOD).unwrap().into_iter().chain([example]) {
        let loaded = config::load(&path).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(loaded.warnings, [], "{}", path.display());
        assert!(loaded.plan.tasks.iter().all(|task| task.registers.dialects().count() > 0));
    }
}

#[test]
fn the_smallest_configuration_reads_by_the_defaults() {
    let plan = config::load(&Path::new(GOOD).join("smallest.toml")).unwrap().plan;
    assert_eq!(plan.gateway.data_dir, Path::new("/var/lib/meterd"));
    assert_eq!((plan.mqtt.host.as_str(), plan.mqtt.port), ("127.0.0.1", 1883));
    assert_eq!((plan.mqtt.version, plan.mqtt.prefix.as_str()), (MqttVersion::V5, "meterd/v1"));
    assert_eq!(plan.buses[0].line.to_string(), "2400 8E1");
    assert_eq!(plan.meters[0].protocol.address(), "000012345678");
    assert_eq!(plan.tasks[0].meters, [0]);
}

#[test]
fn the_way_to_the_broker_is_files_by_name_and_no_secret() {
    let mqtt = config::load(&Path::new(GOOD).join("tls.toml")).unwrap().plan.mqtt;
    assert_eq!((mqtt.url().as_str(), mqtt.window), ("mqtts://broker.example:8883", 20));
    assert_eq!(mqtt.expiry, Some(std::time::Duration::from_secs(7 * 86_400)));
    let password = config::PasswordAt::File("$CREDENTIALS_DIRECTORY/mqtt-password".into());
    assert_eq!(mqtt.login, Some(config::Login { user: "gw01".into(), password: Some(password) }));
    let file = |name: &str| Path::new(GOOD).join(name);
    let client = config::ClientFiles { cert_file: file("gw01.pem"), key_file: file("gw01.key") };
    let server_name = Some("broker.inside".to_owned());
    assert_eq!(
        mqtt.tls,
        Some(config::Tls { ca_file: Some(file("ca.pem")), client: Some(client), server_name })
    );
}

#[test]
fn a_port_is_used_as_it_is_written_or_as_is_usual_for_its_kind() {
    let plan = config::load(&Path::new(GOOD).join("dial_in.toml")).unwrap().plan;
    let octets = |packet: &Option<config::Packet>| packet.as_ref().map(|p| p.octets().to_vec());
    let buses: Vec<_> = plan
        .buses
        .iter()
        .map(|bus| {
            let settings = &bus.settings;
            let packets = (octets(&settings.registration), octets(&settings.heartbeat));
            (bus.port.to_string(), settings.latency.as_millis(), settings.direction.word(), packets)
        })
        .collect();
    let (beat, imei) = (b"beat".to_vec(), b"860123456789012".to_vec());
    let port = |text: &str| text.to_owned();
    assert_eq!(
        buses,
        [
            (
                port("tcp-listen://0.0.0.0:9001"),
                2000,
                "adapter",
                (Some(b"0001".to_vec()), Some(beat.clone()))
            ),
            (port("tcp-listen://0.0.0.0:9001"), 300, "adapter", (Some(vec![0x0A, 0x0B]), Some(beat))),
            (port("tcp-listen://0.0.0.0:9001"), 300, "adapter", (Some(imei.clone()), Some(imei))),
            (port("tcp-listen://[::]:9002"), 300, "adapter", (None, None)),
            (port("tcp://192.0.2.7:4001"), 800, "adapter", (None, None)),
            (port("/dev/ttyS1"), 50, "rts-inverted", (None, None)),
        ]
    );
}

#[test]
fn an_archive_as_a_spreadsheet_leaves_it_is_read_whole() {
    let plan = config::load(&Path::new(GOOD).join("archive.toml")).unwrap().plan;
    let meters: Vec<_> = plan
        .meters
        .iter()
        .map(|m| (m.name.as_str(), m.bus, m.protocol.address(), m.wiring, m.ct().map(|r| r.to_string())))
        .collect();
    let address = |text: &str| text.to_owned();
    assert_eq!(
        meters,
        [
            ("总表", 1, address("000000000001"), Some(Wiring::P3W4), Some("75/5".to_owned())),
            ("flat-101", 0, address("000012345678"), Some(Wiring::P1W2), None),
            ("flat-102", 0, address("000012345679"), None, None),
            ("flat-103", 0, address("000012345680"), Some(Wiring::P3W4), Some("100/5".to_owned())),
        ]
    );
    assert_eq!(plan.gateway.data_dir, Path::new(GOOD).join("store"));
    assert_eq!(plan.tasks[0].meters, [0, 1, 2, 3]);
    // The combined tariffs are four, and the total is there once although it is written twice.
    assert_eq!(plan.tasks[0].registers.of(STANDARD).len(), 5);
}

/// Both kinds of meters in one task: what one kind does not have is said and does not stop the other.
#[test]
fn a_register_of_one_edition_alone_is_a_warning_where_the_task_has_meters_of_both() {
    let text = fs::read_to_string(Path::new(BAD).join("editions.toml")).unwrap();
    let (head, _) = text.split_once("[[task]]").unwrap();
    let head = head.replacen("\"000012345678\"", "\"1\"", 1);
    let task =
        "[[task]]\nname = \"both\"\nevery = \"1m\"\nregisters = [\"voltage_l*\", \"frequency\", \"B214\"]\n";
    let loaded = config::plan_from_text("m.toml", &format!("{head}{task}"), Path::new("")).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "m.toml:29:28: [[task]] registers: DL/T 645-1997 has no frequency; 2 meter(s) of the task will be read without it",
            "m.toml:29:41: [[task]] registers: DL/T 645-2007 has no B214; 1 meter(s) of the task will be read without it",
        ]
    );
    let registers = &loaded.plan.tasks[0].registers;
    let names = |list: &[catalogue::Register]| list.iter().map(|r| r.id().to_string()).collect::<Vec<_>>();
    assert_eq!(names(registers.of(STANDARD)), ["02010100", "02010200", "02010300", "02800002"]);
    assert_eq!(
        names(registers.of(Dialect::plain(Standard::Dlt645(Edition::E1997)))),
        ["B611", "B612", "B613", "B214"]
    );
    // A 1997 exchange is four octets shorter, and three voltages are one block in both.
    let load = &config::air_time(&loaded.plan)[0].tasks[0];
    assert_eq!((load.meters, load.exchanges), (3, 2 + 2 * 2));
}

/// A task's register is what the meter's own profile says.
#[test]
fn meters_of_one_task_have_each_the_registers_of_their_profile() {
    let plan = config::load(Path::new("fixtures/configs/good/profiles.toml")).unwrap().plan;
    let of = |task: &str, meter: usize| -> Vec<(String, usize)> {
        let task = plan.tasks.iter().find(|t| t.name.as_str() == task).unwrap();
        let registers = task.registers.of(plan.meters[meter].dialect());
        registers.iter().map(|r| (r.id().to_string(), r.octets())).collect()
    };
    let one = |di: &str, octets| vec![(di.to_owned(), octets)];
    assert_eq!(of("live", 0), one("02020100", 3), "the standard's");
    assert_eq!(of("live", 1), one("02020100", 2), "the profile's for the same identifier");
    assert_eq!(of("live", 2), one("B621", 2));
    assert_eq!(of("wide", 0), one("02A30000", 4));
    assert_eq!(of("wide", 1), []);
    assert_eq!(of("frequency", 2), one("B680", 2), "the 1997 standard has none");
    let profiles: Vec<_> = plan.meters.iter().map(|m| m.profile.unwrap().name()).collect();
    assert_eq!(profiles, ["lv-breaker", "my-meter", "clou-1997"]);
}

#[test]
fn a_profile_belongs_to_the_archive_and_meters_without_one_keep_its_digits() {
    let digits = |profile: &str| {
        let text = format!(
            "[gateway]\nid = \"g\"\ntimezone = \"UTC\"\n[[bus]]\nname = \"x\"\nport = \"/dev/ttyS1\"\n\
             [[meter]]\nname = \"a\"\nbus = \"x\"\naddress = \"1\"\n{profile}"
        );
        config::plan_from_text("m.toml", &text, Path::new("")).unwrap().plan.archive
    };
    let with = digits("profile = \"lv-breaker\"\n");
    assert_ne!(digits(""), with);
    assert_ne!(digits("profile = \"line-voltage\"\n"), with);
}

/// What is written of the meter, then what is written of the bus, then what the model is shipped with.
#[test]
fn a_modbus_meter_is_asked_at_the_rate_of_its_model_unless_another_is_written() {
    let plan = config::load(&Path::new(GOOD).join("modbus.toml")).unwrap().plan;
    let meters: Vec<_> = plan
        .meters
        .iter()
        .map(|m| {
            let profile = m.profile.map(catalogue::Profile::name);
            let protocol = format!("{} {}", m.protocol.word(), m.protocol.address());
            (m.name.as_str(), protocol, m.line.to_string(), m.preamble, profile)
        })
        .collect();
    let meter = |name, protocol: &str, line: &str, preamble, profile| {
        (name, protocol.to_owned(), line.to_owned(), preamble, profile)
    };
    assert_eq!(
        meters,
        [
            meter("flat-101", "dlt645-2007 000000000017", "2400 8E1", 4, None),
            meter("heat-pump", "modbus-rtu 17", "9600 8N1", 0, Some("eastron-sdm630")),
            meter("lift", "modbus-rtu 18", "9600 8N1", 0, Some("eastron-sdm120")),
            meter("press", "modbus-rtu 104", "19200 8E1", 0, Some("schneider-iem3155")),
            meter("inverter", "modbus-tcp 1", "115200 8N1", 0, Some("janitza-umg-b")),
            meter("pump", "modbus-rtu 3", "19200 8E1", 0, Some("my-pump")),
            meter("水泵", "modbus-rtu 19", "9600 8N1", 0, Some("chint-dtsu666")),
            meter("总表", "dlt645-2007 000000000105", "2400 8E1", 4, None),
        ]
    );
    let lines: Vec<_> = plan.buses.iter().map(|bus| bus.line.to_string()).collect();
    assert_eq!(lines, ["2400 8E1", "19200 8E1", "115200 8N1", "19200 8E1"]);
    let old: Vec<_> =
        plan.meters.iter().flat_map(|m| &m.point.exchanges).map(|e| e.address.as_deref()).collect();
    assert_eq!(old, [Some("4"), Some("20")]);
    let registers = |meter: usize| -> Vec<String> {
        plan.tasks[1]
            .registers
            .of(plan.meters[meter].dialect())
            .iter()
            .map(|r| r.name().to_string())
            .collect()
    };
    assert_eq!(
        registers(5),
        ["active_energy_import"],
        "what a freeze usually has, as far as the model has it"
    );
}

/// The folder beside the file needs no key, and is read anew at each load.
#[test]
fn profiles_beside_the_configuration_are_used_by_name_before_the_built_in_ones_and_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (file, own) = (folder.path().join("meterd.toml"), folder.path().join("profiles.d"));
    fs::create_dir(&own).unwrap();
    let text = "[gateway]\nid = \"g\"\ntimezone = \"UTC\"\n[[bus]]\nname = \"x\"\nport = \"/dev/ttyS1\"\n\
                [[meter]]\nname = \"a\"\nbus = \"x\"\naddress = \"1\"\nprotocol = \"modbus-rtu\"\nprofile = \"eastron-sdm120\"\n\
                [[task]]\nname = \"t\"\nevery = \"1m\"\nregisters = [\"voltage_l1\"]\n";
    fs::write(&file, text).unwrap();
    let span = || {
        let loaded = config::load(&file).unwrap_or_else(|faults| panic!("{faults}"));
        let id = loaded.plan.tasks[0].registers.of(loaded.plan.meters[0].dialect())[0].id().to_string();
        (id, loaded.warnings.iter().map(|warning| warning.message.clone()).collect::<Vec<_>>())
    };
    assert_eq!(span(), ("04 0000+2".to_owned(), vec![]));
    let profile = |address: u16| {
        format!(
            "protocol = \"modbus\"\nmodel = \"m\"\nsource = \"s\"\n[[register]]\naddress = {address}\nname = \"voltage_l1\"\nunit = \"V\"\ntype = \"u16\"\n"
        )
    };
    let wins = vec!["is used in place of the built-in profile eastron-sdm120".to_owned()];
    fs::write(own.join("eastron-sdm120.toml"), profile(16)).unwrap();
    assert_eq!(span(), ("03 0010+1".to_owned(), wins.clone()));
    fs::write(own.join("eastron-sdm120.toml"), profile(32)).unwrap();
    assert_eq!(span(), ("03 0020+1".to_owned(), wins));
    fs::write(own.join("eastron-sdm120.toml"), "protocol = \"modbus\"\nmodel = 1.5\n").unwrap();
    let faults = config::load(&file).unwrap_err();
    assert!(faults.0.iter().all(|fault| fault.file.ends_with("profiles.d/eastron-sdm120.toml")), "{faults}");
    assert_eq!(faults.0[0].place.map(|place| place.line), Some(1), "{faults}");
}
