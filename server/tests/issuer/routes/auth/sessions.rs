use crate::audit::recorded::entries;
use crate::http_client::Call;
use crate::person::Pair;
use crate::world::World;
use serde_json::Value;

fn list() -> Call {
    Call::new("GET", "/auth/sessions")
}

fn end(id: &str) -> Call {
    Call::new("DELETE", &format!("/auth/sessions/{id}"))
}

fn sid(pair: &Pair) -> String {
    pair.claims()["sid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_sees_where_they_are_signed_in_and_nobody_else_does() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await.sign_in().await;
    let began = world.now() * 1000;
    let first = ana.sign_in().await;
    world.clock.advance_seconds(100);
    let second = ana.sign_in().await;
    world.clock.advance_seconds(100);
    let first = Pair::of(&world.refresh(&first.refresh).await);
    let shown = first.send(&world, list()).await.granted();
    let sessions = shown["sessions"].as_array().unwrap();
    let fact = |session: &Value| {
        let times = ["created_at", "last_used_at", "expires_at"].map(|name| session[name].as_u64().unwrap() - began);
        (session["id"].as_str().unwrap().to_owned(), session["current"].as_bool().unwrap(), times)
    };
    let month = 30 * 86_400_000;
    let expected =
        [(sid(&second), false, [100_000, 100_000, month + 100_000]), (sid(&first), true, [0, 200_000, month])];
    assert_eq!(sessions.iter().map(fact).collect::<Vec<_>>(), expected);
    let of_ben = ben.send(&world, list()).await.granted();
    assert_eq!(of_ben["sessions"].as_array().unwrap().len(), 1);
    // Ended sessions are not shown.
    world.clock.advance_seconds(30 * 86_400 - 200);
    let third = ana.sign_in().await;
    let left = third.send(&world, list()).await.granted();
    assert_eq!(
        left["sessions"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect::<Vec<_>>(),
        [sid(&third), sid(&second)]
    );
}

#[tokio::test]
async fn one_session_is_ended_at_once_and_only_by_its_own_user() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let (here, there) = (ana.sign_in().await, ana.sign_in().await);
    let ben = world.person("ben@shop.example").await.sign_in().await;
    ben.send(&world, end(&sid(&there))).await.assert_refused("not_found");
    world.me(&there.access).await.granted();
    assert_eq!(here.send(&world, end(&sid(&there))).await.status, 204);
    world.me(&there.access).await.assert_refused("invalid_token");
    world.refresh(&there.refresh).await.assert_refused("invalid_token");
    for id in [sid(&there).as_str(), "ses_00000000000000000000000000000000", "x", "%ff"] {
        here.send(&world, end(id)).await.assert_refused("not_found");
    }
    // Its own too, which signs out.
    assert_eq!(here.send(&world, end(&sid(&here))).await.status, 204);
    world.me(&here.access).await.assert_refused("invalid_token");
}

#[tokio::test]
async fn all_others_are_ended_at_once() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let (here, there, elsewhere) = (ana.sign_in().await, ana.sign_in().await, ana.sign_in().await);
    let ben = world.person("ben@shop.example").await.sign_in().await;
    let all = Call::new("DELETE", "/auth/sessions");
    assert_eq!(here.send(&world, all.clone()).await.granted()["ended_sessions"], 2);
    for ended in [&there, &elsewhere] {
        world.me(&ended.access).await.assert_refused("invalid_token");
    }
    for living in [&here, &ben] {
        world.me(&living.access).await.granted();
    }
    assert_eq!(here.send(&world, all).await.granted()["ended_sessions"], 0);
}

#[tokio::test]
async fn a_hundred_sessions_live_and_the_one_that_was_longest_not_gone_on_with_makes_room() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await.sign_in().await;
    let in_use = ana.sign_in().await;
    let mut pairs = Vec::new();
    for _ in 0..99 {
        world.clock.advance_seconds(3);
        pairs.push(ana.sign_in().await);
    }
    // The first of all is gone on with; so the second has been left alone for longest.
    let in_use = Pair::of(&world.refresh(&in_use.refresh).await);
    for living in [&in_use, &pairs[0], &pairs[1]] {
        world.me(&living.access).await.granted();
    }
    world.clock.advance_seconds(3);
    let newest = ana.sign_in().await;
    world.me(&pairs[0].access).await.assert_refused("invalid_token");
    world.refresh(&pairs[0].refresh).await.assert_refused("invalid_token");
    for living in [&in_use, &pairs[1], &newest, &ben] {
        world.me(&living.access).await.granted();
    }
    let rows = entries(&world).await;
    let ended: Vec<_> = rows.iter().filter(|row| row.content.action == "session.revoke").collect();
    let [ended] = &ended[..] else { panic!("{ended:?}") };
    let content = &ended.content;
    assert_eq!((&*content.actor, content.actor_user.as_deref()), ("user", Some(newest.user().as_str())));
    assert_eq!((content.target_id.as_deref(), &*content.detail), (Some(&*sid(&pairs[0])), "{\"more_than\":\"100\"}"));

    // They are listed a page at a time, each once.
    let (mut listed, mut query) = (Vec::new(), "?limit=30".to_owned());
    loop {
        let page = newest.send(&world, Call::new("GET", &format!("/auth/sessions{query}"))).await.granted();
        listed.extend(page["sessions"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => query = format!("?limit=30&cursor={next}"),
            None => break,
        }
    }
    let expected = std::iter::once(&newest).chain(pairs[1..].iter().rev()).chain([&in_use]);
    assert_eq!(listed, expected.map(sid).collect::<Vec<_>>());
    let page = newest.send(&world, list()).await.granted();
    assert_eq!((page["sessions"].as_array().unwrap().len(), page["next_cursor"].as_str()), (50, Some(&*listed[49])));
    for bad in ["?limit=0", "?limit=201", "?cursor=x", "?cursor=", "?x=1", "?limit=x"] {
        let call = Call::new("GET", &format!("/auth/sessions{bad}"));
        newest.send(&world, call).await.assert_refused("malformed_request");
    }
}
