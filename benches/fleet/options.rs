//! What stands behind `--`.

use super::emulator::Pieces;
use super::work::Kind;

/// What is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) lines: usize,
    pub(crate) meters: usize,
    /// How long the daemon is measured for each way of pieces, at least; it is taken to whole slots. The long slots of
    /// three-phase work are measured one each.
    pub(crate) seconds: u64,
    pub(crate) works: Vec<Kind>,
    pub(crate) bauds: Vec<u32>,
    pub(crate) pieces: Vec<Pieces>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            lines: 256,
            meters: 10_000,
            seconds: 10,
            works: vec![Kind::Block, Kind::ThreePhase],
            bauds: vec![2400, 9600],
            pieces: vec![Pieces::Whole, Pieces::Of(8), Pieces::Of(1)],
        };
        let mut args = args.iter();
        while let Some(key) = args.next() {
            let value = args.next().ok_or_else(|| format!("{key} needs a value"))?;
            match key.as_str() {
                "--lines" => options.lines = number(value)?,
                "--meters" => options.meters = number(value)?,
                "--seconds" => options.seconds = number(value)?,
                "--work" => options.works = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "--baud" => options.bauds = value.split(',').map(number).collect::<Result<_, _>>()?,
                "--pieces" => options.pieces = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                _ => {
                    return Err(format!(
                        "{key} is unknown; there are --lines, --meters, --seconds, --work, --baud, --pieces"
                    ));
                }
            }
        }
        if options.lines == 0 || options.meters < options.lines {
            return Err("each line needs a meter".to_owned());
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no number that fits here"))
}
