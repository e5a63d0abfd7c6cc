//! Confines the programs of users, with everything that they start, and watches what they use.
//!
//! [`Confinement`] is prepared in the worker and takes hold in the child, just before its program: it writes to its own
//! folder only, has no network, no privileges to gain, and limits. [`Watcher`] measures whole trees of processes, which
//! no limit of the system covers without cgroups, and says when one uses too much. Ending it is the caller's business.
//!
//! Architecture invariants: no privileges, no cgroup and no namespace of users are needed; what the kernel lacks is left
//! out, and [`support`] says so. This crate knows neither jobs nor rows.
//!
//! What it is not: a wall between hostile tenants. A program reads what its user can read, can change the modes and times
//! of that user's files, and shares the host's CPUs, `/proc` and page cache with others. Run the worker as a user of its
//! own that owns nothing else.

mod child;
mod confinement;
mod files;
mod filters;
mod limits;
mod options;
mod privileges;
mod rlimits;
mod support;
mod system_calls;
mod watch;

pub use confinement::Confinement;
pub use limits::Limits;
pub use options::Options;
pub use support::{Fact, Support, support};
pub use watch::{Exceeded, MARK, SAMPLE_EVERY, Tree, Usage, Watched, Watcher};
