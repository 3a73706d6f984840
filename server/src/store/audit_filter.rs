//! The statement for a filter of the audit log. Its text is put together of the fixed pieces below; what a caller gave is
//! bound.

use crate::domain::audit::query::{Filter, OutcomeFilter};

/// A statement, whose `$1`, `$2` and `$3` are the bounds and the limit, and the values of those that follow.
pub(super) struct SqlFilter {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

/// What is bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

impl SqlFilter {
    pub(super) fn of(filter: &Filter) -> Self {
        let mut sql = Self {
            text: String::from(
                "SELECT sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, target_user, \
                 address, request_id, detail, mac FROM audit_log WHERE sequence < $1 AND sequence >= $2",
            ),
            values: Vec::new(),
        };
        let text = |text: &str| Value::Text(text.to_owned());
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
        if let Some(user) = &filter.of {
            sql.and("(actor_user = $ OR target_user = $)", text(user.as_str()));
        }
        sql.text.push_str(" ORDER BY sequence DESC LIMIT $3");
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

    #[test]
    fn what_a_caller_gave_is_bound() {
        let nothing = SqlFilter::of(&Filter::default());
        assert!(nothing.text.ends_with("sequence >= $2 ORDER BY sequence DESC LIMIT $3") && nothing.values.is_empty());
        let filter = Filter { actor: Some("' OR 1=1--".to_owned()), to: Some(7), ..Filter::default() };
        let sql = SqlFilter::of(&filter);
        assert!(sql.text.contains("AND (actor = $4 OR actor_id = $4 OR actor_user = $4) AND at < $5 ORDER"));
        assert_eq!(sql.values, [Value::Text("' OR 1=1--".to_owned()), Value::Number(7)]);
    }
}
