//! The one compiler and runtime of a process, and what of WebAssembly it accepts.

use std::sync::OnceLock;

use wasmtime::{Config, Engine, OptLevel};
use windrow_model::ErrorReport;

use crate::limits::STACK_BYTES;

/// Frames of a trap's backtrace; only the innermost one with a name is shown.
const BACKTRACE_FRAMES: usize = 8;

/// The process's engine.
///
/// # Errors
///
/// If this machine's processor has no compiler. It stays so.
pub fn shared() -> Result<&'static Engine, ErrorReport> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let made = ENGINE.get_or_init(|| Engine::new(&config()).map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|error| ErrorReport::internal("WebAssembly cannot run here").with_detail(error.clone()))
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .max_wasm_stack(STACK_BYTES)
        .cranelift_opt_level(OptLevel::Speed)
        // A retry on another machine, or another kind of processor, gives the same bits.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // The contract is one memory of 32-bit addresses, of one thread.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .shared_memory(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES));
    config
}
