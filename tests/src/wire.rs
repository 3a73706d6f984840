//! HTTP/1.1 down to the byte: a client that sends exactly what it is told, also what a decent client never would.

use serde_json::Value;
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A request, as the bytes that will stand on the wire.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header lines in order. `Host`, `Content-Length` and `Connection` are added where they are missing.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; `None` sends no `Content-Length`.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request without headers.
    pub fn new(method: &str, target: &str, body: Option<&[u8]>) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: Vec::new(), body: body.map(<[u8]>::to_vec) }
    }

    /// Adds a header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// A header's value as text.
    ///
    /// # Panics
    /// If there is none, or it is no text.
    pub fn header(&self, name: &str) -> &str {
        let line = self.headers.iter().find(|(line, _)| line == name);
        std::str::from_utf8(&line.unwrap_or_else(|| panic!("no {name}")).1).expect("a value of our own making")
    }

    /// Replaces a header that is there.
    ///
    /// # Panics
    /// If it is not.
    #[must_use]
    pub fn replace(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let line = self.headers.iter_mut().find(|(line, _)| line == name);
        line.unwrap_or_else(|| panic!("no {name}")).1 = value.as_ref().to_vec();
        self
    }

    /// All of it, for a server at `address`.
    pub fn bytes(&self, address: &str) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut line = |name: &str, value: &[u8]| bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        let length = self.body.as_ref().map(|body| body.len().to_string());
        let has = |name: &str| self.headers.iter().any(|(line, _)| line.eq_ignore_ascii_case(name));
        for (name, value) in
            [("host", Some(address)), ("connection", Some("close")), ("content-length", length.as_deref())]
        {
            if let Some(value) = value.filter(|_| !has(name)) {
                line(name, value.as_bytes());
            }
        }
        self.headers.iter().for_each(|(name, value)| line(name, value));
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// Sends it over a connection of its own and reads the answer.
    ///
    /// # Panics
    /// If there is no whole answer.
    pub fn send(&self, address: &str) -> Answer {
        send(address, &self.bytes(address)).unwrap_or_else(|| panic!("no answer to {self:?}"))
    }
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// All header lines, as text.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `null` where it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and code, as a refusal has them.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

// A test that fails shows what went over the wire, as people read it.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes("…")))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.head, String::from_utf8_lossy(&self.body))
    }
}

/// A connection, with a time limit on everything.
///
/// # Panics
/// If no process listens there.
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|fault| panic!("{address}: {fault}"));
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)).expect("a socket has time limits");
    stream
}

/// Sends bytes and reads until the other end closes; `None` where no answer came.
pub fn send(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    // A server that refuses early may close before all is sent; its answer is still to be read.
    let _ = stream.write_all(bytes);
    receive(&mut stream)
}

/// Reads an answer until the other end closes.
pub fn receive(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: bytes.split_off(end + 4) })
}

/// Reads one answer of a connection that stays open.
///
/// # Panics
/// If there is no whole answer with a `Content-Length`.
pub fn receive_one(stream: &mut TcpStream) -> Answer {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let length: usize = length.unwrap_or_else(|| panic!("no length: {head}"));
            if bytes.len() >= end + 4 + length {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
                return Answer { status, head, body: bytes[end + 4..end + 4 + length].to_vec() };
            }
        }
        let read = stream.read(&mut chunk).expect("an answer in time");
        assert!(read > 0, "the answer broke off: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&chunk[..read]);
    }
}
