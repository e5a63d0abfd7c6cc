//! Takes what mappers and reducers put out.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Builder};
use arrow::datatypes::{Field, Schema};
use windrow_engine::user_code::{CodeEnds, CodeOutput};

use crate::combine::{Combiner, Table};
use crate::job::Partitioner;
use crate::record::Record;

/// Rows of a batch, and bytes if they are large.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 1 << 20;

/// Puts out keys with values, or rows of one record.
pub struct Emitter<'a, K: Record, V: Record = ()> {
    output: &'a mut CodeOutput,
    batch: Batch<K, V>,
    combining: Option<Combining<K, V>>,
    partitioning: Option<Partitioning<K>>,
}

struct Batch<K: Record, V: Record> {
    keys: K::Builders,
    values: V::Builders,
    rows: usize,
    bytes: usize,
}

pub(crate) struct Combining<K: Record, V: Record> {
    pub table: Table<K, V>,
    pub combiner: Box<dyn Combiner<V>>,
}

pub(crate) struct Partitioning<K: Record> {
    pub partitioner: Box<dyn Partitioner<K>>,
    pub partitions: u32,
    pub numbers: UInt32Builder,
}

impl<'a, K: Record, V: Record> Emitter<'a, K, V> {
    pub(crate) fn new(
        output: &'a mut CodeOutput,
        combining: Option<Combining<K, V>>,
        partitioning: Option<Partitioning<K>>,
    ) -> Emitter<'a, K, V> {
        let batch = Batch { keys: K::Builders::default(), values: V::Builders::default(), rows: 0, bytes: 0 };
        Emitter { output, batch, combining, partitioning }
    }

    /// Waits while the next stage is slow. Where nobody reads any more, and where a column cannot be cast, it does not return:
    /// the code is unwound, as by a panic.
    #[inline]
    pub fn emit(&mut self, key: K::Ref<'_>, value: V::Ref<'_>) {
        match &mut self.combining {
            Some(Combining { table, combiner }) => {
                if table.add(key, value, combiner.as_mut()) {
                    self.empty_table();
                }
            }
            None => self.put(key, value),
        }
    }

    /// Adds to a counter of the job. Only those of successful attempts count.
    pub fn count(&mut self, name: &str, amount: i64) {
        self.output.count(name, amount);
    }

    /// Writes a line into the attempt's log.
    pub fn log(&mut self, line: &str) {
        self.output.log(line);
    }

    fn put(&mut self, key: K::Ref<'_>, value: V::Ref<'_>) {
        if let Some(Partitioning { partitioner, partitions, numbers }) = &mut self.partitioning {
            numbers.append_value(partitioner.partition(key, *partitions).min(partitions.saturating_sub(1)));
        }
        let batch = &mut self.batch;
        batch.bytes += K::append(&mut batch.keys, key) + V::append(&mut batch.values, value);
        batch.rows += 1;
        if batch.rows >= BATCH_ROWS || batch.bytes >= BATCH_BYTES {
            self.send();
        }
    }

    fn empty_table(&mut self) {
        let Some(mut combining) = self.combining.take() else { return };
        let Combining { table, combiner } = &mut combining;
        table.drain(combiner.as_mut(), |key, value| self.put(key, value));
        self.combining = Some(combining);
    }

    fn send(&mut self) {
        let numbers = self.partitioning.as_mut().map(|partitioning| {
            let numbers: ArrayRef = std::sync::Arc::new(partitioning.numbers.finish());
            numbers
        });
        let batch = &mut self.batch;
        let (keys, values) = (K::finish(&mut batch.keys), V::finish(&mut batch.values));
        let columns: Vec<ArrayRef> = numbers.into_iter().chain(keys).chain(values).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.rows));
        (batch.rows, batch.bytes) = (0, 0);
        // The output gives them the names and types that the job has for them.
        let field =
            |(nth, column): (usize, &ArrayRef)| Field::new(format!("c{nth}"), column.data_type().clone(), false);
        let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
        let made = RecordBatch::try_new_with_options(schema.into(), columns, &options);
        let made = made.map_err(|error| error.to_string());
        if let Err(error) = made.and_then(|batch| self.output.emit(&batch)) {
            // Whatever the code is in the middle of, nobody is there for it any more.
            std::panic::resume_unwind(Box::new(CodeEnds(error)));
        }
    }

    pub(crate) fn finish(mut self) {
        self.empty_table();
        if self.batch.rows > 0 {
            self.send();
        }
    }
}
