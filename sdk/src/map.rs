//! Mappers.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Builder};
use windrow_engine::user_code::{CodeInput, CodeOutput, CodeStart, NativeCode};

use crate::combine::{Combiner, Table};
use crate::emit::{Combining, Emitter, Partitioning};
use crate::job::Partitioner;
use crate::record::Record;
use crate::{Context, Error};

/// Makes keys and values of rows. There is one for each partition of an attempt; it may block its thread and use others.
pub trait Mapper: Send {
    type Key: Record;
    type Value: Record;

    /// Called once, before the first rows.
    ///
    /// # Errors
    /// The attempt fails with it.
    fn setup(&mut self, _context: &Context<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Called for every batch of rows.
    ///
    /// # Errors
    /// The attempt fails with it.
    fn map(&mut self, rows: &RecordBatch, out: &mut Emitter<'_, Self::Key, Self::Value>) -> Result<(), Error>;

    /// Whether it is to be given more rows, if there are any. Those that are left are not read.
    fn wants_more(&self) -> bool {
        true
    }

    /// Called once, after the last rows.
    ///
    /// # Errors
    /// The attempt fails with it.
    fn cleanup(&mut self, _out: &mut Emitter<'_, Self::Key, Self::Value>) -> Result<(), Error> {
        Ok(())
    }
}

pub(crate) type MakeCombiner<V> = Arc<dyn Fn() -> Box<dyn Combiner<V>> + Send + Sync>;
pub(crate) type MakePartitioner<K> = Arc<dyn Fn() -> Box<dyn Partitioner<K>> + Send + Sync>;

/// A mapper with what comes before its rows leave it.
pub(crate) struct MapCode<M: Mapper> {
    pub mapper: Result<M, String>,
    pub combiner: Option<(MakeCombiner<M::Value>, usize)>,
    pub partitioner: Option<(MakePartitioner<M::Key>, u32)>,
}

impl<M: Mapper> MapCode<M> {
    pub fn new(mut mapper: M, start: &CodeStart<'_>) -> MapCode<M> {
        let mapper = mapper.setup(start).map_err(|error| error.to_string()).map(|()| mapper);
        MapCode { mapper, combiner: None, partitioner: None }
    }
}

impl<M: Mapper> NativeCode for MapCode<M> {
    fn run(&mut self, input: &mut CodeInput, output: &mut CodeOutput) -> Result<(), String> {
        let mapper = self.mapper.as_mut().map_err(|error| error.clone())?;
        let combining =
            self.combiner.as_ref().map(|(make, bytes)| Combining { table: Table::new(*bytes), combiner: make() });
        let partitioning = self.partitioner.as_ref().map(|(make, partitions)| Partitioning {
            partitioner: make(),
            partitions: *partitions,
            numbers: UInt32Builder::new(),
        });
        let mut out = Emitter::new(output, combining, partitioning);
        while mapper.wants_more() {
            let Some(rows) = input.next() else {
                input.check()?;
                break;
            };
            mapper.map(&rows, &mut out).map_err(|error| error.to_string())?;
        }
        mapper.cleanup(&mut out).map_err(|error| error.to_string())?;
        out.finish();
        Ok(())
    }
}
