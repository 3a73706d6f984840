//! F01: SIGKILL at random moments while keys are made, changed and revoked and sessions go on. Whatever was acknowledged is
//! there after the restart, nothing is half there, and the restart takes less than 2 s.
//!
//! The data stays over all rounds, so what a round left is under the next one's feet. `KILL_SEED` repeats a run's choices, though
//! not the machine's timing.

mod first_start;
mod half_rows;
mod look;

use crate::chance::Chance;
use crate::client::Client;
use crate::postgres::{self, Cluster};
use crate::server::{Installation, Server};
use std::time::Duration;

const CLIENTS: u64 = 4;
/// Every so many rounds the database server is killed too, and everything is looked at.
const LONG_ROUND: usize = 25;
const START_TIME: Duration = Duration::from_secs(2);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_killed_at_any_moment_on_sqlite() {
    rounds(
        "SQLite",
        &Installation::new(None).with("BMAP_DEVELOPMENT", "true").with("BMAP_TRUSTED_PROXIES", "127.0.0.1/32"),
        None,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_killed_at_any_moment_on_postgresql() {
    if !postgres::is_installed() {
        println!("PostgreSQL is not installed: this test was not run");
        return;
    }
    // As it is installed: what it acknowledges is on the disk.
    let cluster = Cluster::new("");
    let installation = Installation::new(Some(cluster.url("postgres")))
        .with("BMAP_DEVELOPMENT", "true")
        .with("BMAP_TRUSTED_PROXIES", "127.0.0.1/32");
    rounds("PostgreSQL", &installation, Some(&cluster)).await;
}

async fn rounds(engine: &str, installation: &Installation, cluster: Option<&Cluster>) {
    let rounds = usize::try_from(number("KILL_ROUNDS", 10)).unwrap();
    let seed = number("KILL_SEED", 20_261_122);
    eprintln!("f01 {engine}: {rounds} rounds, KILL_SEED={seed}");
    let mut chance = Chance(seed);
    let first = installation.serve();
    // Its clients are strangers who registered.
    installation.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001", "--open"]);
    let mut clients = Vec::new();
    for number in 1..=CLIENTS {
        clients.push(Client::register(chance.next() >> 40 | number, &first, installation).await);
    }
    let mut server = first;
    let mut starts = Vec::new();
    for round in 1..=rounds {
        let is_long = round % LONG_ROUND == 0 || round == rounds;
        let life = Duration::from_millis(5 + chance.next() % 145);
        clients = work_until_killed(clients, &mut server, life, cluster.filter(|_| is_long)).await;
        if chance.below(10) == 0 {
            die_while_starting(installation, Duration::from_millis(chance.next() % 120));
        }
        server = installation.serve();
        starts.push(server.started_in);
        let mut looking = Vec::new();
        for client in &mut clients {
            looking.push(client.settle(&server));
        }
        futures_util::future::join_all(looking).await;
        if is_long {
            for client in &mut clients {
                client.look_at_everything(&server).await;
            }
            half_rows::none(&installation.database_url()).await;
            // The chain of the audit log is whole.
            installation.out(&["audit", "verify"]);
            let acknowledged: u64 = clients.iter().map(|client| client.acknowledged).sum();
            let slowest = starts.iter().max().unwrap();
            eprintln!(
                "f01 {engine}: round {round} of {rounds}, {acknowledged} acknowledged, slowest start {slowest:?}"
            );
        }
    }
    starts.sort_unstable();
    // A start may fall into a moment in which the machine does something else.
    let most = &starts[..starts.len() - starts.len() / 100];
    assert!(most.last().is_some_and(|slowest| *slowest < START_TIME), "{starts:?}");
}

/// Lets the clients work for a while, and kills the server under them; where there is one, the database too.
async fn work_until_killed(
    clients: Vec<Client>,
    server: &mut Server,
    life: Duration,
    cluster: Option<&Cluster>,
) -> Vec<Client> {
    let address = server.address;
    let working = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            client.work(address).await;
            client
        })
    });
    let working: Vec<_> = working.collect();
    tokio::time::sleep(life).await;
    if let Some(cluster) = cluster {
        tokio::task::block_in_place(|| cluster.stop_immediately());
    }
    server.kill();
    if let Some(cluster) = cluster {
        assert!(tokio::task::block_in_place(|| cluster.start()), "PostgreSQL does not start again");
    }
    futures_util::future::join_all(working).await.into_iter().map(Result::unwrap).collect()
}

/// A start that is cut off too.
fn die_while_starting(installation: &Installation, life: Duration) {
    let mut child = installation.spawn(installation.serve_command());
    std::thread::sleep(life);
    let _ = child.kill();
    let _ = child.wait();
}
