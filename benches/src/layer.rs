//! CPU for each request of an axum server over loopback, bare and with the layer: time of the server's thread, keep-alive.

use crate::inputs::World;
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
use tower::make::Shared;
use tower::{Layer, Service};

const REQUESTS: usize = 1024;
/// Requests in flight at once, so that the server's thread works through them and does not sleep between two: what waking
/// it costs is the machine's matter, and a virtual machine's above all.
const IN_FLIGHT: usize = 32;

/// A server on a thread of its own; it tells its CPU time when asked.
struct Server {
    address: SocketAddr,
    ask: tokio::sync::mpsc::UnboundedSender<mpsc::Sender<std::time::Duration>>,
}

impl Server {
    fn start<S>(name: &str, listener: std::net::TcpListener, service: S) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel::<mpsc::Sender<std::time::Duration>>();
        // Named, for a profiler.
        let thread = std::thread::Builder::new().name(name.to_owned());
        let served = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::spawn(async move { axum::serve(listener, Shared::new(service)).await });
                while let Some(answer) = asked.recv().await {
                    let _ = answer.send(ThreadTime::now().as_duration());
                }
            });
        });
        served.unwrap();
        Self { address, ask }
    }

    fn cpu(&self) -> std::time::Duration {
        let (answer, answered) = mpsc::channel();
        self.ask.send(answer).unwrap();
        answered.recv().unwrap()
    }
}

pub(crate) fn run(rounds: usize) {
    let routes = || {
        Router::new()
            .route("/v1/search", get(|| async { "{\"places\":[]}" }))
            .route("/v1/nearby", post(|body: axum::body::Bytes| async move { format!("{}", body.len()) }))
    };
    let listeners = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let worlds = listeners.each_ref().map(|listener| {
        let host: &'static str = listener.local_addr().unwrap().to_string().leak();
        World::at(host, Origin::parse(&format!("http://{host}")).unwrap())
    });
    let now = || SystemClock.now().seconds();
    let started = u32::try_from(now()).unwrap() - 10;
    let layer = |world: &World| VerifyLayer::new(world.verifier(started, started + 10));
    let [bare, around, inside] = listeners;
    let servers = [
        Server::start("bare", bare, routes()),
        Server::start("around", around, layer(&worlds[1]).layer(routes())),
        Server::start("inside", inside, routes().layer(layer(&worlds[2]))),
    ];
    let mut number = 0;
    for body in [false, true] {
        let tokens = worlds.each_ref().map(|world| world.mint(1, now().cast_unsigned()));
        let mut rows = [
            Row::new("axum alone"),
            Row::new("the layer around the router"),
            Row::new("the same through Router::layer"),
        ];
        let mut streams = servers
            .each_ref()
            .map(|server| (0..IN_FLIGHT).map(|_| TcpStream::connect(server.address).unwrap()).collect::<Vec<_>>());
        for _ in 0..rounds {
            for (index, row) in rows.iter_mut().enumerate() {
                let requests: Vec<Vec<u8>> = (0..REQUESTS)
                    .map(|_| {
                        number += 1;
                        wire(&worlds[index].request(&tokens[index], number, now().cast_unsigned(), body))
                    })
                    .collect();
                let before = servers[index].cpu();
                requests.chunks(IN_FLIGHT).for_each(|requests| exchange(&mut streams[index], requests));
                row.add((servers[index].cpu() - before).as_nanos() as f64 / REQUESTS as f64);
            }
        }
        let what = if body { "POST" } else { "GET" };
        table(
            &format!(
                "CPU of the server's thread for one {what}, {IN_FLIGHT} in flight: {rounds} interleaved rounds of {REQUESTS}"
            ),
            &rows.each_ref(),
        );
        goal("layer / bare", rows[1].median() / rows[0].median(), 1.35, true);
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

/// Sends a request on each connection, and reads the answers, which must be 200.
fn exchange(streams: &mut [TcpStream], requests: &[Vec<u8>]) {
    for (stream, request) in streams.iter_mut().zip(requests) {
        stream.write_all(request).unwrap();
    }
    streams.iter_mut().zip(requests).for_each(|(stream, _)| read_answer(stream));
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
