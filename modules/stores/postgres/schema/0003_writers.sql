-- +goose Up
-- The same as SQLite's, but for WITHOUT ROWID.

-- The last batch of usage that each writer added, so that one that comes again is not added again.
CREATE TABLE writers (
	id   TEXT   NOT NULL PRIMARY KEY,
	last BIGINT NOT NULL, -- the batch's number
	at   BIGINT NOT NULL -- when it was added, in Unix seconds
);
