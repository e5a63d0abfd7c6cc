//! A job of mappers and reducers, step by step: what a job needs next is what the types offer.

use std::collections::BTreeMap;
use std::sync::Arc;

use windrow_client::job_file;
use windrow_engine::user_code::{CodeStart, NativeCode, register};
use windrow_model::{
    CodeLimits, Divide, ErrorReport, FieldRange, JobSpec, Keys, MapReduce, MapReduceInput, OnError, OutputMode,
    OutputSpec, Program, Runs, SortField, TableFormat, TableSpec, UserCode,
};

use crate::combine::{Combiner, TABLE_BYTES};
use crate::map::{MakeCombiner, MakePartitioner, MapCode, Mapper};
use crate::record::Record;
use crate::reduce::{ReduceCode, Reducer};
use crate::{Context, Emitter, Error, RecordBatch};

/// The table of a job whose input is a location.
const INPUT: &str = "input";

/// Rows of each task that a total order looks at.
const SAMPLE_ROWS: usize = 10_000;

/// Chooses the reducer of a key, from 0.
pub trait Partitioner<K: Record>: Send {
    fn partition(&mut self, key: K::Ref<'_>, partitions: u32) -> u32;
}

impl<K: Record, F: FnMut(K::Ref<'_>, u32) -> u32 + Send> Partitioner<K> for F {
    fn partition(&mut self, key: K::Ref<'_>, partitions: u32) -> u32 {
        self(key, partitions)
    }
}

/// Of a column of keys, as reducers read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// Where a job's rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Lines of the text files at a location.
    Lines(String),
    /// Rows of the files at a location.
    Files(String, TableFormat),
    /// The rows of a query over the job's tables.
    Sql(String),
}

type Register = Arc<dyn Fn(&str) + Send + Sync>;

/// A job, whole or without its input and output: they can also be given in a job file that names its code.
#[derive(Clone)]
pub struct Job {
    name: String,
    made: MapReduce,
    input: Option<Input>,
    tables: BTreeMap<String, TableSpec>,
    sql: Option<String>,
    output: Option<OutputSpec>,
    parameters: BTreeMap<String, String>,
    registers: Vec<Register>,
    /// Reducers among which keys are to be divided in their order.
    pub(crate) total_order: Option<u32>,
    /// What is wrong with it.
    flaw: Option<String>,
}

/// A job that has a mapper so far.
pub struct Mapped<M: Mapper> {
    name: String,
    make: Arc<dyn Fn(&Context<'_>) -> M + Send + Sync>,
    partitioner: Option<(MakePartitioner<M::Key>, u32)>,
}

/// A job that has a mapper and a combiner so far.
pub struct Combined<M: Mapper> {
    mapped: Mapped<M>,
    combiner: MakeCombiner<M::Value>,
    table_bytes: usize,
}

impl Job {
    /// A job of this name; `mapper` is called for each partition of each attempt.
    pub fn map<M: Mapper + 'static>(
        name: &str,
        mapper: impl Fn(&Context<'_>) -> M + Send + Sync + 'static,
    ) -> Mapped<M> {
        Mapped { name: name.to_owned(), make: Arc::new(mapper), partitioner: None }
    }

    fn new(name: String, map: UserCode, reduce: Option<UserCode>, keys: Keys, registers: Vec<Register>) -> Job {
        let made = MapReduce {
            input: MapReduceInput::Table(INPUT.to_owned()),
            map: Some(map),
            combine: None,
            reduce,
            partitions: None,
            keys,
            deterministic: false,
        };
        Job {
            name,
            made,
            input: None,
            tables: BTreeMap::new(),
            sql: None,
            output: None,
            parameters: BTreeMap::new(),
            registers,
            total_order: None,
            flaw: None,
        }
    }

    pub fn input(mut self, input: Input) -> Job {
        self.input = Some(input);
        self
    }

    /// A table of files that `Input::Sql` and [`Job::sql`] may name.
    pub fn table(mut self, name: &str, location: &str, format: TableFormat) -> Job {
        self.tables.insert(name.to_owned(), files(location, format));
        self
    }

    /// The rows go there. Without an output they are the result.
    pub fn output(mut self, location: &str, format: TableFormat, mode: OutputMode) -> Job {
        let (partition_by, options) = (Vec::new(), BTreeMap::new());
        self.output = Some(OutputSpec { location: location.to_owned(), format, mode, partition_by, options });
        self
    }

    /// The names of the columns that the job's last piece of code writes. Without them they are `c1`, `c2` and so on.
    pub fn columns(mut self, names: &[&str]) -> Job {
        let last = self.made.reduce.as_mut().or(self.made.map.as_mut());
        let found =
            last.as_ref().and_then(|code| code.columns.as_ref()).map_or(0, |columns| columns.split(", ").count());
        if found != names.len() {
            self.flaw = Some(format!("it names {} columns of {found}", names.len()));
            return self;
        }
        if let Some(columns) = last.and_then(|code| code.columns.as_mut()) {
            let types: Vec<_> =
                columns.split(", ").filter_map(|column| column.split_once(' ')).map(|(_, kind)| kind).collect();
            *columns =
                names.iter().zip(types).map(|(name, kind)| format!("\"{name}\" {kind}")).collect::<Vec<_>>().join(", ");
        }
        self
    }

    /// SQL over the rows, which are the table of the job's name. Without it they are the result as they are.
    pub fn sql(mut self, sql: &str) -> Job {
        self.sql = Some(sql.to_owned());
        self
    }

    /// Reducers. Without it the planner chooses.
    pub fn partitions(mut self, partitions: u32) -> Job {
        self.made.partitions = Some(partitions);
        self
    }

    /// The code gives the same rows for the same rows, in whatever order the values of a key come: less has to run again
    /// when a worker is lost.
    pub fn deterministic(mut self) -> Job {
        self.made.deterministic = true;
        self
    }

    /// Rows with the same first `columns` columns of their key are one group for the reducer, which reads them in the order of
    /// the whole key: a secondary sort.
    pub fn group_by(mut self, columns: u32) -> Job {
        self.made.keys.partition = Some(FieldRange { first: 1, last: Some(columns) });
        self.parameters.insert(GROUP_COLUMNS.to_owned(), columns.to_string());
        self
    }

    /// The order of keys, column by column; the others are ascending.
    pub fn order(mut self, columns: &[Order]) -> Job {
        let field = |(nth, order): (u32, &Order)| SortField {
            fields: FieldRange { first: nth, last: Some(nth) },
            numeric: false,
            reverse: *order == Order::Descending,
        };
        self.made.keys.sort = (1..).zip(columns).map(field).collect();
        self
    }

    /// The first reducer has the keys that are less than the first of these, and so on: the outputs follow each other.
    /// Points are values of the first column of keys, in order.
    pub fn split_at(mut self, points: &[&str]) -> Job {
        self.made.keys.divide = Divide::Points(points.iter().map(|point| (*point).to_owned()).collect());
        self.made.partitions = Some(points.len() as u32 + 1);
        self
    }

    /// Divides keys in their order among about so many reducers: [`crate::Cluster::run`] takes a sample first.
    pub fn total_order(mut self, partitions: u32) -> Job {
        if self.made.keys.divide == Divide::Numbered {
            self.flaw = Some("it has a partitioner and asks for a total order".to_owned());
        }
        self.total_order = Some(partitions);
        self
    }

    /// What [`Context::parameters`] has.
    pub fn parameter(mut self, name: &str, value: &str) -> Job {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Records at which the mapper fails are left out, up to so many of a task.
    pub fn skip_bad_records(mut self, records_max: u64) -> Job {
        self.made.map.iter_mut().for_each(|map| map.on_error = OnError::Skip { records_max });
        self
    }

    /// Records at which the mapper fails are written there with the reason, and committed with the output.
    pub fn quarantine(mut self, location: &str) -> Job {
        self.made.map.iter_mut().for_each(|map| map.on_error = OnError::Quarantine { location: location.to_owned() });
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the code known to workers of this process.
    pub fn register(&self) {
        self.registers.iter().for_each(|register| register(&self.name));
    }

    /// The specification that a coordinator takes.
    ///
    /// # Errors
    /// The job has no input, or the current folder has no name.
    pub fn spec(&self) -> Result<JobSpec, ErrorReport> {
        if let Some(flaw) = &self.flaw {
            return Err(ErrorReport::invalid(format!("the job `{}`: {flaw}", self.name)));
        }
        let (mut made, mut tables) = (self.made.clone(), self.tables.clone());
        made.input = match &self.input {
            None => return Err(ErrorReport::invalid(format!("the job `{}` has no input", self.name))),
            Some(Input::Sql(sql)) => MapReduceInput::Query(sql.clone()),
            Some(Input::Lines(location)) => {
                tables.insert(INPUT.to_owned(), files(location, TableFormat::Text));
                MapReduceInput::Table(INPUT.to_owned())
            }
            Some(Input::Files(location, format)) => {
                tables.insert(INPUT.to_owned(), files(location, *format));
                MapReduceInput::Table(INPUT.to_owned())
            }
        };
        for code in [&mut made.map, &mut made.reduce].into_iter().flatten() {
            code.env.extend(self.parameters.clone());
        }
        let script = self.sql.clone().unwrap_or_else(|| format!("SELECT * FROM \"{}\"", self.name));
        let program = Program::Sql {
            script,
            base: job_file::current_base()?,
            tables,
            made: BTreeMap::from([(self.name.clone(), made)]),
            output: self.output.clone(),
        };
        job_file::spec_of(&self.name, program)
    }

    /// A job that gives the first column of a sample of the mapper's keys, in order, as text.
    pub(crate) fn sample(&self) -> Job {
        let mut sample = self.clone();
        sample.name = format!("{}-sample", self.name);
        sample.made.reduce = None;
        if let Some(UserCode { runs: Runs::Native { name }, on_error, .. }) = &mut sample.made.map {
            *name = format!("{}/map", sample.name);
            // The job itself says what becomes of bad records.
            *on_error = OnError::Skip { records_max: u64::MAX };
        }
        sample.made.partitions = None;
        sample.made.keys.divide = Divide::Hash;
        sample.parameters.insert(SAMPLE.to_owned(), SAMPLE_ROWS.to_string());
        (sample.output, sample.total_order) = (None, None);
        let first = format!("\"{}\"", map_column(0));
        sample.sql =
            Some(format!("SELECT CAST({first} AS VARCHAR) AS point FROM \"{}\" ORDER BY {first}", sample.name));
        sample
    }
}

/// A parameter: columns of the key that reducers group by.
const GROUP_COLUMNS: &str = "windrow.group_columns";

/// A parameter: rows after which a mapper ends.
const SAMPLE: &str = "windrow.sample";

fn files(location: &str, format: TableFormat) -> TableSpec {
    TableSpec { location: location.to_owned(), format, options: BTreeMap::new() }
}

fn map_column(nth: usize) -> String {
    format!("k{}", nth + 1)
}

impl<M: Mapper + 'static> Mapped<M> {
    /// Chooses the reducer of each key. There are `partitions` of them.
    pub fn partition_by<P: Partitioner<M::Key> + 'static>(
        mut self,
        partitions: u32,
        partitioner: impl Fn() -> P + Send + Sync + 'static,
    ) -> Mapped<M> {
        self.partitioner = Some((Arc::new(move || Box::new(partitioner())), partitions));
        self
    }

    /// Puts values of one key together before they leave the mapper, with as much memory as is right.
    pub fn combine<C>(self, combiner: C) -> Combined<M>
    where
        C: Combiner<M::Value> + Clone + Sync + 'static,
    {
        Combined { mapped: self, combiner: Arc::new(move || Box::new(combiner.clone())), table_bytes: TABLE_BYTES }
    }

    pub fn reduce<R>(self, reducer: impl Fn(&Context<'_>) -> R + Send + Sync + 'static) -> Job
    where
        R: Reducer<Key = M::Key, Value = M::Value> + 'static,
    {
        reduced(self, None, reducer)
    }

    /// The mapper's keys and values are the rows of the job.
    pub fn rows(self) -> Job {
        // Where there are no reducers none is chosen.
        let ((code, mapped), register) = map_code(Mapped { partitioner: None, ..self }, None);
        Job::new(mapped.name, code, None, Keys::default(), vec![register])
    }
}

impl<M: Mapper + 'static> Combined<M> {
    /// Bytes of keys and values that are put together at most; 0: none.
    pub fn table_bytes(mut self, bytes: usize) -> Combined<M> {
        self.table_bytes = bytes;
        self
    }

    pub fn reduce<R>(self, reducer: impl Fn(&Context<'_>) -> R + Send + Sync + 'static) -> Job
    where
        R: Reducer<Key = M::Key, Value = M::Value> + 'static,
    {
        reduced(self.mapped, Some((self.combiner, self.table_bytes)), reducer)
    }
}

fn reduced<M, R>(
    mapped: Mapped<M>,
    combiner: Option<(MakeCombiner<M::Value>, usize)>,
    reducer: impl Fn(&Context<'_>) -> R + Send + Sync + 'static,
) -> Job
where
    M: Mapper + 'static,
    R: Reducer<Key = M::Key, Value = M::Value> + 'static,
{
    let ((map, mapped), register_map) = map_code(mapped, combiner);
    let make = Arc::new(reducer);
    let register_reduce: Register = Arc::new(move |job| {
        let make = Arc::clone(&make);
        register(&format!("{job}/reduce"), move |start| {
            let whole_key = || <R::Key as Record>::COLUMNS;
            let group =
                start.parameters.get(GROUP_COLUMNS).and_then(|text| text.parse().ok()).unwrap_or_else(whole_key);
            Box::new(ReduceCode::new(make(start), group, start)) as Box<dyn NativeCode>
        });
    });
    let divide = if mapped.partitioner.is_some() { Divide::Numbered } else { Divide::Hash };
    let keys = Keys { fields: <M::Key as Record>::COLUMNS as u32, divide, ..Keys::default() };
    let columns = <R::Out as Record>::sql_types();
    let columns = (1..).zip(columns).map(|(nth, kind)| format!("c{nth} {kind}")).collect();
    let reduce = native(&format!("{}/reduce", mapped.name), columns);
    let partitions = mapped.partitioner.as_ref().map(|(_, partitions)| *partitions);
    let mut job = Job::new(mapped.name, map, Some(reduce), keys, vec![register_map, register_reduce]);
    job.made.partitions = partitions;
    job
}

/// The code of a mapper, and what makes it known.
fn map_code<M: Mapper + 'static>(
    mapped: Mapped<M>,
    combiner: Option<(MakeCombiner<M::Value>, usize)>,
) -> ((UserCode, Mapped<M>), Register) {
    let number = mapped.partitioner.is_some().then(|| "reducer INT UNSIGNED".to_owned());
    let keys = <M::Key as Record>::sql_types().into_iter().enumerate();
    let keys = keys.map(|(nth, kind)| format!("{} {kind}", map_column(nth)));
    let values = (1..).zip(<M::Value as Record>::sql_types()).map(|(nth, kind): (usize, _)| format!("v{nth} {kind}"));
    let code = native(&format!("{}/map", mapped.name), number.into_iter().chain(keys).chain(values).collect());
    let (make, partitioner) = (Arc::clone(&mapped.make), mapped.partitioner.clone());
    let register: Register = Arc::new(move |job| {
        let (make, combiner, partitioner) = (Arc::clone(&make), combiner.clone(), partitioner.clone());
        register(&format!("{job}/map"), move |start: &CodeStart<'_>| {
            let sampled = start.parameters.get(SAMPLE).and_then(|rows| rows.parse().ok());
            let (combiner, partitioner) = (combiner.clone(), partitioner.clone());
            match sampled {
                Some(rows) => {
                    Box::new(MapCode::new(Sampled { mapper: make(start), rows }, start)) as Box<dyn NativeCode>
                }
                None => Box::new(MapCode { combiner, partitioner, ..MapCode::new(make(start), start) }),
            }
        });
    });
    ((code, mapped), register)
}

fn native(name: &str, columns: Vec<String>) -> UserCode {
    UserCode {
        runs: Runs::Native { name: name.to_owned() },
        columns: Some(columns.join(", ")),
        env: BTreeMap::new(),
        on_error: OnError::Fail,
        limits: CodeLimits::default(),
    }
}

/// A mapper over the first rows of its input.
struct Sampled<M> {
    mapper: M,
    /// That are left to take.
    rows: usize,
}

impl<M: Mapper> Mapper for Sampled<M> {
    type Key = M::Key;
    type Value = M::Value;

    fn setup(&mut self, context: &Context<'_>) -> Result<(), Error> {
        self.mapper.setup(context)
    }

    fn map(&mut self, rows: &RecordBatch, out: &mut Emitter<'_, M::Key, M::Value>) -> Result<(), Error> {
        let taken = rows.slice(0, rows.num_rows().min(self.rows));
        self.rows -= taken.num_rows();
        if taken.num_rows() > 0 { self.mapper.map(&taken, out) } else { Ok(()) }
    }

    fn wants_more(&self) -> bool {
        self.rows > 0 && self.mapper.wants_more()
    }
}
