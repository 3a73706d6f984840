//! What is refused, and that nothing is changed by it.

use super::scene::{PASSWORD, edit, is_done, is_refused, migrate, on_sqlite, rows, used};
use crate::postgres::{self, Cluster, HASTY};
use crate::server::Installation;

fn database(cluster: &Cluster, name: &str) -> String {
    cluster.sql("postgres", &format!("CREATE DATABASE {name}"));
    format!("postgres://bmap:{PASSWORD}@127.0.0.1:{}/{name}", cluster.port)
}

fn tables(cluster: &Cluster, name: &str) -> String {
    cluster.sql(name, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public'").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_would_lose_something_is_refused() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    let installation = on_sqlite();
    used(&installation).await;
    let sqlite = installation.database_url();

    // In use: the source's issuer runs.
    let empty = database(&cluster, "empty");
    let mut server = installation.serve();
    is_refused(&migrate(&installation, &empty, &[]), 1, &["the source: another program has this database open"]);
    server.kill();
    let before = rows(&sqlite).await;

    // Another installation's root secret.
    let secret = installation.path("data/root.secret");
    let right = std::fs::read(&secret).unwrap();
    std::fs::write(&secret, [9; 32]).unwrap();
    is_refused(&migrate(&installation, &empty, &[]), 1, &["the root secret is another one", "nothing was changed"]);
    std::fs::remove_file(&secret).unwrap();
    assert!(!migrate(&installation, &empty, &[]).status.success());
    assert!(!std::path::Path::new(&secret).exists(), "a move makes no root secret");
    std::fs::write(&secret, right).unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(tables(&cluster, "empty"), "0");

    // Not where it is said to be, or not a safe way to it.
    let port = cluster.port;
    let wrong: [(&str, i32, &str); 6] = [
        ("mysql://x", 2, "--to: neither sqlite: nor postgres:"),
        (&format!("postgres://bmap:{PASSWORD}@db.example/bmap?sslmode=require"), 2, "sslmode is verify-full"),
        (&format!("postgres://bmap:{PASSWORD}@127.0.0.1:{port}/none"), 1, "the target: "),
        (&format!("postgres://bmap:{PASSWORD}@127.0.0.1:1/none"), 1, "the connection was refused"),
        (&format!("postgres://bmap:{PASSWORD}@127.0.0.1:{port}/empty?sslmode=verify-full"), 1, "the target: "),
        (&sqlite, 2, "--from and --to are one database"),
    ];
    for (to, code, says) in wrong {
        is_refused(&migrate(&installation, to, &[]), code, &[says]);
    }
    let nowhere = ["--from", "sqlite:///nonexistent/x"];
    is_refused(&migrate(&installation, &empty, &nowhere), 2, &["--from: there is no database"]);
    let usage = [
        &["migrate", "--from", "sqlite:x"][..],
        &["migrate", "--to", "sqlite:x", "--check"],
        &["migrate", "--copy-broken-seals"],
    ];
    for arguments in usage {
        assert_eq!(installation.command(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }

    // A target with something in it.
    let other = Installation::new(Some(database(&cluster, "other")));
    drop(other.serve());
    let theirs = database(&cluster, "theirs");
    cluster.sql("theirs", "CREATE TABLE notes (id BIGINT); CREATE TABLE users (id BIGINT)");
    for (to, name, what) in [(other.database_url(), "other", "not empty ("), (theirs, "theirs", "not empty (")] {
        let dump = cluster.ask("pg_dump", name, &["--restrict-key=x"]);
        is_refused(&migrate(&installation, &to, &[]), 1, &[what, "was left as it is"]);
        assert!(cluster.ask("pg_dump", name, &["--restrict-key=x"]) == dump, "{name} was changed");
    }
    // The data folder of another installation than the source's.
    let from = ["--from", other.database_url().leak()];
    is_refused(&migrate(&installation, &empty, &from), 2, &["this data folder belongs to installation"]);
    assert_eq!(tables(&cluster, "empty"), "0");
    assert_eq!(rows(&sqlite).await, before);

    // A target that was migrated and not used is empty.
    let migrated = Installation::new(Some(empty.clone()));
    migrated.out(&["migrate"]);
    is_done(&migrate(&installation, &empty, &[]));
    assert_eq!(rows(&empty).await, before);
    // Moved is moved: not to a second place.
    let second = database(&cluster, "second");
    is_refused(&migrate(&installation, &second, &[]), 1, &["the source was moved to postgres://127.0.0.1:"]);
    assert_eq!(tables(&cluster, "second"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_rows_that_were_edited_are_named_and_copied_only_where_that_is_said() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    let installation = on_sqlite();
    let before = used(&installation).await;
    let sqlite = installation.database_url();
    let entry = rows(&sqlite).await.into_iter().filter(|row| row.starts_with("audit_log: ")).count() / 2;
    let edits: [(&str, &str); 7] = [
        ("tools places", "UPDATE tools SET base_url = 'https://evil.example'"),
        (
            &format!("api_keys {}", before.id),
            "UPDATE api_keys SET scope = replace(scope, 'shop.example', 'evil.example') WHERE name = 'shop'",
        ),
        ("users usr_", "UPDATE users SET role = 'admin', role_epoch = 1, role_mac = 'AAAA' WHERE role = 'member'"),
        ("refresh_tokens ", "UPDATE refresh_tokens SET used_at = 1, salt = hash"),
        ("accounts usr_", "UPDATE accounts SET email = 'eve@evil.example'"),
        (
            "audit_head 1 (it is not the last entry",
            "UPDATE audit_head SET mac = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
        ),
        (
            &format!("audit_log {entry} (it is not as it was written"),
            &format!(
                "DROP TRIGGER audit_log_no_update; UPDATE audit_log SET detail = '{{}}', outcome = 'x' WHERE sequence = {entry}"
            ),
        ),
    ];
    for (number, (row, sql)) in edits.iter().enumerate() {
        let copy = on_sqlite();
        std::fs::create_dir(copy.path("data")).unwrap();
        std::fs::set_permissions(copy.path("data"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        for file in ["root.secret", "bmap.sqlite", "bmap.sqlite-wal"] {
            let from = installation.path(&format!("data/{file}"));
            if std::path::Path::new(&from).exists() {
                std::fs::copy(from, copy.path(&format!("data/{file}"))).unwrap();
            }
        }
        edit(&copy.database_url(), sql).await;
        let there = rows(&copy.database_url()).await;
        let to = database(&cluster, &format!("edited_{number}"));
        let error = is_refused(
            &migrate(&copy, &to, &[]),
            1,
            &[" rows are not as the issuer wrote them", row, "--copy-broken-seals"],
        );
        assert!(!error.contains("settings "), "{error}");
        // Half copied: no process serves it, and the source is served as before.
        let half = Installation::new(Some(to.clone()));
        half.prepare();
        std::fs::copy(installation.path("data/root.secret"), half.path("data/root.secret")).unwrap();
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "list"], &["migrate"], &["doctor"]] {
            let output = half.command(arguments).output().unwrap();
            let said = [&output.stdout[..], &output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!output.status.success() && said.contains("half-finished copy"), "{arguments:?}: {said}");
        }
        let said = is_done(&migrate(&copy, &to, &["--copy-broken-seals"]));
        assert!(said.lines().last().is_some_and(|line| line.contains("equal value by value")), "{said}");
        assert_eq!(rows(&to).await, there, "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_postgresql_has_no_place_for_is_named() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    for (number, value, says) in [
        (1, "'a' || char(0) || 'b'", "the target: mail_counts a\0b 1 has a text with U+0000"),
        (2, "x'ff00'", "the source: a row of mail_counts has a bad value in column recipient"),
        (3, "CAST(x'ff' AS TEXT)", "the source: a row of mail_counts can't be read: "),
    ] {
        let installation = on_sqlite();
        installation.out(&["user", "add", "ana"]);
        edit(&installation.database_url(), &format!("INSERT INTO mail_counts VALUES ({value}, 1, 1)")).await;
        let to = database(&cluster, &format!("odd_{number}"));
        is_refused(&migrate(&installation, &to, &[]), 1, &[says]);
        // The source is as it was.
        installation.out(&["user", "list"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_used_between_two_runs_is_noticed() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    let seal = "UPDATE tools SET base_url = 'https://evil.example'";
    let mend = "UPDATE tools SET base_url = 'http://127.0.0.1:4001'";
    for (number, used, says) in [
        // Recorded, so seen at once; and not recorded, so seen when all is compared. Removed, so seen by the number of rows.
        (1, "", "a half-finished copy of sqlite:"),
        (2, "; UPDATE users SET created_at = created_at + 1", "users usr_"),
        (3, "; DELETE FROM secrets_given", "the number of rows of secrets_given"),
    ] {
        let installation = on_sqlite();
        installation.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
        installation.out(&["user", "add", "ana"]);
        installation.out(&["key", "add", "--user", "ana", "--name", "shop", "--tool", "places"]);
        let sqlite = installation.database_url();
        edit(&sqlite, "INSERT INTO secrets_given (key_id, act, given_at) SELECT id, 'made', 1 FROM api_keys").await;
        edit(&sqlite, seal).await;
        let to = database(&cluster, &format!("between_{number}"));
        is_refused(&migrate(&installation, &to, &[]), 1, &["tools places"]);
        // Everything before the tools' page is there; `secrets_given` and `users` among it.
        edit(&sqlite, &format!("{mend}{used}")).await;
        if used.is_empty() {
            installation.out(&["user", "add", "ben"]);
        }
        let error = is_refused(&migrate(&installation, &to, &[]), 1, &[says]);
        assert!(error.contains("mpty") && error.contains("begin again"), "{error}");
        installation.out(&["user", "add", "carla"]);
    }
}
