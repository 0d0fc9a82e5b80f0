//! `meterd report`: how complete a day is, from the store, also while the daemon runs.

mod data;
mod table;

use super::USAGE;
use crate::config;
use crate::report::{By, NoDay, gather};
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

pub(super) fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let What::Rate(args) = &args.what;
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
