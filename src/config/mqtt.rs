//! `[mqtt]`: the way to the broker.

use super::findings::{At, Findings};
use super::plan::{Mqtt, MqttVersion, Name, PayloadForm};
use super::raw::Section;
use super::{access, every, keys};
use std::path::Path;
use std::time::Duration;

/// The broker if `url` is not written.
pub(super) const URL: &str = "mqtt://127.0.0.1:1883";
/// First levels of every topic if `prefix` is not written.
pub(crate) const PREFIX: &str = "meterd/v1";

/// Registered ports of MQTT, plain and by TLS.
const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;

/// A broker as a URL names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `mqtts://`.
    pub(crate) tls: bool,
}

/// Reads the table; all of it may be left out. Relative paths are relative to `folder`.
pub(super) fn read(section: Option<&Section>, folder: &Path, findings: &mut Findings) -> Option<Mqtt> {
    let url = section.and_then(|s| s.text("url", findings));
    let version = section.and_then(|s| s.integer("version", findings));
    let prefix = section.and_then(|s| s.text("prefix", findings));

    let broker = match &url {
        Some(text) => sound(text, broker(&text.value), findings),
        None => broker(URL).ok(),
    };
    let version = match &version {
        None => Some(MqttVersion::V5),
        Some(At { value: 5, .. }) => Some(MqttVersion::V5),
        Some(At { value: 4, .. }) => Some(MqttVersion::V4),
        Some(At { value, here }) => {
            findings.fault(
                here,
                format!("version {value} is not known; write 5 for MQTT 5, or 4 for MQTT 3.1.1"),
            );
            None
        }
    };
    let prefix = match &prefix {
        Some(text) => sound(text, check_prefix("prefix", &text.value), findings).map(|()| text.value.clone()),
        None => Some(PREFIX.to_owned()),
    };
    let login = section.map_or(Ok(None), |s| access::login(s, folder, findings));
    let inner = section.and_then(|s| s.inner("tls", &keys::MQTT_TLS, findings));
    let tls = inner.as_ref().map_or(Ok(None), |s| access::tls(s, folder, findings).map(Some));
    let window = section.map_or(Some(Mqtt::WINDOW), |s| window(s, findings));
    let expiry = section.map_or(Some(None), |s| expiry(s, version, findings));
    let payload = section.map_or(Some(PayloadForm::Full), |s| payload(s, findings));
    let home_assistant = section.map_or(Some(None), |s| home_assistant(s, findings));
    let (address, version, prefix) = (broker?, version?, prefix?);
    let (payload, home_assistant) = (payload?, home_assistant?);
    let (login, tls, window, expiry) = (login.ok()?, tls.ok()?, window?, expiry?);
    let tls = match (address.tls, tls) {
        (true, tls) => Some(tls.unwrap_or_default()),
        (false, None) => None,
        (false, Some(_)) => {
            let here = inner.as_ref()?.header();
            findings.fault(
                &here,
                format!(
                    "is written, but url is mqtt://; write url = \"mqtts://{}:{TLS_PORT}\"",
                    address.host
                ),
            );
            return None;
        }
    };
    if let Some(section) = section.filter(|_| login.is_some() && tls.is_none()) {
        let local = matches!(address.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if !local {
            findings
                .warn(&section.header(), "sends user and password unencrypted; write url = \"mqtts://…\"");
        }
    }
    let Address { host, port, .. } = address;
    Some(Mqtt { host, port, version, prefix, login, tls, window, expiry, payload, home_assistant })
}

fn window(section: &Section, findings: &mut Findings) -> Option<u16> {
    if !section.has("window") {
        return Some(Mqtt::WINDOW);
    }
    let window = section.integer("window", findings)?;
    let sound = u16::try_from(window.value).ok().filter(|w| (1..=Mqtt::WINDOW).contains(w));
    if sound.is_none() {
        findings.fault(&window.here, format!("window {} must be 1 to {}", window.value, Mqtt::WINDOW));
    }
    sound
}

/// `Some(None)` if it is not written.
fn expiry(
    section: &Section,
    version: Option<MqttVersion>,
    findings: &mut Findings,
) -> Option<Option<Duration>> {
    if !section.has("expiry") {
        return Some(None);
    }
    let text = section.text("expiry", findings)?;
    if version == Some(MqttVersion::V4) {
        findings.fault(&text.here, "expiry needs MQTT 5; write version = 5, or leave expiry out");
        return None;
    }
    match every::span(&text.value).ok().filter(|span| (1..=u64::from(u32::MAX)).contains(&span.as_secs())) {
        Some(expiry) => Some(Some(expiry)),
        None => {
            let said = format!(
                "expiry \"{}\" is no time; write whole seconds, minutes, hours or days such as \"1h\" or \"7d\"",
                text.value
            );
            findings.fault(&text.here, said);
            None
        }
    }
}

fn payload(section: &Section, findings: &mut Findings) -> Option<PayloadForm> {
    if !section.has("payload") {
        return Some(PayloadForm::Full);
    }
    let text = section.text("payload", findings)?;
    match text.value.as_str() {
        "full" => Some(PayloadForm::Full),
        "flat" => Some(PayloadForm::Flat),
        other => {
            findings.fault(&text.here, keys::not_among("payload", other, &["full", "flat"]));
            None
        }
    }
}

/// `Some(None)` if it is not written.
fn home_assistant(section: &Section, findings: &mut Findings) -> Option<Option<String>> {
    if !section.has("home_assistant") {
        return Some(None);
    }
    let text = section.text("home_assistant", findings)?;
    sound(&text, check_prefix("home_assistant", &text.value), findings)?;
    Some(Some(text.value))
}

/// Home Assistant is for a house, and what it is told of each meter is kept in memory.
const HOME: usize = 500;

/// Refuses to announce a fleet.
pub(super) fn prove_size(section: &Section, meters: usize, findings: &mut Findings) {
    if meters > HOME
        && section.has("home_assistant")
        && let Some(text) = section.text("home_assistant", findings)
    {
        let said =
            format!("home_assistant is for {HOME} meters at most, and there are {meters}; leave it out");
        findings.fault(&text.here, said);
    }
}

fn sound<T>(text: &At<String>, result: Result<T, String>, findings: &mut Findings) -> Option<T> {
    result.map_err(|sentence| findings.fault(&text.here, sentence)).ok()
}

/// Host and port out of `mqtt://host[:port]` or `mqtts://host[:port]`, or what to write.
pub(crate) fn broker(url: &str) -> Result<Address, String> {
    let (scheme, rest) = url.split_once("://").filter(|_| !url.contains('@')).ok_or_else(|| {
        if url.contains('@') {
            "url holds a user; write it without, and user and password_file below".to_owned()
        } else {
            format!("url \"{url}\" has no scheme; write mqtt://HOST:{PORT} or mqtts://HOST:{TLS_PORT}")
        }
    })?;
    let (tls, port) = match scheme {
        "mqtt" => (false, PORT),
        "mqtts" => (true, TLS_PORT),
        "ssl" | "tls" => return Err(format!("url \"{url}\": write mqtts://HOST:{TLS_PORT}")),
        _ => {
            return Err(format!(
                "url \"{url}\": \"{scheme}\" is not spoken here; write mqtt://HOST:{PORT} or mqtts://HOST:{TLS_PORT}"
            ));
        }
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = host_and_port(rest, Some(port))
        .ok_or_else(|| format!("url \"{url}\" is no broker; write {scheme}://HOST:{port}"))?;
    Ok(Address { host, port, tls })
}

/// `host`, `host:port`, `[v6]:port`; without a port only if there is a `default`.
pub(super) fn host_and_port(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, behind) = v6.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(in_host) {
        return None;
    }
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse::<u16>().ok().filter(|p| *p > 0)?
        }
        Some(_) => return None,
        None => default?,
    };
    Some((host.to_owned(), port))
}

fn check_prefix(key: &str, prefix: &str) -> Result<(), String> {
    let levels_sound = prefix.split('/').all(|level| Name::new(level).is_ok() && level.trim() == level);
    if levels_sound {
        return Ok(());
    }
    let reason = if prefix.contains(['+', '#']) {
        "+ and # are for subscribers"
    } else if prefix.split('/').any(str::is_empty) {
        "a level is empty; write neither / at an end nor //"
    } else {
        "a level has 1 to 64 characters, no $ first, no space at its ends and no control characters"
    };
    Err(format!("{key} \"{prefix}\" cannot begin a topic: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_with_or_without_a_port() {
        for (url, host, port, tls) in [
            (URL, "127.0.0.1", 1883, false),
            ("mqtt://broker.example/", "broker.example", 1883, false),
            ("mqtt://[2001:db8::1]:1884", "2001:db8::1", 1884, false),
            ("mqtt://[::1]", "::1", 1883, false),
            ("mqtts://broker.example", "broker.example", 8883, true),
            ("mqtts://[::1]:1884", "::1", 1884, true),
        ] {
            assert_eq!(broker(url), Ok(Address { host: host.to_owned(), port, tls }), "{url}");
        }
    }

    #[test]
    fn what_is_no_broker_is_answered_with_what_to_write() {
        for (url, part) in [
            ("127.0.0.1:1883", "has no scheme"),
            ("ssl://h:8883", "write mqtts://HOST:8883"),
            ("http://h", "\"http\" is not spoken here"),
            ("mqtt://me:secret@h", "user and password_file below"),
            ("mqtt://", "is no broker"),
            ("mqtt://h:0", "is no broker"),
            ("mqtt://h:70000", "is no broker"),
            ("mqtt://h:1883/path", "is no broker"),
            ("mqtt://2001:db8::1", "is no broker"),
        ] {
            let sentence = broker(url).unwrap_err();
            assert!(sentence.contains(part), "{url}: {sentence}");
            assert!(!sentence.contains("secret"), "a password is not repeated");
        }
    }

    #[test]
    fn a_prefix_is_levels_that_no_subscriber_could_mistake() {
        for sound in ["meterd/v1", "a", "park/3/电表"] {
            assert_eq!(check_prefix("prefix", sound), Ok(()), "{sound}");
        }
        for bad in ["", "/a", "a/", "a//b", "a/+/b", "#", "$SYS/a", "a/ b"] {
            assert!(check_prefix("prefix", bad).is_err(), "{bad}");
        }
    }
}
