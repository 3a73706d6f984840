//! The first start, which makes the first user and its key: both with their entries, or nothing.

use crate::http_client::Call;
use crate::operator::Operator;
use crate::stalled::{refuse_inserts, take_inserts};
use base64ct::{Base64, Encoding};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use std::fs::OpenOptions;

async fn count(operator: &Operator, rows: &'static str) -> i64 {
    let mut connection = AnyConnection::connect(&operator.database_url()).await.unwrap();
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {rows}"));
    let count = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
    connection.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_fails_between_the_user_and_the_key_leaves_neither() {
    let operator = Operator::new();
    operator.out(&["migrate"]);
    let made = ["users", "api_keys", "audit_log WHERE action IN ('user.create', 'api_key.create')"];
    for table in ["api_keys", "audit_log"] {
        refuse_inserts(&operator.database_url(), table).await;
        let (code, error) = operator.fails(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(code, 1, "{error}");
        take_inserts(&operator.database_url(), table).await;
        for rows in made {
            assert_eq!(count(&operator, rows).await, 0, "{table} refused: {rows}");
        }
    }
    let greeting = operator.serve().greeting.clone();
    assert!(greeting.contains("First start") && greeting.contains("secret  bms_"), "{greeting}");
    for (rows, number) in made.into_iter().zip([1, 1, 2]) {
        assert_eq!(count(&operator, rows).await, number, "{rows}");
    }
    assert!(!operator.serve().greeting.contains("First start"));
}

#[tokio::test(flavor = "multi_thread")]
async fn o07_an_admin_whose_first_key_was_lost_is_given_another_one_that_administers() {
    let operator = Operator::new();
    // Printing fails, so the process ends between the two.
    let nowhere = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let died = operator.command(&["serve", "--listen", "127.0.0.1:0"]).stdout(nowhere).output().unwrap();
    assert!(!died.status.success());
    let server = operator.serve();
    assert!(!server.greeting.contains("First start"), "{}", server.greeting);
    let lost = operator.json(&["key", "list", "--user", "admin"])[0]["id"].as_str().unwrap().to_owned();

    let key = operator.json(&["key", "add", "--user", "admin", "--name", "admin"]);
    // It is worth what every admin's key is, until the operator says more of it.
    let new = key["id"].as_str().unwrap();
    assert!(!operator.out(&["key", "show", new]).contains("administer"));
    operator.out(&["key", "edit", new, "--administer", "true"]);
    assert!(operator.out(&["key", "show", new]).contains("administer"));
    operator.out(&["key", "revoke", &lost]);
    let basic = Base64::encode_string(
        format!("{}:{}", key["id"].as_str().unwrap(), key["secret"].as_str().unwrap()).as_bytes(),
    );
    let users = Call::new("GET", "/users").header("authorization", &format!("Basic {basic}"));
    let users = users.send(server.address.parse().unwrap()).await.granted();
    assert_eq!(users["users"][0]["name"], "admin");
}
