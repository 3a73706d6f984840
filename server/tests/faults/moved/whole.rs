//! All of it is there, and goes on.

use super::scene::{PASSWORD, edit, goes_on, is_done, is_refused, migrate, on_sqlite, rows, signed, used};
use crate::postgres::{self, Cluster, HASTY};
use serde_json::Value;

/// Values that a conversion would change: texts of odd Unicode, of nothing and of every quote, and numbers at both ends.
const ODD: &str = "INSERT INTO mail_counts (recipient, hour, mails) VALUES \
     ('', -9223372036854775808, 9223372036854775807), ('e\u{301} \u{e9} \u{202e}\u{feff}\u{1f980}\u{200d}\u{10ffff}', 0, -1), \
     ('a''b\"c\\d\\x41 $1 ?\r\n\t%_', 1, 4294967296), (' spaces ', 2, 0), ('NULL', 3, 1), ('Ä', 4, 1), ('ä', 4, 1), ('a', 4, 1), ('B', 4, 1); \
     INSERT INTO link_nodes (tool, node, applied, seen_at) VALUES ('places', '\u{1f468}\u{200d}\u{1f469}', 9007199254740993, 1); \
     INSERT INTO api_key_uses (key_id, used_at, address, way) SELECT id, 1, '2001:db8::1', 'x' FROM api_keys WHERE name = 'shop' \
     ON CONFLICT DO NOTHING";

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_moves_to_postgresql_and_back_and_goes_on() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    let url = format!("postgres://bmap:{PASSWORD}@127.0.0.1:{}/postgres", cluster.port);
    let installation = on_sqlite();
    let before = used(&installation).await;
    let sqlite = installation.database_url();
    edit(&sqlite, ODD).await;
    let there = rows(&sqlite).await;
    assert!(there.len() > 40, "{}", there.len());

    std::fs::write(installation.path("url"), format!("{url}\n")).unwrap();
    let moved = installation.command(&["migrate", "--to-file", &installation.path("url"), "--json"]).output().unwrap();
    let report: Value = serde_json::from_str(&is_done(&moved)).unwrap();
    assert!(moved.stderr.is_empty(), "no bar where there is no terminal: {}", String::from_utf8_lossy(&moved.stderr));
    assert_eq!(rows(&url).await, there);
    assert_eq!(rows(&sqlite).await, there, "the source is kept");
    let tables = report["tables"].as_array().unwrap();
    let sum: u64 = tables.iter().map(|table| table["rows"].as_u64().unwrap()).sum();
    assert_eq!(usize::try_from(sum).unwrap(), there.len());
    let seals = |name: &str, kind: &str| {
        let table = tables.iter().find(|table| table["table"] == name).unwrap();
        table["seals"][kind].as_u64().unwrap()
    };
    for sealed in [
        "audit_log",
        "audit_head",
        "issuer_keys",
        "api_keys",
        "tools",
        "tool_grants",
        "user_sessions",
        "refresh_tokens",
        "accounts",
    ] {
        assert!(seals(sealed, "hold") > 0 && seals(sealed, "broken") == 0, "{sealed}: {report}");
    }
    assert_eq!((report["from"].as_str().unwrap().contains("bmap.sqlite"), &report["went_on"]), (true, &false.into()));
    assert_eq!(
        cluster.sql("postgres", "SELECT COUNT(*) FROM information_schema.sequences").trim(),
        "0",
        "no number is given by the database"
    );
    // Once more changes nothing.
    assert!(is_done(&migrate(&installation, &url, &[])).contains("nothing was left to do"));

    // The source is not served any more, by any command, and says where the installation is.
    let commands: [&[&str]; 5] =
        [&["serve", "--listen", "127.0.0.1:0"], &["user", "add", "ben"], &["user", "list"], &["migrate"], &["doctor"]];
    for arguments in commands {
        let output = installation.command(arguments).output().unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let place = format!("moved to postgres://127.0.0.1:{}/postgres", cluster.port);
        assert!(!output.status.success() && said.contains(&place) && !said.contains(PASSWORD), "{arguments:?}: {said}");
    }
    assert_eq!(rows(&sqlite).await, there);

    let installation = installation.on(&url);
    assert!(installation.out(&["audit", "verify"]).contains("entries hold"));
    let mut server = installation.serve();
    let replayed = server.ask(&before.signed).await;
    assert_eq!((replayed.status, replayed.text("code").as_str()), (401, "replayed"), "{replayed:?}");
    assert_eq!(
        server.ask(&signed(&installation, &before.id, &before.secret)).await.status,
        201,
        "and there is no pause"
    );
    let refreshed = goes_on(&server, &before).await;
    let in_use = migrate(&installation, &format!("sqlite://{}", installation.path("data/back.sqlite")), &[]);
    is_refused(&in_use, 1, &["the source: another program has this database open"]);
    server.kill();

    // Back, with everything that was done since.
    let there = rows(&url).await;
    let back = format!("sqlite://{}", installation.path("data/back2.sqlite"));
    // A process that was killed is connected until the server has noticed.
    let mut moved = migrate(&installation, &back, &[]);
    for _ in 0..50 {
        if moved.status.success() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        moved = migrate(&installation, &back, &[]);
    }
    is_done(&moved);
    assert_eq!(rows(&back).await, there);
    let installation = installation.on(&back);
    assert!(installation.out(&["audit", "verify"]).contains("entries hold"));
    let server = installation.serve();
    assert_eq!(server.ask(&before.signed).await.text("code"), "replayed");
    goes_on(&server, &super::scene::Before { refresh: refreshed.text("refresh_token"), ..before }).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_moved_is_reopened_and_lets_no_earlier_request_in() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new(HASTY);
    let installation = on_sqlite();
    let before = used(&installation).await;
    let reopen =
        |installation: &crate::server::Installation| installation.command(&["migrate", "--reopen"]).output().unwrap();
    is_refused(&reopen(&installation), 1, &["was not moved: there is nothing to reopen"]);
    is_done(&migrate(&installation, &cluster.url("postgres"), &[]));
    // Accepted by the other database meanwhile: not known here, and refused all the same.
    let elsewhere = signed(&installation, &before.id, &before.secret);
    let secret = std::fs::read(installation.path("data/root.secret")).unwrap();
    std::fs::write(installation.path("data/root.secret"), [9; 32]).unwrap();
    is_refused(&reopen(&installation), 1, &["the root secret is another one", "nothing was changed"]);
    std::fs::write(installation.path("data/root.secret"), secret).unwrap();
    assert!(is_done(&reopen(&installation)).contains("may be served again"));
    let server = installation.serve();
    let refused = server.ask(&elsewhere).await;
    assert_eq!((refused.status, refused.text("code").as_str()), (503, "replay_store_unavailable"), "{refused:?}");
    assert_eq!(server.ask(&before.signed).await.text("code"), "replayed");
    goes_on(&server, &before).await;
}
