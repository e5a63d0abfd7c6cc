//! Runs WebAssembly modules as functions over Arrow batches, in a sandbox.
//!
//! A [`Module`] is compiled once per process. An [`Instance`] of it has its own memory, bounded by [`Limits`], and is called
//! with batches by one thread at a time. A module sees its input and nothing else: no files, no network, no time (unless
//! [`Grants`] says so), so that the same rows give the same bits on every machine.
//!
//! # Windrow ABI, version 1
//!
//! A module is a 32-bit WebAssembly core module. It exports:
//!
//! | export | signature | what it does |
//! |---|---|---|
//! | `memory` | a memory | holds input and results |
//! | `windrow_alloc` | `(bytes: i32) -> i32` | gives room for the input of the next call; the address is a multiple of 8 |
//! | `windrow_setup` | `()` | optional: called once for each instance, before anything else |
//! | NAME | `(pointer: i32, length: i32) -> i64` | a function over the rows of a batch |
//! | NAME`_finish` | `() -> i64` | optional: called once after the last batch; gives the rows that were held back |
//!
//! **Input** is an Arrow IPC stream in the module's memory: a schema, one record batch, the end of the stream. Columns come
//! in their plain layout: views of strings and bytes, dictionaries and run-ends are sent as UTF8, BINARY and plain values.
//!
//! **A result** is `(pointer << 32) | length` of an Arrow IPC stream that ends with an end-of-stream marker and has any number
//! of batches, or 0 for no rows. It stays valid until the next call; a module may reset its allocator in each
//! `windrow_alloc`, which is called before every NAME and before nothing else. Columns are of plain layout, too: booleans,
//! numbers, decimals, dates, times, UTF8, BINARY, FIXED SIZE BINARY, lists and structs. Streams are not compressed.
//!
//! **An aggregate** NAME over groups has four functions, all of NAME's signature:
//!
//! | export | input | result |
//! |---|---|---|
//! | NAME`_update` | `group` UINT32 and the arguments | 0 |
//! | NAME`_merge` | `group` UINT32, `state` BINARY | 0 |
//! | NAME`_state` | `group` UINT32 | one column `state` BINARY, in the order of the input |
//! | NAME`_evaluate` | `group` UINT32 | one column of the type that the aggregate returns, in the order of the input |
//!
//! State and evaluation leave the groups as they are, and may be asked for again.
//!
//! **Imports** are all optional and all of the module `windrow`; any other import is refused when a module is loaded:
//!
//! | import | signature | what it does |
//! |---|---|---|
//! | `fail` | `(pointer: i32, length: i32)` | ends the call with this message; does not return |
//! | `count` | `(pointer: i32, length: i32, amount: i64)` | adds to the counter of this name |
//! | `log` | `(pointer: i32, length: i32)` | writes a line of log |
//! | `clock` | `() -> i64` | nanoseconds since 1970, where granted |
//!
//! A call has a budget of [`Limits::fuel_per_call`] and [`Limits::fuel_per_row`] for each row of its input, in executed
//! instructions (copying and filling memory counts its bytes). A call that traps, fails, or exceeds its budget or its memory
//! ends its instance.
//!
//! There are no threads, no shared memory, one memory of 32-bit addresses. NaNs are canonical.

mod cache;
mod decode;
mod encode;
mod engine;
mod error;
mod host;
mod imports;
mod instance;
mod isolate;
mod layout;
mod limits;
mod module;
mod schema;

pub use error::CallError;
pub use instance::Instance;
pub use isolate::isolate;
pub use limits::{Grants, Limits};
pub use module::{Kind, Module};
