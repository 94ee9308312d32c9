-- name: piece
-- The next clips of a page: id, and value in the order. Narrow, so that only these columns are read of all the clips.
SELECT id AS _id, {value} AS _value FROM clips WHERE {conditions} ORDER BY {order} LIMIT $_limit;

-- name: rows
-- What a page shows, of clips whose ids are known.
SELECT {columns} FROM clips WHERE id IN (SELECT unnest($ids::UUID[]));

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
