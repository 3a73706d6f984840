-- Seals of rows that open a session. Portable types only: TEXT and BIGINT.

-- `seal` is a MAC over what the row decides by, under a key from the root secret of `epoch`: a row that was put in, moved to
-- somebody else, or turned back to an earlier state by hand opens nothing. Ending a session takes its seal away. Rows that are here
-- by now have none, and nobody can say who wrote them. So the sessions that they are of end: people sign in again.
ALTER TABLE user_sessions ADD COLUMN epoch BIGINT;
ALTER TABLE user_sessions ADD COLUMN seal TEXT;
ALTER TABLE refresh_tokens ADD COLUMN epoch BIGINT;
ALTER TABLE refresh_tokens ADD COLUMN seal TEXT;
DELETE FROM refresh_tokens;
DELETE FROM user_sessions;

-- An identity without a seal signs nobody in. It stays, so that nobody becomes another user by it; linking it anew, by whoever is
-- signed in as its user, seals it.
ALTER TABLE openid_identities ADD COLUMN epoch BIGINT;
ALTER TABLE openid_identities ADD COLUMN seal TEXT;
