//! Keys, values and output rows: one column, or several as a tuple.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;

use crate::Error;
use crate::datum::Datum;

/// A row, or a part of one: a [`Datum`], a tuple of them, or nothing.
pub trait Record: Send + 'static {
    type Ref<'a>: Copy;
    type Owned: Send + 'static;
    type Builders: Default + Send;
    type Columns: Send;

    const COLUMNS: usize;
    /// No value has anything on the heap.
    const IS_FLAT: bool;

    /// As in `CREATE TABLE`.
    fn sql_types() -> Vec<&'static str>;
    fn own(value: Self::Ref<'_>) -> Self::Owned;
    /// Bytes on the heap. Always 0 if `IS_FLAT`.
    fn heap_bytes(owned: &Self::Owned) -> usize;
    fn borrow(owned: &Self::Owned) -> Self::Ref<'_>;
    /// Returns about how many bytes it takes.
    fn append(builders: &mut Self::Builders, value: Self::Ref<'_>) -> usize;
    fn finish(builders: &mut Self::Builders) -> Vec<ArrayRef>;
    fn read(columns: &[ArrayRef]) -> Result<Self::Columns, Error>;
    fn get(columns: &Self::Columns, row: usize) -> Self::Ref<'_>;
    /// The bytes that `encode` writes, where they are there already.
    fn as_bytes<'a>(_value: &Self::Ref<'a>) -> Option<&'a [u8]> {
        None
    }
    /// Different records have different bytes. Only the first `columns` count.
    fn encode(value: Self::Ref<'_>, columns: usize, bytes: &mut Vec<u8>);
    /// Of what was encoded with all columns.
    fn decode(bytes: &[u8]) -> Self::Ref<'_>;
}

/// The columns of `rows` from number `first` on, as records.
pub(crate) fn read<R: Record>(rows: &RecordBatch, first: usize) -> Result<R::Columns, Error> {
    let columns = rows.columns().get(first..first + R::COLUMNS).ok_or_else(|| {
        format!("rows have {} columns, and {} are read from number {}", rows.num_columns(), R::COLUMNS, first + 1)
    })?;
    if let Some(nulls) = columns.iter().find(|column| column.null_count() > 0) {
        return Err(format!("{} rows of keys or values are null", nulls.null_count()).into());
    }
    R::read(columns)
}

fn typed<D: Datum>(column: &ArrayRef) -> Result<D::Array, Error> {
    Ok(D::array(&cast(column, &D::data_type())?))
}

impl<D: Datum> Record for D {
    type Ref<'a> = D::Ref<'a>;
    type Owned = D;
    type Builders = D::Builder;
    type Columns = D::Array;

    const COLUMNS: usize = 1;
    const IS_FLAT: bool = D::IS_FLAT;

    fn sql_types() -> Vec<&'static str> {
        vec![D::SQL_TYPE]
    }

    fn own(value: D::Ref<'_>) -> D {
        D::own(value)
    }

    fn heap_bytes(owned: &D) -> usize {
        owned.heap_bytes()
    }

    fn borrow(owned: &D) -> D::Ref<'_> {
        owned.borrow()
    }

    fn append(builders: &mut D::Builder, value: D::Ref<'_>) -> usize {
        D::append(builders, value)
    }

    fn finish(builders: &mut D::Builder) -> Vec<ArrayRef> {
        vec![D::finish(builders)]
    }

    fn read(columns: &[ArrayRef]) -> Result<D::Array, Error> {
        typed::<D>(&columns[0])
    }

    fn get(columns: &D::Array, row: usize) -> D::Ref<'_> {
        D::get(columns, row)
    }

    #[inline]
    fn as_bytes<'a>(value: &D::Ref<'a>) -> Option<&'a [u8]> {
        D::as_bytes(value)
    }

    fn encode(value: D::Ref<'_>, columns: usize, bytes: &mut Vec<u8>) {
        if columns > 0 {
            D::encode(value, bytes);
        }
    }

    fn decode(bytes: &[u8]) -> D::Ref<'_> {
        D::decode(bytes)
    }
}

impl Record for () {
    type Ref<'a> = ();
    type Owned = ();
    type Builders = ();
    type Columns = ();

    const COLUMNS: usize = 0;
    const IS_FLAT: bool = true;

    fn sql_types() -> Vec<&'static str> {
        Vec::new()
    }

    fn own((): ()) {}

    fn heap_bytes((): &()) -> usize {
        0
    }

    fn borrow((): &()) {}

    fn append((): &mut (), (): ()) -> usize {
        0
    }

    fn finish((): &mut ()) -> Vec<ArrayRef> {
        Vec::new()
    }

    fn read(_: &[ArrayRef]) -> Result<(), Error> {
        Ok(())
    }

    fn get((): &(), _: usize) {}

    fn encode((): (), _: usize, _: &mut Vec<u8>) {}

    fn decode(_: &[u8]) {}
}

/// Each part with its length before it.
fn encode_part<D: Datum>(value: D::Ref<'_>, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    D::encode(value, bytes);
    let length = (bytes.len() - start - 4) as u32;
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn decode_part<'a, D: Datum>(bytes: &mut &'a [u8]) -> D::Ref<'a> {
    let (length, rest) = bytes.split_first_chunk().expect("D-3: a part was encoded with its length");
    let (part, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
    *bytes = rest;
    D::decode(part)
}

macro_rules! tuple {
    ($columns:literal: $($part:ident $at:tt),+) => {
        impl<$($part: Datum),+> Record for ($($part,)+) {
            type Ref<'a> = ($($part::Ref<'a>,)+);
            type Owned = ($($part,)+);
            type Builders = ($($part::Builder,)+);
            type Columns = ($($part::Array,)+);

            const COLUMNS: usize = $columns;
            const IS_FLAT: bool = $($part::IS_FLAT)&&+;

            fn sql_types() -> Vec<&'static str> {
                vec![$($part::SQL_TYPE),+]
            }

            fn own(value: Self::Ref<'_>) -> Self::Owned {
                ($($part::own(value.$at),)+)
            }

            fn heap_bytes(owned: &Self::Owned) -> usize {
                [$(owned.$at.heap_bytes()),+].iter().sum()
            }

            fn borrow(owned: &Self::Owned) -> Self::Ref<'_> {
                ($(owned.$at.borrow(),)+)
            }

            fn append(builders: &mut Self::Builders, value: Self::Ref<'_>) -> usize {
                [$($part::append(&mut builders.$at, value.$at)),+].iter().sum()
            }

            fn finish(builders: &mut Self::Builders) -> Vec<ArrayRef> {
                vec![$($part::finish(&mut builders.$at)),+]
            }

            fn read(columns: &[ArrayRef]) -> Result<Self::Columns, Error> {
                Ok(($(typed::<$part>(&columns[$at])?,)+))
            }

            fn get(columns: &Self::Columns, row: usize) -> Self::Ref<'_> {
                ($($part::get(&columns.$at, row),)+)
            }

            fn encode(value: Self::Ref<'_>, columns: usize, bytes: &mut Vec<u8>) {
                $(if $at < columns {
                    encode_part::<$part>(value.$at, bytes);
                })+
            }

            fn decode(mut bytes: &[u8]) -> Self::Ref<'_> {
                ($(decode_part::<$part>(&mut bytes),)+)
            }
        }
    };
}

tuple!(1: A 0);
tuple!(2: A 0, B 1);
tuple!(3: A 0, B 1, C 2);
tuple!(4: A 0, B 1, C 2, D 3);
tuple!(5: A 0, B 1, C 2, D 3, E 4);
tuple!(6: A 0, B 1, C 2, D 3, E 4, F 5);

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(value: (&str, i64, f64)) {
        type Row = (String, i64, f64);
        let mut bytes = Vec::new();
        Row::encode(value, 3, &mut bytes);
        assert_eq!(Row::decode(&bytes), value);
    }

    #[test]
    fn records_are_what_was_encoded() {
        round_trip(("", i64::MIN, -0.5));
        round_trip(("Straße\t\n", 7, f64::INFINITY));
    }

    #[test]
    fn parts_of_a_key_do_not_run_into_each_other() {
        let encoded = |left: &str, right: &str| {
            let mut bytes = Vec::new();
            <(String, String)>::encode((left, right), 2, &mut bytes);
            bytes
        };
        assert_ne!(encoded("a", "bc"), encoded("ab", "c"));
        let mut first = Vec::new();
        <(String, String)>::encode(("a", "b"), 1, &mut first);
        assert!(encoded("a", "z").starts_with(&first));
    }
}
