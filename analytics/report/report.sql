-- name: earliest
-- When the first generation of all was, as far as it lies before a moment.
SELECT min(time) AS earliest FROM generations WHERE time < $stop;

-- name: effective_mean
-- The mean of the applied weights over the new clips of a period.
SELECT avg(emotion_effective[1]) AS happy, avg(emotion_effective[2]) AS angry, avg(emotion_effective[3]) AS sad,
    avg(emotion_effective[4]) AS afraid, avg(emotion_effective[5]) AS disgusted, avg(emotion_effective[6]) AS melancholic,
    avg(emotion_effective[7]) AS surprised, avg(emotion_effective[8]) AS calm
FROM generations WHERE time >= $start AND time < $stop AND outcome = 'completed';

-- name: actors
-- How some actors were called last in a period, and whether they had no generation before it.
SELECT actor_id, arg_max(actor, position) FILTER (time >= $start) AS actor, min(time) >= $start AS new
FROM generations WHERE time < $stop AND actor_id IN (SELECT unnest($chosen::VARCHAR[]))
GROUP BY actor_id;

-- name: waiting_since
-- Since when clips wait for upload.
SELECT min(created) AS waiting_since FROM clips
WHERE stored IS NULL AND upload_failure IS NULL AND purge_started IS NULL AND purged IS NULL;

-- name: provenance
-- How far the tables have come, and the newest link of the chain.
SELECT (SELECT position FROM projections WHERE name = 'catalog') AS position,
    (SELECT source FROM events ORDER BY position DESC LIMIT 1) AS source,
    (SELECT max(last) FROM batches) AS chain_position,
    (SELECT arg_max(digest, last) FROM batches) AS chain_digest;

-- name: recorded_late
-- Events of a period that were acknowledged an hour or more after they happened.
SELECT count(*) AS recorded_late FROM events
WHERE time >= $start AND time < $stop AND recorded >= $start AND recorded - time >= INTERVAL 1 HOUR;

-- name: voices
-- New clips of a period by voice; the engine's own voice has neither name nor recording.
SELECT coalesce(voice, left(voice_sha256, 12), '') AS name, count(*) AS clips, sum(duration_us)::BIGINT AS audio_us,
    count(DISTINCT actor_id) AS users, count(*) / sum(count(*)) OVER () AS share
FROM clips WHERE created >= $start AND created < $stop
GROUP BY 1 ORDER BY clips DESC, 1;

-- name: loudness
-- New clips of a period by whole LUFS.
SELECT floor(loudness_lufs)::INTEGER AS lufs, count(*) AS clips
FROM clips WHERE created >= $start AND created < $stop AND loudness_lufs IS NOT NULL
GROUP BY lufs ORDER BY lufs;

-- name: purged
-- Clips purged in a period by the rule that condemned them.
SELECT coalesce(nullif(mark_rule, ''), 'without a rule') AS rule, count(*) AS clips, sum(bytes)::BIGINT AS bytes
FROM clips WHERE purged >= $start AND purged < $stop
GROUP BY 1 ORDER BY 3 DESC, 1;

-- name: expiring
-- The marked clips whose grace ends first.
SELECT id::VARCHAR AS clip, name, actor, coalesce(mark_rule, '') AS rule, delete_after, bytes
FROM clips WHERE delete_after IS NOT NULL AND purge_started IS NULL AND purged IS NULL
ORDER BY delete_after, id LIMIT $limit;

-- name: candidates
-- Clips of a period that might be played: the most used few for each emotion, language and actor, those of about five seconds first.
SELECT id::VARCHAR AS clip, emotion, language, actor_id, plays + reuses AS uses, abs(duration_us - 5000000) AS oddness
FROM clips WHERE created >= $start AND created < $stop AND path IS NOT NULL AND purge_started IS NULL AND purged IS NULL
QUALIFY row_number() OVER (PARTITION BY emotion, language, actor_id ORDER BY plays + reuses DESC, oddness, id) <= $each
ORDER BY uses DESC, oddness, id LIMIT 2000;

-- name: samples
-- What is shown of the chosen clips.
SELECT id::VARCHAR AS clip, created, name, text, actor, emotion, emotion_effective, language, voice, engine, format, duration_us,
    bytes, loudness_lufs, sha256, path, tags, plays, reuses
FROM clips WHERE created >= $start AND created < $stop AND id IN (SELECT unnest($chosen::UUID[]));
