//! `double(x DOUBLE) -> DOUBLE` as a Windrow module in Rust; README.md says how it is built.

use std::cell::RefCell;
use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, RecordBatch};
use arrow::datatypes::Float64Type;
use arrow::error::ArrowError;
use arrow::ipc::{reader::StreamReader, writer::StreamWriter};

thread_local! {
    /// Of numbers of 8 bytes, so that it begins at a multiple of 8.
    static INPUT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// Kept here until the next call.
    static RESULT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[link(wasm_import_module = "windrow")]
unsafe extern "C" {
    fn fail(message: *const u8, length: usize) -> !;
}

#[unsafe(no_mangle)]
pub extern "C" fn windrow_alloc(bytes: usize) -> *mut u64 {
    INPUT.with_borrow_mut(|input| {
        input.resize(bytes.div_ceil(8), 0);
        input.as_mut_ptr()
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn double(pointer: *const u8, length: usize) -> u64 {
    // SAFETY: the host has written `length` bytes into the room that `windrow_alloc` has given.
    let input = unsafe { std::slice::from_raw_parts(pointer, length) };
    match doubled(input) {
        Ok(result) => give(result),
        Err(error) => {
            let message = error.to_string();
            // SAFETY: the host reads the message before it ends the call.
            unsafe { fail(message.as_ptr(), message.len()) }
        }
    }
}

fn doubled(input: &[u8]) -> Result<Vec<u8>, ArrowError> {
    let mut writer: Option<StreamWriter<Vec<u8>>> = None;
    for batch in StreamReader::try_new(input, None)? {
        let batch = batch?;
        let x = batch.column(0).as_primitive_opt::<Float64Type>();
        let x = x.ok_or_else(|| ArrowError::CastError("x is not a DOUBLE".to_owned()))?;
        let doubled: Float64Array = x.unary(|x| 2.0 * x);
        let batch = RecordBatch::try_from_iter_with_nullable([("x", Arc::new(doubled) as _, true)])?;
        writer = Some(writer.map_or_else(|| StreamWriter::try_new(Vec::new(), &batch.schema()), Ok)?);
        writer.iter_mut().try_for_each(|writer| writer.write(&batch))?;
    }
    // Writes the end of the stream, too.
    writer.map_or(Ok(Vec::new()), StreamWriter::into_inner)
}

/// What the host is given: where the result is, and how long it is.
fn give(result: Vec<u8>) -> u64 {
    RESULT.with_borrow_mut(|kept| {
        *kept = result;
        (kept.as_ptr() as u64) << 32 | kept.len() as u64
    })
}
