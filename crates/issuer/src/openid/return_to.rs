//! Where the browser may go when it is back: to a page of a configured origin, and nowhere else.

use bmap_protocol::origin::Origin;
use url::Url;

/// Longest URL, in bytes.
const MAX_URL: usize = 2048;

/// A page that may be given the outcome of a sign-in: its fragment is still free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(Url);

/// The failure that the page learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The user, or the provider, said no.
    AccessDenied,
    /// Anything else; which, is in the log.
    SignInFailed,
}

impl ReturnTo {
    /// Parses a URL whose origin is one of `origins`, byte for byte. The browser is sent to the URL as it was parsed, so there
    /// is no second reading of it.
    pub fn parse(text: &str, origins: &[Origin]) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|_| text.len() <= MAX_URL)?;
        let is_plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        let origin = url.origin().ascii_serialization();
        // A `blob:` URL has the origin of the page that made it.
        let is_http = matches!(url.scheme(), "https" | "http");
        let is_listed = origins.iter().any(|listed| listed.as_str() == origin);
        (is_plain && is_http && is_listed).then_some(Self(url))
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// With a code in its fragment: browsers send a fragment to no server, and keep it out of `Referer`.
    pub fn with_code(mut self, code: &str) -> String {
        self.0.set_fragment(Some(&format!("code={code}")));
        self.0.into()
    }

    /// With a failure in its fragment.
    pub fn with_failure(mut self, failure: Failure) -> String {
        let name = match failure {
            Failure::AccessDenied => "access_denied",
            Failure::SignInFailed => "sign_in_failed",
        };
        self.0.set_fragment(Some(&format!("error={name}")));
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_origin_is_returned_to_however_it_is_written() {
        let origins = ["https://shop.example", "http://localhost:3000"].map(|text| Origin::parse(text).unwrap());
        let parse = |text: &str| ReturnTo::parse(text, &origins);
        for (good, followed) in [
            ("https://shop.example", "https://shop.example/"),
            ("https://shop.example/a?b=c", "https://shop.example/a?b=c"),
            ("HTTPS://SHOP.example:443/a/../b", "https://shop.example/b"),
            ("http://localhost:3000/x", "http://localhost:3000/x"),
        ] {
            assert_eq!(parse(good).unwrap().as_str(), followed);
        }
        for bad in [
            "",
            "/",
            "//shop.example/",
            "shop.example",
            "https://shop.example.evil/",
            "https://evil.example/?https://shop.example",
            "https://shop.example@evil.example/",
            "https://u@shop.example/",
            "https://u:p@shop.example/",
            "https://shop.example:8443/",
            "http://shop.example/",
            "https://shop.example./",
            "https://shop.example/#x",
            "https://evil.example\\@shop.example/",
            "https://evil.example\t/",
            "javascript:alert(1)",
            "data:text/html,x",
            "null",
            "blob:https://shop.example/x",
            "https://www.shop.example/",
            "http://localhost/",
            &format!("https://shop.example/{}", "x".repeat(2048)),
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        let page = parse("https://shop.example/a?b=c").unwrap();
        assert_eq!(page.clone().with_code("bmi_x-_"), "https://shop.example/a?b=c#code=bmi_x-_");
        assert_eq!(page.clone().with_failure(Failure::AccessDenied), "https://shop.example/a?b=c#error=access_denied");
        assert_eq!(page.with_failure(Failure::SignInFailed), "https://shop.example/a?b=c#error=sign_in_failed");
    }
}
