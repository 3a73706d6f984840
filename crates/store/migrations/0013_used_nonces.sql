-- Which signed requests were accepted: a row for each key and nonce, until the request is too old by this database's clock. Portable types
-- only: TEXT and BIGINT.

-- `id` is the 16 bytes of the key and the 16 bytes of the nonce, base64url; `until` is in seconds.
CREATE TABLE used_nonces (id TEXT NOT NULL PRIMARY KEY, until BIGINT NOT NULL);
CREATE INDEX used_nonces_by_end ON used_nonces (until);

-- The latest `until` of a row that was deleted: a request that ended no later is never taken for a new one, whatever the clock says.
INSERT INTO settings (name, value) VALUES ('nonces_forgotten_until', '0');

-- Which server of PostgreSQL this is: after a change, what was signed before it is refused.
INSERT INTO settings (name, value) VALUES ('nonces_server', '');
