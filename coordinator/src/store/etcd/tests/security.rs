//! Users and TLS.

use windrow_model::ErrorKind;

use super::super::options::{EtcdTls, EtcdUser};
use super::cluster::Transport;
use super::*;

fn user(password: &str) -> Option<EtcdUser> {
    Some(EtcdUser { name: "root".into(), password: password.into() })
}

#[tokio::test]
async fn a_user_gets_in_with_its_password_only() {
    let Some(cluster) = Cluster::start(1).await else { return };
    let mut client = cluster.client().await;
    client.role_add("root").await.expect("a role");
    client.user_add("root", "right", None).await.expect("a user");
    client.user_grant_role("root", "root").await.expect("granted");
    client.auth_enable().await.expect("enabled");
    let with = |user| EtcdOptions { user, ..options(cluster.endpoints(), "/w") };
    let mut store = journal(&with(user("right"))).campaign().await.expect("leads");
    commit(&mut *store, &[job_submitted(1)]).await;
    assert_eq!(records(&mut *store).await, [job_submitted(1)]);
    for user in [user("wrong"), None] {
        let error = journal(&with(user.clone())).campaign().await.err().expect("refused");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let kinds = [ErrorKind::Unauthenticated, ErrorKind::PermissionDenied, ErrorKind::Invalid];
        assert!(kinds.contains(&error.report().kind), "{user:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_client_gets_in_over_tls_with_its_certificate_only() {
    let dir = tempfile::tempdir().expect("a folder");
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let Some(cluster) = Cluster::start_with(1, Transport::Tls { cert: &cert, key: &key }).await else { return };
    let with = |identity| {
        let tls = EtcdTls { ca: Some(cert.clone()), identity, server_name: None };
        EtcdOptions { tls: Some(tls), ..options(cluster.endpoints(), "/w") }
    };
    let mut store = journal(&with(Some((cert.clone(), key)))).campaign().await.expect("leads");
    commit(&mut *store, &[job_submitted(1)]).await;
    assert_eq!(records(&mut *store).await, [job_submitted(1)]);
    let error = journal(&with(None)).campaign().await.err().expect("refused");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
