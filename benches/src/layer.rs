//! CPU for each request of an axum server over loopback, bare and with the layer: time of the server's thread, keep-alive.

use crate::inputs::{Token, World};
use crate::stats::{Row, goal, table};
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use bmap_protocol::origin::Origin;
use bmap_verifier::{SystemClock, VerifyLayer};
use cpu_time::ThreadTime;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;
use tower::make::Shared;
use tower::{Layer, Service};

/// Requests of a row in a round, in flight at once, so that the server's thread works through them and does not sleep between two:
/// what waking it costs is the machine's matter, and a virtual machine's above all. No more, so that the rows of a round are
/// neighbours in time, and a busy machine slows all of them alike.
const REQUESTS: usize = 32;
/// Until the answers are read: by then they are there, so that the server's thread does not pay for waking their reader either.
const ANSWERED: Duration = Duration::from_millis(1);

/// A thread that serves all rows, so that it is one core, one cache and one allocator for all of them. It can be held, and then
/// tells the CPU time that it took since it was released.
struct Server {
    runtime: tokio::runtime::Handle,
    hold: tokio::sync::mpsc::UnboundedSender<Hold>,
}

struct Hold {
    taken: mpsc::Sender<Duration>,
    release: mpsc::Receiver<()>,
}

impl Server {
    fn start() -> Self {
        let (hold, mut held) = tokio::sync::mpsc::unbounded_channel::<Hold>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        // Named, for a profiler.
        let thread = std::thread::Builder::new().name("server".to_owned());
        let served = thread.spawn(move || {
            runtime.block_on(async move {
                let mut released = ThreadTime::now();
                while let Some(Hold { taken, release }) = held.recv().await {
                    let _ = taken.send(released.elapsed());
                    let _ = release.recv(); // The thread waits, and not only this task.
                    released = ThreadTime::now();
                }
            });
        });
        served.unwrap();
        Self { runtime: handle, hold }
    }

    fn serve<S>(&self, listener: std::net::TcpListener, service: S)
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        listener.set_nonblocking(true).unwrap();
        self.runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Shared::new(service)).await
        });
    }

    /// Holds the server: its CPU time since it was released, and what releases it when it is dropped.
    fn hold(&self) -> (Duration, mpsc::Sender<()>) {
        let (taken, answered) = mpsc::channel();
        let (released, release) = mpsc::channel();
        self.hold.send(Hold { taken, release }).unwrap();
        (answered.recv().unwrap(), released)
    }
}

/// A row, and connections to its service.
struct Side {
    row: Row,
    streams: Vec<TcpStream>,
}

impl Side {
    fn new(name: &'static str, address: SocketAddr) -> Self {
        let streams = (0..REQUESTS).map(|_| TcpStream::connect(address).unwrap()).collect();
        Self { row: Row::new(name), streams }
    }

    /// One round: sends a request on each connection while the server is held, and reads the answers, which must be 200.
    fn exchange(&mut self, server: &Server, requests: &[Vec<u8>]) {
        let (_, held) = server.hold();
        for (stream, request) in self.streams.iter_mut().zip(requests) {
            stream.write_all(request).unwrap();
        }
        drop(held);
        std::thread::sleep(ANSWERED);
        self.streams.iter_mut().for_each(read_answer);
        let (taken, _) = server.hold();
        self.row.add(taken.as_nanos() as f64 / REQUESTS as f64);
    }
}

pub(crate) fn run(rounds: usize) {
    let routes = || {
        Router::new()
            .route("/v1/search", get(|| async { "{\"places\":[]}" }))
            .route("/v1/nearby", post(|body: axum::body::Bytes| async move { format!("{}", body.len()) }))
    };
    let listeners = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let worlds = addresses.map(|address| {
        let host: &'static str = address.to_string().leak();
        World::at(host, Origin::parse(&format!("http://{host}")).unwrap())
    });
    let now = || SystemClock.now().seconds();
    let started = u32::try_from(now()).unwrap() - 10;
    let layer = |world: &World| VerifyLayer::new(world.verifier(started, started + 10));
    let server = Server::start();
    let [bare, around, inside] = listeners;
    server.serve(bare, routes());
    server.serve(around, layer(&worlds[1]).layer(routes()));
    server.serve(inside, routes().layer(layer(&worlds[2])));
    let mut number = 0;
    for body in [false, true] {
        let tokens = worlds.each_ref().map(|world| world.mint(1, now().cast_unsigned()));
        let mut requests = |world: &World, token: &Token| -> Vec<Vec<u8>> {
            let next = |_| {
                number += 1;
                wire(&world.request(token, number, now().cast_unsigned(), body))
            };
            (0..REQUESTS).map(next).collect()
        };
        let names = ["axum alone", "the layer around the router", "the same through Router::layer"];
        let mut sides = [0, 1, 2].map(|index| Side::new(names[index], addresses[index]));
        for round in 0..rounds {
            let requests = [0, 1, 2].map(|index| requests(&worlds[index], &tokens[index]));
            // None of them always comes first.
            for index in [0, 1, 2].map(|turn| (round + turn) % 3) {
                sides[index].exchange(&server, &requests[index]);
            }
        }
        let what = if body { "POST" } else { "GET" };
        table(
            &format!(
                "CPU of the server's thread for one {what}: {rounds} interleaved rounds of {REQUESTS} in flight at once"
            ),
            &sides.each_ref().map(|side| &side.row),
        );
        let layer = sides[1].row.by_round(&sides[0].row).median();
        goal("layer / bare, median of the rounds' ratios", layer, 1.35, true);
    }
}

/// The request's bytes.
fn wire(request: &crate::inputs::Signed) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.head.method, request.head.uri);
    for (name, value) in &request.head.headers {
        let _ = write!(text, "{name}: {}\r\n", value.to_str().unwrap());
    }
    if !request.body.is_empty() {
        let _ = write!(text, "content-length: {}\r\n", request.body.len());
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(request.body);
    bytes
}

fn read_answer(stream: &mut TcpStream) {
    let mut answer = [0; 4096];
    let mut filled = 0;
    loop {
        filled += stream.read(&mut answer[filled..]).unwrap();
        let text = std::str::from_utf8(&answer[..filled]).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("HTTP/1.1 200"), "{text}");
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.unwrap().parse::<usize>().unwrap() {
                return;
            }
        }
    }
}
