//! RFC 9421 Appendix B.2.5, verified: the signature of the RFC holds over its message, and over no other (R35).
//!
//! That the base is the RFC's, byte for byte, is tested beside `signature_base`.
#![cfg(feature = "check")]

use base64ct::{Base64, Encoding};
use bmap_protocol::keys::MacKey;
use bmap_protocol::signature_base::{Absent, Component, Sink, Values, write};

/// The test request of Appendix B.2 as far as B.2.5 covers it, with a `change` to one of its values.
#[derive(Clone, Copy)]
struct Message {
    date: &'static str,
    authority: &'static str,
    content_type: &'static str,
}

const MESSAGE: Message =
    Message { date: "Tue, 20 Apr 2021 02:07:55 GMT", authority: "example.com", content_type: "application/json" };
const COVERED: [&str; 3] = ["date", "@authority", "content-type"];
const PARAMETERS: &str = r#";created=1618884473;keyid="test-shared-secret""#;

impl Values for Message {
    fn put_value(&self, component: Component<'_>, sink: &mut impl Sink) -> Result<(), Absent> {
        let value = match component {
            Component::Header("date") => self.date,
            Component::Authority => self.authority,
            Component::Header("content-type") => self.content_type,
            _ => return Err(Absent),
        };
        sink.put(value.as_bytes());
        Ok(())
    }
}

fn list(covered: &[&str]) -> String {
    let quoted: Vec<String> = covered.iter().map(|name| format!("\"{name}\"")).collect();
    format!("({})", quoted.join(" "))
}

/// Whether the RFC's signature holds over this message, with these components covered and this value of `@signature-params`.
fn verifies(message: Message, covered: &[&str], params: &str) -> bool {
    // Appendix B.1.5 and the signature of B.2.5.
    let key = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let signature = Base64::decode_vec("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=").unwrap();
    let components: Vec<_> = covered.iter().map(|name| Component::from_name(name).unwrap()).collect();
    let mut stream = MacKey::from_key_bytes(&Base64::decode_vec(key).unwrap()).begin();
    write(components, &message, params, &mut stream).is_ok() && stream.verify(&signature)
}

#[test]
fn r35_vectors_rfc9421_b_2_5_verifies_and_no_change_to_its_parameters_does() {
    let good = format!("{}{PARAMETERS}", list(&COVERED));
    assert!(verifies(MESSAGE, &COVERED, &good));
    for (what, parameters) in [
        ("no parameters", ""),
        ("no created", r#";keyid="test-shared-secret""#),
        ("no keyid", ";created=1618884473"),
        ("another created", r#";created=1618884474;keyid="test-shared-secret""#),
        ("created as a decimal", r#";created=1618884473.0;keyid="test-shared-secret""#),
        ("created as a string", r#";created="1618884473";keyid="test-shared-secret""#),
        ("another keyid", r#";created=1618884473;keyid="test-shared-secres""#),
        ("keyid in another case", r#";created=1618884473;keyid="Test-shared-secret""#),
        ("another order", r#";keyid="test-shared-secret";created=1618884473"#),
        ("expires added", r#";created=1618884473;expires=1618884773;keyid="test-shared-secret""#),
        ("nonce added", r#";created=1618884473;keyid="test-shared-secret";nonce="b3k2pp5k7z-50gnwp.yemd""#),
        ("alg added", r#";created=1618884473;keyid="test-shared-secret";alg="hmac-sha256""#),
        ("tag added", r#";created=1618884473;keyid="test-shared-secret";tag="bmap-1""#),
        ("white space", r#"; created=1618884473;keyid="test-shared-secret""#),
        ("created twice", r#";created=1618884473;created=1618884473;keyid="test-shared-secret""#),
    ] {
        assert!(!verifies(MESSAGE, &COVERED, &format!("{}{parameters}", list(&COVERED))), "{what}");
    }
}

#[test]
fn r35_vectors_rfc9421_b_2_5_holds_for_its_components_in_their_order_alone() {
    for covered in [
        &["@authority", "date", "content-type"][..],
        &["date", "content-type", "@authority"],
        &["date", "@authority"],
        &["@authority", "content-type"],
        &["date", "content-type"],
        &[],
    ] {
        assert!(!verifies(MESSAGE, covered, &format!("{}{PARAMETERS}", list(covered))), "{covered:?}");
        // A list that says one thing while the base has another.
        assert!(!verifies(MESSAGE, covered, &format!("{}{PARAMETERS}", list(&COVERED))), "{covered:?}");
        assert!(!verifies(MESSAGE, &COVERED, &format!("{}{PARAMETERS}", list(covered))), "{covered:?}");
    }
    let good = format!("{}{PARAMETERS}", list(&COVERED));
    for changed in [
        Message { date: "Tue, 20 Apr 2021 02:07:56 GMT", ..MESSAGE },
        Message { authority: "example.org", ..MESSAGE },
        Message { content_type: "application/jsom", ..MESSAGE },
        // A line break that would move a value into the next line.
        Message { content_type: "application/json\n\"x\": y", ..MESSAGE },
    ] {
        assert!(!verifies(changed, &COVERED, &good));
    }
}
