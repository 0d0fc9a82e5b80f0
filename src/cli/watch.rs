//! `meterd watch`: what gateways publish, as it comes, for a person to read.

pub(crate) mod lines;

use crate::config::{self, BrokerAddress, Mqtt, MqttVersion, Tls};
use crate::mqtt::watch::{Pattern, Seen, Watch, follow};
use lines::Paint;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WatchArgs {
    /// The broker; mqtts:// for TLS with the CAs of this system
    #[arg(long, value_name = "mqtt://HOST:PORT", default_value = "mqtt://127.0.0.1:1883", value_parser = broker_url)]
    url: BrokerAddress,
    /// Broker, prefix, user and TLS as [mqtt] of this configuration 配置文件 has them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "prefix", "mqtt"])]
    config: Option<PathBuf>,
    /// First levels of the topics, as prefix under [mqtt]
    #[arg(long, value_name = "PREFIX", default_value = "meterd/v1")]
    prefix: String,
    /// Name of a gateway 网关; + for all
    #[arg(long, value_name = "GATEWAY", default_value = "+")]
    gateway: String,
    /// Names of meter points 计量点; * is any text, ? a character
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    meter: String,
    /// Version of MQTT: 3.1.1 or 5
    #[arg(long, value_name = "VERSION", default_value = "3.1.1", value_parser = mqtt_version)]
    mqtt: MqttVersion,
    /// Print payloads as they come, one a line
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Readings and status go to standard output until Ctrl-C, the state of the
connection to standard error.

Examples:
  meterd watch --url mqtt://192.0.2.10:1883
  meterd watch --config /etc/meterd/meterd.toml
  meterd watch --gateway gw01 --meter 'flat-*' --json | jq .readings";

/// `mqtt://host:port`, or `mqtts://host:port` with the CAs of the system.
fn broker_url(text: &str) -> Result<BrokerAddress, String> {
    if text.contains('@') {
        return Err(
            "a password has no place on a command line; write it to a file and use --config".to_owned()
        );
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("mqtt://{text}") };
    config::broker(&whole).map_err(|_| {
        "write the broker as mqtt://host:port or mqtts://host:port, e.g. mqtt://192.168.1.10:1883".to_owned()
    })
}

fn mqtt_version(text: &str) -> Result<MqttVersion, &'static str> {
    match text {
        "3.1.1" | "4" => Ok(MqttVersion::V4),
        "5" | "5.0" => Ok(MqttVersion::V5),
        _ => Err("write 3.1.1 or 5"),
    }
}

/// Runs until Ctrl-C, or until nobody reads its output.
///
/// # Errors
/// The output cannot be written, or Ctrl-C cannot be waited for.
pub(crate) async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let mqtt = match &args.config {
        Some(path) => match config::load(path) {
            Ok(loaded) => loaded.plan.mqtt,
            Err(faults) => return Ok(super::faulty(&faults, "there is no broker to look at")),
        },
        None => Mqtt {
            version: args.mqtt,
            prefix: args.prefix.trim_end_matches('/').to_owned(),
            tls: args.url.tls.then(Tls::default),
            ..Mqtt::at(&args.url.host, args.url.port)
        },
    };
    let prefix = &mqtt.prefix;
    anyhow::ensure!(
        !prefix.is_empty() && !prefix.contains(['+', '#']),
        "--prefix is the first levels of the topics without + and #, e.g. meterd/v1"
    );
    anyhow::ensure!(
        !args.gateway.is_empty() && !args.gateway.contains(['/', '#']),
        "--gateway is the name of one gateway, or + for all"
    );
    anyhow::ensure!(
        !args.meter.is_empty() && !args.meter.contains(['/', '+', '#']),
        "--meter is a name with * for any text and ? for one character, e.g. 'flat-*'"
    );
    let watch = Watch { mqtt, gateway: args.gateway, meters: Pattern::new(&args.meter) };
    let paint = Paint::of_terminal(io::stdout().is_terminal());
    let mut failed = None;
    let following = follow(&watch, |seen| match show(&seen, args.json, paint) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    });
    tokio::select! {
        () = following => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    match failed {
        // The reader of our output has seen enough: `meterd watch | head`.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Readings, events and status go to the output, the state of our own connection to the error output.
fn show(seen: &Seen, json: bool, paint: Paint) -> io::Result<()> {
    match seen {
        Seen::Data { payload, .. }
        | Seen::Event { payload, .. }
        | Seen::MeterStatus { payload, .. }
        | Seen::Status { payload, .. }
        | Seen::Birth { payload, .. }
        | Seen::Round { payload, .. }
            if json =>
        {
            let mut out = io::stdout().lock();
            out.write_all(payload)?;
            out.write_all(b"\n")?;
            out.flush()
        }
        Seen::Data { .. }
        | Seen::Event { .. }
        | Seen::MeterStatus { .. }
        | Seen::Status { .. }
        | Seen::Birth { .. }
        | Seen::Round { .. } => {
            let mut out = io::stdout().lock();
            lines::of(seen, paint).iter().try_for_each(|line| writeln!(out, "{line}"))?;
            out.flush()
        }
        Seen::Connected | Seen::Lost { .. } | Seen::Unreadable { .. } => {
            let mut out = io::stderr().lock();
            lines::of(seen, Paint::Plain).iter().try_for_each(|line| writeln!(out, "{line}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_is_a_host_and_a_port() {
        for (text, host, port, tls) in [
            ("mqtt://192.168.1.10:1884", "192.168.1.10", 1884, false),
            ("mqtts://broker.example/", "broker.example", 8883, true),
            ("localhost:1", "localhost", 1, false),
            ("[fe80::1]", "fe80::1", 1883, false),
        ] {
            let address = BrokerAddress { host: host.to_owned(), port, tls };
            assert_eq!(broker_url(text), Ok(address), "{text}");
        }
    }

    #[test]
    fn what_is_no_broker_is_refused_with_what_to_write() {
        for text in ["", "mqtt://", "http://x", "h:0", "h:70000", "h:", "[::1", "a/b", "::1"] {
            assert!(broker_url(text).unwrap_err().starts_with("write the broker as"), "{text}");
        }
        let refused = broker_url("mqtt://me:secret@broker").unwrap_err();
        assert!(refused.contains("--config") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn without_arguments_all_gateways_of_the_local_broker_are_watched() {
        use clap::{CommandFactory, Parser};
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            args: WatchArgs,
        }
        Line::command().debug_assert();
        let args = Line::try_parse_from(["watch"]).unwrap().args;
        assert_eq!((args.url.host.as_str(), args.url.port), ("127.0.0.1", 1883));
        assert_eq!(
            (args.prefix.as_str(), args.gateway.as_str(), args.meter.as_str()),
            ("meterd/v1", "+", "*")
        );
        assert_eq!((args.mqtt, args.json), (MqttVersion::V4, false));
        let refused = Line::try_parse_from(["watch", "--url", "mqtt://b", "--config", "c"]);
        assert!(refused.is_err(), "one of them says where the broker is");
    }

    #[test]
    fn versions_of_mqtt_have_two_names_each() {
        assert_eq!(mqtt_version("3.1.1"), Ok(MqttVersion::V4));
        assert_eq!(mqtt_version("5"), Ok(MqttVersion::V5));
        assert!(mqtt_version("3").is_err());
    }
}
