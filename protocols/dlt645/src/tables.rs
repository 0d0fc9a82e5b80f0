//! The text of the tables; the catalogue reads them.

/// The registers of DL/T 645-2007: `registers/2007.csv`.
pub const REGISTERS_2007: &str = include_str!("../registers/2007.csv");
/// The fields of its records: `registers/layouts-2007.csv`.
pub const LAYOUTS_2007: &str = include_str!("../registers/layouts-2007.csv");
/// The bits of its words: `registers/bits-2007.csv`.
pub const BITS_2007: &str = include_str!("../registers/bits-2007.csv");

/// The registers of DL/T 645-1997: the same columns; identifiers of 4 digits, their axes are nibbles.
pub const REGISTERS_1997: &str = include_str!("../registers/1997.csv");

/// What single meter models and families have beside their standard (表型): name and text of `profiles/NAME.toml`, by
/// name.
pub const PROFILES: &[(&str, &str)] = &[
    ("clou-1997", include_str!("../profiles/clou-1997.toml")),
    ("clou-export", include_str!("../profiles/clou-export.toml")),
    ("coy-1997", include_str!("../profiles/coy-1997.toml")),
    ("dgn-1997", include_str!("../profiles/dgn-1997.toml")),
    ("dlt645-1997-load-records", include_str!("../profiles/dlt645-1997-load-records.toml")),
    ("dlt645-1997-whole-classes", include_str!("../profiles/dlt645-1997-whole-classes.toml")),
    ("dr-1997", include_str!("../profiles/dr-1997.toml")),
    ("line-voltage", include_str!("../profiles/line-voltage.toml")),
    ("lv-breaker", include_str!("../profiles/lv-breaker.toml")),
    ("pmc-340", include_str!("../profiles/pmc-340.toml")),
    ("relay-state-04ff", include_str!("../profiles/relay-state-04ff.toml")),
    ("sgcc-2014-curves", include_str!("../profiles/sgcc-2014-curves.toml")),
    ("sgcc-9600", include_str!("../profiles/sgcc-9600.toml")),
    ("sgcc-event-fields", include_str!("../profiles/sgcc-event-fields.toml")),
    ("sgcc-unconfirmed", include_str!("../profiles/sgcc-unconfirmed.toml")),
    ("single-registers", include_str!("../profiles/single-registers.toml")),
    ("text-as-typed", include_str!("../profiles/text-as-typed.toml")),
    ("wkj-1997", include_str!("../profiles/wkj-1997.toml")),
];
