-- Who may have which tool. Portable types only: TEXT and BIGINT.

-- `access` is `granted` or `open`; `callers` is a part of `page direct user public`; `open_scopes` are the scopes that a user without a
-- grant may have of an open tool. A tool's seal covers all three. Tools from before took every caller that there was.
ALTER TABLE tools ADD COLUMN access TEXT NOT NULL DEFAULT 'granted';
ALTER TABLE tools ADD COLUMN callers TEXT NOT NULL DEFAULT 'page direct';
ALTER TABLE tools ADD COLUMN open_scopes TEXT NOT NULL DEFAULT '';
UPDATE tools SET callers = 'page direct user';

-- A grant: which scopes of a tool a user may have, and until when (unix milliseconds). `seal` is a MAC over the row under a key from
-- the root secret of `epoch`. Removing a tool removes its grants.
CREATE TABLE tool_grants (
    tool TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    scopes TEXT NOT NULL,
    ends_at BIGINT,
    given_by TEXT NOT NULL,
    given_at BIGINT NOT NULL,
    epoch BIGINT,
    seal TEXT,
    PRIMARY KEY (tool, user_id)
);
CREATE INDEX tool_grants_of_user ON tool_grants (user_id, tool);

-- Seals need the root secret, which is not here: the next start of the program seals the tools anew and turns the tools of the keys
-- into grants of their owners (domain/grant_upgrade.rs), and says `done`.
INSERT INTO settings (name, value) VALUES ('grants_upgrade', 'pending');
