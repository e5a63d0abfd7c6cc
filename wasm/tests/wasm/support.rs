//! Modules written as text, batches, and a source of numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use windrow_wasm::{Grants, Limits, Module};

/// Little enough that a loop without an end takes no time.
pub const SMALL: Limits = Limits { memory_bytes: 4 << 20, fuel_per_call: 100_000, fuel_per_row: 10_000 };

/// A memory whose second MiB holds inputs.
const BASE: &str = r#"
    (memory (export "memory") 32)
    (func (export "windrow_alloc") (param i32) (result i32) i32.const 1048576)
"#;

pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

pub fn load(text: &str) -> Module {
    Module::load(&assemble(text), Grants::default()).unwrap()
}

/// A module with a memory, an allocator, and these definitions.
pub fn module(definitions: &str) -> Module {
    importing("", definitions)
}

pub fn importing(imports: &str, definitions: &str) -> Module {
    load(&text(imports, definitions))
}

pub fn text(imports: &str, definitions: &str) -> String {
    format!("(module {imports} {BASE} {definitions})")
}

/// A function `f` of these instructions, which leave an i64.
pub fn function(instructions: &str) -> Module {
    module(&format!(r#"(func (export "f") (param i32 i32) (result i64) {instructions})"#))
}

/// A function `f` that gives its input back.
pub fn identity() -> Module {
    function("local.get 0 i64.extend_i32_u i64.const 32 i64.shl local.get 1 i64.extend_i32_u i64.or")
}

/// A function `f` that gives these bytes back.
pub fn giving(bytes: &[u8]) -> Module {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let result = (4096u64 << 32) | bytes.len() as u64;
    module(&format!(
        r#"(data (i32.const 4096) "{escaped}") (func (export "f") (param i32 i32) (result i64) i64.const {result})"#
    ))
}

pub fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

pub fn numbers(values: impl IntoIterator<Item = i64>) -> RecordBatch {
    rows(vec![("x", Arc::new(Int64Array::from_iter_values(values)))])
}

/// The only column of the only batch.
pub fn column<A: Array + Clone + 'static>(result: &[RecordBatch]) -> A {
    assert_eq!(result.len(), 1);
    assert_eq!(result[0].num_columns(), 1);
    result[0].column(0).as_any().downcast_ref::<A>().unwrap().clone()
}

/// An example's text, assembled.
pub fn example(name: &str) -> Module {
    let path = format!("{}/../examples/wasm/{name}.wat", env!("CARGO_MANIFEST_DIR"));
    load(&std::fs::read_to_string(path).unwrap())
}

/// Numbers that look random and are always the same (Knuth's MMIX generator).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % end
    }

    pub fn is_one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}
