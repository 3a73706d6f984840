//! Who may have which tool (profile §7): grants, open tools, the kinds of callers, and the scopes of keys.

use crate::actors::{ACCESS_TOKEN, EXCHANGE, Host, PageToken};
use crate::http_client::{Answer, Call};
use crate::key_owner::KeyOwner;
use crate::person::Pair;
use crate::rows::sealed_rows::edit;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World};
use bmap_model::api_key::{KeyScope, ToolSet};
use bmap_model::clock::WallClock;
use bmap_model::scope::Scopes;
use bmap_model::tool::{Access, CallerKinds, Tool};
use bmap_protocol::ids::ToolId;
use bmap_protocol::seal::SigningKind;
use serde_json::{Value, json};

/// A user who registered, and was granted nothing.
async fn stranger<'w>(world: &'w World, email: &str) -> KeyOwner<'w> {
    let pair = world.person(email).await.sign_in().await;
    KeyOwner::of(world, &pair, email)
}

async fn direct(host: &Host<'_>, tool: &str, scope: Option<&str>) -> Answer {
    let mut fields = vec![("grant_type", "client_credentials"), ("audience", tool)];
    fields.extend(scope.map(|scope| ("scope", scope)));
    host.send(Call::form("/oauth/token", &fields)).await
}

async fn ticket(host: &Host<'_>, tool: &str, scope: Option<&str>) -> Answer {
    let mut form = json!({ "tool": tool, "origin": PAGE });
    if let Some(scope) = scope {
        form["scope"] = Value::from(scope);
    }
    host.send(Call::json("/tickets", &form)).await
}

/// The exchange of a signed-in user's token on a page of that key.
async fn for_user(host: &Host<'_>, user: &Pair, scope: Option<&str>) -> Answer {
    let mut fields = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", user.access.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("client_id", host.id.as_str()),
        ("audience", TOOL),
    ];
    fields.extend(scope.map(|scope| ("scope", scope)));
    Call::form("/oauth/token", &fields).header("origin", PAGE).send(host.world.address).await
}

async fn user_token<'w>(host: &Host<'w>, user: &Pair, scope: &str) -> PageToken<'w> {
    PageToken { world: host.world, answer: for_user(host, user, Some(scope)).await.granted() }
}

async fn page_token<'w>(host: &Host<'w>, scope: &str) -> PageToken<'w> {
    let ticket = ticket(host, TOOL, Some(scope)).await.granted()["ticket"].as_str().unwrap().to_owned();
    let answer = crate::actors::exchange(&ticket).send(host.world.address).await;
    PageToken { world: host.world, answer: answer.granted() }
}

fn open(tool: &mut Tool, scopes: &str) {
    tool.access = Access::Open;
    tool.open_scopes = Scopes::parse(scopes).unwrap();
}

#[tokio::test]
async fn o06_a_stranger_who_registered_gets_no_key_no_ticket_and_no_token_of_a_granted_tool() {
    let world = World::start().await;
    world.host().await;
    let mallory = stranger(&world, "mallory@shop.example").await;
    // A key for it, with its scopes, for its pages; a tool that is not there is answered alike.
    for tool in [TOOL, "nothing"] {
        for more in [json!({}), json!({ "scopes": "search" }), json!({ "origins": [PAGE] })] {
            let mut form = json!({ "name": "mine", "tools": [tool] });
            form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let refused = mallory.send("POST", "/api-keys", &form).await;
            refused.assert_refused("tool_denied");
            assert_eq!((refused.status, &refused.json()["field"]), (403, &json!("tools")), "{form}");
        }
    }
    mallory
        .send("POST", "/api-keys", &json!({ "name": "all", "tools": ["*"] }))
        .await
        .assert_refused("malformed_request");
    // A key for another tool, turned to this one.
    world.change_tool(OTHER_TOOL, |tool| open(tool, "search")).await;
    let key = mallory.make_with(json!({ "name": "mine", "tools": [OTHER_TOOL], "origins": [PAGE] })).await;
    let change = json!({ "tools": [OTHER_TOOL, TOOL] });
    mallory.send("PATCH", &format!("/api-keys/{}", key.id), &change).await.assert_refused("tool_denied");
    direct(&key, TOOL, None).await.assert_refused("tool_denied");
    // A key that is for the tool all the same, from before: asr=server, with its scopes or without; tickets for its pages.
    let former = world.host().await;
    for tool in [TOOL, OTHER_TOOL] {
        world.take_grant(&former.user, tool).await;
    }
    for scope in [None, Some("search"), Some("route search"), Some("")] {
        let refused = direct(&former, TOOL, scope).await;
        refused.assert_refused("tool_denied");
        assert_eq!(refused.status, 403);
        ticket(&former, TOOL, scope).await.assert_refused("tool_denied");
    }
    former.signed(former.direct_call()).send(world.address).await.assert_refused("tool_denied");
    // Of the open one, what it gives to all, and no more.
    assert_eq!(direct(&former, OTHER_TOOL, Some("search")).await.granted()["scope"], "search");
    direct(&former, OTHER_TOOL, Some("route")).await.assert_refused("scope_denied");
    direct(&key, OTHER_TOOL, Some("search route")).await.assert_refused("scope_denied");
    direct(&key, OTHER_TOOL, None).await.granted();
}

#[tokio::test]
async fn o16_a_signed_in_stranger_with_a_pages_public_id_and_a_forged_origin_gets_no_token() {
    let world = World::start().await;
    let host = world.host().await;
    let mallory = world.person("mallory@shop.example").await.sign_in().await;
    let allowed = || async { for_user(&host, &mallory, None).await };
    // The tool takes users, and is granted: not to this one.
    for scope in [None, Some("search"), Some("")] {
        let refused = for_user(&host, &mallory, scope).await;
        refused.assert_refused("tool_denied");
        assert_eq!(refused.status, 403);
    }
    // It is open and takes no users: the default.
    world.change_tool(TOOL, |tool| (tool.callers, _) = (CallerKinds::default(), open(tool, "search"))).await;
    allowed().await.assert_refused("tool_denied");
    // Granted to this one, and it takes no users.
    world.change_tool(TOOL, |tool| tool.access = Access::Granted).await;
    world.grant(&mallory.user(), TOOL).await;
    allowed().await.assert_refused("tool_denied");
    // It takes users, and is granted to this one; but the key's owner lost theirs.
    world.change_tool(TOOL, |tool| tool.callers = CallerKinds::parse("user").unwrap()).await;
    let token = PageToken { world: &world, answer: allowed().await.granted() };
    assert_eq!(token.claims()["asr"], "user");
    world.take_grant(&host.user, TOOL).await;
    allowed().await.assert_refused("tool_denied");
    token.renew().await.assert_refused("tool_denied");
    // It takes users, and is open.
    world.take_grant(&mallory.user(), TOOL).await;
    world.change_tool(TOOL, |tool| open(tool, "search")).await;
    assert_eq!(for_user(&host, &mallory, Some("search")).await.granted()["scope"], "search");
    for_user(&host, &mallory, Some("route")).await.assert_refused("scope_denied");
}

#[tokio::test]
async fn a_tool_takes_the_callers_that_it_names() {
    let world = World::start().await;
    let (host, ana) = (world.host().await, world.guest("ana@shop.example").await);
    let waiting = host.ticket().await;
    let (page, user) = (page_token(&host, "search").await, user_token(&host, &ana, "search").await);
    for callers in ["page direct user public", "direct", "page", "user", "public"] {
        world.change_tool(TOOL, |tool| tool.callers = CallerKinds::parse(callers).unwrap()).await;
        let takes = |kind: &str| callers.split(' ').any(|word| word == kind);
        let expect = |answer: Answer, kind: &str| match takes(kind) {
            true => drop(answer.granted()),
            false => answer.assert_refused("tool_denied"),
        };
        expect(direct(&host, TOOL, None).await, "direct");
        expect(ticket(&host, TOOL, None).await, "page");
        expect(page.renew().await, "page");
        expect(for_user(&host, &ana, None).await, "user");
        expect(user.renew().await, "user");
    }
    crate::actors::exchange(&waiting).send(world.address).await.assert_refused("tool_denied");
}

#[tokio::test]
async fn scopes_are_in_the_keys_in_the_owners_and_in_the_subjects() {
    let world = World::start().await;
    let own = |scopes: &str| KeyScope { scopes: Some(Scopes::parse(scopes).unwrap()), ..World::scope() };
    let host = world.host_with(SigningKind::HmacSha256, own("route other")).await;
    let ana = world.guest("ana@shop.example").await;
    for scope in ["search", "route search", "other", "route other"] {
        direct(&host, TOOL, Some(scope)).await.assert_refused("scope_denied");
        ticket(&host, TOOL, Some(scope)).await.assert_refused("scope_denied");
        for_user(&host, &ana, Some(scope)).await.assert_refused("scope_denied");
    }
    for answer in [direct(&host, TOOL, Some("route")).await, for_user(&host, &ana, Some("route")).await] {
        assert_eq!(answer.granted()["scope"], "route");
    }
    // What the tool requires is asked for where nothing is, and is refused like it.
    world.change_tool(TOOL, |tool| tool.required_scopes = Scopes::parse("search").unwrap()).await;
    direct(&host, TOOL, None).await.assert_refused("scope_denied");
    ticket(&host, TOOL, None).await.assert_refused("scope_denied");
    let wide = world.host().await;
    assert_eq!(direct(&wide, TOOL, None).await.granted()["scope"], "search");
    // The owner's grant; the subject's.
    world.grant_until(&wide.user, TOOL, "search", None).await;
    direct(&wide, TOOL, Some("route")).await.assert_refused("scope_denied");
    for_user(&wide, &ana, Some("route")).await.assert_refused("scope_denied");
    world.grant_until(&ana.user(), TOOL, "route", None).await;
    for_user(&wide, &ana, None).await.assert_refused("scope_denied");
    // No scope at all of its own.
    let none = world.host_with(SigningKind::HmacSha256, own("")).await;
    direct(&none, TOOL, Some("search")).await.assert_refused("scope_denied");
    direct(&none, OTHER_TOOL, None).await.granted();
    // A grant of an open tool is what its user may have; without one in force it is what is given to all.
    world.change_tool(TOOL, |tool| (tool.required_scopes, _) = (Scopes::default(), open(tool, "route"))).await;
    direct(&wide, TOOL, Some("search")).await.granted();
    direct(&wide, TOOL, Some("route")).await.assert_refused("scope_denied");
    world.grant_until(&wide.user, TOOL, "search", Some(world.clock.now())).await;
    direct(&wide, TOOL, Some("search")).await.assert_refused("scope_denied");
    direct(&wide, TOOL, Some("route")).await.granted();
}

#[tokio::test]
async fn a_grant_that_is_taken_away_ends_or_is_narrowed_counts_for_what_comes_next() {
    // Between ticket and exchange, between token and renewal; of the owner, of the subject.
    for (number, code) in ["tool_denied", "tool_denied", "scope_denied"].into_iter().enumerate() {
        let world = World::start().await;
        let (host, ana) = (world.host().await, world.guest("ana@shop.example").await);
        let ends = world.clock.now().plus_seconds(100);
        let change = async |user: &bmap_protocol::ids::UserId| match number {
            0 => world.take_grant(user, TOOL).await,
            1 => world.grant_until(user, TOOL, "search route", Some(ends)).await,
            _ => world.grant_until(user, TOOL, "route", None).await,
        };
        let user = user_token(&host, &ana, "search").await;
        change(&ana.user()).await;
        if number == 1 {
            user.renew().await.granted();
            world.clock.advance_seconds(100);
        }
        user.renew().await.assert_refused(code);
        for_user(&host, &ana, Some("search")).await.assert_refused(code);

        // The host's own token, and a ticket of its key.
        let (page, waiting) = (page_token(&host, "search").await, ticket(&host, TOOL, Some("search")).await.granted());
        page.renew().await.granted();
        change(&host.user).await;
        page.renew().await.assert_refused(code);
        let exchange = crate::actors::exchange(waiting["ticket"].as_str().unwrap());
        exchange.send(world.address).await.assert_refused(code);
        direct(&host, TOOL, Some("search")).await.assert_refused(code);
        // Given back, it counts at once; the ticket was used.
        world.grant(&host.user, TOOL).await;
        page.renew().await.granted();
        exchange_again(&world, &waiting).await.assert_refused("invalid_grant");
        direct(&host, TOOL, Some("search")).await.granted();
    }
}

async fn exchange_again(world: &World, waiting: &Value) -> Answer {
    crate::actors::exchange(waiting["ticket"].as_str().unwrap()).send(world.address).await
}

#[tokio::test]
async fn t13_a_grant_put_in_or_edited_by_hand_gives_nothing() {
    for sql in [
        "UPDATE tool_grants SET scopes = 'route search write' WHERE tool = 'places'",
        "UPDATE tool_grants SET ends_at = 99999999999999 WHERE tool = 'places'",
        "UPDATE tool_grants SET given_by = 'upgrade' WHERE tool = 'places'",
        "UPDATE tool_grants SET given_at = given_at + 1 WHERE tool = 'places'",
        "UPDATE tool_grants SET epoch = 2 WHERE tool = 'places'",
        "UPDATE tool_grants SET epoch = NULL, seal = NULL WHERE tool = 'places'",
        // That of another tool, and another user's.
        "DELETE FROM tool_grants WHERE tool = 'places'; UPDATE tool_grants SET tool = 'places' WHERE tool = 'postcards'",
        "DELETE FROM tool_grants WHERE tool = 'places' AND user_id = '{host}'; \
         UPDATE tool_grants SET user_id = '{host}' WHERE tool = 'places'",
    ] {
        let world = World::start().await;
        let host = world.host().await;
        world.host().await;
        edit(&world, &sql.replace("{host}", host.user.as_str())).await;
        direct(&host, TOOL, None).await.assert_refused("tool_denied");
        ticket(&host, TOOL, None).await.assert_refused("tool_denied");
        assert!(world.log().contains("ALARM: the row of a grant is not as it was written"), "{sql}");
    }
    // Nor does opening a tool by hand.
    let world = World::start().await;
    let host = world.host().await;
    edit(&world, "UPDATE tools SET access = 'open', open_scopes = 'search' WHERE id = 'places'").await;
    direct(&host, TOOL, None).await.assert_refused("tool_denied");
}

#[tokio::test]
async fn a_tool_that_was_removed_takes_its_grants_along() {
    use bmap_model::tool::ToolOrigins;
    let world = World::start().await;
    let host = world.host().await;
    let store = &world.issuer.store;
    assert!(store.remove_tool(&ToolId::parse(TOOL).unwrap(), &crate::world::event()).await.unwrap());
    world.add_tool(TOOL, ToolOrigins::AnyRegistered).await;
    direct(&host, TOOL, None).await.assert_refused("tool_denied");
    direct(&host, OTHER_TOOL, None).await.granted();
}

#[tokio::test]
async fn the_log_says_what_is_missing_and_the_answer_does_not() {
    let world = World::start().await;
    let (host, ana) = (world.host().await, world.guest("ana@shop.example").await);
    let narrow = KeyScope { scopes: Some(Scopes::parse("route").unwrap()), ..World::scope() };
    let narrow = world.host_with(SigningKind::HmacSha256, narrow).await;
    let own = KeyScope { tools: ToolSet::Only(vec![ToolId::parse(OTHER_TOOL).unwrap()]), ..World::scope() };
    let other = world.host_with(SigningKind::HmacSha256, own).await;
    let waiting = host.ticket().await;
    let elsewhere = crate::actors::exchange(&waiting);
    let elsewhere =
        Call { body: String::from_utf8(elsewhere.body).unwrap().replace(TOOL, OTHER_TOOL).into(), ..elsewhere };
    let mut said = Vec::new();
    let mut refused = |answer: Answer, code: &str, reason: &str| {
        answer.assert_refused(code);
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains(reason) && !text.contains("bmap "), "{text}");
        said.push(reason.to_owned());
    };
    refused(direct(&host, "nothing", None).await, "tool_denied", "there is no such tool");
    refused(direct(&other, TOOL, None).await, "tool_denied", "the API key is not for this tool");
    refused(elsewhere.send(world.address).await, "tool_denied", "the ticket or the subject token is for another tool");
    refused(
        direct(&host, TOOL, Some("write")).await,
        "scope_denied",
        "the tool does not know a scope that was asked for",
    );
    refused(
        direct(&narrow, TOOL, Some("route search")).await,
        "scope_denied",
        "the API key does not have the scope search",
    );
    world.grant_until(&host.user, TOOL, "search", None).await;
    let reason = "no grant of the key's owner, or of the signed-in user, has the scope route";
    refused(direct(&host, TOOL, Some("route")).await, "scope_denied", reason);
    world.change_tool(TOOL, |tool| tool.callers = CallerKinds::parse("page user").unwrap()).await;
    refused(direct(&host, TOOL, None).await, "tool_denied", "the tool takes no callers of the kind direct");
    world.take_grant(&ana.user(), TOOL).await;
    let reason = "the signed-in user has no grant of this tool in force";
    refused(for_user(&host, &ana, None).await, "tool_denied", reason);
    world.take_grant(&host.user, TOOL).await;
    let reason = "the API key's owner has no grant of this tool in force";
    refused(ticket(&host, TOOL, None).await, "tool_denied", reason);
    let log = world.log();
    for reason in said {
        assert!(log.contains(&reason), "{reason}");
    }
}

#[tokio::test]
async fn a_key_takes_no_scopes_that_its_user_can_never_have() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    world.grant_until(&ana.user, TOOL, "search", None).await;
    let form = |tools: &[&str], scopes: &str| json!({ "name": "mine", "tools": tools, "scopes": scopes });
    for (tools, scopes, beyond) in [
        (&[TOOL][..], "serach", "serach"),
        (&[TOOL], "route search", "route"),
        (&[TOOL, OTHER_TOOL], "route write", "write"),
    ] {
        let refused = ana.send("POST", "/api-keys", &form(tools, scopes)).await;
        refused.assert_refused("malformed_request");
        let (problem, hint) =
            (refused.json(), format!("{beyond}: the key's user may have these scopes of its tools: "));
        assert_eq!(problem["field"], "scopes");
        assert!(problem["hint"].as_str().unwrap().starts_with(&hint), "{problem}");
    }
    // Scopes of any of its tools, no scopes, and any scopes for a key without tools.
    ana.make_with(form(&[TOOL, OTHER_TOOL], "route search")).await;
    ana.make_with(form(&[TOOL], "")).await;
    ana.make_with(form(&[], "later")).await;
    let key = ana.make_with(form(&[TOOL], "search")).await;
    let path = format!("/api-keys/{}", key.id);
    for change in [json!({ "scopes": "route" }), json!({ "scopes": "search write" })] {
        ana.send("PATCH", &path, &change).await.assert_refused("malformed_request");
    }
    let turned = json!({ "tools": [OTHER_TOOL], "scopes": "route" });
    assert_eq!(ana.send("PATCH", &path, &turned).await.status, 200);
    // Its name and its end may change also after its user's grant was narrowed.
    world.grant_until(&ana.user, OTHER_TOOL, "search", None).await;
    assert_eq!(ana.send("PATCH", &path, &json!({ "name": "website" })).await.status, 200);
}

#[tokio::test]
async fn a_user_sees_the_tools_that_it_may_have() {
    let world = World::start().await;
    let ana = stranger(&world, "ana@shop.example").await;
    let own = async || ana.get("/auth/me/tools").await.granted()["tools"].clone();
    assert_eq!(own().await, json!([]));
    let end = world.clock.now().plus_seconds(60);
    world.grant_until(&ana.user, TOOL, "search", Some(end)).await;
    world.change_tool(OTHER_TOOL, |tool| open(tool, "route")).await;
    let [granted, opened] = [("granted", "search", json!(end.0)), ("open", "route", Value::Null)];
    let view = |id: &str, (access, scopes, ends_at): (&str, &str, Value)| {
        json!({ "id": id, "base_url": "https://tools.example", "scopes": scopes, "required_scopes": "", "ends_at": ends_at,
                "access": access, "callers": ["page", "direct", "user"] })
    };
    assert_eq!(own().await, json!([view(TOOL, granted), view(OTHER_TOOL, opened.clone())]));
    // What is shown is what is given.
    let key = ana.make_with(json!({ "name": "mine", "tools": [TOOL, OTHER_TOOL] })).await;
    for (tool, scope, other) in [(TOOL, "search", "route"), (OTHER_TOOL, "route", "search")] {
        direct(&key, tool, Some(scope)).await.granted();
        direct(&key, tool, Some(other)).await.assert_refused("scope_denied");
    }
    // A grant that has ended, a row that was edited by hand, another user's grant: none of these is shown.
    world.clock.advance_seconds(60);
    world.host().await;
    assert_eq!(own().await, json!([view(OTHER_TOOL, opened)]));
    edit(&world, &format!("UPDATE tools SET open_scopes = 'route search' WHERE id = '{OTHER_TOOL}'")).await;
    assert_eq!(own().await, json!([]));
}
