//! One profile for a person: what it is, how its meters are asked, its registers.

use crate::cli::registers::line;
use catalogue::{Location, Manner, Profile, Register, Standard, TextOrder, Unit};
use modbus::Type;
use unicode_width::UnicodeWidthStr;

/// Columns of a terminal without the labels.
const COLUMNS: usize = 70;

/// The whole profile.
pub(super) fn text(profile: &'static Profile) -> String {
    let mut text = format!(
        "profile   {}\nprotocol  {}\nmodel     {}\n",
        profile.name(),
        profile.standard().word(),
        profile.model()
    );
    for (label, words) in [("source    ", Some(profile.source())), ("notes     ", profile.notes())] {
        let Some(words) = words else { continue };
        let mut indent = label;
        for line in wrapped(words) {
            text.push_str(&format!("{indent}{line}\n"));
            indent = "          ";
        }
    }
    if let Some(manner) = profile.manner() {
        text.push_str(&match profile.standard() {
            Standard::Modbus => asked(manner),
            Standard::Dlt645(_) => asked_of_dlt645(manner),
        });
    }
    let rows: Vec<_> = profile.search("").collect();
    let registers: usize = rows.iter().map(|row| row.registers().count()).sum();
    let (count, tests) = (rows.len(), profile.tests());
    text.push_str(&format!("registers {registers} by {count} rows, {tests} tests\n"));
    if !rows.is_empty() {
        text.push('\n');
    }
    match profile.manner().filter(|_| profile.standard() == Standard::Modbus) {
        Some(manner) => text.extend(profile.catalogue().registers().map(|one| located(&one, manner))),
        None => text.extend(rows.iter().map(|row| format!("{}\n", line(row)))),
    }
    text.push_str(&sources(profile));
    text
}

/// How meters of DL/T 645 want to be asked: what the profile says, and nothing of what is usual.
fn asked_of_dlt645(manner: &Manner) -> String {
    let mut text = String::new();
    let mut put = |label: &str, words: String| text.push_str(&format!("{label:<10}{words}\n"));
    if let Some(line) = &manner.line {
        put("line", format!("{line} as shipped 波特率"));
    }
    if let Some(count) = manner.preamble {
        put("preamble", format!("{count} FE before a request 唤醒符"));
    }
    if !manner.pause.is_zero() {
        put("pause", format!("{} ms before a request, or more", manner.pause.as_millis()));
    }
    if !manner.blocks {
        put("asked for", "single registers alone, no blocks 数据块".to_owned());
    }
    match manner.text_order {
        TextOrder::AsTyped => put("texts", "as typed, not reversed".to_owned()),
        TextOrder::Reversed => {}
    }
    text
}

/// How Modbus meters want to be asked.
fn asked(manner: &Manner) -> String {
    let Manner { line, pause, most, align, gaps, ct, pt, maps, preamble: _, blocks: _, text_order: _ } =
        manner;
    let mut text = String::new();
    let mut put = |label: &str, words: String| text.push_str(&format!("{label:<10}{words}\n"));
    if let Some(line) = line {
        put("line", format!("{line} as shipped 波特率"));
    }
    let pause = match pause.as_millis() {
        0 => "3.5 characters".to_owned(),
        millis => format!("{millis} ms beyond 3.5 characters"),
    };
    put("pause", pause);
    let mut asks = vec![format!("{most} registers at once")];
    asks.extend((*align > 1).then(|| format!("from multiples of {align}")));
    asks.extend((!gaps).then(|| "never over addresses that it does not have".to_owned()));
    put("asked for", asks.join(", "));
    for (label, name) in [("ct", ct), ("pt", pt)] {
        if let Some(name) = name {
            put(label, format!("{name}, where the archive has none"));
        }
    }
    for map in maps {
        let values: Vec<String> = map.values.iter().map(u64::to_string).collect();
        let says =
            if values.is_empty() { "is answered".to_owned() } else { format!("is {}", values.join(" or ")) };
        put("map", format!("{}, if {} {says}", map.name, map.probe));
    }
    text
}

/// A register of a Modbus meter: where it is, its type, its unit as we give it, what it is called.
fn located(register: &Register, manner: &Manner) -> String {
    let Some(location) = register.location() else { return String::new() };
    let unit = register.unit().map_or("", Unit::text);
    let map = location.map.and_then(|map| manner.maps.get(usize::from(map)));
    let map = map.map(|map| format!("  ({})", map.name)).unwrap_or_default();
    let (name, zh) = (register.name().to_string(), register.name_zh());
    format!("{:<10} {:<9} {unit:<6} {name:<32} {zh}{map}\n", location.span.to_string(), kind(location))
}

/// Where the rows of a Modbus meter are from, each source once, and what there is to know of single rows.
fn sources(profile: &'static Profile) -> String {
    let rows: Vec<(Register, &Location)> =
        profile.catalogue().registers().filter_map(|row| Some((row, row.location()?))).collect();
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for (_, location) in rows.iter().filter(|(_, location)| !location.source.is_empty()) {
        match counted.iter_mut().find(|(source, _)| *source == &*location.source) {
            Some((_, count)) => *count += 1,
            None => counted.push((&location.source, 1)),
        }
    }
    let mut text = String::new();
    let mut put = |head: String, words: &str| {
        text.push_str(&format!("\n{head}\n"));
        text.extend(wrapped(words).iter().map(|line| format!("  {line}\n")));
    };
    for (source, count) in counted {
        put(format!("{count} of {} rows, source 来源:", rows.len()), source);
    }
    for (register, location) in &rows {
        if let Some(notes) = &location.notes {
            put(format!("{} {}", location.span, register.name()), notes);
        }
    }
    text
}

/// `u32 le`: the type, and the order of words where the low one comes first.
fn kind(location: &Location) -> String {
    let format = &location.format;
    let mut text = match format.kind {
        Type::U16 => "u16".to_owned(),
        Type::I16 => "i16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::I32 => "i32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::I64 => "i64".to_owned(),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Bcd { words } => format!("bcd{words}"),
        Type::Text { words } => format!("text{words}"),
        Type::Bits { words } => format!("bits{words}"),
    };
    if format.order.low_word_first {
        text.push_str(" le");
    }
    text
}

/// Words in lines that fit beside the labels.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= COLUMNS => *line += &format!(" {word}"),
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}
