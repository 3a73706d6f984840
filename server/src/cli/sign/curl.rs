//! A `curl` line that can be pasted into a POSIX shell.

/// Quotes a text so that a POSIX shell reads exactly it.
pub(super) fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    // Within single quotes nothing is special; a single quote itself ends them, stands escaped, and opens them again.
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Where curl takes the body from.
#[derive(Clone, Copy, Debug)]
pub(super) enum CurlBody<'a> {
    /// There is none.
    None,
    /// This text.
    Text(&'a str),
    /// This file, byte for byte.
    File(&'a str),
}

/// The line. `--globoff` and `--path-as-is` keep curl from changing the URL that was signed.
pub(super) fn line(method: &str, url: &str, headers: &[(String, String)], body: CurlBody<'_>) -> String {
    let mut words = vec!["curl".to_owned(), "--globoff".to_owned(), "--path-as-is".to_owned()];
    // curl would wait for a body's answer to HEAD.
    match method {
        "HEAD" => words.push("--head".to_owned()),
        _ => words.extend(["--request".to_owned(), quote(method)]),
    }
    for (name, value) in headers {
        words.extend(["--header".to_owned(), quote(&format!("{name}: {value}"))]);
    }
    match body {
        CurlBody::None => {}
        // `--data-raw`, because `--data` takes a text that begins with @ for a file's name.
        CurlBody::Text(text) => words.extend(["--data-raw".to_owned(), quote(text)]),
        CurlBody::File(path) => words.extend(["--data-binary".to_owned(), quote(&format!("@{path}"))]),
    }
    words.push(quote(url));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in [
            "",
            "plain",
            "a b",
            "it's",
            "'",
            "''",
            "$HOME `id` $(id)",
            "a\nb",
            "\\",
            "!x",
            "*",
            "~",
            "{\"q\":\"Sofia's\"}",
            "ä€",
            "#x",
            "a;b",
            "a&b",
            "-n",
            "\"",
            "\t",
        ] {
            let script = format!("printf %s {}", quote(text));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
    }

    #[test]
    fn the_line() {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        assert_eq!(
            line("POST", "http://127.0.0.1/x?q=[1]", &headers, CurlBody::Text("@it's")),
            "curl --globoff --path-as-is --request POST --header 'content-type: application/json' --data-raw '@it'\\''s' \
             'http://127.0.0.1/x?q=[1]'"
        );
        assert!(line("GET", "http://a/", &[], CurlBody::File("a b")).contains("--data-binary '@a b'"));
        assert!(line("HEAD", "http://a/", &[], CurlBody::None).contains("--head http"));
    }
}
