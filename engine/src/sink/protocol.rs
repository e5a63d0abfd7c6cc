//! The commit of a folder target as decisions: given what the folder shows, what is the next thing to do.
//!
//! Pure. Every action may be cut off at any point and done again, by the same commit or, once its manifest exists, by
//! the next one on the same folder:
//!
//! 1. the intent is made durable: it lists the staged files, so that anybody can finish the commit;
//! 2. ONE create-if-absent of the next manifest decides, with the commit id in it;
//! 3. `_SUCCESS` goes, the staged files are published, the manifest is marked as published;
//! 4. the files it replaces go, `_SUCCESS` comes back, staging goes, and last the intent.
//!
//! Invariants, checked below under every crash and interleaving:
//! I-C1 a commit id has at most one manifest; I-C2 all files of the newest published manifest are in place until a
//! later one is published; I-C3 with mode `error` at most one commit wins; I-C4 a folder that only
//! one commit at a time writes has no `_SUCCESS` while files of two states are visible.

use uuid::Uuid;
use windrow_model::OutputMode;

/// One manifest as the folder shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub number: u64,
    pub commit_id: Uuid,
    pub published: bool,
    /// Its intent is still there: the commit has not finished.
    pub intent: bool,
}

/// What a commit sees of its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Ascending by number; at least the newest published one and all after it.
    pub heads: Vec<Head>,
    /// Data files that listing readers see.
    pub has_data: bool,
    /// This commit's intent is there.
    pub intent: bool,
    /// `_SUCCESS` is there.
    pub success: bool,
}

/// What to do next. After each the folder is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Mode `error`, and something is there.
    Refuse,
    WriteIntent,
    /// An earlier commit has a manifest and has not finished: do its steps 3 and 4.
    FinishOther {
        number: u64,
    },
    /// Fails softly if the number is taken.
    CreateManifest {
        number: u64,
    },
    RemoveSuccess,
    Publish {
        number: u64,
    },
    MarkPublished {
        number: u64,
    },
    RemoveReplaced {
        number: u64,
    },
    WriteSuccess {
        number: u64,
    },
    RemoveStaging,
    RemoveIntent,
    Done {
        number: u64,
    },
}

/// The next action of commit `id`, after `last` was completed (by this process; `None` after a start or a crash).
pub fn next(id: Uuid, mode: OutputMode, view: &View, last: Option<Action>) -> Action {
    let own = view.heads.iter().find(|head| head.commit_id == id);
    match own {
        None => before_manifest(mode, view),
        Some(head) if !head.published => publish(head.number, last),
        Some(head) if view.intent => {
            let newest = view.heads.last().is_none_or(|last| last.number == head.number);
            finish(head.number, newest, last)
        }
        Some(head) => done(head.number, view),
    }
}

/// Another commit may have finished this one and itself while this one was about to remove `_SUCCESS`.
fn done(number: u64, view: &View) -> Action {
    match view.heads.last() {
        Some(newest) if newest.published && !newest.intent && !view.success => Action::WriteSuccess { number },
        _ => Action::Done { number },
    }
}

fn before_manifest(mode: OutputMode, view: &View) -> Action {
    let newest = view.heads.last();
    if mode == OutputMode::Error && (newest.is_some() || view.has_data) {
        return Action::Refuse;
    }
    if !view.intent {
        return Action::WriteIntent;
    }
    match newest {
        Some(head) if !head.published || head.intent => Action::FinishOther { number: head.number },
        Some(head) => Action::CreateManifest { number: head.number + 1 },
        None => Action::CreateManifest { number: 1 },
    }
}

fn publish(number: u64, last: Option<Action>) -> Action {
    match last {
        Some(Action::RemoveSuccess) => Action::Publish { number },
        Some(Action::Publish { .. }) => Action::MarkPublished { number },
        _ => Action::RemoveSuccess,
    }
}

fn finish(number: u64, newest: bool, last: Option<Action>) -> Action {
    match last {
        Some(Action::RemoveReplaced { .. }) if newest => Action::WriteSuccess { number },
        Some(Action::RemoveReplaced { .. } | Action::WriteSuccess { .. }) => Action::RemoveStaging,
        Some(Action::RemoveStaging) => Action::RemoveIntent,
        _ => Action::RemoveReplaced { number },
    }
}

#[cfg(test)]
mod tests;
