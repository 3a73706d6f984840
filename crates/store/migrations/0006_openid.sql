-- Sign-in with OpenID providers. Portable types only: TEXT and BIGINT.

-- Who somebody is at a provider, and here. `email` is what the provider says it has checked: shown, and never looked for.
CREATE TABLE openid_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    email TEXT,
    created_at BIGINT NOT NULL,
    signed_in_at BIGINT,
    PRIMARY KEY (issuer, subject),
    UNIQUE (user_id, issuer)
);

-- Sign-ins whose browser is at the provider. `state` and `browser` are SHA-256 of what the browser holds; `sealed` has the
-- nonce, the PKCE verifier and where to go on, under a key from the root with the rest of the row as associated data. Deleted by the
-- return that uses it.
CREATE TABLE openid_flows (
    state TEXT NOT NULL PRIMARY KEY,
    browser TEXT NOT NULL,
    provider TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    sealed TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX openid_flows_by_end ON openid_flows (expires_at);

-- What a page swaps for a session, for a minute and once: the SHA-256 of its code, and sealed in the same way who it is.
CREATE TABLE openid_codes (
    code TEXT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    sealed TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX openid_codes_by_end ON openid_codes (expires_at);
