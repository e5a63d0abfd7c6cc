//! Workers that do exactly what they are told and remember what they hold, so that they can tell it after a failover.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use windrow_model::*;
use windrow_scheduler::*;

#[derive(Clone, Debug, Default)]
pub struct Fake {
    pub running: BTreeMap<AttemptId, TaskId>,
    pub finished: BTreeMap<AttemptId, (TaskId, TaskOutput)>,
    /// Batches it was told to copy, and from whom.
    pub copying: VecDeque<(WorkerId, Vec<MapOutputId>)>,
}

impl Fake {
    pub fn inventory(&self) -> Inventory {
        Inventory {
            running: self.running.iter().map(|(attempt, task)| (*task, *attempt)).collect(),
            finished: self.finished.iter().map(|(attempt, (task, output))| (*task, *attempt, output.clone())).collect(),
        }
    }

    pub fn holds(&self, output: MapOutputId) -> bool {
        self.finished.contains_key(&output.attempt)
    }

    pub fn finish(&mut self, attempt: AttemptId, output: TaskOutput) {
        if let Some(task) = self.running.remove(&attempt) {
            self.finished.insert(attempt, (task, output));
        }
    }

    fn obey(&mut self, message: &Message) {
        match message {
            Message::RunTask(run) => {
                self.running.insert(run.attempt, run.task);
            }
            Message::CancelAttempt { attempt } => {
                self.running.remove(attempt);
                self.finished.remove(attempt);
            }
            Message::ReleaseStages { stages } => self.finished.retain(|_, (task, _)| !stages.contains(&task.stage)),
            Message::ReleaseJob { job } => {
                self.running.retain(|_, task| task.stage.job != *job);
                self.finished.retain(|_, (task, _)| task.stage.job != *job);
            }
            Message::CopyOutputs { outputs, from } => self.copying.push_back((*from, outputs.clone())),
            Message::RepointInputs { .. } => {}
            Message::Shutdown => *self = Fake::default(),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Fakes {
    workers: BTreeMap<WorkerId, Fake>,
    /// Workers that messages do not reach.
    pub muted: BTreeSet<WorkerId>,
}

impl Fakes {
    pub fn get(&mut self, worker: WorkerId) -> &mut Fake {
        self.workers.entry(worker).or_default()
    }

    pub fn holds(&self, worker: WorkerId, output: MapOutputId) -> bool {
        self.workers.get(&worker).is_some_and(|fake| fake.holds(output))
    }

    pub fn obey(&mut self, worker: WorkerId, message: &Message) {
        if !self.muted.contains(&worker) {
            self.get(worker).obey(message);
        }
    }

    /// What a worker reports has happened there.
    pub fn report(&mut self, input: &Input) {
        match input {
            Input::AttemptFinished { worker, attempt, output } => self.get(*worker).finish(*attempt, output.clone()),
            Input::AttemptFailed { worker, attempt, .. } => {
                self.get(*worker).running.remove(attempt);
            }
            Input::WorkerDisconnected { worker } => *self.get(*worker) = Fake::default(),
            _ => {}
        }
    }

    /// The worker takes the next batch it was told to copy, as far as the source still has it.
    pub fn copy(&mut self, receiver: WorkerId) -> Vec<Input> {
        let Some((from, outputs)) = self.get(receiver).copying.pop_front() else { return Vec::new() };
        let (mut copied, mut missing) = (Vec::new(), Vec::new());
        for output in outputs {
            match self.get(from).finished.get(&output.attempt).cloned() {
                Some(content) => {
                    self.get(receiver).finished.insert(output.attempt, content);
                    copied.push(output);
                }
                None => missing.push(output),
            }
        }
        let mut answers = Vec::new();
        if !copied.is_empty() {
            answers.push(Input::OutputsCopied { worker: receiver, from, outputs: copied });
        }
        if !missing.is_empty() {
            let detail = "gone".into();
            answers.push(Input::OutputsNotCopied { worker: receiver, from, outputs: missing, detail });
        }
        answers
    }

    pub fn refuse_copy(&mut self, receiver: WorkerId) -> Vec<Input> {
        let Some((from, outputs)) = self.get(receiver).copying.pop_front() else { return Vec::new() };
        vec![Input::OutputsNotCopied { worker: receiver, from, outputs, detail: "no room".into() }]
    }
}
