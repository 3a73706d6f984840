//! The values of a received request's components (RFC 9421 §2): the bytes on the wire.

use super::Received;
use crate::fields::Field;
use crate::signature_base::{Absent, Component, Sink, Values};
use http::HeaderValue;

impl Values for Received<'_> {
    #[inline]
    fn put_value(&self, component: Component<'_>, sink: &mut impl Sink) -> Result<(), Absent> {
        match component {
            Component::Method => sink.put(self.method.as_bytes()),
            Component::Authority => sink.put(self.authority.as_bytes()),
            Component::Path => sink.put(self.path.as_bytes()),
            Component::Query => {
                sink.put(b"?");
                sink.put(self.query.unwrap_or_default().as_bytes());
            }
            Component::Header("authorization") => self.put_field(self.fields.authorization, "authorization", sink)?,
            Component::Header("content-type") => self.put_field(self.fields.content_type, "content-type", sink)?,
            Component::Header("content-digest") => {
                self.put_field(self.fields.content_digest, "content-digest", sink)?
            }
            Component::Header(name) => put_lines(self.fields.all().get_all(name), sink)?,
            Component::Scheme => sink.put(self.scheme.as_bytes()),
            Component::TargetUri => {
                sink.put(self.scheme.as_bytes());
                sink.put(b"://");
                sink.put(self.authority.as_bytes());
                self.put_target(sink);
            }
            Component::RequestTarget => self.put_target(sink),
        }
        Ok(())
    }
}

impl Received<'_> {
    /// Path and query as they stood on the wire, without a `?` where there is no query.
    fn put_target(&self, sink: &mut impl Sink) {
        sink.put(self.path.as_bytes());
        if let Some(query) = self.query {
            sink.put(b"?");
            sink.put(query.as_bytes());
        }
    }

    /// A header that was found already.
    fn put_field(&self, field: Field<'_>, name: &str, sink: &mut impl Sink) -> Result<(), Absent> {
        match field {
            Field::Absent => return Err(Absent),
            Field::Once(line) => sink.put(line.as_bytes().trim_ascii()),
            Field::Repeated => put_lines(self.fields.all().get_all(name), sink)?,
        }
        Ok(())
    }
}

/// All lines of a header, trimmed and joined with `, ` (RFC 9421 §2.1).
fn put_lines(lines: http::header::GetAll<'_, HeaderValue>, sink: &mut impl Sink) -> Result<(), Absent> {
    let mut between: &[u8] = b"";
    let mut any = false;
    for line in &lines {
        sink.put(between);
        sink.put(line.as_bytes().trim_ascii());
        between = b", ";
        any = true;
    }
    if any { Ok(()) } else { Err(Absent) }
}
