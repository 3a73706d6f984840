//! `resource` (RFC 8707): the tool by its address.

use crate::actors::{ACCESS_TOKEN, EXCHANGE, PageToken, TICKET};
use crate::http_client::{Answer, Call};
use crate::world::{OTHER_TOOL, PAGE, TOOL, World, stored};

const PLACES: &str = "https://places.example";

/// A world whose first tool has an address of its own.
async fn world() -> World {
    let world = World::start().await;
    world.change_tool(TOOL, |tool| tool.base_url = stored(PLACES)).await;
    world
}

fn assert_no_target(refused: &Answer, code: &str) {
    refused.assert_refused(code);
    assert_eq!(refused.json()["error"], "invalid_target");
}

fn direct(fields: &[(&str, &str)]) -> Call {
    Call::form("/oauth/token", &[&[("grant_type", "client_credentials")], fields].concat())
}

#[tokio::test]
async fn a_resource_takes_the_place_of_the_audience() {
    let world = world().await;
    let host = world.host().await;
    for resource in [PLACES, "https://places.example/"] {
        let answer = host.send(direct(&[("resource", resource)])).await.granted();
        assert_eq!(answer["tool"]["id"], TOOL);
        let both = host.send(direct(&[("resource", resource), ("audience", TOOL)])).await.granted();
        assert_eq!(PageToken { world: &world, answer: both }.claims()["aud"], TOOL);
    }
}

#[tokio::test]
async fn an_unknown_or_another_tools_resource_is_no_target() {
    let world = world().await;
    let host = world.host().await;
    for fields in [
        &[("resource", "https://nowhere.example")][..],
        &[("resource", "https://places.example/v1")],
        &[("resource", "https://places.example//")],
        &[("resource", "http://places.example")],
        &[("resource", "https://PLACES.example")],
        &[("resource", PLACES), ("audience", OTHER_TOOL)],
        &[("resource", "https://nowhere.example"), ("audience", TOOL)],
        &[("resource", PLACES), ("audience", "nothing")],
    ] {
        assert_no_target(&host.send(direct(fields)).await, "tool_denied");
    }
    // A caller that may not have the tool is told no more.
    let stranger = world.key_owner("eve@shop.example").await;
    let key = stranger.make().await;
    world.take_grant(&key.user, TOOL).await;
    assert_no_target(&key.send(direct(&[("resource", PLACES)])).await, "tool_denied");
}

#[tokio::test]
async fn a_malformed_resource_and_more_than_one_are_named() {
    let world = world().await;
    let host = world.host().await;
    for resource in ["places", "/v1", "https://", "https://places.example#x", "https://places.example/ x", "urn:x"] {
        let refused = host.send(direct(&[("resource", resource)])).await;
        assert_no_target(&refused, "malformed_request");
        assert_eq!(refused.json()["field"], "resource");
    }
    for second in [PLACES, "https://tools.example"] {
        let refused = host.send(direct(&[("resource", PLACES), ("resource", second)])).await;
        assert_no_target(&refused, "malformed_request");
        assert_eq!(refused.json()["hint"], "one resource: a token is for one tool");
    }
    let neither = host.send(direct(&[("resource", "")])).await;
    neither.assert_refused("malformed_request");
    assert_eq!((&neither.json()["field"], &neither.json()["error"]), (&"audience".into(), &"invalid_request".into()));
}

#[tokio::test]
async fn an_address_of_several_tools_needs_the_audience_too() {
    // Both tools have one address.
    let world = World::start().await;
    let host = world.host().await;
    let resource = ("resource", "https://tools.example");
    assert_no_target(&host.send(direct(&[resource])).await, "tool_denied");
    for tool in [TOOL, OTHER_TOOL] {
        assert_eq!(host.send(direct(&[resource, ("audience", tool)])).await.granted()["tool"]["id"], tool);
    }
    assert!(world.log().contains("several tools have the address"), "the operator is told why");
}

#[tokio::test]
async fn every_exchange_takes_a_resource() {
    let world = world().await;
    let host = world.host().await;
    let ana = world.guest("ana@shop.example").await;
    let exchange = |subject: &str, kind: &str, more: &[(&str, &str)]| {
        let fields = [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", kind)];
        Call::form("/oauth/token", &[&fields[..], more].concat()).header("origin", PAGE)
    };
    let client = ("client_id", host.id.as_str());
    let (good, unknown) = (("resource", PLACES), ("resource", "https://nowhere.example"));

    exchange(&ana.access, ACCESS_TOKEN, &[client, good]).send(world.address).await.granted();
    let refused = exchange(&ana.access, ACCESS_TOKEN, &[client, unknown]).send(world.address).await;
    assert_no_target(&refused, "tool_denied");

    let answer = exchange(&host.ticket().await, TICKET, &[good]).send(world.address).await.granted();
    let page = PageToken { world: &world, answer };
    let renewal = |more: &[(&str, &str)]| page.signed(exchange(page.token(), ACCESS_TOKEN, more));
    assert_eq!(renewal(&[good]).send(world.address).await.granted()["tool"]["id"], TOOL);
    assert_no_target(&renewal(&[unknown]).send(world.address).await, "tool_denied");
    assert_no_target(&renewal(&[good, ("audience", OTHER_TOOL)]).send(world.address).await, "tool_denied");

    // A ticket is used up by an exchange for another tool, by whichever name; a text that is no ticket learns nothing of addresses.
    let ticket = host.ticket().await;
    assert_no_target(&exchange(&ticket, TICKET, &[unknown]).send(world.address).await, "tool_denied");
    exchange(&ticket, TICKET, &[good]).send(world.address).await.assert_refused("invalid_grant");
    for resource in [good, unknown] {
        let never = format!("bmt_{}", "A".repeat(43));
        exchange(&never, TICKET, &[resource]).send(world.address).await.assert_refused("invalid_grant");
    }
}
