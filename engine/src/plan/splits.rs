//! A task's splits: the exact file ranges it reads, sent apart from the fragment that all tasks of a stage share.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{CsvSource, FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::protobuf;
use prost::Message;

use super::scans::{file_bytes, file_scans, partitions_needed};
use crate::tables::text::TextSource;

/// Splits of one task, over all scans of its stage.
#[derive(Clone, PartialEq, prost::Message)]
struct SplitsMessage {
    #[prost(message, repeated, tag = "1")]
    groups: Vec<GroupMessage>,
}

/// The files of one partition of one scan.
#[derive(Clone, PartialEq, prost::Message)]
struct GroupMessage {
    #[prost(uint32, tag = "1")]
    scan: u32,
    #[prost(uint32, tag = "2")]
    partition: u32,
    #[prost(message, repeated, tag = "3")]
    files: Vec<FileMessage>,
}

/// DataFusion's message drops what identifies the file's version, so that it is carried beside it.
#[derive(Clone, PartialEq, prost::Message)]
struct FileMessage {
    #[prost(message, optional, tag = "1")]
    file: Option<protobuf::PartitionedFile>,
    #[prost(string, optional, tag = "2")]
    e_tag: Option<String>,
    #[prost(string, optional, tag = "3")]
    version: Option<String>,
}

/// A scan in a fragment: DataFusion's own message, and what that leaves out.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScanMessage {
    #[prost(uint32, tag = "1")]
    number: u32,
    /// Number of file groups.
    #[prost(uint32, tag = "2")]
    partitions: u32,
    /// Name of the files' compression, empty if there is none.
    #[prost(string, tag = "3")]
    compression: String,
    #[prost(bool, tag = "4")]
    preserve_order: bool,
    /// DataFusion's message of the scan, without files.
    #[prost(message, optional, boxed, tag = "5")]
    pub plan: Option<Box<protobuf::PhysicalPlanNode>>,
    /// The files are text, although the message says CSV.
    #[prost(bool, tag = "6")]
    text: bool,
}

/// The splits of the task that executes `partitions` of `root`, with their bytes; `None` if it reads no files.
pub(super) fn encode(root: &Arc<dyn ExecutionPlan>, partitions: &[u32]) -> Result<(Option<Bytes>, u64)> {
    let scans = file_scans(root);
    let mut groups = Vec::new();
    let mut input_bytes = 0;
    for (number, touched) in partitions_needed(root, partitions) {
        let scan = scans[number as usize];
        for partition in touched {
            let files = scan.file_groups.get(partition).map_or(&[][..], |group| group.files());
            input_bytes += files.iter().map(file_bytes).sum::<u64>();
            if !files.is_empty() {
                groups.push(encode_group(scan, number, partition, files)?);
            }
        }
    }
    let splits = (!groups.is_empty()).then(|| SplitsMessage { groups }.encode_to_vec().into());
    Ok((splits, input_bytes))
}

fn encode_group(
    scan: &FileScanConfig,
    number: u32,
    partition: usize,
    files: &[PartitionedFile],
) -> Result<GroupMessage> {
    // Statistics are large, and a scan only needs them to prove that files in a group follow each other in order.
    let keep_statistics = !scan.output_ordering.is_empty();
    let files = files.iter().map(|file| encode_file(file, keep_statistics)).collect::<Result<_>>()?;
    Ok(GroupMessage { scan: number, partition: partition as u32, files })
}

fn encode_file(file: &PartitionedFile, keep_statistics: bool) -> Result<FileMessage> {
    let mut message = protobuf::PartitionedFile::try_from(file)?;
    if !keep_statistics {
        message.statistics = None;
    }
    let meta = &file.object_meta;
    Ok(FileMessage { file: Some(message), e_tag: meta.e_tag.clone(), version: meta.version.clone() })
}

fn decode_file(message: &FileMessage) -> Result<PartitionedFile> {
    let file = message.file.as_ref().ok_or_else(|| internal_datafusion_err!("a split names no file"))?;
    let mut file = PartitionedFile::try_from(file)?;
    file.object_meta.e_tag = message.e_tag.clone();
    file.object_meta.version = message.version.clone();
    Ok(file)
}

/// A task's files by (scan, partition).
pub(super) type FilesByPartition = BTreeMap<(u32, u32), Vec<PartitionedFile>>;

pub(super) fn decode(splits: Option<&Bytes>) -> Result<FilesByPartition> {
    let Some(splits) = splits else {
        return Ok(BTreeMap::new());
    };
    let message = SplitsMessage::decode(splits.as_ref())
        .map_err(|error| internal_datafusion_err!("the task's splits cannot be read: {error}"))?;
    let groups = message.groups.iter().map(|group| {
        let files = group.files.iter().map(decode_file).collect::<Result<Vec<_>>>()?;
        Ok(((group.scan, group.partition), files))
    });
    groups.collect()
}

pub(super) fn describe_scan(scan: &FileScanConfig, number: u32) -> ScanMessage {
    let compression = &scan.file_compression_type;
    ScanMessage {
        number,
        partitions: scan.file_groups.len() as u32,
        compression: match compression.is_compressed() {
            true => compression.get_variant().to_string(),
            false => String::new(),
        },
        preserve_order: scan.preserve_order,
        plan: None,
        text: scan.file_source.is::<TextSource>(),
    }
}

/// The same scan with empty file groups: what a fragment carries.
pub(super) fn without_files(scan: &FileScanConfig) -> Arc<dyn ExecutionPlan> {
    let groups = vec![FileGroup::default(); scan.file_groups.len()];
    let mut known = FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups);
    if let Some(text) = scan.file_source.downcast_ref::<TextSource>() {
        known = known.with_source(Arc::new(text.columns().clone()));
    }
    DataSourceExec::from_data_source(known.build())
}

/// Puts a task's files into a decoded scan. Partitions it does not touch stay empty.
pub(super) fn with_files(
    scan: &FileScanConfig,
    message: &ScanMessage,
    files: &FilesByPartition,
) -> Result<Arc<dyn ExecutionPlan>> {
    let groups = (0..message.partitions)
        .map(|partition| FileGroup::new(files.get(&(message.number, partition)).cloned().unwrap_or_default()));
    let compression = match message.compression.as_str() {
        "" => FileCompressionType::UNCOMPRESSED,
        name => name.parse::<FileCompressionType>()?,
    };
    let mut decoded = FileScanConfigBuilder::from(scan.clone());
    if message.text {
        let columns = scan.file_source.downcast_ref::<CsvSource>().cloned();
        let columns =
            columns.ok_or_else(|| internal_datafusion_err!("a scan of text was encoded as something else"))?;
        decoded = decoded.with_source(Arc::new(TextSource::new(columns)));
    }
    let scan = decoded
        .with_file_groups(groups.collect())
        .with_file_compression_type(compression)
        .with_preserve_order(message.preserve_order)
        .build();
    Ok(DataSourceExec::from_data_source(scan))
}
