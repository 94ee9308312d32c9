-- name: completed
-- The next completed attempts, the newest first: places in the log only. Asked of the clips, for through the union that `generations` is
-- DuckDB would sort all of them.
SELECT position FROM clips WHERE adopted IS NULL AND {conditions} ORDER BY position DESC LIMIT $_limit;

-- name: others
-- The next attempts that gave no new clip.
SELECT position FROM generations WHERE outcome <> 'completed' AND {conditions} ORDER BY position DESC LIMIT $_limit;

-- name: rows
-- What is shown of them.
SELECT position, time, outcome, clip::VARCHAR AS clip, actor, channel, features, engine, engine_version, model, language, voice, emotion, dropped,
    text_length, take, format, sample_rate, segments, duration_us, bytes, queue_us, load_us, synthesis_us, audio_us, encode_us, elapsed_us,
    saved_us, first_us, streamed, suspect, failure, stage, remedy, delivered_us
FROM generations WHERE position IN (SELECT unnest($positions::BIGINT[])) ORDER BY position DESC;

-- name: outcome
outcome = $outcome

-- name: actor
actor = $actor

-- name: engine
engine = $engine

-- name: channel
channel = $channel

-- name: language
(language = $language OR starts_with(language, $language || '-'))

-- name: emotion
emotion = $emotion

-- name: since
{time} >= $since

-- name: until
{time} < $until

-- name: cursor
position < $cursor
