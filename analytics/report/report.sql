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

-- name: features
-- The features that generations of a period used, however they ended.
SELECT DISTINCT unnest(features) AS feature FROM generations WHERE time >= $start AND time < $stop;

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

-- name: lateness
-- Events of a period that were acknowledged an hour or more after they happened, and how long 95 of 100 took.
SELECT count(*) FILTER (recorded - time >= INTERVAL 1 HOUR) AS recorded_late,
    round(quantile_cont(greatest(epoch_us(recorded) - epoch_us(time), 0), 0.95))::BIGINT AS lag_p95_us
FROM events WHERE time >= $start AND time < $stop AND recorded >= $start;

-- name: told
-- The events of a period that Mixpanel is told: those behind its cursor, those that wait, and those that it refused for good.
SELECT count(*) AS events, count(*) FILTER (position <= $cursor) AS passed, count(*) FILTER (position > $cursor) AS waiting,
    count(*) FILTER (id::VARCHAR IN (SELECT event FROM deliveries WHERE subscription = 'mixpanel' AND retried IS NULL)) AS refused
FROM events WHERE time >= $start AND time < $stop AND type IN (SELECT unnest($types::VARCHAR[]));

-- name: quarantined
-- Events that the other side refused for good and has not taken since.
SELECT count(*) AS quarantined FROM deliveries WHERE retried IS NULL;
-- name: unused_languages
-- Languages that were spoken at some time and that nobody asked for since a moment, the last used first.
SELECT language AS name, max(time) AS last_used FROM generations
WHERE time < $stop AND language IS NOT NULL
GROUP BY 1 HAVING last_used < $since ORDER BY 2 DESC, 1;

-- name: unused_models
-- Models that spoke at some time and with which nothing was made since a moment, the last used first.
SELECT model AS name, max(time) AS last_used FROM generations
WHERE time < $stop AND model <> ''
GROUP BY 1 HAVING last_used < $since ORDER BY 2 DESC, 1;

-- name: unused_voices
-- Voices that may be used and with which nothing was made since a moment, the last used first, those that never were at the end.
WITH used AS (
    SELECT voice_sha256, max(time) AS last_used FROM generations WHERE time < $stop AND voice_sha256 IS NOT NULL GROUP BY 1
)
SELECT coalesce(name, left(sha256, 12)) AS name, last_used
FROM voices LEFT JOIN used ON voice_sha256 = sha256
WHERE registered < $since AND state = 'registered' AND (last_used IS NULL OR last_used < $since)
ORDER BY last_used DESC NULLS LAST, 1;

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
-- The marked clips whose grace ends before a moment, the first of them first, with the number and size of all.
SELECT id::VARCHAR AS clip, name, actor, coalesce(mark_rule, '') AS rule, delete_after, bytes, bucket, key,
    CASE WHEN missing IS NOT NULL THEN 'gone' WHEN stored IS NULL THEN 'waiting' ELSE 'stored' END AS audio,
    count(*) OVER () AS all_clips, (sum(bytes) OVER ())::BIGINT AS all_bytes
FROM clips WHERE delete_after < $until AND purge_started IS NULL AND purged IS NULL
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
