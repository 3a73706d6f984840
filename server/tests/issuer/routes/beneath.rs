//! An issuer with a path (U09).

use crate::actors::{EXCHANGE, PageToken, TICKET};
use crate::http_client::Call;
use crate::person::{PASSWORD, login};
use crate::world::{PAGE, TOOL, World};

/// The same call, to a path beneath the issuer's.
fn beneath(mut call: Call) -> Call {
    call.path = format!("/auth{}", call.path);
    call
}

#[tokio::test]
async fn u09_an_issuer_with_a_path_is_served_beneath_it() {
    let world = World::beneath("/auth").await;
    let (address, issuer) = (world.address, world.issuer.url.as_str());
    assert_eq!(issuer, format!("http://{address}/auth"));
    // The metadata stands between host and path (RFC 8414 §3.1), and for clients that append it, beneath the path too.
    let at = "/.well-known/oauth-authorization-server/auth";
    let metadata = Call::new("GET", at).header("origin", "https://any.example").send_elsewhere(address).await;
    assert_eq!(metadata.header("access-control-allow-origin"), Some("*"));
    let metadata = metadata.granted();
    assert_eq!(metadata["issuer"], issuer);
    let appended = Call::new("GET", "/auth/.well-known/oauth-authorization-server").send_elsewhere(address).await;
    assert_eq!(appended.granted(), metadata);
    for member in ["token_endpoint", "jwks_uri", "bmap_tickets_endpoint"] {
        let url = metadata[member].as_str().unwrap();
        let path = url.strip_prefix(&format!("http://{address}")).unwrap();
        let method = if member == "jwks_uri" { "GET" } else { "POST" };
        let status = Call::new(method, path).send_elsewhere(address).await.status;
        assert!(path.starts_with("/auth/") && status != 404, "{url}: {status}");
    }

    // Basic, a signature over the path that was sent, and a page that exchanges and renews.
    let host = world.host().await;
    let basic = beneath(host.direct_call()).header("authorization", &host.basic());
    basic.send_elsewhere(address).await.granted();
    host.signed(beneath(host.direct_call())).send_elsewhere(address).await.granted();
    let mut other = host.signed(host.direct_call());
    other.path = "/auth/oauth/token".to_owned();
    other.send_elsewhere(address).await.assert_refused("invalid_signature");
    let ticket = beneath(host.ticket_call()).header("authorization", &host.basic()).send_elsewhere(address).await;
    let ticket = ticket.granted()["ticket"].as_str().unwrap().to_owned();
    let fields =
        [("grant_type", EXCHANGE), ("subject_token", &*ticket), ("subject_token_type", TICKET), ("audience", TOOL)];
    let exchanged = Call::form("/auth/oauth/token", &fields).header("origin", PAGE).send_elsewhere(address).await;
    assert_eq!(exchanged.header("access-control-allow-origin"), Some(PAGE));
    let page = PageToken { world: &world, answer: exchanged.granted() };
    assert_eq!(page.claims()["iss"], issuer);
    let renewal = page.signed(beneath(PageToken::renewal_form(page.token(), TOOL)));
    renewal.send_elsewhere(address).await.granted();

    // Nowhere else, and a refusal is a problem like every other.
    for path in ["/oauth/token", "/auth", "/authx/oauth/token", "/.well-known/oauth-authorization-server"] {
        Call::new("POST", path).send_elsewhere(address).await.assert_refused("not_found");
    }
    assert_eq!(Call::new("GET", "/readyz").send_elsewhere(address).await.status, 200, "for a supervisor");
}

#[tokio::test]
async fn u09_links_in_mails_and_cookies_go_beneath_the_path() {
    let world = World::beneath("/auth/eu").await;
    let register = serde_json::json!({ "email": "ana@shop.example", "password": PASSWORD });
    let mut call = Call::json("/auth/register", &register);
    call.path = "/auth/eu/auth/register".to_owned();
    assert_eq!(call.send_elsewhere(world.address).await.status, 202);
    world.worker.deliver_due().await;
    let start = format!("http://{}/auth/eu/auth/confirm?token=", world.address);
    let log = world.log();
    let token = log.split_once(&start).expect(&log).1.split_whitespace().next().unwrap();
    let page = Call::new("GET", &format!("/auth/eu/auth/confirm?token={token}")).send_elsewhere(world.address).await;
    let page = String::from_utf8(page.body).unwrap();
    // The form goes to where it stands, seen from the link.
    assert!(page.contains("action=\"confirm\""), "{page}");
    let form = [("token", token), ("password", PASSWORD)];
    assert_eq!(Call::form("/auth/eu/auth/confirm", &form).send_elsewhere(world.address).await.status, 200);
    let mut call = login("ana@shop.example", PASSWORD);
    call.path = "/auth/eu/auth/login".to_owned();
    call.send_elsewhere(world.address).await.granted();
}
