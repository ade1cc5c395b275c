//! Connections from accept to end: how many at once, how long one is kept that is silent or takes no
//! answer, and their graceful end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::impatient::Impatient;
use crate::listener::{Peer, Tls};

/// Longest time from the end of an answer, or from the connection's begin, to the end of the next
/// request's headers: slow headers and idle connections end with it.
const HEADERS: Duration = Duration::from_secs(30);
/// Longest time in which a client takes nothing of an answer.
const ANSWER: Duration = Duration::from_secs(60);
/// Longest time a client may take to agree on encryption.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// How often the log says at most that the limit of connections is reached.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What every connection is served with.
#[derive(Clone)]
struct Served {
    router: Router,
    tls: Option<Tls>,
    headers: Duration,
    answer: Duration,
    closing: CancellationToken,
}

/// Accepts connections until `closing` is cancelled, then waits for the requests in flight. At
/// `connections_max` new clients wait until a connection ends; idle ones do within [`HEADERS`], and those
/// that take no answer within [`ANSWER`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    connections_max: usize,
    closing: CancellationToken,
) {
    let served = Served { router, tls, headers: HEADERS, answer: ANSWER, closing };
    accept(listener, served, connections_max).await;
}

async fn accept(listener: TcpListener, served: Served, connections_max: usize) {
    let places = Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let tasks = TaskTracker::new();
    let mut warned: Option<std::time::Instant> = None;
    loop {
        if places.available_permits() == 0 && warned.is_none_or(|at| at.elapsed() > WARN_EVERY) {
            warned = Some(std::time::Instant::now());
            tracing::warn!(
                "{connections_max} connections are open, the most that the limit of open files \
                 allows: new clients wait; raise it (ulimit -n) if this goes on"
            );
        }
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = served.closing.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let served = served.clone();
                tasks.spawn(async move {
                    connection(stream, peer, served).await;
                    drop(place);
                });
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // New clients are refused from here on.
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Whether the client was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(stream: TcpStream, peer: SocketAddr, served: Served) {
    // Answers are written whole: waiting to fill packets only adds latency.
    let _ = stream.set_nodelay(true);
    let stream = Impatient::new(stream, served.answer);
    let Some(tls) = &served.tls else { return requests(stream, peer, &served).await };
    // Handshakes run beside each other, so that a slow or silent client keeps nobody waiting.
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream)) => agreed,
        () = served.closing.cancelled() => return,
    };
    match agreed {
        Ok(Ok(stream)) => requests(stream, peer, &served).await,
        Ok(Err(error)) => tracing::debug!("{peer} did not agree on TLS: {error}"),
        Err(_) => tracing::debug!("{peer} took too long to agree on TLS"),
    }
}

async fn requests<S>(stream: S, peer: SocketAddr, served: &Served)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(served.router.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(served.headers);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = served.closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("the connection of {peer} ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn start(
        connections_max: usize,
    ) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closing = CancellationToken::new();
        let served = Served {
            router: Router::new()
                .route("/", get(async || "here"))
                .route("/large", get(async || "x".repeat(64 * 1024 * 1024))),
            tls: None,
            headers: Duration::from_millis(300),
            answer: Duration::from_millis(300),
            closing: closing.clone(),
        };
        let server = tokio::spawn(accept(listener, served, connections_max));
        (address, closing, server)
    }

    async fn all(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A connection that is cut while it was written to ends with an error.
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn slow_headers_and_idle_connections_end_and_make_place() {
        let (address, closing, server) = start(2).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // Both places are taken: this one is answered when the others have ended.
        let mut third = TcpStream::connect(address).await.unwrap();
        third.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let ended = async { (all(slow).await, all(idle).await, all(third).await) };
        let (slow, idle, third) =
            tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
        assert!(!slow.contains("200 OK"), "{slow}");
        assert!(idle.ends_with("here") && third.ends_with("here"), "{idle} {third}");
        closing.cancel();
        tokio::time::timeout(Duration::from_secs(20), server).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn connections_end_whose_answers_are_not_taken() {
        let (address, closing, server) = start(1).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // The one place is taken until the first answer is given up.
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(20), all(next)).await.unwrap();
        assert!(answered.ends_with("here"), "{answered}");
        assert!(all(silent).await.len() < 64 * 1024 * 1024);
        closing.cancel();
        tokio::time::timeout(Duration::from_secs(20), server).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_slow_client_gets_all_of_an_answer() {
        let (address, _closing, _server) = start(1).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        let request = b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        slow.write_all(request).await.unwrap();
        let (mut taken, mut part) = (0, vec![0; 8 * 1024 * 1024]);
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            match slow.read(&mut part).await.unwrap() {
                0 => break,
                bytes => taken += bytes,
            }
        }
        assert!(taken > 64 * 1024 * 1024, "{taken}");
    }

    #[tokio::test]
    async fn shutdown_ends_idle_connections() {
        let (address, closing, server) = start(10).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        idle.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        closing.cancel();
        tokio::time::timeout(Duration::from_secs(20), server).await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
