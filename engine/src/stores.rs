//! Object stores by URL, made on first use, and the meaning of a location as a user writes it.

mod location;
mod report;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use parking_lot::Mutex;
use url::Url;
use windrow_model::{ErrorKind, ErrorReport};

pub use location::{display_location, local_path, object_path, resolve_location, store_url};
pub(crate) use report::io_kind;
pub use report::store_report;

/// Retries of one request; with the backoff below a wrong endpoint fails after about three seconds.
const RETRIES_MAX: usize = 4;
/// After this long a request is not tried again, whatever the count of retries.
const RETRY_SPAN: Duration = Duration::from_secs(30);
/// A server that does not even accept a connection is named to the user quickly.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One request, body included: a 64 MiB range at 1 MiB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(64);
/// What S3-compatible servers without regions expect to see signed.
const REGION_DEFAULT: &str = "us-east-1";

/// The object stores of a process: `file://` and `s3://bucket`, made on first use from the `AWS_…` variables.
///
/// Registered in DataFusion's runtime, so that plans and Windrow's own sinks use the same connections.
pub struct Stores {
    local: Arc<LocalFileSystem>,
    buckets: Mutex<HashMap<String, Arc<AmazonS3>>>,
    /// Stores registered by hand (tests, embedding programs) take precedence; keyed by scheme and host.
    registered: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Stores {
    /// Nothing is read from the environment before the first location needs it.
    pub fn from_env() -> Arc<Stores> {
        Arc::new(Stores {
            local: Arc::new(LocalFileSystem::new()),
            buckets: Mutex::new(HashMap::new()),
            registered: Mutex::new(HashMap::new()),
        })
    }

    /// The store that holds `url`.
    pub fn get(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, ErrorReport> {
        if let Some(store) = self.registered.lock().get(&store_key(url)) {
            return Ok(Arc::clone(store));
        }
        match url.scheme() {
            "file" => Ok(Arc::clone(&self.local) as _),
            "s3" => Ok(self.bucket(url)? as _),
            scheme => Err(unsupported_scheme(scheme, url.as_str())),
        }
    }

    /// The concrete S3 client of `url`'s bucket, for multipart uploads; `None` if the location is not on S3.
    pub fn s3(&self, url: &Url) -> Result<Option<Arc<AmazonS3>>, ErrorReport> {
        if url.scheme() == "s3" { self.bucket(url).map(Some) } else { Ok(None) }
    }

    fn bucket(&self, url: &Url) -> Result<Arc<AmazonS3>, ErrorReport> {
        let Some(bucket) = url.host_str() else {
            return Err(ErrorReport::invalid(format!("`{url}` names no bucket")).with_hint("write `s3://bucket/path`"));
        };
        let mut buckets = self.buckets.lock();
        if let Some(store) = buckets.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(open_bucket(bucket)?);
        buckets.insert(bucket.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

fn open_bucket(bucket: &str) -> Result<AmazonS3, ErrorReport> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retries());
    let configured = |key| builder.get_config_value(&key);
    let endpoint = configured(AmazonS3ConfigKey::S3Endpoint).or_else(|| configured(AmazonS3ConfigKey::Endpoint));
    let region = configured(AmazonS3ConfigKey::Region).or_else(|| configured(AmazonS3ConfigKey::DefaultRegion));
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) || is_true("AWS_ALLOW_HTTP");
    if region.is_none() {
        builder = builder.with_region(REGION_DEFAULT);
    }
    let client =
        ClientOptions::new().with_allow_http(plain).with_connect_timeout(CONNECT_TIMEOUT).with_timeout(REQUEST_TIMEOUT);
    builder.with_client_options(client).build().map_err(|error| {
        ErrorReport::invalid(format!("bucket `{bucket}` cannot be opened"))
            .with_detail(error.to_string())
            .with_hint("check the AWS_… environment variables of this process")
    })
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        ..BackoffConfig::default()
    };
    RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRY_SPAN }
}

fn is_true(variable: &str) -> bool {
    std::env::var(variable)
        .is_ok_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"))
}

fn store_key(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.authority())
}

fn unsupported_scheme(scheme: &str, location: &str) -> ErrorReport {
    let hint = match scheme {
        "s3a" | "s3n" => "write `s3://` instead",
        _ => "locations are local paths, `file://` and `s3://` URLs",
    };
    ErrorReport::new(ErrorKind::Unsupported, format!("`{location}` cannot be reached: no store for `{scheme}://`"))
        .with_hint(hint)
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("buckets", &self.buckets.lock().keys().collect::<Vec<_>>()).finish()
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.registered.lock().insert(store_key(url), store)
    }

    fn get_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        self.get(url).map_err(|report| DataFusionError::External(Box::new(report)))
    }
}
