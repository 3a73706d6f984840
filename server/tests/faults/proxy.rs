//! A proxy that does to connections what networks do: delays them, leads new ones elsewhere, and goes silent without a word.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    target: SocketAddr,
    /// How long what the server says is on its way.
    latency: Duration,
    /// New connections are silent too.
    is_silent: bool,
    /// Connections of this generation pass bytes on; those of former ones keep them.
    generation: watch::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { target, latency: Duration::ZERO, is_silent: false, generation: watch::Sender::new(0) };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    /// Where new connections lead; the others stay where they are.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.state.lock().unwrap().target = target;
    }

    pub(crate) fn delay(&self, latency: Duration) {
        self.state.lock().unwrap().latency = latency;
    }

    /// From now on nothing passes on the connections that there are: half open, and neither side is told.
    pub(crate) fn silence(&self) {
        self.state.lock().unwrap().generation.send_modify(|generation| *generation += 1);
    }

    /// Whether new connections are silent too.
    pub(crate) fn silence_new_ones(&self, is_silent: bool) {
        self.state.lock().unwrap().is_silent = is_silent;
    }
}

async fn pass(client: TcpStream, state: Arc<Mutex<State>>) {
    let (target, is_silent, generation) = {
        let state = state.lock().unwrap();
        (state.target, state.is_silent, state.generation.subscribe())
    };
    if is_silent {
        return keep(client).await;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let own = *generation.borrow();
    let up = copy(from_client, to_server, generation.clone(), own, None);
    let down = copy(from_server, to_client, generation, own, Some(&state));
    tokio::join!(up, down);
}

/// Accepted, and never answered.
async fn keep(_held: TcpStream) {
    std::future::pending().await
}

async fn silenced(generation: &mut watch::Receiver<u64>, own: u64) {
    let _ = generation.wait_for(|generation| *generation != own).await;
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut generation: watch::Receiver<u64>,
    own: u64,
    delayed_by: Option<&Mutex<State>>,
) {
    let mut chunk = [0; 8192];
    loop {
        let read = tokio::select! {
            () = silenced(&mut generation, own) => return std::future::pending().await,
            read = from.read(&mut chunk) => read,
        };
        let Ok(length @ 1..) = read else { break };
        let latency = delayed_by.map_or(Duration::ZERO, |state| state.lock().unwrap().latency);
        tokio::time::sleep(latency).await;
        if *generation.borrow() != own {
            return std::future::pending().await;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
