-- The sessions of a user that live, newest first, a page at a time; and those that were ended, to be deleted. Portable types only: TEXT and
-- BIGINT.
CREATE INDEX user_sessions_live ON user_sessions (user_id, id) WHERE revoked_at IS NULL;
CREATE INDEX user_sessions_by_revocation ON user_sessions (revoked_at) WHERE revoked_at IS NOT NULL;
DROP INDEX user_sessions_by_user;
