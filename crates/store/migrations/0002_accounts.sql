-- Accounts with a password, and the sessions of people who signed in. Portable types only: TEXT and BIGINT.

-- An account is there once its address is confirmed. `email` is the one canonical spelling; `password` is an Argon2id
-- PHC string whose secret is the pepper of `pepper_epoch`, which is not in the database.
CREATE TABLE accounts (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id),
    email TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    pepper_epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    signed_in_at BIGINT
);

-- What waits for the link in the mail; only the SHA-256 of its token is here. Several may wait for one address.
CREATE TABLE registrations (
    hash TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    password TEXT NOT NULL,
    pepper_epoch BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX registrations_by_email ON registrations (email);
CREATE INDEX registrations_by_end ON registrations (expires_at);

CREATE TABLE user_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX user_sessions_by_user ON user_sessions (user_id);
CREATE INDEX user_sessions_by_end ON user_sessions (expires_at);

-- Every refresh token of a session, used ones too: a used one that comes back after the grace ends the session.
-- `predecessor` is unique, so a token has one successor, whatever races. `salt` makes that successor again from the
-- token that its holder presents and the server's key; it is no secret and makes nothing alone.
CREATE TABLE refresh_tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES user_sessions (id),
    predecessor TEXT UNIQUE,
    used_at BIGINT,
    salt TEXT
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
