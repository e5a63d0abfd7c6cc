//! The loop: takes what happens next and hands it to whom it happens to.

mod ending;
mod incidents;
mod reading;

use std::rc::Rc;
use std::time::Duration;

use windrow_model::Timestamp;
use windrow_scheduler::WorkerSpec;

use crate::client::Clients;
use crate::context::Cx;
use crate::coordinator::Coordinator;
use crate::event::{CoordinatorTimer, Event, WorkerTimer};
use crate::location::Location;
use crate::node::{Node, NodeClock};
use crate::packet::{Body, Packet};
use crate::setup::{Outcome, Setup};
use crate::store::Store;
use crate::worker::Worker;

/// So long after the last job has ended, what was told has arrived and what is released is gone.
const QUIET: Duration = Duration::from_secs(5);

pub(crate) struct World {
    cx: Cx,
    coordinators: Vec<Coordinator>,
    workers: Vec<Worker>,
    store: Store,
    location: Location,
    clients: Clients,
    events: u64,
    /// When everything ended, if it has.
    done_at: Option<Timestamp>,
}

impl World {
    pub fn new(setup: Setup, keep_trace: bool) -> World {
        let setup = Rc::new(setup);
        let mut cx = Cx::new(Rc::clone(&setup), keep_trace);
        let mut clock = || NodeClock::random(&mut cx.rng, setup.skew, setup.drift_ppm);
        let coordinator = |index| Coordinator::new(index, clock(), setup.limits.clone());
        let coordinators = (0..setup.coordinators).map(coordinator).collect();
        let worker = |(index, slots): (u32, &u32)| {
            Worker::new(index, spec_of(index, *slots), clock(), setup.coordinators, setup.limits.lease)
        };
        let workers = (0..).zip(&setup.slots).map(worker).collect();
        let clients = Clients::new(setup.coordinators, &mut cx);
        let (store, location) = (Store::default(), Location::default());
        let mut world = World { cx, coordinators, workers, store, location, clients, events: 0, done_at: None };
        world.plan_chaos(&setup);
        world
    }

    pub fn run(mut self) -> Outcome {
        self.start_everything();
        while let Some((at, event)) = self.cx.agenda.pop() {
            if at > self.cx.setup.horizon || self.cx.judge.violation.is_some() || self.is_over(at) {
                break;
            }
            self.cx.now = at;
            self.events += 1;
            self.handle(event);
        }
        self.finish()
    }

    fn start_everything(&mut self) {
        self.coordinators.iter_mut().for_each(|coordinator| coordinator.start(&mut self.cx));
        self.workers.iter_mut().for_each(|worker| worker.start(&mut self.cx));
    }

    /// All clients have what they wanted for a while. Faults that are still to come are waited for.
    fn is_over(&mut self, at: Timestamp) -> bool {
        if self.done_at.is_none() && self.clients.are_done() {
            self.done_at = Some(self.cx.now);
        }
        self.done_at.is_some_and(|done| at > done + QUIET)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrival(packet) => self.arrive(packet),
            Event::Worker { index, life, timer } => self.worker_timer(index, life, timer),
            Event::Coordinator { index, life, timer } => self.coordinator_timer(index, life, timer),
            Event::Client { order, timer } => {
                if let Some(listing) = self.clients.on_timer(order, timer, &mut self.cx) {
                    self.read_result(order, &listing);
                }
            }
            Event::Chaos(action) => self.strike(action),
            Event::Relief(relief) => self.relieve(relief),
            Event::Heal => self.heal(),
        }
    }

    fn arrive(&mut self, packet: Box<Packet>) {
        if self.cx.net.is_cut(packet.from, packet.to) {
            return self.cx.hold(packet);
        }
        match packet.to {
            Node::Worker(index) => self.arrive_at_worker(index, packet),
            Node::Coordinator(index) => self.arrive_at_coordinator(index, packet),
            Node::Client => {
                if let Body::Answer { request, answer } = packet.body {
                    self.clients.answered(request, *answer, &mut self.cx);
                }
            }
            Node::Store => {
                if let Body::StoreCall { call, request } = packet.body {
                    self.store.on_call(packet.from, call, request, &mut self.cx);
                }
            }
            Node::Location => {
                if let Body::LocationCall { call, request } = packet.body {
                    self.location.on_call(packet.from, call, request, &mut self.cx);
                }
            }
        }
    }

    fn arrive_at_worker(&mut self, index: u32, packet: Box<Packet>) {
        let worker = &mut self.workers[index as usize];
        match (&mut worker.paused, &worker.process) {
            (Some(waiting), Some(_)) => waiting.push_back(Event::Arrival(packet)),
            (_, Some(_)) => worker.on_packet(*packet, &mut self.cx),
            (_, None) => self.cx.refuse(&packet),
        }
    }

    fn arrive_at_coordinator(&mut self, index: u32, packet: Box<Packet>) {
        let coordinator = &mut self.coordinators[index as usize];
        match (&mut coordinator.paused, coordinator.is_up) {
            (Some(waiting), true) => waiting.push_back(Event::Arrival(packet)),
            (_, true) => coordinator.on_packet(*packet, &self.store.journal, &mut self.cx),
            (_, false) => self.cx.refuse(&packet),
        }
    }

    fn worker_timer(&mut self, index: u32, life: u32, timer: WorkerTimer) {
        let worker = &mut self.workers[index as usize];
        if worker.life != life || worker.process.is_none() {
            return;
        }
        if let Some(waiting) = &mut worker.paused {
            return waiting.push_back(Event::Worker { index, life, timer });
        }
        match timer {
            WorkerTimer::Read { attempt, last_try } => self.read_inputs(index, attempt, last_try),
            WorkerTimer::Copy { from, outputs, last_try } => self.copy(index, from, outputs, last_try),
            WorkerTimer::Connect
            | WorkerTimer::HelloOverdue { .. }
            | WorkerTimer::Heartbeat { .. }
            | WorkerTimer::Done { .. }
            | WorkerTimer::Leave => worker.on_timer(timer, &mut self.cx),
        }
    }

    fn coordinator_timer(&mut self, index: u32, life: u32, timer: CoordinatorTimer) {
        let coordinator = &mut self.coordinators[index as usize];
        if coordinator.life != life || !coordinator.is_up {
            return;
        }
        match &mut coordinator.paused {
            Some(waiting) => waiting.push_back(Event::Coordinator { index, life, timer }),
            None => coordinator.on_timer(timer, &mut self.cx),
        }
    }
}

fn spec_of(index: u32, slots: u32) -> WorkerSpec {
    WorkerSpec {
        slots,
        memory_bytes: u64::from(slots) << 31,
        host: format!("host-{}", index / 2),
        name: format!("place-{index}"),
    }
}
