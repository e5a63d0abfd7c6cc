//! What each statement of a job means.

mod functions;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan, Statement as LogicalStatement, WriteOp};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{CopyToSource, CopyToStatement, CreateExternalTable, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use windrow_model::{
    ClusterShape, ErrorKind, ErrorReport, JobId, JobSpec, MapReduce, MapReduceInput, OnError, OutputMode, OutputSpec,
    Program, StepOutcome, StepPlan, TableFormat, UserCode,
};

use super::big_stack::drop_on_big_stack;
use super::catalog::{Catalog, FilesTable, overlap};
use super::planning::{self, Plan};
use super::target::{self, Writer};
use super::{EngineOptions, PastStep, PlanEnvironment, PlanHook, PlannedStep};
use crate::plan::{allow_coalescing, allow_sharing};
use crate::sink::target::check_columns;
use crate::sink::{OutputTarget, check_target};
use crate::sql::{Action, Setting, StageTable, WindowFilter, Written, check_setting, split};
use crate::stores::resolve_location;
use crate::tables::Declared;
use crate::{errors, session, user_code};

/// One job's catalog, settings and statements. Lives on the coordinator while the job runs.
///
/// All methods are to be called within [`super::on_big_stack`].
pub struct JobSession {
    job: JobId,
    spec: JobSpec,
    base: String,
    statements: Vec<Written>,
    /// The statement whose rows go to `output:`, and that output.
    output: Option<(usize, OutputSpec)>,
    catalog: Catalog,
    /// Functions that statements have made.
    functions: BTreeSet<String>,
    context: SessionContext,
    env: Arc<PlanEnvironment>,
    options: EngineOptions,
    /// `now()` of every statement.
    started: DateTime<Utc>,
}

/// No statement that is done while planning looks at the cluster, except `EXPLAIN`, whose text is thrown away.
const NOWHERE: ClusterShape = ClusterShape { workers: 1, slots: 1, slots_max: 1, memory_bytes_min: 1 << 30 };

/// What is left to do for a statement after its meaning is known.
enum Work {
    /// Nothing.
    Done(Answer),
    Run {
        logical: Box<LogicalPlan>,
        purpose: Purpose,
    },
}

/// What a statement says at once.
#[derive(Default)]
struct Answer {
    text: Option<String>,
    rows: Option<(SchemaRef, Vec<RecordBatch>)>,
    notes: Vec<String>,
}

enum Purpose {
    Result,
    /// `EXPLAIN ANALYZE`.
    Count,
    Table(String),
    Write(Box<OutputTarget>),
}

impl Drop for JobSession {
    fn drop(&mut self) {
        // Views keep their plans, which may be deep.
        drop_on_big_stack(std::mem::replace(&mut self.context, SessionContext::new()));
    }
}

impl JobSession {
    /// Checks, parses and splits the script. Tables are opened when a statement first names them. `started` is what
    /// `now()` gives in every statement.
    pub async fn open(
        job: JobId,
        spec: &JobSpec,
        started: DateTime<Utc>,
        env: &Arc<PlanEnvironment>,
    ) -> Result<JobSession, ErrorReport> {
        let Program::Sql { script, base, tables, made, output } = &spec.program;
        let is_both = |step: &&String| tables.keys().any(|table| table.eq_ignore_ascii_case(step));
        if let Some(both) = made.keys().find(is_both) {
            return Err(ErrorReport::invalid(format!("`{both}` is a table and a step"))
                .with_hint("names that differ in their case only are the same"));
        }
        let statements = split(script)?;
        if statements.is_empty() {
            return Err(ErrorReport::invalid("the job has no SQL statement").with_hint("add at least a SELECT"));
        }
        let mut last_query = None;
        for (at, written) in statements.iter().enumerate() {
            let is_query = parse(written, at, statements.len())?;
            last_query = if is_query { Some(at) } else { last_query };
        }
        let output = match (output, last_query) {
            (None, _) => None,
            (Some(output), Some(at)) => Some((at, output.clone())),
            (Some(_), None) => {
                return Err(ErrorReport::invalid("the job has an `output` but no SELECT whose rows go there")
                    .with_hint("end the SQL with a SELECT, or remove `output` and write with COPY"));
            }
        };
        let state = session::base_state(session::base_config(), Arc::clone(&env.runtime));
        let context = SessionContext::new_with_state(state);
        context.add_analyzer_rule(Arc::new(WindowFilter));
        Ok(JobSession {
            job,
            spec: spec.clone(),
            base: base.clone(),
            output,
            catalog: Catalog::from_specs(tables, base)?,
            statements,
            functions: BTreeSet::new(),
            context,
            env: Arc::clone(env),
            options: env.options.clone(),
            started,
        })
    }

    /// Brings the catalog and the settings to where they were after the first statements of the script, which another
    /// session has planned: `past` says what each of them left behind. Nothing is planned or run again.
    pub async fn catch_up(&mut self, past: &[PastStep]) -> Result<(), ErrorReport> {
        for (at, step) in past.iter().enumerate() {
            if at >= self.statements.len() {
                return Err(ErrorReport::internal(format!("{} has no statement {}", self.job, at + 1)));
            }
            match step {
                // Whatever it said to its client has been said.
                PastStep::Immediate => drop(self.meaning(at, 0, NOWHERE).await?),
                PastStep::Rows => {}
                PastStep::Written { location } => self.catalog.written_to(location),
                PastStep::Table { schema, stage, tasks } => {
                    let name = self.made_name(at)?;
                    let table = StageTable::new(Arc::clone(schema), *stage, *tasks);
                    let created = self.catalog.create_made_table(&name, Arc::new(table), &self.context);
                    created.map_err(|report| prefixed(report, &self.place(at)))?;
                }
            }
        }
        Ok(())
    }

    /// The table that a `CREATE TABLE AS` makes.
    fn made_name(&self, at: usize) -> Result<String, ErrorReport> {
        let statement = self.statements[at].parse().map_err(|error| self.explained(at, error))?;
        let Action::CreateTableAs(Statement::Statement(create)) =
            Action::of(statement).map_err(|report| prefixed(report, &self.place(at)))?
        else {
            return Err(ErrorReport::internal(format!(
                "{}: it made a table and is no CREATE TABLE AS",
                self.place(at)
            )));
        };
        let SqlStatement::CreateTable(create) = create.as_ref() else {
            return Err(ErrorReport::internal("CREATE TABLE AS is another statement"));
        };
        let reference = TableReference::parse_str(&create.name.to_string());
        Catalog::local_name(&reference).ok_or_else(|| self.other_schema(at, &reference))
    }

    pub fn statements(&self) -> usize {
        self.statements.len()
    }

    /// Plans statement number `step` (from 0). Steps are planned in order, each after the one before has ended.
    pub async fn plan_step(
        &mut self,
        step: u32,
        first_stage: u32,
        cluster: ClusterShape,
    ) -> Result<PlannedStep, ErrorReport> {
        let at = step as usize;
        if at >= self.statements.len() {
            return Err(ErrorReport::internal(format!("{} has no statement {}", self.job, step + 1)));
        }
        match self.meaning(at, first_stage, cluster).await? {
            Work::Done(answer) => Ok(self.immediate(at, answer)),
            Work::Run { logical, purpose } => {
                if let Purpose::Write(target) = &purpose {
                    let checked = check_target(target, &self.env.stores).await;
                    checked.map_err(|report| prefixed(report, &self.place(at)))?;
                }
                let plan = self.plan(at, &logical, &purpose, first_stage, cluster).await?;
                self.settle(at, &plan, &purpose)?;
                let mut planned = self.planned(at, plan, purpose);
                if let Some(PlanHook(change)) = &self.env.options.plan_hook {
                    change(&mut planned);
                }
                Ok(planned)
            }
        }
    }

    /// What every statement would do, without running any.
    pub async fn explain(&mut self, cluster: ClusterShape) -> Result<String, ErrorReport> {
        // A session of its own, so that the views and tables of the explained run are not left behind.
        let mut scratch = JobSession::open(self.job, &self.spec, self.started, &self.env).await?;
        let mut text = String::new();
        let mut first_stage = 0;
        for at in 0..scratch.statements.len() {
            let written = scratch.statements[at].shortened();
            text.push_str(&format!("-- {}: {written}\n", scratch.place(at)));
            match scratch.meaning(at, first_stage, cluster).await? {
                Work::Done(answer) => text.push_str(&answer.text.unwrap_or_else(|| "done while planning\n".to_owned())),
                Work::Run { logical, purpose } => {
                    let plan = scratch.plan(at, &logical, &purpose, first_stage, cluster).await?;
                    scratch.settle(at, &plan, &purpose)?;
                    first_stage += plan.distributed.stages.len() as u32;
                    text.push_str(&plan.explain());
                }
            }
            text.push('\n');
        }
        Ok(text)
    }

    /// `statement 2 of 3 (line 7)`, or `line 7` if there is only one.
    fn place(&self, at: usize) -> String {
        place(&self.statements[at], at, self.statements.len())
    }

    /// A session in which `now()` is the job's start.
    fn session(&self) -> SessionState {
        let mut state = self.context.state_ref().read().clone();
        state.execution_props_mut().query_execution_start_time = Some(self.started);
        state
    }

    async fn meaning(&mut self, at: usize, first_stage: u32, cluster: ClusterShape) -> Result<Work, ErrorReport> {
        let statement = self.statements[at].parse().map_err(|error| self.explained(at, error))?;
        let action = Action::of(statement).map_err(|report| prefixed(report, &self.place(at)))?;
        match action {
            Action::Query(statement) => self.query(at, statement).await,
            Action::Show(statement) => self.show(at, statement).await,
            Action::Explain(explain) => {
                let analyze = explain.options.analyze;
                self.explain_one(at, *explain.statement, analyze, first_stage, cluster).await
            }
            Action::CreateExternalTable(create) => self.create_external_table(at, create).await,
            Action::CreateTableAs(statement) => self.create_table_as(at, statement).await,
            Action::Catalog(statement) => self.change_catalog(at, statement).await,
            Action::Function(statement) => self.change_function(at, statement).await,
            Action::Setting(statement) => self.change_setting(at, statement).await,
            Action::Copy(copy) => self.copy(at, copy).await,
            Action::Insert(statement) => self.insert(at, statement).await,
        }
    }

    /// Opens the tables that the statement names, and makes its logical plan.
    async fn logical(&mut self, at: usize, statement: Statement) -> Result<LogicalPlan, ErrorReport> {
        self.prepare(at, &statement, &mut BTreeSet::new()).await?;
        self.session().statement_to_plan(statement).await.map_err(|error| self.explained(at, error))
    }

    /// Opens what the statement names. A view over files that have been written to since is made again first;
    /// `under_way` are those that are being made again, as a view may replace one that it reads.
    async fn prepare(
        &mut self,
        at: usize,
        statement: &Statement,
        under_way: &mut BTreeSet<String>,
    ) -> Result<(), ErrorReport> {
        let session = self.session();
        let references = session.resolve_table_references(statement).map_err(|error| self.explained(at, error))?;
        for name in references.iter().filter_map(Catalog::local_name) {
            if let Some(made_at) = self.catalog.outdated_view(&name)
                && under_way.insert(name.clone())
            {
                Box::pin(self.make_view_again(&name, made_at, under_way)).await?;
            }
        }
        let opened = self.catalog.open(&references, &self.context, &session, &self.env.stores).await;
        opened.map_err(|report| prefixed(report, &self.place(at)))?;
        for wanted in references.iter().filter_map(Catalog::local_name) {
            if let Some((name, made)) = self.made_by_code(&wanted)
                && under_way.insert(wanted.clone())
            {
                Box::pin(self.make_by_code(at, &name, &wanted, &made, under_way)).await?;
            }
        }
        Ok(())
    }

    /// The table that the user's own code makes, by the name that a statement gives it.
    fn made_by_code(&self, wanted: &str) -> Option<(String, MapReduce)> {
        let Program::Sql { made, .. } = &self.spec.program;
        let exact = made.get_key_value(wanted);
        // Unquoted names arrive in lower case.
        let similar = || made.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let found = exact.or_else(|| if self.catalog.has(wanted) { None } else { similar() });
        found.map(|(name, made)| (name.clone(), made.clone()))
    }

    /// Registers the table `name` under the name that is `wanted`.
    async fn make_by_code(
        &mut self,
        at: usize,
        name: &str,
        wanted: &str,
        made: &MapReduce,
        under_way: &mut BTreeSet<String>,
    ) -> Result<(), ErrorReport> {
        let place = format!("the step `{name}`");
        user_code::check(made, &place)?;
        let sql = match &made.input {
            MapReduceInput::Table(table) => format!("SELECT * FROM \"{}\"", table.replace('"', "\"\"")),
            MapReduceInput::Query(sql) => sql.clone(),
        };
        let only_one = || ErrorReport::invalid(format!("{place}: its input is not one query"));
        let [written] = &split(&sql)?[..] else { return Err(only_one()) };
        let explained = |error| prefixed(errors::report(error, &sql), &place);
        let statement = written.parse().map_err(explained)?;
        if !matches!(Action::of(written.parse().map_err(explained)?), Ok(Action::Query(_))) {
            return Err(only_one().with_hint("write a SELECT"));
        }
        self.prepare(at, &statement, under_way).await?;
        let input = self.session().statement_to_plan(statement).await.map_err(explained)?;
        let schemas = user_code::Schemas {
            map: self.written_by(made.map.as_ref(), &place).await?,
            combine: self.written_by(made.combine.as_ref(), &place).await?,
            reduce: self.written_by(made.reduce.as_ref(), &place).await?,
        };
        let aside = self.aside(made).map_err(|report| prefixed(report, &place))?;
        let plan = user_code::made_of(name, made, schemas, aside, input).map_err(explained)?;
        let table = ViewTable::new(plan, None);
        self.catalog.register_made(wanted, Arc::new(table), &self.context)?;
        Ok(())
    }

    /// Where a mapper's bad records go.
    fn aside(&self, made: &MapReduce) -> Result<Option<OutputTarget>, ErrorReport> {
        let Some(OnError::Quarantine { location }) = made.map.as_ref().map(|map| &map.on_error) else {
            return Ok(None);
        };
        let writer = Writer { job: self.job, base: &self.base };
        writer
            .output(&OutputSpec {
                location: location.clone(),
                format: TableFormat::Json,
                mode: OutputMode::Append,
                partition_by: Vec::new(),
                options: Default::default(),
            })
            .map(Some)
    }

    /// What a piece of code writes: the columns that it names, or those of lines.
    async fn written_by(&self, code: Option<&UserCode>, place: &str) -> Result<SchemaRef, ErrorReport> {
        let Some(columns) = code.and_then(|code| code.columns.as_deref()) else {
            return Ok(user_code::lines_schema());
        };
        self.declared_columns(columns, place).await
    }

    /// Columns as `CREATE TABLE` has them.
    async fn declared_columns(&self, columns: &str, place: &str) -> Result<SchemaRef, ErrorReport> {
        let wrong = |detail: String| {
            ErrorReport::invalid(format!("{place}: `{columns}` are no columns"))
                .with_detail(detail)
                .with_hint("write them as in CREATE TABLE, for example `word VARCHAR, n BIGINT`")
        };
        let sql = format!("CREATE EXTERNAL TABLE t ({columns}) STORED AS CSV LOCATION 'x'");
        let [written] = &split(&sql)?[..] else { return Err(wrong("more than one statement".to_owned())) };
        let statement = written.parse().map_err(|error| wrong(error.strip_backtrace()))?;
        match self.session().statement_to_plan(statement).await.map_err(|error| wrong(error.strip_backtrace()))? {
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(table)) => Ok(Arc::clone(table.schema.inner())),
            _ => Err(wrong("it is another statement".to_owned())),
        }
    }

    async fn make_view_again(
        &mut self,
        name: &str,
        at: usize,
        under_way: &mut BTreeSet<String>,
    ) -> Result<(), ErrorReport> {
        let statement = self.statements[at].parse().map_err(|error| self.explained(at, error))?;
        self.prepare(at, &statement, under_way).await?;
        let planned = self.session().statement_to_plan(statement).await;
        let LogicalPlan::Ddl(DdlStatement::CreateView(mut view)) =
            planned.map_err(|error| self.explained(at, error))?
        else {
            return Err(ErrorReport::internal(format!("the view `{name}` has another plan")));
        };
        view.or_replace = true;
        let plan = LogicalPlan::Ddl(DdlStatement::CreateView(view));
        self.context.execute_logical_plan(plan).await.map_err(|error| self.explained(at, error))?;
        self.catalog.made_view(name, at);
        Ok(())
    }

    async fn query(&mut self, at: usize, statement: Statement) -> Result<Work, ErrorReport> {
        let session = self.session();
        let references = session.resolve_table_references(&statement).map_err(|error| self.explained(at, error))?;
        if !references.is_empty() && references.iter().all(|table| table.schema() == Some("information_schema")) {
            return self.show(at, statement).await;
        }
        let logical = Box::new(self.logical(at, statement).await?);
        let purpose = match &self.output {
            Some((output_at, output)) if *output_at == at => {
                let writer = Writer { job: self.job, base: &self.base };
                Purpose::Write(Box::new(writer.output(output).map_err(|report| prefixed(report, "output"))?))
            }
            _ => Purpose::Result,
        };
        Ok(Work::Run { logical, purpose })
    }

    async fn show(&mut self, at: usize, statement: Statement) -> Result<Work, ErrorReport> {
        let session = self.session();
        let mut tables = self.catalog.all_files_tables();
        if !lists_tables(&statement) {
            // `SHOW COLUMNS` names its table in a place that is no reference to the planner.
            tables.retain(|table| self.statements[at].locate(table.table()).is_some());
        }
        let opened = self.catalog.open(&tables, &self.context, &session, &self.env.stores).await;
        opened.map_err(|report| prefixed(report, &self.place(at)))?;
        let logical = self.logical(at, statement).await?;
        let frame = DataFrame::new(self.session(), logical);
        let schema = Arc::new(Schema::clone(frame.schema().as_arrow()));
        let rows = frame.collect().await.map_err(|error| self.explained(at, error))?;
        Ok(Work::Done(Answer { rows: Some((schema, rows)), ..Answer::default() }))
    }

    async fn explain_one(
        &mut self,
        at: usize,
        statement: Statement,
        analyze: bool,
        first_stage: u32,
        cluster: ClusterShape,
    ) -> Result<Work, ErrorReport> {
        let action = Action::of(statement).map_err(|report| prefixed(report, &self.place(at)))?;
        let work = match action {
            Action::Query(statement) => {
                let logical = Box::new(self.logical(at, statement).await?);
                Work::Run { logical, purpose: Purpose::Result }
            }
            Action::Copy(copy) => self.copy(at, copy).await?,
            Action::Insert(statement) => self.insert(at, statement).await?,
            Action::CreateTableAs(statement) => self.create_table_as(at, statement).await?,
            Action::Show(_)
            | Action::Explain(_)
            | Action::CreateExternalTable(_)
            | Action::Catalog(_)
            | Action::Function(_)
            | Action::Setting(_) => Work::Done(Answer::default()),
        };
        match work {
            Work::Run { logical, purpose: Purpose::Result } if analyze => {
                Ok(Work::Run { logical, purpose: Purpose::Count })
            }
            Work::Run { .. } if analyze => Err(self.unsupported(at, "EXPLAIN ANALYZE runs a SELECT only")),
            Work::Run { logical, purpose } => {
                let plan = self.plan(at, &logical, &purpose, first_stage, cluster).await?;
                Ok(Work::Done(Answer { text: Some(plan.explain()), ..Answer::default() }))
            }
            Work::Done(_) => Err(self.unsupported(at, "there is no plan of this statement to explain")),
        }
    }

    async fn create_external_table(&mut self, at: usize, create: CreateExternalTable) -> Result<Work, ErrorReport> {
        let mut notes = Vec::new();
        if !create.order_exprs.is_empty() {
            notes.push("WITH ORDER is not used: rows are sorted again where their order matters".to_owned());
        }
        let (unbounded, format) = (create.unbounded, target::format_named(&create.file_type));
        let format = format.map_err(|report| prefixed(report, &self.place(at)))?;
        let options = target::options(create.options.iter()).map_err(|report| prefixed(report, &self.place(at)))?;
        let session = self.session();
        let planned = session.statement_to_plan(Statement::CreateExternalTable(create)).await;
        let planned = planned.map_err(|error| self.explained(at, error))?;
        let LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) = planned else {
            return Err(ErrorReport::internal("CREATE EXTERNAL TABLE has another plan"));
        };
        if unbounded || create.temporary {
            return Err(self.unsupported(at, "unbounded and temporary external tables are not supported"));
        }
        let Some(name) = Catalog::local_name(&create.name) else { return Err(self.other_schema(at, &create.name)) };
        if !self.may_create(at, &create.name, create.if_not_exists, create.or_replace)? {
            return Ok(Work::Done(Answer::default()));
        }
        let [location] = create.locations.as_slice() else {
            let report = self.unsupported(at, "a table of several locations is not supported");
            return Err(report.with_hint("make a table of each, and a view of them with UNION ALL"));
        };
        let location = resolve_location(&self.base, location).map_err(|report| prefixed(report, &self.place(at)))?;
        let columns = Arc::new(Schema::clone(create.schema.as_arrow()));
        let declared = Declared {
            columns: (!columns.fields().is_empty()).then_some(columns),
            partition_columns: (!create.table_partition_cols.is_empty()).then(|| create.table_partition_cols.clone()),
        };
        let table = FilesTable { location, format, options, declared };
        let created = self.catalog.create_files_table(&name, table, &self.context, &session, &self.env.stores).await;
        created.map_err(|report| prefixed(report, &self.place(at)))?;
        Ok(Work::Done(Answer { notes, ..Answer::default() }))
    }

    async fn create_table_as(&mut self, at: usize, statement: Statement) -> Result<Work, ErrorReport> {
        let LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) = self.logical(at, statement).await? else {
            return Err(ErrorReport::internal("CREATE TABLE AS has another plan"));
        };
        let Some(name) = Catalog::local_name(&create.name) else { return Err(self.other_schema(at, &create.name)) };
        if !self.may_create(at, &create.name, create.if_not_exists, create.or_replace)? {
            return Ok(Work::Done(Answer::default()));
        }
        unique_names(create.input.schema().as_arrow()).map_err(|report| prefixed(report, &self.place(at)))?;
        Ok(Work::Run { logical: Box::new(LogicalPlan::clone(&create.input)), purpose: Purpose::Table(name) })
    }

    /// Whether to go on: not if the table exists and the statement says IF NOT EXISTS.
    fn may_create(
        &self,
        at: usize,
        name: &TableReference,
        if_not_exists: bool,
        or_replace: bool,
    ) -> Result<bool, ErrorReport> {
        let local = Catalog::local_name(name).unwrap_or_default();
        let declared = self.catalog.files_table(&local).is_some();
        let exists = declared || self.context.table_exist(name.clone()).map_err(|error| self.explained(at, error))?;
        match (exists, if_not_exists, or_replace) {
            (false, _, _) | (true, false, true) => Ok(true),
            (true, true, _) => Ok(false),
            (true, false, false) => {
                let what = format!("{}: table `{local}` exists already", self.place(at));
                Err(ErrorReport::new(ErrorKind::AlreadyExists, what)
                    .with_hint("write CREATE OR REPLACE, or IF NOT EXISTS"))
            }
        }
    }

    async fn change_catalog(&mut self, at: usize, statement: Statement) -> Result<Work, ErrorReport> {
        let logical = self.logical(at, statement).await?;
        let (dropped, view) = match &logical {
            LogicalPlan::Ddl(DdlStatement::DropTable(drop)) => (Some(drop.name.clone()), None),
            LogicalPlan::Ddl(DdlStatement::CreateView(view)) => {
                if view.temporary {
                    return Err(self.unsupported(at, "temporary views are not supported; every view ends with its job"));
                }
                (None, Some(view.name.clone()))
            }
            LogicalPlan::Ddl(DdlStatement::DropView(drop)) => (Some(drop.name.clone()), None),
            _ => return Err(self.unsupported(at, "this statement is not supported")),
        };
        let done = self.context.execute_logical_plan(logical).await;
        done.map_err(|error| self.explained(at, error))?;
        if let Some(name) = dropped.as_ref().and_then(Catalog::local_name) {
            self.catalog.forget(&name);
        }
        if let Some(name) = view.as_ref().and_then(Catalog::local_name) {
            self.catalog.made_view(&name, at);
        }
        Ok(Work::Done(Answer::default()))
    }

    async fn change_setting(&mut self, at: usize, statement: Statement) -> Result<Work, ErrorReport> {
        let session = self.session();
        let logical = session.statement_to_plan(statement).await.map_err(|error| self.explained(at, error))?;
        let (name, value) = match &logical {
            LogicalPlan::Statement(LogicalStatement::SetVariable(set)) => {
                (set.variable.clone(), Some(set.value.clone()))
            }
            LogicalPlan::Statement(LogicalStatement::ResetVariable(reset)) => (reset.variable.clone(), None),
            _ => return Err(self.unsupported(at, "this kind of SET is not supported; write SET name = value")),
        };
        let setting = check_setting(&name).map_err(|report| prefixed(report, &self.place(at)))?;
        let mut answer = Answer::default();
        match setting {
            Setting::DataFusion => {
                let done = self.context.execute_logical_plan(logical).await;
                done.map_err(|error| self.explained(at, error))?;
            }
            Setting::Ignored => answer.notes.push(format!("`{name}` has no effect: it follows from cluster and input")),
            Setting::SmallJobBytes
            | Setting::PartitionBytes
            | Setting::PartitionsMax
            | Setting::OrderJoins
            | Setting::SortRanges
            | Setting::CoalesceBytes
            | Setting::SplitSkewed => {
                let applied = setting.apply(&mut self.options, &self.env.options, value.as_deref());
                applied.map_err(|report| prefixed(report, &self.place(at)))?;
            }
        }
        Ok(Work::Done(answer))
    }

    async fn copy(&mut self, at: usize, copy: CopyToStatement) -> Result<Work, ErrorReport> {
        let writer = Writer { job: self.job, base: &self.base };
        let target = Box::new(writer.copy(&copy).map_err(|report| prefixed(report, &self.place(at)))?);
        let query = match copy.source {
            CopyToSource::Query(query) => Statement::Statement(Box::new((*query).into())),
            CopyToSource::Relation(name) => {
                let [select] = split(&format!("SELECT * FROM {name}"))?
                    .try_into()
                    .map_err(|_| ErrorReport::internal(format!("the table name {name} is not one name")))?;
                select.parse().map_err(|error| self.explained(at, error))?
            }
        };
        let logical = Box::new(self.logical(at, query).await?);
        Ok(Work::Run { logical, purpose: Purpose::Write(target) })
    }

    async fn insert(&mut self, at: usize, statement: Statement) -> Result<Work, ErrorReport> {
        let LogicalPlan::Dml(dml) = self.logical(at, statement).await? else {
            return Err(ErrorReport::internal("INSERT has another plan"));
        };
        let WriteOp::Insert(op) = dml.op else { return Err(self.unsupported(at, "this INSERT is not supported")) };
        let name = Catalog::local_name(&dml.table_name).unwrap_or_default();
        let Some(table) = self.catalog.files_table(&name) else {
            let report = self.unsupported(at, &format!("rows cannot be inserted into `{name}`"));
            let kind = if self.catalog.is_made(&name) { "CREATE TABLE AS" } else { "a view" };
            return Err(report.with_hint(format!(
                "it was made by {kind}; INSERT writes into external tables, and UNION ALL joins rows in a query"
            )));
        };
        let writer = Writer { job: self.job, base: &self.base };
        let target = writer
            .insert(&name, table, self.catalog.partitioning(&name), op)
            .map_err(|report| prefixed(report, &self.place(at)))?;
        Ok(Work::Run { logical: Box::new(LogicalPlan::clone(&dml.input)), purpose: Purpose::Write(Box::new(target)) })
    }

    async fn plan(
        &self,
        at: usize,
        logical: &LogicalPlan,
        purpose: &Purpose,
        first_stage: u32,
        cluster: ClusterShape,
    ) -> Result<Plan, ErrorReport> {
        let target = match purpose {
            Purpose::Write(target) => Some(target.as_ref()),
            Purpose::Result | Purpose::Count | Purpose::Table(_) => None,
        };
        if let Some(target) = target {
            // Before the physical plan, which refers to the partition columns by their place.
            let schema = logical.schema().as_arrow();
            check_columns(target, schema)
                .map_err(|report| prefixed(with_nearest_column(report, target, schema), &self.place(at)))?;
        }
        let session = self.session();
        let planned = planning::distribute(logical, target, first_stage, cluster, &self.options, &session).await;
        let mut plan = planned.map_err(|error| self.explained(at, error))?;
        if !plan.asides.is_empty() && target.is_none() {
            return Err(ErrorReport::invalid(format!(
                "{}: there is no output with which bad records are committed",
                self.place(at)
            ))
            .with_hint("write the rows with `output:` or COPY, or use `on_error: skip N`"));
        }
        for aside in &plan.asides {
            let written = target.is_some_and(|target| overlap(&target.location, &aside.location));
            if written || self.catalog.reads_from(&aside.location) {
                let what = format!("{}: bad records would go where the job reads or writes rows", self.place(at));
                return Err(ErrorReport::invalid(what).with_hint("choose another location for `on_error: quarantine`"));
            }
            let checked = check_target(aside, &self.env.stores).await;
            checked.map_err(|report| prefixed(report, "the location for bad records"))?;
        }
        allow_coalescing(&mut plan.distributed, self.options.coalesce_bytes, matches!(purpose, Purpose::Table(_)));
        if self.options.split_skewed {
            allow_sharing(&mut plan.distributed);
        }
        Ok(plan)
    }

    /// Changes the catalog as the statement will have changed it when it has run.
    fn settle(&mut self, at: usize, plan: &Plan, purpose: &Purpose) -> Result<(), ErrorReport> {
        match purpose {
            Purpose::Result | Purpose::Count => Ok(()),
            Purpose::Write(target) => {
                self.catalog.written_to(&target.location);
                Ok(())
            }
            Purpose::Table(name) => {
                let table = StageTable::new(Arc::clone(&plan.schema), plan.distributed.root, plan.root_tasks());
                let created = self.catalog.create_made_table(name, Arc::new(table), &self.context);
                created.map_err(|report| prefixed(report, &self.place(at)))
            }
        }
    }

    fn immediate(&self, at: usize, answer: Answer) -> PlannedStep {
        let (schema, rows) = answer.rows.map_or((None, None), |(schema, rows)| (Some(schema), Some(rows)));
        PlannedStep {
            statement: self.statements[at].shortened(),
            plan: StepPlan { stages: Vec::new(), outcome: StepOutcome::Immediate, last: self.is_last(at) },
            fragments: Default::default(),
            splits: Default::default(),
            schema,
            text: answer.text,
            rows,
            target: None,
            asides: Vec::new(),
            analyze: false,
            notes: answer.notes,
        }
    }

    fn planned(&self, at: usize, plan: Plan, purpose: Purpose) -> PlannedStep {
        let stage = plan.distributed.root;
        let (note, splits) = (plan.note(), plan.splits());
        let outcome = match &purpose {
            Purpose::Result => StepOutcome::Result { stage },
            Purpose::Count => StepOutcome::Discard { stage },
            Purpose::Table(_) => StepOutcome::Table { stage },
            Purpose::Write(_) => StepOutcome::Commit { stage },
        };
        let stages = plan.distributed.stages;
        PlannedStep {
            asides: plan.asides.iter().map(|aside| OutputTarget::clone(aside)).collect(),
            statement: self.statements[at].shortened(),
            fragments: stages.iter().map(|stage| (stage.plan.fragment, stage.fragment.clone())).collect(),
            plan: StepPlan {
                stages: stages.into_iter().map(|stage| stage.plan).collect(),
                outcome,
                last: self.is_last(at),
            },
            splits,
            schema: matches!(purpose, Purpose::Result | Purpose::Table(_)).then_some(plan.schema),
            text: None,
            rows: None,
            analyze: matches!(purpose, Purpose::Count),
            target: match purpose {
                Purpose::Write(target) => Some(*target),
                Purpose::Result | Purpose::Count | Purpose::Table(_) => None,
            },
            notes: vec![note],
        }
    }

    fn is_last(&self, at: usize) -> bool {
        at + 1 == self.statements.len()
    }

    /// Adds what only the session knows: the statement's place, the line of a wrong name, and the names that exist.
    fn explained(&self, at: usize, error: DataFusionError) -> ErrorReport {
        if let Some(table) = errors::unknown_table(&error) {
            return self.unknown_table(at, &table);
        }
        let column = errors::unknown_column(&error);
        let report = errors::report(error, &self.place(at));
        match column.and_then(|column| self.statements[at].locate(&column)) {
            Some((line, column)) if report.detail.is_empty() => {
                report.with_detail(format!("line {line}, column {column}"))
            }
            _ => report,
        }
    }

    fn unknown_table(&self, at: usize, table: &str) -> ErrorReport {
        let mut known: Vec<String> =
            self.catalog.all_files_tables().iter().map(|name| name.table().to_owned()).collect();
        let schema = self.context.catalog("datafusion").and_then(|catalog| catalog.schema("public"));
        known.extend(schema.map(|schema| schema.table_names()).unwrap_or_default());
        known.sort();
        known.dedup();
        let hint = match errors::nearest(table, known.iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => {
                "name it under `tables:` in the job file, or with CREATE EXTERNAL TABLE".to_owned()
            }
            None => format!("the tables of this job are {}", errors::listed(&known)),
        };
        let what = format!("{}: there is no table `{table}`", self.place(at));
        let report = ErrorReport::new(ErrorKind::NotFound, what).with_hint(hint);
        match self.statements[at].locate(table.rsplit('.').next().unwrap_or(table)) {
            Some((line, column)) => report.with_detail(format!("line {line}, column {column}")),
            None => report,
        }
    }

    fn unsupported(&self, at: usize, what: &str) -> ErrorReport {
        ErrorReport::new(ErrorKind::Unsupported, format!("{}: {what}", self.place(at)))
    }

    fn other_schema(&self, at: usize, name: &TableReference) -> ErrorReport {
        self.unsupported(at, &format!("`{name}` is in another schema"))
            .with_hint("all tables of a job are in one schema; write the table's name alone")
    }
}

/// Whether the statement is a query; errors if it cannot be parsed or is none that a job may hold.
fn parse(written: &Written, at: usize, of: usize) -> Result<bool, ErrorReport> {
    let place = place(written, at, of);
    let statement = written.parse().map_err(|error| errors::report(error, &place))?;
    let action = Action::of(statement).map_err(|report| prefixed(report, &place))?;
    Ok(matches!(action, Action::Query(_)))
}

fn place(written: &Written, at: usize, of: usize) -> String {
    if of == 1 {
        format!("line {}", written.line)
    } else {
        format!("statement {} of {of} (line {})", at + 1, written.line)
    }
}

fn prefixed(report: ErrorReport, place: &str) -> ErrorReport {
    ErrorReport { what: format!("{place}: {}", report.what), ..report }
}

/// Lists of tables and of their columns show those of the job file too.
fn lists_tables(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(sql) => matches!(sql.as_ref(), SqlStatement::ShowTables { .. } | SqlStatement::Query(_)),
        _ => false,
    }
}

fn with_nearest_column(report: ErrorReport, target: &OutputTarget, schema: &Schema) -> ErrorReport {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let unknown = target.partition_by.iter().find(|column| !names().any(|name| name == column.as_str()));
    match unknown.and_then(|column| errors::nearest(column, names())) {
        Some(name) => report.with_hint(format!("did you mean `{name}`?")),
        None => report,
    }
}

fn unique_names(schema: &Schema) -> Result<(), ErrorReport> {
    let mut seen = std::collections::BTreeSet::new();
    match schema.fields().iter().find(|field| !seen.insert(field.name())) {
        None => Ok(()),
        Some(field) => Err(ErrorReport::invalid(format!("two columns are named `{}`", field.name()))
            .with_hint("give one of them another name with AS")),
    }
}
