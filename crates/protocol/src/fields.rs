//! A request's headers, with those that decide something found in one pass: a look-up for each would hash ten names.
//!
//! ```
//! use bmap_protocol::fields::Fields;
//! use http::{HeaderMap, HeaderValue};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert("host", HeaderValue::from_static("geo.example"));
//! assert_eq!(Fields::of(&headers).size(), 15);
//! ```

use crate::refusal::Refusal;
use http::{HeaderMap, HeaderValue};

/// The headers of a request as a verifier reads them.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    all: &'a HeaderMap,
    size: usize,
    pub(crate) authorization: Field<'a>,
    pub(crate) content_digest: Field<'a>,
    pub(crate) content_encoding: Field<'a>,
    pub(crate) content_type: Field<'a>,
    pub(crate) host: Field<'a>,
    pub(crate) origin: Field<'a>,
    pub(crate) signature: Field<'a>,
    pub(crate) signature_input: Field<'a>,
    /// Whether there is one of [`OVERRIDES`], by [`override_header`].
    pub(crate) has_override: bool,
}

/// The lines of one header.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Absent,
    Once(&'a HeaderValue),
    Repeated,
}

impl<'a> Fields<'a> {
    /// Goes through all headers.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self {
            all: headers,
            size: 0,
            authorization: Field::Absent,
            content_digest: Field::Absent,
            content_encoding: Field::Absent,
            content_type: Field::Absent,
            host: Field::Absent,
            origin: Field::Absent,
            signature: Field::Absent,
            signature_input: Field::Absent,
            has_override: false,
        };
        for (name, value) in headers {
            let name = name.as_str();
            fields.size = fields.size.saturating_add(name.len()).saturating_add(value.len());
            let field = match name {
                "authorization" => &mut fields.authorization,
                "content-digest" => &mut fields.content_digest,
                "content-encoding" => &mut fields.content_encoding,
                "content-type" => &mut fields.content_type,
                "host" => &mut fields.host,
                "origin" => &mut fields.origin,
                "signature" => &mut fields.signature,
                "signature-input" => &mut fields.signature_input,
                _ => {
                    fields.has_override |= override_header(name).is_some();
                    continue;
                }
            };
            *field = if matches!(field, Field::Absent) { Field::Once(value) } else { Field::Repeated };
        }
        fields
    }

    /// All headers.
    pub fn all(&self) -> &'a HeaderMap {
        self.all
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// The headers by which some frameworks take another method or path than the request line's (profile §4, O11).
pub const OVERRIDES: [&str; 5] =
    ["x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"];

/// The header of [`OVERRIDES`] that a lower-case name is, with `_` or `.` in the place of any `-`: servers that hand headers on as
/// environment variables make no difference between these (T18).
pub(crate) fn override_header(name: &str) -> Option<&'static str> {
    // The two first bytes rule out most headers, and the length most of the others.
    let [b'x', b'-' | b'_' | b'.', ..] = name.as_bytes() else { return None };
    let same = |(sent, listed): (u8, u8)| sent == listed || (listed == b'-' && matches!(sent, b'_' | b'.'));
    OVERRIDES.into_iter().find(|listed| listed.len() == name.len() && name.bytes().zip(listed.bytes()).all(same))
}

impl<'a> Field<'a> {
    /// A header that decides something stands at most once, in plain text.
    ///
    /// # Errors
    /// [`Refusal::Header`] if it is repeated or holds a byte outside ASCII.
    pub(crate) fn single(self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        match self {
            Field::Absent => Ok(None),
            // A text that a HeaderValue takes for plain has no control character but the tab, and no grammar here has a
            // tab.
            Field::Once(value) => value.to_str().map(Some).map_err(|_| Refusal::Header { name }),
            Field::Repeated => Err(Refusal::Header { name }),
        }
    }

    pub(crate) fn is_present(self) -> bool {
        !matches!(self, Field::Absent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const NAMED: [&str; 8] = [
        "authorization",
        "content-digest",
        "content-encoding",
        "content-type",
        "host",
        "origin",
        "signature",
        "signature-input",
    ];

    fn of<'a>(fields: &Fields<'a>, name: &str) -> Field<'a> {
        match name {
            "authorization" => fields.authorization,
            "content-digest" => fields.content_digest,
            "content-encoding" => fields.content_encoding,
            "content-type" => fields.content_type,
            "host" => fields.host,
            "origin" => fields.origin,
            "signature" => fields.signature,
            _ => fields.signature_input,
        }
    }

    #[test]
    fn each_named_header_is_absent_once_or_repeated() {
        for name in NAMED {
            let mut headers = HeaderMap::new();
            headers.insert("x-other", HeaderValue::from_static("1"));
            assert!(matches!(of(&Fields::of(&headers), name), Field::Absent), "{name}");
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("value"));
            let fields = Fields::of(&headers);
            assert!(matches!(of(&fields, name), Field::Once(value) if value == "value"), "{name}");
            assert_eq!(of(&fields, name).single("it"), Ok(Some("value")), "{name}");
            assert_eq!(fields.size(), "x-other".len() + 1 + name.len() + "value".len());
            let others = NAMED.iter().filter(|other| **other != name);
            assert!(others.into_iter().all(|other| !of(&fields, other).is_present()), "{name}");
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("value"));
            let repeated = of(&Fields::of(&headers), name);
            assert!(matches!(repeated, Field::Repeated) && repeated.is_present(), "{name}");
            assert_eq!(repeated.single("it"), Err(Refusal::Header { name: "it" }), "{name}");
        }
        let latin1 = HeaderValue::from_bytes(b"\xe4").unwrap();
        assert_eq!(Field::Once(&latin1).single("it"), Err(Refusal::Header { name: "it" }));
        assert_eq!(Field::Absent.single("it"), Ok(None));
    }

    #[test]
    fn o11_every_spelling_of_an_override_header_is_found() {
        for listed in OVERRIDES {
            for separators in [["-", "-", "-"], ["_", "_", "_"], [".", ".", "."], ["_", "-", "."], ["-", "_", "-"]] {
                let mut separators = separators.iter().cycle();
                let mut spelled = String::new();
                for part in listed.split('-') {
                    spelled.push_str(part);
                    spelled.push_str(separators.next().unwrap());
                }
                spelled.pop();
                assert_eq!(override_header(&spelled), Some(listed), "{spelled}");
            }
        }
        for other in
            ["x-http-methods", "x-http", "xhttpmethod", "x-original-uri", "http-method", "x-rewrite+url", "x", ""]
        {
            assert_eq!(override_header(other), None, "{other}");
        }
    }
}
