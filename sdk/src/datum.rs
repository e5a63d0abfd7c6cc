//! Types that a column can have.

use std::any::type_name;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, BooleanBuilder, Float64Array, Float64Builder,
    Int32Array, Int32Builder, Int64Array, Int64Builder, RecordBatch, StringBuilder, StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

use crate::Error;

/// A value of one column; never null.
pub trait Datum: Send + 'static {
    type Ref<'a>: Copy;
    type Builder: Default + Send;
    type Array: Clone + Send;

    /// As in `CREATE TABLE`.
    const SQL_TYPE: &'static str;
    /// It has nothing on the heap.
    const IS_FLAT: bool = true;

    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// Of columns that are read.
    fn data_type() -> DataType;
    fn own(value: Self::Ref<'_>) -> Self;
    fn borrow(&self) -> Self::Ref<'_>;
    /// Returns about how many bytes it takes.
    fn append(builder: &mut Self::Builder, value: Self::Ref<'_>) -> usize;
    fn finish(builder: &mut Self::Builder) -> ArrayRef;
    fn array(array: &ArrayRef) -> Self::Array;
    fn get(array: &Self::Array, row: usize) -> Self::Ref<'_>;
    /// The bytes that `encode` writes, where they are there already.
    fn as_bytes<'a>(_value: &Self::Ref<'a>) -> Option<&'a [u8]> {
        None
    }
    /// Different values have different bytes.
    fn encode(value: Self::Ref<'_>, bytes: &mut Vec<u8>);
    fn decode(bytes: &[u8]) -> Self::Ref<'_>;
}

macro_rules! number {
    ($type:ty, $sql:literal, $data:ident, $builder:ty, $array:ty, $primitive:ty) => {
        impl Datum for $type {
            type Ref<'a> = $type;
            type Builder = $builder;
            type Array = $array;

            const SQL_TYPE: &'static str = $sql;

            fn data_type() -> DataType {
                DataType::$data
            }

            fn own(value: $type) -> $type {
                value
            }

            fn borrow(&self) -> $type {
                *self
            }

            fn append(builder: &mut $builder, value: $type) -> usize {
                builder.append_value(value);
                size_of::<$type>()
            }

            fn finish(builder: &mut $builder) -> ArrayRef {
                std::sync::Arc::new(builder.finish())
            }

            fn array(array: &ArrayRef) -> $array {
                array.as_primitive::<$primitive>().clone()
            }

            fn get(array: &$array, row: usize) -> $type {
                array.value(row)
            }

            fn encode(value: $type, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&value.to_le_bytes());
            }

            fn decode(bytes: &[u8]) -> $type {
                <$type>::from_le_bytes(bytes.try_into().expect("D-1: a number was encoded as its bytes"))
            }
        }
    };
}

number!(i64, "BIGINT", Int64, Int64Builder, Int64Array, Int64Type);
number!(i32, "INT", Int32, Int32Builder, Int32Array, Int32Type);
number!(f64, "DOUBLE", Float64, Float64Builder, Float64Array, Float64Type);

impl Datum for String {
    type Ref<'a> = &'a str;
    type Builder = StringBuilder;
    type Array = StringViewArray;

    const SQL_TYPE: &'static str = "VARCHAR";
    const IS_FLAT: bool = false;

    fn heap_bytes(&self) -> usize {
        self.capacity()
    }

    fn data_type() -> DataType {
        DataType::Utf8View
    }

    fn own(value: &str) -> String {
        value.to_owned()
    }

    fn borrow(&self) -> &str {
        self
    }

    fn append(builder: &mut StringBuilder, value: &str) -> usize {
        builder.append_value(value);
        value.len() + size_of::<i32>()
    }

    fn finish(builder: &mut StringBuilder) -> ArrayRef {
        std::sync::Arc::new(builder.finish())
    }

    fn array(array: &ArrayRef) -> StringViewArray {
        array.as_string_view().clone()
    }

    fn get(array: &StringViewArray, row: usize) -> &str {
        array.value(row)
    }

    fn as_bytes<'a>(value: &Self::Ref<'a>) -> Option<&'a [u8]> {
        Some(value.as_bytes())
    }

    fn encode(value: &str, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(value.as_bytes());
    }

    fn decode(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("D-2: text was encoded as its bytes")
    }
}

impl Datum for Vec<u8> {
    type Ref<'a> = &'a [u8];
    type Builder = BinaryBuilder;
    type Array = BinaryArray;

    const SQL_TYPE: &'static str = "BYTEA";
    const IS_FLAT: bool = false;

    fn heap_bytes(&self) -> usize {
        self.capacity()
    }

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn own(value: &[u8]) -> Vec<u8> {
        value.to_vec()
    }

    fn borrow(&self) -> &[u8] {
        self
    }

    fn append(builder: &mut BinaryBuilder, value: &[u8]) -> usize {
        builder.append_value(value);
        value.len() + size_of::<i32>()
    }

    fn finish(builder: &mut BinaryBuilder) -> ArrayRef {
        std::sync::Arc::new(builder.finish())
    }

    fn array(array: &ArrayRef) -> BinaryArray {
        array.as_binary::<i32>().clone()
    }

    fn get(array: &BinaryArray, row: usize) -> &[u8] {
        array.value(row)
    }

    fn as_bytes<'a>(value: &Self::Ref<'a>) -> Option<&'a [u8]> {
        Some(value)
    }

    fn encode(value: &[u8], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(value);
    }

    fn decode(bytes: &[u8]) -> &[u8] {
        bytes
    }
}

impl Datum for bool {
    type Ref<'a> = bool;
    type Builder = BooleanBuilder;
    type Array = BooleanArray;

    const SQL_TYPE: &'static str = "BOOLEAN";

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn own(value: bool) -> bool {
        value
    }

    fn borrow(&self) -> bool {
        *self
    }

    fn append(builder: &mut BooleanBuilder, value: bool) -> usize {
        builder.append_value(value);
        1
    }

    fn finish(builder: &mut BooleanBuilder) -> ArrayRef {
        std::sync::Arc::new(builder.finish())
    }

    fn array(array: &ArrayRef) -> BooleanArray {
        array.as_boolean().clone()
    }

    fn get(array: &BooleanArray, row: usize) -> bool {
        array.value(row)
    }

    fn encode(value: bool, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(value));
    }

    fn decode(bytes: &[u8]) -> bool {
        bytes == [1]
    }
}

/// The values of a column, by its name; `None` for null.
///
/// # Errors
/// There is no such column, or its type cannot be cast to `D`.
pub fn column<D: Datum>(rows: &RecordBatch, name: &str) -> Result<Column<D>, Error> {
    let found = rows.column_by_name(name).ok_or_else(|| {
        let names: Vec<_> = rows.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
        format!("the rows have no column `{name}`; they have {}", names.join(", "))
    })?;
    typed(found).map_err(|error| format!("the column `{name}` is no {}: {error}", type_name::<D>()).into())
}

/// The lines of text that the rows are: their first column.
///
/// # Errors
/// They have no column of text.
pub fn lines(rows: &RecordBatch) -> Result<Column<String>, Error> {
    let first = rows.columns().first().ok_or("the rows have no column")?;
    Ok(typed(first)?)
}

fn typed<D: Datum>(array: &ArrayRef) -> Result<Column<D>, arrow::error::ArrowError> {
    let array = cast(array, &D::data_type())?;
    Ok(Column { values: D::array(&array), array })
}

/// The values of a column.
pub struct Column<D: Datum> {
    array: ArrayRef,
    values: D::Array,
}

impl<D: Datum> Column<D> {
    pub fn len(&self) -> usize {
        self.array.len()
    }

    pub fn is_empty(&self) -> bool {
        self.array.is_empty()
    }

    /// `None` for null.
    pub fn get(&self, row: usize) -> Option<D::Ref<'_>> {
        self.array.is_valid(row).then(|| D::get(&self.values, row))
    }

    /// `None` for null.
    pub fn iter(&self) -> impl Iterator<Item = Option<D::Ref<'_>>> {
        (0..self.len()).map(|row| self.get(row))
    }
}
