//! The signature base (RFC 9421 §2.5): the one text that both ends compute a signature over.
//!
//! The sender writes it from the request that it is about to send, the verifier from the one that it received; both
//! through [`write`], so that they can only disagree about values, never about form. It is written into a [`Sink`]: a
//! MAC under way on the hot path, a buffer where the whole text is needed.
//!
//! ```
//! use bmap_protocol::signature_base::{Absent, Component, Sink, Values, write};
//!
//! struct Get;
//! impl Values for Get {
//!     fn put_value(&self, component: Component<'_>, sink: &mut impl Sink) -> Result<(), Absent> {
//!         match component {
//!             Component::Method => sink.put(b"GET"),
//!             Component::Path => sink.put(b"/v1/search"),
//!             _ => return Err(Absent),
//!         }
//!         Ok(())
//!     }
//! }
//! let mut base = Vec::new();
//! write([Component::Method, Component::Path], &Get, r#"("@method" "@path");created=1"#, &mut base).unwrap();
//! assert_eq!(base, b"\"@method\": GET\n\"@path\": /v1/search\n\"@signature-params\": (\"@method\" \"@path\");created=1");
//! ```

/// A component that a signature covers.
///
/// The profile covers derived components without parameters and plain header fields; anything else is refused while
/// parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component<'a> {
    /// `@method` (RFC 9421 §2.2.1).
    Method,
    /// `@authority` (§2.2.3).
    Authority,
    /// `@scheme` (§2.2.4), lower case.
    Scheme,
    /// `@target-uri` (§2.2.2): scheme, authority, path and query in one.
    TargetUri,
    /// `@request-target` (§2.2.5) in origin form, the only form that the request-target rules let through: path and query.
    RequestTarget,
    /// `@path` (§2.2.6).
    Path,
    /// `@query` (§2.2.7), with its leading `?`; `?` alone where there is none.
    Query,
    /// A header field by its lower-case name (§2.1).
    Header(&'a str),
}

impl<'a> Component<'a> {
    /// The component's name as it stands between the quotes.
    pub fn name(&self) -> &'a str {
        match self {
            Component::Method => "@method",
            Component::Authority => "@authority",
            Component::Scheme => "@scheme",
            Component::TargetUri => "@target-uri",
            Component::RequestTarget => "@request-target",
            Component::Path => "@path",
            Component::Query => "@query",
            Component::Header(name) => name,
        }
    }

    /// The component for a name; `None` for a derived component outside the profile or a name that is no lower-case
    /// field name.
    pub fn from_name(name: &'a str) -> Option<Self> {
        match name {
            "@method" => Some(Component::Method),
            "@authority" => Some(Component::Authority),
            "@path" => Some(Component::Path),
            "@query" => Some(Component::Query),
            "authorization" | "content-type" | "content-digest" => Some(Component::Header(name)),
            "@scheme" => Some(Component::Scheme),
            "@target-uri" => Some(Component::TargetUri),
            "@request-target" => Some(Component::RequestTarget),
            // A signature over signatures needs parameters to say which one (RFC 9421 §4.3); the profile has no use for it.
            "signature" | "signature-input" => None,
            _ if is_field_name(name) => Some(Component::Header(name)),
            _ => None,
        }
    }
}

/// Where the base is written to.
pub trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for alloc::vec::Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for crate::keys::MacStream {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// The values of a message's components, at the sender or at the receiver.
pub trait Values {
    /// Writes the component's value (RFC 9421 §2.1, §2.2).
    ///
    /// # Errors
    /// [`Absent`] if the message has no such header.
    fn put_value(&self, component: Component<'_>, sink: &mut impl Sink) -> Result<(), Absent>;
}

/// A covered header that the message doesn't have: no base can be made (RFC 9421 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent;

/// Writes the signature base: a line for each component, and last `@signature-params`.
///
/// `params` is the member's value exactly as in `Signature-Input`: the inner list and its parameters.
///
/// # Errors
/// [`Absent`] if a covered header is missing. The text that was written until then is of no use.
#[inline]
pub fn write<'a>(
    components: impl IntoIterator<Item = Component<'a>>,
    values: &impl Values,
    params: &str,
    sink: &mut impl Sink,
) -> Result<(), Absent> {
    for component in components {
        write_line(component, values, sink)?;
    }
    sink.put(b"\"@signature-params\": ");
    sink.put(params.as_bytes());
    Ok(())
}

/// Writes the line of one component.
#[inline]
pub(crate) fn write_line(component: Component<'_>, values: &impl Values, sink: &mut impl Sink) -> Result<(), Absent> {
    match component {
        Component::Method => sink.put(b"\"@method\": "),
        Component::Authority => sink.put(b"\"@authority\": "),
        Component::Path => sink.put(b"\"@path\": "),
        Component::Query => sink.put(b"\"@query\": "),
        Component::Scheme | Component::TargetUri | Component::RequestTarget | Component::Header(_) => {
            sink.put(b"\"");
            sink.put(component.name().as_bytes());
            sink.put(b"\": ");
        }
    }
    values.put_value(component, sink)?;
    sink.put(b"\n");
    Ok(())
}

/// A lower-case field name (RFC 9110 §5.1 in the lower case that RFC 9421 §2.1 asks for).
fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::MacKey;
    use base64ct::{Base64, Encoding};

    /// The test request of RFC 9421 Appendix B.2.
    struct TestRequest;

    impl Values for TestRequest {
        fn put_value(&self, component: Component<'_>, sink: &mut impl Sink) -> Result<(), Absent> {
            let value = match component {
                Component::Method => "POST",
                Component::Authority | Component::Header("host") => "example.com",
                Component::Path => "/foo",
                Component::Query => "?param=Value&Pet=dog",
                Component::Header("date") => "Tue, 20 Apr 2021 02:07:55 GMT",
                Component::Header("content-type") => "application/json",
                Component::Header("content-length") => "18",
                _ => return Err(Absent),
            };
            sink.put(value.as_bytes());
            Ok(())
        }
    }

    #[test]
    fn rfc9421_b_2_5_hmac_sha256() {
        let params = r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
        let components = [Component::Header("date"), Component::Authority, Component::Header("content-type")];
        let mut base = Vec::new();
        write(components, &TestRequest, params, &mut base).unwrap();
        assert_eq!(
            String::from_utf8(base.clone()).unwrap(),
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n\"content-type\": application/json\n\
             \"@signature-params\": (\"date\" \"@authority\" \"content-type\")\
             ;created=1618884473;keyid=\"test-shared-secret\""
        );
        let key = Base64::decode_vec(
            "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==",
        )
        .unwrap();
        let expected = Base64::decode_vec("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=").unwrap();
        let mut stream = MacKey::from_key_bytes(&key).begin();
        write(components, &TestRequest, params, &mut stream).unwrap();
        assert!(stream.verify(&expected));
        assert_eq!(MacKey::from_key_bytes(&key).mac(&base).as_slice(), expected);
    }

    #[cfg(feature = "ed25519")]
    #[test]
    fn rfc9421_b_2_6_ed25519() {
        use ed25519_dalek::Signer;
        let params = r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
        let components = ["date", "@method", "@path", "@authority", "content-type", "content-length"]
            .map(|name| Component::from_name(name).unwrap());
        let mut base = Vec::new();
        write(components, &TestRequest, params, &mut base).unwrap();
        // RFC 9421 Appendix B.1.4, the 32 bytes of the private key.
        let seed: [u8; 32] =
            Base64::decode_vec("n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=").unwrap().try_into().unwrap();
        let expected = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
        let signature = ed25519_dalek::SigningKey::from_bytes(&seed).sign(&base);
        assert_eq!(Base64::encode_string(&signature.to_bytes()), expected);
    }

    #[test]
    fn names_outside_the_profile_are_no_components() {
        for name in ["", "Date", "@query-param", "@status", "@", "a b", "a\"b", "signature", "signature-input", "é"] {
            assert_eq!(Component::from_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn an_absent_header_gives_no_base() {
        assert_eq!(write([Component::Header("x-none")], &TestRequest, "", &mut Vec::new()), Err(Absent));
    }
}
