//! Where etcd is and how to speak to it, from a URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use windrow_model::{ErrorReport, parse_duration};

/// How long a leader that has died keeps its right. A standby takes over after it; the leader itself stops at half
/// of it. Several elections of etcd's own (about a second each) fit in.
const LEASE_TTL: Duration = Duration::from_secs(10);

/// etcd counts leases in seconds, and stretches those shorter than its own elections.
const LEASE_TTL_MIN: Duration = Duration::from_secs(1);

const EXAMPLE: &str = "write it like etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/windrow/prod";
const KEYS: &str = "ttl, user, password_file, tls, ca, cert, key, server_name";

/// Options of an etcd journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EtcdOptions {
    /// `host:port`, at least one.
    pub(crate) endpoints: Vec<String>,
    /// Begins with a slash and has none at its end. Two clusters must not share one.
    pub(crate) prefix: String,
    pub(crate) user: Option<EtcdUser>,
    pub(crate) tls: Option<EtcdTls>,
    pub(crate) lease_ttl: Duration,
    /// Who leads, for people who look at the leader key; for example the coordinator's address.
    pub(crate) identity: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EtcdUser {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// Paths of PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EtcdTls {
    /// Authorities that etcd's certificate is checked against; the system's if absent.
    pub(crate) ca: Option<PathBuf>,
    /// The client's own certificate and key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// The name in etcd's certificate, if it is not the host of the endpoint.
    pub(crate) server_name: Option<String>,
}

impl fmt::Debug for EtcdUser {
    /// Never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the query of a URL says, before it is checked.
#[derive(Default)]
struct Query {
    ttl: Option<Duration>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    tls: bool,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    server_name: Option<String>,
}

impl EtcdOptions {
    /// Reads `etcd://host:port,…/prefix?key=value&…`. The keys are `ttl` (`10s`), `user` and `password_file`,
    /// `tls` (`true`), `ca`, `cert`, `key` (PEM files) and `server_name`. Paths cannot hold `&`.
    /// A password is read from its file, never from the URL, which everyone on the machine can see.
    pub(crate) fn parse(url: &str) -> Result<EtcdOptions, ErrorReport> {
        let invalid = |detail: String| {
            ErrorReport::invalid(format!("cannot use the store `{}`", shown(url)))
                .with_detail(detail)
                .with_hint(EXAMPLE)
        };
        let rest = url.strip_prefix("etcd://").ok_or_else(|| invalid("it does not begin with `etcd://`".into()))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, prefix) = place.split_once('/').unwrap_or((place, ""));
        let endpoints = endpoints(hosts).map_err(invalid)?;
        let prefix = prefix.trim_matches('/');
        if prefix.is_empty() {
            return Err(invalid("it has no prefix, which keeps clusters apart".into()));
        }
        let query = Query::parse(query).map_err(invalid)?;
        Ok(EtcdOptions {
            endpoints,
            prefix: format!("/{prefix}"),
            lease_ttl: query.ttl.unwrap_or(LEASE_TTL),
            tls: query.tls().map_err(invalid)?,
            user: query.user().map_err(invalid)?,
            identity: format!("process {}", std::process::id()),
        })
    }

    /// Says who this is to people who look at the leader key.
    pub(crate) fn with_identity(mut self, identity: impl Into<String>) -> EtcdOptions {
        self.identity = identity.into();
        self
    }
}

/// The URL without what stands in front of its hosts, which may be a password.
fn shown(url: &str) -> String {
    match url.split_once('@') {
        Some((_, place)) => format!("…@{place}"),
        None => url.to_owned(),
    }
}

fn endpoints(hosts: &str) -> Result<Vec<String>, String> {
    if hosts.contains('@') {
        return Err("a user goes into `user`, and the password into a file named by `password_file`".into());
    }
    let endpoint = |host: &str| match host.rsplit_once(':').map(|(name, port)| (name, port.parse::<u16>())) {
        Some((name, Ok(_))) if !name.is_empty() => Ok(host.to_owned()),
        _ => Err(format!("`{host}` is not a host and port")),
    };
    hosts.split(',').map(endpoint).collect()
}

impl Query {
    fn parse(text: &str) -> Result<Query, String> {
        let mut query = Query::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` has no value"))?;
            match key {
                "ttl" => query.ttl = Some(ttl(value)?),
                "user" => query.user = Some(value.to_owned()),
                "password_file" => query.password_file = Some(value.into()),
                "tls" => query.tls = value.parse().map_err(|_| format!("`tls` is `{value}`, not true or false"))?,
                "ca" => query.ca = Some(value.into()),
                "cert" => query.cert = Some(value.into()),
                "key" => query.key = Some(value.into()),
                "server_name" => query.server_name = Some(value.to_owned()),
                _ => return Err(format!("`{key}` is no option; there are {KEYS}")),
            }
        }
        Ok(query)
    }

    fn tls(&self) -> Result<Option<EtcdTls>, String> {
        let identity = match (self.cert.clone(), self.key.clone()) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err("`cert` and `key` go together".into()),
        };
        let tls = EtcdTls { ca: self.ca.clone(), identity, server_name: self.server_name.clone() };
        Ok((self.tls || tls != EtcdTls::default()).then_some(tls))
    }

    fn user(self) -> Result<Option<EtcdUser>, String> {
        match (self.user, self.password_file) {
            (Some(name), Some(path)) => {
                let password =
                    std::fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
                Ok(Some(EtcdUser { name, password: password.trim_end_matches(['\r', '\n']).to_owned() }))
            }
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err("`user` and `password_file` go together".into()),
        }
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = parse_duration(text).map_err(|error| format!("`ttl`: {error}"))?;
    if ttl < LEASE_TTL_MIN || ttl.subsec_nanos() != 0 {
        return Err(format!("`ttl` is {text}; it must be whole seconds, at least one"));
    }
    Ok(ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_url_has_defaults_for_the_rest() {
        let options = EtcdOptions::parse("etcd://a:2379,b:2380/windrow/prod/").expect("valid");
        assert_eq!(options.endpoints, ["a:2379", "b:2380"]);
        assert_eq!((options.prefix.as_str(), options.lease_ttl), ("/windrow/prod", LEASE_TTL));
        assert_eq!((options.user, options.tls), (None, None));
    }

    #[test]
    fn a_password_comes_from_its_file_and_is_never_shown() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("password");
        std::fs::write(&path, "secret\n").expect("written");
        let url = format!("etcd://a:1/w?ttl=5s&user=windrow&password_file={}&ca=/ca.pem", path.display());
        let options = EtcdOptions::parse(&url).expect("valid");
        let user = options.user.clone().expect("a user");
        assert_eq!((user.name.as_str(), user.password.as_str()), ("windrow", "secret"));
        assert!(!format!("{options:?}").contains("secret"));
        assert_eq!(options.lease_ttl, Duration::from_secs(5));
        assert_eq!(options.tls, Some(EtcdTls { ca: Some("/ca.pem".into()), ..EtcdTls::default() }));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (url, detail) in [
            ("redis://a:1/w", "it does not begin with `etcd://`"),
            ("etcd://a:1", "it has no prefix, which keeps clusters apart"),
            ("etcd://a/w", "`a` is not a host and port"),
            ("etcd://a:1,/w", "`` is not a host and port"),
            (
                "etcd://me:secret@a:1/w",
                "a user goes into `user`, and the password into a file named by `password_file`",
            ),
            ("etcd://a:1/w?ttl=500ms", "`ttl` is 500ms; it must be whole seconds, at least one"),
            (
                "etcd://a:1/w?colour=red",
                "`colour` is no option; there are ttl, user, password_file, tls, ca, cert, key, server_name",
            ),
            ("etcd://a:1/w?cert=/c", "`cert` and `key` go together"),
            ("etcd://a:1/w?user=me", "`user` and `password_file` go together"),
            ("etcd://a:1/w?tls=maybe", "`tls` is `maybe`, not true or false"),
        ] {
            let report = EtcdOptions::parse(url).expect_err(url);
            assert_eq!(report.detail, detail);
            assert!(!report.what.contains("secret"), "{report}");
        }
    }
}
