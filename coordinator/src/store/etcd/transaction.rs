//! Transactions that only the leader can make, on a journal that is as it left it.

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};

use super::super::StoreError;
use super::super::codec;
use super::super::head::Head;
use super::endpoints::{Answer, Endpoints};
use super::keys::Keys;
use super::pieces::Put;

/// The journal's end as this leader knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) head: Head,
    /// The bytes that are stored, which another build may have encoded otherwise; `None` for an empty journal.
    pub(super) stored: Option<Bytes>,
}

/// What a transaction requires: this leader, and this end of the journal.
#[derive(Clone, Debug)]
pub(super) struct Guard<'a> {
    pub(super) keys: &'a Keys,
    pub(super) epoch: u64,
    pub(super) known: &'a Known,
}

/// How a guarded transaction ended when its leader still leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Applied {
        revision: i64,
    },
    /// Nothing was changed by this call: the journal's end is another. An earlier call of the same may have moved it.
    OtherHead(Known),
}

impl Known {
    pub(super) fn of(stored: Option<Bytes>) -> Result<Known, StoreError> {
        let head = stored.clone().map(codec::decode_head).transpose().map_err(StoreError::Unreadable)?;
        Ok(Known { head: head.unwrap_or_default(), stored })
    }

    /// What is known after this leader has written `head`.
    pub(super) fn written(head: Head) -> Known {
        Known { head, stored: Some(codec::encode_head(&head)) }
    }
}

impl Guard<'_> {
    /// Makes `operations` durable, all or none. They may be done several times, so they must not depend on what is
    /// there. In doubt, they may be done once more later, unless the head moves before.
    pub(super) async fn transact(
        &self,
        endpoints: &Endpoints,
        operations: Vec<TxnOp>,
    ) -> Result<Answer<Outcome>, StoreError> {
        let transaction = self.transaction(operations);
        let answer = endpoints.insist(|mut client| {
            let transaction = transaction.clone();
            async move { client.txn(transaction).await }
        });
        let answer = answer.await?;
        Ok(Answer { value: self.outcome(&answer.value)?, in_doubt: answer.in_doubt })
    }

    fn transaction(&self, operations: Vec<TxnOp>) -> Txn {
        let head_is_known = match &self.known.stored {
            Some(stored) => Compare::value(self.keys.head(), CompareOp::Equal, stored.to_vec()),
            None => Compare::version(self.keys.head(), CompareOp::Equal, 0),
        };
        // A key that was deleted and created again has another create revision: the lease of this epoch had ended.
        let leads = Compare::create_revision(self.keys.leader(), CompareOp::Equal, self.epoch as i64);
        let leader = TxnOp::get(self.keys.leader(), Some(GetOptions::new().with_keys_only()));
        let head = TxnOp::get(self.keys.head(), None);
        Txn::new().when([leads, head_is_known]).and_then(operations).or_else([leader, head])
    }

    fn outcome(&self, answer: &TxnResponse) -> Result<Outcome, StoreError> {
        if answer.succeeded() {
            return Ok(Outcome::Applied { revision: answer.header().map_or(0, |header| header.revision()) });
        }
        let found = answer.op_responses();
        let [TxnOpResponse::Get(leader), TxnOpResponse::Get(head)] = &found[..] else {
            return Err(StoreError::conflict("etcd answered a transaction with something else than what was asked"));
        };
        if leader.kvs().first().map(|leader| leader.create_revision() as u64) != Some(self.epoch) {
            return Err(StoreError::fenced(self.epoch));
        }
        let stored = head.kvs().first().map(|head| Bytes::copy_from_slice(head.value()));
        Ok(Outcome::OtherHead(Known::of(stored)?))
    }
}

/// An outcome that must be `Applied`; returns the revision. Anything else means that somebody else has written.
pub(super) fn applied(outcome: Outcome, known: &Known) -> Result<i64, StoreError> {
    match outcome {
        Outcome::Applied { revision } => Ok(revision),
        Outcome::OtherHead(found) => {
            Err(StoreError::conflict(format!("its end is {:?} instead of {:?}", found.head, known.head)))
        }
    }
}

pub(super) fn put_all(puts: Vec<Put>) -> Vec<TxnOp> {
    puts.into_iter().map(|Put { key, value }| TxnOp::put(key, value, None)).collect()
}

pub(super) fn put_head(keys: &Keys, head: &Head) -> TxnOp {
    TxnOp::put(keys.head(), codec::encode_head(head), None)
}

pub(super) fn delete_under(prefix: String) -> TxnOp {
    TxnOp::delete(prefix, Some(DeleteOptions::new().with_prefix()))
}
