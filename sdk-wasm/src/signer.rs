//! The signer of one tool token or API key.

use crate::error::{code, refuse};
use crate::rng::Nonces;
use alloc::{string::String, vec::Vec};
use bmap_protocol::keys::SigningKey;
use bmap_protocol::sign::{self, Request, RequestKey, Stamp};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Url;
use zeroize::Zeroizing;

/// Signs requests with one key. The key stays in here; JavaScript can't read it back, and it is wiped by `free()`.
#[wasm_bindgen]
pub struct Signer {
    pub(crate) key: RequestKey,
    pub(crate) key_id: String,
    pub(crate) nonces: Nonces,
}

#[wasm_bindgen]
impl Signer {
    /// The signer of a tool token: `key` is the 32 bytes of its `signing_key`, `key_id` its `key_id`.
    ///
    /// # Errors
    /// `bad_key` unless there are 32 bytes, and a token that can be sent.
    #[wasm_bindgen(constructor)]
    pub fn new(key: &[u8], key_id: String, token: &str) -> Result<Signer, JsValue> {
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(key).map_err(|_| refuse("bad_key"))?);
        let key = RequestKey::token(&SigningKey::from_bytes(*bytes), token).map_err(|_| refuse("bad_key"))?;
        Ok(Self { key, key_id, nonces: Nonces::new() })
    }

    /// Signs a request that is about to be sent to `url`, and answers with the values of `Signature-Input` and `Signature`, one
    /// after the other with a line feed between: one string crosses the boundary faster than an object of two.
    ///
    /// `created` is the server's time in seconds. The type and the digest are given where there is a body. `more` names further headers
    /// to cover, in lines of `name:value`; neither can hold a line feed.
    ///
    /// # Errors
    /// `bad_url` or `bad_request` where a verifier would have to refuse; nothing is signed then.
    pub fn sign(
        &mut self,
        method: &str,
        url: &Url,
        created: f64,
        content_type: Option<String>,
        content_digest: Option<String>,
        more: Option<String>,
    ) -> Result<String, JsValue> {
        let href = url.href();
        let address = Address::of(&href).ok_or_else(|| refuse("bad_url"))?;
        let more = headers(more.as_deref().unwrap_or_default()).ok_or_else(|| refuse("bad_request"))?;
        let request = Request {
            method,
            authority: address.authority,
            path: address.path,
            query: address.query,
            authorization: None,
            content_type: content_type.as_deref(),
            content_encoding: None,
            content_digest: content_digest.as_deref(),
            more: &more,
        };
        let stamp = Stamp { created: created as u64, nonce: self.nonces.take()?, key_id: &self.key_id };
        let headers = sign::sign(&request, &stamp, &self.key).map_err(|error| refuse(code(error)))?;
        let mut both = headers.signature_input;
        both.push('\n');
        both.push_str(&headers.signature);
        Ok(both)
    }
}

/// Lines of `name:value`; `None` for a line without a colon.
fn headers(lines: &str) -> Option<Vec<(&str, &str)>> {
    let (mut headers, mut rest) = (Vec::new(), lines);
    while !rest.is_empty() {
        let (line, next) = cut(rest, b'\n');
        let (name, value) = cut(line, b':');
        headers.push((name, value?));
        rest = next.unwrap_or_default();
    }
    Some(headers)
}

/// The parts of a serialised `http` URL (URL Standard §4.5) that are signed.
///
/// Cut here, and not asked of the URL one by one: a call into the browser costs more than the cut.
struct Address<'a> {
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Address<'a> {
    fn of(href: &'a str) -> Option<Self> {
        let rest = href.strip_prefix("https://").or_else(|| href.strip_prefix("http://"))?;
        let (rest, _) = cut(rest, b'#');
        let (rest, query) = cut(rest, b'?');
        let (authority, _) = cut(rest, b'/');
        let path = rest.get(authority.len()..)?;
        // `fetch` refuses a URL with a name and password in it.
        let credentials = authority.as_bytes().contains(&b'@');
        (!path.is_empty() && !authority.is_empty() && !credentials).then_some(Self { authority, path, query })
    }
}

/// Before and after the first `at`. The standard library's search for text weighs more than all of this module.
fn cut(text: &str, at: u8) -> (&str, Option<&str>) {
    match text
        .bytes()
        .position(|byte| byte == at)
        .and_then(|end| Some((text.get(..end)?, text.get(end.checked_add(1)?..)?)))
    {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_by_lines() {
        assert_eq!(headers(""), Some(Vec::new()));
        let both = [("content-encoding", "gzip"), ("x-original-url", "https://a.example/")];
        assert_eq!(headers("content-encoding:gzip\nx-original-url:https://a.example/").as_deref(), Some(&both[..]));
        assert_eq!(headers("x:"), Some(vec![("x", "")]));
        assert_eq!(headers("x:1\nno colon"), None);
    }

    #[test]
    fn an_address_is_cut_where_the_url_standard_says() {
        let cut = |href| Address::of(href).map(|cut| (cut.authority, cut.path, cut.query));
        assert_eq!(cut("https://a.example/"), Some(("a.example", "/", None)));
        assert_eq!(cut("http://a.example:8443/b/c?d=/e?f#g?h"), Some(("a.example:8443", "/b/c", Some("d=/e?f"))));
        assert_eq!(cut("http://[::1]:80/?"), Some(("[::1]:80", "/", Some(""))));
        assert_eq!(cut("https://a.example/#/x?y"), Some(("a.example", "/", None)));
        for none in [
            "",
            "https://",
            "https://a.example",
            "data:text/plain,x",
            "file:///a",
            "ws://a/b",
            "https://u:p@a.example/",
        ] {
            assert_eq!(cut(none), None, "{none}");
        }
    }
}
