//! What every store must do. Each function is one rule; [`keeps_the_contract`] makes tests of them all for a store.

mod keeping;
mod leading;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use windrow_model::{FragmentHash, JobId};
use windrow_scheduler::Record;

pub(super) use keeping::*;
pub(super) use leading::*;

use super::{Blob, BlobKey, BlobName, History, Journal, Resolution, Store, StoreError};

/// A place that is empty at first and outlives its journals.
#[async_trait]
pub(super) trait Place: Send {
    /// Opens the journal as a new process would; what was opened before has been dropped.
    async fn open(&mut self) -> Box<dyn Journal>;

    /// Ends the right of the leader with this epoch as time would, without telling it.
    async fn expire(&mut self, epoch: u64);
}

/// Makes one test of each rule. `$place` is an expression of a future of a [`Place`], or of `None` where the service
/// behind it is missing.
macro_rules! keeps_the_contract {
    ($place:expr) => {
        $crate::store::contract::keeps_the_contract! { $place =>
            what_was_committed_is_loaded_in_order
            every_leader_has_a_higher_epoch
            an_old_leader_is_fenced_and_writes_nothing
            a_state_of_another_epoch_is_refused
            a_forgotten_job_is_gone_and_everything_else_stays
            blobs_can_be_forgotten_before_their_job
            a_forgotten_worker_is_gone_and_its_id_stays_used
            outputs_of_several_jobs_are_forgotten_job_by_job
            blobs_come_back_whole
            a_plan_that_is_made_again_replaces_what_the_first_one_left
            a_large_record_comes_back
            a_large_commit_comes_back
            what_is_too_large_is_refused_and_leaves_nothing
            nothing_to_write_is_no_commit
            a_commit_that_breaks_off_is_all_or_nothing
            a_dropped_commit_is_resolved_before_the_next
            many_campaigns_lose_no_acknowledged_commit
            a_leader_that_resigns_makes_way_at_once
        }
    };
    ($place:expr => $($rule:ident)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let Some(mut place) = $place.await else { return };
            $crate::store::contract::$rule(&mut place).await;
        })+
    };
}
pub(super) use keeps_the_contract;

/// Longest wait for a campaign; a lease in tests lasts a second or two.
const CAMPAIGN_DEADLINE: Duration = Duration::from_secs(30);

async fn campaign(journal: &dyn Journal) -> Box<dyn Store> {
    let campaign = tokio::time::timeout(CAMPAIGN_DEADLINE, journal.campaign());
    campaign.await.expect("a campaign is won in time").expect("a campaign without errors")
}

async fn commit(store: &mut dyn Store, records: &[Record]) {
    let epoch = store.epoch();
    store.commit(epoch, records, &[]).await.expect("committed");
}

async fn load(store: &mut dyn Store) -> History {
    store.load().await.expect("loaded")
}

/// What a new process finds, and the handle through which it was found.
async fn reopened(place: &mut impl Place, former: Box<dyn Store>) -> (Box<dyn Store>, History) {
    let epoch = former.epoch();
    drop(former);
    place.expire(epoch).await;
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let history = load(&mut *store).await;
    (store, history)
}

fn blob(job: u64, name: u8, bytes: Vec<u8>) -> Blob {
    let name = BlobName::Content(FragmentHash([name; 16]));
    Blob { key: BlobKey { job: JobId(job), name }, bytes: bytes.into() }
}

/// Bytes in which a swapped or missing piece shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 997 + at % 251) as u8).collect()
}
