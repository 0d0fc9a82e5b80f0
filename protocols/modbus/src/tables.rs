//! The text of the tables; the catalogue reads them.

/// Names of registers that meters of Modbus have and DL/T 645 does not: `registers/names.csv`.
pub const NAMES: &str = include_str!("../registers/names.csv");

/// Meter models (表型): name and text of `profiles/NAME.toml`, by name.
pub const PROFILES: &[(&str, &str)] = &[
    ("abb-b23", include_str!("../profiles/abb-b23.toml")),
    ("acrel-adl400", include_str!("../profiles/acrel-adl400.toml")),
    ("acrel-ddsd1352", include_str!("../profiles/acrel-ddsd1352.toml")),
    ("carlo-gavazzi-em24", include_str!("../profiles/carlo-gavazzi-em24.toml")),
    ("carlo-gavazzi-em340", include_str!("../profiles/carlo-gavazzi-em340.toml")),
    ("chint-ddsu666", include_str!("../profiles/chint-ddsu666.toml")),
    ("chint-dtsu666", include_str!("../profiles/chint-dtsu666.toml")),
    ("eastron-sdm120", include_str!("../profiles/eastron-sdm120.toml")),
    ("eastron-sdm630", include_str!("../profiles/eastron-sdm630.toml")),
    ("janitza-umg-b", include_str!("../profiles/janitza-umg-b.toml")),
    ("peacefair-pzem016", include_str!("../profiles/peacefair-pzem016.toml")),
    ("schneider-iem3155", include_str!("../profiles/schneider-iem3155.toml")),
];
