-- What each request looks for, found without reading the whole table. Portable types only: TEXT and BIGINT.

-- A change of a key replaces its origins.
CREATE INDEX api_key_origins_by_key ON api_key_origins (key_id);

-- The keys of a user, a page at a time.
CREATE INDEX api_keys_of_user ON api_keys (user_id, id);
DROP INDEX api_keys_by_user;

-- A change of a user looks at the admins.
CREATE INDEX users_admins ON users (role) WHERE role = 'admin';

-- Mail that nobody sent in its time is deleted.
CREATE INDEX outbox_by_end ON outbox (expires_at);
