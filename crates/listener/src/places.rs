//! Places for connections: a bounded number in all, and of each address.
//!
//! A connection without a request in flight is idle, whatever else comes over it (pings of HTTP/2, the beginning of a head). When all
//! places are taken, the connection that has been idle for the longest time is closed to make room; when an address has all of its own
//! places, its own longest idle connection is. So connections that cost one caller nothing do not keep other callers out.
//!
//! A connection that has been idle for less than a second is not closed: its request may be on its way. Callers that come while there is no
//! other wait: for a place of their address' own outside of the queue of new connections, for one of all in it.

use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Connections that may be closing beside those that have a place.
const CLOSING: usize = 64;
/// Idle for less than this, a connection is not closed to make room.
const MIN_IDLE: Duration = Duration::from_secs(1);
/// How often a place is looked for at the latest: that time passed is not notified.
const LOOK: Duration = Duration::from_millis(100);
/// Longest that a connection waits for a place of its address.
const WAIT: Duration = Duration::from_secs(5);
/// Connections that may wait for a place of their address.
const WAITING: usize = 512;

/// How many requests of one address are answered at once, unless told otherwise: more than keep a few dozen processors busy, and few
/// enough that other callers do not notice them.
pub const REQUESTS_PER_ADDRESS: usize = 64;

/// How many connections there may be, and requests over them.
///
/// ```
/// use bmap_listener::{ConnectionLimits, REQUESTS_PER_ADDRESS};
///
/// // Behind a proxy, which brings the connections of many: its own are not counted, the callers that it names are.
/// let limits = ConnectionLimits {
///     per_address: 256,
///     requests_per_address: REQUESTS_PER_ADDRESS,
///     exempt: vec!["10.0.0.0/8".parse().unwrap()],
///     ..ConnectionLimits::total(1024)
/// };
/// assert_eq!(limits.total, 1024);
///
/// // In a test, where every caller has one address.
/// let of_a_test = ConnectionLimits::total(64);
/// assert_eq!((of_a_test.per_address, of_a_test.requests_per_address), (0, 0));
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one address, or one IPv6 network of 64 bits; 0: no limit.
    pub per_address: usize,
    /// Requests of one address, or one IPv6 network of 64 bits, that are answered at once over all of its connections; further ones wait.
    /// 0: no limit. [`REQUESTS_PER_ADDRESS`] is a good value.
    pub requests_per_address: usize,
    /// Networks without a limit of their own: proxies, which bring the connections of many. A request that comes from there counts to the
    /// address that `X-Forwarded-For` names ([`client_address`](crate::client_address)).
    pub exempt: Vec<IpNet>,
}

impl ConnectionLimits {
    /// So many connections, from wherever, with any number of requests.
    pub const fn total(total: usize) -> Self {
        Self { total, per_address: 0, requests_per_address: 0, exempt: Vec::new() }
    }
}

/// What became of a connection for want of room.
///
/// ```
/// use axum::Router;
/// use bmap_listener::{ConnectionEvent, ConnectionLimits, Listener};
/// use std::sync::mpsc;
/// use tokio::net::TcpStream;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (event, events) = mpsc::channel();
/// // One place in all.
/// let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), ConnectionLimits::total(1))
///     .await?
///     .observed(move |happened| drop(event.send(happened)));
/// let address = listener.local_address()?;
///
/// // The first connection sends nothing. It is closed for the second one, when it has been idle for a second.
/// let callers = async {
///     let idle = TcpStream::connect(address).await?;
///     let _second = TcpStream::connect(address).await?;
///     idle.readable().await
/// };
/// let stop = async { callers.await.unwrap() };
/// listener.serve(Router::new(), stop).await;
/// assert_eq!(events.recv(), Ok(ConnectionEvent::MadeRoom));
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionEvent {
    /// It was closed without a request being read: its address had all of its places, and none came free in time.
    Refused,
    /// It was idle, and was closed to make room for another.
    MadeRoom,
}

type Observe = Box<dyn Fn(ConnectionEvent) + Send + Sync>;

/// The places of a listener.
pub(crate) struct Places {
    limits: ConnectionLimits,
    observe: Observe,
    min_idle: Duration,
    wait: Duration,
    state: Mutex<State>,
    /// A place came free, or a connection became idle.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Connections that were accepted and not yet closed.
    open: usize,
    /// Those of them that were not told to make room.
    seated: usize,
    /// Connections that wait for a place of their address.
    waiting: usize,
    /// Grows with each connection and each end of a request: a smaller number has been idle for longer.
    moment: u64,
    idle: BTreeMap<u64, Idle>,
    networks: HashMap<IpNet, Network>,
}

/// An address' connections.
#[derive(Default)]
struct Network {
    seated: usize,
    idle: BTreeMap<u64, Idle>,
}

/// A connection without a request in flight.
#[derive(Clone)]
struct Idle {
    seat: Arc<Seat>,
    since: Instant,
}

struct Seat {
    /// The address that it counts to; `None` where that has no limit.
    network: Option<IpNet>,
    makes_room: AtomicBool,
    told: Notify,
}

/// A connection's place, until it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    seat: Arc<Seat>,
    requests: Mutex<Requests>,
}

/// Requests in flight; without any, since when.
struct Requests {
    in_flight: usize,
    idle_since: Option<u64>,
}

/// A request in flight: until its answer is there. Its connection is not idle until this is dropped.
pub(crate) struct InFlight(Arc<Place>);

/// The fate of a connection that was accepted.
pub(crate) enum Admission {
    /// It has a place.
    Seated(Arc<Place>),
    /// Its address has as many as it may have, each with a request in flight or about to come.
    Crowded,
}

enum Outcome {
    Seated(Place),
    Crowded,
    Full,
}

impl Places {
    pub(crate) fn new(
        limits: ConnectionLimits,
        observe: impl Fn(ConnectionEvent) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::with(limits, MIN_IDLE, WAIT, Box::new(observe))
    }

    fn with(limits: ConnectionLimits, min_idle: Duration, wait: Duration, observe: Observe) -> Arc<Self> {
        Arc::new(Self { limits, observe, min_idle, wait, state: Mutex::default(), changed: Notify::new() })
    }

    pub(crate) const fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    /// A place for a connection from there, as soon as there is one of all places.
    pub(crate) async fn take(self: &Arc<Self>, peer: IpAddr) -> Admission {
        loop {
            let changed = self.changed.notified();
            match self.try_take(peer) {
                Outcome::Seated(place) => return Admission::Seated(Arc::new(place)),
                Outcome::Crowded => return Admission::Crowded,
                Outcome::Full => drop(timeout(LOOK, changed).await),
            }
        }
    }

    /// A place for a connection whose address has all of its own; `None` where none came free in time, or too many wait.
    pub(crate) async fn wait(self: &Arc<Self>, peer: IpAddr) -> Option<Arc<Place>> {
        let waiting = Waiting::begin(self)?;
        let seated = async {
            loop {
                let changed = self.changed.notified();
                match self.try_take(peer) {
                    Outcome::Seated(place) => return Arc::new(place),
                    Outcome::Crowded | Outcome::Full => drop(timeout(LOOK, changed).await),
                }
            }
        };
        let place = timeout(self.wait, seated).await.ok();
        drop(waiting);
        if place.is_none() {
            (self.observe)(ConnectionEvent::Refused);
        }
        place
    }

    fn try_take(self: &Arc<Self>, peer: IpAddr) -> Outcome {
        let peer = peer.to_canonical();
        let is_limited =
            self.limits.per_address > 0 && !self.limits.exempt.iter().any(|network| network.contains(&peer));
        let network = is_limited.then(|| network_of(peer)).flatten();
        let mut state = self.state();
        if state.open >= self.limits.total.saturating_add(CLOSING) {
            return Outcome::Full;
        }
        if let Some(own) = network.as_ref().and_then(|network| state.networks.get(network))
            && own.seated >= self.limits.per_address
        {
            let Some((since, longest)) = self.longest(&own.idle) else { return Outcome::Crowded };
            state.make_room(since, &longest);
            (self.observe)(ConnectionEvent::MadeRoom);
        }
        if state.seated >= self.limits.total {
            let Some((since, longest)) = self.longest(&state.idle) else { return Outcome::Full };
            state.make_room(since, &longest);
            (self.observe)(ConnectionEvent::MadeRoom);
        }
        let seat = Arc::new(Seat { network, makes_room: AtomicBool::new(false), told: Notify::new() });
        state.open = state.open.saturating_add(1);
        state.seated = state.seated.saturating_add(1);
        if let Some(network) = &seat.network {
            let own = state.networks.entry(*network).or_default();
            own.seated = own.seated.saturating_add(1);
        }
        let idle_since = Some(state.is_idle(&seat));
        drop(state);
        Outcome::Seated(Place {
            places: Arc::clone(self),
            seat,
            requests: Mutex::new(Requests { in_flight: 0, idle_since }),
        })
    }

    /// The connection that has been idle for the longest time, and for long enough.
    fn longest(&self, idle: &BTreeMap<u64, Idle>) -> Option<(u64, Arc<Seat>)> {
        let (moment, idle) = idle.first_key_value()?;
        (idle.since.elapsed() >= self.min_idle).then(|| (*moment, Arc::clone(&idle.seat)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves whole values: poisoning says nothing here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes that a connection is idle from this moment on.
    fn is_idle(&mut self, seat: &Arc<Seat>) -> u64 {
        self.moment = self.moment.saturating_add(1);
        let idle = Idle { seat: Arc::clone(seat), since: Instant::now() };
        if let Some(own) = seat.network.as_ref().and_then(|network| self.networks.get_mut(network)) {
            own.idle.insert(self.moment, idle.clone());
        }
        self.idle.insert(self.moment, idle);
        self.moment
    }

    /// Notes that a connection is idle no more.
    fn is_busy(&mut self, seat: &Seat, since: u64) {
        self.idle.remove(&since);
        if let Some(own) = seat.network.as_ref().and_then(|network| self.networks.get_mut(network)) {
            own.idle.remove(&since);
        }
    }

    /// Has an idle connection closed.
    fn make_room(&mut self, since: u64, seat: &Seat) {
        self.is_busy(seat, since);
        seat.makes_room.store(true, Ordering::SeqCst);
        seat.told.notify_one();
        self.leave(seat);
    }

    /// Gives a seat back.
    fn leave(&mut self, seat: &Seat) {
        self.seated = self.seated.saturating_sub(1);
        if let Some(network) = &seat.network
            && let Some(own) = self.networks.get_mut(network)
        {
            own.seated = own.seated.saturating_sub(1);
            if own.seated == 0 {
                self.networks.remove(network);
            }
        }
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What counts as one address: an IPv4 address, or the /64 in which an IPv6 host can take any address.
pub(crate) fn network_of(address: IpAddr) -> Option<IpNet> {
    let length = if address.is_ipv4() { 32 } else { 64 };
    IpNet::new(address, length).ok().map(|network| network.trunc())
}

/// A connection that waits, until it is dropped.
struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    fn begin(places: &'a Places) -> Option<Self> {
        let mut state = places.state();
        if state.waiting >= WAITING {
            drop(state);
            (places.observe)(ConnectionEvent::Refused);
            return None;
        }
        state.waiting = state.waiting.saturating_add(1);
        Some(Self(places))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

impl Place {
    /// Begins a request. One that came in the moment in which its connection was told to make room is answered too.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        let mut requests = self.requests();
        let mut state = self.places.state();
        if let Some(since) = requests.idle_since.take() {
            state.is_busy(&self.seat, since);
        }
        requests.in_flight = requests.in_flight.saturating_add(1);
        InFlight(Arc::clone(self))
    }

    /// Completes when the connection is to be closed to make room.
    pub(crate) async fn told_to_make_room(&self) {
        self.seat.told.notified().await;
    }

    /// Whether it is.
    pub(crate) fn makes_room(&self) -> bool {
        self.seat.makes_room.load(Ordering::SeqCst)
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut requests = self.0.requests();
        requests.in_flight = requests.in_flight.saturating_sub(1);
        if requests.in_flight == 0 {
            let mut state = self.0.places.state();
            // One that was told to make room is closing, and is not told again.
            if !self.0.makes_room() {
                requests.idle_since = Some(state.is_idle(&self.0.seat));
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let since = self.requests().idle_since;
        let mut state = self.places.state();
        state.open = state.open.saturating_sub(1);
        if !self.makes_room() {
            if let Some(since) = since {
                state.is_busy(&self.seat, since);
            }
            state.leave(&self.seat);
        }
        drop(state);
        self.places.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
