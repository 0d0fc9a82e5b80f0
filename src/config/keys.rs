//! Which tables and keys there are, and what to say of a word that is none of them.

/// One kind of table of `meterd.toml`.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// As it is written: `[gateway]`, `[[bus]]`.
    pub(super) label: &'static str,
    /// Whether it may stand several times.
    pub(super) many: bool,
    pub(super) keys: &'static [&'static str],
}

pub(super) const GATEWAY: Shape = Shape {
    name: "gateway",
    label: "[gateway]",
    many: false,
    keys: &["id", "timezone", "data_dir", "clock", "clock_bound", "meter_files", "profiles"],
};
pub(super) const STORE: Shape = Shape {
    name: "store",
    label: "[store]",
    many: false,
    keys: &["exposure", "max_bytes", "max_age", "keep"],
};
pub(super) const MQTT: Shape = Shape {
    name: "mqtt",
    label: "[mqtt]",
    many: false,
    keys: &[
        "url",
        "version",
        "prefix",
        "user",
        "password_file",
        "password_env",
        "window",
        "expiry",
        "payload",
        "home_assistant",
        "tls",
    ],
};
/// Stands in [`MQTT`], under its key `tls`.
pub(super) const MQTT_TLS: Shape = Shape {
    name: "mqtt.tls",
    label: "[mqtt.tls]",
    many: false,
    keys: &["ca_file", "client_cert_file", "client_key_file", "server_name"],
};
pub(super) const BUS: Shape = Shape {
    name: "bus",
    label: "[[bus]]",
    many: true,
    keys: &[
        "name",
        "port",
        "baud",
        "frame",
        "preamble",
        "turnaround",
        "latency",
        "direction",
        "registration",
        "registration_hex",
        "heartbeat",
        "heartbeat_hex",
    ],
};
pub(super) const METER: Shape = Shape {
    name: "meter",
    label: "[[meter]]",
    many: true,
    keys: &[
        "name",
        "bus",
        "protocol",
        "address",
        "baud",
        "frame",
        "preamble",
        "wiring",
        "ct",
        "pt",
        "multiplier",
        "profile",
        "customer",
        "customer_name",
        "area",
        "total_meter",
        "class",
        "major_class",
        "minor_class",
        "asset",
        "measuring_point",
        "metering",
        "capacity",
        "digits",
        "phase",
        "installed",
        "state",
        "state_since",
        "state_until",
        "tariff_count",
        "tariffs",
        "exchange",
    ],
};
/// Stand in [`METER`], under its key `exchange`.
pub(super) const METER_EXCHANGE: Shape = Shape {
    name: "meter.exchange",
    label: "[[meter.exchange]]",
    many: true,
    keys: &["date", "address", "asset", "digits", "last", "first"],
};
pub(super) const TASK: Shape = Shape {
    name: "task",
    label: "[[task]]",
    many: true,
    keys: &[
        "name",
        "every",
        "daily",
        "monthly",
        "read",
        "registers",
        "meters",
        "priority",
        "window",
        "backfill",
        "broadcast",
    ],
};

pub(super) const COMMANDS: Shape =
    Shape { name: "commands", label: "[commands]", many: false, keys: &["allow"] };

pub(super) const ALL: [&Shape; 7] = [&GATEWAY, &MQTT, &STORE, &BUS, &METER, &TASK, &COMMANDS];

/// Keys of signing in and of TLS that installers know from other programs, and what they are here.
const SIGN_IN: [(&str, &str); 9] = [
    ("username", "write user"),
    ("password", "a password does not stand in this file; write password_file or password_env"),
    ("ca", "write ca_file under [mqtt.tls]"),
    ("cafile", "write ca_file under [mqtt.tls]"),
    ("ca_file", "it belongs under [mqtt.tls]"),
    ("cert_file", "write client_cert_file under [mqtt.tls]"),
    ("client_cert_file", "it belongs under [mqtt.tls]"),
    ("key_file", "write client_key_file under [mqtt.tls]"),
    ("client_key_file", "it belongs under [mqtt.tls]"),
];

pub(super) fn shape(name: &str) -> Option<&'static Shape> {
    ALL.into_iter().find(|shape| shape.name == name)
}

/// The known word that `asked` was probably meant to be: at most a third of its letters wrong.
pub(super) fn nearest<'a>(asked: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let asked = asked.to_lowercase();
    let length = asked.chars().count();
    let bound = (length / 3).max(1);
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(&asked, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= bound && *distance < length)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `; did you mean "x"?`, or nothing.
pub(super) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|word| format!("; did you mean \"{word}\"?")).unwrap_or_default()
}

/// `"a", "b" and "c"`.
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    joined(&quoted)
}

/// What to say of a word out of a short list of choices.
pub(super) fn not_among(key: &str, asked: &str, known: &[&str]) -> String {
    let known_words = known.iter().copied();
    match nearest(asked, known_words) {
        Some(word) => format!("{key} \"{asked}\" is not known; did you mean \"{word}\"?"),
        None => format!("{key} \"{asked}\" is not known; write {}", either(known)),
    }
}

/// What to say of a key that the table does not have.
pub(super) fn unknown_key(shape: &Shape, key: &str) -> String {
    if shape.name == MQTT.name
        && let Some((_, advice)) = SIGN_IN.iter().find(|(known, _)| *known == key)
    {
        return format!("key \"{key}\" is not known here: {advice}");
    }
    let owners = owners(key, shape);
    if !owners.is_empty() {
        return format!("key \"{key}\" belongs to {}", joined(&owners));
    }
    let elsewhere = || ALL.into_iter().filter(|other| other.name != shape.name);
    if let Some(own) = nearest(key, shape.keys.iter().copied()) {
        return format!("key \"{key}\" is not known; did you mean \"{own}\"?");
    }
    match elsewhere().find_map(|other| Some((other, nearest(key, other.keys.iter().copied())?))) {
        Some((other, word)) => {
            format!("key \"{key}\" is not known; did you mean \"{word}\" of {}?", other.label)
        }
        None => format!("key \"{key}\" is not known; known here: {}", listed(shape.keys)),
    }
}

/// What to say of a table or key at the top that is no table of ours.
pub(super) fn unknown_table(name: &str, is_table: bool) -> String {
    let written = if is_table { format!("table [{name}]") } else { format!("key \"{name}\"") };
    let no_shape = Shape { name: "", label: "", many: false, keys: &[] };
    let owners = owners(name, &no_shape);
    if !is_table && !owners.is_empty() {
        return format!("{written} stands before the first table; it belongs to {}", joined(&owners));
    }
    match nearest(name, ALL.into_iter().map(|shape| shape.name)).and_then(shape) {
        Some(shape) => format!("{written} is not known; did you mean {}?", shape.label),
        None => {
            let labels: Vec<String> = ALL.into_iter().map(|shape| shape.label.to_owned()).collect();
            format!("{written} is not known; known tables: {}", joined(&labels))
        }
    }
}

fn owners(key: &str, except: &Shape) -> Vec<String> {
    ALL.into_iter()
        .filter(|other| other.name != except.name && other.keys.contains(&key))
        .map(|other| other.label.to_owned())
        .collect()
}

fn either(words: &[&str]) -> String {
    listed(words).replace(" and ", " or ")
}

fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_table_is_sent_to_its_table() {
        assert_eq!(unknown_key(&GATEWAY, "baud"), "key \"baud\" belongs to [[bus]] and [[meter]]");
        assert_eq!(unknown_key(&MQTT, "name"), "key \"name\" belongs to [[bus]], [[meter]] and [[task]]");
        assert_eq!(
            unknown_table("timezone", false),
            "key \"timezone\" stands before the first table; it belongs to [gateway]"
        );
    }

    #[test]
    fn a_misspelt_word_is_answered_with_the_nearest_and_a_strange_one_with_the_list() {
        assert_eq!(unknown_key(&BUS, "boud"), "key \"boud\" is not known; did you mean \"baud\"?");
        assert_eq!(
            unknown_key(&GATEWAY, "adress"),
            "key \"adress\" is not known; did you mean \"address\" of [[meter]]?"
        );
        assert_eq!(
            unknown_key(&MQTT, "retain_all"),
            "key \"retain_all\" is not known; known here: \"url\", \"version\", \"prefix\", \"user\", \"password_file\", \"password_env\", \"window\", \"expiry\", \"payload\", \"home_assistant\" and \"tls\""
        );
        assert_eq!(unknown_table("metre", true), "table [metre] is not known; did you mean [[meter]]?");
    }

    #[test]
    fn nothing_near_is_nothing() {
        assert_eq!(nearest("zz", ["baud", "frame"]), None);
        assert_eq!(nearest("", ["baud"]), None);
        assert_eq!(nearest("x", ["y"]), None, "not one letter is the same");
    }
}
