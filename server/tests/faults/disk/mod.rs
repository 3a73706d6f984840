//! F02 and F03: a disk that is full, and one that loses what is written. On a disk of the test's own.

mod postgresql;
mod sqlite;

use crate::call::{Call, Line, PAGE, exchange, token, with_secret, wrong_secret};
use crate::person::{login, me, register};
use crate::server::{Installation, Server, now};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A small disk that no other process sees: a tmpfs in a mount namespace, which ends with this value, and a little after this
/// process.
struct Disk {
    holder: Child,
    at: String,
    is_root: bool,
}

impl Disk {
    fn new(at: String, mebibytes: u32, mode: &str) -> Self {
        let is_root = Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0";
        let script = format!(
            "mkdir -p {at} && mount -t tmpfs -o size={mebibytes}m,mode={mode} tmpfs {at} && echo ok && cat && sleep 5"
        );
        let mut holder = Command::new("unshare");
        // Without being root, as the root of a user namespace of one's own.
        holder
            .args(if is_root { &["--mount"][..] } else { &["--mount", "--map-root-user"] })
            .args(["sh", "-c", &script]);
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ok\n", "a tmpfs in a namespace: unshare and mount have to be allowed");
        Self { holder, at, is_root }
    }

    /// The same command, on the side where the disk is.
    fn within(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !self.is_root {
            entered.args(["--user", "--preserve-credentials"]);
        }
        entered.arg(command.get_program()).args(command.get_args()).env_clear();
        entered.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        entered.current_dir(command.get_current_dir().unwrap());
        entered
    }

    /// The beginning of a command there that is not root's: as an ordinary user, or as the root of the namespace seen from
    /// another one.
    fn as_ordinary_user(&self) -> Vec<String> {
        let id = self.holder.id().to_string();
        let enter = ["nsenter", "--target", &id, "--mount"];
        let then: &[&str] = if self.is_root {
            &["runuser", "-u", "nobody", "--"]
        } else {
            &["--user", "--preserve-credentials", "unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
        };
        enter.iter().chain(then).map(|word| (*word).to_owned()).collect()
    }

    /// Where other processes find a file of the disk.
    fn path(&self, name: &str) -> PathBuf {
        format!("/proc/{}/root{}/{name}", self.holder.id(), self.at).into()
    }

    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.path("ballast")).unwrap();
        let full = (0..).find_map(|_| ballast.write_all(&[0; 4096]).err()).unwrap();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        // And the last bytes.
        while ballast.write(&[0]).is_ok_and(|written| written > 0) {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.path("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// An API key that a command made.
struct Key {
    id: String,
    secret: String,
}

fn key(out: &str) -> Key {
    let made: Value = serde_json::from_str(out).unwrap();
    Key { id: made["id"].as_str().unwrap().to_owned(), secret: made["secret"].as_str().unwrap().to_owned() }
}

const ADD_TOOL: [&str; 5] = ["tool", "add", "places", "--url", "http://127.0.0.1:4001"];
const ADD_KEY: [&str; 10] =
    ["key", "add", "--user", "admin", "--name", "shop", "--origin", PAGE, "--tool=places", "--json"];

/// A write that its caller sees acknowledged or refused.
fn ticket(key: &Key) -> Call {
    with_secret(Call::json("POST", "/tickets", &json!({ "tool": "places", "origin": PAGE })), &key.id, &key.secret)
}

async fn signed_in(server: &Server, installation: &Installation) -> String {
    register("ana@shop.example", server, installation).await;
    server.ask(&login("ana@shop.example")).await.text("access_token")
}

async fn status(server: &Server, path: &str) -> u16 {
    server.ask(&Call::new("GET", path)).await.status
}

/// Writes until it is refused; the tickets that were acknowledged.
async fn write_until_refused(server: &Server, key: &Key) -> Vec<String> {
    let mut line = Line::to(server.address);
    let mut acknowledged = Vec::new();
    for _ in 0..3000 {
        let answer = line.send(&ticket(key)).await.unwrap();
        match answer.status {
            201 => acknowledged.push(answer.text("ticket")),
            _ => {
                assert_eq!((answer.status, answer.text("code").as_str()), (503, "issuer_unavailable"), "{answer:?}");
                return acknowledged;
            }
        }
    }
    panic!("3000 writes were acknowledged by a disk that takes none");
}

/// While writing fails, what only reads goes on.
async fn reads_go_on(server: &Server, key: &Key, access: &str) {
    for _ in 0..5 {
        assert_eq!(server.ask(&me(access)).await.status, 200);
        assert_eq!(server.ask(&token(&key.id, &wrong_secret())).await.status, 401);
        assert_eq!(status(server, "/.well-known/jwks.json").await, 200);
        assert_eq!(status(server, "/livez").await, 200);
    }
}

/// Waits until a load balancer would send no new callers here. A result of the check holds for a second.
async fn is_not_ready(server: &Server) {
    let began = now();
    while status(server, "/readyz").await != 503 {
        assert!(began.elapsed() < Duration::from_secs(2), "still said to be ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn recovers(server: &Server, key: &Key) {
    let began = now();
    while status(server, "/readyz").await != 200 {
        assert!(began.elapsed() < Duration::from_secs(5), "not ready again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.ask(&ticket(key)).await.status, 201);
}

/// Every acknowledged ticket is there: once.
async fn are_good(server: &Server, tickets: &[String]) {
    let mut line = Line::to(server.address);
    for ticket in tickets {
        assert_eq!(line.send(&exchange(ticket)).await.unwrap().status, 200, "{ticket}");
        assert_eq!(line.send(&exchange(ticket)).await.unwrap().status, 400, "{ticket}");
    }
}

/// Makes every `fsync` of these processes fail as long as they live; of those that they start too, where they are followed.
fn lose_what_is_written(processes: &[u32], are_followed: bool) -> Child {
    let calls = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"];
    let mut strace = Command::new("strace");
    strace.args(are_followed.then_some("-f")).args(["-q", "-o", "/dev/null"]).args(calls).stderr(Stdio::null());
    let processes: Vec<String> = processes.iter().map(u32::to_string).collect();
    let strace = strace.args(["-p", &processes.join(" ")]).spawn();
    let strace = strace.expect("strace is installed (Debian: strace)");
    std::thread::sleep(Duration::from_millis(300));
    strace
}

/// It lets go of the processes, and ends.
fn keep_what_is_written(mut fault: Child) {
    // It may have ended with them.
    let _ = Command::new("kill").arg(fault.id().to_string()).stderr(Stdio::null()).status();
    let _ = fault.wait();
}
