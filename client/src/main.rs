//! The `windrow` command.

use std::process::ExitCode;

// Operators allocate and free large buffers on many threads, which the system's allocator does slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    windrow_client::program::main()
}
