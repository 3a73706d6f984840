//! The statement for a filter of the audit log. Its text is put together of the fixed pieces below; a caller's value is
//! bound.

use bmap_model::audit::query::{Filter, OutcomeFilter};

/// A statement, whose `$1`, `$2` and `$3` are the bounds and the limit, and the values of those that follow.
pub(crate) struct SqlFilter {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

/// A bound value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

/// Of all users.
const ALL: &str = "SELECT sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, target_user, \
     address, request_id, detail, mac FROM audit_log WHERE sequence < $1 AND sequence >= $2";

/// Of one user, in two parts that have no entry in common, each found by its own index: the acts of the user, their keys and
/// their sessions …
const BY_USER: &str = "SELECT sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, target_user, \
     address, request_id, detail, mac FROM audit_log WHERE actor_user = $4 AND sequence < $1 AND sequence >= $2";

/// … and what another caller did to these.
const ON_USER: &str = "SELECT sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, target_user, \
     address, request_id, detail, mac FROM audit_log WHERE target_user = $4 \
     AND (actor_user IS NULL OR actor_user <> target_user) AND sequence < $1 AND sequence >= $2";

/// How far back so many of one user's entries go: found in the indexes alone. With each part bounded by itself, no engine sorts all of them.
pub(crate) const FLOOR_OF_USER: &str = "SELECT sequence FROM ( \
     SELECT * FROM (SELECT sequence FROM audit_log WHERE actor_user = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3) AS did \
     UNION ALL \
     SELECT * FROM (SELECT sequence FROM audit_log WHERE target_user = $1 \
     AND (actor_user IS NULL OR actor_user <> target_user) AND sequence < $2 ORDER BY sequence DESC LIMIT $3) AS met \
     ) AS own ORDER BY sequence DESC LIMIT 1 OFFSET $3 - 1";

const NEWEST_FIRST: &str = " ORDER BY sequence DESC LIMIT $3";

impl SqlFilter {
    pub(crate) fn of(filter: &Filter) -> Self {
        let mut sql = Self { text: String::new(), values: Vec::new() };
        let text = |text: &str| Value::Text(text.to_owned());
        if let Some(user) = &filter.of {
            sql.values.push(text(user.as_str()));
        }
        if let Some(actor) = &filter.actor {
            sql.and("(actor = $ OR actor_id = $ OR actor_user = $)", text(actor));
        }
        if let Some(action) = filter.action {
            sql.and("action = $", text(action.as_str()));
        }
        if let Some(target) = &filter.target {
            sql.and("(target = $ OR target_id = $ OR target_user = $)", text(target));
        }
        match filter.outcome {
            None => {}
            Some(OutcomeFilter::Done) => sql.and("outcome = $", text("done")),
            Some(OutcomeFilter::Refused) => sql.and("outcome <> $", text("done")),
            Some(OutcomeFilter::Code(code)) => sql.and("outcome = $", text(code.as_str())),
        }
        if let Some(from) = filter.from {
            sql.and("at >= $", Value::Number(from));
        }
        if let Some(to) = filter.to {
            sql.and("at < $", Value::Number(to));
        }
        let part = |of: &str| format!("{of}{}{NEWEST_FIRST}", sql.text);
        sql.text = match &filter.of {
            None => part(ALL),
            Some(_) => format!(
                "SELECT * FROM ({}) AS did UNION ALL SELECT * FROM ({}) AS met{NEWEST_FIRST}",
                part(BY_USER),
                part(ON_USER)
            ),
        };
        sql
    }

    /// Adds a condition; `$` in it is the value.
    fn and(&mut self, condition: &'static str, value: Value) {
        self.values.push(value);
        // Three come before these.
        let place = format!("${}", self.values.len().saturating_add(3));
        self.text.push_str(" AND ");
        self.text.push_str(&condition.replace('$', &place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::ids::UserId;

    #[test]
    fn what_a_caller_gave_is_bound() {
        let nothing = SqlFilter::of(&Filter::default());
        assert!(nothing.text.ends_with("sequence >= $2 ORDER BY sequence DESC LIMIT $3") && nothing.values.is_empty());
        let filter = Filter { actor: Some("' OR 1=1--".to_owned()), to: Some(7), ..Filter::default() };
        let sql = SqlFilter::of(&filter);
        assert!(sql.text.contains("AND (actor = $4 OR actor_id = $4 OR actor_user = $4) AND at < $5 ORDER"));
        assert_eq!(sql.values, [Value::Text("' OR 1=1--".to_owned()), Value::Number(7)]);
        // Of one user: the same conditions in both parts, after the user.
        let user = UserId::from_uuid([7; 16]);
        let sql = SqlFilter::of(&Filter { of: Some(user.clone()), ..filter });
        assert_eq!(
            sql.text.matches("AND (actor = $5 OR actor_id = $5 OR actor_user = $5) AND at < $6 ORDER").count(),
            2
        );
        assert_eq!(sql.values[0], Value::Text(user.as_str().to_owned()));
    }
}
