use crate::mail_server::{MailServer, is_at_hand};
use crate::person::{PASSWORD, register, reset};
use crate::world::World;
use bmap_server::mail::post_office::PER_ADDRESS_AND_HOUR;
use bmap_server::router::App;
use std::sync::Arc;

#[tokio::test]
async fn r32_an_address_is_not_flooded_by_many_reasons_processes_or_spellings() {
    let world = World::start().await;
    // Each process counts calls for itself, and all count mails together.
    for round in 0..4 {
        let app = App::new(Arc::clone(&world.issuer), Vec::new()).unwrap();
        let app = app.with_links(bmap_server::domain::account::service::LinkDelivery::Log);
        let other = world.serve(&app).await;
        for call in [register("Victim@shop.example", PASSWORD), reset("victim@SHOP.example")] {
            assert_eq!(call.send(other).await.status, 202, "{round}");
        }
    }
    assert_eq!(world.waiting().await, PER_ADDRESS_AND_HOUR);
    assert_eq!(register("other@shop.example", PASSWORD).send(world.address).await.status, 202);
    assert_eq!(world.waiting().await, PER_ADDRESS_AND_HOUR + 1);
    world.clock.advance_seconds(3600);
    register("victim@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(world.waiting().await, PER_ADDRESS_AND_HOUR + 2);
}

#[tokio::test]
async fn nobody_gets_words_of_their_own_into_a_mail() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = World::mailing(&server).await;
    for injected in [
        "ana@shop.example\r\nBcc: everybody@shop.example",
        "ana@shop.example\nSubject: buy",
        "ana@shop.example, everybody@shop.example",
        "\"ana\r\nBcc: x\"@shop.example",
        "ana@shop.example>\r\nDATA",
        "Buy now <ana@shop.example>",
    ] {
        for call in [register(injected, PASSWORD), reset(injected)] {
            call.send(world.address).await.assert_refused("malformed_request");
        }
    }
    // Every character that an address may have.
    register("a!#$%&'*+-/=?^_`{|}~b@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(world.office.deliver_due().await, 1);
    let messages = server.wait_for(1).await;
    assert_eq!(messages[0].to, ["a!#$%&'*+-/=?^_`{|}~b@shop.example"]);
    assert_eq!(messages[0].raw.to_lowercase().matches("bcc").count(), 0);
}
