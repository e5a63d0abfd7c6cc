//! Imports and exports.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, StringArray,
    StringViewArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use windrow_model::ErrorKind;
use windrow_wasm::{Grants, Kind, Limits, Module};

use crate::support::{assemble, identity, importing, load, module, numbers, rows, text};

fn refusal(bytes: &[u8]) -> windrow_model::ErrorReport {
    Module::load(bytes, Grants::default()).unwrap_err()
}

#[test]
fn rows_go_in_and_come_out_as_they_are() {
    let batch = rows(vec![
        ("a", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef),
        ("b", Arc::new(StringArray::from(vec![Some(""), Some("zwölf"), None]))),
        ("c", Arc::new(Float64Array::from(vec![f64::NAN, -0.0, 1e300]))),
        ("d", Arc::new(BooleanArray::from(vec![None, Some(true), Some(false)]))),
        (
            "e",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                Some(vec![Some(1), None]),
                None,
                Some(vec![]),
            ])),
        ),
        (
            "f",
            Arc::new(StructArray::from(vec![(
                Arc::new(Field::new("g", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec![None, Some("x"), Some("y")])) as ArrayRef,
            )])),
        ),
    ]);
    let mut instance = identity().start(Limits::default()).unwrap();
    for part in [batch.clone(), batch.slice(1, 2), batch.slice(0, 0), batch.slice(2, 1)] {
        let result = instance.call("f", &part).unwrap();
        assert_eq!(result.len(), 1);
        assert_eq!(result[0].columns(), part.columns());
        assert_eq!(result[0].schema(), part.schema());
    }
}

#[test]
fn columns_are_sent_in_their_plain_layout() {
    let words = ["one", "a word that is longer than a view", "one"];
    let batch = rows(vec![
        ("a", Arc::new(StringViewArray::from_iter_values(words)) as ArrayRef),
        ("b", Arc::new(BinaryViewArray::from_iter_values(words))),
        ("c", Arc::new(words.into_iter().collect::<DictionaryArray<Int32Type>>())),
    ]);
    let result = identity().start(Limits::default()).unwrap().call("f", &batch).unwrap();
    let types: Vec<DataType> = result[0].columns().iter().map(|column| column.data_type().clone()).collect();
    assert_eq!(types, [DataType::Utf8, DataType::Binary, DataType::Utf8]);
    let plain: ArrayRef = Arc::new(StringArray::from_iter_values(words));
    assert_eq!((result[0].column(0), result[0].column(2)), (&plain, &plain));
}

#[test]
fn a_result_of_nothing_has_no_batches() {
    let module = module(r#"(func (export "f") (param i32 i32) (result i64) i64.const 0)"#);
    let mut instance = module.start(Limits::default()).unwrap();
    assert!(instance.call("f", &numbers(0..3)).unwrap().is_empty());
    assert!(instance.finish("f").unwrap().is_empty(), "it has no finish");
}

#[test]
fn imports_of_a_system_are_refused_by_name() {
    let imports = [
        ("wasi_snapshot_preview1", "fd_write", "(func (param i32 i32 i32 i32) (result i32))"),
        ("wasi_snapshot_preview1", "sock_open", "(func (param i32) (result i32))"),
        ("wasi_snapshot_preview1", "path_open", "(func (result i32))"),
        ("env", "memory", "(memory 1)"),
        ("env", "__indirect_function_table", "(table 1 funcref)"),
        ("env", "stack", "(global i32)"),
        ("windrow", "exec", "(func)"),
    ];
    for (namespace, name, item) in imports {
        let report = refusal(&assemble(&format!(r#"(module (import "{namespace}" "{name}" {item}))"#)));
        assert_eq!(report.what, format!("the module imports `{namespace}.{name}`, which there is not"));
        assert!(report.detail.contains("no files and no network"), "{report}");
    }
}

#[test]
fn imports_of_a_wrong_type_are_refused() {
    let wrong = [
        ("fail", "(func (param i32))", "(i32, i32)"),
        ("count", "(func (param i32 i32 i32))", "(i32, i32, i64)"),
        ("log", "(memory 1)", "(i32, i32)"),
    ];
    for (name, item, expected) in wrong {
        let report = refusal(&assemble(&format!(r#"(module (import "windrow" "{name}" {item}))"#)));
        assert_eq!(report.what, format!("the module imports `windrow.{name}` with a wrong type"));
        assert!(report.detail.contains(expected), "{report}");
    }
}

#[test]
fn the_clock_is_refused_unless_granted() {
    let clock = r#"(import "windrow" "clock" (func $clock (result i64)))"#;
    let now = r#"(func (export "f") (param i32 i32) (result i64)
        call $clock i64.const 1600000000000000000 i64.lt_s if unreachable end i64.const 0)"#;
    let bytes = assemble(&text(clock, now));
    let report = refusal(&bytes);
    assert_eq!(report.kind, ErrorKind::PermissionDenied);
    assert!(report.what.contains("windrow.clock"), "{report}");
    let granted = Module::load(&bytes, Grants { clock: true }).unwrap();
    granted.start(Limits::default()).unwrap().call("f", &numbers([1])).unwrap();
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [&b""[..], b"hello", b"\0asm\x01\0\0\0garbage", b"(module)"] {
        assert_eq!(refusal(bytes).kind, ErrorKind::Invalid);
    }
}

#[test]
fn wide_and_shared_memories_and_more_than_one_are_refused() {
    for memory in ["(memory i64 1)", "(memory 1 2 shared)", "(memory 1) (memory 1)"] {
        assert!(refusal(&assemble(&format!("(module {memory})"))).what.contains("not WebAssembly that Windrow runs"));
    }
}

#[test]
fn a_check_names_the_export_and_its_type() {
    let checks = [
        ("", Kind::Rows, "the module exports no function `f`", "(i32, i32) -> i64"),
        (r#"(func (export "f"))"#, Kind::Rows, "the module's `f` is", "(i32, i32) -> i64"),
        (
            r#"(global (export "f") i32 i32.const 0)"#,
            Kind::Rows,
            "the module's `f` is not a function",
            "(i32, i32) -> i64",
        ),
        ("", Kind::Aggregate, "the module exports no function `f_update`", "(i32, i32) -> i64"),
    ];
    for (definitions, kind, what, expected) in checks {
        let report = module(definitions).check("f", kind).unwrap_err();
        assert!(report.what.starts_with(what), "{report}");
        assert!(report.hint.contains(expected), "{}", report.hint);
    }
    assert_eq!(identity().check("f", Kind::Rows), Ok(()));
}

#[test]
fn a_check_covers_what_every_module_needs() {
    let f = r#"(func (export "f") (param i32 i32) (result i64) i64.const 0)"#;
    let alloc = r#"(func (export "windrow_alloc") (param i32) (result i32) i32.const 0)"#;
    let memory = r#"(memory (export "memory") 1)"#;
    let checks = [
        (format!("(module {alloc} {f})"), "the module exports no memory"),
        (format!("(module {memory} {f})"), "the module exports no function `windrow_alloc`"),
        (format!(r#"(module {memory} {f} (func (export "windrow_alloc")))"#), "the module's `windrow_alloc` is"),
        (format!(r#"(module {memory} {alloc} {f} (func (export "f_finish")))"#), "the module's `f_finish` is"),
        (
            format!(r#"(module {memory} {alloc} {f} (func (export "windrow_setup") (param i32)))"#),
            "the module's `windrow_setup` is",
        ),
    ];
    for (text, what) in checks {
        let module = load(&text);
        let report = module.check("f", Kind::Rows).unwrap_err();
        assert!(report.what.starts_with(what), "{report}");
    }
}

#[test]
fn what_was_not_checked_is_an_error_of_the_start_or_of_the_call() {
    let error = load("(module)").start(Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "the module has no export `memory` of the type `memory`");
    let error = load(r#"(module (memory (export "memory") 1))"#).start(Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "the module has no export `windrow_alloc` of the type `(i32) -> i32`");
    let error = identity().start(Limits::default()).unwrap().call("g", &numbers([1])).unwrap_err();
    assert_eq!(error.to_string(), "the module has no export `g` of the type `(i32, i32) -> i64`");
}

#[test]
fn the_setup_comes_first_and_once() {
    let module = importing(
        r#"(import "windrow" "count" (func $count (param i32 i32 i64)))"#,
        r#"(data (i32.const 0) "setups")
           (func (export "windrow_setup") i32.const 0 i32.const 6 i64.const 1 call $count)
           (func (export "f") (param i32 i32) (result i64) i64.const 0)"#,
    );
    let mut instance = module.start(Limits::default()).unwrap();
    for _ in 0..3 {
        instance.call("f", &numbers([1])).unwrap();
    }
    assert_eq!(instance.take_counters(), [("setups".to_owned(), 1)].into());
}

#[test]
fn instances_move_between_threads() {
    fn is_sent<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_sent::<windrow_wasm::Instance>();
    is_shared::<Module>();
    is_shared::<windrow_wasm::CallError>();
}

#[test]
fn threads_share_a_module_and_not_its_instances() {
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let batch = numbers(thread..thread + 100);
                let result = identity().start(Limits::default()).unwrap().call("f", &batch).unwrap();
                assert_eq!(result[0].columns(), batch.columns());
            });
        }
    });
}
