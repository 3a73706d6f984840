//! The first start, which makes the first user and its key: both with their entries, or nothing.

use crate::operator::Operator;
use crate::stalled::{refuse_inserts, take_inserts};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

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
