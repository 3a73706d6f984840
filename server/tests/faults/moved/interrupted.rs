//! Killed, and cut off, at any moment: run again, it is complete and equal.

use super::scene::{edit, is_done, is_refused, migrate, on_sqlite, rows};
use crate::chance::Chance;
use crate::postgres::{self, Cluster, HASTY};
use crate::proxy::Proxy;
use crate::server::{Installation, now};
use std::net::SocketAddr;
use std::time::Duration;

/// Rows beside the others: enough for many pages of several tables.
async fn large() -> Installation {
    let installation = on_sqlite();
    drop(installation.serve());
    installation.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
    for name in ["ana", "ben"] {
        installation.out(&["user", "add", name]);
        installation.out(&["key", "add", "--user", name, "--name", name, "--tool", "places"]);
    }
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)";
    let sql = format!(
        "{many} INSERT INTO sessions SELECT 'ses_' || i, 'usr', 'bmk', 'places', i, i, NULL, NULL FROM n; \
         {many} INSERT INTO mail_counts SELECT 'r' || i, i, i FROM n; \
         {many} INSERT INTO used_nonces SELECT 'nonce ' || i, i FROM n"
    );
    edit(&installation.database_url(), &sql).await;
    installation
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_a_move_that_is_killed_at_any_moment_goes_on_and_ends_equal() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    let mut chance = Chance(20_261_201);
    let (mut kills, mut half) = (0, 0);
    let installation = large().await;
    let there = rows(&installation.database_url()).await;
    // How long one takes on this machine.
    let whole = {
        cluster.sql("postgres", "CREATE DATABASE measured");
        let copy = Installation::new(None);
        copy.prepare();
        for file in ["root.secret", "bmap.sqlite"] {
            std::fs::copy(installation.path(&format!("data/{file}")), copy.path(&format!("data/{file}"))).unwrap();
        }
        let began = now();
        is_done(&migrate(&copy, &cluster.url("measured"), &[]));
        began.elapsed()
    };
    let url = cluster.url("postgres");
    let report = loop {
        let mut child = installation.spawn(installation.command(&["migrate", "--to", &url, "--json"]));
        // Longer and longer, or a copy that compares could be killed for ever.
        let most = u64::try_from(whole.as_millis()).unwrap() * (kills + 2) / 16;
        let dies_at = now() + Duration::from_millis(chance.next() % most.max(1));
        let ended = loop {
            if let Some(ended) = child.try_wait().unwrap() {
                break Some(ended);
            }
            if now() > dies_at {
                break None;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        if let Some(ended) = ended {
            let refused = installation.log();
            // PostgreSQL may take a moment to notice that the killed one is gone.
            if !ended.success() {
                assert!(refused.trim_end().ends_with("that works with it"), "{refused}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            break std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        // At no moment can both be served; what is half copied is served by no process.
        let marked = cluster.sql("postgres", "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'settings'");
        if marked.trim() == "1" {
            let marks =
                cluster.sql("postgres", "SELECT name FROM settings WHERE name IN ('copy_unfinished', 'copied_from')");
            half += u64::from(marks.trim() == "copy_unfinished");
        }
    };
    println!("{kills} kills, {half} of them in a half-finished copy, a whole one takes {whole:?}");
    assert!(kills >= 5 && half >= 3, "{kills} {half}");
    assert!(report.contains("\"went_on\":true") || report.contains("\"was_done\":true"), "{report}");
    assert_eq!(rows(&url).await, there);
    let installation = installation.on(&url);
    assert!(installation.out(&["audit", "verify"]).contains("entries hold"));
    drop(installation.serve());
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_killed_between_the_two_marks_neither_is_served_and_another_run_ends_it() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    let url = cluster.url("postgres");
    let installation = on_sqlite();
    installation.out(&["user", "add", "ana"]);
    let there = rows(&installation.database_url()).await;
    is_done(&migrate(&installation, &url, &[]));
    // As it was in that moment: the source's mark is there, and so is the target's.
    let copied: serde_json::Value =
        serde_json::from_str(cluster.sql("postgres", "SELECT value FROM settings WHERE name = 'copied_from'").trim())
            .unwrap();
    let unfinished = serde_json::json!({
        "copy": copied["copy"], "from": copied["from"], "installation": null, "audit": "", "table": null, "after": [],
    });
    cluster.sql(
        "postgres",
        &format!("UPDATE settings SET name = 'copy_unfinished', value = '{unfinished}' WHERE name = 'copied_from'"),
    );
    let target = Installation::new(Some(url.clone()));
    target.prepare();
    for (side, says) in [(&installation, "was moved to"), (&target, "half-finished copy")] {
        let refused = side.command(&["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
        is_refused(&refused, 1, &[says]);
    }
    is_done(&migrate(&installation, &url, &[]));
    assert_eq!(rows(&url).await, there);
    drop(installation.on(&url).serve());
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_move_whose_network_is_cut_or_goes_silent_ends_with_an_error_and_goes_on() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    let installation = large().await;
    let there = rows(&installation.database_url()).await;
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], cluster.port))).await;
    let url = format!("postgres://bmap@{}/postgres", proxy.address);
    // Slow enough that there is a middle.
    proxy.delay(Duration::from_millis(10));
    let begun = || {
        cluster.sql("postgres", "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'settings'").trim() == "1"
            && cluster.sql("postgres", "SELECT COUNT(*) FROM sessions").trim().parse::<u64>().unwrap() > 500
    };

    let child = installation.spawn(installation.command(&["migrate", "--to", &url]));
    wait_until(begun).await;
    tokio::task::block_in_place(|| cluster.stop_immediately());
    is_refused(&tokio::task::block_in_place(|| child.wait_with_output().unwrap()), 1, &[]);
    assert!(installation.log().contains("the target: "), "{}", installation.log());
    assert!(tokio::task::block_in_place(|| cluster.start()));
    // The source is not moved: it could be served again.
    installation.out(&["user", "list"]);

    let child = installation.spawn(installation.command(&["migrate", "--to", &url]));
    let before: u64 = cluster.sql("postgres", "SELECT COUNT(*) FROM sessions").trim().parse().unwrap();
    let further = || cluster.sql("postgres", "SELECT COUNT(*) FROM sessions").trim().parse::<u64>().unwrap() > before;
    wait_until(further).await;
    proxy.silence();
    let began = now();
    is_refused(&tokio::task::block_in_place(|| child.wait_with_output().unwrap()), 1, &[]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(installation.log().contains("did not answer in time"), "{}", installation.log());

    proxy.delay(Duration::ZERO);
    // The server still holds the silent connection, and its lock.
    cluster.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'");
    is_done(&migrate(&installation, &url, &[]));
    assert_eq!(rows(&cluster.url("postgres")).await, there);
}

async fn wait_until(condition: impl Fn() -> bool) {
    let began = now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
