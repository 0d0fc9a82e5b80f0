//! What stands behind `--`.

/// What is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) parts: Vec<Part>,
    /// Messages of a round of the whole way.
    pub(crate) messages: usize,
    pub(crate) rounds: usize,
    /// Messages of the backlog.
    pub(crate) backlog: usize,
    /// What the daemon polls while it catches up.
    pub(crate) lines: usize,
    pub(crate) meters: usize,
    pub(crate) baud: u32,
}

/// A part of the bench.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Whole,
    CatchUp,
    StartUp,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            parts: vec![Part::Whole, Part::CatchUp, Part::StartUp],
            messages: 20_000,
            rounds: 3,
            // 1.2 million readings: an hour of 333 a second.
            backlog: 44_445,
            lines: 10,
            meters: 270,
            baud: 9600,
        };
        let mut args = args.iter();
        while let Some(key) = args.next() {
            let value = args.next().ok_or_else(|| format!("{key} needs a value"))?;
            match key.as_str() {
                "--part" => options.parts = value.split(',').map(part).collect::<Result<_, _>>()?,
                "--messages" => options.messages = number(value)?,
                "--rounds" => options.rounds = number(value)?,
                "--backlog" => options.backlog = number(value)?,
                "--lines" => options.lines = number(value)?,
                "--meters" => options.meters = number(value)?,
                "--baud" => options.baud = number(value)?,
                _ => {
                    return Err(format!(
                        "{key} is unknown; there are --part whole,catch-up,start-up, --messages, --rounds, --backlog, --lines, --meters, --baud"
                    ));
                }
            }
        }
        if options.meters < options.lines {
            return Err("each line needs a meter".to_owned());
        }
        Ok(options)
    }
}

fn part(word: &str) -> Result<Part, String> {
    match word {
        "whole" => Ok(Part::Whole),
        "catch-up" => Ok(Part::CatchUp),
        "start-up" => Ok(Part::StartUp),
        _ => Err(format!("\"{word}\" is no part; there are whole, catch-up, start-up")),
    }
}

fn number<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number > T::from(0));
    number.ok_or_else(|| format!("\"{text}\" is no number that fits here"))
}
