use crate::http_client::Call;
use crate::world::World;

#[tokio::test]
async fn a_running_server_is_alive_and_ready() {
    let world = World::start().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = Call::new("GET", path).send(world.address).await;
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("ok")), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_stopping_server_is_alive_and_not_ready() {
    let world = World::start().await;
    world.app.stop();
    assert_eq!(Call::new("GET", "/livez").send(world.address).await.status, 200);
    assert_eq!(Call::new("GET", "/readyz").send(world.address).await.status, 503);
}

#[tokio::test]
async fn without_its_database_it_is_not_ready_and_grants_nothing() {
    let world = World::start().await;
    let host = world.host().await;
    world.issuer.store.close().await;
    assert_eq!(Call::new("GET", "/livez").send(world.address).await.status, 200);
    assert_eq!(Call::new("GET", "/readyz").send(world.address).await.status, 503);
    let answer = host.send(host.direct_call()).await;
    answer.assert_refused("issuer_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
}
