//! The example's mapper and reducer count words, whatever batches they come in.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow_wasm::{Kind, Limits, Module};

use crate::support::{Numbers, example, rows};

fn lines(random: &mut Numbers, len: usize) -> Vec<Option<String>> {
    let words = ["the", "a", "of", "Zürich", "日本語", "x", "", "  ", "\t", "\u{a0}", "abracadabra", "\r\n"];
    let line = |random: &mut Numbers| {
        let words: Vec<&str> =
            (0..random.below(12)).map(|_| words[random.below(words.len() as u64) as usize]).collect();
        words.join([" ", "\t", "\u{b}\u{c}"][random.below(3) as usize])
    };
    (0..len).map(|_| (!random.is_one_in(9)).then(|| line(random))).collect()
}

fn words_of(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']).filter(|word| !word.is_empty())
}

fn pairs(batches: &[RecordBatch]) -> Vec<(String, i64)> {
    let mut pairs = Vec::new();
    for batch in batches {
        let words = batch.column_by_name("word").unwrap().as_any().downcast_ref::<StringArray>().unwrap();
        let counts = batch.column_by_name("n").unwrap().as_any().downcast_ref::<Int64Array>().unwrap();
        assert_eq!((words.null_count(), counts.null_count()), (0, 0));
        pairs.extend(words.iter().zip(counts.values()).map(|(word, n)| (word.unwrap().to_owned(), *n)));
    }
    pairs
}

fn batch(pairs: &[(String, i64)]) -> RecordBatch {
    let words = StringArray::from_iter_values(pairs.iter().map(|pair| &pair.0));
    let counts = Int64Array::from_iter_values(pairs.iter().map(|pair| pair.1));
    rows(vec![("word", Arc::new(words) as ArrayRef), ("n", Arc::new(counts))])
}

#[test]
fn tokenize_splits_at_white_space() {
    let module = example("word_count");
    module.check("tokenize", Kind::Rows).unwrap();
    let mut instance = module.start(Limits::default()).unwrap();
    let mut random = Numbers(21);
    let mut words = 0;
    for size in [0, 1, 5, 3000, 0, 4000] {
        let lines = lines(&mut random, size);
        let expected: Vec<(String, i64)> =
            lines.iter().flatten().flat_map(|line| words_of(line)).map(|word| (word.to_owned(), 1)).collect();
        let batch = rows(vec![("line", Arc::new(StringArray::from(lines)))]);
        assert_eq!(pairs(&instance.call("tokenize", &batch).unwrap()), expected);
        words += expected.len() as i64;
    }
    assert!(instance.finish("tokenize").unwrap().is_empty());
    assert_eq!(instance.take_counters(), [("words".to_owned(), words)].into());
}

/// What `sum` gives for sorted rows in batches of these sizes.
fn summed(module: &Module, sorted: &[(String, i64)], sizes: impl Iterator<Item = usize>) -> Vec<(String, i64)> {
    let mut instance = module.start(Limits::default()).unwrap();
    let (mut sums, mut rest) = (Vec::new(), sorted);
    for size in sizes {
        let (part, after) = rest.split_at(size.min(rest.len()));
        sums.extend(pairs(&instance.call("sum", &batch(part)).unwrap()));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    sums.extend(pairs(&instance.finish("sum").unwrap()));
    assert!(instance.finish("sum").unwrap().is_empty(), "nothing is left");
    sums
}

#[test]
fn sum_adds_up_words_that_span_calls() {
    let module = example("word_count");
    module.check("sum", Kind::Rows).unwrap();
    let mut random = Numbers(22);
    let mut words: Vec<(String, i64)> = lines(&mut random, 2000)
        .iter()
        .flatten()
        .flat_map(|line| words_of(line).map(str::to_owned).collect::<Vec<_>>())
        .map(|word| (word, random.below(10) as i64))
        .collect();
    words.push((String::new(), 5));
    words.push(("z".repeat(100_000), 6));
    words.sort();
    let mut expected = BTreeMap::new();
    words.iter().for_each(|(word, n)| *expected.entry(word.clone()).or_default() += n);
    let expected: Vec<(String, i64)> = expected.into_iter().collect();
    for size in [1, 7, 1000, words.len()] {
        // Every other batch is empty.
        let sizes = (0..).map(|batch| if batch % 2 == 0 { size } else { 0 });
        assert_eq!(summed(&module, &words, sizes), expected);
    }
}

#[test]
fn sum_of_nothing_is_nothing() {
    let module = example("word_count");
    assert!(module.start(Limits::default()).unwrap().finish("sum").unwrap().is_empty());
    assert!(summed(&module, &[], [0, 0, 0].into_iter()).is_empty());
}
