//! Whole attempts, stage after stage, with map outputs handed over in this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use windrow_model::{AttemptId, Failure, JobId, StageId, TaskId, WorkerId};

use super::*;
use crate::plan::{CutStage, Distributed, Spread, configure, distribute};
use crate::shuffle::{FetchError, OutputAt, PartAt, PartBytes, PartEnd, ShuffleSource};

const JOB: JobId = JobId(1);
const MEMORY_BYTES: u64 = 64 << 20;

/// Every output of the job so far.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<MapOutputId, StoredOutput>>);

impl Kept {
    fn pieces(&self, part: usize, wanted: &PartAt) -> Vec<Result<PartBytes, FetchError>> {
        let kept = self.0.lock();
        let Some(stored) = kept.get(&wanted.at.output) else {
            return vec![Err(FetchError::lost(&wanted.at, "gone"))];
        };
        let entry = stored.index()[wanted.partition as usize];
        let (mut pieces, mut offset) = (Vec::new(), 0);
        while offset < entry.len {
            let bytes = stored.read(wanted.partition, offset, 100).unwrap();
            offset += bytes.len() as u64;
            pieces.push(Ok(PartBytes::Chunk { part, bytes }));
        }
        let end = PartEnd { bytes: entry.len, rows: entry.rows, crc32: entry.crc32 };
        pieces.push(Ok(PartBytes::End { part, end }));
        pieces
    }
}

impl ShuffleSource for Kept {
    fn open(&self, parts: Vec<PartAt>) -> BoxStream<'static, Result<PartBytes, FetchError>> {
        let pieces: Vec<_> = parts.iter().enumerate().flat_map(|(part, wanted)| self.pieces(part, wanted)).collect();
        stream::iter(pieces).boxed()
    }
}

/// One worker that runs everything.
struct Bench {
    env: Arc<TaskEnvironment>,
    kept: Arc<Kept>,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let resources = TaskResources {
            memory_bytes: MEMORY_BYTES,
            slots: 2,
            shuffle_dir: dir.path().to_owned(),
            spill_dir: dir.path().join("spill"),
            compression: ShuffleCompression::Lz4,
            segments: Some(Segments::new(16)),
            user_code: None,
        };
        let env = Arc::new(TaskEnvironment::new(&resources, Stores::from_env()).unwrap());
        Bench { env, kept: Arc::default(), dir }
    }

    fn request(&self, stage: &CutStage, index: u32, outputs: &BTreeMap<u32, Vec<OutputAt>>) -> TaskRequest {
        let plan = &stage.plan.tasks[index as usize];
        let inputs = stage.plan.inputs.iter().map(|input| (input.stage, outputs[&input.stage].clone())).collect();
        TaskRequest {
            task: TaskId { stage: StageId { job: JOB, index: stage.plan.index }, index },
            attempt: AttemptId { epoch: 1, n: u64::from(stage.plan.index * 100 + index) },
            try_number: 1,
            fragment: stage.fragment.clone(),
            splits: stage.splits[index as usize].clone(),
            partitions: plan.partitions.clone(),
            slots: plan.slots,
            output_partitions: stage.plan.output_partitions,
            is_result: true,
            inputs: Arc::new(TaskInputs {
                source: Arc::clone(&self.kept) as _,
                stages: inputs,
                sizes: BTreeMap::new(),
            }),
            progress: Arc::default(),
        }
    }

    fn files(&self) -> usize {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file()).count()
    }

    /// Runs all stages; what the tasks of the root stage gave.
    async fn run(&self, distributed: &Distributed) -> Vec<TaskDone> {
        let mut outputs = BTreeMap::new();
        let mut last = Vec::new();
        for stage in &distributed.stages {
            last.clear();
            let mut at = Vec::new();
            for index in 0..stage.plan.tasks.len() as u32 {
                let request = self.request(stage, index, &outputs);
                let output = MapOutputId { task: request.task, attempt: request.attempt };
                let mut done = run(Arc::clone(&self.env), request).await.unwrap();
                self.kept.0.lock().insert(output, done.stored.take().unwrap());
                at.push(OutputAt { output, worker: WorkerId(1), address: String::new() });
                last.push(done);
            }
            outputs.insert(stage.plan.index, at);
        }
        last
    }
}

async fn planned(sql: &str, spread: Spread) -> Distributed {
    let runtime = session::runtime(None, None, Stores::from_env()).unwrap();
    let state = session::base_state(configure(session::base_config(), &spread), runtime);
    let context = SessionContext::new_with_state(state);
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    distribute(plan, &spread, 0, &context.state()).unwrap()
}

/// The first column of the results' inline rows.
fn inline(done: &[TaskDone]) -> Vec<i64> {
    let bytes = done.iter().map(|done| done.output.inline.as_deref().unwrap());
    let batches = bytes.flat_map(|bytes| StreamReader::try_new(bytes, None).unwrap()).map(Result::unwrap);
    batches.flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

const SUMS: &str = "SELECT sum(v) AS s FROM (VALUES (1, 1), (2, 20), (1, 300), (3, 4000), (2, 50000)) t(k, v) \
                    GROUP BY k ORDER BY s";

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_gives_its_rows_whether_in_one_task_or_many() {
    let spreads = [Spread::Whole { slots: 2, why: String::new() }, Spread::Tasks { partitions: 3, why: String::new() }];
    for spread in spreads {
        let bench = Bench::new();
        let distributed = planned(SUMS, spread).await;
        let done = bench.run(&distributed).await;
        assert_eq!(inline(&done), [301, 4000, 50020]);
        let last = done.last().unwrap();
        assert!(last.operators.first().is_some_and(|root| root.depth == 0 && root.rows == 3), "{:?}", last.operators);
        assert_eq!(last.output.partition_bytes.iter().sum::<u64>(), last.output.bytes);
        bench.kept.0.lock().clear();
        assert_eq!(bench.env.shuffle_memory().used_bytes(), 0);
        assert_eq!(bench.files(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_input_is_a_fetch_failure_that_names_it() {
    let bench = Bench::new();
    let distributed = planned(SUMS, Spread::Tasks { partitions: 3, why: String::new() }).await;
    let reader = distributed.stages.iter().find(|stage| !stage.plan.inputs.is_empty()).unwrap();
    let producer = reader.plan.inputs[0].stage;
    let task = TaskId { stage: StageId { job: JOB, index: producer }, index: 0 };
    let output = MapOutputId { task, attempt: AttemptId { epoch: 1, n: 77 } };
    let at = OutputAt { output, worker: WorkerId(9), address: String::new() };
    let request = bench.request(reader, 0, &BTreeMap::from([(producer, vec![at])]));
    let failure = run(Arc::clone(&bench.env), request).await.unwrap_err();
    assert!(
        matches!(failure, Failure::FetchFailed { output: blamed, peer: WorkerId(9), .. } if blamed == output),
        "{failure}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overflow_is_the_querys_failure() {
    let bench = Bench::new();
    let sql = "SELECT v + 9223372036854775807 AS s FROM (VALUES (1), (2)) t(v)";
    let distributed = planned(sql, Spread::Whole { slots: 1, why: String::new() }).await;
    let request = bench.request(&distributed.stages[0], 0, &BTreeMap::new());
    let failure = run(Arc::clone(&bench.env), request).await.unwrap_err();
    assert!(matches!(failure, Failure::Query(_)), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_that_is_none_fails_and_does_not_panic() {
    let bench = Bench::new();
    let distributed = planned(SUMS, Spread::Whole { slots: 1, why: String::new() }).await;
    let mut request = bench.request(&distributed.stages[0], 0, &BTreeMap::new());
    request.fragment = Bytes::from_static(b"\xff\xff");
    let failure = run(Arc::clone(&bench.env), request).await.unwrap_err();
    assert!(matches!(failure, Failure::Internal(_)), "{failure}");
}

#[tokio::test]
async fn a_panic_keeps_its_message() {
    let mut thread = JoinSet::new();
    thread.spawn(async { panic!("index {} is out of range", 3) });
    let error = thread.join_next().await.unwrap().unwrap_err();
    let task = TaskId { stage: StageId { job: JOB, index: 0 }, index: 0 };
    let Failure::Panicked(report) = panicked(error, task) else { panic!("another failure") };
    assert_eq!(report.detail, "index 3 is out of range");
}
