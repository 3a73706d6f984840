use crate::http_client::Call;
use crate::operator::Operator;
use crate::person::{PASSWORD, Pair, confirm, login, refresh, register};
use crate::world::World;
use crate::world::event;
use bmap_model::clock::UnixTime;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

#[tokio::test]
async fn each_refresh_gives_the_next_pair_of_the_same_session() {
    let world = World::start().await;
    let first = world.person("ana@shop.example").await.sign_in().await;
    let mut pair = first.clone();
    for _ in 0..3 {
        world.clock.advance_seconds(500);
        let next = Pair::of(&world.refresh(&pair.refresh).await);
        assert!(next.refresh != pair.refresh && next.access != pair.access);
        assert_eq!(next.claims()["sid"], first.claims()["sid"]);
        assert_eq!(next.claims()["iat"].as_u64(), Some(world.now()));
        assert_ne!(next.claims()["jti"], pair.claims()["jti"]);
        world.me(&next.access).await.granted();
        pair = next;
    }
}

#[tokio::test]
async fn r39_inside_the_grace_a_used_token_gives_the_same_pair() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let next = Pair::of(&world.refresh(&pair.refresh).await);
    world.clock.advance_seconds(9);
    let again = world.refresh(&pair.refresh).await;
    assert_eq!(Pair::of(&again), next);
    assert_eq!(again.json()["expires_in"], 591, "what is left of it");
    // Also where the successor was used already: the other tab is one step behind, and not a thief.
    let after = Pair::of(&world.refresh(&next.refresh).await);
    assert_eq!(Pair::of(&world.refresh(&pair.refresh).await), next);
    assert_eq!(Pair::of(&world.refresh(&next.refresh).await), after);
}

#[tokio::test]
async fn r39_after_the_grace_a_used_token_ends_the_session() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let (pair, other) = (ana.sign_in().await, ana.sign_in().await);
    let next = Pair::of(&world.refresh(&pair.refresh).await);
    world.clock.advance_seconds(10);
    world.refresh(&pair.refresh).await.assert_refused("invalid_token");
    // Everything of that family, at once; and of no other.
    world.refresh(&next.refresh).await.assert_refused("invalid_token");
    world.me(&next.access).await.assert_refused("invalid_token");
    world.me(&other.access).await.granted();
    world.refresh(&other.refresh).await.granted();
}

#[tokio::test(flavor = "multi_thread")]
async fn r39_the_grace_is_the_configured_one() {
    for (grace, is_within) in [("0", false), ("60", true)] {
        let operator = Operator::new();
        let server = operator.serve_with(&[("BMAP_DEVELOPMENT", "true"), ("BMAP_REFRESH_GRACE_SECONDS", grace)]);
        let issuer: SocketAddr = server.address.parse().unwrap();
        register("ana@shop.example", PASSWORD).send(issuer).await.granted();
        let start = format!("http://{issuer}/auth/confirm?token=");
        let mut token = None;
        for _ in 0..300 {
            let log = std::fs::read_to_string(operator.path("log")).unwrap();
            token = log.split_once(&start).and_then(|(_, rest)| Some(rest.split_whitespace().next()?.to_owned()));
            if token.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        confirm(&token.unwrap(), PASSWORD).send(issuer).await.granted();
        let pair = Pair::of(&login("ana@shop.example", PASSWORD).send(issuer).await);
        let next = Pair::of(&refresh(&pair.refresh).send(issuer).await);
        // By the clock of the process, two seconds later at least.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let again = refresh(&pair.refresh).send(issuer).await;
        if is_within {
            assert_eq!(Pair::of(&again), next);
            refresh(&next.refresh).send(issuer).await.granted();
        } else {
            again.assert_refused("invalid_token");
            refresh(&next.refresh).send(issuer).await.assert_refused("invalid_token");
        }
    }
    let operator = Operator::new();
    for bad in ["61", "-1", "x"] {
        let mut serve = operator.command(&["serve", "--listen", "127.0.0.1:0"]);
        let refused = serve.env("BMAP_REFRESH_GRACE_SECONDS", bad).output().unwrap();
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && error.contains("refresh_grace_seconds"), "{bad}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r38_fifty_at_once_get_one_pair() {
    let world = World::start().await;
    let mut pair = world.person("ana@shop.example").await.sign_in().await;
    for _ in 0..3 {
        let call = refresh(&pair.refresh);
        let answers = futures_util::future::join_all((0..50).map(|_| call.send(world.address))).await;
        let pairs: Vec<Pair> = answers.iter().map(Pair::of).collect();
        assert!(pairs.iter().all(|other| *other == pairs[0]));
        assert_ne!(pairs[0].refresh, pair.refresh);
        pair = pairs[0].clone();
    }
}

#[tokio::test]
async fn a_deactivated_user_goes_on_with_nothing_also_when_activated_again() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let pair = ana.sign_in().await;
    let store = &world.issuer.store;
    store.set_deactivated(&pair.user(), Some(UnixTime(1)), &event()).await.unwrap();
    world.refresh(&pair.refresh).await.assert_refused("user_inactive");
    world.me(&pair.access).await.assert_refused("user_inactive");
    store.set_deactivated(&pair.user(), None, &event()).await.unwrap();
    world.refresh(&pair.refresh).await.assert_refused("invalid_token");
    world.me(&pair.access).await.assert_refused("invalid_token");
    world.me(&ana.sign_in().await.access).await.granted();
}

#[tokio::test]
async fn a_session_ends_after_thirty_days_however_often_it_is_refreshed() {
    let world = World::start().await;
    let mut pair = world.person("ana@shop.example").await.sign_in().await;
    for _ in 0..29 {
        world.clock.advance_seconds(86_400);
        pair = Pair::of(&world.refresh(&pair.refresh).await);
    }
    world.clock.advance_seconds(86_400);
    world.refresh(&pair.refresh).await.assert_refused("invalid_token");
}

#[tokio::test]
async fn other_forms_are_malformed_and_other_tokens_unknown() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let changed = format!("{}A", &pair.refresh[..46]);
    let as_confirmation = pair.refresh.replace("bmr_", "bmc_");
    for token in ["", "bmr_", "' OR 1=1--", &pair.access, &as_confirmation, &changed, &"x".repeat(60_000)] {
        if token != pair.refresh {
            world.refresh(token).await.assert_refused("invalid_token");
        }
    }
    for body in [json!({}), json!({ "refresh_token": 1 }), json!({ "refresh_token": pair.refresh, "x": 1 })] {
        Call::json("/auth/refresh", &body).send(world.address).await.assert_refused("malformed_request");
    }
    world.refresh(&pair.refresh).await.granted();
}
