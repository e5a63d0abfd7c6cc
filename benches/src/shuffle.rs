//! The shuffle alone: rows are divided, encoded and kept by one process, moved to and decoded by another.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use arrow::array::{Decimal128Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clap::Args;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use windrow_engine::shuffle::{
    OutputAt, OutputPlace, OutputWriter, ReadSelection, RowRouter, Segments, ShuffleCompression, ShuffleMemory,
    TaskInputs, read,
};
use windrow_model::{AttemptId, JobId, MapOutputId, StageId, TaskId, WorkerId};
use windrow_worker::shuffle::{PeerLimits, Peers, ShuffleStore, WorkerSource, serve};

use crate::process::Processes;
use crate::report::median;

const ROWS_PER_BATCH: usize = 8192;
/// Different batches that the map tasks go through again and again.
const BATCHES: usize = 32;
/// Bytes of a row in memory: two keys, two decimals, a text.
const ROW_BYTES: u64 = 8 + 8 + 16 + 16 + 16 + TEXT_BYTES;
const TEXT_BYTES: u64 = 27;
const TCP_CHUNK_BYTES: usize = 256 << 10;
const WRITER: WorkerId = WorkerId(1);
const READER: WorkerId = WorkerId(2);

#[derive(Args)]
pub struct ShuffleArgs {
    /// Map tasks and reduce partitions, for example `8x8`.
    #[arg(long, value_delimiter = ',', default_values_t = ["8x8".to_owned(), "64x64".to_owned(), "1000x1000".to_owned()])]
    shapes: Vec<String>,
    /// Rows, in MiB of Arrow memory.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Rounds; medians are reported.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Memory for map outputs, in MiB; less than the rows take sends them to disk.
    #[arg(long, default_value_t = 8192)]
    memory_mib: u64,
}

#[derive(Args)]
pub struct WriterArgs {
    #[arg(long)]
    memory_mib: u64,
}

/// What the writer is asked for, one JSON object a line; it answers with one line each.
#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Map {
        job: u64,
        maps: u32,
        partitions: u32,
        rows_per_map: u64,
        shared: bool,
    },
    Release {
        job: u64,
    },
    /// Sends so many bytes to whoever connects next.
    Tcp {
        bytes: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    seconds: f64,
    stored_bytes: u64,
    files: usize,
    address: String,
}

pub async fn run(args: ShuffleArgs) -> anyhow::Result<()> {
    let shapes = args.shapes.iter().map(|shape| parse_shape(shape)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut writer = Writer::start(args.memory_mib)?;
    let processes = Processes(vec![std::process::id(), writer.child.id()]);
    let near = reader_peers(true);
    let far = reader_peers(false);
    let mut tcp = Vec::new();
    let mut runs: BTreeMap<(usize, bool), Vec<Run>> = BTreeMap::new();
    let mut job = 0;
    for round in 0..=args.rounds {
        let rate = writer.tcp_rate(args.mib << 20)?;
        for (nth, (maps, partitions)) in shapes.iter().copied().enumerate() {
            for shared in [true, false] {
                job += 1;
                let peers = if shared { &near } else { &far };
                let run = one_run(&mut writer, peers, &processes, job, (maps, partitions), args.mib << 20).await?;
                eprintln!("round {round}: {maps}x{partitions}, local reads {shared}: {run:?}");
                // The first round touches all memory for the first time.
                if round > 0 {
                    runs.entry((nth, shared)).or_default().push(run);
                }
            }
        }
        if round > 0 {
            tcp.push(rate);
        }
    }
    report(&shapes, &runs, median(&tcp), args.mib);
    Ok(())
}

fn parse_shape(shape: &str) -> anyhow::Result<(u32, u32)> {
    let (maps, partitions) = shape.split_once('x').with_context(|| format!("`{shape}` is not like 8x8"))?;
    Ok((maps.parse()?, partitions.parse()?))
}

fn reader_peers(local_reads: bool) -> Arc<Peers> {
    let peers = Peers::new(PeerLimits::for_memory(4 << 30));
    Arc::new(if local_reads { peers } else { peers.through_the_network() })
}

#[derive(Clone, Debug)]
struct Run {
    map_seconds: f64,
    read_seconds: f64,
    cpu_seconds: f64,
    stored_bytes: u64,
    requests: u64,
    files: usize,
}

async fn one_run(
    writer: &mut Writer,
    peers: &Arc<Peers>,
    processes: &Processes,
    job: u64,
    (maps, partitions): (u32, u32),
    bytes: u64,
) -> anyhow::Result<Run> {
    let rows_per_map = bytes / ROW_BYTES / u64::from(maps);
    let shared = peers.reads_locally();
    let cpu = processes.cpu_seconds()?;
    let told = writer.ask(&Ask::Map { job, maps, partitions, rows_per_map, shared })?;
    let requests = peers.requests();
    let mapped = peers.mapped_bytes();
    let start = Instant::now();
    let rows = read_all(peers, &told.address, job, maps, partitions).await?;
    let read_seconds = start.elapsed().as_secs_f64();
    ensure!(rows == rows_per_map * u64::from(maps), "{rows} rows came, not {rows_per_map} of each of {maps}");
    ensure!(shared || peers.mapped_bytes() == mapped, "bytes went past the network");
    let run = Run {
        map_seconds: told.seconds,
        read_seconds,
        cpu_seconds: processes.cpu_seconds()? - cpu,
        stored_bytes: told.stored_bytes,
        requests: peers.requests() - requests,
        files: told.files,
    };
    writer.ask(&Ask::Release { job })?;
    Ok(run)
}

/// Reads all partitions, two at a time, as two slots would. Rows.
async fn read_all(peers: &Arc<Peers>, address: &str, job: u64, maps: u32, partitions: u32) -> anyhow::Result<u64> {
    let nothing = ShuffleStore::new(std::env::temp_dir(), &ShuffleMemory::new(0));
    let source = WorkerSource::new(READER, nothing, Arc::clone(peers), Arc::default(), Handle::current());
    let at = |map| OutputAt { output: output_id(job, map), worker: WRITER, address: address.to_owned() };
    let inputs = Arc::new(TaskInputs {
        source: Arc::new(source),
        stages: BTreeMap::from([(0, (0..maps).map(at).collect())]),
        sizes: BTreeMap::new(),
    });
    let slots = (0..2).map(|slot| {
        let inputs = Arc::clone(&inputs);
        tokio::spawn(async move {
            let mut rows = 0;
            for partition in (slot..partitions).step_by(2) {
                let which = ReadSelection::Partition(partition);
                let mut batches = read(&inputs, 0, which, schema(), &ExecutionPlanMetricsSet::new(), 0)?;
                while let Some(batch) = batches.try_next().await? {
                    rows += batch.num_rows() as u64;
                }
            }
            anyhow::Ok(rows)
        })
    });
    let mut rows = 0;
    for slot in slots.collect::<Vec<_>>() {
        rows += slot.await??;
    }
    Ok(rows)
}

fn output_id(job: u64, map: u32) -> MapOutputId {
    let stage = StageId { job: JobId(job), index: 0 };
    MapOutputId { task: TaskId { stage, index: map }, attempt: AttemptId { epoch: 1, n: u64::from(map) } }
}

fn report(shapes: &[(u32, u32)], runs: &BTreeMap<(usize, bool), Vec<Run>>, tcp: f64, mib: u64) {
    let mib = mib as f64;
    println!("Loopback TCP, one connection: {tcp:.0} MiB/s. {mib:.0} MiB of rows, {ROW_BYTES} bytes each.\n");
    println!(
        "| shape | local reads | divide + encode s | move + decode s | CPU s | MiB/s of all | of TCP | MiB/s of move + decode | of TCP | stored MiB | requests | files |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for ((shape, shared), runs) in runs {
        let of = |field: fn(&Run) -> f64| median(&runs.iter().map(field).collect::<Vec<_>>());
        let (map, read) = (of(|run| run.map_seconds), of(|run| run.read_seconds));
        let (all, moved) = (mib / (map + read), mib / read);
        let (maps, partitions) = shapes[*shape];
        println!(
            "| {maps}x{partitions} | {} | {map:.2} | {read:.2} | {:.2} | {all:.0} | {:.2} | {moved:.0} | {:.2} | {:.0} | {:.0} | {:.0} |",
            if *shared { "yes" } else { "no" },
            of(|run| run.cpu_seconds),
            all / tcp,
            moved / tcp,
            of(|run| run.stored_bytes as f64) / f64::from(1 << 20),
            of(|run| run.requests as f64),
            of(|run| run.files as f64),
        );
    }
}

/// The other process.
struct Writer {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Writer {
    fn start(memory_mib: u64) -> anyhow::Result<Writer> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["shuffle-writer", "--memory-mib", &memory_mib.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asks = child.stdin.take().context("a pipe")?;
        let answers = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Writer { child, asks, answers })
    }

    fn ask(&mut self, ask: &Ask) -> anyhow::Result<Told> {
        self.send(ask)?;
        self.answer()
    }

    fn send(&mut self, ask: &Ask) -> anyhow::Result<()> {
        writeln!(self.asks, "{}", serde_json::to_string(ask)?)?;
        Ok(self.asks.flush()?)
    }

    fn answer(&mut self) -> anyhow::Result<Told> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the writer said `{line}`"))
    }

    /// MiB a second of one TCP connection between the two processes.
    fn tcp_rate(&mut self, bytes: u64) -> anyhow::Result<f64> {
        let told = self.ask(&Ask::Tcp { bytes })?;
        let start = Instant::now();
        let mut connection = TcpStream::connect(&told.address)?;
        let mut buffer = vec![0; TCP_CHUNK_BYTES];
        let mut come = 0;
        while come < bytes {
            let read = connection.read(&mut buffer)?;
            ensure!(read > 0, "the connection ended early");
            come += read as u64;
        }
        Ok(bytes as f64 / f64::from(1 << 20) / start.elapsed().as_secs_f64())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The writer's process: does what standard input asks for until that ends.
pub async fn write(args: WriterArgs) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let memory = ShuffleMemory::new((args.memory_mib << 20) as usize);
    let store = ShuffleStore::new(folder.path().to_owned(), &memory);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(serve(Arc::clone(&store), listener, std::future::pending()));
    let place = OutputPlace {
        dir: folder.path().to_owned(),
        memory,
        compression: ShuffleCompression::Auto,
        batching_bytes: 64 << 20,
        segments: None,
    };
    let batches = Arc::new(batches()?);
    let segments = Segments::for_this_process();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(tokio::io::stdin()));
    while let Some(line) = lines.next_line().await? {
        let mut told = Told { seconds: 0.0, stored_bytes: 0, files: 0, address: address.clone() };
        match serde_json::from_str(&line)? {
            Ask::Map { job, maps, partitions, rows_per_map, shared } => {
                let place = OutputPlace { segments: shared.then(|| Arc::clone(&segments)), ..place.clone() };
                let task = MapTask { place, job, partitions, rows: rows_per_map, batches: Arc::clone(&batches) };
                let start = Instant::now();
                told.stored_bytes = map_all(&task, maps, &store).await?;
                told.seconds = start.elapsed().as_secs_f64();
                told.files = std::fs::read_dir(folder.path())?.count();
            }
            Ask::Release { job } => store.release_job(JobId(job)),
            Ask::Tcp { bytes } => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                told.address = listener.local_addr()?.to_string();
                std::thread::spawn(move || send(&listener, bytes));
            }
        }
        println!("{}", serde_json::to_string(&told)?);
    }
    Ok(())
}

fn send(listener: &TcpListener, bytes: u64) -> std::io::Result<()> {
    let (mut connection, _) = listener.accept()?;
    let chunk = vec![1; TCP_CHUNK_BYTES];
    let mut left = bytes;
    while left > 0 {
        let next = left.min(TCP_CHUNK_BYTES as u64);
        connection.write_all(&chunk[..next as usize])?;
        left -= next;
    }
    Ok(())
}

#[derive(Clone)]
struct MapTask {
    place: OutputPlace,
    job: u64,
    partitions: u32,
    rows: u64,
    batches: Arc<Vec<RecordBatch>>,
}

/// All map tasks, two at a time. Stored bytes.
async fn map_all(task: &MapTask, maps: u32, store: &Arc<ShuffleStore>) -> anyhow::Result<u64> {
    let slots = (0..2).map(|slot| {
        let (task, store) = (task.clone(), Arc::clone(store));
        tokio::task::spawn_blocking(move || {
            let mut bytes = 0;
            for map in (slot..maps).step_by(2) {
                bytes += task.run(map, &store)?;
            }
            anyhow::Ok(bytes)
        })
    });
    let mut bytes = 0;
    for slot in slots.collect::<Vec<_>>() {
        bytes += slot.await??;
    }
    Ok(bytes)
}

impl MapTask {
    fn run(&self, map: u32, store: &ShuffleStore) -> anyhow::Result<u64> {
        let id = output_id(self.job, map);
        let key: Arc<dyn PhysicalExpr> = col("key", &schema())?;
        let mut router = RowRouter::hash(&[key], self.partitions);
        let writer = OutputWriter::new(id, self.place.clone(), schema(), self.partitions);
        let failed = |_| anyhow::anyhow!("map task {map} cannot write its output");
        let mut left = self.rows;
        for batch in self.batches.iter().cycle().skip(map as usize) {
            let rows = left.min(ROWS_PER_BATCH as u64);
            if rows == 0 {
                break;
            }
            writer.push(&mut router, batch.slice(0, rows as usize)).map_err(failed)?;
            left -= rows;
        }
        let (output, _) = writer.finish().map_err(failed)?;
        let bytes = output.bytes();
        store.insert(id, output);
        Ok(bytes)
    }
}

fn schema() -> SchemaRef {
    let decimal = DataType::Decimal128(15, 2);
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Int64, false),
        Field::new("part", DataType::Int64, false),
        Field::new("price", decimal.clone(), false),
        Field::new("discount", decimal, false),
        Field::new("comment", DataType::Utf8View, false),
    ]))
}

fn batches() -> anyhow::Result<Vec<RecordBatch>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let batch = |_| {
        let keys: Int64Array = (0..ROWS_PER_BATCH).map(|_| Some((next() >> 8) as i64)).collect();
        let parts: Int64Array = (0..ROWS_PER_BATCH).map(|_| Some((next() % 200_000) as i64)).collect();
        let mut decimals = || -> anyhow::Result<Decimal128Array> {
            let values = (0..ROWS_PER_BATCH).map(|_| Some(i128::from(next() % 10_000_000)));
            Ok(values.collect::<Decimal128Array>().with_precision_and_scale(15, 2)?)
        };
        let (prices, discounts) = (decimals()?, decimals()?);
        let width = TEXT_BYTES as usize;
        let texts: StringViewArray = (0..ROWS_PER_BATCH).map(|_| Some(format!("{:>width$}", next()))).collect();
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(keys), Arc::new(parts), Arc::new(prices), Arc::new(discounts), Arc::new(texts)];
        Ok(RecordBatch::try_new(schema(), columns)?)
    };
    (0..BATCHES).map(batch).collect()
}
