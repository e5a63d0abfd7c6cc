//! Rows to file bytes: Parquet, CSV, newline-delimited JSON and text, with the target's options.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::task::Poll;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::common::config::TableOptions;
use datafusion::common::file_options::csv_writer::CsvWriterOptions;
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use windrow_model::TableFormat;

/// A row group is closed when its encoded size reaches this, whatever its rows: it bounds a writer's memory.
pub const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

/// Encodes batches of one schema; the bytes are taken out with [`Encoder::take`].
pub enum Encoder {
    Parquet(Box<ArrowWriter<Buffer>>, Buffer),
    Csv {
        options: CsvWriterOptions,
        header: bool,
        out: Compressor,
    },
    Json {
        out: Compressor,
    },
    /// Columns with tabs between them.
    Text {
        out: Compressor,
    },
}

impl Encoder {
    /// `options` are the target's, parsed for its format.
    pub fn new(format: TableFormat, options: &TableOptions, schema: SchemaRef) -> Result<Encoder> {
        match format {
            TableFormat::Parquet => {
                let buffer = Buffer::default();
                let writer = ArrowWriter::try_new(buffer.clone(), schema, Some(parquet_properties(options)?))?;
                Ok(Encoder::Parquet(Box::new(writer), buffer))
            }
            TableFormat::Csv => {
                let header = options.csv.has_header.unwrap_or(true);
                let out = Compressor::new(options.csv.compression)?;
                let mut encoder = Encoder::Csv { options: CsvWriterOptions::try_from(&options.csv)?, header, out };
                // The header is there even if no row follows.
                encoder.write(&RecordBatch::new_empty(schema))?;
                Ok(encoder)
            }
            TableFormat::Json => Ok(Encoder::Json { out: Compressor::new(options.json.compression)? }),
            TableFormat::Text => Ok(Encoder::Text { out: Compressor::new(options.csv.compression)? }),
        }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Encoder::Parquet(writer, _) => {
                writer.write(batch)?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES_MAX {
                    writer.flush()?;
                }
            }
            Encoder::Csv { options, header, out } => {
                let mut text = Vec::new();
                let builder = options.writer_options.clone().with_header(std::mem::take(header));
                builder.build(&mut text).write(batch)?;
                out.push(text);
            }
            Encoder::Json { out } => {
                let mut text = Vec::new();
                let mut writer = arrow::json::LineDelimitedWriter::new(&mut text);
                writer.write(batch)?;
                writer.finish()?;
                out.push(text);
            }
            Encoder::Text { out } => out.push(lines_of(batch, '\t')?),
        }
        Ok(())
    }

    /// Gives up buffered rows early: a smaller row group instead of more memory.
    pub fn flush(&mut self) -> Result<()> {
        match self {
            Encoder::Parquet(writer, _) => Ok(writer.flush()?),
            Encoder::Csv { .. } | Encoder::Json { .. } | Encoder::Text { .. } => Ok(()),
        }
    }

    /// Encoded bytes that are ready.
    pub fn take(&mut self) -> Result<Vec<u8>> {
        match self {
            Encoder::Parquet(_, buffer) => Ok(buffer.take()),
            Encoder::Csv { out, .. } | Encoder::Json { out } | Encoder::Text { out } => out.drain(),
        }
    }

    /// The last bytes of the file.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self {
            Encoder::Parquet(writer, buffer) => {
                writer.close()?;
                Ok(buffer.take())
            }
            Encoder::Csv { mut out, .. } | Encoder::Json { mut out } | Encoder::Text { mut out } => out.finish(),
        }
    }

    /// Bytes held in memory, and bytes the file will grow by when they are written: (memory, encoded).
    pub fn buffered_bytes(&self) -> (usize, usize) {
        match self {
            Encoder::Parquet(writer, buffer) => {
                (writer.memory_size() + buffer.len(), writer.in_progress_size() + buffer.len())
            }
            Encoder::Csv { out, .. } | Encoder::Json { out } | Encoder::Text { out } => (out.pending_bytes(), 0),
        }
    }
}

/// A line for each row: its columns with `separator` between them, nothing for null.
pub fn lines_of(batch: &RecordBatch, separator: char) -> Result<Vec<u8>> {
    let mut between = [0; 4];
    let between = separator.encode_utf8(&mut between).as_bytes();
    let text = |column: &ArrayRef| cast(column, &DataType::Utf8);
    let columns = batch.columns().iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<&StringArray> = columns.iter().map(|column| column.as_string()).collect();
    let bytes: usize = columns.iter().map(|column| column.value_data().len() + column.len()).sum();
    let mut lines = Vec::with_capacity(bytes + batch.num_rows());
    for row in 0..batch.num_rows() {
        for (nth, column) in columns.iter().enumerate() {
            if nth > 0 {
                lines.extend_from_slice(between);
            }
            if column.is_valid(row) {
                let text = column.value(row).as_bytes();
                if memchr::memchr(b'\n', text).is_some() {
                    let name = batch.schema_ref().field(nth).name().clone();
                    return exec_err!("a text with a line break cannot be part of a line: column `{name}`");
                }
                lines.extend_from_slice(text);
            }
        }
        lines.push(b'\n');
    }
    Ok(lines)
}

fn parquet_properties(options: &TableOptions) -> Result<WriterProperties> {
    let mut parquet = options.parquet.clone();
    // The Arrow writer adds the schema itself.
    parquet.global.skip_arrow_metadata = true;
    let builder = WriterPropertiesBuilder::try_from(&parquet)?;
    Ok(builder.set_created_by(concat!("windrow version ", env!("CARGO_PKG_VERSION")).to_owned()).build())
}

/// File name extension of a format with its compression, without the leading dot.
pub fn extension(format: TableFormat, options: &TableOptions) -> String {
    let suffix = |compression: CompressionTypeVariant| match compression {
        CompressionTypeVariant::GZIP => ".gz",
        CompressionTypeVariant::BZIP2 => ".bz2",
        CompressionTypeVariant::XZ => ".xz",
        CompressionTypeVariant::ZSTD => ".zst",
        CompressionTypeVariant::UNCOMPRESSED => "",
    };
    match format {
        TableFormat::Parquet => "parquet".to_owned(),
        TableFormat::Csv => format!("csv{}", suffix(options.csv.compression)),
        TableFormat::Json => format!("json{}", suffix(options.json.compression)),
        TableFormat::Text => format!("txt{}", suffix(options.csv.compression)),
    }
}

/// Memory that an encoder writes to and its owner empties.
#[derive(Clone, Default)]
pub struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }

    fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text on its way through a compressor, or straight through.
pub struct Compressor {
    input: Arc<Mutex<Input>>,
    output: BoxStream<'static, Result<Bytes>>,
}

#[derive(Default)]
struct Input {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    ended: bool,
}

impl Compressor {
    fn new(compression: CompressionTypeVariant) -> Result<Compressor> {
        let input = Arc::new(Mutex::new(Input::default()));
        let source = Arc::clone(&input);
        let chunks = stream::poll_fn(move |_| {
            let mut input = source.lock();
            match input.chunks.pop_front() {
                Some(chunk) => {
                    input.bytes -= chunk.len();
                    Poll::Ready(Some(Ok::<_, DataFusionError>(chunk)))
                }
                None if input.ended => Poll::Ready(None),
                // Nobody is woken: the owner polls again after each push.
                None => Poll::Pending,
            }
        });
        let output = FileCompressionType::from(compression).convert_to_compress_stream(chunks.boxed())?;
        Ok(Compressor { input, output })
    }

    fn push(&mut self, text: Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let mut input = self.input.lock();
        input.bytes += text.len();
        input.chunks.push_back(text.into());
    }

    fn pending_bytes(&self) -> usize {
        self.input.lock().bytes
    }

    fn drain(&mut self) -> Result<Vec<u8>> {
        let mut ready = Vec::new();
        while let Some(Some(chunk)) = self.output.next().now_or_never() {
            ready.extend_from_slice(&chunk?);
        }
        Ok(ready)
    }

    fn finish(&mut self) -> Result<Vec<u8>> {
        self.input.lock().ended = true;
        self.drain()
    }
}
