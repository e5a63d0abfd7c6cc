//! The job that a command line names.

use std::io::Read;
use std::path::Path;

use crate::job_file::{self, Given, Job, JobSource};
use windrow_model::ErrorReport;

use crate::program::cli::JobTextArgs;
use crate::program::outcome::Outcome;

/// Reads the job's text and what the flags change in it.
pub fn load(args: &JobTextArgs, queue: Option<String>, client_token: Option<String>) -> Outcome<Job> {
    let given = Given {
        params: args.params.clone(),
        timeout: args.timeout,
        priority: args.priority,
        queue,
        name: None,
        client_token,
    };
    job_file::load(&source(args)?, &given)
}

fn source(args: &JobTextArgs) -> Outcome<JobSource> {
    match (&args.execute, &args.job) {
        (Some(sql), _) => Ok(JobSource::Inline(sql.clone())),
        (None, Some(path)) if path == Path::new("-") => Ok(JobSource::Stdin(standard_input()?)),
        (None, Some(path)) => Ok(JobSource::File(path.clone())),
        (None, None) => Err(ErrorReport::invalid("there is no job").with_hint("name a file, or give SQL with -e")),
    }
}

fn standard_input() -> Outcome<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| ErrorReport::invalid("cannot read SQL from standard input").with_detail(error.to_string()))?;
    Ok(text)
}

/// Runs the job's `setup:` entries whose folders do not exist.
#[cfg(feature = "embedded")]
pub async fn set_up(job: &Job) -> Outcome {
    for step in &job.setup {
        if !step.into.exists() {
            eprintln!("setup: generating `{}`", step.into.display());
            super::generate::generate(step.generator, &step.into).await?;
        }
    }
    Ok(())
}

/// Without generators, a folder that is missing is an error before the job is submitted.
#[cfg(not(feature = "embedded"))]
pub async fn set_up(job: &Job) -> Outcome {
    match job.setup.iter().find(|step| !step.into.exists()) {
        None => Ok(()),
        Some(step) => Err(ErrorReport::new(
            windrow_model::ErrorKind::Unsupported,
            format!("the job's setup would generate `{}`, which this build cannot", step.into.display()),
        )
        .with_hint("use a build with the feature `embedded`")),
    }
}
