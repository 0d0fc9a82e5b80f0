//! `meterd.toml` as a tree of our own, with the place of every key and value, and what takes typed
//! values out of it. It knows the names of tables and keys, never what a value means.

mod tree;

use super::findings::{At, Findings, Here};
use super::keys::{self, Shape};
use super::plan::Name;
use super::syntax;
use std::ops::Range;
use toml::de::DeTable;
use tree::table;

/// A table with its entries in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    /// Its header, or its first key.
    header: Range<usize>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    key_span: Range<usize>,
    value: Value,
    span: Range<usize>,
}

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Integer(i64),
    List(Vec<(Value, Range<usize>)>),
    Table(Table),
    /// A number with a point, a date, a truth value: no key of ours takes one.
    Foreign,
}

/// One table of a known shape.
#[derive(Debug)]
pub(super) struct Section {
    shape: &'static Shape,
    table: Table,
    file: usize,
    index: usize,
    /// From its header to the next one.
    extent: Range<usize>,
}

/// The whole file.
#[derive(Debug)]
pub(super) struct Document {
    root: Table,
    file: usize,
}

impl Document {
    /// Parses; syntax errors are found faults, and what could be recovered is read on.
    pub(super) fn parse(file: usize, findings: &mut Findings) -> Self {
        let text = syntax::recover(file, findings);
        let (tree, _) = DeTable::parse_recoverable(&text);
        let document = Self { root: table(tree.get_ref(), 0..0), file };
        document.check_tables(findings);
        document
    }

    /// The tables of one shape, their unknown keys reported.
    pub(super) fn sections(&self, shape: &'static Shape, findings: &mut Findings) -> Vec<Section> {
        let Some(entry) = self.root.entries.iter().find(|e| e.key == shape.name) else { return Vec::new() };
        let tables: Vec<Table> = match &entry.value {
            Value::Table(table) if table.only_tables(shape) => Vec::new(),
            Value::Table(table) => vec![table.clone()],
            Value::List(items) => items.iter().filter_map(|(item, _)| item.table().cloned()).collect(),
            Value::Text(_) | Value::Integer(_) | Value::Foreign => Vec::new(),
        };
        let kept = if shape.many { tables.len() } else { tables.len().min(1) };
        let mut sections = Vec::with_capacity(kept);
        for (index, table) in tables.into_iter().take(kept).enumerate() {
            let extent = extent(findings.text(self.file), table.header.start);
            let section = Section { shape, table, file: self.file, index, extent };
            section.check_keys(findings);
            sections.push(section);
        }
        sections
    }

    /// The tables of one shape, of a file that may have no other.
    pub(super) fn only(&self, shape: &'static Shape, findings: &mut Findings) -> Vec<Section> {
        for entry in self.root.entries.iter().filter(|entry| entry.key != shape.name) {
            let here =
                Here { file: self.file, span: entry.key_span.clone(), label: "", key: entry.key.clone() };
            let (key, label) = (&entry.key, shape.label);
            findings
                .fault(&here, format!("\"{key}\" has no place here; write {label} tables and nothing else"));
        }
        self.sections(shape, findings)
    }

    /// The first place of the file, for what is missing as a whole.
    pub(super) fn top(&self, shape: &Shape) -> Here {
        Here { file: self.file, span: 0..0, label: shape.label, key: shape.name.to_owned() }
    }

    fn check_tables(&self, findings: &mut Findings) {
        for entry in &self.root.entries {
            let is_table = matches!(&entry.value, Value::Table(_))
                || matches!(&entry.value, Value::List(items) if items.iter().all(|(i, _)| i.table().is_some()) && !items.is_empty());
            let at = |span: &Range<usize>| Here {
                file: self.file,
                span: span.clone(),
                label: "",
                key: entry.key.clone(),
            };
            let Some(shape) = keys::shape(&entry.key) else {
                findings.fault(&at(&entry.key_span), keys::unknown_table(&entry.key, is_table));
                continue;
            };
            let label = shape.label;
            match &entry.value {
                Value::Table(table) if table.only_tables(shape) => {
                    for inner in &table.entries {
                        let advice = if shape.many {
                            format!("{label} with name = \"{}\"", inner.key)
                        } else {
                            format!("the keys under {label}")
                        };
                        findings.fault(
                            &at(&inner.key_span),
                            format!("[{}.{}] is not understood; write {advice}", entry.key, inner.key),
                        );
                    }
                }
                Value::Table(_) if shape.many => findings.fault(
                    &at(&entry.key_span),
                    format!("[{}] must be written {label}, once for each", entry.key),
                ),
                Value::List(items) if is_table && !shape.many => {
                    let second = items.get(1).and_then(|(item, _)| item.table()).map(|t| &t.header);
                    findings.fault(
                        &at(second.unwrap_or(&entry.key_span)),
                        format!("[[{}]] must be written {label}, and only once", entry.key),
                    );
                }
                Value::Table(_) => {}
                Value::List(_) if is_table => {}
                Value::List(_) | Value::Text(_) | Value::Integer(_) | Value::Foreign => findings.fault(
                    &at(&entry.key_span),
                    format!(
                        "{} is a table; write {label} on a line of its own and its keys below",
                        entry.key
                    ),
                ),
            }
        }
    }
}

impl Section {
    /// Where the table begins.
    pub(super) fn header(&self) -> Here {
        self.place(self.table.header.clone(), "")
    }

    /// True if the key is written, whatever it holds.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The table under a key, if it is written and is one; its unknown keys are reported.
    pub(super) fn inner(&self, key: &str, shape: &'static Shape, findings: &mut Findings) -> Option<Self> {
        let entry = self.entry(key)?;
        let Some(table) = entry.value.table() else {
            let here = self.place(entry.span.clone(), key);
            findings.fault(&here, format!("{key} is a table; write {} and its keys below", shape.label));
            return None;
        };
        Some(self.below(table, 0, shape, findings))
    }

    fn below(&self, table: &Table, index: usize, shape: &'static Shape, findings: &mut Findings) -> Self {
        let extent = extent(findings.text(self.file), table.header.start);
        let section = Self { shape, table: table.clone(), file: self.file, index, extent };
        section.check_keys(findings);
        section
    }

    /// The tables under a key, however many; their unknown keys are reported.
    pub(super) fn inner_tables(
        &self,
        key: &str,
        shape: &'static Shape,
        findings: &mut Findings,
    ) -> Vec<Self> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let tables: Option<Vec<&Table>> = match &entry.value {
            Value::List(items) => items.iter().map(|(item, _)| item.table()).collect(),
            Value::Text(_) | Value::Integer(_) | Value::Table(_) | Value::Foreign => None,
        };
        let Some(tables) = tables else {
            let here = self.place(entry.span.clone(), key);
            findings.fault(
                &here,
                format!("{key} is a list of tables; write {} and its keys below, once for each", shape.label),
            );
            return Vec::new();
        };
        tables.into_iter().enumerate().map(|(n, table)| self.below(table, n, shape, findings)).collect()
    }

    /// A text, if it is written and is one.
    pub(super) fn text(&self, key: &str, findings: &mut Findings) -> Option<At<String>> {
        let entry = self.entry(key)?;
        let here = self.place(entry.span.clone(), key);
        match &entry.value {
            Value::Text(text) => Some(At { value: text.clone(), here }),
            Value::Integer(_) | Value::Foreign => {
                let written = findings.written(&here).to_owned();
                findings.fault(&here, format!("{key} must be in quotes; write {key} = \"{written}\""));
                None
            }
            Value::List(_) | Value::Table(_) => {
                findings.fault(&here, format!("{key} must be one text in quotes, {key} = \"…\""));
                None
            }
        }
    }

    /// A text that must be there; `example` is what to write.
    pub(super) fn required(&self, key: &str, example: &str, findings: &mut Findings) -> Option<At<String>> {
        if self.entry(key).is_none() {
            let here = Here { key: self.path(key), ..self.header() };
            findings.missing(&here, &self.extent, format!("has no {key}; write {key} = {example}"));
        }
        self.text(key, findings)
    }

    /// A whole number, if it is written and is one.
    pub(super) fn integer(&self, key: &str, findings: &mut Findings) -> Option<At<i64>> {
        let entry = self.entry(key)?;
        let here = self.place(entry.span.clone(), key);
        match &entry.value {
            Value::Integer(number) => Some(At { value: *number, here }),
            Value::Text(text) if text.trim().parse::<i64>().is_ok() => {
                findings.fault(&here, format!("{key} must be without quotes; write {key} = {}", text.trim()));
                None
            }
            Value::Text(_) | Value::List(_) | Value::Table(_) | Value::Foreign => {
                findings.fault(&here, format!("{key} must be a whole number without quotes"));
                None
            }
        }
    }

    /// A whole number as the text that stands in the file, for what may also be a cell of a spreadsheet.
    pub(super) fn number(&self, key: &str, findings: &mut Findings) -> Option<At<String>> {
        self.integer(key, findings).map(|number| At { value: number.value.to_string(), here: number.here })
    }

    /// A list of texts, if it is written and is one.
    pub(super) fn texts(&self, key: &str, findings: &mut Findings) -> Option<At<Vec<At<String>>>> {
        let entry = self.entry(key)?;
        let here = self.place(entry.span.clone(), key);
        let items = match &entry.value {
            Value::List(items) => items,
            Value::Text(text) => {
                findings.fault(&here, format!("{key} must be a list; write {key} = [\"{text}\"]"));
                return None;
            }
            Value::Integer(_) | Value::Table(_) | Value::Foreign => {
                findings.fault(&here, format!("{key} must be a list of texts, {key} = [\"…\", \"…\"]"));
                return None;
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, (item, span)) in items.iter().enumerate() {
            let here = Here { key: format!("{}[{index}]", self.path(key)), ..self.place(span.clone(), key) };
            match item {
                Value::Text(text) => texts.push(At { value: text.clone(), here }),
                Value::Integer(_) | Value::Foreign | Value::List(_) | Value::Table(_) => {
                    let written = findings.written(&here).to_owned();
                    findings.fault(&here, format!("{key} holds texts only; write \"{written}\" in quotes"));
                }
            }
        }
        // A list whose every item was refused is not an empty list.
        (texts.is_empty() == items.is_empty()).then_some(At { value: texts, here })
    }

    /// One text or a list of them, if it is written.
    pub(super) fn one_or_more(&self, key: &str, findings: &mut Findings) -> Option<At<Vec<At<String>>>> {
        let entry = self.entry(key)?;
        if !matches!(entry.value, Value::Text(_)) {
            return self.texts(key, findings);
        }
        let text = self.text(key, findings)?;
        Some(At { here: text.here.clone(), value: vec![text] })
    }

    /// Where a key is written, or the table where it is not.
    pub(super) fn here(&self, key: &str) -> Here {
        self.entry(key).map_or_else(|| self.header(), |entry| self.place(entry.span.clone(), key))
    }

    /// A list of texts that must be there; `example` is what to write.
    pub(super) fn required_texts(
        &self,
        key: &str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<At<Vec<At<String>>>> {
        if self.entry(key).is_none() {
            let here = Here { key: self.path(key), ..self.header() };
            findings.missing(&here, &self.extent, format!("has no {key}; write {key} = {example}"));
        }
        self.texts(key, findings)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        debug_assert!(self.shape.keys.contains(&key), "{key} is not listed for {}", self.shape.label);
        self.table.entries.iter().find(|e| e.key == key)
    }

    fn place(&self, span: Range<usize>, key: &str) -> Here {
        Here { file: self.file, span, label: self.shape.label, key: self.path(key) }
    }

    fn path(&self, key: &str) -> String {
        let dot = if key.is_empty() { "" } else { "." };
        if self.shape.many {
            format!("{}[{}]{dot}{key}", self.shape.name, self.index)
        } else {
            format!("{}{dot}{key}", self.shape.name)
        }
    }

    fn check_keys(&self, findings: &mut Findings) {
        for entry in self.table.entries.iter().filter(|e| !self.shape.keys.contains(&e.key.as_str())) {
            let here = self.place(entry.key_span.clone(), &entry.key);
            findings.fault(&here, keys::unknown_key(self.shape, &entry.key));
        }
    }
}

impl Table {
    /// `[bus.riser-1]`: names as keys, which we do not use.
    fn only_tables(&self, shape: &Shape) -> bool {
        let strange = |e: &Entry| e.value.table().is_some() && !shape.keys.contains(&e.key.as_str());
        !self.entries.is_empty() && self.entries.iter().all(strange)
    }
}

impl Value {
    fn table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Text(_) | Self::Integer(_) | Self::List(_) | Self::Foreign => None,
        }
    }
}

/// From a header to the next line that begins with `[`.
fn extent(text: &str, start: usize) -> Range<usize> {
    let rest = text.get(start..).unwrap_or("");
    let mut end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
    for line in rest[end..].split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            break;
        }
        end += line.len();
    }
    start..start + end
}

/// A name, which can be a level of a topic.
pub(super) fn name(written: &At<String>, key: &str, findings: &mut Findings) -> Option<Name> {
    if written.value.trim() != written.value {
        findings.fault(
            &written.here,
            format!(
                "{key} \"{0}\" has a space at its end; write \"{1}\"",
                written.value,
                written.value.trim()
            ),
        );
        return None;
    }
    match Name::new(&written.value) {
        Ok(name) => Some(name),
        Err(bad) => {
            findings.fault(&written.here, format!("{key} \"{}\" cannot be used: {bad}", written.value));
            None
        }
    }
}
