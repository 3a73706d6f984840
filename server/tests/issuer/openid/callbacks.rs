//! Coming back: only with the state, from the browser, to the provider and in the time that belong together.

use super::fake::{Fake, Journey, TOKEN};
use super::{assert_failed, code_in, provider, sign_in_fields, start, swap, world_with};
use crate::http_client::Call;
use crate::rows::sealed_rows::edit;
use crate::world::World;

/// A world whose provider would vouch for any user.
async fn agreeing() -> (Fake, World, Journey) {
    let (fake, world) = Fake::with_world().await;
    let journey = Journey::begin(&world).await;
    fake.give_claims(&fake.claims(&world, &journey));
    (fake, world, journey)
}

#[tokio::test]
async fn t28_nobody_is_signed_in_by_a_link_of_somebody_else() {
    let (fake, world, attackers) = agreeing().await;
    let victims = Journey::begin(&world).await;
    // The attacker's return, opened in another browser: with its own cookie, with none, with nonsense, with two.
    for call in [
        attackers.back().without("cookie").header("cookie", &victims.cookie),
        attackers.back().without("cookie"),
        attackers.back().without("cookie").header("cookie", "bmap-openid=bmn_x"),
        attackers.back().without("cookie").header("cookie", &format!("{}; {}", attackers.cookie, victims.cookie)),
        attackers.back().header("cookie", &victims.cookie),
        attackers.back().without("cookie").header("cookie", &attackers.cookie.replace("bmap-openid", "other")),
    ] {
        call.send(world.address).await.assert_refused("invalid_credentials");
    }
    assert!(fake.asked(TOKEN).is_empty(), "the provider was not even asked");
    // None of it used up the attempt of the browser that began it.
    code_in(attackers.back().send(world.address).await.header("location").unwrap());
}

#[tokio::test]
async fn a_state_is_good_once_for_ten_minutes_and_for_nobody_who_made_it_up() {
    let (fake, world, journey) = agreeing().await;
    code_in(journey.back().send(world.address).await.header("location").unwrap());
    journey.back().send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(fake.asked(TOKEN).len(), 1);
    for (state, code) in [
        ("", "invalid_credentials"),
        ("bmo_", "invalid_credentials"),
        ("' OR 1=1--", "invalid_credentials"),
        (&format!("bmo_{}", "A".repeat(43)), "invalid_credentials"),
    ] {
        journey.back_with(&[("state", state), ("code", "x")]).send(world.address).await.assert_refused(code);
    }
    for parameters in [&[("code", "x")][..], &[], &[("state", "a"), ("state", "b"), ("code", "x")]] {
        journey.back_with(parameters).send(world.address).await.assert_refused("malformed_request");
    }
    let late = Journey::begin(&world).await;
    world.clock.advance_seconds(600);
    late.back().send(world.address).await.assert_refused("invalid_credentials");
    let unknown = Call::new("GET", "/auth/openid/unknown/callback?state=x&code=x").send(world.address).await;
    unknown.assert_refused("not_found");
}

#[tokio::test]
async fn two_returns_at_once_are_one_sign_in() {
    let (fake, world, journey) = agreeing().await;
    let calls = (0..20).map(|_| {
        let (call, to) = (journey.back(), world.address);
        tokio::spawn(async move { call.send(to).await.status })
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.into_iter().filter(|answer| *answer.as_ref().unwrap() == 303).count(), 1);
    assert_eq!(fake.asked(TOKEN).len(), 1);
}

#[tokio::test]
async fn two_tabs_of_one_browser_do_not_disturb_each_other() {
    let (fake, world, first) = agreeing().await;
    let again = start("fake", &sign_in_fields()).header("cookie", &first.cookie).send(world.address).await;
    let second = Journey::of(&again);
    assert_eq!(second.cookie, first.cookie);
    code_in(first.back().send(world.address).await.header("location").unwrap());
    fake.give_claims(&fake.claims(&world, &second));
    code_in(second.back().send(world.address).await.header("location").unwrap());
}

#[tokio::test]
async fn what_a_provider_says_no_with_is_told_the_page_in_two_words() {
    let (fake, world, _) = agreeing().await;
    for (parameters, error) in [
        (&[("error", "access_denied")][..], "access_denied"),
        (&[("error", "access_denied"), ("code", "x")], "access_denied"),
        (&[("error", "server_error"), ("error_description", "<script>")], "sign_in_failed"),
        (&[("error", "")], "sign_in_failed"),
        (&[], "sign_in_failed"),
        (&[("code", &"x".repeat(2049))], "sign_in_failed"),
        (&[("code", "x"), ("iss", "https://evil.example")], "sign_in_failed"),
        (&[("error", "access_denied"), ("iss", "https://evil.example")], "sign_in_failed"),
    ] {
        let journey = Journey::begin(&world).await;
        let all = [&[("state", journey.state.as_str())], parameters].concat();
        assert_failed(&journey.back_with(&all).send(world.address).await, error);
        assert!(fake.asked(TOKEN).is_empty(), "{parameters:?}");
    }
    // A provider that names itself is believed where it is the right one, also if it did not promise to.
    let journey = Journey::begin(&world).await;
    fake.give_claims(&fake.claims(&world, &journey));
    let named = [("state", journey.state.as_str()), ("code", "x"), ("iss", &fake.issuer)];
    code_in(journey.back_with(&named).send(world.address).await.header("location").unwrap());
}

#[tokio::test]
async fn a_state_of_one_provider_is_none_at_another() {
    let (acme, other) = (Fake::start().await, Fake::start().await);
    let world = world_with(vec![provider("fake", &acme.issuer), provider("other", &other.issuer)]).await;
    let journey = Journey::begin(&world).await;
    let mut call = journey.back();
    call.path = call.path.replace("/fake/", "/other/");
    call.send(world.address).await.assert_refused("invalid_credentials");
    assert!(other.asked(TOKEN).is_empty());
}

#[tokio::test]
async fn t12_and_t13_the_database_holds_no_secret_of_a_sign_in_and_an_edited_row_is_none() {
    let (fake, world, journey) = agreeing().await;
    let back = journey.back().send(world.address).await;
    let code = code_in(back.header("location").unwrap());
    let open = Journey::begin(&world).await;
    let dump = String::from_utf8_lossy(&world.database.dump()).into_owned();
    assert!(dump.contains("openid_flows"), "the dump is the right one");
    let (_, _, form) = fake.asked(TOKEN).remove(0);
    let verifier = form.split('&').find_map(|field| field.strip_prefix("code_verifier=")).unwrap().to_owned();
    for secret in [&code[4..], &open.state[4..], &open.nonce, &open.cookie[16..], &verifier, super::VERIFIER] {
        assert!(!dump.contains(secret), "{secret}");
    }
    edit(&world, "UPDATE openid_flows SET expires_at = expires_at + 1").await;
    open.back().send(world.address).await.assert_refused("invalid_credentials");
    edit(&world, "UPDATE openid_codes SET expires_at = expires_at + 1").await;
    swap(&code, super::VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
}
