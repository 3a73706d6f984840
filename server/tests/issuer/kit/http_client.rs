//! A request and its answer, over a connection of its own.

use bmap_model::problem_code::ProblemCode;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn form(path: &str, fields: &[(&str, &str)]) -> Self {
        let body = serde_urlencoded::to_string(fields).unwrap();
        Self::new("POST", path).body("application/x-www-form-urlencoded", body)
    }

    pub(crate) fn json(path: &str, value: &serde_json::Value) -> Self {
        Self::new("POST", path).body("application/json", value.to_string())
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self
    }

    /// Sends it, and waits for the whole answer, which has to be in the OpenAPI document.
    pub(crate) async fn send(&self, to: SocketAddr) -> Answer {
        let answer = self.send_elsewhere(to).await;
        crate::documented::assert_documented(self, &answer);
        answer.assert_says_what_is_wrong(self);
        answer
    }

    /// The same to a listener that is not the issuer's own, whose answers no document describes.
    pub(crate) async fn send_elsewhere(&self, to: SocketAddr) -> Answer {
        let stream = TcpStream::connect(to).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(self.method).uri(&self.path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", to.to_string());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(self.body.clone()))).unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        drop(sender);
        let _ = connection.await;
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Every 400 that is a problem names a field and what would be right.
    #[track_caller]
    fn assert_says_what_is_wrong(&self, call: &Call) {
        if self.status != 400 || self.header("content-type") != Some("application/problem+json") {
            return;
        }
        let problem = self.json();
        let says = |member: &str| problem[member].as_str().is_some_and(|text| !text.is_empty());
        assert!(says("field") && says("hint"), "{} {}: {problem}", call.method, call.path);
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts that this is the problem for a code, whole: body, status and headers (profile §6).
    #[track_caller]
    pub(crate) fn assert_refused(&self, code: &str) {
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], self.status);
        let expected = ProblemCode::from_name(code).unwrap_or_else(|| panic!("{code} is no code"));
        assert_eq!(self.status, expected.status());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(problem["request_id"], self.header("x-request-id").unwrap());
        assert!(problem["server_time"].is_i64() && problem["error"].is_string() && problem["title"].is_string());
        // Which scheme it has to be, `documented.rs` asks of every answer.
        assert_eq!(self.headers.contains_key("www-authenticate"), self.status == 401, "{:?}", self.headers);
    }

    /// Asserts that the call was granted, and gives its body.
    #[track_caller]
    pub(crate) fn granted(&self) -> serde_json::Value {
        let body = self.json();
        assert!((200..=202).contains(&self.status), "{} {body}", self.status);
        body
    }
}
