//! The clients: one order for each job of the workload. An order is submitted until it is acknowledged, watched until
//! it ends, and its result is read.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use windrow_model::{ErrorKind, JobId, JobState, MapOutputId, Timestamp, WorkerId};

use crate::context::Cx;
use crate::event::Event;
use crate::node::Node;
use crate::packet::{Answer, Body, Parts, Question};
use crate::trace::log;
use crate::workload::spec_of;

/// A question without an answer for so long is asked of the next coordinator.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions about the same thing.
const PAUSE_MIN_MS: u64 = 300;
const PAUSE_MAX_MS: u64 = 3_000;

pub(crate) struct Clients {
    orders: Vec<Order>,
    /// The coordinator that is asked first.
    leader: u32,
    coordinators: u32,
    questions: u64,
    open: usize,
}

struct Order {
    job: Option<JobId>,
    acknowledged_at: Timestamp,
    is_cancelled: bool,
    end: Option<JobState>,
    /// Steps whose rows are still to be read.
    unread: VecDeque<u32>,
    listing: Option<Listing>,
    asked: Option<(u64, Question)>,
    /// Counts its timers: only the newest one counts.
    timer: u32,
}

/// Where the rows of one step are.
pub(crate) struct Listing {
    pub job: JobId,
    pub step: u32,
    pub parts: Vec<(MapOutputId, Option<WorkerId>)>,
}

impl Clients {
    pub fn new(coordinators: u32, cx: &mut Cx) -> Clients {
        let setup = Rc::clone(&cx.setup);
        let mut clients =
            Clients { orders: Vec::new(), leader: 0, coordinators, questions: 0, open: setup.workload.jobs.len() };
        for (order, shape) in (0..).zip(&setup.workload.jobs) {
            clients.orders.push(Order::new());
            clients.wake(order, shape.submit_at, cx);
        }
        clients
    }

    /// Every job has ended and every result was read or is gone.
    pub fn are_done(&self) -> bool {
        self.open == 0
    }

    /// The jobs that were not seen to end, for people.
    pub fn unfinished(&self) -> Vec<String> {
        let open = (0..).zip(&self.orders).filter(|(_, order)| !order.is_done());
        open.map(|(nth, order): (usize, _)| format!("order-{nth} {:?} {:?}", order.job, order.end)).collect()
    }

    fn wake(&mut self, order: u32, wait: Duration, cx: &mut Cx) {
        let Some(state) = self.orders.get_mut(order as usize) else { return };
        state.timer += 1;
        cx.agenda.plan(cx.now + wait, Event::Client { order, timer: state.timer });
    }

    /// Goes on with an order. Returns rows that are to be read now.
    pub fn on_timer(&mut self, order: u32, timer: u32, cx: &mut Cx) -> Option<Listing> {
        let state = self.orders.get_mut(order as usize).filter(|state| state.timer == timer)?;
        if state.asked.take().is_some() {
            self.leader = (self.leader + 1) % self.coordinators;
        }
        if let Some(listing) = state.listing.take() {
            return Some(listing);
        }
        match self.next_question(order, cx) {
            Some(question) => self.ask(order, question, cx),
            None => self.open -= 1,
        }
        None
    }

    fn next_question(&self, order: u32, cx: &Cx) -> Option<Question> {
        let state = &self.orders[order as usize];
        let shape = &cx.setup.workload.jobs[order as usize];
        let Some(job) = state.job else { return Some(Question::Submit { spec: Box::new(spec_of(order, shape)) }) };
        let cancels = shape.cancel_after.is_some_and(|after| state.acknowledged_at + after <= cx.now);
        if state.end.is_none() && cancels && !state.is_cancelled {
            return Some(Question::Cancel { job });
        }
        if state.end.is_none() {
            return Some(Question::State { job });
        }
        state.unread.front().map(|step| Question::Parts { job, step: *step })
    }

    fn ask(&mut self, order: u32, question: Question, cx: &mut Cx) {
        self.questions += 1;
        let request = self.questions;
        if let Question::Cancel { job } = question {
            cx.judge.evidence.cancelled.insert(job);
        }
        self.orders[order as usize].asked = Some((request, question.clone()));
        let to = Node::Coordinator(self.leader);
        cx.send(Node::Client, to, 0, Body::Ask { request, question: Box::new(question) });
        self.wake(order, PATIENCE, cx);
    }

    pub fn answered(&mut self, request: u64, answer: Answer, cx: &mut Cx) {
        let asked = |order: &Order| order.asked.as_ref().is_some_and(|(open, _)| *open == request);
        let Some(order) = self.orders.iter().position(asked) else { return };
        let state = &mut self.orders[order];
        let Some((_, question)) = state.asked.take() else { return };
        let order = order as u32;
        match answer {
            Answer::NotLeader => self.leader = (self.leader + 1) % self.coordinators,
            Answer::Submitted { job } => {
                log!(cx, "order-{order} is acknowledged as {job}");
                cx.judge.acknowledged(order, job, cx.now);
                state.job = Some(job);
                state.acknowledged_at = cx.now;
            }
            Answer::Cancelled { job } => {
                state.is_cancelled = true;
                cx.judge.cancel_acknowledged(job, cx.now);
            }
            Answer::Refused { report } => {
                state.is_cancelled |= matches!(question, Question::Cancel { .. });
                if report.kind == ErrorKind::NotFound {
                    state.end = cx.judge.is_unknown(order, cx.now);
                }
            }
            Answer::State { state: None, .. } => state.end = cx.judge.is_unknown(order, cx.now),
            Answer::State { state: Some(end), result_steps } if end.is_final() => {
                state.end = Some(end);
                state.unread = result_steps.into();
                cx.judge.end_seen(order, end, cx.now);
            }
            Answer::State { .. } | Answer::Noted => {}
            Answer::Parts { parts } => self.listed(order, &question, parts, cx),
        }
        let pause = cx.rng.millis(PAUSE_MIN_MS, PAUSE_MAX_MS);
        self.wake(order, pause, cx);
    }

    fn listed(&mut self, order: u32, question: &Question, parts: Parts, cx: &mut Cx) {
        let Question::Parts { job, step } = *question else { return };
        let state = &mut self.orders[order as usize];
        match parts {
            Parts::Ready(parts) => state.listing = Some(Listing { job, step, parts }),
            Parts::NotNow => {}
            Parts::Never => {
                cx.judge.result_is_gone(job, step, cx.now);
                state.unread.pop_front();
            }
        }
    }

    /// The rows of a listing were all read, or one part could not be.
    pub fn read(&mut self, order: u32, unreachable: Option<(MapOutputId, WorkerId)>, cx: &mut Cx) {
        match unreachable {
            Some((output, worker)) => self.ask(order, Question::Unreachable { output, worker }, cx),
            None => {
                self.orders[order as usize].unread.pop_front();
                self.wake(order, Duration::ZERO, cx);
            }
        }
    }
}

impl Order {
    fn new() -> Order {
        Order {
            job: None,
            acknowledged_at: Timestamp(0),
            is_cancelled: false,
            end: None,
            unread: VecDeque::new(),
            listing: None,
            asked: None,
            timer: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.end.is_some() && self.unread.is_empty()
    }
}
