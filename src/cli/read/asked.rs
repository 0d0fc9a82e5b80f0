//! What is asked of whom, proved before the port is opened.

use super::{ReadArgs, raw, records};
use crate::cli::profiles;
use crate::cli::protocol::Asked;
use crate::config::{BadPort, Dialect, PortAddress, Protocol};
use crate::planner::{CharFormat, Costs, Line, Parity};
use catalogue::{Register, Standard};
use std::time::Duration;

/// What is asked of whom, and how.
pub(super) struct Asking {
    pub(super) port: PortAddress,
    pub(super) speaks: Asked,
    pub(super) dialect: Dialect,
    /// Each meter by its address.
    pub(super) meters: Vec<Protocol>,
    pub(super) line: Line,
    pub(super) costs: Costs,
    /// Silence before each request.
    pub(super) turnaround: Duration,
    pub(super) load_records: Vec<Register>,
    pub(super) registers: Vec<Register>,
}

/// What most Modbus meters are shipped with.
const USUAL_MODBUS: Line =
    Line { baud: 9600, frame: CharFormat { parity: Parity::None, ..CharFormat::EVEN } };

/// Proves the arguments.
///
/// # Errors
/// What to write, for a person.
pub(super) fn asking(args: &ReadArgs) -> Result<Asking, String> {
    let port = port(&args.port)?;
    let (named, by_address) = raw::apart(&args.registers)?;
    let (speaks, dialect) = dialect(args, !by_address.is_empty())?;
    if speaks == Asked::ModbusTcp && !matches!(port, PortAddress::Tcp { .. }) {
        return Err(format!("--protocol modbus-tcp goes over TCP; write --port tcp://HOST:502, not {port}"));
    }
    let all: Result<Vec<Protocol>, String> = args.address.iter().map(|text| speaks.at(text)).collect();
    let meters = all?;
    let (load_records, mut registers) = registers(dialect, &named, args)?;
    registers.extend(raw::registers(&by_address, dialect.manner())?);
    let shipped = dialect.manner().and_then(|manner| manner.line.as_deref()?.parse().ok());
    let usual = shipped.unwrap_or(match dialect.standard {
        Standard::Dlt645(_) => Line::DEFAULT,
        Standard::Modbus => USUAL_MODBUS,
    });
    let line = Line { baud: args.baud.unwrap_or(usual.baud), frame: args.frame.unwrap_or(usual.frame) };
    // Registers by their addresses have a table of their own.
    let manner = registers.first().map_or(dialect.manner(), |first| first.table().manner());
    let costs = Costs::of(line, dialect.standard, manner);
    // A meter of an unknown firmware gets as long a rest as those of DL/T 645.
    let turnaround = args.turnaround.unwrap_or(costs.turnaround.max(Costs::usual(line).turnaround));
    Ok(Asking { port, speaks, dialect, meters, line, costs, turnaround, load_records, registers })
}

fn port(text: &str) -> Result<PortAddress, String> {
    match text.parse() {
        Ok(PortAddress::Listen(_)) => Err(format!("--port {text}: DTUs dial in to meterd run only")),
        Ok(port @ (PortAddress::Serial(_) | PortAddress::Tcp { .. })) => Ok(port),
        Err(BadPort::Form) => Err(format!(
            "--port {text} is no port; write the path of a serial device, /dev/…, or tcp://HOST:PORT of a serial server"
        )),
        Err(e) => Err(format!("--port {text} is no port; {e}")),
    }
}

/// What the meters speak. A profile is of one protocol, so it need not be said again; nor where registers are named by
/// address, which only Modbus has.
fn dialect(args: &ReadArgs, by_address: bool) -> Result<(Asked, Dialect), String> {
    let profile = args.profile.as_deref().map(profiles::of).transpose()?;
    let own = profile.map(|profile| Asked::of(profile.standard()));
    let raw = by_address.then_some(Asked::ModbusRtu);
    let speaks = args.protocol.or(own).or(raw).unwrap_or(Asked::Dlt645_2007);
    let standard = speaks.standard();
    match profile {
        Some(profile) if profile.standard() != standard => {
            let word = profile.standard().word();
            Err(format!("profile {} is of {word}; leave --protocol out", profile.name()))
        }
        Some(_) | None if by_address && standard != Standard::Modbus => Err(format!(
            "registers by address, as 0x0034:f32, are of Modbus and not of {standard}; write --protocol modbus-rtu"
        )),
        Some(_) | None => Ok((speaks, Dialect { standard, profile })),
    }
}

/// The load records and the other registers.
fn registers(
    dialect: Dialect,
    texts: &[&str],
    args: &ReadArgs,
) -> Result<(Vec<Register>, Vec<Register>), String> {
    let Dialect { standard, profile } = dialect;
    if let Some(name) = texts.first().filter(|_| standard == Standard::Modbus && profile.is_none()) {
        return Err(format!(
            "{name} of a Modbus meter is known by its profile; write --profile NAME (`meterd profiles` lists them), or the register by its address, as 0x0034:f32"
        ));
    }
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for text in texts {
        let text = records::long_name(standard, text, &args.range);
        match dialect.catalogue().find(&text, Costs::usual(Line::DEFAULT).tariffs) {
            Ok(registers) => found.extend(registers),
            Err(e) => unknown.push(e.to_string()),
        }
    }
    if unknown.is_empty() {
        records::apart(records::with_stamps(found), &args.range)
    } else {
        Err(unknown.join("\n        "))
    }
}
