//! Calls to etcd: one member at a time, each call with a deadline, each failure with what it means.
//!
//! The client library's balancer would send some calls to a member that is stopped; here a member that fails a call
//! is left for the next one, and the call's failure says whether it may have had an effect.

use std::error::Error as _;
use std::future::Future;
use std::time::{Duration, Instant};

use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity, TlsOptions};
use parking_lot::Mutex;
use tonic::Code;
use windrow_model::{ErrorKind, ErrorReport};

use super::super::StoreError;
use super::options::{EtcdOptions, EtcdTls};

/// A member that does not answer in this time is left for another. Longer than an fsync on a slow disk, and short
/// enough that all three members can be tried within [`PATIENCE`].
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one operation is repeated before its caller hears of it. Covers an election of etcd's own.
const PATIENCE: Duration = Duration::from_secs(8);

/// First wait before a call is repeated; doubled on each repetition.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// Pings on a connection that is idle or waits, so that a silent break is noticed within two of them.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// The members of one etcd cluster.
pub(super) struct Endpoints {
    urls: Vec<String>,
    options: ConnectOptions,
    members: Mutex<Members>,
}

struct Members {
    /// The member that calls go to.
    current: usize,
    client: Option<Client>,
}

/// Why one call did not succeed.
#[derive(Clone, Debug)]
pub(super) enum CallError {
    /// etcd has not seen it.
    NotSent(String),
    /// etcd may have done it, or may still do it.
    InDoubt(String),
    /// etcd has answered that it does not do it.
    Refused { code: Code, message: String },
    /// The lease is gone.
    NoLease,
}

/// The answer to a call that was repeated until there was one.
#[derive(Clone, Debug)]
pub(super) struct Answer<T> {
    pub(super) value: T,
    /// A former call of the same went unanswered: it may still have its effect.
    pub(super) in_doubt: bool,
}

/// Why an operation did not succeed although it was repeated.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// One of the calls may have had its effect, or may still have it.
    pub(super) in_doubt: bool,
    pub(super) last: CallError,
}

impl Endpoints {
    /// Reads the PEM files; connects to nobody yet.
    pub(super) fn new(options: &EtcdOptions) -> Result<Endpoints, ErrorReport> {
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(REQUEST_TIMEOUT)
            .with_keep_alive(PING_INTERVAL, PING_INTERVAL)
            .with_auto_token_refresh(true);
        if let Some(user) = &options.user {
            connect = connect.with_user(&user.name, &user.password);
        }
        if let Some(tls) = &options.tls {
            connect = connect.with_tls(tls_options(tls)?);
        }
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let urls = options.endpoints.iter().map(|endpoint| format!("{scheme}://{endpoint}")).collect();
        Ok(Endpoints { urls, options: connect, members: Mutex::new(Members { current: 0, client: None }) })
    }

    /// One call to one member. After a failure, the next call goes to another member.
    pub(super) async fn once<T, Call: Future<Output = Result<T, Error>>>(
        &self,
        call: impl FnOnce(Client) -> Call,
    ) -> Result<T, CallError> {
        let (member, client) = self.client().await?;
        let outcome = tokio::time::timeout(REQUEST_TIMEOUT, call(client)).await;
        let error = match outcome {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => CallError::of(error),
            Err(_) => CallError::InDoubt(format!("no answer from {} within {REQUEST_TIMEOUT:?}", self.urls[member])),
        };
        if error.blames_member() {
            self.leave(member);
        }
        Err(error)
    }

    /// Repeats a call until it succeeds, is refused, or [`PATIENCE`] has ended. For calls that may be done twice.
    pub(super) async fn repeat<T, Call: Future<Output = Result<T, Error>>>(
        &self,
        call: impl Fn(Client) -> Call,
    ) -> Result<T, Failure> {
        self.insist(call).await.map(|answer| answer.value)
    }

    /// Like [`Endpoints::repeat`], for calls whose late effect matters.
    pub(super) async fn insist<T, Call: Future<Output = Result<T, Error>>>(
        &self,
        call: impl Fn(Client) -> Call,
    ) -> Result<Answer<T>, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut backoff = BACKOFF_MIN;
        let mut in_doubt = false;
        loop {
            let last = match self.once(&call).await {
                Ok(value) => return Ok(Answer { value, in_doubt }),
                Err(error) => error,
            };
            in_doubt |= matches!(last, CallError::InDoubt(_));
            if last.is_final() || Instant::now() + backoff >= deadline {
                return Err(Failure { in_doubt, last });
            }
            tracing::debug!(error = %last.text(), "a call to etcd is repeated");
            tokio::time::sleep(backoff).await;
            backoff = BACKOFF_MAX.min(backoff * 2);
        }
    }

    async fn client(&self) -> Result<(usize, Client), CallError> {
        let current = {
            let members = self.members.lock();
            if let Some(client) = &members.client {
                return Ok((members.current, client.clone()));
            }
            members.current
        };
        let connect = Client::connect([&self.urls[current]], Some(self.options.clone()));
        let connected = tokio::time::timeout(REQUEST_TIMEOUT, connect).await;
        let error = match connected {
            Ok(Ok(client)) => {
                let mut members = self.members.lock();
                if members.current == current {
                    members.client = Some(client.clone());
                }
                return Ok((current, client));
            }
            Ok(Err(error)) => CallError::of(error).before_sending(),
            Err(_) => CallError::NotSent(format!("no connection to {} within {REQUEST_TIMEOUT:?}", self.urls[current])),
        };
        self.leave(current);
        Err(error)
    }

    /// Turns to the next member, unless somebody else has done so.
    fn leave(&self, member: usize) {
        let mut members = self.members.lock();
        if members.current == member {
            *members = Members { current: (member + 1) % self.urls.len(), client: None };
        }
    }
}

fn tls_options(tls: &EtcdTls) -> Result<TlsOptions, ErrorReport> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| {
            ErrorReport::invalid(format!("cannot read `{}`", path.display())).with_detail(error.to_string())
        })
    };
    let mut options = match &tls.ca {
        Some(ca) => TlsOptions::new().ca_certificate(Certificate::from_pem(read(ca)?)),
        None => TlsOptions::new().with_native_roots(),
    };
    if let Some((cert, key)) = &tls.identity {
        options = options.identity(Identity::from_pem(read(cert)?, read(key)?));
    }
    if let Some(name) = &tls.server_name {
        options = options.domain_name(name);
    }
    Ok(options)
}

impl CallError {
    fn of(error: Error) -> CallError {
        match error {
            Error::GRpcStatus(status) => CallError::of_status(&status),
            Error::LeaseKeepAliveError(message) if message.contains("not found") => CallError::NoLease,
            Error::TransportError(error) => CallError::NotSent(chain(&error)),
            Error::InvalidArgs(message) => CallError::Refused { code: Code::InvalidArgument, message },
            Error::InvalidUri(error) => CallError::Refused { code: Code::InvalidArgument, message: error.to_string() },
            // The rest is about streams and bytes that arrived: whatever was asked may have been done.
            error => CallError::InDoubt(error.to_string()),
        }
    }

    fn of_status(status: &tonic::Status) -> CallError {
        let message = if status.message().is_empty() { chain(status) } else { status.message().to_owned() };
        match status.code() {
            // Sent by a member that has not applied a transaction which this client knows of.
            Code::OutOfRange if message.contains("future revision") => CallError::NotSent(message),
            // Sent before the request becomes a proposal.
            Code::ResourceExhausted if message.contains("too many requests") => CallError::NotSent(message),
            Code::NotFound if message.contains("lease not found") => CallError::NoLease,
            // What etcd says of a wrong password, and of no user at all where one is needed.
            Code::InvalidArgument if message.contains("authentication failed") || message.contains("user name") => {
                CallError::Refused { code: Code::Unauthenticated, message }
            }
            code @ (Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated) => CallError::Refused { code, message },
            Code::Unavailable if never_connected(status) => CallError::NotSent(chain(status)),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => CallError::InDoubt(message),
        }
    }

    /// The same failure of a call that came before the one that was wanted.
    fn before_sending(self) -> CallError {
        match self {
            CallError::InDoubt(message) => CallError::NotSent(message),
            CallError::NotSent(_) | CallError::Refused { .. } | CallError::NoLease => self,
        }
    }

    fn blames_member(&self) -> bool {
        match self {
            CallError::NotSent(_) | CallError::InDoubt(_) => true,
            CallError::Refused { .. } | CallError::NoLease => false,
        }
    }

    /// Repeating it gives the same answer.
    fn is_final(&self) -> bool {
        match self {
            CallError::NotSent(_) | CallError::InDoubt(_) => false,
            CallError::Refused { .. } | CallError::NoLease => true,
        }
    }

    /// The wanted revision is no longer kept.
    pub(super) fn is_compacted(&self) -> bool {
        match self {
            CallError::Refused { code, message } => *code == Code::OutOfRange && message.contains("compacted"),
            CallError::NotSent(_) | CallError::InDoubt(_) | CallError::NoLease => false,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            CallError::NotSent(message) | CallError::InDoubt(message) => message.clone(),
            CallError::Refused { message, .. } => message.clone(),
            CallError::NoLease => "the lease is gone".to_owned(),
        }
    }
}

/// The request did not leave: there was no connection.
fn never_connected(status: &tonic::Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// An error with its causes: tonic's own text for all of them is "transport error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        source = error.source();
    }
    text
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        let report = failure.report();
        if failure.in_doubt { StoreError::Unknown(report) } else { StoreError::Unavailable(report) }
    }
}

impl Failure {
    /// For an operation whose effect does not matter, such as a read: it has not succeeded, and that is all.
    pub(super) fn unavailable(self) -> StoreError {
        StoreError::Unavailable(self.report())
    }

    fn report(&self) -> ErrorReport {
        let full = "database space exceeded";
        let (kind, hint) = match &self.last {
            CallError::Refused { message, .. } if message.contains(full) => {
                (ErrorKind::Exhausted, "compact and defragment etcd, then disarm its alarm (docs/OPERATING.md)")
            }
            CallError::Refused { code: Code::Unauthenticated, .. } => {
                (ErrorKind::Unauthenticated, "check `user` and `password_file` in the store's URL")
            }
            CallError::Refused { code: Code::PermissionDenied, .. } => {
                (ErrorKind::PermissionDenied, "the user needs read and write on the prefix in the store's URL")
            }
            CallError::Refused { .. } => (ErrorKind::Internal, "this is a bug in Windrow; please report it"),
            CallError::NotSent(_) | CallError::InDoubt(_) | CallError::NoLease => {
                (ErrorKind::Unavailable, "check that a majority of etcd's members can be reached")
            }
        };
        ErrorReport::new(kind, "etcd did not take part in an operation").with_detail(self.last.text()).with_hint(hint)
    }
}
