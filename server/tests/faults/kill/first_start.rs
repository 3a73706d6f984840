//! A first start that is cut off: the user and its key are both there, or neither.

use super::number;
use crate::chance::Chance;
use crate::postgres::{self, Cluster};
use crate::server::Installation;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn f01_killed_in_the_first_start() {
    let cluster = postgres::is_installed().then(|| Cluster::new(""));
    let mut chance = Chance(number("KILL_SEED", 20_261_122));
    let (mut without, mut with) = (0, 0);
    for round in 0..number("KILL_ROUNDS", 10).min(50) {
        let on_server = cluster.as_ref().filter(|_| round % 2 == 1).map(|cluster| {
            cluster.sql("postgres", &format!("CREATE DATABASE first_{round}"));
            cluster.url(&format!("first_{round}"))
        });
        let installation = Installation::new(on_server);
        installation.out(&["migrate"]);
        super::die_while_starting(&installation, Duration::from_millis(20 + chance.next() % 300));
        super::half_rows::none(&installation.database_url()).await;
        let mut server = installation.serve();
        server.kill();
        let keys: serde_json::Value = serde_json::from_str(&installation.out(&["key", "list", "--json"])).unwrap();
        assert_eq!(keys.as_array().unwrap_or_else(|| panic!("{keys}")).len(), 1, "{keys}");
        // Either the second start made them, and said so, or the first did.
        if server.greeting.contains("First start") {
            without += 1
        } else {
            with += 1
        }
        installation.out(&["audit", "verify"]);
    }
    println!("{without} first starts left nothing, {with} left both");
}
