//! Two issuers and four processes of one tool, each on a machine of its own: what is used up is used up everywhere, and what is taken away is taken
//! away everywhere, while machines die and cables are pulled.

use bmap_test_kit::{netns, postgres, redis::Flavor};
use bmap_tests::caller::Caller;
use bmap_tests::clock::{self, wait_for};
use bmap_tests::fleet::Fleet;
use bmap_tests::wire::Request;
use std::time::Duration;

fn let_in() -> (u16, String) {
    (200, String::new())
}

fn revoked() -> (u16, String) {
    (403, "key_revoked".to_owned())
}

fn is_here() -> bool {
    netns::is_here() && postgres::is_installed() && (Flavor::Valkey.is_here() || Flavor::Redis.is_here())
}

#[test]
fn f24_a_request_is_let_in_at_one_of_four_nodes_and_a_revocation_is_in_force_at_all() {
    if !is_here() {
        return;
    }
    let mut fleet = Fleet::start();
    let keys: Vec<_> = (0..6).map(|number| fleet.api_key(&format!("user {number}"))).collect();
    let callers: Vec<Caller> = keys.iter().map(|key| fleet.caller(key)).collect();

    // Whatever node is first.
    for first in 0..4 {
        let (request, answer) = fleet.ask_until_decided(first, || callers[0].search());
        assert_eq!(answer, let_in());
        assert_eq!(fleet.ask_all_until_decided(|| request.clone()), vec![(401, "replayed".to_owned()); 4]);
    }
    let at_once = callers[0].search();
    let answers = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4)
            .map(|tool| {
                (
                    tool,
                    scope.spawn({
                        let (fleet, at_once) = (&fleet, &at_once);
                        move || fleet.ask(tool, at_once)
                    }),
                )
            })
            .collect();
        asked.into_iter().map(|(_, asked)| asked.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(answers.iter().filter(|answer| **answer == let_in()).count(), 1, "{answers:?}");

    // All is well.
    let said = fleet.bmap(0, &["key", "revoke", &keys[1].id, "--wait=5"]);
    assert!(said.contains("in force at verifiers with a live link: 4"), "{said}");
    assert_eq!(fleet.ask_all(|| callers[1].search()), vec![revoked(); 4]);
    assert_eq!(fleet.ask_all_until_decided(|| callers[5].search()), vec![let_in(); 4], "others go on");

    // An issuer is killed: the links of its verifiers go to the other one.
    fleet.issuers[0].kill();
    fleet.bmap(1, &["key", "revoke", &keys[2].id]);
    in_force_within(&fleet, &callers[2], Duration::from_secs(10));
    // Tokens of both issuers are taken, and the one that is left gives new ones from every machine.
    for tool in 0..4 {
        assert_eq!(fleet.ask_for_token(tool, &keys[5]).status, 200);
    }
    fleet.start_issuer(0);

    // The cable of the other one is pulled: its connections stay open, and say nothing any more.
    fleet.issuers[1].node.pull_cable();
    fleet.bmap(0, &["key", "revoke", &keys[3].id]);
    in_force_within(&fleet, &callers[3], Duration::from_secs(12));
    fleet.issuers[1].node.plug_cable();

    // F24: an issuer without its database says so, and the verifiers go to the other one.
    fleet.issuers[0].database.stop_reading();
    fleet.bmap(1, &["key", "revoke", &keys[4].id]);
    in_force_within(&fleet, &callers[4], Duration::from_secs(15));
    assert_eq!(fleet.ask_all_until_decided(|| callers[5].search()), vec![let_in(); 4], "stateless tokens go on");
    fleet.issuers[0].database.pass();
    wait_for("all links", || (fleet.linked() == 4).then_some(()));
}

/// A revocation counts at every node within a time.
fn in_force_within(fleet: &Fleet, caller: &Caller, most: Duration) {
    let until = clock::now() + most.as_secs();
    loop {
        let answers = fleet.ask_all(|| caller.search());
        if answers == vec![revoked(); 4] {
            return;
        }
        let said = || fleet.tools.iter().map(|tool| tool.process.said()).collect::<Vec<_>>().join("\n");
        assert!(clock::now() <= until, "{answers:?}\n{}", said());
    }
}

#[test]
fn f06_a_failover_of_the_shared_store_lets_no_request_in_again_at_any_node() {
    if !is_here() {
        return;
    }
    let mut fleet = Fleet::start();
    let caller = fleet.caller(&fleet.api_key("user"));
    assert_eq!(fleet.ask_all_until_decided(|| caller.search()), vec![let_in(); 4]);
    // What is accepted from here on reaches no replica.
    for store in &fleet.stores[1..] {
        store.primary.as_ref().unwrap().stop_reading();
    }
    let mut accepted: Vec<Request> = Vec::new();
    loop {
        let request = caller.search();
        if fleet.ask(accepted.len() % 4, &request) != let_in() {
            break;
        }
        accepted.push(request);
    }
    assert!(accepted.len() > 20, "a primary believes in its replicas for a while: {}", accepted.len());
    fleet.stores[0].server.kill();
    let (first, second) = (&fleet.stores[1], &fleet.stores[2]);
    first.node.within(|| first.server.tell("REPLICAOF NO ONE"));
    let primary = (first.node.address(), 6379).into();
    second.primary.as_ref().unwrap().move_to(primary);
    second.primary.as_ref().unwrap().pass();
    first.node.within(|| first.server.awaits_replicas(1));
    for tool in &fleet.tools {
        tool.store.move_to(primary);
    }
    let fresh = || caller.search();
    let mut refusals = 0;
    wait_for("the tools to take requests again", || {
        for (number, request) in accepted.iter().enumerate() {
            let (status, code) = fleet.ask(number % 4, request);
            assert!(status == 401 || status == 503, "{status} {code}: let in again");
            refusals += 1;
        }
        (fleet.ask_all(fresh) == vec![let_in(); 4]).then_some(())
    });
    assert!(refusals > 20);
    for request in &accepted {
        assert!(fleet.ask_all(|| request.clone()).iter().all(|answer| *answer != let_in()));
    }
}
