//! Makes every read of an input file ask for the version that was planned.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use url::Url;
use windrow_model::ErrorReport;

/// An input file is not the one that was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputChanged {
    pub path: String,
}

impl fmt::Display for InputChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the input file `{}` was replaced or changed after the job was planned", self.path)
    }
}

impl std::error::Error for InputChanged {}

/// What a store said when a file could not be read. DataFusion keeps only the text of an error that it meets while it
/// fetches a Parquet footer, which then looks like a damaged file.
#[derive(Debug, Default)]
pub struct ReadTrouble {
    newest: Mutex<Option<ErrorReport>>,
}

impl ReadTrouble {
    /// The newest error of a store that a read of this attempt has met.
    pub fn newest(&self) -> Option<ErrorReport> {
        self.newest.lock().clone()
    }

    fn note(&self, error: object_store::Error) -> object_store::Error {
        *self.newest.lock() = Some(crate::errors::store_failure(&error));
        error
    }
}

/// The runtime of one attempt, in which the files that `plan` scans can only be read as they were planned.
/// A read of another version fails with [`object_store::Error::Precondition`] around [`InputChanged`].
pub fn pin_inputs(
    runtime: &Arc<RuntimeEnv>,
    plan: &Arc<dyn ExecutionPlan>,
    trouble: &Arc<ReadTrouble>,
) -> datafusion::common::Result<Arc<RuntimeEnv>> {
    let mut pins: HashMap<String, HashMap<Path, ObjectMeta>> = HashMap::new();
    plan.apply(|node| {
        if let Some(scan) = file_scan(node) {
            let files = scan.file_groups.iter().flat_map(|group| group.iter());
            let pinned = pins.entry(scan.object_store_url.as_str().to_owned()).or_default();
            pinned.extend(files.map(|file| (file.object_meta.location.clone(), file.object_meta.clone())));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if pins.is_empty() {
        return Ok(Arc::clone(runtime));
    }
    let pins = pins.into_iter().map(|(store, files)| (store, Arc::new(files))).collect();
    let inner = Arc::clone(&runtime.object_store_registry);
    let registry = PinnedRegistry { inner, pins, trouble: Arc::clone(trouble) };
    Ok(Arc::new(RuntimeEnv { object_store_registry: Arc::new(registry), ..RuntimeEnv::clone(runtime) }))
}

fn file_scan(node: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    let source = node.downcast_ref::<DataSourceExec>()?;
    source.data_source().downcast_ref::<FileScanConfig>()
}

type Pins = Arc<HashMap<Path, ObjectMeta>>;

#[derive(Debug)]
struct PinnedRegistry {
    inner: Arc<dyn ObjectStoreRegistry>,
    /// Planned files by store URL (with its trailing slash) and path.
    pins: HashMap<String, Pins>,
    trouble: Arc<ReadTrouble>,
}

impl ObjectStoreRegistry for PinnedRegistry {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.inner.register_store(url, store)
    }

    fn get_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        let inner = self.inner.get_store(url)?;
        let key = format!("{}://{}/", url.scheme(), url.authority());
        Ok(match self.pins.get(&key) {
            Some(pins) => Arc::new(PinnedStore {
                inner,
                pins: Arc::clone(pins),
                local: url.scheme() == "file",
                trouble: Arc::clone(&self.trouble),
            }),
            None => inner,
        })
    }
}

/// Adds the planned version to every read. Remote stores check it themselves, for each request; of a local file the
/// size and the time of change are looked at first.
#[derive(Debug)]
struct PinnedStore {
    inner: Arc<dyn ObjectStore>,
    pins: Pins,
    local: bool,
    trouble: Arc<ReadTrouble>,
}

impl PinnedStore {
    async fn get_planned(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        let Some(planned) = self.pins.get(location) else {
            return self.inner.get_opts(location, options).await;
        };
        if self.local {
            self.check_local(location, planned).await?;
        } else if options.if_match.is_none() {
            options.if_match.clone_from(&planned.e_tag);
        }
        let got = self.inner.get_opts(location, options).await;
        got.map_err(|error| match error {
            object_store::Error::Precondition { .. } => changed(location),
            other => other,
        })
    }

    async fn get_planned_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.pins.get(location) {
            // One look for all ranges: the local store then reads them from one open file.
            Some(planned) if self.local => {
                self.check_local(location, planned).await?;
                self.inner.get_ranges(location, ranges).await
            }
            Some(_) => {
                let fetch = |range| self.get_range(location, range);
                object_store::coalesce_ranges(ranges, fetch, object_store::OBJECT_STORE_COALESCE_DEFAULT).await
            }
            None => self.inner.get_ranges(location, ranges).await,
        }
    }

    async fn check_local(&self, location: &Path, planned: &ObjectMeta) -> Result<()> {
        let found = self.inner.head(location).await?;
        if found.size == planned.size && found.last_modified == planned.last_modified {
            return Ok(());
        }
        Err(changed(location))
    }
}

fn changed(location: &Path) -> object_store::Error {
    let path = location.to_string();
    object_store::Error::Precondition { path: path.clone(), source: Box::new(InputChanged { path }) }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for PinnedStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let got = self.get_planned(location, options).await.map_err(|error| self.trouble.note(error))?;
        Ok(match got.payload {
            GetResultPayload::Stream(bytes) => {
                let trouble = Arc::clone(&self.trouble);
                let bytes = bytes.map_err(move |error| trouble.note(error)).boxed();
                GetResult { payload: GetResultPayload::Stream(bytes), ..got }
            }
            GetResultPayload::File(..) => got,
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.get_planned_ranges(location, ranges).await.map_err(|error| self.trouble.note(error))
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
