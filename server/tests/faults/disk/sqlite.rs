//! SQLite: the database and its log on one disk.

use super::{
    ADD_KEY, ADD_TOOL, Disk, are_good, is_not_ready, keep_what_is_written, key, lose_what_is_written, reads_go_on,
    recovers, signed_in, ticket, write_until_refused,
};
use crate::call::{token, wrong_secret};
use crate::server::Installation;
use sqlx::{AnyConnection, Connection, Row};
use std::process::Command;
use std::time::Duration;

async fn is_whole(url: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let said: String = sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(said, "ok");
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f02_a_full_disk_takes_no_writes_loses_none_and_is_well_again_with_space() {
    let installation = Installation::new(None).with("BMAP_DEVELOPMENT", "true");
    let disk = Disk::new(installation.path("data"), 8, "0700");
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

#[tokio::test(flavor = "multi_thread")]
async fn f03_a_write_that_may_not_be_on_the_disk_is_never_acknowledged() {
    let installation = Installation::new(None).with("BMAP_DEVELOPMENT", "true");
    let server = installation.serve();
    installation.out(&ADD_TOOL);
    let key = key(&installation.out(&ADD_KEY));
    let access = signed_in(&server, &installation).await;
    for _ in 0..3 {
        let before = server.ask(&ticket(&key)).await.text("ticket");
        let fault = lose_what_is_written(&[server.child.id()], true);
        let acknowledged = write_until_refused(&server, &key).await;
        assert!(acknowledged.is_empty(), "acknowledged without having been written: {}", acknowledged.len());
        reads_go_on(&server, &key, &access).await;
        is_not_ready(&server).await;
        for _ in 0..10 {
            assert_eq!(server.ask(&ticket(&key)).await.status, 503, "still refused");
            // Nothing is granted that the audit log does not know of.
            assert_eq!(server.ask(&token(&key.id, &key.secret)).await.status, 503);
        }
        keep_what_is_written(fault);
        recovers(&server, &key).await;
        are_good(&server, &[before]).await;
        is_whole(&installation.database_url()).await;
    }
    // Killed in that state: what was acknowledged is there.
    let before = server.ask(&ticket(&key)).await.text("ticket");
    let fault = lose_what_is_written(&[server.child.id()], true);
    assert_eq!(server.ask(&ticket(&key)).await.status, 503);
    drop(server);
    keep_what_is_written(fault);
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
