//! F09, F10, F11: PostgreSQL killed, demoted, and silent.

use crate::call::{Answer, Call, Line, PAGE, token, with_secret, wrong_secret};
use crate::postgres::{self, Cluster};
use crate::proxy::Proxy;
use crate::server::{Installation, Server, now};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// An issuer on a database that faults happen to, and a key.
struct Scene {
    server: Server,
    id: String,
    secret: String,
}

impl Scene {
    fn on(url: String) -> Self {
        let installation = Installation::new(Some(url)).with("BMAP_LOG", "warn");
        installation.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
        let server = installation.serve();
        let key = installation.out(&[
            "key",
            "add",
            "--user",
            "admin",
            "--name",
            "shop",
            "--origin",
            PAGE,
            "--tool=places",
            "--json",
        ]);
        let key: Value = serde_json::from_str(&key).unwrap();
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        Self { server, id: text("id"), secret: text("secret") }
    }

    /// A key is looked at, and nothing else.
    fn read(&self) -> Call {
        token(&self.id, &wrong_secret())
    }

    fn write(&self) -> Call {
        with_secret(
            Call::json("POST", "/tickets", &json!({ "tool": "places", "origin": PAGE })),
            &self.id,
            &self.secret,
        )
    }

    /// So many at once, each on a connection of its own; none may take longer.
    async fn at_once(&self, number: usize, call: &Call, longest: Duration) -> Vec<Answer> {
        let send = || async {
            let began = now();
            let answer = Line::to(self.server.address).send(call).await.unwrap();
            assert!(began.elapsed() < longest, "{:?}: {answer:?}", began.elapsed());
            answer
        };
        futures_util::future::join_all((0..number).map(|_| send())).await
    }

    /// Everything that needs the database is refused in time, and what does not is answered.
    async fn is_refused(&self, longest: Duration) {
        for call in [self.read(), self.write()] {
            for answer in self.at_once(20, &call, longest).await {
                assert_eq!((answer.status, answer.text("code").as_str()), (503, "issuer_unavailable"), "{answer:?}");
            }
        }
        assert_eq!(self.server.ask(&Call::new("GET", "/readyz")).await.status, 503);
        for path in ["/livez", "/.well-known/jwks.json"] {
            assert_eq!(self.server.ask(&Call::new("GET", path)).await.status, 200, "{path}");
        }
    }

    async fn is_served(&self, within: Duration) {
        let began = now();
        for (call, status) in [(self.read(), 401), (self.write(), 201), (Call::new("GET", "/readyz"), 200)] {
            while self.server.ask(&call).await.status != status {
                assert!(began.elapsed() < within, "{call:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        // And by every connection.
        assert!(self.at_once(20, &self.write(), SERVED_IN).await.iter().all(|answer| answer.status == 201));
        println!("served again in {:?}", began.elapsed());
    }
}

/// A wait for a connection is 2 s; the rest is the machine's, which may be very busy. Less than a statement may take (8 s), so
/// that no request was waiting for one.
const REFUSED_IN: Duration = Duration::from_secs(6);
/// The same for what is served: no statement was given up.
const SERVED_IN: Duration = Duration::from_secs(6);
const BACK_IN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn f09_a_killed_database_is_said_to_be_away_and_found_again() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new("");
    let scene = Scene::on(cluster.url("postgres"));
    for _ in 0..2 {
        scene.is_served(BACK_IN).await;
        tokio::task::block_in_place(|| cluster.stop_immediately());
        scene.is_refused(REFUSED_IN).await;
        assert!(tokio::task::block_in_place(|| cluster.start()));
        scene.is_served(BACK_IN).await;
        // Killed and started between two requests: the next one does not fail.
        tokio::task::block_in_place(|| {
            cluster.stop_immediately();
            assert!(cluster.start());
        });
        assert_eq!(scene.server.ask(&scene.write()).await.status, 201);
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_connections_to_a_demoted_node_are_left() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let old = Cluster::new("");
    let proxy = Proxy::to(local(old.port)).await;
    let scene = Scene::on(format!("postgres://bmap@{}/postgres", proxy.address));
    scene.is_served(BACK_IN).await;
    // The node takes no writes any more, and there is no other node yet: it is not read from either.
    let demote = |yes: &str| {
        old.sql("postgres", &format!("ALTER SYSTEM SET default_transaction_read_only = {yes}"));
        old.sql("postgres", "SELECT pg_reload_conf()");
        // A new connection is of a server that has told the others already.
        while old.sql("postgres", "SHOW default_transaction_read_only").trim() != yes {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    demote("on");
    scene.is_refused(REFUSED_IN).await;
    demote("off");
    scene.is_served(BACK_IN).await;
    // Now another one is: new connections lead there, the pooled ones still to the old one, which answers.
    let new = tokio::task::block_in_place(|| {
        old.stop_immediately();
        let new = old.copy();
        assert!(old.start());
        new
    });
    scene.is_served(BACK_IN).await;
    demote("on");
    proxy.lead_to(local(new.port));
    for answer in scene.at_once(20, &scene.write(), SERVED_IN).await {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    scene.is_served(BACK_IN).await;
    let left = old.sql(
        "postgres",
        "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%tickets%' AND pid <> pg_backend_pid()",
    );
    assert_eq!(left.trim(), "0", "connections to the old node are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_silent_connection_holds_nobody() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new("");
    let proxy = Proxy::to(local(cluster.port)).await;
    let scene = Scene::on(format!("postgres://bmap@{}/postgres", proxy.address));
    scene.is_served(BACK_IN).await;
    // Idle ones fall silent: found out in half a second each, replaced, and no request is refused.
    proxy.silence();
    for answer in scene.at_once(8, &scene.write(), SERVED_IN).await {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    // New ones are silent too.
    proxy.silence_new_ones(true);
    proxy.silence();
    scene.is_refused(REFUSED_IN).await;
    proxy.silence_new_ones(false);
    scene.is_served(BACK_IN).await;
    // In the middle of a statement: given up after 8 s, and the connection with it. When that is, the machine says: too early, and
    // the connection is only about to be looked at; too late, and everything is answered.
    proxy.delay(Duration::from_millis(300));
    let write = scene.write();
    let mut given_up = false;
    for millis in [450, 700, 1000, 1500, 2200] {
        let (under_way, ()) = tokio::join!(scene.at_once(8, &write, Duration::from_secs(14)), async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            proxy.silence();
        });
        given_up = under_way.iter().any(|answer| answer.status == 503);
        if given_up {
            break;
        }
    }
    assert!(given_up, "nothing was under way");
    proxy.delay(Duration::ZERO);
    scene.is_served(BACK_IN).await;
}
