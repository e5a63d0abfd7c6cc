//! The example's aggregate, through all its steps and in several instances.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, UInt32Array};
use windrow_wasm::{Instance, Kind, Limits};

use crate::support::{Numbers, column, example, rows};

const GROUPS: u32 = 300;

/// The last group has no numbers at all, the one before it nulls only.
fn input(random: &mut Numbers, len: usize) -> (UInt32Array, Float64Array) {
    let groups: Vec<u32> = (0..len).map(|_| random.below(u64::from(GROUPS) - 1) as u32).collect();
    let number = |group: &u32, random: &mut Numbers| {
        (*group != GROUPS - 2 && !random.is_one_in(5)).then(|| (random.below(1 << 31) as f64 + 1.0) * 1e-7)
    };
    let numbers = groups.iter().map(|group| number(group, random)).collect();
    (UInt32Array::from(groups), numbers)
}

fn update(instance: &mut Instance, groups: &UInt32Array, numbers: &Float64Array) {
    let batch = rows(vec![("group", Arc::new(groups.clone()) as ArrayRef), ("x", Arc::new(numbers.clone()))]);
    assert!(instance.call("geo_mean_update", &batch).unwrap().is_empty());
}

fn all_groups() -> RecordBatch {
    rows(vec![("group", Arc::new(UInt32Array::from_iter_values((0..GROUPS).rev())))])
}

fn expected(parts: &[(UInt32Array, Float64Array)]) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0); GROUPS as usize];
    for (groups, numbers) in parts {
        for (group, number) in groups.values().iter().zip(numbers) {
            let Some(number) = number else { continue };
            let sum = &mut sums[*group as usize];
            *sum = (sum.0 + number.ln(), sum.1 + 1);
        }
    }
    sums.iter().rev().map(|(sum, count)| (*count > 0).then(|| (sum / f64::from(*count)).exp())).collect()
}

fn check(found: &Float64Array, parts: &[(UInt32Array, Float64Array)]) {
    assert_eq!(found.len(), GROUPS as usize);
    for (found, expected) in found.iter().zip(expected(parts)) {
        match (found, expected) {
            (Some(found), Some(expected)) => assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}"),
            both => assert_eq!(both, (None, None)),
        }
    }
}

#[test]
fn geo_mean_of_many_groups() {
    let module = example("functions");
    module.check("geo_mean", Kind::Aggregate).unwrap();
    let mut instance = module.start(Limits::default()).unwrap();
    let mut random = Numbers(11);
    let parts: Vec<_> = [4000, 0, 1, 5000].into_iter().map(|len| input(&mut random, len)).collect();
    parts.iter().for_each(|(groups, numbers)| update(&mut instance, groups, numbers));
    check(&column(&instance.call("geo_mean_evaluate", &all_groups()).unwrap()), &parts);
}

#[test]
fn states_travel_to_another_instance() {
    let module = example("functions");
    let mut random = Numbers(12);
    let parts: Vec<_> = (0..3).map(|_| input(&mut random, 3000)).collect();
    let mut last = module.start(Limits::default()).unwrap();
    for (groups, numbers) in &parts {
        let mut first = module.start(Limits::default()).unwrap();
        update(&mut first, groups, numbers);
        let states: BinaryArray = column(&first.call("geo_mean_state", &all_groups()).unwrap());
        let groups = Arc::clone(all_groups().column(0));
        let batch = rows(vec![("group", groups), ("state", Arc::new(states))]);
        assert!(last.call("geo_mean_merge", &batch).unwrap().is_empty());
    }
    check(&column(&last.call("geo_mean_evaluate", &all_groups()).unwrap()), &parts);
}

#[test]
fn extremes_keep_their_precision() {
    for (x, y) in [(1e-300, 1e300), (1.7e308, 1.7e308), (f64::MIN_POSITIVE, f64::MIN_POSITIVE), (1.0, 1.0), (2.0, 0.5)]
    {
        let mut instance = example("functions").start(Limits::default()).unwrap();
        update(&mut instance, &UInt32Array::from(vec![0, 0]), &Float64Array::from(vec![x, y]));
        let groups = rows(vec![("group", Arc::new(UInt32Array::from(vec![0])))]);
        let mean = column::<Float64Array>(&instance.call("geo_mean_evaluate", &groups).unwrap()).value(0);
        assert!((mean / (x.sqrt() * y.sqrt()) - 1.0).abs() < 1e-12, "{x} {y}: {mean}");
    }
}

#[test]
fn numbers_that_are_not_positive_fail_with_a_message() {
    for x in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        let mut instance = example("functions").start(Limits::default()).unwrap();
        let batch = rows(vec![
            ("group", Arc::new(UInt32Array::from(vec![0])) as ArrayRef),
            ("x", Arc::new(Float64Array::from(vec![x]))),
        ]);
        let error = instance.call("geo_mean_update", &batch).unwrap_err();
        assert_eq!(error.to_string(), "`geo_mean_update` has failed: geo_mean is of positive, finite numbers");
    }
}
