//! `[mqtt]`: the way to the broker.

use super::findings::{At, Findings};
use super::plan::{Mqtt, MqttVersion, Name};
use super::raw::Section;

/// The broker if `url` is not written.
pub(super) const URL: &str = "mqtt://127.0.0.1:1883";
/// First levels of every topic if `prefix` is not written.
pub(super) const PREFIX: &str = "meterd/v1";

const PORT: u16 = 1883;

/// Reads the table; all of it may be left out.
pub(super) fn read(section: Option<&Section>, findings: &mut Findings) -> Option<Mqtt> {
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
        Some(text) => sound(text, check_prefix(&text.value), findings).map(|()| text.value.clone()),
        None => Some(PREFIX.to_owned()),
    };
    let ((host, port), version, prefix) = (broker?, version?, prefix?);
    Some(Mqtt { host, port, version, prefix })
}

fn sound<T>(text: &At<String>, result: Result<T, String>, findings: &mut Findings) -> Option<T> {
    result.map_err(|sentence| findings.fault(&text.here, sentence)).ok()
}

/// Host and port out of `mqtt://host[:port]`, or what to write.
fn broker(url: &str) -> Result<(String, u16), String> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| format!("url \"{url}\" has no scheme; write mqtt://HOST:{PORT}"))?;
    match scheme {
        "mqtt" => {}
        "mqtts" | "ssl" | "tls" => {
            return Err(format!(
                "url \"{url}\": this version speaks mqtt:// only; reach the broker by mqtt:// on a network you trust"
            ));
        }
        _ => return Err(format!("url \"{url}\": \"{scheme}\" is not spoken here; write mqtt://HOST:{PORT}")),
    }
    if rest.contains('@') {
        return Err(
            "url holds a user: this version speaks mqtt:// without user and password; write mqtt://HOST:1883"
                .to_owned(),
        );
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    host_and_port(rest, Some(PORT))
        .ok_or_else(|| format!("url \"{url}\" is no broker; write mqtt://HOST:{PORT}"))
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

fn check_prefix(prefix: &str) -> Result<(), String> {
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
    Err(format!("prefix \"{prefix}\" cannot begin a topic: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_with_or_without_a_port() {
        assert_eq!(broker(URL), Ok(("127.0.0.1".to_owned(), 1883)));
        assert_eq!(broker("mqtt://broker.example/"), Ok(("broker.example".to_owned(), 1883)));
        assert_eq!(broker("mqtt://[2001:db8::1]:1884"), Ok(("2001:db8::1".to_owned(), 1884)));
        assert_eq!(broker("mqtt://[::1]"), Ok(("::1".to_owned(), 1883)));
    }

    #[test]
    fn what_is_no_broker_is_answered_with_what_to_write() {
        for (url, part) in [
            ("127.0.0.1:1883", "has no scheme"),
            ("mqtts://h:8883", "this version speaks mqtt:// only"),
            ("http://h", "\"http\" is not spoken here"),
            ("mqtt://me:secret@h", "without user and password"),
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
            assert_eq!(check_prefix(sound), Ok(()), "{sound}");
        }
        for bad in ["", "/a", "a/", "a//b", "a/+/b", "#", "$SYS/a", "a/ b"] {
            assert!(check_prefix(bad).is_err(), "{bad}");
        }
    }
}
