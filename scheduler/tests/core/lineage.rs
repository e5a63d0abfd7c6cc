//! Follows which run of each indeterminate task every output was made from (the class of SPARK-23207):
//! nothing that is read or published together may come from two runs of the same task.

use std::collections::BTreeMap;

use windrow_model::{AttemptId, Determinism, StageId, StepPlan, TaskId};
use windrow_scheduler::{CommitRequest, PlanRequest, RunTask};

/// The attempts at indeterminate tasks that an output depends on.
type Lineage = BTreeMap<TaskId, AttemptId>;

#[derive(Default)]
pub struct Lineages {
    indeterminate: Vec<StageId>,
    of: BTreeMap<AttemptId, Lineage>,
}

impl Lineages {
    pub fn planned(&mut self, request: &PlanRequest, plan: &StepPlan) {
        let indeterminate = plan.stages.iter().filter(|stage| stage.determinism == Determinism::Indeterminate);
        self.indeterminate.extend(indeterminate.map(|stage| stage.id(request.job)));
    }

    /// The inputs of a task fit together.
    pub fn run(&mut self, run: &RunTask) {
        let mut lineage = self.union(run.inputs.iter().map(|input| input.output.attempt));
        if self.indeterminate.contains(&run.task.stage) {
            lineage.insert(run.task, run.attempt);
        }
        self.of.insert(run.attempt, lineage);
    }

    /// The files of a commit fit together.
    pub fn commit(&self, request: &CommitRequest) {
        self.union(request.tasks.iter().map(|task| task.attempt));
    }

    /// The outputs fit together.
    pub fn union(&self, attempts: impl Iterator<Item = AttemptId>) -> Lineage {
        let mut union = Lineage::new();
        for (task, by) in attempts.filter_map(|attempt| self.of.get(&attempt)).flatten() {
            let other = union.insert(*task, *by);
            assert!(other.is_none_or(|other| other == *by), "outputs of two runs of {task} are used together");
        }
        union
    }
}
