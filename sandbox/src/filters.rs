//! Compiles the refused system calls for seccomp, and installs them.

use std::io;

use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};
use windrow_model::{ErrorKind, ErrorReport};

use crate::support;
use crate::system_calls::{self, Rules};

/// The filters of one program, for [`install`]; none if this kernel has no seccomp.
pub fn compile(network: bool) -> Result<Vec<BpfProgram>, ErrorReport> {
    if support::seccomp().is_err() {
        return Ok(Vec::new());
    }
    compiled(network).map_err(|error| {
        ErrorReport::new(ErrorKind::Unsupported, "the filter of system calls cannot be compiled")
            .with_detail(error.to_string())
    })
}

fn compiled(network: bool) -> Result<Vec<BpfProgram>, BackendError> {
    // A filter has one answer to all that it refuses, so there is one for each.
    let mut filters = vec![
        refusing(system_calls::forbidden()?, libc::EPERM)?,
        refusing(system_calls::absent(), libc::ENOSYS)?,
        without_x32(),
    ];
    if !network {
        filters.push(refusing(system_calls::sockets()?, libc::EACCES)?);
    }
    Ok(filters)
}

fn refusing(rules: Rules, error: i32) -> Result<BpfProgram, BackendError> {
    let refused = SeccompAction::Errno(error as u32);
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?.try_into()
}

/// Refuses the calls of x32, a second set of numbers for the same calls, which x86-64 kernels may have: the other filters
/// would not know them. No other architecture has numbers this high.
fn without_x32() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    const NUMBER_OFFSET: u32 = 0;
    let statement = |code, k| sock_filter { code, jt: 0, jf: 0, k };
    let (load, if_at_least, answer) = (
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16,
        (libc::BPF_RET | libc::BPF_K) as u16,
    );
    vec![
        statement(load, NUMBER_OFFSET),
        sock_filter { code: if_at_least, jt: 0, jf: 1, k: X32 },
        statement(answer, SeccompAction::Errno(libc::ENOSYS as u32).into()),
        statement(answer, SeccompAction::Allow.into()),
    ]
}

/// Filters the calling thread and what it starts, for good. Does not allocate.
pub fn install(filter: &BpfProgram) -> io::Result<()> {
    seccompiler::apply_filter(filter).map_err(|error| match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => error,
        _ => io::Error::from_raw_os_error(libc::EINVAL),
    })
}

/// Filters the calling thread as little as can be, for good; says why that cannot be done.
pub fn try_out() -> Result<(), String> {
    TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    install(&without_x32()).map_err(|error| error.to_string())
}
