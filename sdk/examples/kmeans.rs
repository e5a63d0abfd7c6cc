//! k-means: a job for each step, whose mapper knows the centres of the step before.
//!
//! ```sh
//! cargo run --release -p windrow-sdk --example kmeans            # 200,000 points around 5 centres
//! ```

use std::process::ExitCode;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use windrow_sdk::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POINTS: usize = 200_000;
const STEPS_MAX: usize = 50;
/// Centres that move less than this have been found.
const MOVED_MIN: f64 = 1e-9;

type Centre = (f64, f64);

/// Around which points lie.
const TRUE_CENTRES: [Centre; 5] = [(0.0, 0.0), (8.0, 1.0), (1.0, 9.0), (-7.0, 4.0), (3.0, -8.0)];

/// Sums of the points that are nearest to each centre.
struct Assign {
    centres: Vec<Centre>,
}

impl Mapper for Assign {
    type Key = i64;
    type Value = (f64, f64, i64);

    fn setup(&mut self, context: &Context<'_>) -> Result<(), Error> {
        let text = context.parameters.get("centres").ok_or("the job gives no centres")?;
        self.centres = parse(text)?;
        Ok(())
    }

    fn map(&mut self, rows: &RecordBatch, out: &mut Emitter<'_, i64, (f64, f64, i64)>) -> Result<(), Error> {
        let (x, y) = (column::<f64>(rows, "x")?, column::<f64>(rows, "y")?);
        let points: Vec<Centre> = x.iter().flatten().zip(y.iter().flatten()).collect();
        // Distances are what takes time: all cores of the worker share them.
        let nearest: Vec<usize> = points.par_iter().map(|point| nearest(*point, &self.centres)).collect();
        for ((x, y), centre) in points.into_iter().zip(nearest) {
            out.emit(centre as i64, (x, y, 1));
        }
        Ok(())
    }
}

/// The middle of the points of a centre.
struct Middle;

impl Reducer for Middle {
    type Key = i64;
    type Value = (f64, f64, i64);
    type Out = (i64, f64, f64);

    fn reduce(
        &mut self,
        centre: i64,
        sums: &mut Values<'_, i64, (f64, f64, i64)>,
        out: &mut Emitter<'_, (i64, f64, f64)>,
    ) -> Result<(), Error> {
        let mut all = (0.0, 0.0, 0);
        while let Some(sum) = sums.next() {
            add(&mut all, sum);
        }
        out.emit((centre, all.0 / all.2 as f64, all.1 / all.2 as f64), ());
        Ok(())
    }
}

fn add(all: &mut (f64, f64, i64), sum: (f64, f64, i64)) {
    *all = (all.0 + sum.0, all.1 + sum.1, all.2 + sum.2);
}

fn distance(left: Centre, right: Centre) -> f64 {
    (left.0 - right.0).powi(2) + (left.1 - right.1).powi(2)
}

fn nearest(point: Centre, centres: &[Centre]) -> usize {
    let distances = centres.iter().map(|centre| distance(point, *centre)).enumerate();
    distances.min_by(|left, right| left.1.total_cmp(&right.1)).map_or(0, |(centre, _)| centre)
}

fn parse(text: &str) -> Result<Vec<Centre>, Error> {
    let centre = |text: &str| {
        let (x, y) = text.split_once(' ').ok_or("a centre has two numbers")?;
        Ok::<_, Error>((x.parse()?, y.parse()?))
    };
    text.split(';').map(centre).collect()
}

fn job(points: &str, centres: &[Centre]) -> Job {
    let centres: Vec<String> = centres.iter().map(|(x, y)| format!("{x} {y}")).collect();
    Job::map("k-means", |_| Assign { centres: Vec::new() })
        .combine(add)
        .reduce(|_| Middle)
        .columns(&["centre", "x", "y"])
        .parameter("centres", &centres.join(";"))
        .table("points", points, TableFormat::Csv)
        .input(Input::Sql("SELECT x, y FROM points".to_owned()))
}

/// One step: where the centres are after it.
async fn step(cluster: &Cluster, points: &str, centres: &[Centre]) -> Result<Vec<Centre>, ErrorReport> {
    let outcome = cluster.run(&job(points, centres)).await?;
    // A centre without points stays where it is.
    let mut next = centres.to_vec();
    for batch in &outcome.rows {
        let number = |column: usize| batch.column(column).as_primitive::<Float64Type>();
        for (row, centre) in batch.column(0).as_primitive::<Int64Type>().values().iter().enumerate() {
            next[*centre as usize] = (number(1).value(row), number(2).value(row));
        }
    }
    Ok(next)
}

fn generate(folder: &std::path::Path) -> std::io::Result<Vec<Centre>> {
    use std::fmt::Write;
    let mut random = StdRng::seed_from_u64(42);
    let mut points = Vec::new();
    for file in 0..4 {
        let mut text = String::from("x,y\n");
        for nth in 0..POINTS / 4 {
            let (x, y) = TRUE_CENTRES[nth % TRUE_CENTRES.len()];
            let mut near = || (0..6).map(|_| random.random_range(-0.5..0.5)).sum::<f64>();
            let point = (x + near(), y + near());
            points.push(point);
            let _ = writeln!(text, "{},{}", point.0, point.1);
        }
        std::fs::write(folder.join(format!("{file}.csv")), text)?;
    }
    Ok(points)
}

async fn run() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let points = generate(folder.path())?;
    let location = format!("{}/", folder.path().display());
    let cluster = Cluster::embedded(2, 1).await?;
    let mut centres = vec![points[0], points[1], points[2], points[3], points[4]];
    for nth in 1..=STEPS_MAX {
        let next = step(&cluster, &location, &centres).await?;
        let moved = centres.iter().zip(&next).map(|(left, right)| distance(*left, *right)).fold(0.0, f64::max);
        println!("step {nth}: the centre that moved most moved {:.6}", moved.sqrt());
        centres = next;
        if moved < MOVED_MIN {
            break;
        }
    }
    cluster.shutdown().await;
    for (x, y) in &centres {
        let truth = TRUE_CENTRES[nearest((*x, *y), &TRUE_CENTRES)];
        println!("centre at {x:.3}, {y:.3}; points were made around {}, {}", truth.0, truth.1);
        if distance((*x, *y), truth) > 0.01 {
            return Err("that is too far away".into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().map_err(Error::from);
    match runtime.and_then(|runtime| runtime.block_on(run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
