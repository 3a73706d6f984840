use super::*;
use bmap_protocol::refusal::Refusal;
use proptest::prelude::*;
use proptest::test_runner::Config;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

const OVER: Result<(), Refusal> = Err(Refusal::RateLimited { retry_after: 1 });

fn budget(total: usize, per_prefix: usize, per_token: usize) -> BodyBudget {
    let mut policy = Policy { max_body: 1, ..Policy::default() };
    policy.bodies.total = total;
    policy.bodies.per_prefix = per_prefix;
    policy.bodies.per_token = per_token;
    policy.bodies.per_api_key = 4 * per_token;
    BodyBudget::new(&policy)
}

fn token(number: u8) -> Payer {
    Payer::Token([number; 16])
}

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn o18_each_token_has_its_own_budget_and_an_api_key_a_larger_one() {
    let budget = budget(1000, 1000, 100);
    let waker = Waker::noop();
    let mut first = budget.hold(token(1), None);
    assert_eq!(first.wait_for_more(60, 0, waker), Ok(()));
    let mut second = budget.hold(token(1), None);
    assert_eq!(second.wait_for_more(40, 0, waker), Ok(()));
    assert_eq!(second.wait_for_more(41, 0, waker), OVER);
    assert_eq!(budget.hold(token(2), None).wait_for_more(100, 0, waker), Ok(()));
    let mut key = budget.hold(Payer::ApiKey([1; 16]), None);
    assert_eq!(key.wait_for_more(400, 0, waker), Ok(()));
    assert_eq!(key.wait_for_more(401, 0, waker), OVER);
    drop((first, second, key));
    assert_eq!(budget.held(), 0);
    assert!(budget.lock().payers.is_empty() && budget.lock().bodies.is_empty());
}

#[test]
fn a_prefix_has_a_budget_and_unknown_addresses_have_none() {
    let budget = budget(1000, 100, 90);
    let hold = |number, peer: &str| budget.hold(token(number), peer.parse().ok());
    let waker = Waker::noop();
    let mut held = hold(1, "203.0.113.1");
    assert_eq!(held.wait_for_more(60, 0, waker), Ok(()));
    for (peer, outcome) in [
        ("203.0.113.250", OVER),
        ("::ffff:203.0.113.9", OVER),
        ("203.0.114.1", Ok(())),
        ("2001:db8::1", Ok(())),
        ("unknown", Ok(())),
    ] {
        assert_eq!(hold(2, peer).wait_for_more(60, 0, waker), outcome, "{peer}");
    }
    drop(held);
    let mut held = hold(1, "2001:db8:1::1");
    assert_eq!(held.wait_for_more(60, 0, waker), Ok(()));
    assert_eq!(hold(2, "2001:db8:1:ffff::9").wait_for_more(60, 0, waker), OVER);
    assert_eq!(hold(2, "2001:db8:2::1").wait_for_more(60, 0, waker), Ok(()));
}

#[test]
fn t24_when_the_total_is_full_the_slowest_body_makes_room() {
    let budget = budget(300, 300, 300);
    let woken = [(); 3].map(|()| Arc::new(Woken::default()));
    let wakers = woken.each_ref().map(|woken| Waker::from(Arc::clone(woken)));
    let [mut burst, mut steady, mut complete] = [1, 2, 3].map(|number| budget.hold(token(number), None));
    // A burst, and nothing for 10 s; and 10 bytes a second.
    assert_eq!(burst.wait_for_more(100, 0, &wakers[0]), Ok(()));
    for second in 1..=10_u16 {
        assert_eq!(steady.wait_for_more(10 * usize::from(second), u64::from(second) * 1000, &wakers[1]), Ok(()));
    }
    assert_eq!(complete.wait_complete(100, 0), Ok(()));
    let mut newcomer = budget.hold(token(4), None);
    assert_eq!(newcomer.wait_for_more(50, 10_000, Waker::noop()), Ok(()));
    let counts = woken.each_ref().map(|woken| woken.0.load(Ordering::SeqCst));
    assert_eq!(counts, [1, 0, 0], "the one that stalled is woken to end");
    assert_eq!(burst.wait_for_more(100, 10_000, &wakers[0]), Err(Refusal::BodyTimeout));
    assert_eq!(budget.held(), 250);
    // A complete body is never ended: where there is nothing else, the newcomer is refused.
    drop((steady, newcomer));
    let mut more = budget.hold(token(5), None);
    assert_eq!(more.wait_complete(200, 10_000), Ok(()));
    assert_eq!(budget.hold(token(6), None).wait_for_more(1, 10_000, Waker::noop()), Err(Refusal::Overloaded));
    assert_eq!(budget.held(), 300);
}

#[test]
fn t24_a_drop_by_drop_body_at_a_full_total_ends_itself() {
    let budget = budget(200, 200, 200);
    let mut fast = budget.hold(token(1), None);
    let mut drip = budget.hold(token(2), None);
    assert_eq!(drip.wait_for_more(20, 0, Waker::noop()), Ok(()));
    assert_eq!(fast.wait_for_more(180, 9_000, Waker::noop()), Ok(()));
    assert_eq!(drip.wait_for_more(21, 10_000, Waker::noop()), Err(Refusal::BodyTimeout));
    assert_eq!(budget.held(), 180);
}

#[test]
fn t24_a_young_body_is_not_slow_because_little_of_it_is_there() {
    let budget = budget(1000, 1000, 1000);
    let mut stalled = budget.hold(token(1), None);
    assert_eq!(stalled.wait_for_more(960, 0, Waker::noop()), Ok(()));
    // 20 bytes each 100 ms, beside a burst of 3 s ago that halved to 120.
    let mut young = budget.hold(token(2), None);
    for step in 0..5_u16 {
        assert_eq!(young.wait_for_more(20 * usize::from(step), 3000 + u64::from(step) * 100, Waker::noop()), Ok(()));
    }
    assert_eq!(stalled.wait_for_more(960, 3400, Waker::noop()), Err(Refusal::BodyTimeout));
    assert_eq!(budget.held(), 80);
}

#[test]
fn no_budget_is_smaller_than_one_body() {
    let mut policy = Policy { max_body: 1000, ..Policy::default() };
    policy.bodies.total = 1;
    policy.bodies.per_prefix = 1;
    policy.bodies.per_token = 1;
    let budget = BodyBudget::new(&policy);
    let peer = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(budget.hold(token(1), peer).wait_for_more(1000, 0, Waker::noop()), Ok(()));
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn t24_what_is_counted_is_what_is_held_and_never_more_than_the_total(
        acts in prop::collection::vec((0..8_usize, 0..4_u8, 0..3_u8, 0..120_usize, 0..3_u8), 1..200)
    ) {
        let budget = budget(400, 250, 150);
        let mut holds: [Option<(Hold<'_>, usize)>; 8] = Default::default();
        let mut now = 0;
        for (place, payer, network, bytes, act) in acts {
            now += 300;
            if act == 0 {
                holds[place] = None;
                continue;
            }
            let peer = IpAddr::V4(Ipv4Addr::new(10, 0, network, 1));
            let (hold, held) = holds[place].get_or_insert_with(|| (budget.hold(token(payer), Some(peer)), 0));
            *held += bytes;
            let counted = match act {
                1 => hold.wait_for_more(*held, now, Waker::noop()),
                _ => hold.wait_complete(*held, now),
            };
            if counted.is_err() {
                holds[place] = None;
            }
            let waiting = budget.lock();
            let sum: usize = waiting.bodies.values().map(|held| held.bytes).sum();
            prop_assert_eq!(waiting.total, sum);
            prop_assert_eq!(waiting.payers.values().sum::<usize>(), sum);
            prop_assert_eq!(waiting.prefixes.values().sum::<usize>(), sum);
            prop_assert!(sum <= 400);
            prop_assert!(waiting.payers.values().all(|held| *held <= 150));
            prop_assert!(waiting.prefixes.values().all(|held| *held <= 250));
        }
        drop(holds);
        prop_assert_eq!(budget.held(), 0);
    }
}
