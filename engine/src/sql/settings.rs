//! Which settings a script may change.

use windrow_model::{ErrorKind, ErrorReport, parse_bytes};

use crate::errors;
use crate::job::EngineOptions;
use crate::plan::PARTITIONS_LIMIT;

/// A setting that a script may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    SmallJobBytes,
    PartitionBytes,
    PartitionsMax,
    OrderJoins,
    SortRanges,
    CoalesceBytes,
    SplitSkewed,
    /// One of DataFusion's.
    DataFusion,
    /// Accepted for scripts written for DataFusion alone; Windrow chooses by itself.
    Ignored,
}

const OWN: [(&str, Setting); 7] = [
    ("windrow.small_job_bytes", Setting::SmallJobBytes),
    ("windrow.partition_bytes", Setting::PartitionBytes),
    ("windrow.partitions_max", Setting::PartitionsMax),
    ("windrow.order_joins", Setting::OrderJoins),
    ("windrow.sort_ranges", Setting::SortRanges),
    ("windrow.coalesce_bytes", Setting::CoalesceBytes),
    ("windrow.split_skewed", Setting::SplitSkewed),
];

const PREFIXES: [&str; 5] = [
    "datafusion.execution.",
    "datafusion.optimizer.",
    "datafusion.sql_parser.",
    "datafusion.format.",
    "datafusion.explain.",
];

/// The number of partitions follows from the cluster and the input.
const IGNORED: [&str; 2] = ["datafusion.execution.target_partitions", "datafusion.execution.planning_concurrency"];

/// Guards against statements that overflow the stack are not for the script to lift.
const REFUSED: [&str; 1] = ["datafusion.sql_parser.recursion_limit"];

/// Errors with `Unsupported` and the nearest setting's name.
pub(crate) fn check_setting(name: &str) -> Result<Setting, ErrorReport> {
    if let Some((_, setting)) = OWN.iter().find(|(own, _)| *own == name) {
        return Ok(*setting);
    }
    if IGNORED.contains(&name) {
        return Ok(Setting::Ignored);
    }
    if !REFUSED.contains(&name) && PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(Setting::DataFusion);
    }
    let report = ErrorReport::new(ErrorKind::Unsupported, format!("the setting `{name}` cannot be changed in a job"));
    Err(match errors::nearest(name, OWN.iter().map(|(own, _)| *own)) {
        Some(own) => report.with_hint(format!("did you mean `{own}`?")),
        None => report.with_hint(format!(
            "a job may set {}*, and {}",
            PREFIXES.join("*, "),
            OWN.map(|own| own.0).join(", ")
        )),
    })
}

impl Setting {
    /// Sets one of Windrow's own settings; `None` puts the default back.
    pub fn apply(
        self,
        options: &mut EngineOptions,
        defaults: &EngineOptions,
        value: Option<&str>,
    ) -> Result<(), ErrorReport> {
        let bytes = |default: u64| match value {
            None => Ok(default),
            Some(text) => parse_bytes(text).map_err(|error| ErrorReport::invalid(error.to_string())),
        };
        match self {
            Setting::SmallJobBytes => options.small_job_bytes = bytes(defaults.small_job_bytes)?,
            Setting::CoalesceBytes => options.coalesce_bytes = bytes(defaults.coalesce_bytes)?,
            Setting::PartitionBytes => options.partition_bytes = bytes(defaults.partition_bytes)?.max(1),
            Setting::PartitionsMax => {
                options.partitions_max = value.map_or(Ok(defaults.partitions_max), parse_partitions)?
            }
            Setting::SortRanges => options.sort_ranges = value.map_or(Ok(defaults.sort_ranges), parse_switch)?,
            Setting::SplitSkewed => options.split_skewed = value.map_or(Ok(defaults.split_skewed), parse_switch)?,
            Setting::OrderJoins => options.order_joins = value.map_or(Ok(defaults.order_joins), parse_switch)?,
            Setting::DataFusion | Setting::Ignored => {}
        }
        Ok(())
    }
}

fn parse_partitions(text: &str) -> Result<u32, ErrorReport> {
    let number = text.parse().ok().filter(|number| (1..=PARTITIONS_LIMIT).contains(number));
    number.ok_or_else(|| {
        ErrorReport::invalid(format!("`{text}` is not a number of partitions"))
            .with_hint(format!("give a whole number from 1 to {PARTITIONS_LIMIT}"))
    })
}

fn parse_switch(text: &str) -> Result<bool, ErrorReport> {
    match text {
        "true" | "on" => Ok(true),
        "false" | "off" => Ok(false),
        _ => Err(ErrorReport::invalid(format!("`{text}` is neither on nor off")).with_hint("give true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_settings_may_be_changed() {
        assert_eq!(check_setting("windrow.partition_bytes"), Ok(Setting::PartitionBytes));
        assert_eq!(check_setting("datafusion.execution.batch_size"), Ok(Setting::DataFusion));
        assert_eq!(check_setting("datafusion.execution.target_partitions"), Ok(Setting::Ignored));
        for name in
            ["datafusion.runtime.memory_limit", "datafusion.catalog.location", "datafusion.sql_parser.recursion_limit"]
        {
            assert_eq!(check_setting(name).unwrap_err().kind, ErrorKind::Unsupported, "{name}");
        }
        let report = check_setting("windrow.small_job_byte").unwrap_err();
        assert_eq!(report.hint, "did you mean `windrow.small_job_bytes`?");
    }

    #[test]
    fn own_settings_take_sizes_and_can_be_reset() {
        let defaults = EngineOptions::default();
        let mut options = defaults.clone();
        Setting::SmallJobBytes.apply(&mut options, &defaults, Some("1MiB")).unwrap();
        assert_eq!(options.small_job_bytes, 1 << 20);
        Setting::SmallJobBytes.apply(&mut options, &defaults, None).unwrap();
        assert_eq!(options.small_job_bytes, defaults.small_job_bytes);
        assert!(Setting::PartitionBytes.apply(&mut options, &defaults, Some("many")).is_err());
        Setting::PartitionsMax.apply(&mut options, &defaults, Some("512")).unwrap();
        assert_eq!(options.partitions_max, 512);
        Setting::OrderJoins.apply(&mut options, &defaults, Some("off")).unwrap();
        assert!(!options.order_joins);
        assert_eq!(
            Setting::OrderJoins.apply(&mut options, &defaults, Some("no")).unwrap_err().hint,
            "give true or false"
        );
        for wrong in ["0", "4097", "-1", "1.5", "512KiB", ""] {
            let report = Setting::PartitionsMax.apply(&mut options, &defaults, Some(wrong)).unwrap_err();
            assert_eq!(report.hint, "give a whole number from 1 to 4096", "{wrong}");
        }
        Setting::PartitionsMax.apply(&mut options, &defaults, None).unwrap();
        assert_eq!(options.partitions_max, defaults.partitions_max);
    }
}
