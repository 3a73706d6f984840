-- One text for SQLite and PostgreSQL: TEXT, BIGINT and nothing else. Ids are text, times are unix milliseconds.

-- Facts about this installation: the issuer's URL that tools were given.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    deactivated_at BIGINT
);

-- `sealed` holds K_api, or the Ed25519 public key, sealed under K_kek with the row as associated data:
-- a row that was edited by hand does not open.
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    signing TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    scope TEXT NOT NULL,
    stored_hash TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX api_keys_by_user ON api_keys (user_id);

-- Which origins some key registered, for the CORS answer alone; what a key may do stands in its sealed scope.
CREATE TABLE api_key_origins (
    origin TEXT NOT NULL,
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    expires_at BIGINT,
    PRIMARY KEY (origin, key_id)
);

CREATE TABLE tools (
    id TEXT NOT NULL PRIMARY KEY,
    base_url TEXT NOT NULL,
    origins TEXT NOT NULL,
    min_assurance TEXT NOT NULL,
    scopes TEXT NOT NULL,
    required_scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- A ticket is deleted by the exchange that uses it. Only its SHA-256 is here.
CREATE TABLE tickets (
    hash TEXT NOT NULL PRIMARY KEY,
    tool TEXT NOT NULL,
    origin TEXT NOT NULL,
    embed_origin TEXT,
    end_user TEXT,
    scope TEXT NOT NULL,
    key_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_by_end ON tickets (expires_at);

-- The life of a page's tokens, from the ticket over every renewal.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- The issuer's Ed25519 keys; the seed is sealed under K_kek.
CREATE TABLE issuer_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    public_key TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);
