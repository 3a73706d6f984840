//! PostgreSQL: its tables and its log (WAL) on disks that are full or fail. Where tables find no room it says so; where its log
//! can't be written it ends every connection, and maybe itself. The test starts it again; the issuer goes on by itself.

use super::{
    ADD_KEY, ADD_TOOL, Disk, Key, are_good, keep_what_is_written, key, lose_what_is_written, reads_go_on, recovers,
    signed_in, status, ticket, write_until_refused,
};
use crate::call::token;
use crate::postgres::{self, Cluster};
use crate::server::{Installation, Server, now};
use std::time::Duration;
use tokio::task::block_in_place;

const OPTIONS: &str = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=16MB";
/// From when the database is there until the issuer is, however busy the machine.
const BACK_IN: Duration = Duration::from_secs(5);

/// A database server of which a part is on a small disk.
struct OnDisk {
    disk: Disk,
    cluster: Cluster,
}

impl OnDisk {
    /// Its tables are there, its log is beside.
    fn tables() -> Self {
        Self::new(96, |folder, disk| (format!("{disk}/data"), format!("{folder}/wal")), &[], "")
    }

    /// Its log is there, in small segments of which none is used again, so that it soon needs another one; its tables are beside.
    fn log() -> Self {
        let options = "-c min_wal_size=2MB -c max_wal_size=1GB -c checkpoint_timeout=1h";
        Self::new(12, |folder, disk| (format!("{folder}/data"), format!("{disk}/wal")), &["--wal-segsize=1"], options)
    }

    fn new(mebibytes: u32, places: impl Fn(&str, &str) -> (String, String), initdb: &[&str], options: &str) -> Self {
        let folder = postgres::folder();
        let at = folder.join("disk").display().to_string();
        let disk = Disk::new(at.clone(), mebibytes, "0777");
        let (data, log) = places(&folder.display().to_string(), &at);
        let log = format!("--waldir={log}");
        let initdb = [initdb, &[log.as_str()]].concat();
        let options = format!("{OPTIONS} {options}");
        Self { cluster: Cluster::elsewhere(folder, data, disk.as_ordinary_user(), &initdb, &options), disk }
    }
}

fn start(cluster: &Cluster) {
    assert!(block_in_place(|| cluster.start()), "PostgreSQL does not start: {}", cluster.log);
}

/// Waits until it takes connections, and starts it where it ended itself, as its operator would.
async fn answers(cluster: &Cluster) {
    let port = cluster.port.to_string();
    for look in 0.. {
        if block_in_place(|| cluster.run("pg_isready", &["-h", "127.0.0.1", "-p", &port])) {
            return;
        }
        if !block_in_place(|| cluster.run("pg_ctl", &["-D", &cluster.data, "status"])) {
            start(cluster);
        }
        assert!(look < 300, "PostgreSQL is not back: {}", cluster.log);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn issuer(cluster: &Cluster) -> (Installation, Server, Key) {
    let installation = Installation::new(Some(cluster.url("postgres"))).with("BMAP_DEVELOPMENT", "true");
    installation.out(&ADD_TOOL);
    let server = installation.serve();
    let key = key(&installation.out(&ADD_KEY));
    (installation, server, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn f02_tables_without_room_take_no_writes_are_read_and_are_well_again_with_space() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    // In this order: at the end the server is stopped before its disk is gone.
    let OnDisk { disk, cluster } = OnDisk::tables();
    let (installation, server, key) = issuer(&cluster).await;
    let access = signed_in(&server, &installation).await;
    for round in 0..3 {
        disk.fill();
        // A change that has room in existing pages is written.
        let mut acknowledged = write_until_refused(&server, &key).await;
        reads_go_on(&server, &key, &access).await;
        acknowledged.extend(write_until_refused(&server, &key).await);
        println!("round {round}: {} writes found room", acknowledged.len());
        disk.empty();
        recovers(&server, &key).await;
        are_good(&server, &acknowledged[acknowledged.len().saturating_sub(50)..]).await;
        installation.out(&["audit", "verify"]);
    }
    // Killed on the full disk: what it acknowledged is there when it is started with room.
    disk.fill();
    let acknowledged = write_until_refused(&server, &key).await;
    block_in_place(|| cluster.stop_immediately());
    assert_eq!(server.ask(&ticket(&key)).await.status, 503);
    disk.empty();
    start(&cluster);
    recovers(&server, &key).await;
    are_good(&server, &acknowledged[acknowledged.len().saturating_sub(50)..]).await;
    installation.out(&["audit", "verify"]);
}

/// Writes, each into the next segment of the log, until one is refused: the segments that are there already are few. The tickets
/// that were acknowledged.
async fn write_until_the_log_is_full(server: &Server, key: &Key, cluster: &Cluster) -> Vec<String> {
    let port = cluster.port.to_string();
    let next = ["-h", "127.0.0.1", "-p", &port, "-U", "bmap", "-d", "postgres", "-c", "SELECT pg_switch_wal()"];
    let mut acknowledged = Vec::new();
    loop {
        let answer = server.ask(&ticket(key)).await;
        match answer.status {
            201 => acknowledged.push(answer.text("ticket")),
            status => {
                assert_eq!(status, 503, "{answer:?}");
                return acknowledged;
            }
        }
        assert!(acknowledged.len() < 500, "acknowledged by a log that takes none");
        block_in_place(|| cluster.run("psql", &next));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f02_a_log_without_room_ends_the_database_and_nothing_acknowledged_is_lost() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    // In this order: at the end the server is stopped before its disk is gone.
    let OnDisk { disk, cluster } = OnDisk::log();
    let (installation, server, key) = issuer(&cluster).await;
    for round in 0..2 {
        disk.fill();
        let acknowledged = write_until_the_log_is_full(&server, &key, &cluster).await;
        println!("round {round}: {} writes found room", acknowledged.len());
        assert!(panics(&cluster) > round, "the log found room");
        disk.empty();
        answers(&cluster).await;
        is_back(&server, &key).await;
        are_good(&server, &acknowledged).await;
        installation.out(&["audit", "verify"]);
    }
}

/// The process that PostgreSQL is started as, and those that it started.
fn processes(cluster: &Cluster) -> (u32, Vec<u32>) {
    let file = std::fs::read_to_string(format!("{}/postmaster.pid", cluster.data)).unwrap();
    let first: u32 = file.lines().next().unwrap().parse().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    (first, children.split_ascii_whitespace().map(|child| child.parse().unwrap()).collect())
}

/// Served by everything, within its time; by then the database is there.
async fn is_back(server: &Server, key: &Key) {
    let began = now();
    while server.ask(&ticket(key)).await.status != 201 || status(server, "/readyz").await != 200 {
        assert!(began.elapsed() < BACK_IN, "not back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("back in {:?}", began.elapsed());
}

/// How often it gave up because its log may not be on the disk.
fn panics(cluster: &Cluster) -> usize {
    std::fs::read_to_string(&cluster.log).unwrap().matches("PANIC:").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_a_database_whose_log_may_not_be_on_the_disk_acknowledges_nothing_and_is_found_again() {
    if !postgres::is_installed() {
        return println!("PostgreSQL is not installed: this test was not run");
    }
    let cluster = Cluster::new("");
    let (installation, server, key) = issuer(&cluster).await;
    // It comes over those that have it in hand: they end with a panic, and the others are started anew by PostgreSQL itself.
    for _ in 0..3 {
        let before = server.ask(&ticket(&key)).await.text("ticket");
        let panics_before = panics(&cluster);
        let fault = lose_what_is_written(&processes(&cluster).1, false);
        let acknowledged = write_until_refused(&server, &key).await;
        answers(&cluster).await;
        is_back(&server, &key).await;
        assert!(panics(&cluster) > panics_before, "the fault was none");
        keep_what_is_written(fault);
        are_good(&server, &[before]).await;
        are_good(&server, &acknowledged).await;
        installation.out(&["audit", "verify"]);
    }
    // It stays: PostgreSQL can't come back.
    for _ in 0..2 {
        let before = server.ask(&ticket(&key)).await.text("ticket");
        let (first, children) = processes(&cluster);
        let fault = lose_what_is_written(&[&[first][..], &children].concat(), true);
        let acknowledged = write_until_refused(&server, &key).await;
        assert!(acknowledged.is_empty(), "acknowledged without having been written: {}", acknowledged.len());
        for _ in 0..3 {
            assert_eq!(server.ask(&ticket(&key)).await.status, 503, "still refused");
            assert_eq!(server.ask(&token(&key.id, &key.secret)).await.status, 503);
        }
        keep_what_is_written(fault);
        answers(&cluster).await;
        is_back(&server, &key).await;
        are_good(&server, &[before]).await;
        installation.out(&["audit", "verify"]);
    }
}
