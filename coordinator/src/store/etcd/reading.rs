//! Reads of many keys, at one revision.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use etcd_client::{GetOptions, KeyValue};
use windrow_model::JobId;

use super::super::StoreError;
use super::super::codec;
use super::super::entry::{Entry, Scope};
use super::super::head::Head;
use super::endpoints::{Endpoints, Failure};
use super::keys::{Keys, parse_piece};
use super::pieces;

/// Keys of one answer. Most have a few hundred bytes; with the largest pieces it has 240 MiB, as one commit may.
const PAGE_KEYS: i64 = 512;
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Names are short: a page may hold many.
const NAMES_PAGE_KEYS: i64 = 10_000;

/// Why a read did not succeed.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The revision is no longer kept: read at a newer one.
    Compacted,
    Failed(StoreError),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> ReadError {
        ReadError::Failed(error)
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> ReadError {
        if failure.last.is_compacted() { ReadError::Compacted } else { ReadError::Failed(failure.unavailable()) }
    }
}

/// What a scan of the entries has found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Entries up to the head.
    pub(super) entries: Vec<Entry>,
    /// Keys beyond the head: of a commit that never ended.
    pub(super) garbage: Vec<Vec<u8>>,
}

/// All keys under a prefix as they were at `revision`, in key order. A member that does not have the revision yet
/// refuses, so the answer is never older.
async fn under(endpoints: &Endpoints, prefix: String, revision: i64, names: bool) -> Result<Vec<KeyValue>, ReadError> {
    let end = prefix_end(&prefix);
    let mut from = prefix.into_bytes();
    let mut found = Vec::new();
    loop {
        let options = GetOptions::new().with_range(end.clone()).with_revision(revision);
        let options = match names {
            true => options.with_limit(NAMES_PAGE_KEYS).with_keys_only(),
            false => options.with_limit(PAGE_KEYS),
        };
        let page = endpoints.repeat(|client| {
            let (from, options) = (from.clone(), options.clone());
            async move { client.kv_client().max_decoding_message_size(ANSWER_BYTES_MAX).get(from, Some(options)).await }
        });
        let mut page = page.await?;
        found.append(&mut page.take_kvs());
        let (true, Some(last)) = (page.more(), found.last()) else { return Ok(found) };
        // The smallest key after the last one.
        from = [last.key(), &[0]].concat();
    }
}

/// The first key after all keys with this prefix. Prefixes here end with a slash, so the last byte can be raised.
fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    *end.last_mut().expect("a prefix is never empty") += 1;
    end
}

/// All entries as they were at `revision`.
pub(super) async fn entries(endpoints: &Endpoints, keys: &Keys, head: Head, revision: i64) -> Result<Scan, ReadError> {
    let found = under(endpoints, keys.entries(), revision, false).await?;
    Ok(sort_out(keys, head, found)?)
}

/// Keys of entries beyond the head, as they were at `revision`.
pub(super) async fn garbage(
    endpoints: &Endpoints,
    keys: &Keys,
    head: Head,
    revision: i64,
) -> Result<Vec<Vec<u8>>, ReadError> {
    let names = under(endpoints, keys.entries(), revision, true).await?;
    let beyond = |kv: &&KeyValue| keys.parse_entry(kv.key()).is_some_and(|key| key.first > head.sequence);
    Ok(names.iter().filter(beyond).map(|kv| kv.key().to_vec()).collect())
}

fn sort_out(keys: &Keys, head: Head, found: Vec<KeyValue>) -> Result<Scan, StoreError> {
    let mut scan = Scan::default();
    let mut pieces: BTreeMap<(Scope, u64), Vec<(u32, Bytes)>> = BTreeMap::new();
    for kv in found {
        let Some(key) = keys.parse_entry(kv.key()) else {
            let what = format!("the journal's key `{}`", String::from_utf8_lossy(kv.key()));
            return Err(StoreError::Unreadable(codec::corrupt(&what, "no version of Windrow has written it")));
        };
        if key.first > head.sequence {
            scan.garbage.push(kv.key().to_vec());
            continue;
        }
        let (_, value) = kv.into_key_value();
        pieces.entry((key.scope, key.first)).or_default().push((key.piece, value.into()));
    }
    for ((scope, first), pieces) in pieces {
        let incomplete = || {
            let what = format!("the journal's entry {first} of {}", scope.name());
            StoreError::Unreadable(codec::corrupt(&what, "a part of it is missing"))
        };
        scan.entries.push(Entry { scope, first, bytes: pieces::join(pieces).ok_or_else(incomplete)? });
    }
    Ok(scan)
}

/// The jobs that have blobs, as it was at `revision`.
pub(super) async fn jobs_with_blobs(
    endpoints: &Endpoints,
    keys: &Keys,
    revision: i64,
) -> Result<BTreeSet<JobId>, ReadError> {
    let names = under(endpoints, keys.blobs(), revision, true).await?;
    Ok(names.iter().filter_map(|kv| keys.parse_blob_job(kv.key())).collect())
}

/// A value in pieces as it was at `revision`; `None` if it is absent or was never written to its end.
pub(super) async fn value(endpoints: &Endpoints, base: String, revision: i64) -> Result<Option<Bytes>, ReadError> {
    let found = under(endpoints, base, revision, false).await?;
    let pieces = found.into_iter().filter_map(|kv| {
        let index = parse_piece(kv.key())?;
        Some((index, Bytes::from(kv.into_key_value().1)))
    });
    Ok(pieces::join(pieces.collect()))
}
