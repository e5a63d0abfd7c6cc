//! Explores every interleaving and crash of two commits on one modelled folder.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::*;

const MODES: [OutputMode; 3] = [OutputMode::Overwrite, OutputMode::Append, OutputMode::Error];

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct ModelManifest {
    id: u8,
    files: BTreeSet<String>,
    removes: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Model {
    manifests: BTreeMap<u64, ModelManifest>,
    published: BTreeSet<u64>,
    intents: BTreeSet<u8>,
    staged: BTreeSet<String>,
    visible: BTreeSet<String>,
    success: bool,
}

fn id(n: u8) -> Uuid {
    Uuid::from_bytes([n; 16])
}

fn files_of(n: u8) -> [String; 2] {
    [format!("c{n}-a"), format!("c{n}-b")]
}

impl Model {
    fn view(&self, own: u8) -> View {
        let head = |(number, manifest): (&u64, &ModelManifest)| Head {
            number: *number,
            commit_id: id(manifest.id),
            published: self.published.contains(number),
            intent: self.intents.contains(&manifest.id),
        };
        View {
            heads: self.manifests.iter().map(head).collect(),
            has_data: !self.visible.is_empty(),
            intent: self.intents.contains(&own),
            success: self.success,
        }
    }

    fn newest_published(&self) -> Option<&ModelManifest> {
        self.published.last().and_then(|number| self.manifests.get(number))
    }

    fn publish(&mut self, n: u8, files: usize) {
        for file in files_of(n).into_iter().take(files) {
            if self.staged.remove(&file) {
                self.visible.insert(file);
            }
        }
    }

    fn remove_replaced(&mut self, number: u64) {
        for path in self.manifests[&number].removes.clone() {
            self.visible.remove(&path);
        }
    }

    fn drop_staging(&mut self, n: u8) {
        self.staged.retain(|file| !files_of(n).contains(file));
    }

    /// Carries out `action` of commit `n`, which looked at the folder when it was `seen`.
    fn apply(&mut self, n: u8, mode: OutputMode, action: Action, seen: &Model) {
        match action {
            Action::Done { .. } => {}
            Action::Refuse => {
                self.drop_staging(n);
                self.intents.remove(&n);
            }
            Action::WriteIntent => drop(self.intents.insert(n)),
            Action::FinishOther { number } => {
                let other = self.manifests[&number].id;
                if !self.intents.contains(&other) {
                    return;
                }
                self.success = false;
                self.publish(other, 2);
                self.published.insert(number);
                self.remove_replaced(number);
                self.drop_staging(other);
                self.intents.remove(&other);
            }
            Action::CreateManifest { number } => {
                let base = match (mode, seen.newest_published()) {
                    (OutputMode::Append, Some(manifest)) => manifest.files.clone(),
                    (OutputMode::Append, None) => seen.visible.clone(),
                    _ => BTreeSet::new(),
                };
                let removes = if mode == OutputMode::Overwrite { seen.visible.clone() } else { BTreeSet::new() };
                let files = base.into_iter().chain(files_of(n)).collect();
                self.manifests.entry(number).or_insert(ModelManifest { id: n, files, removes });
            }
            Action::RemoveSuccess => self.success = false,
            Action::Publish { .. } => self.publish(n, 2),
            Action::MarkPublished { number } => drop(self.published.insert(number)),
            Action::RemoveReplaced { number } => self.remove_replaced(number),
            Action::WriteSuccess { .. } => self.success = true,
            Action::RemoveStaging => self.drop_staging(n),
            Action::RemoveIntent => drop(self.intents.remove(&n)),
        }
    }

    fn check(&self, trail: &str) {
        let ids: Vec<u8> = self.manifests.values().map(|manifest| manifest.id).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "I-C1 {trail}");
        if let Some(manifest) = self.newest_published() {
            assert!(manifest.files.is_subset(&self.visible), "I-C2 {trail}: {self:?}");
        }
    }
}

/// A commit as a process: what it saw, what it did last, how often it may still crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    n: u8,
    seen: Option<Model>,
    last: Option<String>,
    crashes_left: u8,
    ended: bool,
}

fn last_action(text: &Option<String>, all: &BTreeMap<String, Action>) -> Option<Action> {
    text.as_ref().map(|text| all[text])
}

fn start(plain: bool, commits: &[u8]) -> Model {
    let mut model = Model::default();
    if plain {
        model.visible.insert("plain".into());
        model.success = true;
    }
    commits.iter().for_each(|n| model.staged.extend(files_of(*n)));
    model
}

/// Visits every state that the processes can reach; returns the states in which all have ended.
fn explore(modes: &[OutputMode], plain: bool, crashes: u8) -> Vec<Model> {
    let commits: Vec<u8> = (1..=modes.len() as u8).collect();
    let process = |n: &u8| Process { n: *n, seen: None, last: None, crashes_left: crashes, ended: false };
    let first = (start(plain, &commits), commits.iter().map(process).collect::<Vec<_>>());
    let mut actions = BTreeMap::new();
    let mut visited = HashSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    let mut ends = Vec::new();
    while let Some((model, processes)) = queue.pop_front() {
        if processes.iter().all(|process| process.ended) {
            ends.push(model);
            continue;
        }
        for at in (0..processes.len()).filter(|at| !processes[*at].ended) {
            for successor in successors(&model, &processes, at, modes[at], &mut actions) {
                successor.0.check(&format!("{modes:?} {:?}", successor.1));
                if visited.insert(successor.clone()) {
                    queue.push_back(successor);
                }
            }
        }
        assert!(visited.len() < 2_000_000, "the model does not end");
    }
    ends
}

fn successors(
    model: &Model,
    processes: &[Process],
    at: usize,
    mode: OutputMode,
    actions: &mut BTreeMap<String, Action>,
) -> Vec<(Model, Vec<Process>)> {
    let mut found = Vec::new();
    let me = &processes[at];
    let mut put = |model: Model, process: Process| {
        let mut all = processes.to_vec();
        all[at] = process;
        found.push((model, all));
    };
    let Some(seen) = &me.seen else {
        put(model.clone(), Process { seen: Some(model.clone()), ..me.clone() });
        return found;
    };
    let action = next(id(me.n), mode, &seen.view(me.n), last_action(&me.last, actions));
    let name = format!("{action:?}");
    actions.insert(name.clone(), action);
    let mut after = model.clone();
    after.apply(me.n, mode, action, seen);
    let ended = matches!(action, Action::Done { .. } | Action::Refuse);
    put(after.clone(), Process { seen: None, last: Some(name), ended, ..me.clone() });
    if me.crashes_left > 0 && !ended {
        let reborn = Process { seen: None, last: None, crashes_left: me.crashes_left - 1, ..me.clone() };
        put(after, reborn.clone());
        if let Action::Publish { .. } = action {
            let mut half = model.clone();
            half.publish(me.n, 1);
            put(half, reborn);
        }
    }
    found
}

fn assert_tidy(model: &Model, trail: &str) {
    assert!(model.intents.is_empty() && model.staged.is_empty(), "{trail}: {model:?}");
    assert!(model.success, "{trail}: {model:?}");
    let newest = model.newest_published().expect("someone committed");
    assert_eq!(newest.files, model.visible, "{trail}");
}

#[test]
fn one_commit_ends_the_same_after_any_two_crashes() {
    for mode in MODES {
        for plain in [false, true] {
            let ends = explore(&[mode], plain, 2);
            assert!(!ends.is_empty());
            for model in ends {
                if plain && mode == OutputMode::Error {
                    assert_eq!(model.visible, BTreeSet::from(["plain".to_owned()]));
                    assert!(model.manifests.is_empty() && model.staged.is_empty());
                    continue;
                }
                assert_tidy(&model, &format!("{mode:?} {plain}"));
                let kept = plain && mode == OutputMode::Append;
                assert_eq!(model.visible.contains("plain"), kept);
                assert_eq!(model.visible.len(), if kept { 3 } else { 2 });
            }
        }
    }
}

#[test]
fn of_two_racing_commits_in_mode_error_exactly_one_wins() {
    for model in explore(&[OutputMode::Error, OutputMode::Error], false, 1) {
        assert_eq!(model.manifests.len(), 1, "I-C3 {model:?}");
        assert_eq!(model.visible.len(), 2);
        assert!(model.staged.is_empty() && model.intents.is_empty());
    }
}

#[test]
fn two_racing_appends_both_stay_and_the_last_overwrite_replaces_all() {
    for plain in [false, true] {
        for model in explore(&[OutputMode::Append, OutputMode::Append], plain, 1) {
            assert_tidy(&model, "append append");
            assert_eq!(model.visible.len(), if plain { 5 } else { 4 });
        }
        for model in explore(&[OutputMode::Overwrite, OutputMode::Overwrite], plain, 1) {
            assert_tidy(&model, "overwrite overwrite");
            assert_eq!(model.visible.len(), 2);
        }
        for model in explore(&[OutputMode::Append, OutputMode::Overwrite], plain, 1) {
            assert_tidy(&model, "append overwrite");
            assert!(!model.visible.contains("plain"));
        }
    }
}

#[test]
fn success_is_absent_while_a_lone_commit_shows_two_states() {
    let mut model = start(true, &[1]);
    let mut last = None;
    loop {
        let seen = model.clone();
        let action = next(id(1), OutputMode::Overwrite, &seen.view(1), last);
        model.apply(1, OutputMode::Overwrite, action, &seen);
        let both = model.visible.contains("plain") && model.visible.len() > 1;
        assert!(!(both && model.success), "I-C4 after {action:?}");
        last = Some(action);
        if matches!(action, Action::Done { .. }) {
            break;
        }
    }
    assert_tidy(&model, "alone");
}
