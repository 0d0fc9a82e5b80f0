//! Topics: a public contract. Written from names, and read back into names; nothing else builds a topic.
//!
//! ```text
//! {prefix}/{gateway}/status                        retained, and the last will
//! {prefix}/{gateway}/event/{kind}                  QoS 1, what happened to the gateway
//! {prefix}/{gateway}/meter/{meter}/status          retained, the event that made a meter's state what it is
//! {prefix}/{gateway}/meter/{meter}/data/{task}     QoS 1, one message for a meter, a task and a slot
//! {prefix}/{gateway}/meter/{meter}/event/{kind}    QoS 1, what happened to the meter
//! {prefix}/{gateway}/command/{verb}                to the gateway: what the head-end asks
//! {prefix}/{gateway}/reply/{verb}                  QoS 1, the answer where the question names no other topic
//! ```

/// The topic of a gateway's status.
pub fn status(prefix: &str, gateway: &str) -> String {
    format!("{prefix}/{gateway}/status")
}

/// The topic of the readings of one meter point by one task.
pub fn data(prefix: &str, gateway: &str, meter: &str, task: &str) -> String {
    format!("{prefix}/{gateway}/meter/{meter}/data/{task}")
}

/// The topic of what happened to the gateway itself.
pub fn event(prefix: &str, gateway: &str, kind: &str) -> String {
    format!("{prefix}/{gateway}/event/{kind}")
}

/// The topic of what happened to one meter point.
pub fn meter_event(prefix: &str, gateway: &str, meter: &str, kind: &str) -> String {
    format!("{prefix}/{gateway}/meter/{meter}/event/{kind}")
}

/// The topic of commands to a gateway.
pub fn command(prefix: &str, gateway: &str, verb: &str) -> String {
    format!("{prefix}/{gateway}/command/{verb}")
}

/// The topic of answers to a verb, where the question names no other.
pub fn reply(prefix: &str, gateway: &str, verb: &str) -> String {
    format!("{prefix}/{gateway}/reply/{verb}")
}

/// The topic of the state of one meter point.
pub fn meter_status(prefix: &str, gateway: &str, meter: &str) -> String {
    format!("{prefix}/{gateway}/meter/{meter}/status")
}

/// What to subscribe to for one gateway or, with `+`, all of them; likewise meters.
pub fn filters(prefix: &str, gateway: &str, meter: &str) -> [String; 5] {
    [
        status(prefix, gateway),
        event(prefix, gateway, "+"),
        meter_status(prefix, gateway, meter),
        data(prefix, gateway, meter, "+"),
        meter_event(prefix, gateway, meter, "+"),
    ]
}

/// A topic of ours, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic<'a> {
    /// A gateway's status.
    Status {
        /// Which gateway.
        gateway: &'a str,
    },
    /// Readings.
    Data {
        /// Which gateway.
        gateway: &'a str,
        /// Which meter point.
        meter: &'a str,
        /// Which task.
        task: &'a str,
    },
    /// What happened to a gateway.
    Event {
        /// Which gateway.
        gateway: &'a str,
        /// What.
        kind: &'a str,
    },
    /// What happened to a meter point.
    MeterEvent {
        /// Which gateway.
        gateway: &'a str,
        /// Which meter point.
        meter: &'a str,
        /// What.
        kind: &'a str,
    },
    /// The state of a meter point.
    MeterStatus {
        /// Which gateway.
        gateway: &'a str,
        /// Which meter point.
        meter: &'a str,
    },
}

impl<'a> Topic<'a> {
    /// Takes a topic apart; `None` if it is none of ours below `prefix`.
    pub fn parse(prefix: &str, topic: &'a str) -> Option<Self> {
        let levels = topic.strip_prefix(prefix)?.strip_prefix('/')?;
        let mut levels = levels.split('/');
        let mut next = || levels.next().filter(|level| !level.is_empty());
        let gateway = next()?;
        let topic = match next()? {
            "status" => Self::Status { gateway },
            "event" => Self::Event { gateway, kind: next()? },
            "meter" => {
                let meter = next()?;
                match next()? {
                    "data" => Self::Data { gateway, meter, task: next()? },
                    "event" => Self::MeterEvent { gateway, meter, kind: next()? },
                    "status" => Self::MeterStatus { gateway, meter },
                    _ => return None,
                }
            }
            _ => return None,
        };
        levels.next().is_none().then_some(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn topics_are_those_of_the_contract() {
        assert_eq!(status("meterd/v1", "gw01"), "meterd/v1/gw01/status");
        assert_eq!(data("meterd/v1", "gw01", "flat-101", "live"), "meterd/v1/gw01/meter/flat-101/data/live");
        assert_eq!(event("meterd/v1", "gw01", "kind"), "meterd/v1/gw01/event/kind");
        assert_eq!(meter_status("meterd/v1", "gw01", "flat-101"), "meterd/v1/gw01/meter/flat-101/status");
        let report = "meterd/v1/gw01/meter/flat-101/event/active_report";
        assert_eq!(meter_event("meterd/v1", "gw01", "flat-101", "active_report"), report);
        let all = [
            "meterd/v1/+/status",
            "meterd/v1/+/event/+",
            "meterd/v1/+/meter/+/status",
            "meterd/v1/+/meter/+/data/+",
            "meterd/v1/+/meter/+/event/+",
        ];
        assert_eq!(filters("meterd/v1", "+", "+"), all);
    }

    #[test]
    fn what_is_no_topic_of_ours_is_none() {
        for topic in [
            "",
            "meterd/v1",
            "meterd/v1/",
            "meterd/v1//status",
            "meterd/v1/gw01",
            "meterd/v1/gw01/status/more",
            "meterd/v1/gw01/meter/m/data",
            "meterd/v1/gw01/meter/m/data/",
            "meterd/v1/gw01/meter/m/data/live/more",
            "meterd/v1/gw01/meter/m/other/live",
            "meterd/v1/gw01/meter/m/status/more",
            "meterd/v1/gw01/meter/m/event",
            "meterd/v1/gw01/meter/m/event/kind/more",
            "meterd/v1/gw01/event",
            "meterd/v1/gw01/event/",
            "meterd/v1/gw01/event/kind/more",
            "meterd/v10/gw01/status",
            "other/gw01/status",
        ] {
            assert_eq!(Topic::parse("meterd/v1", topic), None, "{topic}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(gateway in "[^/+#\\x00-\\x1f$]{1,9}", meter in "[^/+#]{1,9}", task in "[^/+#]{1,9}") {
            let (g, m, t) = (gateway.as_str(), meter.as_str(), task.as_str());
            let (status, data) = (status("p/q", g), data("p/q", g, m, t));
            prop_assert_eq!(Topic::parse("p/q", &status), Some(Topic::Status { gateway: g }));
            let expected = Topic::Data { gateway: g, meter: m, task: t };
            prop_assert_eq!(Topic::parse("p/q", &data), Some(expected));
            let (own, of_meter, state) =
                (event("p/q", g, t), meter_event("p/q", g, m, t), meter_status("p/q", g, m));
            prop_assert_eq!(Topic::parse("p/q", &own), Some(Topic::Event { gateway: g, kind: t }));
            let expected = Topic::MeterEvent { gateway: g, meter: m, kind: t };
            prop_assert_eq!(Topic::parse("p/q", &of_meter), Some(expected));
            prop_assert_eq!(Topic::parse("p/q", &state), Some(Topic::MeterStatus { gateway: g, meter: m }));
        }
    }
}
