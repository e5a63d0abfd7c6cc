//! What the host keeps for an instance: its limits, its counters and its log.

use std::collections::BTreeMap;

use wasmtime::ResourceLimiter;

use crate::limits::{COUNTER_NAME_BYTES_MAX, COUNTERS_MAX, LOG_LINES_MAX, Limits, TABLE_ELEMENTS_MAX, TABLES_MAX};

pub struct Host {
    pub limits: Limits,
    pub counters: BTreeMap<String, i64>,
    pub log: Vec<String>,
    /// Lines that the log had no room for.
    log_dropped: u64,
}

/// Why the host ends a call; it travels through the module's frames as their trap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Misused(String),
    #[error("more memory than its limit")]
    OutOfMemory,
}

impl Host {
    pub fn new(limits: Limits) -> Host {
        Host { limits, counters: BTreeMap::new(), log: Vec::new(), log_dropped: 0 }
    }

    /// Adds to a counter. Errors if there is no room for another name.
    pub fn count(&mut self, name: &str, amount: i64) -> Result<(), Stop> {
        if let Some(counter) = self.counters.get_mut(name) {
            *counter = counter.saturating_add(amount);
            return Ok(());
        }
        if name.is_empty() || name.len() > COUNTER_NAME_BYTES_MAX {
            return Err(Stop::Misused(format!("the name of a counter has from 1 to {COUNTER_NAME_BYTES_MAX} bytes")));
        }
        if self.counters.len() >= COUNTERS_MAX {
            return Err(Stop::Misused(format!("it has more than {COUNTERS_MAX} counters")));
        }
        self.counters.insert(name.to_owned(), amount);
        Ok(())
    }

    pub fn has_room_for_log(&self) -> bool {
        self.log.len() < LOG_LINES_MAX
    }

    pub fn drop_line(&mut self) {
        self.log_dropped += 1;
    }

    pub fn take_log(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.log);
        match std::mem::take(&mut self.log_dropped) {
            0 => {}
            dropped => lines.push(format!("({dropped} more lines are not kept)")),
        }
        lines
    }
}

impl ResourceLimiter for Host {
    /// Ends the call instead of answering -1, which modules take in all sorts of ways.
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired as u64 > self.limits.memory_bytes { Err(Stop::OutOfMemory.into()) } else { Ok(true) }
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let too_many = || Stop::Misused(format!("its tables have more than {TABLE_ELEMENTS_MAX} elements"));
        if desired > TABLE_ELEMENTS_MAX { Err(too_many().into()) } else { Ok(true) }
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }
}
