-- The audit log: who did what, in an order that a MAC chain fixes. Portable types only: TEXT and BIGINT.

-- One row for each entry, numbered from 1 without a gap. `mac` is an HMAC over every other column and the previous row's
-- `mac`, under a key of the root secret's `epoch`, so that whoever can write here but lacks the root secret can't change
-- what was written. Triggers, which each engine spells in its own way, refuse UPDATE and DELETE: `store/append_only.rs`.
-- `actor_user` and `target_user` are the users behind an API key or a session: whose entry it is.
CREATE TABLE audit_log (
    sequence BIGINT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_id TEXT,
    actor_user TEXT,
    target TEXT,
    target_id TEXT,
    target_user TEXT,
    address TEXT,
    request_id TEXT,
    detail TEXT NOT NULL,
    mac TEXT NOT NULL
);

-- One row: the last entry. Whoever appends updates it first, and so waits for whoever appends at the same time.
CREATE TABLE audit_head (
    id BIGINT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    mac TEXT NOT NULL
);
INSERT INTO audit_head (id, sequence, mac) VALUES (1, 0, 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA');

-- The chain's key of each older epoch, sealed in a newer one: what was written then can be checked when its root is gone.
CREATE TABLE audit_keys (
    epoch BIGINT NOT NULL PRIMARY KEY,
    sealed_epoch BIGINT NOT NULL,
    sealed TEXT NOT NULL
);
