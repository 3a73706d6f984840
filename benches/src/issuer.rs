//! The issuer as it is run: a process of its own with its database on this disk, asked over loopback by this one.

use crate::issuer_process::{IN_FLIGHT, Issuer, read_answer};
use crate::stats::{goal, median};
use bmap_protocol::ids::ApiKeyId;
use bmap_store::Database;
use bmap_store::address::Address;
use bmap_store::schema::Pending;
use bmap_test_kit::postgres::{Cluster, HASTY, is_installed};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) fn run(quick: bool) {
    bmap_server::install_crypto_providers();
    let rounds = if quick { 5 } else { 20 };
    let issuer = Issuer::start(None);
    println!(
        "\nThe issuer as a process, SQLite with synchronous=FULL, asked over loopback by one thread of this machine"
    );
    let (by_secret, cost) =
        mints(&issuer, "token for a presented secret", rounds, |number| issuer.mint_by_secret(number));
    let (_, signed) =
        mints(&issuer, "token for a signed request, its nonce kept", rounds, |number| issuer.mint_by_signature(number));
    goal("tokens minted in a second, SQLite", by_secret, 5_000.0, false);
    goal("CPU of a token for a presented secret, µs", cost, 150.0, true);
    goal("CPU of a token for a signed request with its nonce in the database, µs", signed, 200.0, true);
    widgets(&issuer, rounds);
    sign_ins(&issuer, if quick { 3 } else { 10 });
    look_ups(
        "SQLite",
        &format!("sqlite://{}", issuer.folder.path().join("data/bmap.sqlite").display()),
        &issuer,
        rounds,
    );
    drop(issuer);
    refusals(rounds);
    if !is_installed() {
        println!("  PostgreSQL is not installed: its half was not measured");
        return;
    }
    let cluster = Cluster::new(&HASTY.replace("fsync=off\n", ""));
    cluster.sql("postgres", "CREATE DATABASE bench");
    let url = format!("{}?sslmode=disable", cluster.url("bench"));
    let issuer = Issuer::start(Some(&url));
    println!("\nThe same on PostgreSQL");
    mints(&issuer, "token for a presented secret", rounds, |number| issuer.mint_by_secret(number));
    mints(&issuer, "token for a signed request, its nonce kept", rounds, |number| issuer.mint_by_signature(number));
    look_ups("PostgreSQL", &url, &issuer, rounds);
}

/// Tokens in a second, and the microseconds of the process's CPU for each.
fn mints(issuer: &Issuer, what: &str, rounds: usize, request: impl FnMut(u64) -> Vec<u8>) -> (f64, f64) {
    exchanges(issuer, what, rounds, "200", request)
}

/// Requests in a second, with [`IN_FLIGHT`] connections, all answered with `status`; and the microseconds of the process's CPU for each.
#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
fn exchanges(
    issuer: &Issuer,
    what: &str,
    rounds: usize,
    status: &str,
    mut request: impl FnMut(u64) -> Vec<u8>,
) -> (f64, f64) {
    const EACH: usize = 16;
    let mut streams: Vec<_> = (0..IN_FLIGHT).map(|_| TcpStream::connect(issuer.address).unwrap()).collect();
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    let mut number = 0;
    for round in 0..=rounds {
        let requests: Vec<Vec<u8>> = (0..IN_FLIGHT * EACH)
            .map(|_| {
                number += 1;
                request(number)
            })
            .collect();
        let (cpu, start) = (issuer.cpu(), Instant::now());
        // Each connection has its next request as soon as it has its answer, in turn.
        let mut waiting = requests.chunks(IN_FLIGHT);
        let first = waiting.next().unwrap();
        streams.iter_mut().zip(first).for_each(|(stream, request)| stream.write_all(request).unwrap());
        for next in waiting {
            for (stream, request) in streams.iter_mut().zip(next) {
                read_answer(stream, status);
                stream.write_all(request).unwrap();
            }
        }
        streams.iter_mut().map(|stream| read_answer(stream, status)).for_each(drop);
        // The first round warms up.
        if round > 0 {
            rates.push(requests.len() as f64 / start.elapsed().as_secs_f64());
            costs.push((issuer.cpu() - cpu).as_secs_f64() * 1e6 / requests.len() as f64);
        }
    }
    let (rate, cost) = (median(&mut rates), median(&mut costs));
    println!("  {what:<44} {rate:>8.0} /s   {cost:>6.0} µs of the process's CPU");
    (rate, cost)
}

/// What a wrong secret costs: looked at, and from an address that has no budget left.
fn refusals(rounds: usize) {
    let issuer = Issuer::start_with(None, "1000000");
    exchanges(&issuer, "a wrong secret, looked at", rounds, "401", |number| issuer.wrong(number));
    drop(issuer);
    let issuer = Issuer::start_with(None, "1");
    let mut stream = TcpStream::connect(issuer.address).unwrap();
    for status in ["401", "429"] {
        stream.write_all(&issuer.wrong(0)).unwrap();
        read_answer(&mut stream, status);
    }
    exchanges(&issuer, "the same over its address' limit", rounds, "429", |number| issuer.wrong(number));
}

/// Widgets in a second that begin: a ticket for the page's backend, and the token that the page swaps it for.
#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
fn widgets(issuer: &Issuer, rounds: usize) {
    const EACH: usize = 4;
    let mut streams: Vec<_> = (0..IN_FLIGHT).map(|_| TcpStream::connect(issuer.address).unwrap()).collect();
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (cpu, start) = (issuer.cpu(), Instant::now());
        for _ in 0..EACH {
            for (number, stream) in (0..).zip(&mut streams) {
                stream.write_all(&issuer.ticket(number)).unwrap();
            }
            for stream in &mut streams {
                let ticket = read_answer(stream, "201");
                stream.write_all(&issuer.mint_by_ticket(&ticket)).unwrap();
            }
            for stream in &mut streams {
                read_answer(stream, "200");
            }
        }
        if round > 0 {
            rates.push((IN_FLIGHT * EACH) as f64 / start.elapsed().as_secs_f64());
            costs.push((issuer.cpu() - cpu).as_secs_f64() * 1e6 / (IN_FLIGHT * EACH) as f64);
        }
    }
    let (rate, cost) = (median(&mut rates), median(&mut costs));
    println!("  a widget's start, ticket and token           {rate:>8.0} /s   {cost:>6.0} µs of the process's CPU");
}

/// Sign-ins in a second, and what they do to all other callers.
#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
fn sign_ins(issuer: &Issuer, seconds: u64) {
    const ACCOUNTS: usize = 8;
    (0..ACCOUNTS).for_each(|account| issuer.register(account));
    let numbers = std::cell::Cell::new(1 << 32);
    let latency = |seconds: u64| {
        let mut stream = TcpStream::connect(issuer.address).unwrap();
        let mut took = Vec::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) {
            numbers.set(numbers.get() + 1);
            let request = issuer.mint_by_signature(numbers.get());
            let asked = Instant::now();
            stream.write_all(&request).unwrap();
            read_answer(&mut stream, "200");
            took.push(asked.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(5));
        }
        took.sort_by(f64::total_cmp);
        (took[took.len() / 2], took[took.len() * 99 / 100])
    };
    let idle = latency(seconds);
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let next = AtomicUsize::new(0);
    let (busy, rate) = std::thread::scope(|scope| {
        for account in 0..4 {
            let (stop, done, next) = (&stop, &done, &next);
            scope.spawn(move || {
                let mut stream = TcpStream::connect(issuer.address).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(&issuer.login(account, next.fetch_add(1, Ordering::Relaxed))).unwrap();
                    read_answer(&mut stream, "200");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        let busy = latency(seconds);
        let rate = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        (busy, rate)
    });
    println!("  sign-ins, four at once                       {rate:>8.1} /s");
    println!("  a signed request meanwhile                   {:>8.2} ms median, {:.2} ms p99", busy.0, busy.1);
    println!("  a signed request without them                {:>8.2} ms median, {:.2} ms p99", idle.0, idle.1);
    goal("median with sign-ins / without", busy.0 / idle.0, 2.0, true);
    goal("p99 with sign-ins / without", busy.1 / idle.1, 2.0, true);
}

/// Rows of API keys in a second, read and opened.
#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
fn look_ups(what: &str, url: &str, issuer: &Issuer, rounds: usize) {
    const TASKS: usize = 8;
    const EACH: usize = 250;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ids: Vec<_> = issuer.keys.iter().map(|(id, _)| ApiKeyId::parse(id).unwrap()).collect();
    let root = std::fs::read(issuer.folder.path().join("data/root.secret")).unwrap();
    let root = bmap_store::root_file::parse(&root).unwrap().epoch(1);
    let roots = bmap_model::roots::Roots::from(&root);
    let rates = runtime.block_on(async {
        let store = Arc::new(Database::open(&Address::parse(url).unwrap(), Pending::Refuse).await.unwrap());
        let mut rates = Vec::new();
        for round in 0..=rounds {
            let start = Instant::now();
            let tasks: Vec<_> = (0..TASKS)
                .map(|task| {
                    let (store, id, roots) = (Arc::clone(&store), ids[task].clone(), roots.clone());
                    tokio::spawn(async move {
                        for _ in 0..EACH {
                            let row = store.api_key(&id).await.unwrap().unwrap();
                            assert!(row.open(&roots).is_ok());
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            if round > 0 {
                rates.push((TASKS * EACH) as f64 / start.elapsed().as_secs_f64());
            }
        }
        rates
    });
    println!("  API keys read and opened, {what:<18} {:>8.0} /s", median(&mut rates.clone()));
}
