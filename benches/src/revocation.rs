//! How long a denial takes to be in force at four verifiers with a live link. The issuer that they are linked to is a process of its own; another
//! issuer on the same database commits the act, and its answer starts the time.

use crate::issuer_process::Issuer;
use crate::stats::{goal, quantile};
use bmap_issuer::issuer::Lives;
use bmap_issuer_link::{Link, LinkOptions, LinkState};
use bmap_model::audit::Source;
use bmap_model::clock::MachineClock;
use bmap_model::rng::SystemRandom;
use bmap_protocol::ids::UserId;
use bmap_store::Database;
use bmap_store::address::Address;
use bmap_store::root_file::{self, Readers};
use bmap_store::schema::Pending;
use bmap_test_kit::postgres::{Cluster, HASTY, is_installed};
use bmap_verifier::ToolCredential;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

const VERIFIERS: usize = 4;
const ACTS: usize = 200;

pub(crate) fn run(quick: bool) {
    bmap_server::install_crypto_providers();
    let acts = if quick { 20 } else { ACTS };
    println!(
        "\nFrom the answer to an act until {VERIFIERS} verifiers refuse, {acts} users deactivated one after the other"
    );
    if is_installed() {
        let cluster = Cluster::new(HASTY);
        cluster.sql("postgres", "CREATE DATABASE bench");
        let url = format!("{}?sslmode=disable", cluster.url("bench"));
        measure("PostgreSQL, woken by NOTIFY", Some(&url), acts, 100.0);
    } else {
        println!("  PostgreSQL is not installed: its half was not measured");
    }
    // Nothing wakes a process when another one commits to SQLite.
    measure("SQLite, polled", None, acts, 1000.0);
}

fn measure(what: &str, database: Option<&str>, acts: usize, limit: f64) {
    let issuer = Issuer::start(database);
    let users: Vec<UserId> = (0..acts)
        .map(|number| {
            let user: Value =
                serde_json::from_slice(&issuer.run(&["user", "add", &format!("user {number}"), "--json"])).unwrap();
            UserId::parse(user["id"].as_str().unwrap()).unwrap()
        })
        .collect();
    let credential = String::from_utf8(issuer.run(&["tool", "credential", "places"])).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut millis = runtime.block_on(deactivate(&issuer, database, credential.trim(), &users));
    millis.sort_by(f64::total_cmp);
    println!(
        "  {what:<44} median {:>7.1} ms   p99 {:>7.1} ms   longest {:>7.1} ms",
        quantile(&millis, 0.5),
        quantile(&millis, 0.99),
        quantile(&millis, 1.0)
    );
    goal(&format!("p99 of a revocation, {what}, ms"), quantile(&millis, 0.99), limit, true);
}

#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
async fn deactivate(issuer: &Issuer, database: Option<&str>, credential: &str, users: &[UserId]) -> Vec<f64> {
    let credential = ToolCredential::parse(credential).unwrap();
    let links: Vec<Link> =
        (0..VERIFIERS).map(|_| Link::start(credential.clone(), LinkOptions::default()).unwrap()).collect();
    while links.iter().any(|link| link.status().state != LinkState::Live) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let data = issuer.folder.path().join("data");
    let sqlite = format!("sqlite://{}", data.join("bmap.sqlite").display());
    let address = Address::parse(database.unwrap_or(&sqlite)).unwrap();
    let store = Database::open(&address, Pending::Refuse).await.unwrap();
    let root = root_file::read(&data.join(root_file::FILE_NAME), Readers::OwnerOnly).unwrap().unwrap().epoch(1);
    let url = credential.issuer.clone();
    let (clock, random) = (Arc::new(MachineClock), Arc::new(SystemRandom));
    let other = bmap_issuer::issuer::Issuer::open(url, store, root, clock, random, Lives::default()).await.unwrap();
    let mut millis = Vec::new();
    for (number, user) in users.iter().enumerate() {
        other.deactivate_user(user, &Source::command_line()).await.unwrap();
        let answered = Instant::now();
        while links.iter().any(|link| link.status().denials <= number) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        millis.push(answered.elapsed().as_secs_f64() * 1e3);
        // The next act comes at another moment between two polls.
        tokio::time::sleep(Duration::from_millis(number as u64 * 37 % 250)).await;
    }
    millis
}
