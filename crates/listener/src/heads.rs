//! Whether a request says in one way where its body ends (RFC 9112 §6.3).
//!
//! `Content-Length` beside `Transfer-Encoding`, several of either, or a coding that is not `chunked`: two readers of such a head can differ in
//! where the next request begins, and that is how requests are smuggled past a proxy (R42, T16). hyper lets these pass and removes
//! `Content-Length`, so a service does not see what was sent. This reader sees the bytes before hyper does and keeps one fact for each head. It
//! follows a connection only as long as each body's end is certain; from then on no request is taken.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes of a line that are kept: a name and a value that mean something here are shorter.
const MAX_LINE: usize = 128;

/// The heads of one HTTP/1 connection.
#[derive(Debug, Default)]
pub(crate) struct Heads(Mutex<Reader>);

#[derive(Debug, Default)]
struct Reader {
    state: State,
    line: Vec<u8>,
    /// The line is longer than what is kept of it.
    is_long: bool,
    head: Head,
    /// Heads that are in order and were not asked for yet.
    sound: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    RequestLine,
    Field,
    /// So many bytes of a body whose length was given.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// Unknown.
    Lost,
}

/// What a head says of its body.
#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    is_chunked: bool,
    is_ambiguous: bool,
}

impl Heads {
    /// Reads on.
    pub(crate) fn read(&self, bytes: &[u8]) {
        self.reader().read(bytes);
    }

    /// Whether the next request's head is in order. To be called once for each request.
    pub(crate) fn next_is_sound(&self) -> bool {
        let mut reader = self.reader();
        let is_sound = reader.sound > 0;
        reader.sound = reader.sound.saturating_sub(1);
        is_sound
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Lost => return,
                State::Body(left) => self.skip(left, bytes, State::Body, State::RequestLine),
                State::Chunk(left) => self.skip(left, bytes, State::Chunk, State::ChunkEnd),
                _ => self.line(bytes),
            };
        }
    }

    /// Passes over bytes of a body; the rest.
    fn skip<'a>(&mut self, left: u64, bytes: &'a [u8], more: fn(u64) -> State, then: State) -> &'a [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
        self.state = if left == 0 { then } else { more(left) };
        bytes.get(here..).unwrap_or_default()
    }

    /// Reads to the end of a line; the rest.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let kept = part.get(..MAX_LINE.saturating_sub(self.line.len()).min(part.len())).unwrap_or_default();
        self.is_long |= kept.len() < part.len();
        self.line.extend_from_slice(kept);
        if end.is_none() {
            return rest;
        }
        let line = std::mem::take(&mut self.line);
        let is_long = std::mem::take(&mut self.is_long);
        self.state = self.after(line.strip_suffix(b"\r").unwrap_or(&line), is_long);
        self.line = line;
        self.line.clear();
        rest.get(1..).unwrap_or_default()
    }

    /// What comes after a line.
    fn after(&mut self, line: &[u8], is_long: bool) -> State {
        match self.state {
            // Empty lines before a request are passed over (RFC 9112 §2.2).
            State::RequestLine if line.is_empty() => State::RequestLine,
            State::RequestLine => {
                self.head = Head::default();
                State::Field
            }
            State::Field if line.is_empty() => self.after_head(),
            State::Field => {
                self.head.field(line, is_long);
                State::Field
            }
            State::ChunkSize => match chunk_size(line) {
                Some(0) => State::Trailer,
                Some(size) => State::Chunk(size),
                None => State::Lost,
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::Trailer if line.is_empty() => State::RequestLine,
            State::Trailer => State::Trailer,
            State::ChunkEnd | State::Body(_) | State::Chunk(_) | State::Lost => State::Lost,
        }
    }

    fn after_head(&mut self) -> State {
        if self.head.is_ambiguous {
            return State::Lost;
        }
        self.sound = self.sound.saturating_add(1);
        match self.head.length {
            _ if self.head.is_chunked => State::ChunkSize,
            None | Some(0) => State::RequestLine,
            Some(length) => State::Body(length),
        }
    }
}

impl Head {
    fn field(&mut self, line: &[u8], is_long: bool) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let value = line.get(name.len().saturating_add(1)..).unwrap_or_default().trim_ascii();
        // hyper refuses a space before the colon; here such a line counts as the header that it names.
        let name = name.trim_ascii();
        let had_one = self.length.is_some() || self.is_chunked;
        if name.eq_ignore_ascii_case(b"content-length") {
            self.length = digits(value, 10);
            self.is_ambiguous |= had_one || is_long || self.length.is_none();
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = true;
            self.is_ambiguous |= had_one || is_long || !value.eq_ignore_ascii_case(b"chunked");
        }
    }
}

/// The size in a chunk's line, before its extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    digits(size.trim_ascii_end(), 16)
}

/// A number of digits alone: no sign, no separator.
fn digits(text: &[u8], radix: u32) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(|byte| char::from(*byte).is_digit(radix));
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests;
