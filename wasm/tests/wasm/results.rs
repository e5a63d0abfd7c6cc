//! Results that are no results. What a stream can have wrong is in the tests of the decoder.

use windrow_wasm::CallError;

use crate::support::{SMALL, function, giving, load, numbers};

fn malformed(module: &windrow_wasm::Module) -> String {
    match module.start(SMALL).unwrap().call("f", &numbers(0..3)).unwrap_err() {
        CallError::Malformed { function, detail } if function == "f" => detail,
        other => panic!("{other}"),
    }
}

#[test]
fn results_outside_of_the_memory_are_refused() {
    for (pointer, length) in
        [(0u64, u32::MAX), (2 << 20, 1), (u32::MAX.into(), 8), (u32::MAX.into(), u32::MAX), ((2 << 20) - 8, 9)]
    {
        let detail = malformed(&function(&format!("i64.const {}", (pointer << 32 | u64::from(length)) as i64)));
        assert_eq!(detail, format!("its {length} bytes at the address {pointer} are not in the module's memory"));
    }
}

#[test]
fn results_of_garbage_are_refused() {
    assert_eq!(malformed(&giving(b"")), "it ends where 4 bytes should follow and 0 do");
    assert_eq!(malformed(&giving(b"hello, world")), "a message does not begin with ff ff ff ff");
    assert_eq!(
        malformed(&giving(&[0xff; 64])),
        "a message has 4294967295 bytes of metadata, and at most 1048576 are read"
    );
}

#[test]
fn room_outside_of_the_memory_is_refused() {
    for address in [-8, 2097152, 2097144, 4] {
        let module = load(&format!(
            r#"(module (memory (export "memory") 32)
                (func (export "windrow_alloc") (param i32) (result i32) i32.const {address})
                (func (export "f") (param i32 i32) (result i64) i64.const 0))"#
        ));
        assert!(malformed(&module).contains("has no aligned room"));
    }
}
