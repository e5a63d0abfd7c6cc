//! What is really in each output, known to nobody inside the simulated cluster.
//!
//! Rows are modelled by a token. The token of an attempt depends on its task and on the tokens of all it has read;
//! at an indeterminate stage it depends on the attempt too. So an output is right if and only if its token is the one
//! that a single undisturbed run would give, for one choice of an attempt at each indeterminate task.
//! Its *lineage* is that choice, as far as the output depends on it: outputs that are used together must agree on it
//! (the class of SPARK-23207).

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use windrow_model::{AttemptId, Determinism, FragmentHash, TaskId, WorkerId};
use windrow_scheduler::{InputRef, RunTask};

use crate::rng::mix;

/// The attempts at indeterminate tasks that rows were made from.
pub(crate) type Choices = BTreeMap<TaskId, AttemptId>;

/// What the tasks of one stage do.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub determinism: Determinism,
    /// Of an average task on an average worker.
    pub task_time: Duration,
    /// Encoded bytes that a task writes.
    pub bytes: u64,
    pub writes_files: bool,
}

/// What one successful attempt wrote.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub task: TaskId,
    pub token: u64,
    pub lineage: Lineage,
}

/// Where the indeterminate part of some rows comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage {
    pub choices: Rc<Choices>,
    /// A task of which two attempts were used together: these rows must never be seen.
    pub mixed: Option<TaskId>,
}

/// What a reader has read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs {
    digest: u64,
    lineage: Lineage,
}

#[derive(Default)]
pub(crate) struct Truth {
    pub fragments: BTreeMap<FragmentHash, Fragment>,
    contents: BTreeMap<AttemptId, Content>,
    /// Outputs that were moved to the object store, which never fails.
    pub objects: BTreeMap<AttemptId, TaskId>,
    /// The node of each worker id that was ever welcomed, by number.
    places: Vec<Option<u32>>,
    /// The tasks of a stage read the same outputs, one after the other.
    last_read: Option<(Arc<[InputRef]>, Inputs)>,
}

impl Truth {
    pub fn welcomed(&mut self, worker: WorkerId, index: u32) {
        let at = worker.0 as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, None);
        }
        self.places[at] = Some(index);
    }

    /// The node that was welcomed under this id.
    pub fn place(&self, worker: WorkerId) -> Option<u32> {
        self.places.get(worker.0 as usize).copied().flatten()
    }

    pub fn content(&self, attempt: AttemptId) -> Option<&Content> {
        self.contents.get(&attempt)
    }

    /// Reads outputs that are all there.
    pub fn read(&mut self, inputs: &Arc<[InputRef]>) -> Inputs {
        if let Some((last, read)) = &self.last_read
            && Arc::ptr_eq(last, inputs)
        {
            return read.clone();
        }
        let outputs = inputs.iter().filter_map(|input| self.contents.get(&input.output.attempt));
        let read = Inputs { digest: digest_of(outputs.clone()), lineage: union(outputs) };
        self.last_read = Some((Arc::clone(inputs), read.clone()));
        read
    }

    /// The attempt has computed its rows.
    pub fn wrote(&mut self, run: &RunTask, inputs: Inputs) {
        let fragment = self.fragments.get(&run.fragment);
        let indeterminate = fragment.is_some_and(|fragment| fragment.determinism == Determinism::Indeterminate);
        let choice = indeterminate.then_some(run.attempt);
        let mut lineage = inputs.lineage;
        if let Some(attempt) = choice {
            Rc::make_mut(&mut lineage.choices).insert(run.task, attempt);
        }
        let token = token_of(run.fragment, run.task.index, inputs.digest, choice);
        self.contents.insert(run.attempt, Content { task: run.task, token, lineage });
    }
}

/// The rows of one task.
pub(crate) fn token_of(fragment: FragmentHash, task: u32, inputs: u64, choice: Option<AttemptId>) -> u64 {
    let fragment = fragment.0.iter().fold(0, |hash, byte| mix(hash, u64::from(*byte)));
    let choice = choice.map_or(0, |attempt| mix(attempt.epoch, attempt.n));
    mix(mix(mix(fragment, u64::from(task)), inputs), choice)
}

/// All outputs of all input stages, in order: stages from the lowest, tasks from the lowest, each exactly once.
fn digest_of<'a>(outputs: impl Iterator<Item = &'a Content>) -> u64 {
    outputs.fold(0, |digest, output| add_to_digest(digest, output.task, output.token))
}

pub(crate) fn add_to_digest(digest: u64, task: TaskId, token: u64) -> u64 {
    mix(mix(digest, (u64::from(task.stage.index) << 32) | u64::from(task.index)), token)
}

/// The lineage of rows that are used together.
pub(crate) fn union<'a>(outputs: impl Iterator<Item = &'a Content>) -> Lineage {
    let mut lineage = Lineage::default();
    for output in outputs {
        lineage.mixed = lineage.mixed.or(output.lineage.mixed);
        if output.lineage.choices.is_empty() || Rc::ptr_eq(&lineage.choices, &output.lineage.choices) {
            continue;
        }
        if lineage.choices.is_empty() {
            lineage.choices = Rc::clone(&output.lineage.choices);
            continue;
        }
        for (&task, &attempt) in output.lineage.choices.iter() {
            let other = Rc::make_mut(&mut lineage.choices).insert(task, attempt);
            if other.is_some_and(|other| other != attempt) {
                lineage.mixed = Some(task);
            }
        }
    }
    lineage
}
