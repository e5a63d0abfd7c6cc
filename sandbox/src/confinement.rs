//! Confines a child process, and what it starts, to its own folder, without network, privileges or excess.

use std::io;
use std::process::Command;

use landlock::{Errno, RulesetCreated};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, set_no_new_privs};
use seccompiler::BpfProgram;
use windrow_model::ErrorReport;

use crate::options::Options;
use crate::{child, files, filters, privileges, rlimits};

/// How one program will be confined.
///
/// - It writes only to its folder and to `/dev/null` and the like. It may read and run what its user can: interpreters
///   and their packages can be anywhere, so what it must not read has to be unreadable for the worker's user.
/// - It gains no privileges: `setuid` programs run as their caller. Started by root, it keeps only what concerns files and
///   users.
/// - System calls that lead out of it fail (`system_calls.rs` lists them). Programs for another architecture than
///   the worker's, 32-bit ones also, are ended at their first call: their calls have other numbers.
/// - It opens no sockets but Unix ones, unless it may use the network.
/// - It can signal only what it has started.
/// - The system holds each process to [`crate::Limits`], as far as it can.
///
/// All that it starts is confined alike, and cannot undo it. What this kernel lacks is left out: see [`crate::support`].
///
/// Semaphores and memory with names (`sem_open`, `shm_open`) live in `/dev/shm`, which is not the program's folder:
/// Python's `multiprocessing` cannot make its locks, while processes, pipes and threads work. Devices that have to be opened
/// for writing, as those of GPUs, cannot be used.
#[derive(Debug)]
pub struct Confinement(Prepared);

impl Confinement {
    /// Prepares everything, so that the child has only system calls to make. Holds an open file where the kernel has
    /// Landlock.
    ///
    /// Fails if the folder is not one or cannot be opened, or if a rule that the kernel should have is refused.
    pub fn prepare(options: &Options) -> Result<Confinement, ErrorReport> {
        Ok(Confinement(Prepared {
            ruleset: files::ruleset(options)?,
            dropped: privileges::to_drop(),
            limits: rlimits::of(&options.limits),
            filters: filters::compile(options.network)?,
        }))
    }

    /// Every process that `command` starts will be confined. A Tokio command has one of these: `as_std_mut`.
    ///
    /// It takes hold after everything else that the command does in the child, and what the child has open stays open.
    pub fn apply(self, command: &mut Command) {
        child::before_exec(command, self.0);
    }
}

/// What the child needs.
#[derive(Debug)]
pub struct Prepared {
    ruleset: Option<RulesetCreated>,
    dropped: Vec<CapabilitySet>,
    limits: Vec<(Resource, Rlimit)>,
    filters: Vec<BpfProgram>,
}

impl Prepared {
    /// Confines the calling thread, for good. Must not allocate: it runs between `fork` and `exec`.
    ///
    /// The filters come last, because they forbid some of this; the limit of open files may be below what is open.
    pub fn take_hold(&mut self) -> io::Result<()> {
        // Without it, only root may install filters and rulesets.
        set_no_new_privs(true)?;
        if let Some(ruleset) = self.ruleset.take() {
            ruleset.restrict_self().map_err(|error| io::Error::from_raw_os_error(*Errno::from(error)))?;
        }
        privileges::drop_all(&self.dropped)?;
        for (resource, limit) in &self.limits {
            setrlimit(*resource, *limit)?;
        }
        self.filters.iter().try_for_each(filters::install)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Prepared = Prepared { ruleset: None, dropped: Vec::new(), limits: Vec::new(), filters: Vec::new() };

    #[test]
    fn a_program_runs_where_nothing_can_be_confined() {
        let mut command = Command::new("true");
        Confinement(NOTHING).apply(&mut command);
        assert!(command.status().unwrap().success());
    }

    #[test]
    fn what_the_system_refuses_keeps_the_program_from_starting() {
        let mut command = Command::new("true");
        Confinement(Prepared { filters: vec![Vec::new()], ..NOTHING }).apply(&mut command);
        assert!(command.status().is_err());
    }
}
