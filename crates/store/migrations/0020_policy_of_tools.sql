-- What an operator asks of a tool's requests beside pages, assurance and scopes: JSON, or nothing. The seal covers it.
ALTER TABLE tools ADD COLUMN policy TEXT NOT NULL DEFAULT '';
