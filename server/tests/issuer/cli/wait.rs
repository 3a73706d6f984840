//! `--wait`, and which verifiers have a tool's changes.

use crate::operator::Operator;
use serde_json::json;

const NODE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// A verifier that was heard of just now, and has the changes up to a cursor.
async fn heard_of(operator: &Operator, tool: &str, applied: i64) {
    let now = if crate::database::is_postgres() {
        "CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)"
    } else {
        "unixepoch()"
    };
    let sql = format!(
        "INSERT INTO link_nodes (tool, node, applied, seen_at) VALUES ('{tool}', '{NODE}', {applied}, {now}) \
         ON CONFLICT (tool, node) DO UPDATE SET applied = excluded.applied, seen_at = excluded.seen_at"
    );
    operator.edit(&sql).await;
}

#[tokio::test]
async fn an_act_that_is_waited_for_says_where_it_is_not_in_force() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    operator.out(&["tool", "add", "places", "--url", "https://places.example"]);
    operator.out(&["tool", "add", "maps", "--url", "https://maps.example"]);
    operator.out(&["tool", "grant", "ana", "places"]);
    operator.out(&["tool", "grant", "ana", "maps"]);
    let said = operator.out(&["user", "deactivate", "ana", "--wait"]);
    assert!(said.ends_with("in force at verifiers with a live link: 0\n"), "{said}");
    operator.out(&["user", "activate", "ana"]);

    heard_of(&operator, "places", 0).await;
    let (code, error) = operator.fails(&["tool", "revoke-grant", "ana", "places", "--wait=1"]);
    assert!(code == 1 && error.contains("it is done, but not in force yet at 1 of 1 verifiers"), "{error}");
    assert!(error.contains(&format!("places {NODE} (silent for ")), "{error}");
    assert_eq!(operator.fails(&["tool", "revoke-grant", "ana", "places"]).0, 3, "it is done");

    let shown = operator.json(&["tool", "show", "places"]);
    assert_eq!((&shown["id"], &shown["verifiers"][0]["node"]), (&json!("places"), &json!(NODE)));
    assert_eq!(shown["verifiers"][0]["up_to_date"], false);
    assert_eq!(operator.json(&["tool", "show", "maps"])["verifiers"], json!([]));
    let text = operator.out(&["tool", "show", "places"]);
    assert!(
        text.contains("https://places.example") && text.contains(&format!("{NODE} is behind, heard of ")),
        "{text}"
    );
    assert_eq!(operator.fails(&["tool", "show", "nothing"]).0, 3);

    heard_of(&operator, "places", 1_000_000).await;
    assert_eq!(operator.json(&["tool", "show", "places"])["verifiers"][0]["up_to_date"], true);
    // What another tool's users lose is nothing that this one waits for.
    heard_of(&operator, "places", 0).await;
    operator.edit("DELETE FROM link_changes").await;
    let said = operator.out(&["tool", "revoke-grant", "ana", "maps", "--wait=1"]);
    assert!(said.ends_with("in force at verifiers with a live link: 1\n"), "{said}");
    for wrong in ["--wait=0", "--wait=11", "--wait=x"] {
        assert_eq!(operator.fails(&["user", "deactivate", "ana", wrong]).0, 2, "{wrong}");
    }
}
