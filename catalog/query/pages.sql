-- name: piece
-- The next clips of a page: where each lies, its value in the order, and its id. Narrow, so that only these columns are read.
SELECT {place} AS _place, {value} AS _value, id AS _id FROM clips WHERE {conditions} ORDER BY {order} LIMIT $_limit;

-- name: rows_by_rowid
-- What a page shows, of a few clips whose places in the table are known; nothing else is read of the wide columns.
SELECT rowid AS _place, {columns} FROM clips WHERE rowid IN (SELECT unnest($places::BIGINT[]));

-- name: rows_by_id
-- The same by id, for a past state: that is a view, whose rows have no place.
SELECT id AS _place, {columns} FROM clips WHERE id IN (SELECT unnest($places::UUID[]));

-- name: columns
-- What a Clip is made of.
id, created, actor, session, name, text, language, voice, emotion, engine, format, sample_rate, duration_us, bytes, sha256,
loudness_lufs, take, dropped, tags, bucket, key, path, state, pinned

-- name: actor
-- The clips that one actor had made.
actor = $actor

-- name: session
-- The clips of one session.
session = $session

-- name: emotion
-- The clips with this dominant emotion.
emotion = $emotion

-- name: language
-- The clips in a language; `en` includes `en-GB`.
(language = $language OR starts_with(language, $language || '-'))

-- name: tag
-- The clips with a tag.
list_contains(tags, $tag)

-- name: state
-- The clips in a state.
state = $state
