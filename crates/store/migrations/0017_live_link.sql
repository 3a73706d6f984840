-- What verifiers are told of (profile §13): one row for each denial and each other change. The cursor is the sequence of the act's entry in the
-- audit log, which follows the order of commits: a transaction holds the log's last row until it is over.
CREATE TABLE link_changes (
    cursor BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    tool TEXT NOT NULL,
    of_kind TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (cursor, kind, id, tool)
);
CREATE INDEX link_changes_by_end ON link_changes (until);
-- The sessions of a user at tools, which end with the sessions that they hang on.
CREATE INDEX sessions_by_user ON sessions (user_id);

-- The highest cursor whose row was deleted: a verifier that is not beyond it loads the whole state.
INSERT INTO settings (name, value) VALUES ('link_forgotten_until', '0');

-- Verifiers with a live link, and what is in force at each. Times are the database's, in seconds.
CREATE TABLE link_nodes (
    tool TEXT NOT NULL,
    node TEXT NOT NULL,
    applied BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (tool, node)
);
