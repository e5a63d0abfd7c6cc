//! What root may do beyond other users, and a program that a worker starts as root may not.

use std::io;

use rustix::thread::{
    CapabilitySet, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set,
};

/// Programs that run as root expect to own files and to become other users; installers and `tar` do. Without the rest they
/// cannot raise their limits, look into other processes, configure the network or load modules.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

/// The capabilities that a program is to lose, each on its own; none for a worker without privileges, whose programs get
/// none either.
pub fn to_drop() -> Vec<CapabilitySet> {
    if !capabilities(None).is_ok_and(|own| own.effective.contains(CapabilitySet::SETPCAP)) {
        return Vec::new();
    }
    // The kernel may have some that have no name here; it answers with an error about those that it does not have.
    let all = (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
    all.filter(|one| !KEPT.contains(*one) && capability_is_in_bounding_set(*one).unwrap_or(false)).collect()
}

/// Has the next program that the calling thread starts be without these. Does not allocate.
pub fn drop_all(dropped: &[CapabilitySet]) -> io::Result<()> {
    // Kernels that refuse this have no such set.
    let _ = clear_ambient_capability_set();
    dropped.iter().try_for_each(|one| Ok(remove_capability_from_bounding_set(*one)?))
}
