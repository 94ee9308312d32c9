-- name: schema
-- The index: every clip as it can be found, by the position of its GenerationCompleted, and how far the log was read.
-- `words` holds no text of its own; `documents` keeps what must be shown, and what must be known to take words out again.
CREATE TABLE documents (
    position INTEGER PRIMARY KEY,
    clip BLOB NOT NULL,
    created INTEGER NOT NULL,
    facets INTEGER NOT NULL,
    name TEXT NOT NULL,
    tags TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE VIRTUAL TABLE words USING fts5 (name, tags, text, facets, content = '', tokenize = 'ascii');
INSERT INTO words (words, rank) VALUES ('hashsize', 8388608);
CREATE TABLE facets (id INTEGER PRIMARY KEY, actor TEXT NOT NULL, tokens TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE moments (
    first INTEGER PRIMARY KEY,
    documents INTEGER NOT NULL,
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL
) STRICT;
CREATE TABLE place (
    position INTEGER NOT NULL,
    event TEXT NOT NULL,
    epoch TEXT NOT NULL,
    erasing INTEGER NOT NULL
) STRICT;
INSERT INTO place VALUES (0, '', '', 0);
PRAGMA user_version = 1;

-- name: place
-- How far the log was read, the last event up to there, the journal's epoch then, and whether words wait to be wiped out.
SELECT position, event, epoch, erasing FROM place;

-- name: move
UPDATE place SET position = :position, event = :event, epoch = :epoch;

-- name: erasing
UPDATE place SET erasing = ?;

-- name: keep_facets
INSERT INTO facets (actor, tokens) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: facets
SELECT id FROM facets WHERE tokens = ?;

-- name: actors
-- Everybody whose clips are here.
SELECT DISTINCT actor FROM facets;

-- name: forget_facets
-- Nothing of this actor is left.
DELETE FROM facets WHERE actor = ?;

-- name: keep_document
INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: keep_words
INSERT INTO words (rowid, name, tags, text, facets) VALUES (?, ?, ?, ?, ?);

-- name: drop_words
-- Takes a document's words out; they must be the ones that were put in.
INSERT INTO words (words, rowid, name, tags, text, facets) VALUES ('delete', ?, ?, ?, ?, ?);

-- name: drop_document
DELETE FROM documents WHERE position = ?;

-- name: retag
UPDATE documents SET tags = ? WHERE position = ?;

-- name: stored
-- One document as it was indexed.
SELECT name, tags, text, tokens FROM documents JOIN facets ON facets.id = documents.facets WHERE position = ?;

-- name: with_facet
-- The next documents that carry a facet, up to a position.
SELECT rowid FROM words WHERE words MATCH ? AND rowid <= ? ORDER BY rowid LIMIT ?;

-- name: merge
-- One step towards a single segment, in which no deleted word is left; a negative number begins.
INSERT INTO words (words, rank) VALUES ('merge', ?);

-- name: last_moment
SELECT first, documents, earliest, latest FROM moments ORDER BY first DESC LIMIT 1;

-- name: keep_moment
INSERT INTO moments VALUES (:first, :documents, :earliest, :latest)
ON CONFLICT DO UPDATE SET documents = excluded.documents, earliest = excluded.earliest, latest = excluded.latest;

-- name: since
-- The first document made at or after a moment: all before it are older.
SELECT min(position) FROM documents
WHERE created >= :since AND position >= (SELECT min(first) FROM moments WHERE latest >= :since)
    AND position < (SELECT coalesce(min(first), 9223372036854775807) FROM moments
        WHERE first > (SELECT min(first) FROM moments WHERE latest >= :since));

-- name: mixed
-- Whether documents from a position on may be older than a moment after all, because times went back.
SELECT EXISTS (SELECT 1 FROM moments WHERE first > :from AND earliest < :since)
    OR EXISTS (SELECT 1 FROM documents WHERE position > :from AND created < :since
        AND position < (SELECT coalesce(min(first), 9223372036854775807) FROM moments WHERE first > :from));

-- name: count
-- How many match, and no more than so many.
SELECT count(*) FROM (
    SELECT rowid FROM words
    WHERE words MATCH :query AND rowid >= :from AND rowid <= :top
        AND (NOT :mixed OR (SELECT created FROM documents WHERE position = words.rowid) >= :since)
    LIMIT :most);

-- name: newest
-- The matches from a position downwards.
SELECT rowid, NULL FROM words
WHERE words MATCH :query AND rowid >= :from AND rowid <= :top
    AND (NOT :mixed OR (SELECT created FROM documents WHERE position = words.rowid) >= :since)
ORDER BY rowid DESC LIMIT :limit;

-- name: ranked
-- The matches that fit best: a word in a name weighs more than in a tag, and there more than in the text.
SELECT rowid, bm25(words, 8.0, 4.0, 1.0, 0.0) AS score FROM words
WHERE words MATCH :query AND rowid >= :from AND rowid <= :top
    AND (NOT :mixed OR (SELECT created FROM documents WHERE position = words.rowid) >= :since)
ORDER BY score, rowid DESC LIMIT :limit OFFSET :offset;

-- name: shown
-- What is shown of the documents of a page.
SELECT position, clip, created, actor, name, tags, text FROM documents JOIN facets ON facets.id = documents.facets
WHERE position IN (SELECT value FROM json_each(?));

-- name: spelled
-- All places of all words, in the order of words: skipping from one word to the next tells which there are.
CREATE VIRTUAL TABLE temp.spelled USING fts5vocab(main, words, instance);

-- name: next_word
SELECT term FROM temp.spelled WHERE term >= ? AND term < ? LIMIT 1;
