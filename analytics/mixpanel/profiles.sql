-- name: position
SELECT position FROM projections;

-- name: profiles
-- What people have done so far, of those who did something after a position.
WITH touched AS (
    SELECT DISTINCT actor AS actor_id FROM events WHERE position > $after AND list_contains($types, type)
), attempts AS (
    SELECT * FROM generations WHERE actor_id IN (FROM touched)
), made AS (
    SELECT actor_id, count(*) FILTER (outcome = 'completed') AS clips, count(*) FILTER (outcome = 'reused') AS reused,
        count(*) FILTER (outcome = 'failed') AS failed, coalesce(sum(duration_us) FILTER (outcome = 'completed'), 0) AS audio_us,
        count(*) FILTER (outcome = 'completed' AND voice_sha256 IS NOT NULL) AS cloned, min(time) AS first, max(time) AS last
    FROM attempts GROUP BY actor_id
), used AS (
    SELECT actor_id, count(*) AS uses, min(time) AS first, max(time) AS last FROM plays WHERE actor_id IN (FROM touched) GROUP BY actor_id
), favourites AS (
    SELECT actor_id, first(value ORDER BY n DESC, value) FILTER (kind = 'emotion') AS emotion,
        first(value ORDER BY n DESC, value) FILTER (kind = 'language') AS language,
        first(value ORDER BY n DESC, value) FILTER (kind = 'engine') AS engine
    FROM (
        SELECT actor_id, kind, value, count(*) AS n
        FROM (UNPIVOT (SELECT actor_id, emotion, language, engine FROM attempts WHERE outcome = 'completed')
            ON emotion, language, engine INTO NAME kind VALUE value)
        GROUP BY ALL)
    GROUP BY actor_id
)
SELECT actor_id, coalesce(clips, 0) AS clips, coalesce(reused, 0) AS clips_reused, coalesce(failed, 0) AS generations_failed,
    round(coalesce(audio_us, 0) / 3.6e9, 3) AS audio_hours, coalesce(uses, 0) AS uses,
    strftime(least(made.first, used.first) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S') AS first_seen,
    strftime(greatest(made.last, used.last) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S') AS last_seen,
    emotion AS favourite_emotion, language AS favourite_language, engine AS favourite_engine,
    CASE WHEN clips = 0 OR clips IS NULL THEN NULL WHEN 2 * cloned >= clips THEN 'cloned' ELSE 'built-in' END AS favourite_voice
FROM touched LEFT JOIN made USING (actor_id) LEFT JOIN used USING (actor_id) LEFT JOIN favourites USING (actor_id)
WHERE made.actor_id IS NOT NULL OR used.actor_id IS NOT NULL
ORDER BY actor_id;

-- name: node
-- What the whole node has.
SELECT count(*) AS clips, count(*) FILTER (purged IS NULL) AS clips_kept, count(DISTINCT actor_id) AS actors,
    round(coalesce(sum(duration_us), 0) / 3.6e9, 3) AS audio_hours,
    coalesce(sum(bytes) FILTER (stored IS NOT NULL AND purged IS NULL), 0)::BIGINT AS stored_bytes,
    strftime(min(created) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S') AS first_seen,
    strftime(max(created) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S') AS last_seen
FROM clips WHERE adopted IS NULL;
