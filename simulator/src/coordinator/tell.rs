//! What one step wants told, and to whom.

use std::rc::Rc;
use std::time::Duration;

use windrow_model::{ErrorReport, JobId, StepPlan, WorkerId};
use windrow_scheduler::{Input, Message, Outbox, PlanRequest, Reply};

use crate::context::Cx;
use crate::coordinator::leader::Leader;
use crate::coordinator::sessions::Sessions;
use crate::describe::{Described, message_kind};
use crate::event::CoordinatorTimer;
use crate::node::Node;
use crate::packet::{Answer, Body};
use crate::trace::log;
use crate::workload::{order_of, plan_step};

/// How long planning one statement takes.
const PLANNING_MIN: Duration = Duration::from_millis(5);
const PLANNING_MAX: Duration = Duration::from_millis(100);

/// A worker that waits to be told its id.
#[derive(Clone, Copy)]
pub(crate) struct Welcome {
    pub worker: WorkerId,
    pub node: Node,
    pub session: u64,
}

/// The effects of one step, or the answers to one question.
#[derive(Default)]
pub(crate) struct Tell {
    /// Length of the journal that must be durable before.
    pub needs: u64,
    welcome: Option<Welcome>,
    /// Each with the connection that was open when it was decided: what is said to a connection that has broken
    /// since is not said to the next one, whose worker has told what it has.
    messages: Vec<(Node, u64, Message)>,
    /// What the object store is told.
    for_store: Vec<Message>,
    outbox: Outbox,
    answers: Vec<(u64, Answer)>,
}

impl Tell {
    /// An answer that must not be given before the journal is so long.
    pub fn answer(needs: u64, request: u64, answer: Answer) -> Tell {
        Tell { needs, answers: vec![(request, answer)], ..Tell::default() }
    }

    pub fn new(needs: u64, welcome: Option<Welcome>, mut outbox: Outbox, sessions: &Sessions) -> Tell {
        let for_store = outbox.messages.iter().filter(|(worker, _)| *worker == WorkerId::SHUFFLE_STORE);
        let for_store = for_store.map(|(_, message)| message.clone()).collect();
        let messages = std::mem::take(&mut outbox.messages).into_iter();
        let to_session = |(worker, message)| {
            let (node, session) = sessions.of(obeying(worker, &message))?;
            Some((node, session, message))
        };
        let messages = messages.filter_map(to_session).collect();
        Tell { needs, welcome, messages, for_store, outbox, answers: Vec::new() }
    }
}

impl Leader {
    pub(super) fn tell(&mut self, tell: Tell, cx: &mut Cx) {
        let Tell { needs: _, welcome, messages, for_store, outbox, answers } = tell;
        let here = self.seat.node();
        if let Some(Welcome { worker, node, session }) = welcome {
            cx.send(here, node, session, Body::Welcome { worker, epoch: self.epoch });
        }
        for_store.iter().for_each(|message| release_objects(message, cx));
        for (node, session, message) in messages {
            log!(cx, "e{} tells {node}: {}", self.epoch, Described(&message));
            cx.judge.counter.count("message", message_kind(&message));
            cx.send(here, node, session, Body::Command(Box::new(message)));
        }
        for request in outbox.plan_requests {
            self.plan(&request, cx);
        }
        for request in outbox.commit_requests {
            self.publish(request, cx);
        }
        self.follow_events(&outbox.events, cx);
        for reply in outbox.replies {
            let (request, answer) = answer_of(reply);
            self.answer(request, answer, cx);
        }
        for (request, answer) in answers {
            self.answer(request, answer, cx);
        }
    }

    fn answer(&mut self, request: u64, answer: Answer, cx: &mut Cx) {
        cx.send(self.seat.node(), Node::Client, 0, Body::Answer { request, answer: Box::new(answer) });
    }

    /// Plans are made beside the loop and die with the process.
    fn plan(&mut self, request: &PlanRequest, cx: &mut Cx) {
        let PlanRequest { job, step, .. } = *request;
        let view = self.core.job(job);
        let order = view.and_then(|job| order_of(job.spec()));
        let setup = Rc::clone(&cx.setup);
        let shape = order.and_then(|order| setup.workload.jobs.get(order as usize));
        let plan = match shape {
            Some(_) if cx.rng.chance(cx.faults.plan_fails) => {
                cx.judge.evidence.plans_failed.insert(job);
                None
            }
            Some(shape) => {
                let nonce = cx.rng.next_u64();
                Some(Box::new(plan_step(shape, request, view, nonce, &mut cx.truth.fragments)))
            }
            None => None,
        };
        let takes = cx.rng.duration(PLANNING_MIN, PLANNING_MAX);
        self.seat.after(takes, CoordinatorTimer::Planned { job, step, plan }, cx);
    }

    pub(super) fn planned(&mut self, job: JobId, step: u32, plan: Option<Box<StepPlan>>, cx: &mut Cx) {
        let input = match plan {
            Some(plan) => Input::StagesPlanned { job, step, plan: *plan },
            None => Input::PlanFailed { job, step, report: ErrorReport::invalid("there is no such table") },
        };
        self.step(input, cx);
    }
}

/// Who does what the core wants of the object store: the worker that has the outputs.
fn obeying(worker: WorkerId, message: &Message) -> WorkerId {
    match message {
        Message::CopyOutputs { from, .. } if worker == WorkerId::SHUFFLE_STORE => *from,
        _ => worker,
    }
}

/// Nobody needs these objects any more.
fn release_objects(message: &Message, cx: &mut Cx) {
    match message {
        Message::ReleaseStages { stages } => cx.truth.objects.retain(|_, task| !stages.contains(&task.stage)),
        Message::ReleaseJob { job } => cx.truth.objects.retain(|_, task| task.stage.job != *job),
        _ => {}
    }
}

fn answer_of(reply: Reply) -> (u64, Answer) {
    match reply {
        Reply::Submitted { request, job, existing: _ } => (request.0, Answer::Submitted { job }),
        Reply::Cancelled { request, job } => (request.0, Answer::Cancelled { job }),
        Reply::Refused { request, report } => (request.0, Answer::Refused { report }),
    }
}
