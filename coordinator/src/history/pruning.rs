//! Looks at the location from time to time: what others have written is found, and what is too old is removed.

use std::time::Duration;

use tokio::time::sleep;

use super::archive::Archive;

/// Between two looks; a short retention is looked after more often.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);
/// Looks in a retention.
const LOOKS_IN_RETENTION: u32 = 10;
/// After a look that failed.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Never ends by itself.
pub(super) async fn keep_up(archive: Archive) {
    let every = (archive.retention() / LOOKS_IN_RETENTION).clamp(LOOK_EVERY_MIN, LOOK_EVERY);
    let mut failed = false;
    loop {
        let pause = match archive.look_and_prune().await {
            Ok(removed) => {
                if removed > 0 {
                    tracing::info!(jobs = removed, "old history removed");
                }
                failed = false;
                every
            }
            Err(report) => {
                // Once, until it works again.
                if !failed {
                    tracing::warn!(error = %report, "the history cannot be read or pruned; it is tried again");
                }
                failed = true;
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = archive.crowded() => {}
        }
    }
}
