//! The scheduling core: a sans-IO state machine, `(state, now, input) -> outbox`.
//!
//! Architecture invariant: no tokio, tonic, prost, serde, datafusion or etcd in the manifest;
//! no clock, no socket, no lock, no randomness but a seeded one in the state, no hash-order iteration.
//! The live coordinator drives it with gRPC and a real clock; a simulator drives the same code with virtual time.
//!
//! # Contract
//!
//! The shell calls [`Scheduler::step`] with one fact at a time and a time that never goes back,
//! makes `outbox.records` durable, and only then delivers the rest of the outbox, in order.
//! When [`Scheduler::next_deadline`] has passed and nothing else came in, it steps with [`Input::Tick`].
//! Every [`PlanRequest`] is answered by `StagesPlanned` or `PlanFailed`, every [`CommitRequest`] by `CommitFinished` or
//! `CommitFailed`; answers to questions that nobody asks any more are ignored.
//! [`Message::CancelAttempt`] means that the attempt's output is not needed: a worker that has finished it drops it.
//!
//! # How it decides
//!
//! One rule says which stages are *wanted* (`demand`), and everything about running, re-running and releasing stages
//! follows from a change of that. One table says what a failure leads to (`retry`). One pure function says where a task
//! runs (`placement`), and one whose turn it is (`queue`). Whatever does not happen has a [`WaitReason`] (`why`).
//!
//! # Invariants
//!
//! [`Scheduler::check_invariants`] checks them all; tests and the simulator do so after every step, debug builds always.
//!
//! - I-1: A live attempt holds slots on exactly one worker, which is present.
//! - I-2: The slots granted on a worker and its free slots add up to what it offers; jobs and queues are charged the same.
//! - I-3: A task has at most one live attempt; a live or available task means its newest attempt.
//! - I-4: A stage is done if and only if all its outputs are there, or they were there and were released.
//! - I-5: A job that has ended has no live attempt, unless it restores lost rows of its result.
//! - I-6: A job that has not ended waits for something that has a name.
//! - I-7: Each job is queued, admitted or ended, within the limits of each.
//! - I-8: Every task of a wanted stage is queued, running or available; no task of any other stage is.
//! - I-9: A worker that drains, runs nothing and holds nothing needed is let go; a worker that left takes part in nothing.
//! - I-10: After a step nothing is left to decide until the next input or deadline.
//! - I-11: A worker is known to hold exactly the outputs that are available on it, and none after it left.
//! - I-12: Attempt numbers are given out once.

mod attempt;
mod demand;
mod dispatch;
mod input;
mod invariants;
mod job;
mod lifecycle;
mod membership;
mod outbox;
mod placement;
mod queue;
mod recover;
mod retry;
mod scheduler;
mod stage;
mod view;
mod why;
mod worker;

pub use input::{Input, Inventory, RequestId, WorkerSpec};
pub use job::Reason;
pub use outbox::{
    AttemptRun, CommitRequest, CommittedTask, Event, InputRef, Message, Outbox, PlanRequest, Record, Reply, RunTask,
};
pub use retry::{Blamed, Decision, TaskHistory, counts, decide};
pub use scheduler::Scheduler;
pub use view::{AttemptView, JobView, ResultPart, ResultState, StageView, StepView, TaskView, WorkerView};
pub use why::WaitReason;
