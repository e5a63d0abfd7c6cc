//! A module that takes too much is ended, and its error says of what.

use windrow_model::{ErrorKind, ErrorReport};
use windrow_wasm::{CallError, Limits};

use crate::support::{SMALL, assemble, function, identity, module, numbers, text};

const FOREVER: &str = "(loop br 0) unreachable";

#[test]
fn a_loop_without_end_runs_out_of_fuel() {
    let error = function(FOREVER).start(SMALL).unwrap().call("f", &numbers(0..10)).unwrap_err();
    assert_eq!(error, CallError::OutOfFuel { function: "f".to_owned(), budget: 200_000, rows: 10 });
    assert_eq!(error.to_string(), "`f` has used up its budget of 200000 instructions for 10 rows");
    assert_eq!(ErrorReport::from(error).kind, ErrorKind::Exhausted);
}

#[test]
fn every_call_has_a_budget_of_its_own() {
    let three_hundred =
        "(local i32) (loop local.get 2 i32.const 1 i32.add local.tee 2 i32.const 60 i32.lt_u br_if 0) i64.const 0";
    let limits = Limits { fuel_per_call: 500, fuel_per_row: 0, ..SMALL };
    let mut instance = function(three_hundred).start(limits).unwrap();
    for _ in 0..100 {
        instance.call("f", &numbers([1])).unwrap();
    }
}

#[test]
fn loops_in_setup_finish_alloc_and_start_run_out_of_fuel() {
    let f = r#"(func (export "f") (param i32 i32) (result i64) i64.const 0)"#;
    let setup = module(&format!(r#"{f} (func (export "windrow_setup") {FOREVER})"#));
    assert!(is_out_of_fuel(setup.start(SMALL).unwrap_err(), "windrow_setup"));

    let finish = module(&format!(r#"{f} (func (export "f_finish") (result i64) {FOREVER})"#));
    let mut instance = finish.start(SMALL).unwrap();
    instance.call("f", &numbers([1])).unwrap();
    assert!(is_out_of_fuel(instance.finish("f").unwrap_err(), "f_finish"));

    let start = module(&format!("(func $loop {FOREVER}) (start $loop)"));
    assert!(is_out_of_fuel(start.start(SMALL).unwrap_err(), "start"));

    let alloc = format!(
        r#"(module (memory (export "memory") 1) (func (export "windrow_alloc") (param i32) (result i32) {FOREVER}) {f})"#
    );
    let mut instance = crate::support::load(&alloc).start(SMALL).unwrap();
    assert!(is_out_of_fuel(instance.call("f", &numbers([1])).unwrap_err(), "f"));
}

fn is_out_of_fuel(error: CallError, name: &str) -> bool {
    matches!(error, CallError::OutOfFuel { function, .. } if function == name)
}

#[test]
fn filling_memory_takes_fuel_for_its_bytes() {
    let fill = "(loop i32.const 0 i32.const 1 i32.const 65536 memory.fill br 0) unreachable";
    let error = function(fill).start(SMALL).unwrap().call("f", &numbers([1])).unwrap_err();
    assert!(is_out_of_fuel(error, "f"));
}

#[test]
fn calls_of_the_host_take_fuel_for_their_time() {
    let module = crate::support::importing(
        r#"(import "windrow" "log" (func $log (param i32 i32)))"#,
        r#"(func (export "f") (param i32 i32) (result i64) (loop i32.const 0 i32.const 1 call $log br 0) unreachable)"#,
    );
    let mut instance = module.start(SMALL).unwrap();
    assert!(is_out_of_fuel(instance.call("f", &numbers([1])).unwrap_err(), "f"));
    let lines = instance.take_log();
    assert_eq!(lines.len(), 1001);
    assert!(lines[1000].ends_with("more lines are not kept)"), "{}", lines[1000]);
}

#[test]
fn growing_beyond_the_limit_ends_the_call() {
    let bomb = "(loop i32.const 16 memory.grow drop br 0) unreachable";
    let mut instance = function(bomb).start(SMALL).unwrap();
    let error = instance.call("f", &numbers([1])).unwrap_err();
    assert_eq!(error.to_string(), "`f` asks for more than its 4194304 bytes of memory");
    assert_eq!(ErrorReport::from(error).kind, ErrorKind::Exhausted);
    assert_eq!(instance.memory_bytes(), 4 << 20);
}

#[test]
fn a_module_that_starts_beyond_the_limit_does_not_start() {
    let large = module("").start(Limits { memory_bytes: 1 << 20, ..SMALL }).unwrap_err();
    assert_eq!(large, CallError::OutOfMemory { function: "start".to_owned(), limit_bytes: 1 << 20 });
}

#[test]
fn an_input_larger_than_the_memory_is_not_sent() {
    let error = identity().start(SMALL).unwrap().call("f", &numbers(0..1 << 20)).unwrap_err();
    assert_eq!(error, CallError::OutOfMemory { function: "f".to_owned(), limit_bytes: 4 << 20 });
}

#[test]
fn tables_have_a_limit() {
    let error = module("(table 10000000 funcref)").start(SMALL).unwrap_err();
    assert!(error.to_string().contains("more than 100000 elements"), "{error}");
}

#[test]
fn deep_recursion_traps() {
    let text = text(
        "",
        r#"(func $deep (export "f") (param i32 i32) (result i64)
        local.get 0 local.get 1 call $deep i64.const 1 i64.add)"#,
    );
    let module = windrow_wasm::Module::load(&assemble(&text), Default::default()).unwrap();
    let error = module.start(Limits::default()).unwrap().call("f", &numbers([1])).unwrap_err();
    assert_eq!(error.to_string(), "`f` has trapped in `deep`: call stack exhausted");
}

#[test]
fn traps_name_the_function_and_end_the_instance() {
    let traps = [
        ("unreachable", "unreachable"),
        ("i32.const -1 i64.load", "out of bounds memory access"),
        ("i64.const 1 i64.const 0 i64.div_s", "integer divide by zero"),
    ];
    for (instructions, trap) in traps {
        let mut instance = function(instructions).start(SMALL).unwrap();
        let error = instance.call("f", &numbers([1])).unwrap_err();
        assert!(matches!(&error, CallError::Trapped { function, .. } if function == "f"), "{error}");
        assert!(error.to_string().contains(trap), "{error}");
        let next = instance.call("f", &numbers([1])).unwrap_err();
        assert_eq!(next, CallError::Ended { function: "f".to_owned() });
    }
}
