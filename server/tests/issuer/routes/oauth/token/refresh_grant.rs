//! `grant_type=refresh_token` at the token endpoint: what `/auth/refresh` does, in OAuth's words.

use crate::http_client::Call;
use crate::person::Pair;
use crate::world::{PAGE, World};

fn grant(token: &str) -> Call {
    Call::form("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

#[tokio::test]
async fn a_refresh_token_gives_the_next_pair_here_and_at_auth_refresh_alike() {
    let world = World::start().await;
    world.host().await;
    let first = world.person("ana@shop.example").await.sign_in().await;
    let next = Pair::of(&grant(&first.refresh).send(world.address).await);
    assert_eq!(next.claims()["sid"], first.claims()["sid"]);
    world.me(&next.access).await.granted();
    // One rotation, whichever way it is asked for (R39).
    assert_eq!(Pair::of(&world.refresh(&first.refresh).await), next);
    assert_eq!(Pair::of(&grant(&first.refresh).send(world.address).await), next);
    let page = grant(&next.refresh).header("origin", PAGE).send(world.address).await;
    assert_eq!(page.header("access-control-allow-origin"), Some(PAGE));
    world.clock.advance_seconds(10);
    let reused = grant(&first.refresh).send(world.address).await;
    reused.assert_refused("invalid_grant");
    assert_eq!(reused.json()["error"], "invalid_grant");
    world.refresh(&Pair::of(&page).refresh).await.assert_refused("invalid_token");
}

#[tokio::test]
async fn u06_other_texts_are_no_refresh_token_and_another_credential_is_not_ignored() {
    let world = World::start().await;
    let host = world.host().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    for token in ["bmr_", "' OR 1=1--", &pair.access, &pair.refresh.replace("bmr_", "bmt_")] {
        let refused = grant(token).send(world.address).await;
        refused.assert_refused("invalid_grant");
        assert_eq!(
            (refused.json()["error"].as_str(), refused.header("www-authenticate")),
            (Some("invalid_grant"), None)
        );
    }
    for call in [
        Call::form("/oauth/token", &[("grant_type", "refresh_token")]),
        grant(&pair.refresh).header("authorization", &host.basic()),
        grant(&pair.refresh).header("authorization", &format!("Bearer {}", pair.access)),
    ] {
        call.send(world.address).await.assert_refused("malformed_request");
    }
    grant(&pair.refresh).send(world.address).await.granted();
}
