//! One line about a stage for people: `scan lineitem, filter, partial aggregate`.

use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::sorts::sort::SortExec;

use super::scans::file_scan;
use crate::sink::TableWriteExec;
use crate::user_code::UserCodeExec;

/// A label with more steps than this says less, not more.
const STEPS_MAX: usize = 6;

/// What the stage rooted at `root` does, first step first.
pub(super) fn of(root: &Arc<dyn ExecutionPlan>) -> String {
    let mut steps = Vec::new();
    collect(root, &mut steps);
    if steps.len() > STEPS_MAX {
        let last = steps.split_off(steps.len() - STEPS_MAX / 2);
        steps.truncate(STEPS_MAX / 2);
        steps.push("…".to_owned());
        steps.extend(last);
    }
    if steps.is_empty() { "rows".to_owned() } else { steps.join(", ") }
}

fn collect(plan: &Arc<dyn ExecutionPlan>, steps: &mut Vec<String>) {
    plan.children().into_iter().for_each(|child| collect(child, steps));
    if let Some(step) = step(plan)
        && steps.last() != Some(&step)
    {
        steps.push(step);
    }
}

fn step(plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
    if let Some(scan) = file_scan(plan) {
        return Some(format!("scan {}", table_name(scan)));
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let partial = matches!(aggregate.mode(), AggregateMode::Partial | AggregateMode::PartialReduce);
        return Some(if partial { "partial aggregate" } else { "aggregate" }.to_owned());
    }
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        return Some(sort.fetch().map_or("sort".to_owned(), |fetch| format!("top {fetch}")));
    }
    if let Some(write) = plan.downcast_ref::<TableWriteExec>() {
        return Some(format!("write {}", write.target().format.name()));
    }
    if let Some(code) = plan.downcast_ref::<UserCodeExec>() {
        return Some(format!("{} {}", code.code().role.name(), code.code().table));
    }
    let name = match plan.name() {
        "FilterExec" => "filter",
        "KeyFilterExec" => "filter of keys",
        "KeyProbeExec" => "keys of a join",
        "HashJoinExec" | "SortMergeJoinExec" => "join",
        "NestedLoopJoinExec" => "nested loop join",
        "CrossJoinExec" => "cross join",
        "SortPreservingMergeExec" => "merge",
        "WindowAggExec" | "BoundedWindowAggExec" => "window",
        "UnionExec" | "InterleaveExec" => "union",
        "GlobalLimitExec" | "LocalLimitExec" => "limit",
        "UnnestExec" => "unnest",
        "RecursiveQueryExec" => "recursive query",
        "LazyMemoryExec" => "series",
        _ => return None,
    };
    Some(name.to_owned())
}

/// The plan does not know tables by name: the folder or file that holds them is the best guess.
fn table_name(scan: &FileScanConfig) -> String {
    let mut files = scan.file_groups.iter().flat_map(|group| group.files());
    let Some(first) = files.next() else {
        return "nothing".to_owned();
    };
    let alone = files.next().is_none_or(|second| second.object_meta.location == first.object_meta.location);
    let parts: Vec<String> = first.object_meta.location.parts().map(|part| part.as_ref().to_owned()).collect();
    let folder = parts.iter().rev().skip(1).find(|part| !part.contains('='));
    let file = parts.last().map(|file| file.split('.').next().unwrap_or(file).to_owned());
    // A file that a writer numbered says nothing; its folder is the table.
    let telling = file.filter(|file| alone && !has_partition_columns(scan) && !file.starts_with("part-"));
    telling.or_else(|| folder.cloned()).unwrap_or_else(|| "files".to_owned())
}

fn has_partition_columns(scan: &FileScanConfig) -> bool {
    !scan.table_partition_cols().is_empty()
}
