//! Origins as people type them: only the serialised form is taken, and the error says what that form is.

use bmap_protocol::origin::Origin;

/// Reads a page's origin: the exact serialised form, and `http` only on this machine.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn page_origin(text: &str) -> Result<Origin, String> {
    let origin = base_url(text)?;
    if origin.scheme() == "http" && !origin.is_loopback() {
        return Err(format!("{origin} is not encrypted: http is for localhost only, use https"));
    }
    Ok(origin)
}

/// Reads a base URL, which is scheme and authority only.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn base_url(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|error| match canonical(text) {
        Some(canonical) => format!("{error}; did you mean {canonical}?"),
        None => error.to_string(),
    })
}

/// The serialised origin of a URL that is spelled in another way.
fn canonical(text: &str) -> Option<String> {
    let url = url::Url::parse(text).or_else(|_| url::Url::parse(&format!("https://{text}"))).ok()?;
    let serialised = url.origin().ascii_serialization();
    let serialised = serialised.trim_end_matches('.');
    Origin::parse(serialised).ok().map(|origin| origin.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r50_other_spellings_are_refused_with_the_right_one() {
        for (text, canonical) in [
            ("HTTPS://Shop.Example", "https://shop.example"),
            ("https://shop.example/", "https://shop.example"),
            ("https://shop.example:443", "https://shop.example"),
            ("https://shop.example./", "https://shop.example"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("shop.example", "https://shop.example"),
            ("http://127.0.0.1:08080/x?y", "http://127.0.0.1:8080"),
        ] {
            let error = page_origin(text).unwrap_err();
            assert!(error.ends_with(&format!("did you mean {canonical}?")), "{text}: {error}");
        }
        for text in ["null", "", "data:text/html,x", "https://a b"] {
            assert!(page_origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn http_is_for_this_machine_only() {
        assert!(page_origin("http://127.0.0.1:8080").is_ok());
        assert!(page_origin("http://localhost").is_ok());
        assert!(page_origin("http://shop.example").unwrap_err().contains("https"));
        assert!(base_url("http://places:4001").is_ok());
    }
}
