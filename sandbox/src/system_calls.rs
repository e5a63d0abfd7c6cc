//! The system calls that a program is refused, and with which error.
//!
//! Everything else is allowed: programs are anything that reads rows and writes rows. What is refused leads out of the
//! confinement, or changes the host, and is of no use to them.

use std::collections::BTreeMap;

use libc::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, S_IFBLK,
    S_IFCHR, S_IFMT, TIOCLINUX, TIOCSTI,
};
use seccompiler::SeccompCmpOp::{self, Eq, MaskedEq, Ne};
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCondition, SeccompRule};

/// Calls, each with the conditions of which one must hold; none means always.
pub type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// `open_tree_attr`, which the libc crate does not name. It has this number on all architectures.
const SYS_OPEN_TREE_ATTR: i64 = 467;

/// `kexec_file_load`, which the libc crate does not name everywhere.
#[cfg(target_arch = "x86_64")]
const SYS_KEXEC_FILE_LOAD: i64 = 320;
#[cfg(not(target_arch = "x86_64"))]
const SYS_KEXEC_FILE_LOAD: i64 = 294;

/// Calls that are always refused.
const NEVER: &[i64] = &[
    // Other processes' memory and files.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Files by other ways than their paths, and another view of them.
    libc::SYS_open_by_handle_at,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    SYS_OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Parts of the kernel that most ways into it went through.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The host.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    SYS_KEXEC_FILE_LOAD,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Flags of `clone` that make namespaces. There, a program is root and reaches more of the kernel.
const NAMESPACES: [i32; 7] =
    [CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS];

/// Requests that type into a terminal, for whoever reads from it: the worker's may be this program's.
const TYPING: [u64; 2] = [TIOCSTI, TIOCLINUX];

/// All processes of the user, in `kill`: the worker, too.
const EVERYBODY: u64 = u32::MAX as u64;

/// What is not permitted (`EPERM`).
pub fn forbidden() -> Result<Rules, BackendError> {
    let mut rules: Rules = NEVER.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, any(NAMESPACES.map(|flag| when(0, MaskedEq(flag as u64), flag as u64)))?);
    rules.insert(libc::SYS_ioctl, any(TYPING.map(|request| when(1, Eq, request)))?);
    rules.insert(libc::SYS_mknodat, any(devices(2))?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, any(devices(1))?);
    rules.insert(libc::SYS_kill, any([when(0, Eq, EVERYBODY)])?);
    // The limits of other processes: any of the same user's, the worker's also, could be lowered.
    rules.insert(libc::SYS_prlimit64, any([when(0, Ne, 0)])?);
    Ok(rules)
}

/// Without network: sockets other than those between processes of this host (`EACCES`).
pub fn sockets() -> Result<Rules, BackendError> {
    let others = || any([when(0, Ne, libc::AF_UNIX as u64)]);
    Ok(Rules::from([(libc::SYS_socket, others()?), (libc::SYS_socketpair, others()?)]))
}

/// What this system pretends not to have (`ENOSYS`), so that programs do it in another way.
///
/// `clone3` has its flags in memory, which a filter cannot see: C libraries turn to `clone`. An `io_uring` makes calls
/// that no filter sees.
pub fn absent() -> Rules {
    Rules::from([(libc::SYS_clone3, Vec::new()), (libc::SYS_io_uring_setup, Vec::new())])
}

/// Modes that make devices.
fn devices(argument: u8) -> [Result<SeccompRule, BackendError>; 2] {
    [S_IFCHR, S_IFBLK].map(|kind| when(argument, MaskedEq(u64::from(S_IFMT)), u64::from(kind)))
}

fn any<const N: usize>(rules: [Result<SeccompRule, BackendError>; N]) -> Result<Vec<SeccompRule>, BackendError> {
    rules.into_iter().collect()
}

/// Arguments that matter here are ints: the kernel looks at their low 32 bits only, and so must the filter.
fn when(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value)?])
}
