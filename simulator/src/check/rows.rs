//! S-11: rows that are used together are what one undisturbed run would have written.

use std::collections::BTreeMap;

use windrow_model::{AttemptId, Determinism, TaskId};

use crate::check::ledger::LedgerJob;
use crate::truth::{Choices, Truth, add_to_digest, token_of, union};

/// Tokens by stage, computed once.
type Tokens = BTreeMap<u32, Vec<u64>>;

impl LedgerJob {
    /// The outputs of these attempts are all of a stage's tasks, once each, and fit together.
    pub fn check_rows(&self, stage: u32, attempts: &[(TaskId, AttemptId)], truth: &Truth) -> Result<(), String> {
        let tasks = self.stages.get(stage as usize).map_or(0, |stage| stage.tasks.len());
        let indices: Vec<usize> = attempts.iter().map(|(task, _)| task.index as usize).collect();
        if indices != (0..tasks).collect::<Vec<usize>>() {
            return Err(format!("tasks {indices:?} are used of {tasks}"));
        }
        let mut contents = Vec::new();
        for (task, attempt) in attempts {
            let content = truth.content(*attempt).filter(|content| content.task == *task);
            contents.push(content.ok_or_else(|| format!("{attempt} has written nothing for {task}"))?);
        }
        let lineage = union(contents.iter().copied());
        if let Some(task) = lineage.mixed {
            return Err(format!("rows of two attempts at {task} are mixed"));
        }
        let mut known = Tokens::new();
        let expected = self.expected_tokens(stage, attempts, &lineage.choices, &mut known);
        match contents.iter().zip(&expected).find(|(content, expected)| content.token != **expected) {
            Some((content, _)) => Err(format!("{} has other rows than an undisturbed run", content.task)),
            None => Ok(()),
        }
    }

    /// What each task of the stage writes when the indeterminate ones are those that were chosen.
    fn expected_tokens(
        &self,
        stage: u32,
        attempts: &[(TaskId, AttemptId)],
        choices: &Choices,
        known: &mut Tokens,
    ) -> Vec<u64> {
        if let Some(tokens) = known.get(&stage) {
            return tokens.clone();
        }
        let plan = &self.stages[stage as usize];
        let mut inputs: Vec<u32> = plan.inputs.iter().map(|input| input.stage).collect();
        inputs.sort_unstable();
        inputs.dedup();
        let mut digest = 0;
        for input in inputs {
            let tokens = self.expected_tokens(input, attempts, choices, known);
            for (task, token) in (0..).zip(tokens) {
                digest = add_to_digest(digest, self.task(input, task, attempts), token);
            }
        }
        let choice = |task| match plan.determinism {
            Determinism::Indeterminate => choices.get(&self.task(stage, task, attempts)).copied(),
            Determinism::Determinate | Determinism::Unordered => None,
        };
        let count = plan.tasks.len() as u32;
        let tokens: Vec<u64> = (0..count).map(|task| token_of(plan.fragment, task, digest, choice(task))).collect();
        known.insert(stage, tokens.clone());
        tokens
    }

    /// A task of the job that `attempts` belong to.
    fn task(&self, stage: u32, index: u32, attempts: &[(TaskId, AttemptId)]) -> TaskId {
        let job = attempts.first().map_or(windrow_model::JobId(0), |(task, _)| task.stage.job);
        TaskId { stage: windrow_model::StageId { job, index: stage }, index }
    }
}
