//! Where a statement's rows go, and whether they may go there.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use datafusion::common::config::TableOptions;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;
use windrow_model::{ErrorKind, ErrorReport, OutputFormat, OutputMode, TableFormat};

use super::commit::already_exists;
use crate::stores::{Stores, display_location, local_path, object_path, store_report};
use crate::tables::{files, formats};

/// The target of a `COPY`, an `INSERT` or a job's `output:`; made once by the planner and carried in the fragment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputTarget {
    /// A folder (with or without a trailing slash), or the file itself if `single_file`.
    #[serde(with = "as_text")]
    pub location: Url,
    /// One file instead of a folder of files.
    pub single_file: bool,
    #[serde(with = "format_name")]
    pub format: OutputFormat,
    #[serde(with = "mode_name")]
    pub mode: OutputMode,
    /// Columns that become `column=value/` folders, outermost first.
    pub partition_by: Vec<String>,
    /// Format options under DataFusion's names, for example `format.compression`.
    pub options: BTreeMap<String, String>,
    /// Names this commit for ever: a commit that is repeated with the same id has one effect.
    #[serde(with = "as_text")]
    pub commit_id: Uuid,
    /// The job's number, for people who look into a manifest.
    pub job: u64,
}

impl OutputTarget {
    /// A part of every file name that is given for this commit, and for no other.
    pub fn mark(&self) -> String {
        let commit = self.commit_id.simple().to_string();
        commit[commit.len() - 12..].to_owned()
    }

    /// For a journal; see [`OutputTarget::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("I-S1: a target is strings, numbers and maps with string keys")
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<OutputTarget, ErrorReport> {
        serde_json::from_slice(bytes).map_err(|error| {
            ErrorReport::new(ErrorKind::Corrupt, "the target of an output cannot be read")
                .with_detail(error.to_string())
        })
    }
}

/// Fails at planning time if the target cannot be written: mode `error` and something is there, a missing bucket,
/// a refused key, a file where a folder should be.
pub async fn check_target(target: &OutputTarget, stores: &Stores) -> Result<(), ErrorReport> {
    let options = TableOptions::default();
    formats::table_options(options, target.format, &target.options)?;
    if target.single_file {
        return check_single(target, stores).await;
    }
    let place = display_location(&target.location);
    let found = files::holdings(&target.location, stores).await;
    let found = match (found, target.mode) {
        (Ok(found), _) => found,
        // What is there goes anyway, as long as it can be listed.
        (Err(report), OutputMode::Overwrite) if report.kind == ErrorKind::Conflict => return Ok(()),
        (Err(report), OutputMode::Error) if report.kind == ErrorKind::Conflict => return Err(already_exists(target)),
        (Err(report), _) => return Err(report),
    };
    if found.single_file || local_path(&target.location).is_some_and(|path| path.is_file()) {
        return Err(ErrorReport::invalid(format!("the output `{place}` is a file, not a folder")).with_hint(
            "choose another location; a folder is written unless the format's single-file form is asked for",
        ));
    }
    let exists = found.manifest.is_some() || !found.files.is_empty();
    if target.mode == OutputMode::Error && exists { Err(already_exists(target)) } else { Ok(()) }
}

async fn check_single(target: &OutputTarget, stores: &Stores) -> Result<(), ErrorReport> {
    let place = display_location(&target.location);
    if target.mode == OutputMode::Append {
        return Err(ErrorReport::invalid(format!("`{place}` is a single file and cannot be appended to"))
            .with_hint("write to a folder: end the location with a slash"));
    }
    if !target.partition_by.is_empty() {
        return Err(ErrorReport::invalid(format!("`{place}` is a single file and cannot be partitioned"))
            .with_hint("write to a folder: end the location with a slash"));
    }
    if local_path(&target.location).is_some_and(|path| path.is_dir()) {
        return Err(ErrorReport::invalid(format!("the output `{place}` is a folder, not a file"))
            .with_hint("end the location with a slash to write into it"));
    }
    let path = object_path(&target.location)?;
    match stores.get(&target.location)?.head(&path).await {
        Ok(_) if target.mode == OutputMode::Error => Err(already_exists(target)),
        Ok(_) => Ok(()),
        // A server says "not found" for the bucket as well; listing tells them apart.
        Err(object_store::Error::NotFound { .. }) => check_bucket(target, stores).await,
        Err(error) => Err(store_report(&error, "look at", &target.location)),
    }
}

async fn check_bucket(target: &OutputTarget, stores: &Stores) -> Result<(), ErrorReport> {
    if local_path(&target.location).is_some() {
        return Ok(());
    }
    let mut listing = stores.get(&target.location)?.list(Some(&super::staging::target_folder(target)?));
    match futures::StreamExt::next(&mut listing).await {
        Some(Err(error)) => Err(store_report(&error, "list", &target.location)),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Fails at planning time if the columns of the output do not fit the target's `partition_by`.
pub fn check_columns(target: &OutputTarget, schema: &Schema) -> Result<(), ErrorReport> {
    super::split_rows::RowSplit::new(target, schema).map(drop)
}

/// The name of a single file, as it is in its folder.
pub(super) fn file_name(target: &OutputTarget) -> Option<String> {
    object_path(&target.location).ok()?.filename().map(str::to_owned)
}

mod format_name {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(format: &OutputFormat, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(format.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OutputFormat, D::Error> {
        let name = String::deserialize(from)?;
        TableFormat::from_name(&name).ok_or_else(|| D::Error::custom(format!("unknown format `{name}`")))
    }
}

mod mode_name {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(mode: &OutputMode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(mode.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OutputMode, D::Error> {
        let name = String::deserialize(from)?;
        OutputMode::from_name(&name).ok_or_else(|| D::Error::custom(format!("unknown output mode `{name}`")))
    }
}

/// Ids and URLs as the text they print: the crates' own serde features are not in the build.
pub(super) mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
