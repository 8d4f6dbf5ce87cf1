-- The same for PostgreSQL.
-- Whose the files are that providers keep, all of them in one account of theirs.

CREATE TABLE files (
	provider TEXT   NOT NULL, -- as the config names it
	id       TEXT   NOT NULL, -- the provider's
	owner    TEXT   NOT NULL, -- team:<name> or key:<id>; empty where no key is asked for
	purpose  TEXT   NOT NULL,
	created  BIGINT NOT NULL, -- Unix seconds
	expires  BIGINT NOT NULL, -- Unix seconds; 0 is never
	object   TEXT   NOT NULL, -- JSON, as the provider told it
	PRIMARY KEY (provider, id)
);

CREATE INDEX files_of_owner ON files (owner, created, id);
