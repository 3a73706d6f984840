-- Mail that waits to be sent, and the links in it. Portable types only: TEXT and BIGINT.

-- One row is one mail. Address, reason and link's token are sealed under a key of the root secret, with the row's id as
-- associated data. `due_at` is the next try; whoever claims the row moves it on by a lease, so that a process that dies
-- leaves the row to the next one. A row is deleted when its mail is sent or given up.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    claim TEXT
);
CREATE INDEX outbox_by_due ON outbox (due_at);

-- How many mails were asked for to one address in one hour; the address only as a keyed hash.
CREATE TABLE mail_counts (
    recipient TEXT NOT NULL,
    hour BIGINT NOT NULL,
    mails BIGINT NOT NULL,
    PRIMARY KEY (recipient, hour)
);
CREATE INDEX mail_counts_by_hour ON mail_counts (hour);

-- Whoever follows a registration's link shows its password too; that many tries were made.
ALTER TABLE registrations ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;

-- Binds user, address and password hash of an account to the root secret of `pepper_epoch`: a row that was edited by hand
-- neither signs in nor gets a link. Accounts could be made on development servers only before this; theirs have none.
ALTER TABLE accounts ADD COLUMN seal TEXT NOT NULL DEFAULT '';

-- Links that set a new password; only the SHA-256 of the token is here. `seal` binds the row to the root secret: one that
-- was written by hand sets nothing.
CREATE TABLE password_resets (
    hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    epoch BIGINT NOT NULL,
    seal TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX password_resets_by_user ON password_resets (user_id);
CREATE INDEX password_resets_by_end ON password_resets (expires_at);

-- Addresses that wait for their link. A password hash belongs to its address, so the row holds the one for the new address,
-- with the seal that the account will have.
CREATE TABLE email_changes (
    hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    email TEXT NOT NULL,
    password TEXT NOT NULL,
    pepper_epoch BIGINT NOT NULL,
    seal TEXT NOT NULL,
    tries BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX email_changes_by_user ON email_changes (user_id);
CREATE INDEX email_changes_by_end ON email_changes (expires_at);
