//! The row that makes a function fail.

use windrow_wasm::{CallError, Limits, isolate};

use crate::support::{SMALL, example, function, identity, module, numbers};

/// Enough for a call of the example, and for its rows.
const LIMITS: Limits = Limits { fuel_per_call: 100_000, fuel_per_row: 1000, ..SMALL };

#[test]
fn the_poisoned_row_is_found_among_many() {
    let module = example("functions");
    for place in [0, 1, 4095, 4096, 7777, 8191] {
        let rows = numbers((0..8192).map(|row| if row == place { 13 } else { 1000 + row }));
        let (row, error) = isolate(&module, LIMITS, "checked", &rows).unwrap();
        assert_eq!(row as i64, place);
        assert!(matches!(error, CallError::Trapped { .. }), "{error}");
    }
}

#[test]
fn the_first_of_several_is_found() {
    let rows = numbers((0..5000).map(|row| if [3000, 3001, 4999].contains(&row) { 13 } else { 0 }));
    assert_eq!(isolate(&example("functions"), LIMITS, "checked", &rows).unwrap().0, 3000);
}

#[test]
fn a_row_that_loops_is_found_too() {
    let rows = numbers((0..1000).map(|row| if row == 123 { 14 } else { 0 }));
    let (row, error) = isolate(&example("functions"), LIMITS, "checked", &rows).unwrap();
    assert_eq!(row, 123);
    assert_eq!(error, CallError::OutOfFuel { function: "checked".to_owned(), budget: 101_000, rows: 1 });
}

#[test]
fn rows_that_fail_together_only_have_no_such_row() {
    assert!(isolate(&identity(), SMALL, "f", &numbers(0..100)).is_none(), "none fails");
    assert!(isolate(&identity(), SMALL, "f", &numbers(0..0)).is_none(), "there are none");
    // Fails where its input is longer than that of a few rows.
    let together = function("local.get 1 i32.const 400 i32.gt_u if unreachable end i64.const 0");
    assert!(isolate(&together, SMALL, "f", &numbers(0..8192)).is_none());
    let setup = module(r#"(func (export "windrow_setup") unreachable)"#);
    assert!(isolate(&setup, SMALL, "f", &numbers(0..100)).is_none());
}
