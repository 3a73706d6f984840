//! Turns: how many requests of one address are answered at once.
//!
//! The bound on connections does not bound requests: an HTTP/2 connection carries a hundred. Answered all at once, the cheap requests of one
//! address keep every thread busy, and each step of any other caller's request waits behind all of them. So an address has a number of
//! turns, over all of its connections. A request without one waits; it holds its head, and no more of its connection is read than HTTP/2's
//! window or HTTP/1's buffer takes. Addresses have turns of their own and never wait for each other.
//!
//! A refusal is often made in one step, so a thousand of them are never at work together, and yet a thousand tasks stand in the runtime's
//! queue. So an address begins [`PER_ROUND`] requests in each round of that queue; the others leave it until the next round.
//!
//! Within an address the connections take turns, however many requests each of them has open. A request holds its turn only
//! while the service works for it:
//!
//! - not while it waits for its caller to send more of its body. A body that has come goes before requests that have not begun;
//! - not beyond [`SLOW`] of work. A request that takes longer waits for something else than a processor, such as a password hash or
//!   another server, and the service bounds these.
//!
//! So requests that take long, however many there are, hold up the other callers of a shared address by a second at most for each
//! [`ConnectionLimits::requests_per_address`] of them.
//!
//! [`ConnectionLimits::requests_per_address`]: crate::ConnectionLimits::requests_per_address

use crate::client_address;
use crate::places::network_of;
use http::request::Parts;
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Most requests of one address that begin in one round of the runtime's queue: that many steps stand before another caller's.
const PER_ROUND: usize = 16;
/// A request that is worked on for longer gives its turn to the next one.
const SLOW: Duration = Duration::from_secs(1);
/// Most bytes of heads that wait, of one address and in all. A request beyond that is refused.
const HEADS_PER_ADDRESS: usize = HEADS / 8;
const HEADS: usize = 64 << 20;
/// What a waiting request takes beside the bytes of its head.
const BESIDE_HEAD: usize = 2048;

/// The turns of a listener.
pub(crate) struct Turns {
    per_address: usize,
    heads_per_address: usize,
    slow: Duration,
    exempt: Vec<IpNet>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bytes of heads that wait.
    heads: usize,
    /// Gives each waiting request its place behind those of its round.
    sequence: u64,
    networks: HashMap<IpNet, Network>,
}

/// One address.
#[derive(Default)]
struct Network {
    at_work: usize,
    heads: usize,
    /// Requests that began in this round of the runtime's queue, and whether its end is awaited.
    begun: usize,
    ends_round: bool,
    /// The round of the latest request that waited and has its turn now.
    round: u64,
    waiting: BTreeMap<Order, Arc<Notify>>,
}

/// The round of a waiting request, and its place in it.
type Order = (u64, u64);

/// The requests of one connection that wait: the next one of them belongs to as many rounds later.
#[derive(Debug, Default)]
pub(crate) struct OfConnection(AtomicU64);

/// No room for the head of one more waiting request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyWait;

impl Turns {
    pub(crate) fn new(per_address: usize, exempt: Vec<IpNet>) -> Arc<Self> {
        Self::with(per_address, HEADS_PER_ADDRESS, SLOW, exempt)
    }

    fn with(per_address: usize, heads_per_address: usize, slow: Duration, exempt: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { per_address, heads_per_address, slow, exempt, state: Mutex::default() })
    }

    /// A request's turn, as soon as its address has one.
    ///
    /// # Errors
    /// [`TooManyWait`].
    pub(crate) async fn take(
        self: &Arc<Self>,
        peer: IpAddr,
        head: &Parts,
        connection: &OfConnection,
    ) -> Result<Arc<RequestTurn>, TooManyWait> {
        let Some(network) = self.counted(peer, head) else { return Ok(RequestTurn::uncounted()) };
        let turn = match self.try_take(network) {
            Some(turn) => turn,
            None => self.queue(network, Some((head_size(head), connection)))?.granted().await,
        };
        Ok(RequestTurn::of(turn))
    }

    /// The address that a request counts to; `None` where it has no limit. Of what a proxy brings it is the client's.
    fn counted(&self, peer: IpAddr, head: &Parts) -> Option<IpNet> {
        let is_exempt = |address: IpAddr| self.exempt.iter().any(|network| network.contains(&address));
        let peer = peer.to_canonical();
        let address = if is_exempt(peer) { client_address::of(Some(peer), &head.headers, &self.exempt)? } else { peer };
        (self.per_address > 0 && !is_exempt(address)).then(|| network_of(address)).flatten()
    }

    /// A turn, where one is free: then no request of that address waits for one.
    fn try_take(self: &Arc<Self>, network: IpNet) -> Option<Turn> {
        let mut state = self.state();
        let own = state.networks.entry(network).or_default();
        let is_free = self.is_free(own);
        if is_free {
            self.begin(own, network);
        }
        drop(state);
        is_free.then(|| Turn { turns: Arc::clone(self), network })
    }

    const fn is_free(&self, own: &Network) -> bool {
        own.at_work < self.per_address && own.begun < PER_ROUND
    }

    fn begin(self: &Arc<Self>, own: &mut Network, network: IpNet) {
        own.at_work = own.at_work.saturating_add(1);
        own.begun = own.begun.saturating_add(1);
        if !own.ends_round
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            own.ends_round = true;
            let turns = Arc::clone(self);
            runtime.spawn(async move {
                // Behind all that stands in the queue now, and behind what the network has brought by then.
                tokio::task::yield_now().await;
                turns.end_round(network);
            });
        }
    }

    fn end_round(self: &Arc<Self>, network: IpNet) {
        let mut guard = self.state();
        if let Some(own) = guard.networks.get_mut(&network) {
            (own.begun, own.ends_round) = (0, false);
        }
        self.hand_on(&mut guard, network);
    }

    /// Has a request wait: with the size of its head behind the others of its connection; without, where its body has come, before all.
    fn queue<'a>(
        self: &Arc<Self>,
        network: IpNet,
        begins: Option<(usize, &'a OfConnection)>,
    ) -> Result<Waiting<'a>, TooManyWait> {
        let mut guard = self.state();
        let state = &mut *guard;
        let own = state.networks.entry(network).or_default();
        let mut round = 0;
        let head = begins.map_or(0, |(head, _)| head);
        if let Some((head, connection)) = begins {
            let (of_address, of_all) = (own.heads.saturating_add(head), state.heads.saturating_add(head));
            if of_address > self.heads_per_address || of_all > HEADS {
                return Err(TooManyWait);
            }
            (own.heads, state.heads) = (of_address, of_all);
            round = own.round.saturating_add(connection.0.fetch_add(1, Ordering::SeqCst)).saturating_add(1);
        }
        state.sequence = state.sequence.saturating_add(1);
        let (order, told) = ((round, state.sequence), Arc::new(Notify::new()));
        own.waiting.insert(order, Arc::clone(&told));
        // A turn can have come free since it was looked for.
        self.hand_on(state, network);
        let connection = begins.map(|(_, connection)| connection);
        Ok(Waiting { turns: Arc::clone(self), network, order, head, connection, told })
    }

    /// Gives free turns to requests that wait.
    fn hand_on(self: &Arc<Self>, state: &mut State, network: IpNet) {
        let Some(own) = state.networks.get_mut(&network) else { return };
        while self.is_free(own)
            && let Some(((round, _), told)) = own.waiting.pop_first()
        {
            self.begin(own, network);
            own.round = own.round.max(round);
            told.notify_one();
        }
        if own.at_work == 0 && own.begun == 0 && own.waiting.is_empty() && own.heads == 0 {
            state.networks.remove(&network);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves whole values: poisoning says nothing here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("per_address", &self.per_address).finish_non_exhaustive()
    }
}

/// The bytes that a request's head takes while it waits.
fn head_size(head: &Parts) -> usize {
    let lines = head.headers.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len()));
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    lines.fold(target.saturating_add(BESIDE_HEAD), usize::saturating_add)
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    network: IpNet,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        if let Some(own) = state.networks.get_mut(&self.network) {
            own.at_work = own.at_work.saturating_sub(1);
        }
        self.turns.hand_on(&mut state, self.network);
    }
}

/// A request that waits. Its place and its head are given back when it is dropped, and its turn where it was just given one.
struct Waiting<'a> {
    turns: Arc<Turns>,
    network: IpNet,
    order: Order,
    head: usize,
    connection: Option<&'a OfConnection>,
    told: Arc<Notify>,
}

impl Waiting<'_> {
    async fn granted(self) -> Turn {
        self.told.notified().await;
        // One more turn of it, because dropping what waited gives one back.
        let turn = Turn { turns: Arc::clone(&self.turns), network: self.network };
        let mut state = self.turns.state();
        if let Some(own) = state.networks.get_mut(&self.network) {
            own.at_work = own.at_work.saturating_add(1);
        }
        drop(state);
        turn
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection {
            connection.0.fetch_sub(1, Ordering::SeqCst);
        }
        let mut guard = self.turns.state();
        let state = &mut *guard;
        state.heads = state.heads.saturating_sub(self.head);
        if let Some(own) = state.networks.get_mut(&self.network) {
            own.heads = own.heads.saturating_sub(self.head);
            if own.waiting.remove(&self.order).is_none() {
                own.at_work = own.at_work.saturating_sub(1);
            }
        }
        self.turns.hand_on(state, self.network);
    }
}

/// One request's turn, which its answer and its body share.
pub(crate) struct RequestTurn(Mutex<Phase>);

enum Phase {
    /// The service works for it, since then.
    Works(Turn, Instant),
    /// It waits for its caller to send more of its body.
    WaitsForBody(Arc<Turns>, IpNet),
    /// Nothing is counted: its address has no limit, its answer is there, or it is slow.
    Uncounted,
}

/// A request whose body has come, and which waits for its turn.
pub(crate) type Resuming = Pin<Box<dyn Future<Output = Turn> + Send + Sync>>;

impl RequestTurn {
    fn uncounted() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Phase::Uncounted)))
    }

    fn of(turn: Turn) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Phase::Works(turn, Instant::now()))))
    }

    /// The request waits for its caller.
    pub(crate) fn pause(&self) {
        let mut phase = self.phase();
        if let Phase::Works(turn, _) = &*phase {
            *phase = Phase::WaitsForBody(Arc::clone(&turn.turns), turn.network);
        }
    }

    /// The caller has sent more: ready when the request has a turn again. `waiting` is kept by the body meanwhile.
    pub(crate) fn poll_resume(&self, cx: &mut Context<'_>, waiting: &mut Option<Resuming>) -> Poll<()> {
        if waiting.is_none() {
            let (turns, network) = match &*self.phase() {
                Phase::WaitsForBody(turns, network) => (Arc::clone(turns), *network),
                _ => return Poll::Ready(()),
            };
            let at_once = turns.try_take(network);
            *waiting = Some(match at_once {
                Some(turn) => Box::pin(std::future::ready(turn)),
                // Without a head there is no bound that it could be over.
                None => match turns.queue(network, None) {
                    Ok(waits) => Box::pin(waits.granted()),
                    Err(TooManyWait) => return Poll::Ready(()),
                },
            });
        }
        if let Some(resuming) = waiting {
            let turn = ready!(resuming.as_mut().poll(cx));
            *waiting = None;
            let mut phase = self.phase();
            if matches!(*phase, Phase::WaitsForBody(..)) {
                *phase = Phase::Works(turn, Instant::now());
            }
        }
        Poll::Ready(())
    }

    /// After how long to look whether it is slow; nothing where it is not counted, or no more from here on.
    pub(crate) fn look_again(&self) -> Option<Duration> {
        let mut phase = self.phase();
        let left = match &*phase {
            Phase::Works(turn, since) => turn.turns.slow.saturating_sub(since.elapsed()),
            Phase::WaitsForBody(turns, _) => turns.slow,
            Phase::Uncounted => return None,
        };
        if !left.is_zero() {
            return Some(left);
        }
        *phase = Phase::Uncounted;
        None
    }

    /// The answer is there.
    pub(crate) fn end(&self) {
        *self.phase() = Phase::Uncounted;
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RequestTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTurn").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
