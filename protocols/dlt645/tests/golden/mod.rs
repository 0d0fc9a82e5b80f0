//! The rows of fixtures/frames.
#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

use std::path::Path;

/// One line of a file of fixtures/frames; its head explains the columns.
pub struct Golden {
    pub id: String,
    pub kind: String,
    pub address: String,
    pub control: String,
    pub di: String,
    pub data: Vec<u8>,
    pub octets: Vec<u8>,
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

pub fn golden(file: &str) -> Vec<Golden> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/frames").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    let all: Vec<_> = lines
        .map(|line| {
            let [id, kind, address, control, di, data, hex, _origin, source] =
                line.split(',').collect::<Vec<_>>().try_into().expect("nine columns");
            assert!(!source.is_empty(), "{id} has no source");
            Golden {
                id: id.into(),
                kind: kind.into(),
                address: address.into(),
                control: control.into(),
                di: di.into(),
                data: octets(data),
                octets: octets(hex),
            }
        })
        .collect();
    assert!(all.len() > 10, "{file} is there");
    all
}
