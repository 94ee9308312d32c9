-- name: relation
-- Attempts to make a clip. A completed one is told by its clip alone; the others stand here.
CREATE TABLE folded.attempts (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    outcome VARCHAR NOT NULL,
    clip UUID NOT NULL,
    actor VARCHAR,
    actor_id VARCHAR NOT NULL,
    channel VARCHAR,
    features VARCHAR[] NOT NULL,
    engine VARCHAR,
    language VARCHAR,
    emotion VARCHAR,
    text_length INTEGER,
    duration_us BIGINT,
    elapsed_us BIGINT,
    saved_us BIGINT,
    failure VARCHAR,
    stage VARCHAR,
    remedy VARCHAR,
    delivered_us BIGINT
);
CREATE MACRO generations_at(p) AS TABLE
SELECT *, duration_us / 1e6 AS duration_s, synthesis_us / nullif(duration_us, 0) AS real_time_factor FROM (
    SELECT position, created AS time, 'completed' AS outcome, id AS clip, actor, actor_id, channel, features, engine, engine_version,
        model, model_revision, device, determinism, language, voice, voice_sha256, emotion_mode, emotion, emotion_asked, emotion_effective,
        emotion_strength, dropped, text_length, take, seed, sampling, format, sample_rate, segments, duration_us, bytes, queue_us, load_us,
        synthesis_us, audio_us, encode_us, queue_us + coalesce(load_us, 0) + synthesis_us + audio_us + encode_us AS elapsed_us, NULL::BIGINT AS saved_us,
        first_us, streamed, segments_cached, suspect,
        NULL::VARCHAR AS failure, NULL::VARCHAR AS stage, NULL::VARCHAR AS remedy, NULL::BIGINT AS delivered_us
    FROM folded.clips WHERE position <= p AND adopted IS NULL
    UNION ALL BY NAME
    SELECT * FROM folded.attempts WHERE position <= p);
CREATE VIEW generations AS FROM generations_at(9223372036854775807);

-- name: fold
INSERT INTO catalog.folded.attempts BY NAME
SELECT position, time, outcome, clip, personal ->> 'actor_label' AS actor, actor_id, coalesce(said.features, []) AS features,
    said.* EXCLUDE (features)
FROM (
    SELECT position, time, subject::UUID AS clip, personal, actor AS actor_id,
        CASE type WHEN 'GenerationFailed' THEN 'failed' WHEN 'GenerationCancelled' THEN 'cancelled' ELSE 'reused' END AS outcome,
        json_transform(data, '{"channel":"VARCHAR","features":["VARCHAR"],"engine":"VARCHAR","language":"VARCHAR",
            "emotion":"VARCHAR","text_length":"INTEGER","duration_us":"BIGINT","elapsed_us":"BIGINT","saved_us":"BIGINT",
            "failure":"VARCHAR","stage":"VARCHAR","remedy":"VARCHAR","delivered_us":"BIGINT"}') AS said
    FROM folding WHERE type IN ('GenerationFailed', 'GenerationCancelled', 'GenerationReused'))
ORDER BY position;

-- name: comments
COMMENT ON VIEW generations IS 'One row an attempt to make a clip: the usage facts.';
COMMENT ON COLUMN generations.position IS 'Place of the event in the log.';
COMMENT ON COLUMN generations.time IS 'When the attempt ended.';
COMMENT ON COLUMN generations.outcome IS 'completed, failed, cancelled or reused.';
COMMENT ON COLUMN generations.clip IS 'Clip that was made or reused, or would have been made.';
COMMENT ON COLUMN generations.actor IS 'Who asked; NULL once erased.';
COMMENT ON COLUMN generations.actor_id IS 'Opaque id of who asked.';
COMMENT ON COLUMN generations.channel IS 'Door it came through: python, cli, api, web or batch.';
COMMENT ON COLUMN generations.features IS 'Features the request used.';
COMMENT ON COLUMN generations.engine IS 'Engine that was asked.';
COMMENT ON COLUMN generations.engine_version IS 'Version of the engine.';
COMMENT ON COLUMN generations.model IS 'Model of the engine.';
COMMENT ON COLUMN generations.model_revision IS 'Hash or version of the model''s files.';
COMMENT ON COLUMN generations.device IS 'Device it ran on.';
COMMENT ON COLUMN generations.determinism IS 'Whether the same request sounds the same again: bytes, seeded (with the same seed) or none.';
COMMENT ON COLUMN generations.language IS 'BCP 47 tag; NULL when it failed before that was known.';
COMMENT ON COLUMN generations.voice IS 'Name of the voice of a new clip, NULL = the engine''s own; NULL once erased.';
COMMENT ON COLUMN generations.voice_sha256 IS 'SHA-256 of the reference recording.';
COMMENT ON COLUMN generations.emotion_mode IS 'none, vector, reference or words.';
COMMENT ON COLUMN generations.emotion IS 'Dominant emotion, or neutral.';
COMMENT ON COLUMN generations.emotion_asked IS 'Asked weights: happy, angry, sad, afraid, disgusted, melancholic, surprised, calm.';
COMMENT ON COLUMN generations.emotion_effective IS 'Weights that were applied, in the same order.';
COMMENT ON COLUMN generations.emotion_strength IS 'Strength that scaled the asked weights, 0 to 1.';
COMMENT ON COLUMN generations.dropped IS 'What the request had to do without.';
COMMENT ON COLUMN generations.text_length IS 'Characters of the text.';
COMMENT ON COLUMN generations.take IS 'Number of the take.';
COMMENT ON COLUMN generations.seed IS 'Seed of the engine, if one was given.';
COMMENT ON COLUMN generations.sampling IS 'What the request set of the engine''s sampling, as JSON; NULL = nothing.';
COMMENT ON COLUMN generations.format IS 'wav, flac, opus, mp3, aac or pcm.';
COMMENT ON COLUMN generations.sample_rate IS 'Delivered samples a second (Hz).';
COMMENT ON COLUMN generations.segments IS 'Stretches of speech the engine gave.';
COMMENT ON COLUMN generations.duration_us IS 'Length of the audio in microseconds.';
COMMENT ON COLUMN generations.duration_s IS 'Length of the audio in seconds.';
COMMENT ON COLUMN generations.bytes IS 'Size of the file.';
COMMENT ON COLUMN generations.queue_us IS 'Waiting for the engine, microseconds.';
COMMENT ON COLUMN generations.load_us IS 'Loading a model, microseconds; NULL where it is part of synthesis_us.';
COMMENT ON COLUMN generations.synthesis_us IS 'The engine''s own time, microseconds.';
COMMENT ON COLUMN generations.audio_us IS 'The audio chain''s time, microseconds.';
COMMENT ON COLUMN generations.encode_us IS 'Encoding and writing, microseconds.';
COMMENT ON COLUMN generations.elapsed_us IS 'From the engine''s queue to the end, microseconds.';
COMMENT ON COLUMN generations.saved_us IS 'Engine time that a reuse saved, microseconds.';
COMMENT ON COLUMN generations.failure IS 'Class of the failure.';
COMMENT ON COLUMN generations.stage IS 'Where it failed.';
COMMENT ON COLUMN generations.remedy IS 'What to do about the failure.';
COMMENT ON COLUMN generations.delivered_us IS 'Audio that was handed over before it was cancelled or failed, microseconds.';
COMMENT ON COLUMN generations.first_us IS 'From the engine''s start to its first segment, loading included, microseconds.';
COMMENT ON COLUMN generations.streamed IS 'Whether it was handed over while it was made.';
COMMENT ON COLUMN generations.segments_cached IS 'Segments that were there already and not spoken again.';
COMMENT ON COLUMN generations.suspect IS 'Why the audio is doubted; empty = nothing found.';
COMMENT ON COLUMN generations.real_time_factor IS 'Engine time over audio time; below 1 is faster than real time.';
