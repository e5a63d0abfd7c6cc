//! A way from one process to another that can be cut without either of them being told.

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Passes connections on to one server. What is said while it is cut arrives when it is joined again.
pub struct Cable {
    url: String,
    joined: watch::Sender<bool>,
    _accepting: AbortOnDropHandle<()>,
}

impl Cable {
    /// To the server at `url`, `http://host:port`.
    pub async fn to(url: &str) -> Cable {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let joined = watch::Sender::new(true);
        let state = joined.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_client, to_server, state.clone()));
                tokio::spawn(pass(from_server, to_client, state.clone()));
            }
        });
        Cable { url: format!("http://{address}"), joined, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn cut(&self) {
        self.joined.send_replace(false);
    }

    pub fn join(&self) {
        self.joined.send_replace(true);
    }
}

async fn pass(
    from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut joined: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        // Either end may go at any time, and so may the test: then nobody listens.
        if from.readable().await.is_err() || joined.wait_for(|joined| *joined).await.is_err() {
            return;
        }
        let read = match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
