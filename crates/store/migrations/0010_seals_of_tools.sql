-- The seal of a tool's row. Portable types only: TEXT and BIGINT.

-- Where a tool is, which pages may use it and what it asks for decide where people's requests go. `seal` is a MAC over all of it under
-- a key from the root secret of `epoch`. Tools from before have none, and get no tokens until an operator has looked at them:
-- `bmap tool confirm ID`.
ALTER TABLE tools ADD COLUMN epoch BIGINT;
ALTER TABLE tools ADD COLUMN seal TEXT;
