//! `meterd report`: how complete a day is and what was consumed, from the store, also while the daemon runs.

mod consumption;
mod data;
mod table;

use super::USAGE;
use crate::config;
use crate::report::{self, By, NoDay, gather};
use crate::store::look;
use clap::{Subcommand, ValueEnum};
use jiff::civil::Date;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How much of a day was read, at once and by now 采集成功率 实抄率
    Rate(RateArgs),
    /// What was consumed in a period, and lost under each total meter 用电量 线损
    Consumption(ConsumptionArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = OF_CONSUMPTION)]
struct ConsumptionArgs {
    /// Configuration 配置文件
    #[arg(long, value_name = "FILE", default_value = "/etc/meterd/meterd.toml")]
    config: PathBuf,
    /// First day, such as 2026-11-01
    #[arg(long, value_name = "DAY")]
    from: Date,
    /// Last day, which is counted too
    #[arg(long, value_name = "DAY")]
    to: Date,
    /// One meter point; else all of them
    #[arg(long, value_name = "METER")]
    meter: Option<String>,
    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
}

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
struct RateArgs {
    /// Configuration 配置文件
    #[arg(long, value_name = "FILE", default_value = "/etc/meterd/meterd.toml")]
    config: PathBuf,
    /// The day 数据日期, such as 2026-11-20; else the last one that was read
    #[arg(long, value_name = "DAY")]
    day: Option<Date>,
    /// One task of values that meters keep; else all of them
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Put meters together
    #[arg(long, value_name = "GROUP")]
    by: Option<By>,
    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Form {
    /// For a terminal
    Table,
    /// For a spreadsheet
    Csv,
    /// For a program
    Json,
}

const NOTES: &str = "\
Of tasks that read a daily freeze 日冻结, a month 月冻结 or a load profile 负荷曲线.
The freeze of midnight closes the day before: 00:00 of the 21st is the 20th.

一次采集成功率  read whole at the first pass, of the slots that were due
日采集成功率    read whole by now, with what was fetched later 补抄; bar 99.5 %
实抄率          customers 户 of whom every billing register is read, of those due;
                bars 98 % of households 居民, 100 % of others. Suspended 暂停,
                removed 暂拆 and closed 销户 points are not due

Rates are rounded down: 100.00 is all of them. It only reads, and may run while
the daemon does.

Exit code: 0 reported, 1 there is nothing to report from, 2 no such task";

const OF_CONSUMPTION: &str = "\
By active_energy_import 正向有功总 as meters froze it 日冻结 at 00:00 of the first day
and at 00:00 behind the last, joined by the archive where a meter was exchanged
换表, times the ratio 倍率. The store keeps these values for 62 days. What is not
there at one of the ends is said and never estimated; the loss 线损 under a total
meter 总表 is told where the consumption of all that are counted there is known.

It only reads, and may run while the daemon does.

Exit code: 0 reported, 1 there is nothing to report from, 2 no such meter or
period";

pub(super) fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Rate(args) => rate(args),
        What::Consumption(args) => consumed(args),
    }
}

fn consumed(args: &ConsumptionArgs) -> anyhow::Result<ExitCode> {
    let plan = match config::load(&args.config) {
        Ok(loaded) => loaded.plan,
        Err(faults) => return Ok(super::faulty(&faults, "nothing can be reported")),
    };
    let (days, only) = ((args.from, args.to), args.meter.as_deref());
    let report = match look(&plan.gateway.data_dir, |look| report::consumed(look, &plan, days, only)) {
        Ok(Ok(report)) => report,
        Ok(Err(why)) => return Ok(super::fail(USAGE, &why.to_string())),
        Err(why) => return Ok(super::fail(1, &why.to_string())),
    };
    let text = match args.format {
        Form::Table => consumption::table(&report, &plan),
        Form::Csv => consumption::csv(&report)?,
        Form::Json => consumption::json(&report, &plan)?,
    };
    super::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn rate(args: &RateArgs) -> anyhow::Result<ExitCode> {
    let plan = match config::load(&args.config) {
        Ok(loaded) => loaded.plan,
        Err(faults) => return Ok(super::faulty(&faults, "nothing can be reported")),
    };
    let which = (args.day, args.task.as_deref());
    let report = match look(&plan.gateway.data_dir, |look| gather(look, &plan, which, args.by)) {
        Ok(Ok(report)) => report,
        Ok(Err(why @ NoDay::Unknown(..))) => return Ok(super::fail(USAGE, &why.to_string())),
        Ok(Err(why)) => return Ok(super::fail(1, &why.to_string())),
        Err(why) => return Ok(super::fail(1, &why.to_string())),
    };
    let text = match args.format {
        Form::Table => table::table(&report, &plan, args.by),
        Form::Csv => data::csv(&report, &plan, args.by)?,
        Form::Json => data::json(&report, &plan, args.by)?,
    };
    super::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The word of `--by`.
fn word(by: By) -> String {
    by.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
