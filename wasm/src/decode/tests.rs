//! Streams that somebody means to harm with. None may panic, or take more than its bytes.

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, NullArray,
    StringArray, StringViewArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::*;

fn written(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), batches[0].schema_ref(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn plain(batch: &RecordBatch) -> Vec<u8> {
    written(std::slice::from_ref(batch), IpcWriteOptions::default())
}

fn one(column: impl Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter([("x", Arc::new(column) as ArrayRef)]).unwrap()
}

/// A column of every layout that is accepted.
fn rows() -> RecordBatch {
    let strings = StringArray::from(vec![Some("one"), None, Some("three")]);
    let items = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let inner: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None, Some(2.5)]));
    let both = StructArray::try_new(
        vec![Field::new("y", DataType::Float64, true)].into(),
        vec![inner],
        Some(vec![true, false, true].into()),
    );
    let columns: [(&str, ArrayRef); 6] = [
        ("a", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("b", Arc::new(strings)),
        ("c", Arc::new(BooleanArray::from(vec![true, false, true]))),
        ("d", Arc::new(BinaryArray::from_vec(vec![b"", b"\0", b"\xff"]))),
        ("e", Arc::new(items)),
        ("f", Arc::new(both.unwrap())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<RecordBatch>, String> {
    stream(&Buffer::from(bytes))
}

#[test]
fn streams_of_any_number_of_batches_are_read() {
    let rows = rows();
    let batches = [rows.clone(), rows.slice(1, 1), rows.slice(0, 0)];
    assert_eq!(read(&written(&batches, IpcWriteOptions::default())).unwrap(), batches);
    let mut writer = StreamWriter::try_new(Vec::new(), rows.schema_ref()).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&writer.into_inner().unwrap()), Ok(vec![]));
}

#[test]
fn truncated_streams_are_refused() {
    let whole = plain(&rows());
    for length in 0..whole.len() {
        read(&whole[..length]).unwrap_err();
    }
    let longer = [whole.as_slice(), &[0]].concat();
    assert_eq!(read(&longer).unwrap_err(), "it goes on after its end");
}

/// The decoder has not panicked, and what it gives is about as large as what it got.
fn check_harmless(bytes: &[u8]) {
    match read(bytes) {
        Err(detail) => assert!(!detail.contains(CONTRADICTION), "a panic"),
        Ok(batches) => {
            assert!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() <= 8 * bytes.len());
            assert!(batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>() < 100 * bytes.len());
        }
    }
}

#[test]
fn no_byte_can_be_changed_to_harm() {
    let whole = plain(&rows());
    for place in 0..whole.len() {
        for byte in [0, 1, 7, 0x7f, 0x80, 0xff, !whole[place], whole[place].wrapping_add(1)] {
            let mut bytes = whole.clone();
            bytes[place] = byte;
            check_harmless(&bytes);
        }
    }
}

#[test]
fn no_length_can_be_changed_to_harm() {
    let whole = plain(&rows());
    for place in (0..whole.len() - 8).step_by(4) {
        for number in [i64::MAX, i64::MIN, -1, i64::from(i32::MAX), 1 << 32, 1 << 61, (1 << 61) + 1, 1 << 40] {
            let mut bytes = whole.clone();
            bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
            check_harmless(&bytes);
        }
    }
}

#[test]
fn huge_declared_lengths_are_refused() {
    let whole = plain(&one(Int64Array::from_iter_values(0..1000)));
    let batch_of_1000: Vec<usize> =
        (0..whole.len() - 8).filter(|place| whole[*place..place + 8] == 1000i64.to_le_bytes()).collect();
    assert!(batch_of_1000.len() >= 2, "the batch's and its node's");
    for number in [1i64 << 40, 1 << 61, i64::MAX, -1] {
        let mut bytes = whole.clone();
        batch_of_1000.iter().for_each(|place| bytes[*place..place + 8].copy_from_slice(&number.to_le_bytes()));
        assert!(read(&bytes).unwrap_err().contains("declares more values than its"));
    }
}

#[test]
fn compressed_streams_are_refused() {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let zeros = one(Int64Array::from_value(0, 100_000));
    assert_eq!(read(&written(&[zeros], options)).unwrap_err(), "batch 0: it is compressed");
}

#[test]
fn columns_whose_rows_take_no_bytes_are_refused() {
    let refused = [
        (one(NullArray::new(1 << 30)), "Null"),
        (one(StringViewArray::from(vec!["x"])), "Utf8View"),
        (one(["x"].into_iter().collect::<DictionaryArray<Int32Type>>()), "is a dictionary"),
        (one(StructArray::new_empty_fields(1 << 30, None)), "Struct_"),
    ];
    for (batch, detail) in refused {
        let error = read(&plain(&batch)).unwrap_err();
        assert!(error.contains(detail), "{error}");
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1 << 40));
    let nothing = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    assert_eq!(read(&plain(&nothing)).unwrap_err(), "it has no columns");
}

#[test]
fn schemas_have_limits() {
    let of = |fields: Vec<Field>| {
        let mut writer = StreamWriter::try_new(Vec::new(), &Schema::new(fields)).unwrap();
        writer.finish().unwrap();
        read(&writer.into_inner().unwrap())
    };
    let many = (0..4097).map(|column| Field::new(column.to_string(), DataType::Int64, true)).collect();
    assert_eq!(of(many).unwrap_err(), "it has more than 4096 columns");
    let deep = (0..20).fold(DataType::Int8, |inner, _| DataType::new_list(inner, true));
    assert_eq!(of(vec![Field::new("deep", deep, true)]).unwrap_err(), "it has more than 16 levels");
    let long = Field::new("x".repeat(600_000), DataType::Int64, true);
    assert_eq!(of(vec![long.clone()]), Ok(vec![]));
    assert!(of(vec![long.clone(), long]).unwrap_err().contains("bytes of metadata"));
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let mut bytes = plain(&one(StringArray::from(vec!["needle"])));
    let place = bytes.windows(6).position(|part| part == b"needle").unwrap();
    bytes[place] = 0xff;
    assert!(read(&bytes).unwrap_err().contains("UTF8"), "{:?}", read(&bytes));
}
