//! The store: budget, demotion, release.

use windrow_model::{AttemptId, JobId};

use super::{kept, output, output_id};

#[test]
fn a_full_budget_moves_the_oldest_output_to_disk() {
    let kept = kept(1000);
    for task in 0..2 {
        kept.store.insert(output_id(1, 0, task), output(&kept.memory, 400, 100));
    }
    let held = kept.memory.hold(300).expect("room is made");
    let first = kept.store.get(output_id(1, 0, 0)).unwrap();
    let second = kept.store.get(output_id(1, 0, 1)).unwrap();
    assert!(!first.is_in_memory() && second.is_in_memory());
    assert_eq!(first.read_all().unwrap(), second.read_all().unwrap());
    drop((held, first, second));
    kept.store.clear();
    assert_eq!(kept.memory.used_bytes(), 0);
    assert_eq!(std::fs::read_dir(kept.dir.path()).unwrap().count(), 0);
}

#[test]
fn a_budget_without_outputs_to_move_refuses() {
    let kept = kept(1000);
    let _held = kept.memory.hold(900).unwrap();
    assert!(kept.memory.hold(200).is_none());
}

#[test]
fn a_release_drops_what_it_names_and_nothing_else() {
    let kept = kept(1 << 20);
    let ids = [output_id(1, 0, 0), output_id(1, 1, 1), output_id(2, 0, 2), output_id(2, 0, 3)];
    let left = || ids.map(|id| kept.store.get(id).is_some());
    for id in ids {
        kept.store.insert(id, output(&kept.memory, 10, 10));
    }
    kept.store.release_stages(JobId(1), &[1]);
    assert_eq!(left(), [true, false, true, true]);
    kept.store.release_attempt(AttemptId { epoch: 1, n: 3 });
    assert_eq!(left(), [true, false, true, false]);
    kept.store.release_job(JobId(2));
    assert_eq!(left(), [true, false, false, false]);
}
