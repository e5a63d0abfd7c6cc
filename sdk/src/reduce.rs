//! Reducers.

use windrow_engine::user_code::{CodeInput, CodeOutput, CodeStart, NativeCode};

use crate::emit::Emitter;
use crate::record::{self, Record};
use crate::{Context, Error};

/// Makes rows of the values of each key. There is one for each partition of an attempt.
pub trait Reducer: Send {
    type Key: Record;
    type Value: Record;
    type Out: Record;

    /// Called once, before the first key.
    ///
    /// # Errors
    /// The attempt fails with it.
    fn setup(&mut self, _context: &Context<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Called for every key, in order. Values that are not read are skipped.
    ///
    /// # Errors
    /// The attempt fails with it.
    fn reduce(
        &mut self,
        key: <Self::Key as Record>::Ref<'_>,
        values: &mut Values<'_, Self::Key, Self::Value>,
        out: &mut Emitter<'_, Self::Out>,
    ) -> Result<(), Error>;

    /// Called once, after the last key.
    ///
    /// # Errors
    /// The attempt fails with it.
    fn cleanup(&mut self, _out: &mut Emitter<'_, Self::Out>) -> Result<(), Error> {
        Ok(())
    }
}

/// The values of one key, as many as there are: they need not fit memory.
pub struct Values<'a, K: Record, V: Record> {
    rows: &'a mut Rows<K, V>,
    input: &'a mut CodeInput,
    /// Key columns that rows of one group have in common.
    group_columns: usize,
    /// Those of this group, encoded.
    group: &'a [u8],
    scratch: &'a mut Vec<u8>,
    /// The current row is the next value.
    is_ready: bool,
    failed: Option<Error>,
}

/// Where in the input a reducer is.
struct Rows<K: Record, V: Record> {
    batch: Option<(K::Columns, V::Columns)>,
    row: usize,
    rows: usize,
}

impl<K: Record, V: Record> Rows<K, V> {
    /// Whether there is a current row; takes the next batch if the one before has been read.
    fn fill(&mut self, input: &mut CodeInput) -> Result<bool, Error> {
        while self.batch.is_none() || self.row >= self.rows {
            let Some(batch) = input.next() else { return Ok(false) };
            self.batch = Some((record::read::<K>(&batch, 0)?, record::read::<V>(&batch, K::COLUMNS)?));
            (self.row, self.rows) = (0, batch.num_rows());
        }
        Ok(true)
    }

    fn current(&self) -> (K::Ref<'_>, V::Ref<'_>) {
        let (keys, values) = self.batch.as_ref().expect("R-1: a current row is in a batch");
        (K::get(keys, self.row), V::get(values, self.row))
    }
}

impl<K: Record, V: Record> Values<'_, K, V> {
    /// The next value of the key.
    #[expect(clippy::should_implement_trait, reason = "values are borrowed from the batch that is read")]
    pub fn next(&mut self) -> Option<V::Ref<'_>> {
        self.next_with_key().map(|(_, value)| value)
    }

    /// With the whole key, of which a job may group by the first columns only.
    pub fn next_with_key(&mut self) -> Option<(K::Ref<'_>, V::Ref<'_>)> {
        if !self.advance() {
            return None;
        }
        Some(self.rows.current())
    }

    fn advance(&mut self) -> bool {
        if self.failed.is_some() {
            return false;
        }
        if self.is_ready {
            self.rows.row += 1;
        }
        self.is_ready = false;
        match self.rows.fill(self.input) {
            Err(error) => {
                self.failed = Some(error);
                false
            }
            Ok(false) => false,
            Ok(true) => {
                self.scratch.clear();
                K::encode(self.rows.current().0, self.group_columns, self.scratch);
                self.is_ready = self.scratch.as_slice() == self.group;
                self.is_ready
            }
        }
    }
}

pub(crate) struct ReduceCode<R: Reducer> {
    reducer: Result<R, String>,
    group_columns: usize,
}

impl<R: Reducer> ReduceCode<R> {
    pub fn new(mut reducer: R, group_columns: usize, start: &CodeStart<'_>) -> ReduceCode<R> {
        let reducer = reducer.setup(start).map_err(|error| error.to_string()).map(|()| reducer);
        ReduceCode { reducer, group_columns }
    }
}

impl<R: Reducer> NativeCode for ReduceCode<R> {
    fn run(&mut self, input: &mut CodeInput, output: &mut CodeOutput) -> Result<(), String> {
        let described = |error: Error| error.to_string();
        let reducer = self.reducer.as_mut().map_err(|error| error.clone())?;
        let mut out = Emitter::new(output, None, None);
        let mut rows = Rows::<R::Key, R::Value> { batch: None, row: 0, rows: 0 };
        let (mut key, mut group, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
        while rows.fill(input).map_err(described)? {
            key.clear();
            group.clear();
            R::Key::encode(rows.current().0, R::Key::COLUMNS, &mut key);
            R::Key::encode(rows.current().0, self.group_columns, &mut group);
            let mut values = Values {
                rows: &mut rows,
                input: &mut *input,
                group_columns: self.group_columns,
                group: &group,
                scratch: &mut scratch,
                is_ready: false,
                failed: None,
            };
            reducer.reduce(R::Key::decode(&key), &mut values, &mut out).map_err(described)?;
            while values.advance() {}
            values.failed.map_or(Ok(()), Err).map_err(described)?;
        }
        input.check()?;
        reducer.cleanup(&mut out).map_err(described)?;
        out.finish();
        Ok(())
    }
}
