//! What is no TOML: every error in words of the installer, and the text without the lines that hold it.
//!
//! A parser that goes on after an error reads the next lines wrongly. So the lines of the first error
//! are blanked, which keeps all places, and the text is parsed again until nothing is wrong.

use super::findings::{Findings, Here};
use std::ops::Range;
use toml::de::{DeTable, DeValue, Error};

/// After so many errors the file is something else than a configuration.
const MOST: usize = 50;

/// Reports every syntax error; the text that comes back is sound TOML with the same places.
pub(super) fn recover(file: usize, findings: &mut Findings) -> String {
    let mut text = findings.text(file).to_owned();
    for _ in 0..MOST {
        let (tree, errors) = DeTable::parse_recoverable(&text);
        let mut values = Vec::new();
        collect_values(tree.get_ref(), &mut values);
        let located = errors.iter().map(|error| locate(error, &values)).min_by_key(|located| located.start);
        let Some(located) = located else { return text };
        let damaged = damaged(&text, located.start, located.value);
        let message = sentence(&text, &located, &damaged);
        let here = Here { file, span: located.start..located.start, label: "", key: String::new() };
        findings.damage(&here, damaged.clone(), message);
        blank(&mut text, &damaged);
    }
    let (_, errors) = DeTable::parse_recoverable(&text);
    let Some(error) = errors.first() else { return text };
    let start = error.span().map_or(0, |span| span.start);
    let here = Here { file, span: start..start, label: "", key: String::new() };
    findings.damage(
        &here,
        0..text.len(),
        "this is no TOML, and nor is much before it; is it the right file?",
    );
    String::new()
}

/// An error with the value that it is in, if it is in one.
struct Located<'a> {
    error: &'a Error,
    value: Option<&'a Range<usize>>,
    start: usize,
}

/// A value is pointed at by its beginning: an open quote or list is noticed lines below.
fn locate<'a>(error: &'a Error, values: &'a [Range<usize>]) -> Located<'a> {
    let at = error.span().map_or(0, |span| span.start);
    let value = values.iter().find(|value| value.start <= at && at <= value.end);
    Located { error, value, start: value.map_or(at, |value| value.start) }
}

/// Spans of all values that stand behind a `=`.
fn collect_values(tree: &DeTable<'_>, into: &mut Vec<Range<usize>>) {
    for (_, value) in tree {
        match value.get_ref() {
            DeValue::Table(inner) => collect_values(inner, into),
            DeValue::Array(items) if !items.is_empty() && items.iter().all(|i| i.get_ref().is_table()) => {
                for inner in items.iter().filter_map(|i| i.get_ref().as_table()) {
                    collect_values(inner, into);
                }
            }
            DeValue::Array(_)
            | DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => into.push(value.span()),
        }
    }
}

/// The lines that an error spoils: those of its value as far as they can belong to it, or its own
/// line, and behind a spoilt header everything up to the next one.
fn damaged(text: &str, start: usize, value: Option<&Range<usize>>) -> Range<usize> {
    let first = line_start(text, start);
    let mut end = line_end(text, start);
    let header = text[first..].trim_start().starts_with('[');
    let value_end = value.map_or(start, |value| value.end);
    for line in text[end..].split_inclusive('\n') {
        let goes_on =
            if header { !is_header(line) } else { end < value_end && !is_header(line) && !is_key(line) };
        if !goes_on {
            break;
        }
        end += line.len();
    }
    first..end.max(first + 1)
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

fn is_key(line: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    line.split_once('=').is_some_and(|(key, _)| !key.trim().is_empty() && key.trim().chars().all(word))
}

/// Spaces instead of everything but the ends of lines.
fn blank(text: &mut String, range: &Range<usize>) {
    let blanked: String = text
        .char_indices()
        .map(
            |(at, c)| if range.contains(&at) && c != '\n' { " ".repeat(c.len_utf8()) } else { c.to_string() },
        )
        .collect();
    *text = blanked;
}

fn line_start(text: &str, offset: usize) -> usize {
    text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

fn line_end(text: &str, offset: usize) -> usize {
    text.get(offset..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| offset + newline + 1)
}

fn sentence(text: &str, located: &Located<'_>, damaged: &Range<usize>) -> String {
    let Located { error, value, start } = located;
    let line = text[line_start(text, *start)..line_end(text, *start)].trim();
    let key = line.split('=').next().unwrap_or("").trim();
    let of = |span: Range<usize>| text.get(span).unwrap_or("");
    if let Some(wide) = line.chars().find(|c| WIDE.contains(c)) {
        return format!("\"{wide}\" is no sign of TOML; write the plain (half-width, 半角) one");
    }
    if value.is_some_and(|value| value.end > damaged.end) {
        return format!("the value of {key} is not closed; end it with the sign that it was opened with");
    }
    match error.message() {
        "duplicate key" => duplicate(text, line, key, *start),
        m if m.starts_with("string values must be quoted") => {
            let bare = of(error.span().unwrap_or(0..0));
            let in_list = value.is_some_and(|value| of(value.clone()).starts_with('['));
            let target = if in_list { String::new() } else { format!("{key} = ") };
            format!("{bare} is no value; a text stands in quotes: {target}\"{bare}\"")
        }
        m if m.starts_with("unexpected leading zero") => {
            let number = value.map_or("", |value| of(value.clone()));
            format!("a number has no leading zeros; if it is an address write {key} = \"{number}\"")
        }
        m if m.starts_with("invalid basic string, expected `\"`") => {
            format!("the value of {key} is not closed; end it with a quote (\")")
        }
        m if m.starts_with("key with no value") => format!("{key} has no value; write {key} = and the value"),
        m if m.starts_with("unclosed array table") || m.starts_with("unclosed table") => {
            format!("the header {line} is not closed; end it with as many ] as it has [")
        }
        m => format!("this is no TOML: {m}"),
    }
}

/// Quotes, equals sign, comma and brackets as a Chinese input method types them.
const WIDE: [char; 11] = ['“', '”', '‘', '’', '＝', '，', '［', '］', '＂', '【', '】'];

fn duplicate(text: &str, line: &str, key: &str, offset: usize) -> String {
    let before: Vec<&str> = text[..line_start(text, offset)].lines().map(str::trim).collect();
    if is_header(line) {
        let bare =
            |header: &str| header.split('#').next().unwrap_or("").trim().trim_matches(['[', ']']).to_owned();
        let first = before.iter().position(|l| is_header(l) && bare(l) == bare(line));
        return match first {
            Some(index) if before[index].starts_with("[[") == line.starts_with("[[") => {
                format!("{line} stands at line {} too; keep one", index + 1)
            }
            Some(index) => {
                format!(
                    "line {} has {}, this is {line}; write both as [[{}]]",
                    index + 1,
                    before[index],
                    bare(line)
                )
            }
            None => format!("{line} stands in the file twice; keep one"),
        };
    }
    let table = before.iter().rposition(|l| is_header(l)).map_or(0, |header| header + 1);
    let same = |l: &&str| l.split('=').next().is_some_and(|k| k.trim() == key);
    match before[table..].iter().position(same) {
        Some(index) => format!("{key} is already written at line {}; keep one", table + index + 1),
        None => format!("{key} is written twice in this table; keep one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovered(text: &str) -> (String, Vec<String>) {
        let mut findings = Findings::default();
        let file = findings.open("t".to_owned(), text);
        let sound = recover(file, &mut findings);
        let faults = findings.finish().err().map(|f| f.0).unwrap_or_default();
        (sound, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn places_behind_an_error_stay_as_they_are() {
        let text = "a = “x”\nb = 1\n";
        let (sound, faults) = recovered(text);
        assert_eq!(sound.len(), text.len());
        assert_eq!(sound.find("b = 1"), text.find("b = 1"));
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn an_open_list_or_quote_costs_its_own_lines_only() {
        for text in [
            "a = [\n  1,\n  2\nb = 3\n[c]\nd = 4\n",
            "a = \"\"\"x\nb = 3\n[c]\nd = 4\n",
            "a = \"x\nb = 3\n[c]\nd = 4\n",
        ] {
            let (sound, faults) = recovered(text);
            assert_eq!(sound.trim_start(), "b = 3\n[c]\nd = 4\n", "{text}");
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains("1:5: the value of a is not closed"), "{faults:?}");
        }
    }

    #[test]
    fn a_fault_inside_a_list_of_several_lines_is_said_once() {
        let (sound, faults) = recovered("a = [\n  \"x\"\n  \"y\",\n]\nb = 3\n");
        assert_eq!(sound.trim_start(), "b = 3\n");
        assert_eq!(faults, ["t:1:5: this is no TOML: missing comma between array elements, expected `,`"]);
    }

    #[test]
    fn what_is_no_configuration_at_all_comes_to_an_end() {
        let (_, faults) = recovered(&"%PDF \u{1}\n".repeat(500));
        assert_eq!(faults.len(), MOST + 1);
        let (_, faults) = recovered("[");
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}
