//! The journal's bytes: a version, a checksum, and messages of `proto/journal.proto`.
//!
//! Everything that a store keeps goes through [`frame`] and [`unframe`], so that a flipped bit or a journal of a
//! later build is an error that says so, and never a record that means something else.

mod failure;
mod id;
mod invalid;
mod output;
mod plan;
mod record;
mod spec;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod tests;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use windrow_model::{ErrorKind, ErrorReport};
use windrow_scheduler::Record;

use super::head::Head;
use invalid::Invalid;

#[allow(clippy::all, clippy::unwrap_used)]
mod pb {
    include!(concat!(env!("OUT_DIR"), "/windrow.journal.v1.rs"));
}

/// The first byte of everything that is kept. Raised by a change that older builds must not overlook.
pub(crate) const VERSION: u8 = 1;
/// Version and CRC-32 of the rest.
const FRAME_BYTES: usize = 1 + 4;

/// Puts the version and a checksum in front of `payload`.
pub(crate) fn frame(payload: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(FRAME_BYTES + payload.len());
    framed.put_u8(VERSION);
    framed.put_u32_le(crc32fast::hash(payload));
    framed.put_slice(payload);
    framed.freeze()
}

/// The payload of a frame; `what` names it in errors, for example `the journal's entry j/7/12`.
pub(crate) fn unframe(mut framed: Bytes, what: &str) -> Result<Bytes, ErrorReport> {
    match framed.first() {
        None => return Err(corrupt(what, "it is empty")),
        Some(&found) if found > VERSION => return Err(unsupported(what, found)),
        Some(0) => return Err(corrupt(what, "its version is 0, which no build has written")),
        Some(_) if framed.len() < FRAME_BYTES => return Err(corrupt(what, "it is cut short")),
        Some(_) => framed.advance(1),
    }
    let checksum = framed.get_u32_le();
    if crc32fast::hash(&framed) != checksum {
        return Err(corrupt(what, "its checksum does not match"));
    }
    Ok(framed)
}

/// One entry: records with their sequence numbers, none below `first`.
pub(crate) fn encode_entry<'a>(first: u64, records: impl Iterator<Item = (u64, &'a Record)>) -> Bytes {
    let items = records.map(|(sequence, record)| pb::Item { offset: sequence - first, record: Some(record.into()) });
    frame(&pb::Entry { items: items.collect() }.encode_to_vec())
}

/// The records of an entry with their sequence numbers, in order.
pub(crate) fn decode_entry(first: u64, framed: Bytes, what: &str) -> Result<Vec<(u64, Record)>, ErrorReport> {
    let entry = pb::Entry::decode(unframe(framed, what)?).map_err(|error| corrupt(what, error))?;
    let numbered = entry.items.into_iter().map(|item| {
        let record = invalid::required(item.record, "Item.record")?;
        Ok((first + item.offset, Record::try_from(record)?))
    });
    numbered.collect::<Result<_, Invalid>>().map_err(|error| invalid_report(what, error))
}

pub(crate) fn encode_head(head: &Head) -> Bytes {
    let Head { sequence, commit, last_job, last_worker } = *head;
    let head = pb::Head { sequence, epoch: commit.epoch, count: commit.count, last_job, last_worker };
    frame(&head.encode_to_vec())
}

pub(crate) fn decode_head(framed: Bytes) -> Result<Head, ErrorReport> {
    let what = "the journal's head";
    let head = pb::Head::decode(unframe(framed, what)?).map_err(|error| corrupt(what, error))?;
    let pb::Head { sequence, epoch, count, last_job, last_worker } = head;
    Ok(Head { sequence, commit: super::head::CommitId { epoch, count }, last_job, last_worker })
}

/// Stored bytes that are not what was written.
pub(crate) fn corrupt(what: &str, detail: impl std::fmt::Display) -> ErrorReport {
    ErrorReport::new(ErrorKind::Corrupt, format!("{what} cannot be read"))
        .with_detail(detail.to_string())
        .with_hint("restore the journal from a backup; docs/OPERATING.md says how")
}

fn unsupported(what: &str, found: u8) -> ErrorReport {
    ErrorReport::new(ErrorKind::Unsupported, format!("{what} was written by a later version of Windrow"))
        .with_detail(format!("it has format version {found}; this build reads up to version {VERSION}"))
        .with_hint("start the later version again, or restore a backup made before the upgrade")
}

fn invalid_report(what: &str, error: Invalid) -> ErrorReport {
    match error {
        Invalid::Missing { .. } | Invalid::OutOfRange { .. } => corrupt(what, error),
        Invalid::Unknown { .. } => {
            ErrorReport::new(ErrorKind::Unsupported, format!("{what} was written by a later version of Windrow"))
                .with_detail(format!("{error}; this build reads format version {VERSION}"))
                .with_hint("start the later version again, or restore a backup made before the upgrade")
        }
    }
}
