-- name: figures
-- What was made in each of some stretches of time, which may overlap: $names, and the moments at which they begin and end.
WITH stretches AS (
    SELECT unnest($names::VARCHAR[]) AS stretch, unnest($starts::TIMESTAMPTZ[]) AS start, unnest($stops::TIMESTAMPTZ[]) AS stop
), recent AS (
    SELECT time, outcome, duration_us, actor_id FROM generations WHERE time >= $first AND {whose}
)
SELECT stretch, count(*) FILTER (outcome = 'completed') AS clips,
    coalesce(sum(duration_us) FILTER (outcome = 'completed'), 0)::BIGINT AS audio_us,
    count(*) FILTER (outcome = 'reused') AS reused, count(*) FILTER (outcome = 'failed') AS failed,
    count(*) FILTER (outcome = 'cancelled') AS cancelled, count(DISTINCT actor_id) AS people
FROM recent JOIN stretches ON time >= start AND time < stop GROUP BY stretch;

-- name: newest_clips
-- The newest clips that were made here: places in the log only.
SELECT position FROM clips WHERE adopted IS NULL AND {whose} ORDER BY position DESC LIMIT $limit;

-- name: newest_others
-- The newest attempts that gave no new clip.
SELECT position FROM generations WHERE outcome <> 'completed' AND {whose} ORDER BY position DESC LIMIT $limit;

-- name: attempts
-- What is shown of attempts.
SELECT position, time, outcome, clip::VARCHAR AS clip, actor, engine, language, emotion, duration_us, failure, remedy
FROM generations WHERE position IN (SELECT unnest($positions::BIGINT[])) ORDER BY position DESC;

-- name: clips
-- What is shown of clips.
SELECT id::VARCHAR AS clip, name, left(text, 200) AS text, voice, language, emotion, duration_us, suspect, state IN ('purging', 'purged') AS gone
FROM clips WHERE id IN (SELECT unnest($ids::UUID[]));

-- name: doubted
-- Clips of the last days whose audio is doubted and that nobody has judged: how many, and the newest of them.
SELECT id::VARCHAR AS clip, count(*) OVER () AS clips FROM clips
WHERE created >= $since AND len(suspect) > 0 AND purge_started IS NULL AND purged IS NULL AND rating IS NULL AND {whose}
ORDER BY created DESC LIMIT $limit;

-- name: failures
-- What failed lately, by the class of the failure, with what to do about it.
SELECT failure, engine, arg_max(remedy, time) AS remedy, count(*) AS attempts, max(time) AS last
FROM generations WHERE time >= $since AND outcome = 'failed' AND {whose} GROUP BY failure, engine ORDER BY attempts DESC LIMIT $limit;

-- name: expiring
-- The clips whose grace ends first.
SELECT id::VARCHAR AS clip, delete_after, mark_rule AS rule, bytes FROM clips
WHERE delete_after IS NOT NULL AND purge_started IS NULL AND purged IS NULL ORDER BY delete_after, id LIMIT $limit;

-- name: grace
-- How many clips wait for the end of their grace, and how much they weigh.
SELECT count(*) AS clips, coalesce(sum(bytes), 0)::BIGINT AS bytes FROM clips
WHERE delete_after IS NOT NULL AND purge_started IS NULL AND purged IS NULL;

-- name: position
SELECT position FROM projections WHERE name = 'catalog';
