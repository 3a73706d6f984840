//! A raw HTTP/1.1 request out of a file: as a proxy's log, a packet capture or a client's debug output has it.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A request, its bytes untouched.
#[derive(Debug)]
pub(super) struct RawRequest {
    pub(super) method: String,
    /// The authority of an absolute-form target.
    pub(super) authority: Option<String>,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl RawRequest {
    /// Reads a request. Lines may end in CRLF or LF, as editors have it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (head, body) = split_head(bytes);
        let head = std::str::from_utf8(head).map_err(|_| "the head is not text".to_owned())?;
        let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let request_line = lines.next().unwrap_or_default();
        let mut words = request_line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(format!("the first line is not \"METHOD target HTTP/1.1\": {request_line:?}"));
        };
        if !version.starts_with("HTTP/") {
            return Err(format!("the first line does not end in HTTP/1.1: {request_line:?}"));
        }
        let mut headers = HeaderMap::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("not a header: {line:?}"))?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("not a header's name: {name:?}"))?;
            let value = value.trim_matches([' ', '\t']);
            let value = HeaderValue::from_str(value).map_err(|_| format!("the value of {name} can't be sent"))?;
            headers.append(name, value);
        }
        let (authority, target) = match target.split_once("://") {
            Some((_, rest)) => {
                let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (Some(authority.to_owned()), path)
            }
            None => (None, target),
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Ok(Self {
            method: method.to_owned(),
            authority,
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query,
            headers,
            body: body.to_vec(),
        })
    }
}

fn split_head(bytes: &[u8]) -> (&[u8], &[u8]) {
    for separator in [&b"\r\n\r\n"[..], b"\n\n"] {
        if let Some(at) = bytes.windows(separator.len()).position(|window| window == separator) {
            let (head, rest) = bytes.split_at(at);
            return (head, rest.get(separator.len()..).unwrap_or_default());
        }
    }
    (bytes, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_line_ends_and_both_targets() {
        for text in
            ["POST /a?b=c HTTP/1.1\r\nHost: x\r\nA:  1\r\n\r\nbody", "POST /a?b=c HTTP/1.1\nHost: x\nA: 1\n\nbody"]
        {
            let request = RawRequest::parse(text.as_bytes()).unwrap();
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a"));
            assert_eq!((request.query.as_deref(), request.body.as_slice()), (Some("b=c"), &b"body"[..]));
            assert_eq!(request.headers["a"], "1");
        }
        let request = RawRequest::parse(b"GET http://x:1?q HTTP/1.1\n").unwrap();
        assert_eq!(
            (request.authority.as_deref(), request.path.as_str(), request.query.as_deref()),
            (Some("x:1"), "/", Some("q"))
        );
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        for text in [
            "",
            "GET /",
            "GET / x HTTP/1.1",
            "GET / FTP/1",
            "GET / HTTP/1.1\nno header",
            "GET / HTTP/1.1\nä: b",
            "\u{0}",
        ] {
            assert!(RawRequest::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(RawRequest::parse(&[0xff, 0xfe]).is_err());
    }
}
