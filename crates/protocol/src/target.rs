//! Request-target rules (profile §4): targets that are refused, and never normalised.
//!
//! A proxy between the signer and the tool may decode, collapse or re-encode a path. The paths on which two such
//! parties can disagree are refused before anything is decided on them (R13).
//!
//! ```
//! use bmap_protocol::target::{self, TargetFault};
//!
//! assert_eq!(target::check_path(b"/v1/search"), Ok(()));
//! assert!(matches!(target::check_path(b"v1/search"), Err(TargetFault::NotAbsolute)));
//! assert!(target::check_path(b"/v1/../admin").is_err());
//! ```

/// Why a request target is refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// The path does not start with `/`.
    #[error("the path does not start with /")]
    NotAbsolute,
    /// A segment of the path is `.` or `..`. Dots inside a longer segment are ordinary.
    #[error("the path holds a dot segment")]
    DotSegment,
    /// The path holds `//`.
    #[error("the path holds an empty segment")]
    EmptySegment,
    /// The path holds `%2e`, `%2f`, `%5c` or `%00`, in either case.
    #[error("the path holds an encoded dot, slash, backslash or NUL")]
    EncodedDelimiter,
    /// A `%` without two hex digits behind it.
    #[error("the path holds a broken escape")]
    BrokenEscape,
    /// A byte that a request target can't have: `#`, a space, a control character, one outside ASCII, or `\` in a path.
    #[error("the request target holds a forbidden byte")]
    ForbiddenByte,
    /// Over [`MAX_TARGET`] bytes.
    #[error("the request target is over {MAX_TARGET} bytes")]
    TooLong,
}

/// Most bytes of a path, and of a query.
pub const MAX_TARGET: usize = 8192;

/// Checks a path as it stands on the wire.
///
/// # Errors
/// [`TargetFault`]: the request is answered with 400 and not normalised.
pub fn check_path(path: &[u8]) -> Result<(), TargetFault> {
    if path.len() > MAX_TARGET {
        return Err(TargetFault::TooLong);
    }
    let Some((b'/', _)) = path.split_first() else { return Err(TargetFault::NotAbsolute) };
    for (at, byte) in path.iter().enumerate().filter(|(_, byte)| !is_plain(**byte)) {
        let (before, after) = path.split_at_checked(at).unwrap_or_default();
        match byte {
            b'/' if before.ends_with(b"/") => return Err(TargetFault::EmptySegment),
            b'/' if ends_with_dots(before) => return Err(TargetFault::DotSegment),
            b'/' => {}
            b'%' => match after.get(1..).unwrap_or_default() {
                [b'2', b'e' | b'E' | b'f' | b'F', ..] | [b'5', b'c' | b'C', ..] | [b'0', b'0', ..] => {
                    return Err(TargetFault::EncodedDelimiter);
                }
                [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
                _ => return Err(TargetFault::BrokenEscape),
            },
            _ => return Err(TargetFault::ForbiddenByte),
        }
    }
    if ends_with_dots(path) { Err(TargetFault::DotSegment) } else { Ok(()) }
}

/// Whether the last segment is `.` or `..`.
fn ends_with_dots(path: &[u8]) -> bool {
    path.ends_with(b"/.") || path.ends_with(b"/..")
}

/// Whether a byte may stand anywhere in a path, by a table: most bytes of a path are looked at no further.
#[inline]
fn is_plain(byte: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "a fault here would not compile")]
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = b'!';
        while byte <= b'~' {
            table[byte as usize] = !matches!(byte, b'/' | b'%' | b'\\' | b'#' | b'?');
            byte += 1;
        }
        table
    };
    TABLE.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Checks a query, without its `?`, as it stands on the wire.
///
/// Its meaning is the tool's; only bytes that can't stand in a request target are refused.
///
/// # Errors
/// [`TargetFault`]: the request is answered with 400.
pub fn check_query(query: &[u8]) -> Result<(), TargetFault> {
    if query.len() > MAX_TARGET {
        return Err(TargetFault::TooLong);
    }
    if query.iter().any(|byte| matches!(byte, b'#' | 0..=b' ' | 0x7f..)) {
        return Err(TargetFault::ForbiddenByte);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_query_have_a_longest_length() {
        let long = |length: usize| [b"/".to_vec(), vec![b'a'; length - 1]].concat();
        assert_eq!(check_path(&long(MAX_TARGET)), Ok(()));
        assert_eq!(check_path(&long(MAX_TARGET + 1)), Err(TargetFault::TooLong));
        assert_eq!(check_query(&long(MAX_TARGET)), Ok(()));
        assert_eq!(check_query(&long(MAX_TARGET + 1)), Err(TargetFault::TooLong));
    }

    #[test]
    fn r13_ambiguous_paths_are_refused() {
        for (path, fault) in [
            ("", TargetFault::NotAbsolute),
            ("*", TargetFault::NotAbsolute),
            ("a", TargetFault::NotAbsolute),
            ("/a/../b", TargetFault::DotSegment),
            ("/..", TargetFault::DotSegment),
            ("/.", TargetFault::DotSegment),
            ("/a/..", TargetFault::DotSegment),
            ("/../a", TargetFault::DotSegment),
            ("/.../..", TargetFault::DotSegment),
            ("/./a", TargetFault::DotSegment),
            ("/a/.", TargetFault::DotSegment),
            ("//x", TargetFault::EmptySegment),
            ("/a//", TargetFault::EmptySegment),
            ("/a%2fb", TargetFault::EncodedDelimiter),
            ("/a%2Fb", TargetFault::EncodedDelimiter),
            ("/a%5cb", TargetFault::EncodedDelimiter),
            ("/a%5Cb", TargetFault::EncodedDelimiter),
            ("/a%00", TargetFault::EncodedDelimiter),
            ("/%2E", TargetFault::EncodedDelimiter),
            ("/api%2e/x", TargetFault::EncodedDelimiter),
            ("/api%2E%2E/x", TargetFault::EncodedDelimiter),
            ("/%zz", TargetFault::BrokenEscape),
            ("/%", TargetFault::BrokenEscape),
            ("/%4", TargetFault::BrokenEscape),
            ("/a#b", TargetFault::ForbiddenByte),
            ("/a\\b", TargetFault::ForbiddenByte),
            ("/a\u{1}", TargetFault::ForbiddenByte),
            ("/a\nb", TargetFault::ForbiddenByte),
            ("/a\u{7f}", TargetFault::ForbiddenByte),
            ("/a b", TargetFault::ForbiddenByte),
            ("/é", TargetFault::ForbiddenByte),
            ("/a?b", TargetFault::ForbiddenByte),
        ] {
            assert_eq!(check_path(path.as_bytes()), Err(fault), "{path:?}");
        }
        assert_eq!(check_path(&[b'/'; MAX_TARGET + 1]), Err(TargetFault::TooLong));
    }

    #[test]
    fn plain_paths_pass() {
        for path in [
            "/",
            "/v1/search",
            "/a.b/c.d",
            "/.well-known/x",
            "/v1/compare/v1.0...v2.0",
            "/a..b",
            "/..a/b../...",
            "/.a./x",
            "/caf%C3%A9%20bar",
            "/a;b=1,c",
            "/a/b/",
            "/~x/-_!$&'()*+:@",
        ] {
            assert_eq!(check_path(path.as_bytes()), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn queries_keep_their_bytes() {
        for query in ["", "q=a+b%20c&x=%7e~&empty=&flag", "u=https://x/../y//z", "broken=%zz"] {
            assert_eq!(check_query(query.as_bytes()), Ok(()), "{query:?}");
        }
        for query in ["a b", "a#b", "a\n", "\u{7f}", "é"] {
            assert_eq!(check_query(query.as_bytes()), Err(TargetFault::ForbiddenByte), "{query:?}");
        }
        assert_eq!(check_query(&[b'q'; MAX_TARGET + 1]), Err(TargetFault::TooLong));
    }
}
