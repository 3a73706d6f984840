-- Where people signed in from, and which proxies are not believed. Portable types only: TEXT and BIGINT.

-- A network that a user signed in from: strangers who try that user's password from elsewhere do not lock it out. `seal` is a MAC over user,
-- network and end under a key from the root, so the network itself is not in the row. A few for each user.
CREATE TABLE known_networks (
    user_id TEXT NOT NULL REFERENCES users (id),
    epoch BIGINT NOT NULL,
    seal TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, seal)
);
CREATE INDEX known_networks_by_end ON known_networks (expires_at);

-- Peers that sent an X-Forwarded-For which was not believed, for `bmap doctor`; the latest few.
CREATE TABLE ignored_proxies (peer TEXT NOT NULL PRIMARY KEY, seen_at BIGINT NOT NULL);
