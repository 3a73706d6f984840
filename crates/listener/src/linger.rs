//! Closing without cutting off the answer.
//!
//! A socket that is closed while bytes of the peer are unread is reset, and a reset can take back an answer that the peer
//! has not read yet. So what still comes is read and dropped, a little of it, before the socket is closed (R44).

use crate::heads::Heads;
use crate::places::Place;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Most bytes that are read and dropped.
pub(crate) const MAX_DRAIN: usize = 64 * 1024;
/// Longest that they are waited for.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A connection that is drained a little when it is dropped. It holds its place among the connections until then.
pub(crate) struct LingeringStream {
    open: Option<(TcpStream, Arc<Place>)>,
    peer_ended: bool,
    /// Where the heads of HTTP/1 are followed.
    heads: Option<Arc<Heads>>,
}

impl LingeringStream {
    pub(crate) const fn new(stream: TcpStream, place: Arc<Place>, heads: Option<Arc<Heads>>) -> Self {
        Self { open: Some((stream, place)), peer_ended: false, heads }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        match &mut self.open {
            Some((stream, _)) => Ok(Pin::new(stream)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Drop for LingeringStream {
    fn drop(&mut self) {
        let Some((stream, place)) = self.open.take() else { return };
        // One that makes room has no answer on its way.
        let is_over = self.peer_ended || place.makes_room();
        if let (false, Ok(runtime)) = (is_over, tokio::runtime::Handle::try_current()) {
            runtime.spawn(drain(stream, place));
        }
    }
}

async fn drain(mut stream: TcpStream, _place: Arc<Place>) {
    use tokio::io::AsyncWriteExt;
    // hyper has shut the writing side where it ended in order; a connection that it dropped gets its end here.
    let _ = stream.shutdown().await;
    let read_all = async {
        let mut left = MAX_DRAIN;
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(length);
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIME, read_all).await;
}

impl AsyncRead for LingeringStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let has_room = buffer.remaining() > 0;
        let polled = self.stream()?.poll_read(cx, buffer);
        if has_room && matches!(polled, Poll::Ready(Ok(()))) && buffer.filled().len() == before {
            self.peer_ended = true;
        }
        if let (Some(heads), Some(came @ [_, ..])) = (&self.heads, buffer.filled().get(before..)) {
            heads.read(came);
        }
        polled
    }
}

impl AsyncWrite for LingeringStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.open.as_ref().is_some_and(|(stream, _)| stream.is_write_vectored())
    }
}
