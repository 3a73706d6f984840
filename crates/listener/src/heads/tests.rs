use super::*;

/// How many requests are in order before the first that is not, however the bytes are cut; and whether the end is known after them.
fn read(bytes: &str) -> (usize, bool) {
    let whole = Heads::default();
    whole.read(bytes.as_bytes());
    let one_by_one = Heads::default();
    for byte in bytes.as_bytes() {
        one_by_one.read(&[*byte]);
    }
    let all = [whole, one_by_one].map(|heads| {
        let is_known = heads.reader().state != State::Lost;
        (std::iter::from_fn(|| heads.next_is_sound().then_some(())).count(), is_known)
    });
    assert_eq!(all[0], all[1], "{bytes:?}");
    all[0]
}

#[test]
fn requests_that_follow_each_other_are_told_apart() {
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nGET /";
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding:  Chunked \r\n\r\n5;a=b\r\nGET /\r\n00A \r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nx: y\r\n\r\n";
    for (all, count) in [
        (format!("{get}{get}{post}{get}"), 4),
        (format!("\r\n\r\n{post}{chunked}\n{chunked}{get}"), 4),
        ("GET / HTTP/1.0\nhost: a\n\nGET / HTTP/1.0\n\n".to_owned(), 2),
        (
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 007\r\n\r\n1234567"
                .to_owned(),
            2,
        ),
        (format!("GET / HTTP/1.1\r\nx: {}\r\nx-content-length: 7\r\n\r\n", "y".repeat(9000)), 1),
    ] {
        assert_eq!(read(&all), (count, true), "{all:?}");
    }
    // What has not come whole is not a request yet.
    assert_eq!(read(&get[..get.len() - 1]), (0, true));
}

#[test]
fn r42_a_head_that_two_readers_read_differently_ends_what_is_known() {
    let one = "content-length: 5";
    for lines in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "transfer-encoding: chunked\r\nx: y\r\nCONTENT-Length: x",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
        "transfer-encoding:",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\nTransfer-Encoding: chunked",
        "transfer-encoding : chunked\r\ncontent-length: 5",
        "content-length: 5\r\ncontent-length: 5",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 5",
        "content-length: +5",
        "content-length: -5",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length:",
        "content-length: 18446744073709551616",
        &format!("content-length: {}5", "0".repeat(200)),
        &format!("transfer-encoding: {}chunked\r\nContent-Length: 5", " ".repeat(200)),
    ] {
        let request =
            format!("POST / HTTP/1.1\r\nhost: a\r\n{one}\r\n\r\n12345POST / HTTP/1.1\r\n{lines}\r\n\r\n0\r\n\r\n");
        assert_eq!(read(&format!("{request}GET / HTTP/1.1\r\n\r\n")), (1, false), "{lines}");
    }
    for chunks in ["5\r\n12345x\r\n0\r\n\r\n", "+5\r\n", "\r\n", "fffffffffffffffff\r\n", "5 5\r\n", " 5\r\n"] {
        let request = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{chunks}GET / HTTP/1.1\r\n\r\n");
        assert_eq!(read(&request), (1, false), "{chunks}");
    }
}
