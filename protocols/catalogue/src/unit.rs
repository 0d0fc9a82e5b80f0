//! Quantities and units.

/// What a register measures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Quantity {
    ActiveEnergy,
    ReactiveEnergy,
    ApparentEnergy,
    MaxDemand,
    Demand,
    Voltage,
    Current,
    ActivePower,
    ReactivePower,
    ApparentPower,
    PowerFactor,
    Angle,
    Thd,
    Harmonic,
    Frequency,
    Temperature,
    Battery,
    Instant,
    Nameplate,
    Prepayment,
    Parameter,
    Bits,
    Counter,
    Duration,
    Charge,
    Record,
}

/// Which transformers a quantity is seen through.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transformed {
    /// CT.
    ByCurrent,
    /// PT.
    ByVoltage,
    /// CT × PT.
    ByBoth,
    /// Neither: the ratio is 1.
    Not,
}

impl Quantity {
    pub(crate) const ALL: [Self; 26] = [
        Self::ActiveEnergy,
        Self::ReactiveEnergy,
        Self::ApparentEnergy,
        Self::MaxDemand,
        Self::Demand,
        Self::Voltage,
        Self::Current,
        Self::ActivePower,
        Self::ReactivePower,
        Self::ApparentPower,
        Self::PowerFactor,
        Self::Angle,
        Self::Thd,
        Self::Harmonic,
        Self::Frequency,
        Self::Temperature,
        Self::Battery,
        Self::Instant,
        Self::Nameplate,
        Self::Prepayment,
        Self::Parameter,
        Self::Bits,
        Self::Counter,
        Self::Duration,
        Self::Charge,
        Self::Record,
    ];

    /// As it stands in the tables: `active_energy`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ActiveEnergy => "active_energy",
            Self::ReactiveEnergy => "reactive_energy",
            Self::ApparentEnergy => "apparent_energy",
            Self::MaxDemand => "max_demand",
            Self::Demand => "demand",
            Self::Voltage => "voltage",
            Self::Current => "current",
            Self::ActivePower => "active_power",
            Self::ReactivePower => "reactive_power",
            Self::ApparentPower => "apparent_power",
            Self::PowerFactor => "power_factor",
            Self::Angle => "angle",
            Self::Thd => "thd",
            Self::Harmonic => "harmonic",
            Self::Frequency => "frequency",
            Self::Temperature => "temperature",
            Self::Battery => "battery",
            Self::Instant => "instant",
            Self::Nameplate => "nameplate",
            Self::Prepayment => "prepayment",
            Self::Parameter => "parameter",
            Self::Bits => "bits",
            Self::Counter => "counter",
            Self::Duration => "duration",
            Self::Charge => "charge",
            Self::Record => "record",
        }
    }

    /// Which ratio applies to it.
    pub const fn transformed(self) -> Transformed {
        match self {
            Self::ActiveEnergy
            | Self::ReactiveEnergy
            | Self::ApparentEnergy
            | Self::MaxDemand
            | Self::Demand
            | Self::ActivePower
            | Self::ReactivePower
            | Self::ApparentPower => Transformed::ByBoth,
            Self::Voltage => Transformed::ByVoltage,
            Self::Current | Self::Charge => Transformed::ByCurrent,
            Self::PowerFactor
            | Self::Angle
            | Self::Thd
            | Self::Harmonic
            | Self::Frequency
            | Self::Temperature
            | Self::Battery
            | Self::Instant
            | Self::Nameplate
            | Self::Prepayment
            | Self::Parameter
            | Self::Bits
            | Self::Counter
            | Self::Duration
            | Self::Record => Transformed::Not,
        }
    }
}

/// A unit as it is printed; `None` of an option means that the value has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the units")]
pub enum Unit {
    KWh,
    Kvarh,
    KVAh,
    KW,
    Kvar,
    KVA,
    V,
    A,
    Hz,
    Degree,
    Percent,
    Celsius,
    Minute,
    Cny,
    CnyPerKWh,
    Second,
    Millisecond,
    Ah,
    ImpPerKWh,
    ImpPerKvarh,
}

impl Unit {
    pub(crate) const ALL: [Self; 20] = [
        Self::KWh,
        Self::Kvarh,
        Self::KVAh,
        Self::KW,
        Self::Kvar,
        Self::KVA,
        Self::V,
        Self::A,
        Self::Hz,
        Self::Degree,
        Self::Percent,
        Self::Celsius,
        Self::Minute,
        Self::Cny,
        Self::CnyPerKWh,
        Self::Second,
        Self::Millisecond,
        Self::Ah,
        Self::ImpPerKWh,
        Self::ImpPerKvarh,
    ];

    /// As it stands in a payload: `kWh`, `°C`, `min`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::KWh => "kWh",
            Self::Kvarh => "kvarh",
            Self::KVAh => "kVAh",
            Self::KW => "kW",
            Self::Kvar => "kvar",
            Self::KVA => "kVA",
            Self::V => "V",
            Self::A => "A",
            Self::Hz => "Hz",
            Self::Degree => "°",
            Self::Percent => "%",
            Self::Celsius => "°C",
            Self::Minute => "min",
            Self::Cny => "CNY",
            Self::CnyPerKWh => "CNY/kWh",
            Self::Second => "s",
            Self::Millisecond => "ms",
            Self::Ah => "Ah",
            Self::ImpPerKWh => "imp/kWh",
            Self::ImpPerKvarh => "imp/kvarh",
        }
    }
}
