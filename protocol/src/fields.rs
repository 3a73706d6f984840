//! A request's headers, with those that decide something found in one pass: a look-up for each would hash ten names.

use crate::refusal::Refusal;
use http::{HeaderMap, HeaderValue};

/// The headers of a request as a verifier reads them.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    all: &'a HeaderMap,
    size: usize,
    pub(crate) authorization: Field<'a>,
    pub(crate) content_digest: Field<'a>,
    pub(crate) content_type: Field<'a>,
    pub(crate) host: Field<'a>,
    pub(crate) origin: Field<'a>,
    pub(crate) signature: Field<'a>,
    pub(crate) signature_input: Field<'a>,
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
            content_type: Field::Absent,
            host: Field::Absent,
            origin: Field::Absent,
            signature: Field::Absent,
            signature_input: Field::Absent,
        };
        for (name, value) in headers {
            let name = name.as_str();
            fields.size = fields.size.saturating_add(name.len()).saturating_add(value.len());
            let field = match name {
                "authorization" => &mut fields.authorization,
                "content-digest" => &mut fields.content_digest,
                "content-type" => &mut fields.content_type,
                "host" => &mut fields.host,
                "origin" => &mut fields.origin,
                "signature" => &mut fields.signature,
                "signature-input" => &mut fields.signature_input,
                _ => continue,
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

impl<'a> Field<'a> {
    /// A header that decides something stands at most once, in plain text.
    ///
    /// # Errors
    /// [`Refusal::Header`] if it is repeated or holds a byte outside ASCII.
    pub(crate) fn single(self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        match self {
            Field::Absent => Ok(None),
            // What is plain to a HeaderValue has no control character but the tab, and no grammar here has a tab.
            Field::Once(value) => value.to_str().map(Some).map_err(|_| Refusal::Header { name }),
            Field::Repeated => Err(Refusal::Header { name }),
        }
    }

    pub(crate) fn is_present(self) -> bool {
        !matches!(self, Field::Absent)
    }
}
