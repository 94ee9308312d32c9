-- name: piece
-- The next clips of a page: id, and value in the order. Narrow, so that only these columns are read of all the clips.
SELECT id AS _id, {value} AS _value FROM clips WHERE {conditions} ORDER BY {order} LIMIT $_limit;

-- name: rows
-- What a page shows, of clips whose ids are known.
SELECT {columns} FROM clips WHERE id IN (SELECT unnest($ids::UUID[]));

-- name: columns
-- What a Clip is made of.
id, created, actor, session, name, text, language, voice, coalesce(emotion, 'unknown') AS emotion, coalesce(engine, 'unknown') AS engine,
format, coalesce(sample_rate, 0) AS sample_rate, duration_us, bytes, sha256, loudness_lufs, coalesce(take, 1) AS take, dropped, tags, rating,
bucket, key, path, state, pinned, pinned_until, voice_sha256, true_peak_dbtp, silence_share, speech_rate, suspect

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

-- name: voice
-- The clips that were made with a voice: by its name, or by 8 digits or more of the SHA-256 of a recording whose voice or emotion they have.
(voice = $voice OR length($voice) >= 8 AND (starts_with(voice_sha256, $voice) OR starts_with(emotion_sha256, $voice)))

-- name: tag
-- The clips with a tag.
list_contains(tags, $tag)

-- name: state
-- The clips in a state.
state = $state
