//! Round trips of arbitrary records, and yesterday's bytes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::super::head::CommitId;
use super::super::samples;
use super::*;

fn round_trip(records: &[Record]) -> Result<Vec<Record>, ErrorReport> {
    let bytes = encode_entry(5, (5..).zip(records));
    Ok(decode_entry(5, bytes, "the entry")?.into_iter().map(|(_, record)| record).collect())
}

proptest! {
    #[test]
    fn every_record_comes_back_as_it_was(records in prop::collection::vec(arbitrary::record(), 1..8)) {
        prop_assert_eq!(round_trip(&records).expect("readable"), records);
    }

    #[test]
    fn damaged_bytes_are_never_taken_for_a_record(
        record in arbitrary::record(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut bytes = encode_entry(1, [(1, &record)].into_iter()).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode_entry(1, bytes.into(), "the entry").is_err());
    }

    #[test]
    fn bytes_that_are_cut_short_are_never_taken_for_a_record(
        record in arbitrary::record(),
        at in any::<prop::sample::Index>(),
    ) {
        let bytes = encode_entry(1, [(1, &record)].into_iter());
        let cut = bytes.slice(..at.index(bytes.len()));
        prop_assert!(decode_entry(1, cut, "the entry").is_err());
    }

    #[test]
    fn a_head_comes_back_as_it_was(sequence: u64, epoch: u64, count: u64, last_job: u64, last_worker: u64) {
        let head = Head { sequence, commit: CommitId { epoch, count }, last_job, last_worker };
        prop_assert_eq!(decode_head(encode_head(&head)).expect("readable"), head);
    }
}

#[test]
fn arbitrary_records_are_of_every_kind() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut kinds = BTreeSet::new();
    for _ in 0..1_000 {
        let record = arbitrary::record().new_tree(&mut runner).expect("a record").current();
        kinds.insert(samples::kind(&record));
    }
    assert_eq!(kinds, BTreeSet::from(samples::KINDS));
}

#[test]
fn sequence_numbers_may_have_gaps() {
    let (first, second) = (samples::job_submitted(1), samples::task_finished(1, 2));
    let bytes = encode_entry(10, [(10, &first), (17, &second)].into_iter());
    let sequences: Vec<u64> =
        decode_entry(10, bytes, "the entry").expect("readable").into_iter().map(|(number, _)| number).collect();
    assert_eq!(sequences, [10, 17]);
}

#[test]
fn a_later_version_is_refused_by_naming_both() {
    let mut bytes = encode_entry(1, [(1, &samples::job_submitted(1))].into_iter()).to_vec();
    bytes[0] = VERSION + 1;
    let report = decode_entry(1, bytes.into(), "the journal's entry 1 of job-1").expect_err("a later version");
    assert_eq!(report.kind, ErrorKind::Unsupported);
    assert_eq!(report.what, "the journal's entry 1 of job-1 was written by a later version of Windrow");
    assert_eq!(report.detail, "it has format version 2; this build reads up to version 1");
}

#[test]
fn a_record_of_an_unknown_kind_is_refused_and_not_dropped() {
    let entry = pb::Entry { items: vec![pb::Item { offset: 0, record: Some(pb::Record { kind: None }) }] };
    let report = decode_entry(1, frame(&entry.encode_to_vec()), "the entry").expect_err("an unknown kind");
    assert_eq!(report.kind, ErrorKind::Unsupported);
}

#[test]
fn a_missing_field_is_named() {
    let submitted = pb::JobSubmitted { job: 1, spec: None, at_us: 0 };
    let record = pb::Record { kind: Some(pb::record::Kind::JobSubmitted(submitted)) };
    let entry = pb::Entry { items: vec![pb::Item { offset: 0, record: Some(record) }] };
    let report = decode_entry(1, frame(&entry.encode_to_vec()), "the entry").expect_err("no specification");
    assert_eq!((report.kind, report.detail.as_str()), (ErrorKind::Corrupt, "`JobSubmitted.spec` is missing"));
}

fn golden_path() -> PathBuf {
    // The file lies beside this source, wherever the crate that includes it does.
    let here = PathBuf::from(file!());
    let name = here.with_file_name("golden.txt");
    let from_workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(&name);
    if name.exists() { name } else { from_workspace }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect::<Vec<u8>>().into()
}

/// Lines of `golden.txt`: a name and the bytes of an entry with one record. `UPDATE_EXPECT=1` adds what is missing
/// and rewrites nothing: a line that no longer decodes to its sample is a journal that can no longer be read.
#[test]
fn yesterdays_journal_stays_readable() {
    let path = golden_path();
    let mut golden = std::fs::read_to_string(&path).unwrap_or_default();
    for record in samples::every_kind(7) {
        let name = samples::kind(&record);
        let line = golden.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        match line {
            Some(bytes) => {
                let decoded = decode_entry(1, unhex(bytes), name).expect("readable");
                assert_eq!(decoded, [(1, record)], "{name}");
            }
            None if std::env::var_os("UPDATE_EXPECT").is_some() => {
                golden.push_str(&format!("{name} {}\n", hex(&encode_entry(1, [(1, &record)].into_iter()))));
                std::fs::write(&path, &golden).expect("golden.txt is writable");
            }
            None => panic!("{} has no line for {name}; add it with UPDATE_EXPECT=1", path.display()),
        }
    }
}
