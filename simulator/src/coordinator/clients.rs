//! What clients ask.

use windrow_model::JobId;
use windrow_scheduler::{Input, RequestId, ResultState};

use crate::context::Cx;
use crate::coordinator::leader::Leader;
use crate::coordinator::tell::Tell;
use crate::packet::{Answer, Parts, Question};

impl Leader {
    pub(super) fn asked(&mut self, request: u64, question: Question, cx: &mut Cx) {
        match question {
            Question::Submit { spec } => {
                self.step(Input::JobSubmitted { request: RequestId(request), spec: *spec }, cx);
            }
            Question::Cancel { job } => self.step(Input::JobCancelled { request: RequestId(request), job }, cx),
            Question::State { job } => {
                let answer = self.state_of(job);
                self.answer_when_durable(request, answer, cx);
            }
            Question::Parts { job, step } => {
                let answer = Answer::Parts { parts: self.parts_of(job, step) };
                self.answer_when_durable(request, answer, cx);
            }
            Question::Unreachable { output, worker } => {
                self.step(Input::ResultUnreachable { output, worker }, cx);
                self.answer_when_durable(request, Answer::Noted, cx);
            }
        }
    }

    /// Nobody is told of a state whose records could still be lost.
    fn answer_when_durable(&mut self, request: u64, answer: Answer, cx: &mut Cx) {
        self.enqueue(Tell::answer(self.journal.end(), request, answer), cx);
    }

    fn state_of(&self, job: JobId) -> Answer {
        let job = self.core.job(job);
        let state = job.map(|job| job.state());
        let result_steps = job.map(|job| job.result_steps().collect()).unwrap_or_default();
        Answer::State { state, result_steps }
    }

    fn parts_of(&self, id: JobId, step: u32) -> Parts {
        if let Some(parts) = self.core.result_outputs(id, step) {
            return Parts::Ready(parts.into_iter().map(|part| (part.output, part.worker)).collect());
        }
        match self.core.job(id).map(|job| job.result(step)) {
            Some(ResultState::Pending | ResultState::Available | ResultState::Restoring) => Parts::NotNow,
            Some(ResultState::None | ResultState::Released | ResultState::Failed(_)) | None => Parts::Never,
        }
    }
}
