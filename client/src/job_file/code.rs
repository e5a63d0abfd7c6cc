//! A piece of the user's own code in a job file: `map:`, `combine:` or `reduce:`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Deserialize;
use windrow_model::{
    CodeLimits, ErrorKind, ErrorReport, Framing, OnError, Runs, ShippedFile, UserCode, format_bytes, parse_bytes,
    parse_duration,
};

use crate::params::Params;

/// Files travel with the specification of their job, which is kept until the job is forgotten.
const FILES_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeEntry {
    /// A program and its arguments.
    process: Option<Vec<String>>,
    /// The file of a module.
    wasm: Option<String>,
    /// Of a module; without it, the role.
    function: Option<String>,
    /// Code of the worker's own binary.
    native: Option<String>,
    framing: Option<String>,
    columns: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    network: bool,
    on_error: Option<String>,
    limits: Option<LimitsEntry>,
    /// Of `reduce`.
    pub partitions: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsEntry {
    memory: Option<String>,
    cpu: Option<String>,
    disk: Option<String>,
    fuel_per_row: Option<u64>,
}

/// Errors if the files of a step are more than a job carries.
pub(super) fn check_files<'a>(codes: impl Iterator<Item = &'a UserCode>, place: &str) -> Result<(), ErrorReport> {
    let bytes_of = |code: &UserCode| match &code.runs {
        Runs::Process { files, .. } => files.iter().map(|file| file.bytes.len() as u64).sum(),
        Runs::Wasm { module, .. } => module.bytes.len() as u64,
        Runs::Native { .. } => 0,
    };
    let bytes: u64 = codes.map(bytes_of).sum();
    if bytes <= FILES_BYTES_MAX {
        return Ok(());
    }
    Err(ErrorReport::new(ErrorKind::Exhausted, format!("the files of {place} have {} together", format_bytes(bytes)))
        .with_detail(format!("a job carries at most {}", format_bytes(FILES_BYTES_MAX)))
        .with_hint("install large programs on the workers"))
}

impl CodeEntry {
    /// A command line of the shell.
    pub fn shell(command: String, env: BTreeMap<String, String>, files: Vec<String>, network: bool) -> CodeEntry {
        let process = Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), command]);
        CodeEntry { process, env, files, network, ..CodeEntry::default() }
    }

    /// `role` is `map`, `combine` or `reduce`; files are looked for in `folder`.
    pub fn into_code(
        mut self,
        role: &str,
        place: &str,
        folder: &Path,
        params: &mut Params,
    ) -> Result<UserCode, ErrorReport> {
        let limits = self.limits.take().unwrap_or_default().into_limits(place)?;
        let on_error =
            self.on_error.take().map(|text| on_error(&params.substitute(&text, place)?, place)).transpose()?;
        let columns = self.columns.clone();
        let env = std::mem::take(&mut self.env).into_iter();
        let env = env.map(|(name, value)| Ok((name, params.substitute(&value, place)?)));
        let env = env.collect::<Result<_, ErrorReport>>()?;
        let runs = match (self.process.take(), self.wasm.take(), self.native.take()) {
            (Some(process), None, None) => self.into_process(process, place, folder, params)?,
            (None, Some(module), None) => {
                let function = self.function.take().unwrap_or_else(|| role.to_owned());
                Runs::Wasm { module: shipped(&module, place, folder)?, function }
            }
            (None, None, Some(name)) => Runs::Native { name },
            _ => {
                return Err(ErrorReport::invalid(format!("{place} does not say what it runs")).with_hint(
                    "give one of `process: [./mapper.py, argument]`, `wasm: ./module.wasm` and `native: name`",
                ));
            }
        };
        if !matches!(runs, Runs::Process { .. }) && columns.is_none() {
            return Err(ErrorReport::invalid(format!("{place} does not say which columns it writes"))
                .with_hint("add them, for example `columns: word VARCHAR, n BIGINT`"));
        }
        Ok(UserCode { runs, columns, env, on_error: on_error.unwrap_or_default(), limits })
    }

    fn into_process(
        self,
        words: Vec<String>,
        place: &str,
        folder: &Path,
        params: &mut Params,
    ) -> Result<Runs, ErrorReport> {
        let words = words.iter().map(|word| params.substitute(word, place));
        let mut command = words.collect::<Result<Vec<_>, _>>()?;
        let Some(program) = command.first_mut() else {
            return Err(ErrorReport::invalid(format!("{place} names no program"))
                .with_hint("give it as a list: `process: [./mapper.py, argument]`"));
        };
        let mut files = self.files;
        if program.starts_with("./") && !files.contains(program) {
            files.push(program.clone());
        }
        if files.contains(program) {
            // Shipped files lie side by side.
            *program = format!("./{}", name_of(program));
        }
        let framing = self.framing.as_deref().unwrap_or("lines");
        let framing = Framing::from_name(framing).ok_or_else(|| {
            ErrorReport::invalid(format!("{place} has the unknown framing `{framing}`"))
                .with_hint("framings are `lines` and `arrow`")
        })?;
        if (framing == Framing::Arrow) != self.columns.is_some() {
            return Err(ErrorReport::invalid(format!("{place} has the framing `{}`", framing.name())).with_hint(
                "`framing: arrow` comes with the columns that it writes, for example `columns: word VARCHAR, n BIGINT`; \
                 lines have a key and a value",
            ));
        }
        let files = files.iter().map(|file| shipped(file, place, folder)).collect::<Result<_, _>>()?;
        Ok(Runs::Process { command, framing, files, network: self.network })
    }
}

impl LimitsEntry {
    fn into_limits(self, place: &str) -> Result<CodeLimits, ErrorReport> {
        let bytes = |text: Option<String>, name: &str| {
            let wrong = |detail: String| {
                ErrorReport::invalid(format!("{place}: the limit `{name}` is no size"))
                    .with_detail(detail)
                    .with_hint("write for example `512MiB`")
            };
            text.map(|text| parse_bytes(&text).map_err(|error| wrong(error.to_string()))).transpose()
        };
        let cpu = self.cpu.map(|text| {
            parse_duration(&text).map_err(|error| {
                ErrorReport::invalid(format!("{place}: the limit `cpu` is no time"))
                    .with_detail(error.to_string())
                    .with_hint("write for example `90s`")
            })
        });
        Ok(CodeLimits {
            memory_bytes: bytes(self.memory, "memory")?,
            cpu_ms: cpu.transpose()?.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            disk_bytes: bytes(self.disk, "disk")?,
            fuel_per_row: self.fuel_per_row,
        })
    }
}

/// `fail`, `skip N` or `quarantine LOCATION`.
fn on_error(text: &str, place: &str) -> Result<OnError, ErrorReport> {
    let wrong = || {
        ErrorReport::invalid(format!("{place}: `on_error: {text}` is not known"))
            .with_hint("write `fail`, `skip 100` (records of a task) or `quarantine ./bad/`")
    };
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["fail"] => Ok(OnError::Fail),
        ["skip", records] => Ok(OnError::Skip { records_max: records.parse().map_err(|_| wrong())? }),
        ["quarantine", location] => Ok(OnError::Quarantine { location: location.to_owned() }),
        _ => Err(wrong()),
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn shipped(file: &str, place: &str, folder: &Path) -> Result<ShippedFile, ErrorReport> {
    let path = folder.join(file);
    let unreadable = |error: std::io::Error| {
        ErrorReport::new(ErrorKind::NotFound, format!("{place}: the file `{file}` cannot be read"))
            .with_detail(format!("`{}`: {error}", path.display()))
            .with_hint("files are looked for beside the job file")
    };
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    let mode = std::fs::metadata(&path).map_err(unreadable)?.permissions().mode();
    Ok(ShippedFile { name: name_of(file).to_owned(), executable: mode & 0o111 != 0, bytes })
}
