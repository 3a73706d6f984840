//! The trace that a request belongs to, where its caller says so (W3C Trace Context, section 3.2): for the log, so that lines of
//! several services are found together. It decides nothing.

use http::HeaderMap;

/// The `trace-id` of a `traceparent` header: 32 lower-case hex digits, not all zero. `None` for any other text; a version
/// above 00 may have more behind it.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("traceparent").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let mut parts = value.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_some = |text: &str| text.bytes().any(|byte| byte != b'0');
    let is_good = is_hex(version, 2) && version != "ff" && is_hex(parent, 16) && is_some(parent) && is_hex(flags, 2);
    let is_whole = version != "00" || parts.next().is_none();
    (is_good && is_whole && is_hex(trace, 32) && is_some(trace)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("traceparent", http::HeaderValue::from_static(value));
        }
        trace_id(&headers).map(str::to_owned)
    }

    #[test]
    fn only_the_header_of_the_standard_counts() {
        const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(of(&[GOOD]).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert!(of(&["01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"]).is_some());
        for bad in [
            "",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            assert_eq!(of(&[bad]), None, "{bad}");
        }
        assert_eq!(of(&[GOOD, GOOD]), None);
    }
}
