//! Messages, counters and logs.

use windrow_wasm::{CallError, Instance};

use crate::support::{SMALL, importing, numbers};

const IMPORTS: &str = r#"
    (import "windrow" "fail" (func $fail (param i32 i32)))
    (import "windrow" "count" (func $count (param i32 i32 i64)))
    (import "windrow" "log" (func $log (param i32 i32)))
"#;

/// A function `f` of these instructions, with a text of 16 bytes at 0 and a number that differs for each call at 16.
fn instance(instructions: &str) -> Instance {
    let definitions = format!(
        r#"(data (i32.const 0) "rows of Zürich\ff")
           (func (export "f") (param i32 i32) (result i64)
               i32.const 16 i32.const 16 i32.load i32.const 1 i32.add i32.store {instructions} i64.const 0)"#
    );
    importing(IMPORTS, &definitions).start(SMALL).unwrap()
}

fn error_of(instructions: &str) -> String {
    instance(instructions).call("f", &numbers([1])).unwrap_err().to_string()
}

#[test]
fn a_failure_has_the_modules_message() {
    let error = instance("i32.const 8 i32.const 7 call $fail").call("f", &numbers([1])).unwrap_err();
    assert_eq!(error, CallError::Failed { function: "f".to_owned(), message: "Zürich".to_owned() });
    assert_eq!(error.to_string(), "`f` has failed: Zürich");
    assert_eq!(error_of("i32.const 14 i32.const 2 call $fail"), "`f` has failed: h\u{fffd}");
}

#[test]
fn counters_add_up_until_they_are_taken() {
    let mut instance =
        instance("i32.const 0 i32.const 4 i64.const 5 call $count i32.const 8 i32.const 7 i64.const -1 call $count");
    instance.call("f", &numbers([1])).unwrap();
    instance.call("f", &numbers([1])).unwrap();
    assert_eq!(instance.take_counters(), [("rows".to_owned(), 10), ("Zürich".to_owned(), -2)].into());
    assert!(instance.take_counters().is_empty());
}

#[test]
fn counters_stop_at_the_largest_number() {
    let mut instance = instance("i32.const 0 i32.const 4 i64.const 9223372036854775807 call $count");
    instance.call("f", &numbers([1])).unwrap();
    instance.call("f", &numbers([1])).unwrap();
    assert_eq!(instance.take_counters()["rows"], i64::MAX);
}

#[test]
fn names_of_counters_have_limits() {
    let long = "i32.const 1024 i32.const 257 i64.const 1 call $count";
    assert_eq!(error_of(long), "`f` breaks a rule of its host: the name of a counter has from 1 to 256 bytes");
    let empty = "i32.const 0 i32.const 0 i64.const 1 call $count";
    assert_eq!(error_of(empty), "`f` breaks a rule of its host: the name of a counter has from 1 to 256 bytes");
    let no_text = "i32.const 14 i32.const 2 i64.const 1 call $count";
    assert_eq!(error_of(no_text), "`f` breaks a rule of its host: the name of a counter is not UTF-8");
    instance("i32.const 1024 i32.const 256 i64.const 1 call $count").call("f", &numbers([1])).unwrap();
}

#[test]
fn there_are_at_most_a_thousand_counters() {
    // The name is two bytes of 7 bits of the number of the call.
    let mut instance = instance(
        "i32.const 20 i32.const 16 i32.load i32.const 127 i32.and i32.store8
         i32.const 21 i32.const 16 i32.load i32.const 7 i32.shr_u i32.store8
         i32.const 20 i32.const 2 i64.const 1 call $count",
    );
    for _ in 0..1000 {
        instance.call("f", &numbers([1])).unwrap();
    }
    let error = instance.call("f", &numbers([1])).unwrap_err();
    assert_eq!(error.to_string(), "`f` breaks a rule of its host: it has more than 1000 counters");
    assert_eq!(instance.take_counters().len(), 1000, "they outlive the failure");
}

#[test]
fn lines_of_log_are_kept_in_order_and_cut_off() {
    let mut instance = instance("i32.const 0 i32.const 4 call $log i32.const 1024 i32.const 100000 call $log");
    instance.call("f", &numbers([1])).unwrap();
    let lines = instance.take_log();
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [4, 4096]);
    assert_eq!(lines[0], "rows");
    assert!(instance.take_log().is_empty());
}

#[test]
fn texts_outside_of_the_memory_are_refused() {
    for call in ["call $fail", "call $log", "i64.const 1 call $count"] {
        for range in ["i32.const 2097152 i32.const 1", "i32.const -1 i32.const -1", "i32.const 0 i32.const 2097153"] {
            let error = error_of(&format!("{range} {call}"));
            assert_eq!(error, "`f` breaks a rule of its host: it gives the host a text outside of its memory");
        }
    }
}
