CREATE TABLE IF NOT EXISTS actors (
    id TEXT PRIMARY KEY,
    label TEXT,
    key BLOB,
    created TEXT NOT NULL,
    destroyed TEXT
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS actors_by_label ON actors (label);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
