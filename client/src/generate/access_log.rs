//! A web server's access log: many requests for few paths, most of them quick, some of them failing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::PlannedFile;

/// Rows per generated batch.
const BATCH_ROWS: u64 = 8192;
/// 2026-01-01T00:00:00Z, when the log begins.
const START_US: i64 = 1_767_225_600_000_000;
/// Mean time between two requests.
const GAP_US: i64 = 20_000;
const PATHS: usize = 2_000;
const CLIENTS: u32 = 50_000;
const USERS: i64 = 20_000;

const AGENTS: [(&str, u32); 6] = [
    ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", 30),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", 40),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1", 18),
    ("curl/8.8.0", 4),
    ("ExampleBot/2.1 (+https://bot.example/about)", 6),
    ("python-requests/2.32.3", 2),
];
const METHODS: [(&str, u32); 5] = [("GET", 880), ("POST", 90), ("PUT", 15), ("DELETE", 10), ("HEAD", 5)];
const STATUSES: [(i32, u32); 8] = [(200, 880), (304, 40), (301, 20), (404, 35), (403, 8), (400, 7), (500, 7), (503, 3)];
const REFERRERS: [(Option<&str>, u32); 4] = [
    (None, 55),
    (Some("https://search.example/"), 25),
    (Some("https://shop.example/"), 15),
    (Some("https://news.example/today"), 5),
];

/// Files of about equal size; the same seed, rows and parts give the same bytes.
pub(super) fn plan(rows: u64, seed: u64, parts: u32) -> Vec<PlannedFile> {
    let parts = u64::from(parts);
    let part_rows = |part: u64| rows / parts + u64::from(part < rows % parts);
    let first_row = |part: u64| part * (rows / parts) + part.min(rows % parts);
    (0..parts)
        .map(|part| {
            let (count, first) = (part_rows(part), first_row(part));
            PlannedFile {
                path: format!("part-{part:04}.parquet"),
                rows: Box::new(move || Box::new(LogPart::new(seed, part, first, count))),
            }
        })
        .collect()
}

pub(super) fn schema() -> SchemaRef {
    let field = |name: &str, data_type: DataType, nullable: bool| Field::new(name, data_type, nullable);
    Arc::new(Schema::new(vec![
        field("ts", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        field("client_ip", DataType::Utf8, false),
        field("user_id", DataType::Int64, true),
        field("method", DataType::Utf8, false),
        field("path", DataType::Utf8, false),
        field("status", DataType::Int32, false),
        field("bytes", DataType::Int64, false),
        field("duration_ms", DataType::Float64, false),
        field("user_agent", DataType::Utf8, false),
        field("referrer", DataType::Utf8, true),
    ]))
}

/// The rows of one file.
struct LogPart {
    rng: StdRng,
    now_us: i64,
    left: u64,
    started: bool,
    paths: Zipf,
}

impl LogPart {
    fn new(seed: u64, part: u64, first_row: u64, rows: u64) -> LogPart {
        // Parts draw from unrelated sequences, and part 0 of one seed is not part 1 of the next.
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ part.rotate_left(32));
        let now_us = START_US + i64::try_from(first_row).unwrap_or(i64::MAX / GAP_US) * GAP_US;
        LogPart { rng, now_us, left: rows, started: false, paths: Zipf::new(PATHS) }
    }

    fn batch(&mut self, rows: u64) -> RecordBatch {
        let mut columns = Columns::default();
        for _ in 0..rows {
            self.row(&mut columns);
        }
        columns.finish()
    }

    fn row(&mut self, columns: &mut Columns) {
        let rng = &mut self.rng;
        columns.ts.append_value(self.now_us);
        self.now_us += rng.random_range(1..2 * GAP_US);

        // Few clients make most requests: the product of two draws leans to small numbers.
        let client = (f64::from(CLIENTS) * rng.random::<f64>() * rng.random::<f64>()) as u32;
        columns.client_ip.append_value(format!("10.{}.{}.{}", client >> 16, (client >> 8) & 255, client & 255));
        let user = rng.random_bool(0.6).then(|| (USERS as f64 * rng.random::<f64>().powi(2)) as i64 + 1);
        columns.user_id.append_option(user);
        columns.method.append_value(pick(rng, &METHODS));
        let path = self.paths.draw(rng);
        columns.path.append_value(path_name(path));

        let status = pick(rng, &STATUSES);
        columns.status.append_value(status);
        let has_body = status == 200;
        let bytes =
            if has_body { (500.0 * (8.0 * rng.random::<f64>()).exp()) as i64 } else { rng.random_range(0..900) };
        columns.bytes.append_value(bytes);
        // Exponential with a mean of 35 ms, rounded to microseconds; failing requests take longer.
        let scale = if status >= 500 { 900.0 } else { 35.0 };
        let duration_ms = -scale * (1.0 - rng.random::<f64>()).ln() + 0.2;
        columns.duration_ms.append_value((duration_ms * 1000.0).round() / 1000.0);
        columns.user_agent.append_value(pick(rng, &AGENTS));
        columns.referrer.append_option(pick(rng, &REFERRERS));
    }
}

impl Iterator for LogPart {
    type Item = RecordBatch;

    /// A part without rows is one empty batch, so that its file has the schema.
    fn next(&mut self) -> Option<RecordBatch> {
        if self.left == 0 && self.started {
            return None;
        }
        self.started = true;
        let rows = self.left.min(BATCH_ROWS);
        self.left -= rows;
        Some(self.batch(rows))
    }
}

/// Columns of [`schema`] while they are filled.
#[derive(Default)]
struct Columns {
    ts: TimestampMicrosecondBuilder,
    client_ip: StringBuilder,
    user_id: Int64Builder,
    method: StringBuilder,
    path: StringBuilder,
    status: Int32Builder,
    bytes: Int64Builder,
    duration_ms: Float64Builder,
    user_agent: StringBuilder,
    referrer: StringBuilder,
}

impl Columns {
    fn finish(mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.ts.finish()),
            Arc::new(self.client_ip.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.method.finish()),
            Arc::new(self.path.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.bytes.finish()),
            Arc::new(self.duration_ms.finish()),
            Arc::new(self.user_agent.finish()),
            Arc::new(self.referrer.finish()),
        ];
        RecordBatch::try_new(schema(), columns).expect("the columns are those of the schema, in its order")
    }
}

/// Draws a value by its weight.
fn pick<T: Copy>(rng: &mut StdRng, weighted: &[(T, u32)]) -> T {
    let total: u32 = weighted.iter().map(|(_, weight)| weight).sum();
    let mut at = rng.random_range(0..total);
    for (value, weight) in weighted {
        if at < *weight {
            return *value;
        }
        at -= weight;
    }
    unreachable!("the draw lies below the sum of the weights")
}

fn path_name(rank: usize) -> String {
    match rank {
        0 => "/".to_owned(),
        1 => "/index.html".to_owned(),
        2 => "/login".to_owned(),
        3 => "/cart".to_owned(),
        rank if rank % 5 == 0 => format!("/static/asset-{rank}.js"),
        rank if rank % 7 == 0 => format!("/api/v1/items/{rank}"),
        rank => format!("/products/{rank}"),
    }
}

/// Ranks with the weight 1/(rank + 1).
struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    fn new(ranks: usize) -> Zipf {
        let mut total = 0.0;
        let weights = (0..ranks).map(|rank| {
            total += 1.0 / (rank as f64 + 1.0);
            total
        });
        Zipf { cumulative: weights.collect() }
    }

    fn draw(&self, rng: &mut StdRng) -> usize {
        let total = self.cumulative.last().copied().unwrap_or_default();
        let at = rng.random::<f64>() * total;
        self.cumulative.partition_point(|cumulative| *cumulative <= at).min(self.cumulative.len() - 1)
    }
}
