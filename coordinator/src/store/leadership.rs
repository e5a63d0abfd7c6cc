//! Whether this process may still act as the leader.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The leader's right as this process knows it. Once lost, it stays lost: the shell may have acted on it.
///
/// Reads the monotonic clock when asked, so a process that was stopped past its deadline knows it at once.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    right: Mutex<Right>,
    /// Told when a deadline moves or the right ends.
    changed: Notify,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Right {
    /// Nobody else can take over while this process holds the journal.
    Exclusive,
    Until(Instant),
    Lost(String),
}

impl Right {
    /// A deadline that has passed ends the right for good.
    fn settle(&mut self) {
        if let Right::Until(deadline) = *self
            && Instant::now() >= deadline
        {
            *self = Right::Lost("the lease was not renewed in time".to_owned());
        }
    }
}

impl Leadership {
    /// A right that only ends by [`Leadership::end`].
    pub(super) fn exclusive() -> Leadership {
        Leadership::new(Right::Exclusive)
    }

    /// A right that ends at `deadline` unless it is extended before.
    #[cfg(any(feature = "etcd", test))]
    pub(super) fn until(deadline: Instant) -> Leadership {
        Leadership::new(Right::Until(deadline))
    }

    fn new(right: Right) -> Leadership {
        Leadership { shared: Arc::new(Shared { right: Mutex::new(right), changed: Notify::new() }) }
    }

    /// Moves the deadline. Returns false if the right has ended before: it cannot be brought back.
    #[cfg(any(feature = "etcd", test))]
    pub(super) fn extend(&self, deadline: Instant) -> bool {
        let mut right = self.shared.right.lock();
        right.settle();
        match &mut *right {
            Right::Exclusive => true,
            Right::Until(until) => {
                *until = deadline.max(*until);
                true
            }
            Right::Lost(_) => false,
        }
    }

    /// Ends the right, with the reason that [`Leadership::lost`] gives.
    pub(super) fn end(&self, why: &str) {
        let mut right = self.shared.right.lock();
        if !matches!(*right, Right::Lost(_)) {
            *right = Right::Lost(why.to_owned());
        }
        drop(right);
        self.shared.changed.notify_waiters();
    }

    pub(crate) fn is_leading(&self) -> bool {
        self.ended().is_none()
    }

    /// Resolves when the right has ended, with the reason.
    pub(crate) async fn lost(&self) -> String {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the right is looked at, so that an end in between is not missed.
            changed.as_mut().enable();
            if let Some(why) = self.ended() {
                return why;
            }
            match self.deadline() {
                Some(deadline) => {
                    // An extension is noticed when the old deadline passes.
                    let _ = tokio::time::timeout_at(deadline.into(), changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// Why the right has ended, if it has.
    fn ended(&self) -> Option<String> {
        let mut right = self.shared.right.lock();
        right.settle();
        match &*right {
            Right::Exclusive | Right::Until(_) => None,
            Right::Lost(why) => Some(why.clone()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match *self.shared.right.lock() {
            Right::Until(deadline) => Some(deadline),
            Right::Exclusive | Right::Lost(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LATER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_right_that_is_not_extended_is_lost_at_its_deadline() {
        let leadership = Leadership::until(Instant::now() + SOON);
        assert!(leadership.lost().await.contains("not renewed"));
        assert!(!leadership.is_leading());
    }

    #[tokio::test]
    async fn a_lost_right_cannot_be_extended() {
        let leadership = Leadership::until(Instant::now());
        assert!(!leadership.extend(Instant::now() + LATER));
        assert!(!leadership.is_leading());
    }

    #[tokio::test]
    async fn an_extension_moves_the_deadline_of_those_who_wait() {
        let leadership = Leadership::until(Instant::now() + SOON);
        let waiter = tokio::spawn({
            let leadership = leadership.clone();
            async move { leadership.lost().await }
        });
        assert!(leadership.extend(Instant::now() + LATER));
        leadership.end("resigned");
        assert_eq!(waiter.await.expect("no panic"), "resigned");
    }

    #[tokio::test]
    async fn an_exclusive_right_ends_only_when_told() {
        let leadership = Leadership::exclusive();
        assert!(leadership.is_leading());
        leadership.end("closed");
        leadership.end("closed again");
        assert_eq!(leadership.lost().await, "closed");
    }
}
