-- API keys as their owners manage them. Portable types only: TEXT and BIGINT.

-- The secret that a key had before its last change, while its grace lasts. Sealed as the key's own row is, with the key's
-- owner and signing kind, and with a scope whose `expires_at` is the end of the grace at the latest: a row that was edited
-- by hand, or moved to another key, does not open.
CREATE TABLE api_key_former (
    key_id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id),
    epoch BIGINT NOT NULL,
    scope TEXT NOT NULL,
    stored_hash TEXT NOT NULL,
    sealed TEXT NOT NULL,
    replaced_at BIGINT NOT NULL
);
CREATE INDEX api_key_former_by_replacement ON api_key_former (replaced_at);

-- When and from where a key was last used: shown to its owner, not sealed, and nothing is decided by it.
CREATE TABLE api_key_uses (
    key_id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id),
    used_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    way TEXT NOT NULL
);

-- Answers to creating requests that named an Idempotency-Key, for whoever did not get theirs. They hold secrets, so they are
-- sealed under a key of their own; of the header's value and of the request only hashes are here.
CREATE TABLE idempotent_answers (
    caller TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    sealed TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (caller, key_hash)
);
CREATE INDEX idempotent_answers_by_end ON idempotent_answers (expires_at);
