//! Runs a process over the rows of a partition: its input is written while its output is read.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use windrow_model::{ErrorReport, Framing};

use super::frames::{FrameReader, FrameWriter};
use super::host::{HostedProcess, ProcessStart, UserCodeError, UserCodeHost};
use super::lines::LineReader;
use super::{PlacedCode, Role};
use crate::sink::{WriteIdentity, lines_of};

/// Batches between a process and whoever reads its rows.
const BATCHES_AHEAD: usize = 2;

/// One read of a process's output.
const READ_BYTES: usize = 256 << 10;

/// How long nothing may come of a process's output when the process has ended: what it has started may hold it open.
const OUTPUT_AFTER_END: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct UserCodeExec {
    input: Arc<dyn ExecutionPlan>,
    code: Arc<PlacedCode>,
    partition: Vec<Arc<dyn PhysicalExpr>>,
    order: Vec<PhysicalSortExpr>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl UserCodeExec {
    /// `partition` and `order` are what the code asks of the rows of `input`.
    pub fn new(
        input: Arc<dyn ExecutionPlan>,
        code: Arc<PlacedCode>,
        partition: Vec<Arc<dyn PhysicalExpr>>,
        order: Vec<PhysicalSortExpr>,
    ) -> UserCodeExec {
        let partitioning = Partitioning::UnknownPartitioning(input.output_partitioning().partition_count());
        let facts = EquivalenceProperties::new(Arc::clone(&code.schema));
        let properties = PlanProperties::new(facts, partitioning, EmissionType::Incremental, Boundedness::Bounded);
        let metrics = ExecutionPlanMetricsSet::new();
        UserCodeExec { input, code, partition, order, properties: Arc::new(properties), metrics }
    }

    pub fn code(&self) -> &PlacedCode {
        &self.code
    }

    pub fn partition(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.partition
    }

    pub fn order(&self) -> &[PhysicalSortExpr] {
        &self.order
    }
}

impl DisplayAs for UserCodeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let PlacedCode { table, role, code, .. } = self.code.as_ref();
        write!(
            f,
            "UserCodeExec: {} of {table}, process={:?}, framing={}",
            role.name(),
            code.process,
            code.framing.name()
        )
    }
}

impl ExecutionPlan for UserCodeExec {
    fn name(&self) -> &str {
        "UserCodeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![match self.code.role {
            Role::Map | Role::Combine => Distribution::UnspecifiedDistribution,
            // It has brought its own exchange.
            Role::Reduce if self.code.partitions.is_some() => Distribution::UnspecifiedDistribution,
            Role::Reduce => Distribution::KeyPartitioned(self.partition.clone()),
        }]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![LexOrdering::new(self.order.clone()).map(OrderingRequirements::from)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![self.code.role == Role::Reduce && self.code.partitions.is_none()]
    }

    fn apply_expressions(
        &self,
        act: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.partition.iter().chain(self.order.iter().map(|sort| &sort.expr)) {
            act(expr)?;
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input] => {
                let (code, partition) = (Arc::clone(&self.code), self.partition.clone());
                Ok(Arc::new(UserCodeExec::new(Arc::clone(input), code, partition, self.order.clone())))
            }
            _ => internal_err!("UserCodeExec has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let config = context.session_config();
        let missing = || internal_datafusion_err!("{} runs where no process can be started", self.code.table);
        let host = config.get_extension::<UserCodeHost>().ok_or_else(missing)?;
        let identity = config.get_extension::<WriteIdentity>().ok_or_else(missing)?;
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let code = Arc::clone(&self.code);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut rows = RecordBatchReceiverStream::builder(self.schema(), BATCHES_AHEAD);
        let out = rows.tx();
        rows.spawn(async move {
            let start = ProcessStart { code: &code, task: identity.task, attempt: identity.attempt, partition };
            let process = host.0.start(start).await.map_err(failed)?;
            Run { code: &code, process, out }.run(input).await
        });
        let counted = rows.build().map(move |batch| {
            if let Ok(batch) = &batch {
                metrics.record_output(batch.num_rows());
            }
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

fn failed(report: ErrorReport) -> DataFusionError {
    DataFusionError::External(Box::new(UserCodeError(report)))
}

/// One process at work.
struct Run<'a> {
    code: &'a PlacedCode,
    process: HostedProcess,
    out: Sender<Result<RecordBatch>>,
}

/// How the input of a process has ended.
#[derive(PartialEq)]
enum Fed {
    All,
    /// The process has ended, or has closed its standard input.
    Refused,
}

impl Run<'_> {
    async fn run(self, input: SendableRecordBatchStream) -> Result<()> {
        let Run { code, process, out } = self;
        let HostedProcess { input: stdin, output: mut stdout, ended, unread, guard } = process;
        let is_over = CancellationToken::new();
        let feeding = async {
            tokio::select! {
                fed = feed(code, input, stdin) => fed,
                () = is_over.cancelled() => Ok(Fed::Refused),
            }
        };
        let reading = read(code, &mut stdout, &out, &is_over);
        let ending = async {
            let ended = ended.await;
            is_over.cancel();
            Ok::<_, DataFusionError>(ended)
        };
        // An input that cannot be read, or a reader that has gone, ends the process: its guard is dropped.
        let (fed, (), ended) = tokio::try_join!(feeding, reading, ending)?;
        drop(guard);
        ended.map_err(|report| failed(describe_more(code, report)))?;
        let left = unread();
        if fed == Fed::Refused || left > 0 {
            return Err(failed(describe(code, "it has ended well before it had read all of its input")));
        }
        Ok(())
    }
}

async fn feed(
    code: &PlacedCode,
    mut input: SendableRecordBatchStream,
    mut stdin: Box<dyn tokio::io::AsyncWrite + Send + Unpin>,
) -> Result<Fed> {
    let mut frames = match code.code.framing {
        Framing::Lines => None,
        Framing::Arrow => Some(FrameWriter::new(&input.schema())?),
    };
    loop {
        let batch = input.try_next().await?;
        let bytes = match (&mut frames, &batch) {
            (None, Some(batch)) => lines_of(batch, code.keys.separator)?,
            (None, None) => Vec::new(),
            (Some(frames), batch) => {
                match batch {
                    Some(batch) => frames.write(batch)?,
                    None => frames.finish()?,
                }
                frames.take()
            }
        };
        if stdin.write_all(&bytes).await.is_err() {
            return Ok(Fed::Refused);
        }
        if batch.is_none() {
            break;
        }
    }
    // What a pipe has taken is there; closing it cannot fail in a way that says more.
    let _ = stdin.shutdown().await;
    Ok(Fed::All)
}

async fn read(
    code: &PlacedCode,
    stdout: &mut (dyn tokio::io::AsyncRead + Send + Unpin),
    out: &Sender<Result<RecordBatch>>,
    is_over: &CancellationToken,
) -> Result<()> {
    let mut reader = match code.code.framing {
        Framing::Lines => Reader::Lines(LineReader::new(separator(code), code.keys.fields)),
        Framing::Arrow => Reader::Frames(FrameReader::new(Arc::clone(&code.schema))),
    };
    let wrong = |detail: String| failed(describe(code, &format!("its output cannot be read: {detail}")));
    let mut buffer = vec![0; READ_BYTES];
    let mut ready = Vec::new();
    loop {
        let late = async {
            is_over.cancelled().await;
            tokio::time::sleep(OUTPUT_AFTER_END).await;
        };
        let read = tokio::select! {
            read = stdout.read(&mut buffer) => read.map_err(|error| wrong(error.to_string()))?,
            () = late => return Err(failed(describe(code, "something that it has started holds its output open"))),
        };
        match read {
            0 => reader.finish(&mut ready).map_err(wrong)?,
            read => reader.push(&buffer[..read], &mut ready).map_err(wrong)?,
        }
        for batch in ready.drain(..) {
            if out.send(Ok(batch)).await.is_err() {
                return internal_err!("nobody reads the rows any more");
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// What understands a process's output.
enum Reader {
    Lines(LineReader),
    Frames(FrameReader),
}

impl Reader {
    fn push(&mut self, bytes: &[u8], ready: &mut Vec<RecordBatch>) -> Result<(), String> {
        match self {
            Reader::Lines(lines) => lines.push(bytes, ready),
            Reader::Frames(frames) => frames.push(bytes, ready),
        }
    }

    fn finish(&mut self, ready: &mut Vec<RecordBatch>) -> Result<(), String> {
        match self {
            Reader::Lines(lines) => {
                ready.extend(lines.finish()?);
                Ok(())
            }
            Reader::Frames(frames) => frames.finish(),
        }
    }
}

/// Separators of one byte are all that is accepted.
fn separator(code: &PlacedCode) -> u8 {
    u8::try_from(code.keys.separator).unwrap_or(b'\t')
}

fn describe(code: &PlacedCode, what: &str) -> ErrorReport {
    describe_more(code, ErrorReport::invalid(what))
}

/// Adds which code it was.
fn describe_more(code: &PlacedCode, report: ErrorReport) -> ErrorReport {
    let what = format!("the {} `{}` of `{}` failed: {}", code.role.name(), code.program(), code.table, report.what);
    ErrorReport { what, ..report }
}
