//! A network between a verifier and its issuer that can be cut, stopped and slowed.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the network does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Passes them on, this much later.
    Passes(Duration),
    /// Keeps them, and the connections open.
    Holds,
    /// Ends connections, and takes no new ones.
    Cuts,
}

/// A proxy in front of one address.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    network: watch::Sender<Network>,
}

impl Proxy {
    pub(crate) async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, network) = (listener.local_addr().unwrap(), watch::Sender::new(Network::Passes(Duration::ZERO)));
        let seen = network.subscribe();
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(both_ways(stream, upstream, seen.clone()));
            }
        });
        Self { address, network }
    }

    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn both_ways(client: TcpStream, upstream: SocketAddr, network: watch::Receiver<Network>) {
    if *network.borrow() == Network::Cuts {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut cut = network.clone();
    tokio::select! {
        _ = one_way(from_client, to_server, network.clone()) => {}
        _ = one_way(from_server, to_client, network) => {}
        _ = cut.wait_for(|network| *network == Network::Cuts) => {}
    }
}

/// Passes bytes on in their order, each piece no earlier than its delay says.
async fn one_way(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
) -> Option<()> {
    let (queue, mut queued) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reads = async {
        let mut bytes = vec![0; 16 << 10];
        loop {
            let read = from.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
            queue.send((Instant::now(), bytes[..read].to_vec())).ok()?;
        }
        #[expect(unreachable_code, reason = "names the type of a loop that only `?` leaves")]
        Some(())
    };
    let writes = async {
        while let Some((arrived, piece)) = queued.recv().await {
            loop {
                let now = *network.borrow_and_update();
                match now {
                    Network::Passes(delay) if arrived + delay <= Instant::now() => break,
                    Network::Passes(delay) => tokio::time::sleep_until(arrived + delay).await,
                    Network::Holds => network.changed().await.ok()?,
                    Network::Cuts => return None,
                }
            }
            to.write_all(&piece).await.ok()?;
        }
        Some(())
    };
    tokio::select! {
        ended = reads => ended,
        ended = writes => ended,
    }
}
