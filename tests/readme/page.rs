//! Reads the two pages: blocks, commands, names of tests, links, headings.

use catalogue::Catalogue;
use std::collections::BTreeSet;

pub(crate) const ENGLISH: &str = include_str!("../../README.md");
pub(crate) const CHINESE: &str = include_str!("../../README.zh-CN.md");

/// A fenced block.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(language) if !inside => {
                found.push(Block { language: language.to_owned(), text: String::new() });
                inside = true;
            }
            Some(_) => inside = false,
            None if inside => {
                let text = &mut found.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    assert!(!inside, "a block is not closed");
    found
}

/// Commands, each on one line, without what is said of them behind `#`.
pub(crate) fn commands_of(block: &Block) -> Vec<String> {
    let text = if block.language == "sh" { block.text.replace("\\\n  ", "") } else { String::new() };
    text.lines().map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect()
}

pub(crate) fn commands(page: &str) -> Vec<String> {
    blocks(page).iter().flat_map(commands_of).collect()
}

/// What the page shows below a command: the text block behind its block, of which it is the last.
pub(crate) fn transcript(command: &str) -> String {
    let blocks = blocks(ENGLISH);
    let at = blocks.iter().position(|b| commands_of(b).iter().any(|c| c == command)).unwrap();
    let shown = &blocks[at + 1];
    assert_eq!(shown.language, "text", "below {command}");
    shown.text.clone()
}

pub(crate) fn only_block(language: &str) -> String {
    let mut found = blocks(ENGLISH).into_iter().filter(|b| b.language == language);
    let text = found.next().unwrap().text;
    assert!(found.next().is_none(), "two blocks of {language}");
    text
}

/// What stands between backticks on one line.
pub(crate) fn quoted(page: &str) -> BTreeSet<&str> {
    let outside_blocks = page.split("```").step_by(2);
    outside_blocks.flat_map(str::lines).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// Names with at least two underscores that are no registers: names of tests.
pub(crate) fn tests_named(page: &str) -> BTreeSet<&str> {
    let is_name =
        |text: &&str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let long = |text: &&str| text.matches('_').count() >= 2;
    let no_register = |text: &&str| Catalogue::dlt645_2007().find(text, 4).is_err();
    quoted(page).into_iter().filter(is_name).filter(long).filter(no_register).collect()
}

/// Targets of links.
pub(crate) fn links(page: &str) -> Vec<&str> {
    page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect()
}

pub(crate) fn headings(page: &str) -> Vec<&str> {
    let outside_blocks: Vec<&str> = page.split("```").step_by(2).collect();
    outside_blocks.into_iter().flat_map(str::lines).filter(|line| line.starts_with('#')).collect()
}

/// Holds `text` to stand in both pages.
pub(crate) fn assert_in_both(text: &str) {
    assert!(ENGLISH.contains(text), "README.md does not have: {text}");
    assert!(CHINESE.contains(text), "README.zh-CN.md does not have: {text}");
}
