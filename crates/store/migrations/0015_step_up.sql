-- Step-ups, what a password reset shows of keys, and invitations. Portable types only: TEXT and BIGINT.

-- One-use tokens of users who entered their password or signed in with a provider: SHA-256 of the token. Deleted by the act that it is shown
-- for, in the act's transaction. `seal` binds the row to the root secret.
CREATE TABLE step_ups (
    hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    epoch BIGINT,
    seal TEXT
);
CREATE INDEX step_ups_by_user ON step_ups (user_id);
CREATE INDEX step_ups_by_end ON step_ups (expires_at);

-- When and from where a key was last made or given a new secret over HTTP. Shown after a password reset; not sealed, allows nothing.
CREATE TABLE secrets_given (
    key_id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id),
    act TEXT NOT NULL,
    given_at BIGINT NOT NULL,
    address TEXT
);
-- Keys from before: when they were made is known, and where is not.
INSERT INTO secrets_given (key_id, act, given_at) SELECT id, 'made', created_at FROM api_keys WHERE revoked_at IS NULL;

-- When a link that was mailed to the account's address was last used to set its password; NULL where none was since the user was made.
ALTER TABLE accounts ADD COLUMN reset_at BIGINT;

-- What the answer to a password reset revokes keys with: SHA-256 of the token, and which keys it is for.
CREATE TABLE key_reviews (
    hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    epoch BIGINT,
    seal TEXT
);
CREATE INDEX key_reviews_by_end ON key_reviews (expires_at);

-- Links that make an account of an invited address: SHA-256 of the token.
CREATE TABLE invitations (
    hash TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    epoch BIGINT,
    seal TEXT
);
CREATE INDEX invitations_by_email ON invitations (email);
CREATE INDEX invitations_by_end ON invitations (expires_at);
