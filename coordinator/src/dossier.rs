//! What the shell keeps about one job beside the core: artefacts, metrics, published files and who watches.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::watch;
use windrow_engine::job::JobSession;
use windrow_model::{AttemptId, FragmentHash, TaskId, WorkerId, WrittenFile};
use windrow_proto as wire;

use crate::artefacts::{CommitState, StepArtefacts, Target};
use crate::history::Told;

/// Bytes of logs that are kept of one job, beside the lines that say that there was no room.
const SAID_BYTES_MAX: usize = 8 << 20;

fn said_bytes(said: &wire::Said) -> usize {
    let counters: usize = said.counters.keys().map(|name| name.len() + size_of::<i64>()).sum();
    said.log.len() + said.status.len() + counters
}

/// Soft state of a job; all of it can be lost without harm to what the job has made.
pub(crate) struct Dossier {
    pub(crate) steps: BTreeMap<u32, StepArtefacts>,
    /// Lines for people, in the order they were made.
    pub(crate) notes: Vec<String>,
    pub(crate) files: Vec<WrittenFile>,
    pub(crate) uses: BTreeMap<WorkerId, Usage>,
    /// Of attempts that finished.
    pub(crate) operators: BTreeMap<AttemptId, Vec<wire::OperatorMetrics>>,
    /// What remains of them when the job has ended: sums by stage index.
    pub(crate) stage_operators: BTreeMap<u32, Vec<wire::OperatorMetrics>>,
    /// What the user's code of attempts has said.
    pub(crate) said: BTreeMap<AttemptId, wire::Said>,
    /// Bytes of it.
    said_bytes: usize,
    /// How much of the notes and files is in the job's log.
    pub(crate) told: Told,
    /// A leader before this one may have noted something about it that nobody has read yet.
    pub(crate) inherited: bool,
    /// It had ended when this leader took over.
    pub(crate) ended_before: bool,
    /// The planner's session; absent while it plans, before the first step and after the last.
    pub(crate) session: Option<JobSession>,
    /// Marked at every change that a watcher may want to see; true once the job has ended.
    pub(crate) changed: watch::Sender<bool>,
}

/// What one worker process did for the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) host: String,
    pub(crate) rss_peak_bytes: u64,
    pub(crate) cpu_us: u64,
}

/// The blobs a task depends on, as its worker will look them up.
pub(crate) struct TaskBlobs {
    pub(crate) fragment: Bytes,
    pub(crate) splits: Option<(FragmentHash, Bytes)>,
}

impl Dossier {
    pub(crate) fn new() -> Dossier {
        Dossier {
            steps: BTreeMap::new(),
            notes: Vec::new(),
            files: Vec::new(),
            uses: BTreeMap::new(),
            operators: BTreeMap::new(),
            stage_operators: BTreeMap::new(),
            said: BTreeMap::new(),
            said_bytes: 0,
            told: Told::default(),
            inherited: false,
            ended_before: false,
            session: None,
            changed: watch::Sender::new(false),
        }
    }

    /// From then on it does not change any more: attempts that are told to end may still run for a while, and that is
    /// nothing that the job did.
    pub(crate) fn is_sealed(&self) -> bool {
        *self.changed.borrow()
    }

    /// Replaces what the attempt had said before. Of a job with too many logs the later ones are not kept.
    pub(crate) fn hear(&mut self, attempt: AttemptId, mut said: wire::Said) {
        let before = self.said.get(&attempt).map_or(0, said_bytes);
        if self.said_bytes - before + said_bytes(&said) > SAID_BYTES_MAX {
            said =
                wire::Said { log: "(the job's logs are too large to be kept)\n".to_owned(), ..wire::Said::default() };
        }
        self.said_bytes = self.said_bytes - before + said_bytes(&said);
        self.said.insert(attempt, said);
    }

    /// `None` if the fragment is not kept any more.
    pub(crate) fn blobs(&self, task: TaskId, fragment: FragmentHash) -> Option<TaskBlobs> {
        let fragment = self.steps.values().find_map(|step| step.fragment(fragment))?.clone();
        let splits = self.steps.values().find_map(|step| step.splits(task)).cloned();
        Some(TaskBlobs { fragment, splits })
    }

    /// No task of the job will ever run again.
    pub(crate) fn forget_blobs(&mut self) {
        self.steps.values_mut().for_each(StepArtefacts::forget_blobs);
    }

    /// Places whose staged files nobody will publish; each is named once.
    pub(crate) fn abandon_targets(&mut self) -> Vec<windrow_engine::sink::OutputTarget> {
        let targets = self.steps.values_mut().filter_map(|step| step.target.as_mut());
        let open = targets.filter(|target| target.commit == CommitState::NotAsked);
        open.flat_map(Target::abandon).collect()
    }

    /// Why commits that are under way have not ended, one line each.
    pub(crate) fn commit_delays(&self) -> Vec<String> {
        let delay = |(step, artefacts): (&u32, &StepArtefacts)| match &artefacts.target.as_ref()?.commit {
            CommitState::Delayed(report) => {
                Some(format!("the commit of statement {} met an error and is tried again: {report}", step + 1))
            }
            CommitState::NotAsked
            | CommitState::Inherited
            | CommitState::Running
            | CommitState::Done
            | CommitState::Abandoned => None,
        };
        self.steps.iter().filter_map(delay).collect()
    }

    pub(crate) fn used(&mut self, worker: WorkerId, host: &str) -> &mut Usage {
        self.uses.entry(worker).or_insert_with(|| Usage { host: host.to_owned(), ..Usage::default() })
    }
}
