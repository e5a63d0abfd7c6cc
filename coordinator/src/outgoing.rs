//! From commands to the messages of one worker's stream: each blob goes out once, before the first task that names it.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use windrow_model::{FragmentHash, JobId};
use windrow_proto as wire;
use windrow_proto::to_worker::Kind;

use crate::blobs::pieces;

/// Commands that may wait for one worker. Its tasks in flight, their cancellations and the releases of the jobs
/// it has seen fit many times over; a worker that lets so many pile up no longer reads, and is taken for broken.
pub(crate) const COMMANDS_MAX: usize = 8192;

/// A message for a worker, with the blobs it depends on.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) message: Kind,
    pub(crate) blobs: Vec<(JobId, FragmentHash, Bytes)>,
}

impl Command {
    pub(crate) fn plain(message: Kind) -> Command {
        Command { message, blobs: Vec::new() }
    }
}

/// What this stream has carried so far.
#[derive(Debug, Default)]
struct Sent {
    blobs: BTreeSet<(JobId, FragmentHash)>,
}

impl Sent {
    /// The messages of one command, blobs first.
    fn messages(&mut self, command: Command) -> impl Iterator<Item = wire::ToWorker> + use<> {
        if let Kind::ReleaseJob(job) = command.message {
            self.forget(JobId(job));
        }
        let mut blobs = command.blobs;
        blobs.retain(|(job, hash, _)| self.blobs.insert((*job, *hash)));
        let blobs = blobs.into_iter().flat_map(|(job, hash, blob)| pieces(job, hash, &blob)).map(Kind::Blob);
        blobs.chain([command.message]).map(|kind| wire::ToWorker { kind: Some(kind) })
    }

    /// The worker forgets a job's blobs when the job is released.
    fn forget(&mut self, job: JobId) {
        self.blobs.retain(|(of, _)| *of != job);
    }
}

/// The outgoing half of a worker's stream. Pulled by the transport, so a slow worker holds back only itself.
pub(crate) fn outgoing(commands: mpsc::Receiver<Command>) -> impl Stream<Item = wire::ToWorker> + Send {
    let mut sent = Sent::default();
    ReceiverStream::new(commands).flat_map(move |command| stream::iter(sent.messages(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(job: u64, hash: u8) -> Command {
        let blob = Bytes::from_static(b"plan");
        Command {
            message: Kind::Run(wire::RunTask::default()),
            blobs: vec![(JobId(job), FragmentHash([hash; 16]), blob)],
        }
    }

    fn kinds(sent: &mut Sent, command: Command) -> Vec<&'static str> {
        let name = |message: wire::ToWorker| match message.kind {
            Some(Kind::Blob(_)) => "blob",
            Some(Kind::Run(_)) => "run",
            _ => "other",
        };
        sent.messages(command).map(name).collect()
    }

    #[test]
    fn a_fragment_is_sent_once_and_before_its_first_task() {
        let mut sent = Sent::default();
        assert_eq!(kinds(&mut sent, run(1, 7)), ["blob", "run"]);
        assert_eq!(kinds(&mut sent, run(1, 7)), ["run"]);
        assert_eq!(kinds(&mut sent, run(1, 8)), ["blob", "run"]);
    }

    #[test]
    fn a_released_jobs_blobs_are_sent_again_if_they_are_needed() {
        let mut sent = Sent::default();
        assert_eq!(kinds(&mut sent, run(1, 7)), ["blob", "run"]);
        assert_eq!(kinds(&mut sent, run(2, 7)), ["blob", "run"]);
        assert_eq!(kinds(&mut sent, Command::plain(Kind::ReleaseJob(1))), ["other"]);
        assert_eq!(kinds(&mut sent, run(2, 7)), ["run"]);
        assert_eq!(kinds(&mut sent, run(1, 7)), ["blob", "run"]);
    }
}
