//! What the tasks of one stage read: the same for all of them, so it is gathered once and shared.

use std::collections::BTreeMap;
use std::sync::Arc;

use windrow_model::{MapOutputId, WorkerId};

use crate::job::Job;
use crate::stage::Stage;
use crate::{InputRef, StageSize};

#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    /// Ordered by (stage, task).
    pub outputs: Arc<[InputRef]>,
    pub sizes: Arc<[StageSize]>,
    /// How many of them each worker holds.
    pub held: Arc<BTreeMap<WorkerId, u32>>,
}

impl Job {
    /// The outputs that a stage reads. All of them must be there.
    pub fn inputs_of(&mut self, index: u32) -> Inputs {
        if let Some(inputs) = &self.stages[index as usize].inputs {
            return inputs.clone();
        }
        let inputs = self.gather_inputs(&self.stages[index as usize]);
        self.stages[index as usize].inputs = Some(inputs.clone());
        inputs
    }

    fn gather_inputs(&self, stage: &Stage) -> Inputs {
        let mut producers: Vec<u32> = stage.plan.inputs.iter().map(|input| input.stage).collect();
        producers.sort_unstable();
        producers.dedup();
        let (mut outputs, mut sizes) = (Vec::new(), Vec::new());
        let mut held = BTreeMap::new();
        for producer in producers.into_iter().map(|index| &self.stages[index as usize]) {
            let mut size = StageSize { stage: producer.id, rows: 0, bytes: 0 };
            for (index, task) in (0..).zip(&producer.tasks) {
                let Some((attempt, worker)) = task.available() else { continue };
                size.rows += attempt.output.rows;
                size.bytes += attempt.output.bytes;
                outputs.push(InputRef {
                    output: MapOutputId { task: producer.task_id(index), attempt: attempt.id },
                    worker,
                });
                *held.entry(worker).or_insert(0) += 1;
            }
            sizes.push(size);
        }
        Inputs { outputs: outputs.into(), sizes: sizes.into(), held: Arc::new(held) }
    }

    /// The outputs of this stage have changed: its readers gather again.
    pub fn forget_inputs_from(&mut self, producer: u32) {
        for index in 0..self.stages[producer as usize].consumers.len() {
            let consumer = self.stages[producer as usize].consumers[index];
            self.stages[consumer as usize].inputs = None;
        }
    }
}
