//! The file scans of a stage, and which of their partitions a task touches.
//!
//! Scans are numbered in pre-order (a node before its children, children from left to right). A fragment carries the
//! number with each scan, which ties a task's splits to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Partitions of one node.
pub(super) type Partitions = BTreeSet<usize>;

/// The file scan that `plan` itself is, if it is one.
pub(crate) fn file_scan(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()
}

/// All file scans below and including `plan`, in the order of their numbers. A scan node that is shared by several
/// parents is listed once.
pub(super) fn file_scans(plan: &Arc<dyn ExecutionPlan>) -> Vec<&FileScanConfig> {
    let numbers = ScanNumbers::of(plan);
    let mut scans: Vec<(u32, &FileScanConfig)> = Vec::new();
    each_scan(plan, &mut |node, scan| scans.push((numbers.get(node).unwrap_or(u32::MAX), scan)));
    scans.sort_by_key(|(number, _)| *number);
    scans.dedup_by_key(|(number, _)| *number);
    scans.into_iter().map(|(_, scan)| scan).collect()
}

/// Paths of the files that `plan` scans, each once, in order.
pub(crate) fn input_files(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let scans = file_scans(plan);
    let files = scans.iter().flat_map(|scan| &scan.file_groups).flat_map(|group| group.files());
    let mut paths: Vec<String> = files.map(|file| file.object_meta.location.to_string()).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn each_scan<'a>(
    plan: &'a Arc<dyn ExecutionPlan>,
    act: &mut dyn FnMut(&'a Arc<dyn ExecutionPlan>, &'a FileScanConfig),
) {
    if let Some(scan) = file_scan(plan) {
        act(plan, scan);
    }
    plan.children().into_iter().for_each(|child| each_scan(child, act));
}

/// The number of each scan node of a stage.
#[derive(Debug, Default)]
pub(super) struct ScanNumbers {
    /// By the node's address: two scans of one table are two nodes, even if they are equal.
    by_node: HashMap<usize, u32>,
}

impl ScanNumbers {
    pub fn of(root: &Arc<dyn ExecutionPlan>) -> ScanNumbers {
        let mut by_node = HashMap::new();
        each_scan(root, &mut |node, _| {
            let next = by_node.len() as u32;
            by_node.entry(address(node)).or_insert(next);
        });
        ScanNumbers { by_node }
    }

    pub fn get(&self, scan: &Arc<dyn ExecutionPlan>) -> Option<u32> {
        self.by_node.get(&address(scan)).copied()
    }
}

fn address(plan: &Arc<dyn ExecutionPlan>) -> usize {
    Arc::as_ptr(plan).cast::<()>() as usize
}

/// Bytes of a file that a scan reads: its range if it has one.
pub(super) fn file_bytes(file: &PartitionedFile) -> u64 {
    match &file.range {
        Some(range) => u64::try_from(range.end - range.start).unwrap_or(0),
        None => file.object_meta.size,
    }
}

/// For each file scan (by number), the partitions that are read when `partitions` of `root` are executed.
pub(super) fn partitions_needed(root: &Arc<dyn ExecutionPlan>, partitions: &[u32]) -> BTreeMap<u32, Partitions> {
    let mut walk = Walk { numbers: ScanNumbers::of(root), needed: BTreeMap::new() };
    walk.visit(root, &partitions.iter().map(|&partition| partition as usize).collect());
    walk.needed
}

struct Walk {
    numbers: ScanNumbers,
    needed: BTreeMap<u32, Partitions>,
}

impl Walk {
    fn visit(&mut self, plan: &Arc<dyn ExecutionPlan>, wanted: &Partitions) {
        if let Some(number) = self.numbers.get(plan) {
            self.needed.entry(number).or_default().extend(wanted);
        }
        for (child, needed) in plan.children().into_iter().zip(needed_of_children(plan, wanted)) {
            self.visit(child, &needed);
        }
    }
}

/// The partitions of each child that are executed when `wanted` ones of `plan` are.
pub(super) fn needed_of_children(plan: &Arc<dyn ExecutionPlan>, wanted: &Partitions) -> Vec<Partitions> {
    let children = plan.children();
    if plan.is::<UnionExec>() {
        return union_children(&children, wanted);
    }
    let count = partition_count(plan);
    let needed = children.iter().enumerate().map(|(index, child)| {
        if wanted.is_empty() {
            Partitions::new()
        } else if mixes(plan, index) || partition_count(child) != count {
            (0..partition_count(child)).collect()
        } else {
            wanted.clone()
        }
    });
    needed.collect()
}

/// A union's partitions are its children's, one child after the other.
fn union_children(children: &[&Arc<dyn ExecutionPlan>], wanted: &Partitions) -> Vec<Partitions> {
    let mut start = 0;
    let mut needed = Vec::with_capacity(children.len());
    for child in children {
        let end = start + partition_count(child);
        needed.push(wanted.range(start..end).map(|partition| partition - start).collect());
        start = end;
    }
    needed
}

/// Whether any one output partition of `plan` may hold rows of every partition of its child number `index`.
fn mixes(plan: &Arc<dyn ExecutionPlan>, index: usize) -> bool {
    let build_side = index == 0;
    plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<SortPreservingMergeExec>()
        || plan.is::<RecursiveQueryExec>()
        || (plan.is::<ScalarSubqueryExec>() && !build_side)
        || (build_side && (plan.is::<CrossJoinExec>() || plan.is::<NestedLoopJoinExec>()))
        || (build_side && is_collect_left(plan))
}

fn is_collect_left(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<HashJoinExec>().is_some_and(|join| *join.partition_mode() == PartitionMode::CollectLeft)
}

pub(super) fn partition_count(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.output_partitioning().partition_count()
}
