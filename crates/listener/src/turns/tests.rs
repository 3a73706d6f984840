use super::*;
use std::task::Waker;

fn head(lines: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::get("/");
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn turns(per_address: usize) -> Arc<Turns> {
    Turns::with(per_address, HEADS_PER_ADDRESS, SLOW, vec!["10.0.0.0/8".parse().unwrap()])
}

/// The end of a round of the runtime's queue: here there is no runtime.
fn end_round(turns: &Arc<Turns>) {
    let networks: Vec<_> = turns.state().networks.keys().copied().collect();
    networks.into_iter().for_each(|network| turns.end_round(network));
}

/// A request that asked for its turn.
type Asked = Pin<Box<dyn Future<Output = Result<Arc<RequestTurn>, TooManyWait>> + Send>>;

fn ask(turns: &Arc<Turns>, peer: &str, lines: &[(&str, &str)], connection: &Arc<OfConnection>) -> Asked {
    let (turns, connection, peer, head) =
        (Arc::clone(turns), Arc::clone(connection), peer.parse().unwrap(), head(lines));
    let mut asked: Asked = Box::pin(async move { turns.take(peer, &head, &connection).await });
    // It is in the queue from its first poll on.
    let first = poll(&mut asked);
    match first {
        Poll::Ready(turn) => Box::pin(std::future::ready(turn)),
        Poll::Pending => asked,
    }
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// The turn of a request that has one.
#[track_caller]
fn turn(asked: &mut Asked) -> Arc<RequestTurn> {
    match poll(asked) {
        Poll::Ready(Ok(turn)) => turn,
        other => panic!("it has no turn: {other:?}"),
    }
}

#[track_caller]
fn waits(asked: &mut Asked) {
    assert!(poll(asked).is_pending());
}

fn is_empty(turns: &Arc<Turns>) -> bool {
    end_round(turns);
    let state = turns.state();
    state.heads == 0 && state.networks.is_empty()
}

#[test]
fn t24_an_address_has_so_many_turns_over_all_of_its_connections_and_others_have_their_own() {
    let turns = turns(2);
    let connections = [(); 3].map(|()| Arc::<OfConnection>::default());
    let [first, second, third] = &connections;
    let own =
        [ask(&turns, "192.0.2.1", &[], first), ask(&turns, "::ffff:192.0.2.1", &[], second)].map(|mut a| turn(&mut a));
    let mut next = ask(&turns, "192.0.2.1", &[], third);
    waits(&mut next);
    turn(&mut ask(&turns, "192.0.2.2", &[], third)).end();
    own[1].end();
    own[1].end();
    let next = turn(&mut next);
    waits(&mut ask(&turns, "192.0.2.1", &[], third));
    own[0].end();
    next.end();
    assert!(is_empty(&turns));
    // Of what a proxy brings each client is an address, and what it brings of itself has no limit.
    let from = |client| [("x-forwarded-for", client)];
    let mut held: Vec<_> = (0..2).map(|_| turn(&mut ask(&turns, "10.0.0.1", &from("192.0.2.1"), first))).collect();
    waits(&mut ask(&turns, "10.0.0.1", &from("192.0.2.9, 192.0.2.1"), first));
    held.push(turn(&mut ask(&turns, "10.0.0.1", &from("192.0.2.2"), first)));
    held.extend((0..9).map(|_| turn(&mut ask(&turns, "10.0.0.1", &[], first))));
    drop(held);
    assert!(is_empty(&turns));
    let unlimited = Turns::new(0, Vec::new());
    let all: Vec<_> = (0..9).map(|_| turn(&mut ask(&unlimited, "192.0.2.1", &[], first))).collect();
    drop(all);
}

#[test]
fn t24_connections_of_one_address_take_turns_whatever_each_of_them_asks_for() {
    let turns = turns(1);
    let (greedy, modest) = (Arc::<OfConnection>::default(), Arc::<OfConnection>::default());
    let mut at_work = turn(&mut ask(&turns, "192.0.2.1", &[], &greedy));
    let mut many: Vec<_> = (0..100).map(|_| ask(&turns, "192.0.2.1", &[], &greedy)).collect();
    let mut one = ask(&turns, "192.0.2.1", &[], &modest);
    for asked in [&mut many[0], &mut one] {
        waits(asked);
        at_work.end();
        at_work = turn(asked);
    }
    // A request that comes later goes behind the next one of the other, and not behind all of them.
    let mut later = ask(&turns, "192.0.2.1", &[], &modest);
    at_work.end();
    at_work = turn(&mut many[1]);
    waits(&mut later);
    at_work.end();
    at_work = turn(&mut later);
    drop((at_work, many));
    assert!(is_empty(&turns));
}

#[test]
fn t24_the_place_of_a_request_comes_back_whenever_its_caller_goes() {
    let turns = turns(1);
    let connection = Arc::<OfConnection>::default();
    let at_work = turn(&mut ask(&turns, "192.0.2.1", &[], &connection));
    let [gone, granted, mut last] = [(); 3].map(|()| ask(&turns, "192.0.2.1", &[], &connection));
    drop(gone);
    // This one is given its turn and goes before it takes it.
    drop(at_work);
    waits(&mut last);
    drop(granted);
    drop(turn(&mut last));
    assert!(is_empty(&turns));
    assert_eq!(connection.0.load(Ordering::SeqCst), 0);
}

#[test]
fn t24_the_heads_that_wait_are_bounded_for_each_address_and_in_all() {
    let turns = Turns::with(1, 2 * BESIDE_HEAD + 16, SLOW, Vec::new());
    let connection = Arc::<OfConnection>::default();
    let at_work = turn(&mut ask(&turns, "192.0.2.1", &[], &connection));
    let waiting = [(); 2].map(|()| ask(&turns, "192.0.2.1", &[("x", "y")], &connection));
    let refused = |lines: &[(&str, &str)]| {
        let mut asked = ask(&turns, "192.0.2.1", lines, &connection);
        matches!(poll(&mut asked), Poll::Ready(Err(TooManyWait)))
    };
    assert!(refused(&[]) && refused(&[("x", "y")]));
    let other = turn(&mut ask(&turns, "192.0.2.2", &[], &connection));
    let mut others = ask(&turns, "192.0.2.2", &[], &connection);
    waits(&mut others);
    drop(waiting);
    assert!(!refused(&[]) && refused(&[("x", &"y".repeat(2 * BESIDE_HEAD))]));
    turns.state().heads = HEADS;
    assert!(refused(&[]));
    turns.state().heads = head_size(&head(&[]));
    drop((at_work, other, others));
    assert!(is_empty(&turns));
}

#[test]
fn t24_a_request_that_waits_for_its_body_leaves_its_turn_and_goes_first_when_the_body_has_come() {
    let turns = turns(1);
    let connection = Arc::<OfConnection>::default();
    let mut context = Context::from_waker(Waker::noop());
    let slow = turn(&mut ask(&turns, "192.0.2.1", &[], &connection));
    let (mut second, mut third) =
        (ask(&turns, "192.0.2.1", &[], &connection), ask(&turns, "192.0.2.1", &[], &connection));
    waits(&mut second);
    slow.pause();
    slow.pause();
    let at_work = turn(&mut second);
    waits(&mut third);
    let mut resuming = None;
    assert!(slow.poll_resume(&mut context, &mut resuming).is_pending());
    at_work.end();
    waits(&mut third);
    assert!(slow.poll_resume(&mut context, &mut resuming).is_ready());
    slow.pause();
    let third = turn(&mut third);
    third.pause();
    // One whose answer was there before its body waits for nothing.
    slow.end();
    assert!(slow.poll_resume(&mut context, &mut resuming).is_ready());
    assert!(third.poll_resume(&mut context, &mut resuming).is_ready());
    // One that goes while it waits for its turn again gives nothing back twice.
    let mut fourth = ask(&turns, "192.0.2.1", &[], &connection);
    waits(&mut fourth);
    third.pause();
    assert!(third.poll_resume(&mut context, &mut resuming).is_pending());
    drop((third, resuming));
    turn(&mut fourth).end();
    assert!(is_empty(&turns));
}

#[test]
fn t24_a_slow_request_leaves_its_turn_and_one_that_waits_for_its_caller_does_not_count_as_slow() {
    let slow_after = Duration::from_millis(60);
    let turns = Turns::with(1, HEADS_PER_ADDRESS, slow_after, Vec::new());
    let connection = Arc::<OfConnection>::default();
    let slow = turn(&mut ask(&turns, "192.0.2.1", &[], &connection));
    let mut next = ask(&turns, "192.0.2.1", &[], &connection);
    assert!(slow.look_again().is_some());
    waits(&mut next);
    std::thread::sleep(slow_after);
    assert_eq!(slow.look_again(), None);
    let next = turn(&mut next);
    next.pause();
    std::thread::sleep(slow_after);
    assert_eq!(next.look_again(), Some(slow_after));
    assert!(next.poll_resume(&mut Context::from_waker(Waker::noop()), &mut None).is_ready());
    assert!(next.look_again().is_some(), "it began to work just now");
    waits(&mut ask(&turns, "192.0.2.1", &[], &connection));
    drop((slow, next));
    assert!(is_empty(&turns));
}

#[test]
fn t24_an_address_begins_a_few_requests_in_each_round_of_the_queue() {
    let turns = turns(64);
    let connection = Arc::<OfConnection>::default();
    // Each one is answered in one step, so there is never one at work when the next one asks.
    for _ in 0..PER_ROUND {
        turn(&mut ask(&turns, "192.0.2.1", &[], &connection)).end();
    }
    let mut many: Vec<_> = (0..2 * PER_ROUND).map(|_| ask(&turns, "192.0.2.1", &[], &connection)).collect();
    many.iter_mut().for_each(waits);
    turn(&mut ask(&turns, "192.0.2.2", &[], &connection)).end();
    end_round(&turns);
    let (next, last) = many.split_at_mut(PER_ROUND);
    next.iter_mut().for_each(|asked| turn(asked).end());
    last.iter_mut().for_each(waits);
    end_round(&turns);
    last.iter_mut().for_each(|asked| turn(asked).end());
    drop(many);
    assert!(is_empty(&turns));
}

#[tokio::test]
async fn t24_rounds_go_on_by_themselves() {
    let turns = turns(64);
    let connection = Arc::<OfConnection>::default();
    let all = (0..10 * PER_ROUND).map(|_| {
        let (turns, connection) = (Arc::clone(&turns), Arc::clone(&connection));
        tokio::spawn(async move {
            let turn = turns.take("192.0.2.1".parse().unwrap(), &head(&[]), &connection).await;
            turn.unwrap().end();
        })
    });
    for one in all.collect::<Vec<_>>() {
        tokio::time::timeout(Duration::from_secs(60), one).await.expect("a round did not end").unwrap();
    }
    while !turns.state().networks.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.0.load(Ordering::SeqCst), 0);
}
