//! Log lines on standard error.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use windrow_model::ErrorReport;

const VARIABLE: &str = "WINDROW_LOG";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    /// One object a line.
    Json,
}

impl LogFormat {
    /// As it is written on the command line.
    #[cfg(feature = "embedded")]
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}

/// Starts logging what `WINDROW_LOG` asks for, else what `default` says.
///
/// # Errors
/// `Invalid` if `WINDROW_LOG` cannot be read.
pub fn start(format: LogFormat, default: &str) -> Result<(), ErrorReport> {
    let directives = std::env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let directives = directives.unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        ErrorReport::invalid(format!("{VARIABLE} is `{directives}`, which is no log filter"))
            .with_detail(error.to_string())
            .with_hint(format!("write it like {VARIABLE}=info or {VARIABLE}=warn,windrow_worker=debug"))
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
