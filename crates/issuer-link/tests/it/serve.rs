//! The scripted issuer's HTTP, by hand.

use crate::issuer::{Script, event, tool_key};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::LINK_TAG;
use bmap_protocol::check::{self, Received, Window};
use bmap_protocol::fields::Fields;
use bmap_protocol::keys::MacKey;
use bmap_protocol::link::{APPLIED_PATH, Applied, FEED_PATH, Mark, NODE_LEN, STATE_PATH, parse_key_id};
use bmap_protocol::received::UnverifiedSignature;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

struct Asked {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

pub(crate) async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>, changed: watch::Receiver<u64>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        connections.spawn(connection(stream, Arc::clone(&script), changed.clone()));
    }
}

async fn connection(mut stream: TcpStream, script: Arc<Mutex<Script>>, changed: watch::Receiver<u64>) {
    while let Some(asked) = read(&mut stream).await {
        let answer = match check(&asked, &script) {
            Ok(()) if asked.path == FEED_PATH => return feed(stream, &asked, script, changed).await,
            Ok(()) => answer(&asked, &mut script.lock().unwrap()),
            Err(code) => {
                let mut script = script.lock().unwrap();
                script.seen.refused.push(code.to_owned());
                problem(if code == "cursor_gone" { "410 Gone" } else { "401 Unauthorized" }, code, script.now())
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn problem(status: &str, code: &str, now: i64) -> String {
    let body = format!(r#"{{"code":"{code}","server_time":{now}}}"#);
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&more[..read]),
            _ => return None,
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap());
    }
    let length = headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(read @ 1..) => body.extend_from_slice(&more[..read]),
            _ => return None,
        }
    }
    Some(Asked { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

/// The verifier's signature by the profile's own checks, and its node's form.
fn check(asked: &Asked, script: &Mutex<Script>) -> Result<(), &'static str> {
    let mut script = script.lock().unwrap();
    let fields = Fields::of(&asked.headers);
    let code = |refusal: bmap_protocol::refusal::Refusal| refusal.code().as_str();
    let signature = UnverifiedSignature::parse_link(&fields).map_err(code)?;
    assert!(signature.params.contains(LINK_TAG));
    check::coverage(&signature, &fields, false, !asked.body.is_empty()).map_err(code)?;
    check::time_window(&signature, script.now().div_euclid(1000), Window::DEFAULT).map_err(code)?;
    let (tool, epoch) = parse_key_id(signature.key_id).ok_or("invalid_signature")?;
    if tool.as_str() != "geo" || !script.link_epochs.contains(&epoch) {
        return Err("invalid_signature");
    }
    let url = format!("http://{}", script.authority);
    let key = MacKey::from_key_bytes(tool_key(&url, epoch).link_key().expose());
    let (path, query) = (asked.path.as_str(), Some(asked.query.as_str()));
    assert_eq!(asked.headers["host"].to_str().unwrap(), script.authority);
    let received =
        Received { method: &asked.method, scheme: "http", authority: &script.authority, path, query, fields: &fields };
    check::mac(&received, &signature, &key).map_err(code)?;
    if !asked.body.is_empty() {
        check::content_digest(&fields, &bmap_protocol::digest::BodyDigest::of(&asked.body)).map_err(code)?;
    }
    let node = parameter(asked, "node").expect("every request names its node");
    assert_eq!(Base64UrlUnpadded::decode_vec(&node).unwrap().len(), NODE_LEN);
    script.seen.nodes.insert(node);
    if asked.path == FEED_PATH {
        let after: i64 = parameter(asked, "after").unwrap().parse().unwrap();
        script.seen.feeds.push(after);
        if after < script.forgotten || after > script.cursor {
            return Err("cursor_gone");
        }
    }
    Ok(())
}

fn parameter(asked: &Asked, name: &str) -> Option<String> {
    let mut pairs = asked.query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn answer(asked: &Asked, script: &mut Script) -> String {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", STATE_PATH) => {
            let mut state = script.state(&format!("http://{}", script.authority));
            let body = serde_json::to_string(&state).unwrap();
            // Of the content: neither the time nor the cursor is in it.
            (state.server_time, state.cursor) = (0, 0);
            let tag = format!("\"{:x}\"", fingerprint(&serde_json::to_string(&state).unwrap()));
            if asked.headers.get("if-none-match").is_some_and(|known| known.to_str().unwrap() == tag) {
                script.seen.unchanged += 1;
                return format!("HTTP/1.1 304 Not Modified\r\netag: {tag}\r\n\r\n");
            }
            script.seen.states += 1;
            format!("HTTP/1.1 200 OK\r\netag: {tag}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        }
        ("POST", APPLIED_PATH) => {
            let applied: Applied = serde_json::from_slice(&asked.body).unwrap();
            script.seen.applied.push((applied.cursor, Instant::now()));
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
        }
        _ => problem("404 Not Found", "not_found", script.now()),
    }
}

fn fingerprint(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Sends changes behind the cursor as they come, a mark behind each batch, and marks in between.
async fn feed(mut stream: TcpStream, asked: &Asked, script: Arc<Mutex<Script>>, mut changed: watch::Receiver<u64>) {
    let mut after: i64 = parameter(asked, "after").unwrap().parse().unwrap();
    let cuts = script.lock().unwrap().cuts;
    let mut text = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n".to_owned();
    let mut synced: Option<Instant> = None;
    loop {
        let every = {
            let mut script = script.lock().unwrap();
            if script.cuts != cuts {
                return;
            }
            text.extend(script.raw.drain(..));
            let new: String = script.changes.iter().filter(|change| change.cursor > after).map(event).collect();
            let due = synced.is_none_or(|at| at.elapsed() >= script.sync_every) || !new.is_empty();
            if script.speaks && due {
                after = script.cursor;
                let mark = Mark { cursor: after, server_time: script.now() };
                text += &format!("{new}event: sync\ndata: {}\n\n", serde_json::to_string(&mark).unwrap());
                synced = Some(Instant::now());
            }
            script.sync_every
        };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
        text.clear();
        let mut byte = [0];
        tokio::select! {
            _ = changed.changed() => {}
            () = tokio::time::sleep(every.min(Duration::from_millis(50))) => {}
            read = stream.read(&mut byte) => if !matches!(read, Ok(1..)) { return },
        }
    }
}
