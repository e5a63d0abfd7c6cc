//! The event log: every line is hashed, and kept as text only when somebody wants to read it.

use std::fmt::{self, Write};

use windrow_model::Timestamp;

/// Collects the lines of one run.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    hash: Hash,
    lines: u64,
    kept: Option<Vec<String>>,
}

/// 64-bit FNV-1a over the text: no dependence on addresses, hash seeds or the machine.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

impl Trace {
    pub fn new(keep: bool) -> Trace {
        Trace { hash: Hash(0xcbf2_9ce4_8422_2325), lines: 0, kept: keep.then(Vec::new) }
    }

    pub fn line(&mut self, now: Timestamp, text: fmt::Arguments<'_>) {
        self.lines += 1;
        writeln!(self.hash, "{} {text}", now.0).expect("hashing never fails");
        if let Some(kept) = &mut self.kept {
            kept.push(format!("{now:>12} {text}", now = now.to_string()));
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash.0
    }

    pub fn into_lines(self) -> Vec<String> {
        self.kept.unwrap_or_default()
    }
}

/// Adds a line to the event log of a context.
macro_rules! log {
    ($cx:expr, $($text:tt)+) => {
        $cx.trace.line($cx.now, format_args!($($text)+))
    };
}

pub(crate) use log;
