//! What a module may use, and what it is granted.

/// Fits four instances beside the memory of a small worker, and holds an input batch a thousand times.
pub const MEMORY_BYTES: u64 = 256 << 20;

/// About a tenth of a second of work: a function may build tables in a call, whatever rows it has.
pub const FUEL_PER_CALL: u64 = 100_000_000;

/// About a tenth of a millisecond of work for a row, far beyond what functions over rows need.
pub const FUEL_PER_ROW: u64 = 100_000;

/// Compiled code and its tables are several times as large. Modules of a language's whole runtime have about 10 MB.
pub const MODULE_BYTES_MAX: usize = 16 << 20;

/// Compiled modules that a process keeps. Jobs bring few; what was used least recently is compiled again.
pub const MODULES_CACHED_MAX: usize = 64;

/// Of the call stack. Threads that run calls have at least 2 MiB.
pub const STACK_BYTES: usize = 512 << 10;

/// Functions in a module's tables; host memory outside of `memory_bytes`, 8 or 16 bytes each.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Tables of a module; compilers make one.
pub const TABLES_MAX: usize = 8;

/// Names of counters that an instance has at once; they are shown in one table.
pub const COUNTERS_MAX: usize = 1000;
pub const COUNTER_NAME_BYTES_MAX: usize = 256;

/// Lines of log that an instance holds at once. Later ones are dropped, and counted in a last line.
pub const LOG_LINES_MAX: usize = 1000;

/// Of one line; the rest is cut off.
pub const LOG_LINE_BYTES_MAX: usize = 4096;

/// Of the message of `fail`; the rest is cut off.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// What a call of the host costs beside its own instruction: the time it takes, so that fuel bounds that, too.
pub const HOST_CALL_FUEL: u64 = 100;

/// Batches of one result. One is usual; a table function may give some.
pub const RESULT_BATCHES_MAX: usize = 4096;

/// Of the metadata of one message of a result: 16 bytes for each buffer, of which a column has three.
pub const METADATA_BYTES_MAX: usize = 1 << 20;

/// Columns of a result, nested ones included. A few bytes of a schema can name the same column again and again.
pub const FIELDS_MAX: usize = 4096;

/// Levels of lists and structs in a result.
pub const NESTING_MAX: usize = 16;

/// Names of a result's columns, together: one name can be used again and again, too.
pub const NAMES_BYTES_MAX: usize = 1 << 20;

/// Calls that [`crate::isolate`] makes. Halving 2³² rows takes 64; more are made only where no single row fails.
pub const ISOLATE_CALLS_MAX: usize = 128;

/// What an instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its linear memory.
    pub memory_bytes: u64,
    /// Instructions of a call, beside those for its rows.
    pub fuel_per_call: u64,
    /// Instructions of a call for each row of its input.
    pub fuel_per_row: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory_bytes: MEMORY_BYTES, fuel_per_call: FUEL_PER_CALL, fuel_per_row: FUEL_PER_ROW }
    }
}

impl Limits {
    /// Instructions that a call with `rows` may execute.
    pub fn budget(&self, rows: usize) -> u64 {
        self.fuel_per_call.saturating_add(self.fuel_per_row.saturating_mul(rows as u64))
    }
}

/// What a module is let do beside computing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// It may read the time, so that the same rows need not give the same result.
    pub clock: bool,
}
