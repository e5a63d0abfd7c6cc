//! Compiles the wire format without a system `protoc`.

/// What a job looks like from outside: the coordinator's history keeps these as JSON as well.
const KEPT: [&str; 16] = [
    "Job",
    "JobSpec",
    "SqlProgram",
    "TableSpec",
    "OutputSpec",
    "PublishedFile",
    "WorkerUse",
    "Stage",
    "Attempt",
    "AttemptId",
    "TaskId",
    "MapOutputId",
    "ErrorReport",
    "FetchFailure",
    "OperatorMetrics",
    "Said",
];
/// Messages with a choice in them, whose alternatives are named as their fields are.
const KEPT_CHOICES: [(&str, &str); 2] = [("Failure", "kind"), ("JobSpec", "program")];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/windrow.proto");
    let files = protox::compile(["proto/windrow.proto"], ["proto"])?;
    let mut builder = tonic_prost_build::configure().bytes(".");
    for name in KEPT.into_iter().chain(["Failure"]) {
        let path = format!(".windrow.v1.{name}");
        builder = builder.type_attribute(&path, "#[derive(serde::Serialize, serde::Deserialize)]");
        // What an earlier version did not write reads as absent.
        builder = builder.message_attribute(&path, "#[serde(default)]");
    }
    // The code itself is not what people look up.
    builder = builder.field_attribute(".windrow.v1.SqlProgram.made", "#[serde(skip)]");
    for (message, choice) in KEPT_CHOICES {
        let path = format!(".windrow.v1.{message}.{choice}");
        builder = builder.type_attribute(path, "#[serde(rename_all = \"snake_case\")]");
    }
    builder.compile_fds(files)?;
    Ok(())
}
