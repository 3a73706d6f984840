//! F02 and F03: a disk that is full, and one that loses what is written. SQLite, on a disk of the test's own.

use crate::call::{Call, Line, PAGE, exchange, token, with_secret, wrong_secret};
use crate::person::{login, me, register};
use crate::server::{Installation, Server, now};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection, Row};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A small disk that nobody else sees: a tmpfs in a mount namespace, which ends with this value.
struct Disk {
    holder: Child,
    at: String,
    is_root: bool,
}

impl Disk {
    fn new(at: String, mebibytes: u32) -> Self {
        let is_root = Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0";
        let script =
            format!("mkdir -p {at} && mount -t tmpfs -o size={mebibytes}m,mode=0700 tmpfs {at} && echo ok && cat");
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

    /// Where a file of the disk is for everybody else.
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

/// Nobody sends new callers here. What was found out a moment ago holds for a second.
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

async fn is_whole(url: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let said: String = sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(said, "ok");
    connection.close().await.unwrap();
}

/// Every acknowledged ticket is there: once.
async fn are_good(server: &Server, tickets: &[String]) {
    let mut line = Line::to(server.address);
    for ticket in tickets {
        assert_eq!(line.send(&exchange(ticket)).await.unwrap().status, 200, "{ticket}");
        assert_eq!(line.send(&exchange(ticket)).await.unwrap().status, 401, "{ticket}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f02_a_full_disk_takes_no_writes_loses_none_and_is_well_again_with_space() {
    let installation = Installation::new(None).with("BMAP_DEVELOPMENT", "true");
    let disk = Disk::new(installation.path("data"), 8);
    let server = installation.serve_by(disk.within(&installation.serve_command()));
    let out = |arguments: &[&str]| {
        let output = disk.within(&installation.command(arguments)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    out(&ADD_TOOL);
    let key = key(&out(&ADD_KEY));
    let access = signed_in(&server, &installation).await;
    // SQLite would follow the way into the namespace to the wrong place, so a copy is looked at.
    let copy = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", copy.path().join("bmap.sqlite").display());
    let is_whole_on_it = async || {
        for name in ["bmap.sqlite", "bmap.sqlite-wal"] {
            std::fs::copy(disk.path(name), copy.path().join(name)).unwrap();
        }
        is_whole(&url).await;
    };
    for round in 0..3 {
        disk.fill();
        // The log beside the database may have room in it.
        let mut acknowledged = write_until_refused(&server, &key).await;
        reads_go_on(&server, &key, &access).await;
        acknowledged.extend(write_until_refused(&server, &key).await);
        println!("round {round}: {} writes found room", acknowledged.len());
        disk.empty();
        recovers(&server, &key).await;
        let some = &acknowledged[acknowledged.len().saturating_sub(50)..];
        are_good(&server, some).await;
        is_whole_on_it().await;
    }
    // Killed on the full disk: whole after the restart.
    disk.fill();
    let acknowledged = write_until_refused(&server, &key).await;
    drop(server);
    disk.empty();
    let server = installation.serve_by(disk.within(&installation.serve_command()));
    assert!(server.started_in < Duration::from_secs(2), "{:?}", server.started_in);
    are_good(&server, &acknowledged[acknowledged.len().saturating_sub(50)..]).await;
    is_whole_on_it().await;
}

/// Makes every `fsync` of a process fail, as long as it lives.
fn lose_what_is_written(server: &Server) -> Child {
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-q",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        "inject=fsync,fdatasync:error=EIO",
    ]);
    let strace = strace.args(["-p", &server.child.id().to_string()]).spawn();
    let strace = strace.expect("strace is installed (Debian: strace)");
    std::thread::sleep(Duration::from_millis(300));
    strace
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_a_write_that_may_not_be_on_the_disk_is_never_acknowledged() {
    let installation = Installation::new(None).with("BMAP_DEVELOPMENT", "true");
    let server = installation.serve();
    installation.out(&ADD_TOOL);
    let key = key(&installation.out(&ADD_KEY));
    let access = signed_in(&server, &installation).await;
    for _ in 0..3 {
        let before = server.ask(&ticket(&key)).await.text("ticket");
        let mut fault = lose_what_is_written(&server);
        let acknowledged = write_until_refused(&server, &key).await;
        assert!(acknowledged.is_empty(), "acknowledged without having been written: {}", acknowledged.len());
        reads_go_on(&server, &key, &access).await;
        is_not_ready(&server).await;
        for _ in 0..10 {
            assert_eq!(server.ask(&ticket(&key)).await.status, 503, "still refused");
            // Nothing is granted that the audit log does not know of.
            assert_eq!(server.ask(&token(&key.id, &key.secret)).await.status, 503);
        }
        // It lets go of the process, and ends.
        assert!(Command::new("kill").arg(fault.id().to_string()).status().unwrap().success());
        let _ = fault.wait();
        recovers(&server, &key).await;
        are_good(&server, &[before]).await;
        is_whole(&installation.database_url()).await;
    }
    // Killed in that state: what was acknowledged is there.
    let before = server.ask(&ticket(&key)).await.text("ticket");
    let mut fault = lose_what_is_written(&server);
    assert_eq!(server.ask(&ticket(&key)).await.status, 503);
    drop(server);
    let _ = fault.wait();
    let server = installation.serve();
    are_good(&server, &[before]).await;
    is_whole(&installation.database_url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f02_f03_failing_at_any_one_moment_leaves_the_database_whole() {
    for (calls, error) in [("fsync,fdatasync", "EIO"), ("pwrite64", "ENOSPC"), ("pwrite64", "EIO")] {
        let installation = Installation::new(None);
        installation.out(&ADD_TOOL);
        drop(installation.serve());
        let key = key(&installation.out(&ADD_KEY));
        for number in [1, 2, 3, 5, 8, 13, 21, 34, 55] {
            // From the n-th on, in a start or after it.
            let mut command = Command::new("strace");
            let inject = format!("inject={calls}:error={error}:when={number}+");
            // The tracer is the grandchild, so that the child is the server.
            command.args(["-D", "-f", "-q", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject]);
            let serve = installation.serve_command();
            command.arg(serve.get_program()).args(serve.get_args()).env_clear();
            command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command.current_dir(serve.get_current_dir().unwrap());
            let mut acknowledged = Vec::new();
            // A start that can't write ends with an error.
            if let Some(server) = installation.try_serve_by(command) {
                acknowledged = write_until_refused(&server, &key).await;
                assert_eq!(server.ask(&token(&key.id, &wrong_secret())).await.status, 401);
            }
            let server = installation.serve();
            are_good(&server, &acknowledged).await;
            is_whole(&installation.database_url()).await;
        }
    }
}
