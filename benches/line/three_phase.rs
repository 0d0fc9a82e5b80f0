//! What is read of a three-phase meter.

/// The 27 registers of a three-phase meter.
pub(crate) const REGISTERS: [&str; 14] = [
    "active_energy_import",
    "active_energy_import_t*",
    "active_energy_export",
    "voltage_l*",
    "current_l*",
    "active_power",
    "active_power_l*",
    "reactive_power",
    "reactive_power_l*",
    "power_factor",
    "power_factor_l*",
    "frequency",
    "clock_date",
    "clock_time",
];
