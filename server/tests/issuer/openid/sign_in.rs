//! The whole flow against a real provider, as a browser goes it.

use super::browser::Browser;
use super::real::{RealProvider, cancel_there, client, sign_in_there};
use super::{
    CHALLENGE, RETURN_TO, VERIFIER, assert_failed, code_in, provider, sign_in_fields, start, swap, world_with,
};
use crate::http_client::Call;
use crate::person::{Pair, login};
use crate::world::World;
use std::time::{SystemTime, UNIX_EPOCH};

/// Two providers, and a server that knows both; its clock shows the time, as the providers' does.
pub(super) async fn two_providers() -> (World, RealProvider, RealProvider) {
    let (mut acme, mut other) = (RealProvider::start(), RealProvider::start());
    let closed = super::Provider { sign_up: false, ..provider("other", &other.issuer) };
    let world = world_with(vec![provider("acme", &acme.issuer), closed]).await;
    let own = world.issuer.url.as_str();
    acme.serve(&[client("acme", own, "RS256")]);
    other.serve(&[client("other", own, "ES256")]);
    show_the_time(&world);
    (world, acme, other)
}

#[expect(clippy::disallowed_methods, reason = "a real provider has the real time")]
pub(super) fn show_the_time(world: &World) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    world.clock.advance_seconds(i64::try_from(now).unwrap() - i64::try_from(world.now()).unwrap());
}

/// The URL that a page sends its visitor to.
pub(super) fn begin(world: &World, provider: &str, intent: &str) -> String {
    let fields = [("return_to", RETURN_TO), ("code_challenge", CHALLENGE), ("intent", intent)];
    format!("http://{}{}", world.address, start(provider, &fields).path)
}

#[tokio::test]
async fn somebody_signs_in_with_a_provider_and_comes_back_as_the_same_user() {
    let (world, acme, _other) = two_providers().await;
    let mut browser = Browser::default();
    let back = sign_in_there(&mut browser, &begin(&world, "acme", "sign_in"), "ana").await;
    let code = code_in(back.as_str());
    let pair = Pair::of(&swap(&code, VERIFIER).send(world.address).await);
    let me = world.me(&pair.access).await.granted();
    assert_eq!((me["email"].is_null(), me["id"].as_str()), (true, Some(pair.user().as_str())));
    let identity = &me["identities"][0];
    assert_eq!(
        (identity["provider"].as_str(), identity["issuer"].as_str(), identity["subject"].as_str()),
        (Some("acme"), Some(acme.issuer.as_str()), Some("ana"))
    );
    assert_eq!((identity["email"].as_str(), me["identities"].as_array().unwrap().len()), (Some("ana@mail.example"), 1));

    // The session is one like any other.
    let next = Pair::of(&world.refresh(&pair.refresh).await);
    world.me(&next.access).await.granted();
    assert_eq!(crate::person::logout(&next.refresh).send(world.address).await.status, 204);
    world.me(&next.access).await.assert_refused("invalid_token");

    // The same browser is signed in at the provider: no page is shown, and it is the same user.
    let (back, page) = browser.open(&begin(&world, "acme", "sign_in")).await;
    assert!(page.is_none());
    let again = Pair::of(&swap(&code_in(back.as_str()), VERIFIER).send(world.address).await);
    assert_eq!(again.user(), pair.user());
    // Another identity is another user.
    let back = sign_in_there(&mut Browser::default(), &begin(&world, "acme", "sign_in"), "bob?").await;
    let bob = Pair::of(&swap(&code_in(back.as_str()), VERIFIER).send(world.address).await);
    assert_ne!(bob.user(), pair.user());
    let me = world.me(&bob.access).await.granted();
    assert!(me["identities"][0]["email"].is_null(), "that address is not checked: {me}");
}

#[tokio::test]
async fn a_code_is_good_once_for_a_minute_and_for_the_page_that_began_it() {
    let (world, _acme, _other) = two_providers().await;
    let mut browser = Browser::default();
    let mut next =
        async || code_in(sign_in_there(&mut browser, &begin(&world, "acme", "sign_in"), "ana").await.as_str());
    let code = next().await;
    swap(&code, VERIFIER).send(world.address).await.granted();
    swap(&code, VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
    // A thief who reads it off a fragment has no verifier, and uses it up for every caller.
    let code = next().await;
    for verifier in [&"x".repeat(43), VERIFIER, CHALLENGE] {
        swap(&code, verifier).send(world.address).await.assert_refused("invalid_credentials");
    }
    let code = next().await;
    world.clock.advance_seconds(60);
    swap(&code, VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
    // One for linking begins no session.
    let (back, _) = browser.open(&begin(&world, "acme", "link")).await;
    swap(&code_in(back.as_str()), VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
    for code in ["", "bmi_", &"x".repeat(47)] {
        swap(code, VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
    }
}

#[tokio::test]
async fn an_address_of_somebody_here_signs_in_nobody_else() {
    let (world, _acme, _other) = two_providers().await;
    // An account with the very address that the provider vouches for.
    let ana = world.person("ana@mail.example").await.sign_in().await;
    let back = sign_in_there(&mut Browser::default(), &begin(&world, "acme", "sign_in"), "ana").await;
    let pair = Pair::of(&swap(&code_in(back.as_str()), VERIFIER).send(world.address).await);
    assert_ne!(pair.user(), ana.user());
    let me = world.me(&pair.access).await.granted();
    assert!(me["email"].is_null() && me["identities"][0]["email"].is_null(), "the address is the account's: {me}");
    assert_eq!(world.me(&ana.access).await.granted()["identities"].as_array().unwrap().len(), 0);
    // And an identity makes no account: its address is still free to register, and no password signs in with it.
    sign_in_there(&mut Browser::default(), &begin(&world, "acme", "sign_in"), "cy").await;
    login("cy@mail.example", crate::person::PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    world.person("cy@mail.example").await.sign_in().await;
}

#[tokio::test]
async fn a_provider_can_be_for_those_alone_who_are_here() {
    let (world, _acme, _other) = two_providers().await;
    let back = sign_in_there(&mut Browser::default(), &begin(&world, "other", "sign_in"), "ana").await;
    assert_eq!(back.as_str(), format!("{RETURN_TO}#error=sign_in_failed"));
}

#[tokio::test]
async fn whoever_cancels_at_the_provider_is_back_without_a_code() {
    let (world, _acme, _other) = two_providers().await;
    let back = cancel_there(&mut Browser::default(), &begin(&world, "acme", "sign_in")).await;
    assert_eq!(back.as_str(), format!("{RETURN_TO}#error=access_denied"));
}

#[tokio::test]
async fn a_user_who_is_not_active_does_not_sign_in() {
    let (world, _acme, _other) = two_providers().await;
    let mut browser = Browser::default();
    let back = sign_in_there(&mut browser, &begin(&world, "acme", "sign_in"), "ana").await;
    let pair = Pair::of(&swap(&code_in(back.as_str()), VERIFIER).send(world.address).await);
    let (back, _) = browser.open(&begin(&world, "acme", "sign_in")).await;
    world.issuer.deactivate_user(&pair.user(), &bmap_model::audit::Source::command_line()).await.unwrap();
    swap(&code_in(back.as_str()), VERIFIER).send(world.address).await.assert_refused("user_inactive");
    let (back, _) = browser.open(&begin(&world, "acme", "sign_in")).await;
    assert_eq!(back.as_str(), format!("{RETURN_TO}#error=sign_in_failed"));
    world.refresh(&pair.refresh).await.assert_refused("user_inactive");
}

#[tokio::test]
async fn the_answer_of_one_provider_is_none_of_another() {
    let (world, _acme, other) = two_providers().await;
    // A browser goes to one provider, and its answer is brought to the callback of the other: the mix-up attack.
    let to_other = start("other", &sign_in_fields()).send(world.address).await;
    let cookie = to_other.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let state_of_other = super::fake::parameter(to_other.header("location").unwrap(), "state");
    let to_acme = start("acme", &sign_in_fields()).header("cookie", &cookie).send(world.address).await;
    let state_of_acme = super::fake::parameter(to_acme.header("location").unwrap(), "state");
    let call = async |path: String| Call::new("GET", &path).header("cookie", &cookie).send(world.address).await;
    let mixed = call(format!("/auth/openid/acme/callback?code=x&state={state_of_other}")).await;
    mixed.assert_refused("invalid_credentials");
    // With the right state the provider's own name gives it away (RFC 9207), and so does its absence.
    let mixed = call(format!(
        "/auth/openid/acme/callback?code=x&state={state_of_acme}&iss={}",
        url::form_urlencoded::byte_serialize(other.issuer.as_bytes()).collect::<String>()
    ));
    assert_failed(&mixed.await, "sign_in_failed");
    let without = call(format!("/auth/openid/other/callback?code=x&state={state_of_other}")).await;
    assert_failed(&without, "sign_in_failed");
    let log = crate::log::text();
    assert!(log.matches("`iss` is not the provider that the browser was sent to").count() >= 2);
}
