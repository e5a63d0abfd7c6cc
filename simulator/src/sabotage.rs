//! Mistakes that the shells make on purpose, so that tests can see whether the checkers notice.

/// One mistake. Never set outside tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The journal takes writes of every epoch.
    StoreIgnoresEpochs,
    /// Workers obey leaders of every epoch.
    WorkerIgnoresEpochs,
    /// The coordinator tells before its records are durable.
    TellBeforePersist,
    /// The location replaces a manifest that is there.
    CommitReplaces,
    /// A worker that gets a new id keeps the outputs of its former life.
    WorkerKeepsOldOutputs,
    /// A worker that comes back leaves its finished attempts out of its inventory.
    InventoryForgetsFinished,
}

impl Sabotage {
    /// Each mistake with the name it is chosen by.
    pub const ALL: [(&str, Sabotage); 6] = [
        ("store-ignores-epochs", Sabotage::StoreIgnoresEpochs),
        ("worker-ignores-epochs", Sabotage::WorkerIgnoresEpochs),
        ("tell-before-persist", Sabotage::TellBeforePersist),
        ("commit-replaces", Sabotage::CommitReplaces),
        ("worker-keeps-old-outputs", Sabotage::WorkerKeepsOldOutputs),
        ("inventory-forgets-finished", Sabotage::InventoryForgetsFinished),
    ];
}
