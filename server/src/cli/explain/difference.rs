//! The first difference between two signature bases, and what usually causes it.

use super::visible::visible;
use std::fmt;

/// Where two bases differ first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Line, from 1.
    line: usize,
    /// Column in characters, from 1.
    column: usize,
    signed: Option<String>,
    received: Option<String>,
    hint: &'static str,
}

impl Difference {
    pub(super) fn find(signed: &[u8], received: &[u8]) -> Option<Self> {
        let (signed, received) = (String::from_utf8_lossy(signed), String::from_utf8_lossy(received));
        let (mut signed, mut received) = (signed.split('\n'), received.split('\n'));
        let mut line = 0_usize;
        loop {
            line = line.saturating_add(1);
            match (signed.next(), received.next()) {
                (None, None) => return None,
                (a, b) if a == b => {}
                (a, b) => {
                    let same =
                        a.unwrap_or_default().chars().zip(b.unwrap_or_default().chars()).take_while(|(a, b)| a == b);
                    return Some(Self {
                        line,
                        column: same.count().saturating_add(1),
                        hint: hint(a.unwrap_or_default(), b.unwrap_or_default()),
                        signed: a.map(str::to_owned),
                        received: b.map(str::to_owned),
                    });
                }
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |line: &Option<String>| match line {
            Some(line) => visible(line),
            None => "(no such line)".to_owned(),
        };
        writeln!(f, "First difference: line {}, column {}", self.line, self.column)?;
        writeln!(f, "  signed    {}", shown(&self.signed))?;
        writeln!(f, "  received  {}", shown(&self.received))?;
        write!(f, "  {}", self.hint)
    }
}

/// The usual cause of a difference in this line.
fn hint(signed: &str, received: &str) -> &'static str {
    let (Some((name, before)), Some((other, after))) = (split(signed), split(received)) else {
        return "A line is missing: the two bases cover different components, or a header was added or taken away.";
    };
    if name != other {
        return "Another component stands here: the two ends cover different components, or in another order.";
    }
    if before.trim() == after.trim() {
        return "Only white space differs: a proxy trimmed or folded the value.";
    }
    match name {
        "@method" => "The method was changed: by a redirect that turned it into GET, or by a method override.",
        "@authority" if before.eq_ignore_ascii_case(after) => {
            "The client signed the host in upper case; @authority is lower case (RFC 9421, 2.2.3)."
        }
        "@authority" => {
            "A proxy rewrites Host. Make it pass the client's Host on (nginx: proxy_set_header Host $http_host)."
        }
        "@path" if decoded(before) == decoded(after) => {
            "The path was encoded anew on its way: a proxy decodes and encodes it. Make it pass the path on untouched."
        }
        "@path" if before.ends_with(after) || after.ends_with(before) => {
            "A path prefix was added or taken off: a proxy maps paths. The tool must see the path that the client signed."
        }
        "@path" => "The path was changed: by a rewrite rule, or the client signed another URL than it sent.",
        "@query" if decoded(before) == decoded(after) => {
            "The query was encoded anew on its way (%20 against +, or letters' case in escapes): a proxy re-encodes it."
        }
        "@query" if sorted(before) == sorted(after) => "The query's parameters were put in another order on the way.",
        "@query" if after.starts_with(before) || before.starts_with(after) => {
            "Query parameters were added or taken away on the way, for example for tracking."
        }
        "@query" => "The query was changed, or the client signed another URL than it sent.",
        "@signature-params" => {
            "Signature-Input was changed, or these are two different requests: created and nonce are new in each."
        }
        "content-digest" => {
            "The client signed the digest of another body: it changed the body after signing, or signed a copy."
        }
        "content-type" => {
            "Content-Type was changed: by the client's HTTP library (a charset, a boundary) or by a proxy."
        }
        "authorization" => {
            "Another token was sent than signed: it was renewed in between, or a proxy sets Authorization."
        }
        _ => "The header was changed on the way, or the client set it anew after signing.",
    }
}

/// `"name": value`.
fn split(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('"')?.split_once("\": ")
}

/// Escapes decoded, and `+` as the space that forms write so.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let escape = tail.get(..2).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => bytes.push(if byte == b'+' { b' ' } else { byte }),
        }
    }
    bytes
}

fn sorted(query: &str) -> Vec<&str> {
    let mut parameters: Vec<&str> = query.trim_start_matches('?').split('&').collect();
    parameters.sort_unstable();
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "\"@method\": GET\n\"@authority\": places.example\n\"@path\": /v1/a%20b\n\"@query\": ?q=a%20b&x=1\n\
                        \"@signature-params\": (\"@method\");created=1";

    fn find(from: &str, to: &str) -> Difference {
        let received = BASE.replacen(from, to, 1);
        assert_ne!(received, BASE, "{from}");
        Difference::find(BASE.as_bytes(), received.as_bytes()).unwrap()
    }

    #[test]
    fn the_first_difference_has_its_line_and_column() {
        assert_eq!(Difference::find(BASE.as_bytes(), BASE.as_bytes()), None);
        let difference = find("x=1", "x=2");
        assert_eq!((difference.line, difference.column), (4, 22));
        assert!(difference.to_string().contains("line 4, column 22"), "{difference}");
    }

    #[test]
    fn usual_causes_are_named() {
        for (from, to, word) in [
            ("GET", "POST", "method"),
            ("places.example", "backend:8080", "Host"),
            ("/v1/a%20b", "/v1/a b", "encoded anew"),
            ("/v1/a%20b", "/a%20b", "taken off"),
            ("/v1/a%20b", "/other", "rewrite"),
            ("q=a%20b", "q=a+b", "re-encodes"),
            ("?q=a%20b&x=1", "?x=1&q=a%20b", "another order"),
            ("&x=1", "&x=1&utm=2", "added"),
            ("q=a", "q=b", "changed"),
            ("created=1", "created=2", "Signature-Input"),
            ("\"@path\": /v1/a%20b\n", "", "Another component"),
            ("\n\"@signature-params\": (\"@method\");created=1", "", "missing"),
            ("places.example", "places.example ", "white space"),
        ] {
            let hint = find(from, to).hint;
            assert!(hint.contains(word), "{from} → {to}: {hint}");
        }
    }
}
