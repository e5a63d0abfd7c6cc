//! States of jobs, stages, attempts and workers, in the order they are entered.

use std::fmt;

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            pub fn from_name(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|state| state.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

states! {
    /// `queued → running → committing → succeeded | failed | cancelled`; a job of several statements
    /// goes back from `committing` to `running` for the next one.
    JobState { Queued => "queued", Running => "running", Committing => "committing", Succeeded => "succeeded", Failed => "failed", Cancelled => "cancelled" }
}

impl JobState {
    pub fn is_final(self) -> bool {
        matches!(self, JobState::Succeeded | JobState::Failed | JobState::Cancelled)
    }
}

states! {
    /// `waiting → ready → running → done`, and `running` again when outputs are lost.
    StageState { Waiting => "waiting", Ready => "ready", Running => "running", Done => "done" }
}

states! {
    /// `assigned → running → succeeded | failed | cancelled | lost`.
    AttemptState { Assigned => "assigned", Running => "running", Succeeded => "succeeded", Failed => "failed", Cancelled => "cancelled", Lost => "lost" }
}

states! {
    /// `joining → active → draining → gone | lost`.
    WorkerState { Joining => "joining", Active => "active", Draining => "draining", Gone => "gone", Lost => "lost" }
}
