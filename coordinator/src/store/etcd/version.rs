//! Whether etcd is a version without the faults that matter here.

use super::endpoints::Endpoints;

/// The first version of each line without: reads that are stale after a member was paused (fixed in 3.5.28), a
/// renewal of a revoked lease that reports success (3.5.23), and write transactions that are applied in part
/// (3.5.17). Lines before 3.5 get no fixes any more. None of them breaks S-1 to S-5 (the reads here are pinned to a
/// revision, and every write is guarded by the epoch), except the partial transaction.
const SAFE_FROM: (u32, u32, u32) = (3, 5, 28);

/// Warns if the member that answers is older than [`SAFE_FROM`]. An answer that cannot be read is not worth a word.
pub(super) async fn warn_if_old(endpoints: &Endpoints) {
    let Ok(status) = endpoints.once(|mut client| async move { client.status().await }).await else { return };
    let version = status.version().to_owned();
    if parse(&version).is_some_and(|version| version < SAFE_FROM) {
        tracing::warn!(
            version,
            "etcd is older than 3.5.28: lease renewals, reads after a pause and write transactions have known faults"
        );
    }
}

/// The numbers of `3.5.28` or `3.5.28-rc.1`.
fn parse(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.split('-').next()?.split('.').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(parse("3.4.23").expect("numbers") < SAFE_FROM);
        assert!(parse("3.5.9").expect("numbers") < SAFE_FROM);
        assert!(parse("3.5.28").expect("numbers") >= SAFE_FROM);
        assert!(parse("3.6.0-rc.1").expect("numbers") >= SAFE_FROM);
        assert_eq!(parse("unknown"), None);
    }
}
