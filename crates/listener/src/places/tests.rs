use super::*;

fn places(total: usize, per_address: usize) -> Arc<Places> {
    let exempt = vec!["10.0.0.0/8".parse().unwrap()];
    Places::with(
        ConnectionLimits { total, per_address, requests_per_address: 0, exempt },
        Duration::ZERO,
        WAIT,
        Box::new(|_| {}),
    )
}

fn take(places: &Arc<Places>, peer: &str) -> Result<Arc<Place>, &'static str> {
    match places.try_take(peer.parse().unwrap()) {
        Outcome::Seated(place) => Ok(Arc::new(place)),
        Outcome::Crowded => Err("crowded"),
        Outcome::Full => Err("full"),
    }
}

#[test]
fn o09_the_longest_idle_connection_makes_room() {
    let places = places(3, 0);
    let [first, second, third] = [1, 2, 3].map(|last| take(&places, &format!("192.0.2.{last}")).unwrap());
    // The first has a request in flight, the second had one after the third came.
    let request = first.begin();
    drop(second.begin());
    let fourth = take(&places, "192.0.2.4").unwrap();
    assert_eq!([&first, &second, &third, &fourth].map(|place| place.makes_room()), [false, false, true, false]);
    drop(third.begin()); // It came in the last moment, and its connection is not one that could make room again.
    let fifth = take(&places, "192.0.2.4").unwrap();
    assert!(second.makes_room());
    let others = [fourth.begin(), fifth.begin()];
    assert_eq!(take(&places, "192.0.2.5").err(), Some("full"), "none is idle");
    drop((request, others));
    take(&places, "192.0.2.5").unwrap();
    assert!(first.makes_room());
}

#[test]
fn o09_an_address_has_its_share_and_a_network_of_64_bits_is_one() {
    let places = places(100, 2);
    let own = ["2001:db8:0:7::1", "2001:db8:0:7:ffff::9"].map(|peer| take(&places, peer).unwrap());
    let requests = own.each_ref().map(Place::begin);
    assert_eq!(take(&places, "2001:db8:0:7::2").err(), Some("crowded"));
    let other = take(&places, "2001:db8:0:8::1").unwrap();
    drop(requests);
    // Its own longest idle connection makes room, and no other address'.
    let next = take(&places, "2001:db8:0:7::2").unwrap();
    assert_eq!(own.each_ref().map(|place| place.makes_room()), [true, false]);
    assert!(!other.makes_room() && !next.makes_room());
    let mapped = ["192.0.2.1", "::ffff:192.0.2.1"].map(|peer| take(&places, peer).unwrap().begin());
    assert_eq!(take(&places, "192.0.2.1").err(), Some("crowded"));
    drop(mapped);
    let proxy: Vec<_> = (0..50).map(|_| take(&places, "10.0.0.1").unwrap().begin()).collect();
    drop(proxy);
}

#[tokio::test]
async fn o09_a_connection_whose_request_is_on_its_way_is_not_closed_and_the_next_one_waits() {
    const MIN_IDLE: Duration = Duration::from_millis(300);
    const WAIT: Duration = Duration::from_millis(900);
    let limits = ConnectionLimits { per_address: 2, ..ConnectionLimits::total(100) };
    let places = Places::with(limits, MIN_IDLE, WAIT, Box::new(|_| {}));
    let peer = "192.0.2.1".parse().unwrap();
    let [first, second] = [(); 2].map(|()| take(&places, "192.0.2.1").unwrap());
    assert!(matches!(places.take(peer).await, Admission::Crowded));
    // Another address does not wait for this one.
    assert!(matches!(places.take("192.0.2.9".parse().unwrap()).await, Admission::Seated(_)));
    let (request, started) = (second.begin(), Instant::now());
    let third = places.wait(peer).await.unwrap();
    assert!(first.makes_room() && !second.makes_room());
    assert!(started.elapsed() >= MIN_IDLE - Duration::from_millis(100));
    // One that is closed by its caller makes room at once; where none is, there is an end to waiting.
    let others = (third.begin(), Instant::now());
    assert!(places.wait(peer).await.is_none());
    assert!(others.1.elapsed() >= WAIT);
    drop((others, third, request, second, first));
    places.wait(peer).await.unwrap();
    assert_eq!(places.state().waiting, 0);
}

#[test]
fn every_place_comes_back_and_those_that_close_are_bounded() {
    let places = places(2, 1);
    let kept: Vec<_> = (0..CLOSING + 2).map(|_| take(&places, "192.0.2.1").unwrap()).collect();
    assert_eq!(take(&places, "192.0.2.1").err(), Some("full"), "they were told, and did not close yet");
    drop(kept);
    let state = places.state();
    assert_eq!((state.open, state.seated, state.idle.len(), state.networks.len()), (0, 0, 0, 0));
}
