//! What a packager installs works with what it is installed into: the systemd unit, and the protocol
//! between the daemon and its supervisor.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "a test fails loudly")]

#[path = "support/process.rs"]
mod process;

use process::{METERD, Notices, Running, Signal, is_there};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

const UNIT: &str = "deploy/systemd/meterd.service";

/// A configuration with one meter that is asked every second; nobody listens at its port or at the
/// broker's.
fn configuration(folder: &Path) -> std::path::PathBuf {
    let closed = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\ndata_dir = {:?}\nclock = \"auto\"\n\
         [mqtt]\nurl = \"mqtt://{}\"\n[[bus]]\nname = \"a\"\nport = \"tcp://{}\"\n\
         [[meter]]\nname = \"m\"\nbus = \"a\"\naddress = \"1\"\n\
         [[task]]\nname = \"t\"\nevery = \"1s\"\nregisters = [\"voltage_l1\"]\n",
        folder.join("store"),
        closed(),
        closed()
    );
    let path = folder.join("meterd.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    if !is_there("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(UNIT).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/meterd run "), "{UNIT} starts meterd");
    assert!(unit.contains("ExecReload=/bin/kill -HUP $MAINPID"), "{UNIT} has its configuration read anew");
    let path = folder.path().join("meterd.service");
    fs::write(&path, unit.replace("/usr/bin/meterd run ", &format!("{METERD} run "))).unwrap();
    let verify = || {
        let output = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        // What it finds in other units of this machine is not ours.
        let said = String::from_utf8_lossy(&said).into_owned();
        said.lines().filter(|line| line.contains("meterd")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(verify(), Vec::<String>::new());
    // It does look: a wrong word is found.
    fs::write(&path, unit.replace("Type=notify", "Type=notifies").replace("/usr/bin/meterd run ", METERD))
        .unwrap();
    assert!(!verify().is_empty());
}

/// A line of udev rules as key, operator and value; nothing if it has not that form.
fn assignments(line: &str) -> Option<Vec<(&str, &str, &str)>> {
    let mut parts = Vec::new();
    for part in line.split(", ") {
        let (head, value) = part.strip_suffix('"')?.split_once('"')?;
        let at = head.find(['=', '!', '+'])?;
        let (key, operator) = head.split_at(at);
        let sound = ["==", "!=", "=", "+="].contains(&operator) && !value.contains('"');
        parts.push((key, operator, value));
        if !sound {
            return None;
        }
    }
    Some(parts)
}

#[test]
fn the_udev_rules_give_names_that_last_access_and_speed() {
    const KEYS: [&str; 13] = [
        "ACTION",
        "GOTO",
        "LABEL",
        "SUBSYSTEM",
        "DRIVER",
        "KERNEL",
        "GROUP",
        "MODE",
        "SYMLINK",
        "ATTR{latency_timer}",
        "ENV{ID_BUS}",
        "ENV{ID_MM_PORT_IGNORE}",
        "ENV{ID_PATH}",
    ];
    const FOUND_OUT_BY_60_SERIAL: [&str; 2] = ["ENV{ID_SERIAL_SHORT}", "ENV{.ID_PORT}"];
    let text = fs::read_to_string("deploy/udev/70-meterd.rules").unwrap();
    let rules: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| assignments(line).unwrap_or_else(|| panic!("no rule: {line}")))
        .collect();
    for (key, _, value) in rules.iter().flatten() {
        assert!(KEYS.contains(key) || FOUND_OUT_BY_60_SERIAL.contains(key), "{key}");
        let known =
            |name: &str| ["ID_SERIAL_SHORT", "ID_USB_INTERFACE_NUM", "ID_PATH", ".ID_PORT"].contains(&name);
        assert!(value.split("$env{").skip(1).all(|rest| known(rest.split('}').next().unwrap())), "{value}");
    }
    let values = |wanted: &str, operator: &str| -> Vec<&str> {
        let all = rules.iter().flatten().filter(|(key, is, _)| *key == wanted && *is == operator);
        all.map(|(_, _, value)| *value).collect()
    };
    let labels = values("LABEL", "=");
    assert!(values("GOTO", "=").iter().all(|label| labels.contains(label)), "each GOTO has its LABEL");
    let links = values("SYMLINK", "+=");
    assert!(
        links
            .iter()
            .all(|link| link.starts_with("meterd/by-serial/") || link.starts_with("meterd/by-socket/"))
    );
    assert_eq!(links.len(), 4, "by serial number and by socket, with and without a port: {links:?}");
    assert_eq!(values("GROUP", "="), ["dialout"]);
    let unit = fs::read_to_string(UNIT).unwrap();
    assert!(unit.contains("SupplementaryGroups=dialout"), "the group is the unit's");
    // The timer belongs to the device of the bus usb-serial, not to the tty.
    let ftdi = rules.iter().find(|rule| rule.contains(&("ATTR{latency_timer}", "=", "1"))).unwrap();
    assert!(
        ftdi.contains(&("SUBSYSTEM", "==", "usb-serial")) && ftdi.contains(&("DRIVER", "==", "ftdi_sio"))
    );
    let kernels = values("KERNEL", "==");
    for kind in ["ttyS", "ttyUSB", "ttyACM", "ttyAMA"] {
        assert!(kernels.iter().any(|k| k.contains(&format!("{kind}[0-9]*"))), "{kind}");
        assert!(unit.contains(&format!("DeviceAllow=char-{kind} rw")), "{kind} is open to the unit");
    }
}

/// System calls of a set, with those of the sets in it.
fn calls_of(set: &str) -> BTreeSet<String> {
    let output = Command::new("systemd-analyze").args(["syscall-filter", set]).output().unwrap();
    assert!(output.status.success(), "{set}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut calls = BTreeSet::new();
    for word in text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if word.starts_with('@') {
            calls.extend(calls_of(word));
        } else {
            calls.insert(word.to_owned());
        }
    }
    calls
}

/// What the lines `SystemCallFilter=` of the unit let through, in their order.
fn allowed(unit: &str) -> BTreeSet<String> {
    let mut allowed = calls_of("@default");
    for filter in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (deny, words) = filter.strip_prefix('~').map_or((false, filter), |rest| (true, rest));
        for word in words.split_whitespace() {
            let set = if word.starts_with('@') { calls_of(word) } else { BTreeSet::from([word.to_owned()]) };
            if deny {
                allowed.retain(|call| !set.contains(call));
            } else {
                allowed.extend(set);
            }
        }
    }
    allowed
}

/// A call outside the filter kills the daemon at once, on a gateway and nowhere else.
#[test]
fn the_unit_lets_through_every_system_call_that_the_daemon_makes() {
    if !is_there("systemd-analyze") || !is_there("strace") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path());
    let calls = folder.path().join("calls");
    let socket = folder.path().join("notify");
    let notified = UnixDatagram::bind(&socket).unwrap();
    let mut traced = Running(
        Command::new("strace")
            // SQLite hands files that root makes over to the folder's owner; the unit's user is not root.
            .args(["-f", "-qq", "-e", "trace=!fchown", "-o"])
            .arg(&calls)
            .args([METERD, "run", "--config"])
            .arg(&config)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "200000")
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    Notices(notified).until("WATCHDOG=1");
    // strace hands no signal on: the daemon itself is told.
    traced.tell_child(Signal::TERM);
    assert_eq!(traced.ended_in_time().and_then(|status| status.code()), Some(0));

    let text = fs::read_to_string(&calls).unwrap();
    let made: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1)?.split_once('('))
        .map(|(call, _)| call.to_owned())
        .filter(|call| call.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    assert!(made.contains("execve") && made.contains("sendto"), "{made:?}");
    let allowed = allowed(&fs::read_to_string(UNIT).unwrap());
    assert!(!allowed.contains("settimeofday") && allowed.contains("read"), "the filter is understood");
    let refused: Vec<_> = made.difference(&allowed).collect();
    assert!(refused.is_empty(), "the unit would kill the daemon for {refused:?}");
}

#[test]
fn the_supervisor_hears_ready_then_the_watchdog_then_stopping_and_the_exit_code_is_0() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path());
    let socket = folder.path().join("notify");
    let heard = Notices(UnixDatagram::bind(&socket).unwrap());
    let mut daemon = Running(
        Command::new(METERD)
            .args(["run", "--config"])
            .arg(&config)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "200000")
            .env_remove("WATCHDOG_PID")
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    assert_eq!(heard.until("READY=1"), Vec::<String>::new(), "nothing is said before it is ready");
    for _ in 0..3 {
        assert_eq!(heard.until("WATCHDOG=1"), Vec::<String>::new());
    }
    daemon.tell(Signal::TERM);
    let before = heard.until("STOPPING=1");
    assert!(before.iter().all(|line| line == "WATCHDOG=1"), "{before:?}");
    let status = daemon.ended_in_time().expect("it ends within 5 s of SIGTERM");
    assert_eq!(status.code(), Some(0));
}
