//! Plans steps off the loop: a bounded number at a time, each on a thread with a deep stack.

use std::sync::Arc;

use tokio::sync::Semaphore;
use windrow_engine::job::{JobSession, PlanEnvironment, PlannedStep, on_big_stack};
use windrow_model::{ClusterShape, ErrorReport, JobId, JobSpec};
use windrow_scheduler::PlanRequest;

use crate::call::{Call, ToDriver};

/// Statements planned at once. Planning is CPU work beside the event loop, and listing files waits for stores.
const PLANNERS_MAX: usize = 4;

/// A planned step, and the session that plans the job's next one.
pub(crate) type Outcome = Result<(JobSession, PlannedStep), ErrorReport>;

/// Opens sessions and plans with them.
#[derive(Clone)]
pub(crate) struct Planner {
    permits: Arc<Semaphore>,
    env: Arc<PlanEnvironment>,
}

impl Planner {
    pub(crate) fn new(env: Arc<PlanEnvironment>) -> Planner {
        Planner { permits: Arc::new(Semaphore::new(PLANNERS_MAX)), env }
    }

    /// Plans one step and puts the outcome into the driver's inbox. `session` is absent before the first step.
    pub(crate) fn plan(&self, request: PlanRequest, spec: JobSpec, session: Option<JobSession>, driver: ToDriver) {
        let planner = self.clone();
        tokio::spawn(async move {
            let PlanRequest { job, step, .. } = request;
            let outcome = planner.plan_step(request, spec, session).await;
            // Fails only when the driver has ended, and then nobody waits for a plan.
            let _ = driver.send(Call::Planned { job, step, outcome }).await;
        });
    }

    async fn plan_step(&self, request: PlanRequest, spec: JobSpec, session: Option<JobSession>) -> Outcome {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let PlanRequest { job, step, first_stage, cluster } = request;
        let env = Arc::clone(&self.env);
        on_big_stack(move || async move {
            let mut session = match session {
                Some(session) => session,
                None => open_at(job, step, &spec, &env).await?,
            };
            let planned = session.plan_step(step, first_stage, cluster).await?;
            Ok((session, planned))
        })
        .await
    }

    /// The plan of every statement, as text, without running any.
    pub(crate) async fn explain(&self, spec: JobSpec, cluster: ClusterShape) -> Result<String, ErrorReport> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let env = Arc::clone(&self.env);
        on_big_stack(move || async move {
            let mut session = JobSession::open(JobId(0), &spec, &env).await?;
            session.explain(cluster).await
        })
        .await
    }
}

/// A session holds what earlier statements have created, so it can only be opened for the first one.
async fn open_at(job: JobId, step: u32, spec: &JobSpec, env: &Arc<PlanEnvironment>) -> Result<JobSession, ErrorReport> {
    if step > 0 {
        return Err(ErrorReport::internal(format!("the planner's session of {job} is gone before step {step}")));
    }
    JobSession::open(job, spec, env).await
}
