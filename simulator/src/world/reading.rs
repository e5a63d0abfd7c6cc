//! What needs two workers: reading inputs, copying outputs, fetching results.

use std::time::Duration;

use windrow_model::{AttemptId, Failure, MapOutputId, WorkerId};
use windrow_scheduler::InputRef;

use crate::client::Listing;
use crate::node::Node;
use crate::trace::log;
use crate::worker::{Kept, Process};
use crate::world::World;

/// How long a reader tries to reach a peer that does not answer.
const FETCH_PATIENCE: Duration = Duration::from_secs(4);

/// Why an output cannot be read from where it should be.
enum Unreadable {
    /// The peer does not answer; it may later.
    Apart(MapOutputId, WorkerId),
    /// The peer is not there any more.
    Gone(MapOutputId, WorkerId),
    /// The peer does not have it.
    Missing(MapOutputId, WorkerId),
}

impl World {
    /// The process of a worker that can be asked, by its id.
    /// `Err` says whether it may answer later.
    fn reach(&self, from: Node, id: WorkerId) -> Result<&Process, bool> {
        let Some(index) = self.cx.truth.place(id) else { return Err(false) };
        let worker = &self.workers[index as usize];
        let node = worker.node();
        if from != node && (self.cx.net.is_apart(from, node) || worker.paused.is_some()) {
            return Err(true);
        }
        worker.process.as_ref().filter(|process| process.id == Some(id)).ok_or(false)
    }

    /// Whether somebody can read these outputs now.
    fn find_unreadable(&self, from: Node, inputs: &[InputRef]) -> Option<Unreadable> {
        let stored = |input: &InputRef| self.cx.truth.objects.contains_key(&input.output.attempt);
        inputs.iter().find_map(|input| match self.reach(from, input.worker) {
            _ if input.worker == WorkerId::SHUFFLE_STORE => {
                (!stored(input)).then_some(Unreadable::Missing(input.output, input.worker))
            }
            Ok(process) if process.kept.contains_key(&input.output.attempt) => None,
            Ok(_) => Some(Unreadable::Missing(input.output, input.worker)),
            Err(false) => Some(Unreadable::Gone(input.output, input.worker)),
            Err(true) => Some(Unreadable::Apart(input.output, input.worker)),
        })
    }

    pub(super) fn read_inputs(&mut self, index: u32, attempt: AttemptId, last_try: bool) {
        let Some(inputs) = self.workers[index as usize].inputs_of(attempt) else { return };
        let broken = self.cx.rng.chance(self.cx.faults.fetch_breaks).then(|| *self.cx.rng.pick(&inputs));
        let unreadable = match broken {
            Some(input) => Some(Unreadable::Gone(input.output, input.worker)),
            None => self.find_unreadable(Node::Worker(index), &inputs),
        };
        let worker = &mut self.workers[index as usize];
        let (output, peer, unreached) = match unreadable {
            None => {
                let read = self.cx.truth.read(&inputs);
                return worker.inputs_read(attempt, read, &mut self.cx);
            }
            Some(Unreadable::Apart(..)) if !last_try => {
                return worker.read_later(attempt, FETCH_PATIENCE, &mut self.cx);
            }
            Some(Unreadable::Apart(output, peer) | Unreadable::Gone(output, peer)) => (output, peer, true),
            Some(Unreadable::Missing(output, peer)) => (output, peer, false),
        };
        let failure = Failure::FetchFailed { output, peer, detail: "it does not serve it".to_owned(), unreached };
        worker.fail(attempt, failure, &mut self.cx);
    }

    /// Outputs of a worker that leaves are taken over, all or none: by another one, or by the object store if it is told
    /// to copy its own.
    pub(super) fn copy(&mut self, index: u32, from: WorkerId, outputs: Vec<MapOutputId>, last_try: bool) {
        let here = Node::Worker(index);
        let inputs: Vec<InputRef> = outputs.iter().map(|output| InputRef { output: *output, worker: from }).collect();
        let unreadable = self.find_unreadable(here, &inputs);
        let copies: Vec<(AttemptId, Kept)> = match (&unreadable, self.reach(here, from)) {
            (None, Ok(peer)) => {
                let copy = |output: &MapOutputId| Some((output.attempt, peer.kept.get(&output.attempt)?.clone()));
                outputs.iter().filter_map(copy).collect()
            }
            _ => Vec::new(),
        };
        let worker = &mut self.workers[index as usize];
        match unreadable {
            None => worker.copied(from, copies, &mut self.cx),
            Some(Unreadable::Apart(..)) if !last_try => {
                worker.copy_later(from, outputs, FETCH_PATIENCE, &mut self.cx);
            }
            Some(Unreadable::Apart(..) | Unreadable::Gone(..) | Unreadable::Missing(..)) => {
                worker.not_copied(from, outputs, &mut self.cx)
            }
        }
    }

    pub(super) fn read_result(&mut self, order: u32, listing: &Listing) {
        let held = |(output, worker): &(MapOutputId, Option<WorkerId>)| {
            worker.map(|worker| InputRef { output: *output, worker })
        };
        let remote: Vec<InputRef> = listing.parts.iter().filter_map(held).collect();
        let unreachable = match self.find_unreadable(Node::Client, &remote) {
            Some(
                Unreadable::Apart(output, worker)
                | Unreadable::Gone(output, worker)
                | Unreadable::Missing(output, worker),
            ) => Some((output, worker)),
            None => {
                let parts: Vec<MapOutputId> = listing.parts.iter().map(|(output, _)| *output).collect();
                log!(self.cx, "order-{order} reads {} parts of step {}", parts.len(), listing.step);
                let now = self.cx.now;
                self.cx.judge.result_read(listing.job, listing.step, &parts, &self.cx.truth, now);
                None
            }
        };
        if let Some((output, _)) = unreachable {
            self.cx.judge.evidence.blamed(output.task);
        }
        self.clients.read(order, unreachable, &mut self.cx);
    }
}
