//! Who may begin an account: everyone, invited addresses, no one.

use crate::http_client::{Answer, Call};
use crate::person::{PASSWORD, Pair, confirm, login, register};
use crate::routes::auth::confirm::assert_page;
use crate::rows::sealed_rows::edit;
use crate::world::World;
use bmap_issuer::account::registration_mode::RegistrationMode;
use bmap_issuer::account::service::LinkDelivery;
use bmap_server::http::app::App;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

const PAGE: &str = "/auth/invitation";

fn invite(email: &str) -> Call {
    Call::json("/invitations", &json!({ "email": email }))
}

fn accept(token: &str, password: &str) -> Call {
    Call::json(PAGE, &json!({ "token": token, "password": password }))
}

impl World {
    /// Another server on the same database, with that setting.
    async fn registering(&self, mode: RegistrationMode) -> SocketAddr {
        let app = App::new(Arc::clone(&self.issuer), Vec::new()).unwrap().with_accounts(LinkDelivery::Log, mode);
        self.serve(&app).await
    }
}

async fn invited(world: &World, admin: &Pair, email: &str, to: SocketAddr) -> Answer {
    let call = invite(email).header("authorization", &format!("Bearer {}", admin.access));
    call.header(crate::person::STEP_UP, &world.step_up(&admin.access).await).send(to).await
}

#[tokio::test]
async fn an_invited_address_has_an_account_by_its_link_and_no_other_has() {
    let world = World::start().await;
    let admin = world.admin("root@shop.example").await;
    let to = world.registering(RegistrationMode::Invited).await;
    let refused = register("ana@shop.example", PASSWORD).send(to).await;
    refused.assert_refused("registration_closed");
    assert!(refused.json()["hint"].as_str().unwrap().contains("invitation"));
    let sent = invited(&world, &admin, "Ana@shop.example", to).await;
    assert_eq!((sent.status, sent.json()["status"].as_str()), (202, Some("invitation_sent")));
    let token = world.links_to(PAGE, "ana@shop.example").await.pop().unwrap();
    let page = assert_page(&Call::new("GET", &format!("{PAGE}?token={token}")).send(to).await, 200);
    assert!(page.contains("autocomplete=\"new-password\"") && page.contains("action=\"invitation\""), "{page}");
    accept(&token, "password1").send(to).await.assert_refused("malformed_request");
    let form = Call::form(PAGE, &[("token", &token), ("password", PASSWORD)]);
    assert!(assert_page(&form.send(to).await, 200).contains("The account is yours"));
    login("ana@shop.example", PASSWORD).send(to).await.granted();
    accept(&token, PASSWORD).send(to).await.assert_refused("invalid_credentials");
    for bad in [format!("bmg_{}", "A".repeat(43)), "bmc_x".to_owned()] {
        accept(&bad, PASSWORD).send(to).await.assert_refused("invalid_credentials");
    }
    // The admin had word of it.
    world.worker.deliver_due().await;
    assert!(world.log().contains("development: An address was invited email=root@shop.example"));
}

#[tokio::test]
async fn r31_an_address_that_has_an_account_is_invited_alike_and_sent_no_link() {
    let world = World::start().await;
    let admin = world.admin("root@shop.example").await;
    world.person("ana@shop.example").await;
    let known = invited(&world, &admin, "ana@shop.example", world.address).await;
    let unknown = invited(&world, &admin, "ben@shop.example", world.address).await;
    assert_eq!((known.status, &known.body), (202, &unknown.body));
    assert!(world.links_to(PAGE, "ana@shop.example").await.is_empty());
    assert_eq!(world.links_to(PAGE, "ben@shop.example").await.len(), 1);
    // Where registration is closed, an address with an account is refused like one without.
    let to = world.registering(RegistrationMode::Closed).await;
    let answers = ["ana@shop.example", "cem@shop.example"].map(|email| register(email, PASSWORD));
    for call in &answers {
        call.send(to).await.assert_refused("registration_closed");
    }
}

#[tokio::test]
async fn who_is_no_admin_or_shows_no_step_up_invites_nobody() {
    let world = World::start().await;
    let (admin, member) =
        (world.admin("root@shop.example").await, world.person("ben@shop.example").await.sign_in().await);
    member.send_stepped_up(&world, invite("ana@shop.example")).await.assert_refused("admin_required");
    admin.send(&world, invite("ana@shop.example")).await.assert_refused("step_up_required");
    let host = world.host().await;
    host.send(invite("ana@shop.example")).await.assert_refused("admin_required");
    admin.send_stepped_up(&world, invite("no-address")).await.assert_refused("malformed_request");
    assert!(world.links_to(PAGE, "ana@shop.example").await.is_empty());
}

#[tokio::test]
async fn where_registration_is_closed_nothing_begins_an_account() {
    let world = World::start().await;
    let admin = world.admin("root@shop.example").await;
    // A registration and an invitation from before it was closed.
    register("ana@shop.example", PASSWORD).send(world.address).await.granted();
    let registered = world.links("ana@shop.example").await.pop().unwrap();
    invited(&world, &admin, "ben@shop.example", world.address).await.granted();
    let token = world.links_to(PAGE, "ben@shop.example").await.pop().unwrap();
    let to = world.registering(RegistrationMode::Closed).await;
    confirm(&registered, PASSWORD).send(to).await.assert_refused("registration_closed");
    accept(&token, PASSWORD).send(to).await.assert_refused("registration_closed");
    invited(&world, &admin, "cem@shop.example", to).await.assert_refused("registration_closed");
    let form = Call::form("/auth/confirm", &[("token", &registered), ("password", PASSWORD)]);
    assert!(assert_page(&form.send(to).await, 403).contains("takes no registrations"));
    // A user with an account signs in.
    login("root@shop.example", PASSWORD).send(to).await.granted();
    // And when it is open again, both links work.
    confirm(&registered, PASSWORD).send(world.address).await.granted();
    accept(&token, PASSWORD).send(world.address).await.granted();
}

#[tokio::test]
async fn an_invitation_ends_after_seven_days_and_t13_an_edited_one_makes_nothing() {
    let world = World::start().await;
    let admin = world.admin("root@shop.example").await;
    invited(&world, &admin, "ana@shop.example", world.address).await.granted();
    let token = world.links_to(PAGE, "ana@shop.example").await.pop().unwrap();
    for sql in [
        "UPDATE invitations SET email = 'eve@shop.example'",
        "UPDATE invitations SET email = 'ana@shop.example', expires_at = expires_at + 1",
    ] {
        edit(&world, sql).await;
        accept(&token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    }
    edit(&world, "UPDATE invitations SET expires_at = expires_at - 1").await;
    world.clock.advance_seconds(7 * 86_400);
    accept(&token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
}
