//! A TCP proxy that loses or delays one direction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to bytes that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Answers are read and thrown away.
    LoseAnswers,
    /// Requests are kept, and delivered when the fault ends, even if the client has gone. What the client says in
    /// [`REGRETS_AFTER`], which is that it takes them back, is lost.
    DelayRequests,
}

/// Between a request and the client's impatience, which begins after two seconds.
const REGRETS_AFTER: Duration = Duration::from_secs(1);

/// A proxy in front of one server. Connections end with it.
pub(super) struct Proxy {
    pub(super) endpoint: String,
    fault: Arc<watch::Sender<Fault>>,
    /// Connections that have had a request delayed.
    delayed: Arc<AtomicU64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn before(server: String) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let endpoint = listener.local_addr().expect("an address").to_string();
        let fault = Arc::new(watch::Sender::new(Fault::None));
        let delayed = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn({
            let (fault, delayed) = (fault.clone(), delayed.clone());
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    connect(client, &server, &fault, delayed.clone()).await;
                }
            }
        });
        Proxy { endpoint, fault, delayed, accepting }
    }

    pub(super) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Requests that were delayed so far: a client that hears nothing asks once on each connection.
    pub(super) fn delayed(&self) -> u64 {
        self.delayed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(client: TcpStream, server: &str, fault: &watch::Sender<Fault>, delayed: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(requests(from_client, to_server, fault.subscribe(), delayed));
    tokio::spawn(answers(from_server, to_client, fault.subscribe()));
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut fault: watch::Receiver<Fault>,
    delayed: Arc<AtomicU64>,
) {
    let mut kept = Vec::new();
    let mut first_kept_at = None;
    let mut buffer = vec![0; 64 << 10];
    let mut open = true;
    loop {
        if *fault.borrow_and_update() != Fault::DelayRequests {
            if to.write_all(&kept).await.is_err() || (!open && first_kept_at.is_none()) {
                return;
            }
            kept.clear();
        }
        tokio::select! {
            read = from.read(&mut buffer), if open => match read {
                Ok(len @ 1..) => {
                    let delays = *fault.borrow() == Fault::DelayRequests;
                    let first = delays.then(|| {
                        *first_kept_at.get_or_insert_with(|| {
                            delayed.fetch_add(1, Ordering::Relaxed);
                            Instant::now()
                        })
                    });
                    if first.is_none_or(|first| first.elapsed() < REGRETS_AFTER) {
                        kept.extend_from_slice(&buffer[..len]);
                    }
                }
                Ok(0) | Err(_) => open = false,
            },
            // Ends with the proxy: until then the server does not learn that the client has gone.
            changed = fault.changed() => if changed.is_err() { return },
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: watch::Receiver<Fault>) {
    let mut buffer = vec![0; 64 << 10];
    let mut lost = false;
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        // A stream that has lost bytes is of no more use to its client.
        lost |= *fault.borrow() == Fault::LoseAnswers;
        if !lost && to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}
