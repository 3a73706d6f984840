//! A request to a server that may be killed before it answers.

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The page that keys register.
pub(crate) const PAGE: &str = "https://shop.example";

/// A request without an answer: the client does not know whether it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn json(method: &'static str, path: impl Into<String>, value: &Value) -> Self {
        let call = Self::new(method, path).header("content-type", "application/json");
        Self { body: value.to_string(), ..call }
    }

    pub(crate) fn form(path: &str, fields: &[(&str, &str)]) -> Self {
        let call = Self::new("POST", path).header("content-type", "application/x-www-form-urlencoded");
        Self { body: serde_urlencoded::to_string(fields).unwrap(), ..call }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("{name}: {self:?}")).to_owned()
    }
}

/// A connection.
pub(crate) struct Line {
    to: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    pub(crate) fn to(to: SocketAddr) -> Self {
        Self { to, sender: None }
    }

    /// Sends, and waits for the whole answer, for at most 15 s.
    pub(crate) async fn send(&mut self, call: &Call) -> Result<Answer, Lost> {
        tokio::time::timeout(Duration::from_secs(15), self.exchange(call)).await.map_err(|_| Lost)?
    }

    async fn exchange(&mut self, call: &Call) -> Result<Answer, Lost> {
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect(self.to).await.map_err(|_| Lost)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| Lost)?;
                tokio::spawn(connection);
                sender
            }
        };
        let mut request = Request::builder().method(call.method).uri(&call.path);
        if !call.headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.to.to_string());
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(call.body.clone()))).unwrap();
        sender.ready().await.map_err(|_| Lost)?;
        let (head, body) = sender.send_request(request).await.map_err(|_| Lost)?.into_parts();
        let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
        self.sender = Some(sender);
        Ok(Answer { status: head.status.as_u16(), body: String::from_utf8(body.to_vec()).unwrap() })
    }
}

/// The call with a key's secret.
pub(crate) fn with_secret(call: Call, id: &str, secret: &str) -> Call {
    call.header("authorization", format!("Basic {}", Base64::encode_string(format!("{id}:{secret}").as_bytes())))
}

/// A request that only a good secret gets an answer to.
pub(crate) fn token(id: &str, secret: &str) -> Call {
    with_secret(Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", "places")]), id, secret)
}

pub(crate) fn exchange(ticket: &str) -> Call {
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", ticket),
        ("subject_token_type", "urn:bmap:token-type:ticket"),
        ("audience", "places"),
    ];
    Call::form("/oauth/token", &fields).header("origin", PAGE)
}

/// A well-formed secret of no key.
pub(crate) fn wrong_secret() -> String {
    bmap_protocol::api_key::ApiSecret::from_bytes([9; 32]).reveal().to_string()
}
