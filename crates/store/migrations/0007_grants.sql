-- Roles, sessions of signed-in people at tools, and what bounds tickets. Portable types only: TEXT and BIGINT.

-- `role_mac` is over id, role and epoch, under a key of the root: a row that was edited by hand makes no admin.
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'member';
ALTER TABLE users ADD COLUMN role_epoch BIGINT;
ALTER TABLE users ADD COLUMN role_mac TEXT;

-- The session of the person whose access token began this one; NULL for those that a ticket began. `user_id` is whom the
-- tokens are about, and `key_id` the API key that they come from: its owner may be somebody else.
ALTER TABLE sessions ADD COLUMN user_session_id TEXT;

CREATE INDEX tickets_by_key ON tickets (key_id, expires_at);
