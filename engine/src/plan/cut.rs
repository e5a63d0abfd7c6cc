//! Cuts a plan at its exchanges: what lies between two exchanges is a stage.
//!
//! The cut works from the leaves up. Where rows must cross workers, the plan below becomes a stage and a
//! [`ShuffleReadExec`] takes its place. All tasks of a cut plan execute one partition of their stage's root, or
//! several when the scheduler has put small ones together.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::SessionState;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, RangePartitioning};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning, replace_children_if_necessary};
use windrow_model::{Determinism, StageInput, StagePlan, TaskPlan};

use super::key_filter::{self, KeyFilterExec, KeyProbeExec};
use super::scans::{file_scan, partition_count};
use super::{CutStage, Distributed, OutputPartitioning, Reads, ShuffleReadExec, Spread};
use super::{broadcast, determinism, fragment, label, scalar, splits};
use crate::sink::TableWriteExec;

/// The setting that lets the scans of one process share their files.
const WORK_STEALING: &str = "datafusion.execution.enable_file_stream_work_stealing";

/// Cuts `plan` into stages that are numbered from `first_stage`, and encodes their fragments and splits.
///
/// `plan` was made by a session that [`super::configure`] set up for `spread`; `session` is that session. Leaves that
/// are a [`ShuffleReadExec`] read stages of earlier statements. Errors with `NotImplemented` if an operator cannot be
/// sent to workers. Recurses with the depth of the plan: call it where the stack is deep.
pub fn distribute(
    plan: Arc<dyn ExecutionPlan>,
    spread: &Spread,
    first_stage: u32,
    session: &SessionState,
) -> Result<Distributed, DataFusionError> {
    super::depth::checked_depth(&plan)?;
    let output = if plan.is::<TableWriteExec>() { OutputPartitioning::Sink } else { OutputPartitioning::Single };
    let mut cut = Cut::new(spread, first_stage, session);
    let plan = widened(plan, session.config_options())?;
    let root = match spread {
        Spread::Whole { slots, .. } => cut.add_whole_stage(plan, output, *slots)?,
        Spread::Tasks { .. } => {
            let root = cut.below(&plan)?;
            cut.add_stage(root, output)?
        }
    };
    Ok(Distributed { stages: cut.stages, root })
}

/// Divides a scan among more partitions if nothing but a write is above it. The planner divides scans for the sake of
/// the operators above them, and here it saw none.
fn widened(plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
    if plan.is::<TableWriteExec>() {
        let inputs = plan.children().into_iter().map(|input| widened(Arc::clone(input), config));
        return replace_children_if_necessary(Arc::clone(&plan), inputs.collect::<Result<_>>()?);
    }
    match file_scan(&plan) {
        Some(scan) if scan.limit.is_none() && scan.output_ordering.is_empty() => {
            let partitions = config.execution.target_partitions;
            let wider =
                if config.optimizer.repartition_file_scans { plan.repartitioned(partitions, config)? } else { None };
            Ok(wider.unwrap_or(plan))
        }
        _ => Ok(plan),
    }
}

/// A cut in progress.
pub(super) struct Cut<'a> {
    /// Finished stages, inputs first.
    pub stages: Vec<CutStage>,
    first_stage: u32,
    /// Partitions of exchanges that the planner did not plan.
    pub partitions: usize,
    settings: Vec<(String, String)>,
    /// Keys of one side of a join filter the other.
    key_filters: bool,
    session: &'a SessionState,
    /// Scalar subqueries whose values may be used by the part of the plan that is being cut.
    pub scopes: Vec<scalar::Scope>,
}

impl<'a> Cut<'a> {
    fn new(spread: &Spread, first_stage: u32, session: &'a SessionState) -> Cut<'a> {
        let partitions = match spread {
            Spread::Whole { .. } => 1,
            Spread::Tasks { partitions, .. } => *partitions as usize,
        };
        let mut settings = fragment::settings_of(session.config_options());
        if matches!(spread, Spread::Tasks { .. }) {
            // Whatever the statement's session says: a task that steals reads what other tasks read too.
            settings.retain(|(key, _)| key != WORK_STEALING);
            settings.push((WORK_STEALING.to_owned(), "false".to_owned()));
        }
        // DataFusion's own switch of the same thing within one process.
        let key_filters = session.config_options().optimizer.enable_dynamic_filter_pushdown;
        Cut { stages: Vec::new(), first_stage, partitions, settings, key_filters, session, scopes: Vec::new() }
    }

    /// Cuts everything below `plan` and `plan` itself; gives the part that belongs to the consuming stage.
    pub fn below(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(repartition) = plan.downcast_ref::<RepartitionExec>() {
            return self.at_repartition(repartition);
        }
        if let Some(coalesce) = plan.downcast_ref::<CoalescePartitionsExec>() {
            let input = self.below(coalesce.input())?;
            return self.gather(input, coalesce.fetch());
        }
        if let Some(merge) = plan.downcast_ref::<SortPreservingMergeExec>() {
            return self.at_merge(plan, merge);
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            if join.mode == PartitionMode::CollectLeft {
                return broadcast::at_hash_join(self, plan, join);
            }
            if self.key_filters && key_filter::may_filter(join) {
                return self.at_partitioned_join(plan, join);
            }
        }
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            return broadcast::at_nested_loop_join(self, plan, join);
        }
        if plan.is::<CrossJoinExec>() {
            return broadcast::at_cross_join(self, plan);
        }
        if let Some(subqueries) = plan.downcast_ref::<ScalarSubqueryExec>() {
            return scalar::at_subqueries(self, subqueries);
        }
        if plan.is::<RecursiveQueryExec>() {
            // Its terms exchange rows through memory, again and again: it stays whole in the one task that needs it.
            return Ok(Arc::clone(plan));
        }
        let children = plan.children().into_iter().map(|child| self.below(child)).collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(Arc::clone(plan), children)
    }

    /// Where the build side has fewer keys than there are, its keys filter the probe side before that is exchanged.
    fn at_partitioned_join(
        &mut self,
        plan: &Arc<dyn ExecutionPlan>,
        join: &HashJoinExec,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let build = self.below(join.left())?;
        let keys: Option<Vec<usize>> =
            join.on().iter().map(|(key, _)| Some(key.downcast_ref::<Column>()?.index())).collect();
        let exchange = keys.and_then(|keys| key_filter::exchange_of(&build, keys));
        let probe = match (exchange, join.right().downcast_ref::<RepartitionExec>()) {
            (Some(exchange), Some(repartition))
                if key_filter::has_fewer_keys(join.left()) && !repartition.preserve_order() =>
            {
                self.filtered_exchange(exchange, repartition, join)?
            }
            _ => None,
        };
        let probe = match probe {
            Some(probe) => probe,
            None => self.below(join.right())?,
        };
        replace_children_if_necessary(Arc::clone(plan), vec![build, probe])
    }

    /// `None` if the sides are not divided in the same way.
    fn filtered_exchange(
        &mut self,
        build: Arc<dyn ExecutionPlan>,
        probe: &RepartitionExec,
        join: &HashJoinExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Partitioning::Hash(ours, parts), Partitioning::Hash(theirs, others)) =
            (build.output_partitioning().clone(), probe.partitioning().clone())
        else {
            return Ok(None);
        };
        let same = parts == others && join.on().iter().map(|(_, key)| key).eq(theirs.iter());
        if !same || parts < 2 {
            return Ok(None);
        }
        let input = self.below(probe.input())?;
        let filters = self.add_stage(Arc::new(KeyFilterExec::new(build, ours)), OutputPartitioning::Single)?;
        let facts = self.stage_facts(filters);
        let filters = ShuffleReadExec::with_facts(filters, Reads::All, Partitioning::UnknownPartitioning(1), facts);
        let input = KeyProbeExec::new(input, Arc::new(filters), theirs.clone(), parts as u32);
        self.hash_exchange(Arc::new(input), theirs, parts, false).map(Some)
    }

    /// Of the rows of a stage of this statement, of which nothing is known but their columns.
    fn stage_facts(&self, stage: u32) -> EquivalenceProperties {
        let schema = self.stages[(stage - self.first_stage) as usize].physical.schema();
        EquivalenceProperties::new(schema)
    }

    fn at_repartition(&mut self, repartition: &RepartitionExec) -> Result<Arc<dyn ExecutionPlan>> {
        let input = self.below(repartition.input())?;
        match repartition.partitioning() {
            // It only spreads rows over more threads, which tasks do better.
            Partitioning::RoundRobinBatch(_) | Partitioning::UnknownPartitioning(_) => Ok(input),
            Partitioning::Hash(exprs, partitions) => {
                let ordered = repartition.preserve_order();
                self.hash_exchange(input, exprs.clone(), *partitions, ordered)
            }
            Partitioning::Range(ranges) => self.range_exchange(input, ranges.clone()),
        }
    }

    /// Rows of `input` divided by the hash of `exprs`. `ordered`: partitions must be sorted as those of `input` are.
    pub fn hash_exchange(
        &mut self,
        input: Arc<dyn ExecutionPlan>,
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        partitions: usize,
        ordered: bool,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let producers = partition_count(&input);
        if producers == 1 && partitions == 1 {
            return Ok(input);
        }
        let partitioning = Partitioning::Hash(exprs.clone(), partitions);
        let ordering = input.output_ordering().cloned();
        let exchange = RepartitionExec::try_new(Arc::clone(&input), partitioning.clone())?;
        let mut facts = exchange.properties().eq_properties.clone();
        if producers > 1 {
            // Parts of several map outputs arrive in any order.
            facts.clear_orderings();
        }
        let output = OutputPartitioning::Hash { exprs, partitions: partitions as u32 };
        let stage = self.add_stage(input, output)?;
        let read: Arc<dyn ExecutionPlan> =
            Arc::new(ShuffleReadExec::with_facts(stage, Reads::Partition, partitioning, facts));
        match ordering {
            Some(ordering) if ordered && producers > 1 => {
                Ok(Arc::new(SortExec::new(ordering, read).with_preserve_partitioning(true)))
            }
            _ => Ok(read),
        }
    }

    /// Rows of `input` divided by ranges of keys.
    fn range_exchange(
        &mut self,
        input: Arc<dyn ExecutionPlan>,
        ranges: RangePartitioning,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitioning = Partitioning::Range(ranges.clone());
        let exchange = RepartitionExec::try_new(Arc::clone(&input), partitioning.clone())?;
        let mut facts = exchange.properties().eq_properties.clone();
        facts.clear_orderings();
        let stage = self.add_stage(input, OutputPartitioning::Ranges(ranges))?;
        Ok(Arc::new(ShuffleReadExec::with_facts(stage, Reads::Partition, partitioning, facts)))
    }

    /// All rows of `input` in one partition, at most `fetch` of them.
    pub fn gather(&mut self, input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let producers = partition_count(&input);
        if producers == 1 {
            return Ok(match fetch {
                Some(fetch) => Arc::new(GlobalLimitExec::new(input, 0, Some(fetch))),
                None => input,
            });
        }
        let gathered = CoalescePartitionsExec::new(Arc::clone(&input));
        let mut facts = gathered.properties().eq_properties.clone();
        facts.clear_orderings();
        let stage = match table_read(&input) {
            Some(stage) => stage,
            None => self.add_stage(limited(input, fetch), OutputPartitioning::Single)?,
        };
        let read = ShuffleReadExec::with_facts(stage, Reads::All, Partitioning::UnknownPartitioning(1), facts);
        Ok(match fetch {
            Some(fetch) => Arc::new(GlobalLimitExec::new(Arc::new(read), 0, Some(fetch))),
            None => Arc::new(read),
        })
    }

    /// Each map task writes one sorted run; the merge itself stays with the reader.
    fn at_merge(
        &mut self,
        plan: &Arc<dyn ExecutionPlan>,
        merge: &SortPreservingMergeExec,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = self.below(merge.input())?;
        let producers = partition_count(&input);
        if producers == 1 || table_read(&input).is_some() {
            return replace_children_if_necessary(Arc::clone(plan), vec![input]);
        }
        let facts = input.equivalence_properties().clone();
        let stage = self.add_stage(limited(input, merge.fetch()), OutputPartitioning::Single)?;
        let partitioning = Partitioning::UnknownPartitioning(producers);
        let read = Arc::new(ShuffleReadExec::with_facts(stage, Reads::Each, partitioning, facts));
        replace_children_if_necessary(Arc::clone(plan), vec![read])
    }

    /// `input`, of one partition, evaluated once and readable by every task.
    pub fn share(&mut self, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if partition_count(&input) != 1 {
            return internal_err!("what every task reads must have one partition: {}", input.name());
        }
        let facts = input.equivalence_properties().clone();
        let stage = self.add_stage(input, OutputPartitioning::Single)?;
        let partitioning = Partitioning::UnknownPartitioning(1);
        Ok(Arc::new(ShuffleReadExec::with_facts(stage, Reads::All, partitioning, facts)))
    }

    /// Adds the stage that is rooted at `root`, with a task for each of its partitions; gives its index.
    pub fn add_stage(&mut self, root: Arc<dyn ExecutionPlan>, output: OutputPartitioning) -> Result<u32> {
        let root = scalar::provide_values(root, &output, &self.scopes)?;
        let root = self.verified(root)?;
        let tasks = (0..partition_count(&root) as u32).map(|partition| (vec![partition], 1)).collect();
        self.push(root, output, tasks)
    }

    fn add_whole_stage(&mut self, root: Arc<dyn ExecutionPlan>, output: OutputPartitioning, slots: u32) -> Result<u32> {
        let partitions = (0..partition_count(&root) as u32).collect();
        self.push(root, output, vec![(partitions, slots)])
    }

    /// A cut that broke an operator's requirement fails here rather than giving wrong rows.
    fn verified(&self, root: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if broadcast::waits_for_all_tasks(&root) {
            return internal_err!("a join of the stage fills a dynamic filter, which all tasks would wait for");
        }
        let checked = SanityCheckPlan::new().optimize(root, self.session.config_options());
        checked.map_err(|error| error.context("a stage does not meet its operators' requirements"))
    }

    fn push(
        &mut self,
        root: Arc<dyn ExecutionPlan>,
        output: OutputPartitioning,
        tasks: Vec<(Vec<u32>, u32)>,
    ) -> Result<u32> {
        let index = self.first_stage + self.stages.len() as u32;
        let bytes = fragment::encode(&root, &output, &self.settings)?;
        let mut task_splits = Vec::with_capacity(tasks.len());
        let mut plans = Vec::with_capacity(tasks.len());
        for (partitions, slots) in tasks {
            let (splits, input_bytes) = splits::encode(&root, &partitions)?;
            task_splits.push(splits);
            plans.push(TaskPlan { partitions, share: None, slots, input_bytes });
        }
        let plan = StagePlan {
            index,
            label: label::of(&root),
            fragment: fragment::hash(&bytes),
            tasks: plans,
            inputs: inputs_of(&root).into_iter().map(|stage| StageInput { stage }).collect(),
            output_partitions: output.partitions(),
            determinism: determinism::of(&root, &output, &self.stages)?,
            coalescing: None,
        };
        if let Some(same) = self.stages.iter().find(|stage| gives_the_same(stage, &plan, &task_splits)) {
            return Ok(same.plan.index);
        }
        self.stages.push(CutStage { plan, fragment: bytes, splits: task_splits, physical: root, output });
        Ok(index)
    }
}

/// Whether `stage` computes what `plan` would: a statement that says something twice has it computed once.
fn gives_the_same(stage: &CutStage, plan: &StagePlan, splits: &[Option<bytes::Bytes>]) -> bool {
    stage.plan.determinism != Determinism::Indeterminate
        && stage.plan.fragment == plan.fragment
        && stage.plan.tasks == plan.tasks
        && stage.splits == splits
}

/// The stage of a table that an earlier statement made, if `plan` reads it as it is.
fn table_read(plan: &Arc<dyn ExecutionPlan>) -> Option<u32> {
    let read = plan.downcast_ref::<ShuffleReadExec>()?;
    (read.reads() == Reads::Each).then(|| read.stage())
}

/// At most `fetch` rows of each partition: a consumer that wants no more need not be sent more.
fn limited(input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> Arc<dyn ExecutionPlan> {
    match fetch {
        Some(fetch) if input.fetch().is_none_or(|have| have > fetch) => Arc::new(LocalLimitExec::new(input, fetch)),
        _ => input,
    }
}

/// Indices of the stages that `plan` reads.
pub(super) fn inputs_of(plan: &Arc<dyn ExecutionPlan>) -> BTreeSet<u32> {
    let own = plan.downcast_ref::<ShuffleReadExec>().map(ShuffleReadExec::stage);
    own.into_iter().chain(plan.children().into_iter().flat_map(inputs_of)).collect()
}
