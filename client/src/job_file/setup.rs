//! `setup:` entries: input that the job's own machine can generate when it is not there yet.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use windrow_model::ErrorReport;

use crate::nearest;
use crate::params::Params;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupEntry {
    generate: String,
    into: String,
    scale: Option<f64>,
    rows: Option<u64>,
    seed: Option<u64>,
    parts: Option<u32>,
}

/// A folder to generate unless it exists.
#[derive(Clone, Debug, PartialEq)]
pub struct SetupStep {
    pub generator: Generator,
    pub into: PathBuf,
}

/// What to generate; the same as `windrow generate` does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Generator {
    Tpch { scale: f64, parts: u32 },
    AccessLog { rows: u64, seed: u64, parts: u32 },
}

/// Files per table unless said otherwise.
const PARTS_DEFAULT: u32 = 4;

impl SetupEntry {
    pub fn into_step(self, folder: &Path, params: &mut Params) -> Result<SetupStep, ErrorReport> {
        let into = folder.join(params.substitute(&self.into, "the setup")?);
        let parts = self.parts.unwrap_or(PARTS_DEFAULT);
        let generator = match self.generate.as_str() {
            "tpch" => {
                self.refuse(&[("rows", self.rows.is_some()), ("seed", self.seed.is_some())])?;
                Generator::Tpch { scale: self.scale.ok_or_else(|| self.lacks("scale"))?, parts }
            }
            "access-log" => {
                self.refuse(&[("scale", self.scale.is_some())])?;
                let rows = self.rows.ok_or_else(|| self.lacks("rows"))?;
                Generator::AccessLog { rows, seed: self.seed.unwrap_or(0), parts }
            }
            other => return Err(unknown_generator(other)),
        };
        Ok(SetupStep { generator, into })
    }

    fn lacks(&self, key: &str) -> ErrorReport {
        ErrorReport::invalid(format!("a setup entry with `generate: {}` needs the key `{key}`", self.generate))
    }

    fn refuse(&self, keys: &[(&str, bool)]) -> Result<(), ErrorReport> {
        match keys.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(ErrorReport::invalid(format!(
                "a setup entry with `generate: {}` has no key `{key}`",
                self.generate
            ))),
            None => Ok(()),
        }
    }
}

fn unknown_generator(name: &str) -> ErrorReport {
    let report = ErrorReport::invalid(format!("the setup cannot generate `{name}`"));
    match nearest(name, ["tpch", "access-log"]) {
        Some(near) => report.with_hint(format!("did you mean `{near}`?")),
        None => report.with_hint("it can generate tpch and access-log"),
    }
}
