use crate::audit::recorded::entries;
use crate::http_client::{Answer, Call};
use crate::person::{Pair, login};
use crate::storage::audit::follow;
use crate::world::{World, event};
use serde_json::Value;

async fn audit(world: &World, as_whom: &Pair, query: &str) -> Answer {
    as_whom.send(world, Call::new("GET", &format!("/audit{query}"))).await
}

fn sequences(page: &Value) -> Vec<i64> {
    page["entries"].as_array().unwrap().iter().map(|entry| entry["sequence"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn pages_go_back_in_time_and_stand_still_while_entries_are_added() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    world.issuer.store.append(&vec![event(); 30]).await.unwrap();
    let newest = i64::try_from(entries(&world).await.len()).unwrap();
    let (mut seen, mut query) = (Vec::new(), "?limit=7".to_owned());
    loop {
        let page = audit(&world, &admin, &query).await.granted();
        seen.extend(sequences(&page));
        world.issuer.store.append(&[event(), event()]).await.unwrap();
        match page["next_cursor"].as_str() {
            Some(next) => query = format!("?limit=7&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=newest).rev().collect::<Vec<_>>());
    // The answer is what is stored.
    let page = audit(&world, &admin, "?action=user.sign_in&outcome=done").await.granted();
    let entry = &page["entries"][0];
    assert_eq!((&entry["actor"]["kind"], &entry["target"]["kind"]), (&"user".into(), &"session".into()));
    assert_eq!((&entry["actor"]["id"], &entry["address"]), (&admin.user().as_str().into(), &"127.0.0.1".into()));
    assert_eq!(entry["detail"], serde_json::json!({ "by": "password" }));
    assert_eq!(page["next_cursor"], Value::Null);
}

#[tokio::test]
async fn each_filter_leaves_what_it_says() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let host = world.host().await;
    world.clock.advance_seconds(100);
    host.send(host.direct_call()).await.granted();
    let elsewhere = Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", "elsewhere")]);
    host.send(elsewhere).await.assert_refused("tool_denied");
    let rows = entries(&world).await;
    let (user, key) = (host.user.as_str(), host.id.as_str());
    let time = rows.last().unwrap().content.at;
    let all = |keep: &dyn Fn(&bmap_model::audit::chain::Content) -> bool| {
        let kept = rows.iter().rev().filter(|row| keep(&row.content));
        kept.map(|row| row.sequence).collect::<Vec<i64>>()
    };
    let is = |text: &Option<String>, what: &str| text.as_deref() == Some(what);
    for (query, expected) in [
        (String::new(), all(&|_| true)),
        (format!("?actor={key}"), all(&|it| is(&it.actor_id, key))),
        (format!("?actor={user}"), all(&|it| is(&it.actor_user, user))),
        ("?actor=api_key".to_owned(), all(&|it| it.actor == "api_key")),
        ("?target=places".to_owned(), all(&|it| is(&it.target_id, "places"))),
        (format!("?target={}", admin.user()), all(&|it| is(&it.target_user, admin.user().as_str()))),
        ("?action=token.grant".to_owned(), all(&|it| it.action == "token.grant")),
        ("?outcome=refused".to_owned(), all(&|it| it.outcome != "done")),
        ("?outcome=tool_denied".to_owned(), all(&|it| it.outcome == "tool_denied")),
        (
            format!("?outcome=done&actor={key}&action=token.grant"),
            all(&|it| it.action == "token.grant" && it.outcome == "done"),
        ),
        (format!("?from={time}"), all(&|it| it.at >= time)),
        (format!("?to={time}"), all(&|it| it.at < time)),
        ("?actor=usr_00000000000000000000000000000000".to_owned(), Vec::new()),
    ] {
        let page =
            audit(&world, &admin, &format!("{query}{}limit=200", if query.is_empty() { "?" } else { "&" })).await;
        assert_eq!(sequences(&page.granted()), expected, "{query}");
        assert!(query.contains("00000") || !expected.is_empty(), "{query} could not fail");
    }
    for bad in [
        "?limit=0",
        "?limit=201",
        "?cursor=x",
        "?action=user",
        "?outcome=Done",
        "?actor=%00",
        "?actor='",
        "?target=",
        "?x=1",
        "?from=now",
    ] {
        audit(&world, &admin, bad).await.assert_refused("malformed_request");
    }
}

#[tokio::test]
async fn the_log_is_for_admins_and_ones_own_part_of_it_for_everybody() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await.sign_in().await;
    let host = world.host().await;
    host.send(host.direct_call()).await.granted();
    login("ben@shop.example", "not the password").send(world.address).await.assert_refused("invalid_credentials");
    world.issuer.audit.settle().await;
    admin.send(&world, Call::new("POST", &format!("/users/{}/activate", ben.user()))).await.granted();
    audit(&world, &ben, "").await.assert_refused("admin_required");
    host.send(Call::new("GET", "/audit")).await.assert_refused("admin_required");
    Call::new("GET", "/audit").send(world.address).await.assert_refused("missing_signature");
    host.send(Call::new("GET", "/auth/audit")).await.assert_refused("invalid_token");

    world.issuer.audit.settle().await;
    let own = ben.send(&world, Call::new("GET", "/auth/audit?limit=200")).await.granted();
    let id = ben.user();
    let expected = follow(&world.issuer.store).await;
    let is_own = |it: &Option<String>| it.as_deref() == Some(id.as_str());
    let expected =
        expected.iter().rev().filter(|row| is_own(&row.content.actor_user) || is_own(&row.content.target_user));
    assert_eq!(sequences(&own), expected.map(|row| row.sequence).collect::<Vec<_>>());
    let entry = |action: &str, outcome: &str| {
        let entries = own["entries"].as_array().unwrap();
        entries.iter().find(|it| it["action"] == action && it["outcome"] == outcome).unwrap().clone()
    };
    assert_eq!(entry("user.sign_in", "done")["address"], "127.0.0.1");
    assert_eq!(entry("user.sign_in", "invalid_credentials")["address"], "127.0.0.1");
    let by_admin = entry("user.activate", "done");
    assert_eq!(by_admin["actor"]["id"], admin.user().as_str());
    assert_eq!((&by_admin["address"], &by_admin["request_id"]), (&Value::Null, &Value::Null));
    // A filter does not widen it.
    let others = format!("/auth/audit?actor={}&action=user.sign_in", admin.user());
    assert!(sequences(&ben.send(&world, Call::new("GET", &others)).await.granted()).is_empty());
}

/// Puts so many entries into the log, as they would be after millions of others.
async fn many(world: &World, user: Option<&str>, from: u32, count: u32) {
    let (actor, user) = user.map_or(("anonymous", "NULL".to_owned()), |user| ("user", format!("'{user}'")));
    let insert = format!(
        "INSERT INTO audit_log (sequence, epoch, at, action, outcome, actor, actor_id, actor_user, detail, mac) \
         WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {}) \
         SELECT i, 1, 0, 'request', 'not_found', '{actor}', {user}, {user}, '{{}}', '' FROM n",
        from + count
    );
    world.database.edit(&insert).await;
}

#[tokio::test]
async fn ones_own_part_is_found_however_much_there_is_of_others() {
    let world = World::start().await;
    let admin = world.admin("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await.sign_in().await;
    let of_ben = async |query: &str| ben.send(&world, Call::new("GET", &format!("/auth/audit{query}"))).await.granted();
    admin.send(&world, Call::new("POST", &format!("/users/{}/activate", ben.user()))).await.granted();
    let before = sequences(&of_ben("?limit=200").await);
    assert!(before.len() > 2);
    many(&world, None, 1_000_000, 120_000).await;
    let page = of_ben("?limit=200").await;
    assert_eq!((sequences(&page), &page["next_cursor"]), (before.clone(), &Value::Null));
    let page = of_ben("?action=user.activate").await;
    assert_eq!((sequences(&page).len(), &page["next_cursor"]), (1, &Value::Null));

    // Of one's own one request looks at a part, where a filter finds little.
    many(&world, Some(ben.user().as_str()), 2_000_000, 21_000).await;
    assert_eq!(sequences(&of_ben("?limit=3").await), [2_020_999, 2_020_998, 2_020_997]);
    let page = of_ben("?action=user.activate").await;
    assert!(sequences(&page).is_empty());
    let page = of_ben(&format!("?action=user.activate&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((sequences(&page).len(), &page["next_cursor"]), (1, &Value::Null));
}

#[tokio::test]
async fn r33_no_secret_gets_into_the_log_whatever_is_sent_with_it() {
    let world = World::start().await;
    let host = world.host().await;
    let ana = world.person("ana@shop.example").await;
    let pair = ana.sign_in().await;
    let next = Pair::of(&world.refresh(&pair.refresh).await);
    let ticket = host.ticket().await;
    let page = crate::actors::exchange(&ticket).send(world.address).await.granted();
    let secret = host.secret.reveal().to_string();
    let password = "a-canary-that-was-not-typed";
    let long = "x".repeat(10_000);
    for call in [
        login("ana@shop.example", password),
        login("ana@shop.example\r\naudit: forged", password),
        login(password, password),
        login(&format!("{long}@shop.example"), password),
        login("ana@shop.example", password).header("user-agent", &long),
        login("ana@shop.example", password).header("x-request-id", &secret),
        login("ana@shop.example", password).header("x-request-id", &pair.refresh),
        Call::form("/oauth/token", &[("grant_type", &secret), ("audience", password)]),
        host.direct_call().header("authorization", &format!("Bearer {secret}")),
        Call::new("GET", &format!("/auth/me?access_token={}", pair.access))
            .header("authorization", &format!("Bearer {}x", pair.access)),
        Call::json("/auth/refresh", &serde_json::json!({ "refresh_token": format!("{}x", next.refresh) })),
    ] {
        let answer = call.send(world.address).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        // The next one is the first of its kind again, and is recorded as it is.
        world.issuer.audit.settle().await;
    }
    let log: String = entries(&world).await.iter().map(|row| format!("{row:?}\n")).collect();
    assert!(
        log.contains("invalid_credentials") && log.contains("(withheld)") && log.contains(host.id.as_str()),
        "{log}"
    );
    for canary in [
        password,
        crate::person::PASSWORD,
        "ana@shop.example",
        "forged",
        &long[..300],
        &secret[4..40],
        &ticket[4..],
        &pair.refresh[4..],
        &next.refresh[4..],
        pair.access.rsplit('.').next().unwrap(),
        page["access_token"].as_str().unwrap().rsplit('.').next().unwrap(),
        page["signing_key"].as_str().unwrap(),
    ] {
        assert!(!log.contains(canary), "{canary} is in {log}");
    }
}

#[tokio::test]
async fn the_chain_holds_under_two_hundred_at_once() {
    let world = World::start().await;
    let host = world.host().await;
    let before = entries(&world).await.len();
    let calls = (0..200).map(|number| {
        let call = match number % 2 {
            0 => host.direct_call(),
            _ => Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", "elsewhere")]),
        };
        host.send(call)
    });
    let answers = futures_util::future::join_all(calls).await;
    let granted = answers.iter().filter(|answer| answer.status == 200).count();
    let rows = follow(&world.issuer.store).await;
    let recorded =
        rows[before..].iter().filter(|row| row.content.action == "token.grant" && row.content.outcome == "done");
    assert_eq!(recorded.count(), granted);
    assert!(granted > 0);
}
