//! The scheduling core: a sans-IO state machine, `(state, now, input) -> outbox`.
//!
//! Architecture invariant: no tokio, tonic, prost, serde, datafusion or etcd in the manifest;
//! no clock, no socket, no lock, no randomness but a seeded one in the state, no hash-order iteration.
//! The live coordinator drives it with gRPC and a real clock; a simulator drives the same code with virtual time.
//!
//! # Contract
//!
//! The shell calls [`Scheduler::step`] with one fact at a time and a time that never goes back. Records of the outboxes
//! become durable in their order. If [`Outbox::persist_first`] is set they are durable before anything else of that
//! outbox is delivered, in order; otherwise the rest may be delivered at once.
//! When [`Scheduler::next_deadline`] has passed and nothing else came in, it steps with [`Input::Tick`].
//! Every [`PlanRequest`] is answered by `StagesPlanned` or `PlanFailed`, every [`CommitRequest`] by `CommitFinished` or
//! `CommitFailed`; answers to questions that nobody asks any more are ignored.
//! [`Message::CancelAttempt`] means that the attempt's output is not needed: a worker that has finished it drops it.
//! A worker keeps every successful attempt, reported or not, until it is told to cancel or release it.
//! Attempts that run long report their progress: one that is silent about it for `Limits::hang_timeout` is stopped.
//!
//! # A new leader
//!
//! [`Scheduler::recover`] rebuilds the state from the journal. Workers in it that have not left are awaited. One that
//! comes back within `Limits::recovery_window` is announced by [`Input::WorkerReattached`], with everything it runs and
//! holds; the shell asks [`Scheduler::may_reattach`] first. Until all are back or given up, nothing of the jobs that were
//! taken over is started, released or declared lost. What has completed on a worker that lives does not run again.
//! Records that nobody waited for may be missing at the end of the journal: the inventories make up for them.
//!
//! # How it decides
//!
//! One rule says which stages are *wanted* (`demand`), and everything about running, re-running and releasing stages
//! follows from a change of that. One table says what a failure leads to (`retry`). One pure function says where a task
//! runs (`placement`), one whose turn it is (`queue`), and one who is admitted (`admission`). Whatever does not happen has a [`WaitReason`] (`why`).
//! Slow attempts are raced (`speculation`), slow workers get tasks only where that helps (`pace`), attempts that do not
//! move are stopped (`hanging`), places that keep failing get no tasks for a while (`exclusion`), nor do workers that their
//! peers do not reach (`cut_off`), and workers that leave hand over what is needed (`drain`).
//!
//! # Cost
//!
//! A step costs as much as what it changes: no step reads all workers, all jobs or all tasks of a stage, except where a
//! whole stage or worker changes. What may be due is found through `deadlines`, who has room through `seats`, whose turn
//! it is through `queue`, which task fits through `backlog`. `examples/throughput` measures it.
//!
//! # Invariants
//!
//! [`Scheduler::check_invariants`] checks them all; tests and the simulator do so after every step, debug builds after
//! every step of a small state and now and then of a large one.
//!
//! - I-1: A live attempt holds slots on exactly one worker, which is active or draining.
//! - I-2: The slots granted on a worker and its free slots add up to what it offers; jobs and queues are charged the same.
//! - I-3: A task is live if and only if it has one live attempt, or two of them on two workers; an available or expected
//!   output is that of a successful attempt.
//! - I-4: A stage is done if and only if all its outputs are there, or they were there and were released.
//! - I-5: A job that has ended has no live attempt, unless it restores lost rows of its result.
//! - I-6: A job that has not ended waits for something that has a name.
//! - I-7: Each job is queued, admitted or ended.
//! - I-8: Every task of a wanted stage is queued, running or available; no task of any other stage is.
//! - I-9: A worker that drains, runs nothing and holds nothing needed is let go; a worker that left takes part in nothing.
//! - I-10: After a step nothing is left to decide until the next input or deadline.
//! - I-11: A worker is known to hold exactly the outputs that are available on it, and none after it left; an awaited
//!   worker is known to be expected to hold some.
//! - I-12: Attempt numbers are given out once, and every attempt that is listed is found by its number.
//! - I-13: Jobs recover exactly while workers are awaited, and only they expect outputs; I-4 and I-8 hold for them after.
//! - I-14: A worker that runs attempts is looked at when one of them may hang.
//! - I-15: What a stage's tasks are told to read is where it is said to be.
//! - I-16: Jobs stand in line in the order of their turns, and no task that waits in a line would fit.

mod admission;
mod attempt;
mod backlog;
mod coalesce;
mod cut_off;
mod deadlines;
mod demand;
mod dispatch;
mod drain;
mod durations;
mod exclusion;
mod failing;
mod hanging;
mod input;
mod inputs;
mod invariants;
mod job;
mod lifecycle;
mod loss;
mod membership;
mod outbox;
mod outputs;
mod pace;
mod placement;
mod queue;
mod reattach;
mod recover;
mod result;
mod retry;
mod scheduler;
mod seats;
mod speculation;
mod stage;
mod task;
mod view;
mod why;
mod worker;

pub use input::{Input, Inventory, RequestId, WorkerSpec};
pub use job::Reason;
pub use outbox::{
    AttemptRun, CommitRequest, CommittedTask, Event, InputRef, Message, Outbox, PlanRequest, Record, Reply, RunTask,
    StageSize,
};
pub use result::{ResultPart, ResultState};
pub use retry::{Blamed, Decision, TaskHistory, counts, decide};
pub use scheduler::Scheduler;
pub use view::{AttemptView, JobView, StageView, StepView, TaskView, WorkerView};
pub use why::WaitReason;
