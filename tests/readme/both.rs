//! The pages by themselves: in step with each other, with the tree and with the schemas.

use crate::page::{CHINESE, ENGLISH, blocks, commands, headings, links, only_block, tests_named};
use crate::{json, root};
use catalogue::Catalogue;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn messages_that_are_shown_fit_the_schemas() {
    let validate = |schema: &str, message: &Json| {
        let validator = jsonschema::validator_for(&json(schema)).unwrap();
        let faults: Vec<String> = validator.iter_errors(message).map(|fault| fault.to_string()).collect();
        assert_eq!(faults, [""; 0], "{message}");
    };
    validate(include_str!("../../fixtures/schema/data.schema.json"), &json(&only_block("json")));
    let status = &ENGLISH[ENGLISH.find("{\"v\":1,\"state\"").unwrap()..];
    let status = &status[..status.find("\n\n").unwrap()];
    validate(include_str!("../../fixtures/schema/status.schema.json"), &json(status));
}

#[test]
fn chinese_page_has_the_same_headings_commands_and_tests() {
    let levels = |page| headings(page).iter().map(|h| h.split(' ').next().unwrap().len()).collect::<Vec<_>>();
    assert_eq!(levels(CHINESE), levels(ENGLISH));
    assert_eq!(commands(CHINESE), commands(ENGLISH));
    assert_eq!(tests_named(CHINESE), tests_named(ENGLISH));
    let languages = |page| blocks(page).into_iter().map(|b| b.language).collect::<Vec<_>>();
    assert_eq!(languages(CHINESE), languages(ENGLISH));
    for (chinese, english) in blocks(CHINESE).iter().zip(&blocks(ENGLISH)) {
        if ["text", "json"].contains(&english.language.as_str()) {
            assert_eq!(chinese.text, english.text);
        }
    }
    let files = |page| {
        links(page)
            .into_iter()
            .filter(|l| !l.starts_with('#') && !l.starts_with("README"))
            .collect::<Vec<_>>()
    };
    assert_eq!(files(CHINESE), files(ENGLISH));
}

#[test]
fn every_test_that_is_named_is_there() {
    let named = tests_named(ENGLISH);
    assert!(named.len() > 20, "{named:?}");
    let mut sources = String::new();
    for folder in ["src", "tests", "protocols"] {
        collect(&root(folder), &mut sources);
    }
    let missing: Vec<_> =
        named.into_iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert_eq!(missing, [""; 0], "no such test");
}

fn collect(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|e| e == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for page in [ENGLISH, CHINESE, include_str!("../../CONTRIBUTING.md")] {
        let anchors: BTreeSet<String> = headings(page).into_iter().map(anchor).collect();
        for link in links(page) {
            match link.strip_prefix('#') {
                Some(within) => assert!(anchors.contains(within), "#{within}: {anchors:?}"),
                None => assert!(root(link).exists(), "{link}"),
            }
        }
    }
}

/// The anchor that is made of a heading: lower case, no punctuation, - for spaces.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn the_page_is_short_and_begins_with_its_sentence() {
    assert!(ENGLISH.lines().count() <= 520 && CHINESE.lines().count() <= 520);
    let first = ENGLISH.lines().nth(2).unwrap();
    assert!(
        first.starts_with("meterd asks electricity meters") && first.contains("DL/T 645-2007"),
        "{first}"
    );
    assert!(!ENGLISH.contains("!["), "no badges");
    for line in ENGLISH.lines().filter(|line| !line.starts_with('|')) {
        assert!(line.chars().count() <= 100, "too long: {line}");
    }
}

#[test]
fn numbers_of_the_page_are_those_of_the_program() {
    let registers = Catalogue::dlt645_2007().registers().count();
    let table = include_str!("../../protocols/dlt645/registers/2007.csv");
    let rows = table.lines().filter(|line| !line.starts_with(['#']) && !line.starts_with("di,")).count();
    let told = ENGLISH.contains(&format!("{registers} registers by {rows} rows of"))
        && CHINESE.contains(&format!("{rows} 行"))
        && CHINESE.contains(&format!("{registers} 个"));
    assert!(told, "there are {registers} registers by {rows} rows");
}
