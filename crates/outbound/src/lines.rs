//! An answer that does not end, such as an event stream: read line by line, each within its bounds.

use crate::{Outbound, OutboundError, why};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use std::time::Duration;

/// Bounds of a long answer. It has no time as a whole.
#[derive(Clone, Copy, Debug)]
pub struct LineBounds {
    /// Longest wait for the answer's head.
    pub head: Duration,
    /// Longest wait for more bytes.
    pub idle: Duration,
    /// Most bytes of a line.
    pub line: usize,
}

/// A time-out that no answer outlives, since a client has one in any case.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// The lines of an answer.
#[derive(Debug)]
pub struct Lines {
    answer: reqwest::Response,
    bounds: LineBounds,
    held: BytesMut,
    /// Bytes of `held` that are known to have no line feed.
    searched: usize,
}

impl Outbound {
    /// Sends a request whose answer is read in lines.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn open(&self, request: Request<Vec<u8>>, bounds: LineBounds) -> Result<Response<Lines>, OutboundError> {
        let mut request: reqwest::Request = request.try_into().map_err(|_| OutboundError::Connect)?;
        *request.timeout_mut() = Some(NEVER);
        let answered = tokio::time::timeout(bounds.head, self.0.execute(request)).await;
        let mut answer = answered.map_err(|_| OutboundError::Time)?.map_err(|error| why(&error))?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let mut response = Response::new(Lines { answer, bounds, held: BytesMut::new(), searched: 0 });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl Lines {
    /// The next line without its end (`\n` or `\r\n`); `None` at the answer's end, where a line that has none is dropped. A call that is
    /// dropped while it waits loses nothing.
    ///
    /// # Errors
    /// [`OutboundError::Time`], [`OutboundError::TooLarge`], [`OutboundError::Broken`]: nothing can be read from then on.
    pub async fn next(&mut self) -> Result<Option<Bytes>, OutboundError> {
        loop {
            let rest = self.held.get(self.searched..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let end = self.searched.saturating_add(end);
                if end > self.bounds.line {
                    return Err(OutboundError::TooLarge { limit: self.bounds.line });
                }
                self.searched = 0;
                let line = self.held.split_to(end.saturating_add(1)).freeze();
                let line = line.slice(..end);
                return Ok(Some(if line.last() == Some(&b'\r') { line.slice(..end.saturating_sub(1)) } else { line }));
            }
            self.searched = self.held.len();
            if self.searched > self.bounds.line {
                return Err(OutboundError::TooLarge { limit: self.bounds.line });
            }
            let more = tokio::time::timeout(self.bounds.idle, self.answer.chunk()).await;
            match more.map_err(|_| OutboundError::Time)?.map_err(|error| why(&error))? {
                Some(chunk) => self.held.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// The first bytes of an answer that turns out to be short, such as a refusal: at most those of a line, and within its time.
    pub async fn short(mut self) -> Bytes {
        let read = async {
            while self.held.len() < self.bounds.line {
                match self.answer.chunk().await {
                    Ok(Some(chunk)) => self.held.extend_from_slice(&chunk),
                    _ => return,
                }
            }
        };
        // What has come by then is looked at; a part of a document is none.
        let _ = tokio::time::timeout(self.bounds.head, read).await;
        self.held.truncate(self.bounds.line);
        self.held.freeze()
    }
}
