-- Whose tokens a denial of a session, a token or a key is about: many of one user's become one denial of that user's tokens, up to a second of issue.
ALTER TABLE link_changes ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE link_changes ADD COLUMN issued_until BIGINT;
CREATE INDEX link_changes_by_owner ON link_changes (owner, kind, tool, until);
