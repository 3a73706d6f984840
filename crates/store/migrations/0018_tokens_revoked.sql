-- A token is denied once, however often and at how many issuers it is revoked; and it is asked for by its id.
CREATE UNIQUE INDEX link_changes_of_tokens ON link_changes (id) WHERE kind = 'token';

-- A token may be asked for by its tool's address (RFC 8707).
CREATE INDEX tools_by_base_url ON tools (base_url);
