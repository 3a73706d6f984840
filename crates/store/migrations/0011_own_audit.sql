-- One's own entries of the audit log, newest first, without reading everybody else's. Portable types only: TEXT and BIGINT.

-- Two indexes that have no entry in common, so that most entries are in one at most and what is found by both is never found twice. A
-- token's entry has no user as its target, so it is in the first alone. `store/audit_filter.rs` asks in the same words.
CREATE INDEX audit_by_actor ON audit_log (actor_user, sequence) WHERE actor_user IS NOT NULL;
CREATE INDEX audit_by_target ON audit_log (target_user, sequence)
    WHERE target_user IS NOT NULL AND (actor_user IS NULL OR actor_user <> target_user);
