//! Plans steps off the loop: a bounded number at a time, each on a thread with a deep stack.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use windrow_engine::job::{JobSession, PastStep, PlanEnvironment, PlannedStep, on_big_stack};
use windrow_model::{ClusterShape, ErrorReport, JobId, JobSpec};
use windrow_scheduler::PlanRequest;

use crate::call::{Call, ToDriver};

/// Statements planned at once. Planning is CPU work beside the event loop, and listing files waits for stores.
const PLANNERS_MAX: usize = 4;

/// A planned step, and the session that plans the job's next one.
pub(crate) type Outcome = Result<(JobSession, PlannedStep), ErrorReport>;

/// Where the session comes from that plans a step.
pub(crate) enum Origin {
    /// It planned the step before.
    Session(Box<JobSession>),
    /// It is made, and brought to where it was after `past`: before the first step there is none, and after a
    /// restart of the coordinator the former one is gone.
    Anew { spec: Box<JobSpec>, started: DateTime<Utc>, past: Vec<PastStep> },
}

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

    /// Plans one step and puts the outcome into the driver's inbox.
    pub(crate) fn plan(&self, request: PlanRequest, origin: Origin, driver: ToDriver) {
        let planner = self.clone();
        tokio::spawn(async move {
            let PlanRequest { job, step, .. } = request;
            let outcome = planner.plan_step(request, origin).await;
            // Fails only when the driver has ended, and then nobody waits for a plan.
            let _ = driver.send(Call::Planned { job, step, outcome }).await;
        });
    }

    async fn plan_step(&self, request: PlanRequest, origin: Origin) -> Outcome {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let PlanRequest { job, step, first_stage, cluster } = request;
        let env = Arc::clone(&self.env);
        on_big_stack(move || async move {
            let mut session = match origin {
                Origin::Session(session) => *session,
                Origin::Anew { spec, started, past } => {
                    let mut session = JobSession::open(job, &spec, started, &env).await?;
                    session.catch_up(&past).await?;
                    session
                }
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
            let mut session = JobSession::open(JobId(0), &spec, Utc::now(), &env).await?;
            session.explain(cluster).await
        })
        .await
    }
}
