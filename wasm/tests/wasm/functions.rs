//! The example's functions over rows compute what Rust computes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray};
use windrow_wasm::{Kind, Limits};

use crate::support::{Numbers, column, example, numbers, rows};

/// Batches of these sizes: none, one, around a byte of validity, and thousands.
const SIZES: [usize; 8] = [0, 1, 7, 8, 9, 0, 3000, 4096];

fn some(numbers: &mut Numbers, null_one_in: u64) -> Option<f64> {
    (!numbers.is_one_in(null_one_in)).then(|| numbers.below(1 << 31) as f64 / 977.0)
}

fn prices(random: &mut Numbers, len: usize, null_one_in: (u64, u64)) -> (Float64Array, Float64Array) {
    let prices = (0..len).map(|_| some(random, null_one_in.0)).collect();
    (prices, (0..len).map(|_| some(random, null_one_in.1)).collect())
}

#[test]
fn plus_tax_multiplies() {
    let module = example("functions");
    module.check("plus_tax", Kind::Rows).unwrap();
    let mut instance = module.start(Limits::default()).unwrap();
    let mut random = Numbers(1);
    for size in SIZES {
        for nulls in [(5, 7), (u64::MAX, 3), (3, u64::MAX), (u64::MAX, u64::MAX), (1, 1)] {
            let (price, rate) = prices(&mut random, size, nulls);
            let expected: Float64Array =
                price.iter().zip(&rate).map(|(price, rate)| Some(price? * (1.0 + rate?))).collect();
            let batch = rows(vec![("price", Arc::new(price) as ArrayRef), ("rate", Arc::new(rate))]);
            assert_eq!(column::<Float64Array>(&instance.call("plus_tax", &batch).unwrap()), expected);
        }
    }
}

fn slug(text: &str) -> String {
    let mut slug = String::new();
    let mut in_run = false;
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => slug.push(byte.to_ascii_lowercase().into()),
            false if in_run => {}
            false => slug.push('-'),
        }
        in_run = !byte.is_ascii_alphanumeric();
    }
    slug
}

fn titles(random: &mut Numbers, len: usize) -> Vec<Option<String>> {
    let pieces = ["Hello", "World", ", ", "!", "  ", "42", "Zürich", "a", "Z", "日本", "-", "[@`{"];
    let title = |random: &mut Numbers| {
        (0..random.below(9)).map(|_| pieces[random.below(pieces.len() as u64) as usize]).collect::<String>()
    };
    (0..len).map(|_| (!random.is_one_in(6)).then(|| title(random))).collect()
}

#[test]
fn slug_makes_dashes() {
    let mut instance = example("functions").start(Limits::default()).unwrap();
    let mut random = Numbers(2);
    for size in SIZES {
        let titles = titles(&mut random, size);
        let expected: StringArray = titles.iter().map(|title| title.as_deref().map(slug)).collect();
        for text in
            [Arc::new(StringArray::from(titles.clone())) as ArrayRef, Arc::new(StringViewArray::from(titles.clone()))]
        {
            let result = instance.call("slug", &rows(vec![("text", text)])).unwrap();
            assert_eq!(column::<StringArray>(&result), expected);
        }
    }
    assert_eq!(slug("Hello, World!"), "hello-world-");
}

#[test]
fn a_fresh_instance_gives_what_a_used_one_gives() {
    let module = example("functions");
    let mut used = module.start(Limits::default()).unwrap();
    let mut random = Numbers(3);
    for size in [5000, 10, 2000, 0, 300] {
        let batch = rows(vec![("text", Arc::new(StringArray::from(titles(&mut random, size))))]);
        let fresh = module.start(Limits::default()).unwrap().call("slug", &batch).unwrap();
        assert_eq!(used.call("slug", &batch).unwrap(), fresh);
    }
}

#[test]
fn memory_is_reset_between_calls() {
    let mut instance = example("functions").start(Limits::default()).unwrap();
    let batch = numbers(0..8192);
    instance.call("checked", &numbers(1000..9192)).unwrap();
    let after_one = instance.memory_bytes();
    for _ in 0..100 {
        instance.call("checked", &batch.slice(1000, 7000)).unwrap();
    }
    assert_eq!(instance.memory_bytes(), after_one);
}

#[test]
fn checked_gives_what_it_gets() {
    let values: Int64Array = (0..3000).map(|x| (x % 5 != 0).then_some(x * 7 + 100)).collect();
    let batch = rows(vec![("x", Arc::new(values.clone()))]);
    let mut instance = example("functions").start(Limits::default()).unwrap();
    assert_eq!(column::<Int64Array>(&instance.call("checked", &batch).unwrap()), values);
    assert_eq!(column::<Int64Array>(&instance.call("checked", &batch.slice(3, 100)).unwrap()), values.slice(3, 100));
}

fn series_of(ends: &[(Option<i64>, Option<i64>)]) -> RecordBatch {
    let from: Int64Array = ends.iter().map(|ends| ends.0).collect();
    let to: Int64Array = ends.iter().map(|ends| ends.1).collect();
    rows(vec![("from", Arc::new(from) as ArrayRef), ("to", Arc::new(to))])
}

#[test]
fn series_has_both_ends() {
    let mut instance = example("functions").start(Limits::default()).unwrap();
    let ends = [
        (Some(-3), Some(4000)),
        (Some(5), Some(4)),
        (None, Some(3)),
        (Some(3), None),
        (Some(i64::MAX - 1), Some(i64::MAX)),
        (Some(7), Some(7)),
    ];
    let expected: Int64Array = (-3..=4000).chain(i64::MAX - 1..=i64::MAX).chain([7]).map(Some).collect();
    assert_eq!(column::<Int64Array>(&instance.call("series", &series_of(&ends)).unwrap()), expected);
    assert_eq!(column::<Int64Array>(&instance.call("series", &series_of(&[])).unwrap()).len(), 0);
}

#[test]
fn a_series_without_end_fails_with_a_message() {
    for last in [i64::MAX, 1 << 23] {
        let mut instance = example("functions").start(Limits::default()).unwrap();
        let error = instance.call("series", &series_of(&[(Some(0), Some(last))])).unwrap_err();
        assert_eq!(error.to_string(), "`series` has failed: a series has more than 8388608 numbers");
    }
}

#[test]
fn a_column_of_another_type_fails_with_a_message() {
    let error = example("functions").start(Limits::default()).unwrap().call("slug", &numbers([1])).unwrap_err();
    assert_eq!(error.to_string(), "`slug` has failed: a column is of an unexpected type");
}
