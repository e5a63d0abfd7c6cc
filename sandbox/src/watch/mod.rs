//! Watches trees of processes and says when one uses more than it may.

mod cpu;
mod disk;
mod membership;
mod memory;
mod processes;
mod sampler;
mod usage;
mod watcher;

pub use processes::{MARK, can_watch};
pub use usage::{Exceeded, Usage};
pub use watcher::{SAMPLE_EVERY, Tree, Watched, Watcher};
