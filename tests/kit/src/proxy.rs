//! A TCP proxy on the loopback that does wrong when it is told to: it delays, cuts, stops to read, and moves to another server. It knows no
//! protocol, so it stands in front of any server.

use crate::port;
use rustix::net::sockopt::set_socket_linger;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// What it does with what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Hands it on so much later, in each direction.
    Delay(Duration),
    /// Reads nothing. Connections are still accepted, by the system.
    StopReading,
    /// Resets what is open and what comes.
    Cut,
}

#[derive(Clone, Debug)]
struct Orders {
    mode: Mode,
    /// Where connections go: to the first that takes one, from a different one on for each.
    upstreams: Vec<SocketAddr>,
    /// Connections of an earlier number are reset.
    generation: u64,
}

/// A proxy; it ends with its test. It runs in a thread of its own, whatever the test does.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
}

impl Proxy {
    /// In front of `upstream`, passing all.
    ///
    /// # Panics
    /// Where there is no free port.
    pub fn to(upstream: SocketAddr) -> Self {
        Self::at(port::local(0), vec![upstream])
    }

    /// At an address, in front of several servers: each connection goes to the next of those that take one within a second.
    ///
    /// # Panics
    /// Where it can't listen there.
    pub fn at(listen: SocketAddr, upstreams: Vec<SocketAddr>) -> Self {
        let (orders, received) = watch::channel(Orders { mode: Mode::Pass, upstreams, generation: 0 });
        let listener = std::net::TcpListener::bind(listen).expect("an address to listen at");
        let address = listener.local_addr().expect("its number");
        listener.set_nonblocking(true).expect("a listener that does not block");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, received));
        });
        Self { address, orders }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands on all that arrives.
    pub fn pass(&self) {
        self.set(|orders| orders.mode = Mode::Pass);
    }

    /// Hands on what arrives so much later, in each direction.
    pub fn delay(&self, by: Duration) {
        self.set(|orders| orders.mode = Mode::Delay(by));
    }

    /// Reads nothing any more, and keeps its connections open.
    pub fn stop_reading(&self) {
        self.set(|orders| orders.mode = Mode::StopReading);
    }

    /// Resets all connections, and those that come.
    pub fn cut(&self) {
        self.set(|orders| orders.mode = Mode::Cut);
    }

    /// Resets the connections that are open; new ones are passed as before.
    pub fn cut_open(&self) {
        self.set(|orders| orders.generation += 1);
    }

    /// Connections that come go to another server, and those that are open are reset: so an address moves.
    pub fn move_to(&self, upstream: SocketAddr) {
        self.set(|orders| {
            orders.upstreams = vec![upstream];
            orders.generation += 1;
        });
    }

    fn set(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }
}

async fn serve(listener: std::net::TcpListener, mut orders: watch::Receiver<Orders>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = 0_usize;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((near, _)) = accepted else { continue };
                tokio::spawn(connection(near, orders.clone(), connections));
                connections = connections.wrapping_add(1);
            }
            // It ends with its owner.
            changed = orders.changed() => if changed.is_err() { return },
        }
    }
}

async fn connection(near: TcpStream, mut orders: watch::Receiver<Orders>, number: usize) {
    let Orders { mut upstreams, generation, .. } = orders.borrow_and_update().clone();
    let first = number % upstreams.len().max(1);
    upstreams.rotate_left(first);
    // What is dropped from here on is reset and not ended in order.
    let _ = near.set_zero_linger();
    if !readable(&mut orders.clone()).await {
        return;
    }
    let Some(far) = first_of(&upstreams).await else { return };
    let _ = (far.set_zero_linger(), far.set_nodelay(true), near.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let pass = async {
        tokio::join!(pump(near_read, far_write, orders.clone()), pump(far_read, near_write, orders.clone()));
    };
    let mut cut = orders.clone();
    tokio::select! {
        () = pass => {}
        _ = cut.wait_for(|orders| orders.mode == Mode::Cut || orders.generation != generation) => {}
    }
}

/// The first server that takes a connection.
async fn first_of(upstreams: &[SocketAddr]) -> Option<TcpStream> {
    let patience = Duration::from_secs(if upstreams.len() > 1 { 1 } else { 10 });
    for upstream in upstreams {
        if let Ok(Ok(stream)) = timeout(patience, TcpStream::connect(upstream)).await {
            return Some(stream);
        }
    }
    None
}

/// One direction, to its end. What was read is on its way even where the mode changes.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut orders: watch::Receiver<Orders>) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let read = async move {
        let mut bytes = vec![0; 64 << 10];
        while readable(&mut orders).await {
            let read = from.read(&mut bytes).await;
            // Nothing that arrives after the order to stop goes on before the order to go on, and no end either.
            if !readable(&mut orders).await {
                return;
            }
            let Ok(read @ 1..) = read else { return };
            let by = match orders.borrow().mode {
                Mode::Delay(by) => by,
                _ => Duration::ZERO,
            };
            let piece = bytes.get(..read).unwrap_or_default().to_vec();
            if sender.send((now() + by, piece)).await.is_err() {
                return;
            }
        }
    };
    let write = async {
        while let Some((due, piece)) = receiver.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // All was handed on, so it ends in order.
        let _ = set_socket_linger(to.as_ref(), None);
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

/// Waits while nothing is to be read; false where there is nothing to read any more.
async fn readable(orders: &mut watch::Receiver<Orders>) -> bool {
    let Ok(orders) = orders.wait_for(|orders| orders.mode != Mode::StopReading).await else { return false };
    orders.mode != Mode::Cut
}

fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};

    /// A server that sends back what it gets, with a letter of its own before it.
    fn echo(letter: u8) -> SocketAddr {
        let listener = std::net::TcpListener::bind(port::local(0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let (mut reader, mut writer, mut byte) = (&stream, &stream, [0]);
                    while reader.read_exact(&mut byte).is_ok() && writer.write_all(&[letter, byte[0]]).is_ok() {}
                });
            }
        });
        address
    }

    fn connect(proxy: &Proxy) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        stream
    }

    fn ask(stream: &mut std::net::TcpStream) -> Result<[u8; 2], ErrorKind> {
        let mut answer = [0; 2];
        stream.write_all(b"x").and_then(|()| stream.read_exact(&mut answer)).map(|()| answer).map_err(|e| e.kind())
    }

    #[test]
    fn it_does_each_wrong_that_it_is_told() {
        let proxy = Proxy::to(echo(b'a'));
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream), Ok(*b"ax"));
        proxy.delay(Duration::from_millis(120));
        let began = Instant::now();
        stream.set_read_timeout(None).unwrap();
        assert_eq!(ask(&mut stream), Ok(*b"ax"));
        assert!(began.elapsed() >= Duration::from_millis(240), "in each direction");

        proxy.stop_reading();
        drop(stream);
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream), Err(ErrorKind::WouldBlock), "open, and silent");
        proxy.pass();
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"ax", "what waited goes on");

        proxy.move_to(echo(b'b'));
        assert!(ask(&mut stream).is_err(), "the address moved away below it");
        assert_eq!(ask(&mut connect(&proxy)), Ok(*b"bx"));
        proxy.cut();
        assert!(ask(&mut connect(&proxy)).is_err());
        proxy.pass();
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream), Ok(*b"bx"));
        proxy.cut_open();
        assert!(ask(&mut stream).is_err());
        assert_eq!(ask(&mut connect(&proxy)), Ok(*b"bx"));
    }
}
