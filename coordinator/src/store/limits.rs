//! What a journal takes. The same for every store, so that a job which runs on a laptop also runs on a cluster.

/// Largest blob. A fragment is a plan, not data; the splits of a step list files, about 200 bytes each.
pub(crate) const BLOB_BYTES_MAX: u64 = 64 << 20;

/// Largest commit, with its blobs. Eight times the largest message of the control plane
/// (`windrow_proto::CONTROL_MESSAGE_BYTES_MAX`), which bounds a job's script; an eighth of etcd's default space quota
/// of 2 GiB.
pub(crate) const COMMIT_BYTES_MAX: u64 = 256 << 20;
