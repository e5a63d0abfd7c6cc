//! Reads what a user wants to run, a `.sql` or `.yaml` file or inline SQL, into a job specification.
//!
//! Everything that can be refused without a cluster is refused here, with the file, the key and the line.

mod code;
mod location;
mod map_reduce;
mod options;
mod setup;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;
use windrow_model::{
    ErrorKind, ErrorReport, JobSpec, OutputMode, OutputSpec, Program, TableFormat, TableSpec, parse_duration,
};

use crate::errors;
use crate::params::Params;
pub use map_reduce::Streaming;
pub use setup::{Generator, SetupStep};

/// Priority of a job that does not say its own.
pub const PRIORITY_DEFAULT: u8 = 50;
const PRIORITY_MAX: u8 = 100;

/// Where the job's text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobSource {
    File(PathBuf),
    /// SQL given on the command line.
    Inline(String),
    /// SQL read from standard input, already read.
    Stdin(String),
}

/// What the command line adds to, or changes in, the job's text.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub params: Vec<(String, String)>,
    pub timeout: Option<Duration>,
    pub priority: Option<u8>,
    pub queue: Option<String>,
    pub name: Option<String>,
    pub client_token: Option<String>,
}

/// A job that is ready for submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub spec: JobSpec,
    /// To be run on this machine before the job is submitted, each only if its target does not exist.
    pub setup: Vec<SetupStep>,
}

/// Reads and checks a job.
///
/// # Errors
/// `NotFound` if the file is not there, `Invalid` for anything wrong in it.
pub fn load(source: &JobSource, given: &Given) -> Result<Job, ErrorReport> {
    match source {
        JobSource::Inline(script) => plain_sql(script, "sql", "the SQL", &current_dir()?, given),
        JobSource::Stdin(script) => plain_sql(script, "stdin", "the SQL on standard input", &current_dir()?, given),
        JobSource::File(path) => load_file(path, given),
    }
}

fn load_file(path: &Path, given: &Given) -> Result<Job, ErrorReport> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let name = path.file_stem().map_or_else(|| "job".into(), |stem| stem.to_string_lossy());
    match extension.to_ascii_lowercase().as_str() {
        "sql" => plain_sql(&read(path)?, &name, &format!("`{}`", path.display()), &folder_of(path)?, given),
        "yaml" | "yml" => yaml::load(path, &read(path)?, &name, &folder_of(path)?, given),
        _ if path.to_string_lossy().contains(char::is_whitespace) => {
            Err(ErrorReport::invalid("a job is a file; this looks like SQL")
                .with_hint("SQL on the command line follows -e"))
        }
        _ => Err(ErrorReport::invalid(format!("`{}` is neither a .sql nor a .yaml file", path.display()))
            .with_hint("a job file ends in .sql, .yaml or .yml; SQL on the command line follows -e")),
    }
}

fn read(path: &Path) -> Result<String, ErrorReport> {
    std::fs::read_to_string(path).map_err(|error| {
        let report = errors::io("read the job file", path, &error);
        if report.kind == ErrorKind::NotFound {
            report.with_hint("paths are relative to the current folder")
        } else {
            report
        }
    })
}

fn current_dir() -> Result<PathBuf, ErrorReport> {
    std::env::current_dir().map_err(|error| errors::io("find the current folder", Path::new("."), &error))
}

fn folder_of(path: &Path) -> Result<PathBuf, ErrorReport> {
    let absolute = std::path::absolute(path).map_err(|error| errors::io("resolve", path, &error))?;
    Ok(absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned))
}

fn plain_sql(text: &str, name: &str, place: &str, folder: &Path, given: &Given) -> Result<Job, ErrorReport> {
    let mut params = Params::new(BTreeMap::new(), &given.params);
    let script = params.substitute(text, place)?;
    params.check_given(&given.params)?;
    let program =
        Program::Sql { script, base: base_url(folder)?, tables: BTreeMap::new(), made: BTreeMap::new(), output: None };
    let spec = Settings { name: Some(name.to_owned()), ..Settings::default() }.into_spec(program, given)?;
    Ok(Job { spec, setup: Vec::new() })
}

/// A job of lines in and lines out.
#[derive(Clone, Debug)]
pub struct StreamingJob {
    pub code: Streaming,
    pub input: String,
    pub output: String,
    pub overwrite: bool,
}

/// The table that a job of one step reads, unless it names another.
const INPUT: &str = "input";

/// Makes a job of Hadoop Streaming's words. Locations and files are relative to the current folder.
///
/// # Errors
/// `NotFound` for files that are not there, `Invalid` for anything else that is wrong.
pub fn streaming(job: StreamingJob, given: &Given) -> Result<Job, ErrorReport> {
    let folder = current_dir()?;
    let name = given.name.clone().unwrap_or_else(|| "mapreduce".to_owned());
    let table = step_name(&name);
    let mut code = job.code;
    let script = code.take_query(&quoted(&table)).unwrap_or_else(|| all_rows(&table));
    let made = code.into_made(&table, &folder, INPUT)?;
    let lines = TableSpec { location: job.input, format: TableFormat::Text, options: BTreeMap::new() };
    let mode = if job.overwrite { OutputMode::Overwrite } else { OutputMode::Error };
    let output = OutputSpec {
        location: job.output,
        format: TableFormat::Text,
        mode,
        partition_by: Vec::new(),
        options: BTreeMap::new(),
    };
    let program = Program::Sql {
        script,
        base: base_url(&folder)?,
        tables: BTreeMap::from([(INPUT.to_owned(), lines)]),
        made: BTreeMap::from([(table, made)]),
        output: Some(output),
    };
    let spec = Settings { name: Some(name), ..Settings::default() }.into_spec(program, given)?;
    Ok(Job { spec, setup: Vec::new() })
}

/// URL of the current folder, which locations of a job are relative to.
///
/// # Errors
/// It has no name that can be written as a URL.
pub fn current_base() -> Result<String, ErrorReport> {
    base_url(&current_dir()?)
}

/// A job of a program that was made without a file.
///
/// # Errors
/// The program has no SQL.
pub fn spec_of(name: &str, program: Program) -> Result<JobSpec, ErrorReport> {
    Settings { name: Some(name.to_owned()), ..Settings::default() }.into_spec(program, &Given::default())
}

/// The table that the only step of a job makes.
fn step_name(job: &str) -> String {
    if job.eq_ignore_ascii_case(INPUT) { "rows".to_owned() } else { job.to_owned() }
}

fn all_rows(table: &str) -> String {
    format!("SELECT * FROM {}", quoted(table))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// URL of a folder, ending in a slash so that relative locations join below it.
fn base_url(folder: &Path) -> Result<String, ErrorReport> {
    Url::from_directory_path(folder)
        .map(String::from)
        .map_err(|()| ErrorReport::invalid(format!("`{}` cannot be written as a URL", folder.display())))
}

/// What a job file says beside its program.
#[derive(Clone, Debug, Default)]
struct Settings {
    name: Option<String>,
    application: Option<String>,
    queue: Option<String>,
    priority: Option<u8>,
    timeout: Option<Duration>,
}

impl Settings {
    /// The command line wins over the file.
    fn into_spec(self, program: Program, given: &Given) -> Result<JobSpec, ErrorReport> {
        let priority = given.priority.or(self.priority).unwrap_or(PRIORITY_DEFAULT);
        if priority > PRIORITY_MAX {
            let what = format!("a priority goes from 0 to {PRIORITY_MAX}, not {priority}");
            return Err(ErrorReport::invalid(what).with_hint("50 is the default; a higher number gets a larger share"));
        }
        let Program::Sql { script, .. } = &program;
        if script.trim().is_empty() {
            return Err(ErrorReport::invalid("the job has no SQL").with_hint("write at least one statement"));
        }
        let named = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
        Ok(JobSpec {
            name: named(given.name.clone().or(self.name), "job"),
            application: named(self.application, "default"),
            queue: named(given.queue.clone().or(self.queue), "default"),
            priority,
            submitted_by: user_name(),
            timeout: given.timeout.or(self.timeout),
            client_token: given.client_token.clone(),
            program,
        })
    }
}

fn user_name() -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|variable| std::env::var(variable).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()))
}

fn timeout(text: &str) -> Result<Duration, ErrorReport> {
    parse_duration(text)
        .map_err(|error| ErrorReport::invalid("the job's timeout is no duration").with_detail(error.to_string()))
}

#[cfg(test)]
mod tests;
