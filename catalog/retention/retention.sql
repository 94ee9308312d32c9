-- name: position
-- How far the tables have come.
SELECT position FROM projections WHERE name = 'catalog';

-- name: clips
-- What the planner must know of every clip whose audio is not gone, or of one of them. A use counts by its place in the log, not by its
-- clock: what was recorded after the mark speaks for the clip. No link lives longer than 7 days, so older ones need not be read.
WITH marked AS (
    SELECT subject, max(position) AS position FROM events
    WHERE type = 'ClipMarked' AND subject IN (SELECT id::VARCHAR FROM clips WHERE delete_after IS NOT NULL AND purge_started IS NULL)
    GROUP BY subject
), used AS (
    SELECT DISTINCT events.subject FROM events JOIN marked USING (subject)
    WHERE events.type IN ('AudioAccessed', 'GenerationReused')
        AND events.position > (SELECT min(position) FROM marked) AND events.position > marked.position
), linked AS (
    SELECT TRY_CAST(subject AS UUID) AS clip, max(TRY_CAST(data::JSON ->> 'expires' AS TIMESTAMPTZ)) AS until FROM events
    WHERE type = 'AudioAccessed' AND version >= 2 AND recorded >= (SELECT max(recorded) FROM events) - INTERVAL 7 DAYS
        AND contains(data::VARCHAR, '"link"')
    GROUP BY clip
)
SELECT id::VARCHAR AS id, created, last_used, linked.until AS linked_until, actor, session, emotion, bucket, tags, pinned, pin_reason, bytes, duration_us,
    mark_rule, delete_after, purge_started IS NOT NULL AS purging,
    delete_after IS NOT NULL AND id::VARCHAR IN (SELECT subject FROM used) AS used_since_mark
FROM clips LEFT JOIN linked ON linked.clip = clips.id WHERE purged IS NULL AND ($id IS NULL OR id = $id::UUID);

-- name: words_tag
-- Which tags there are, the most frequent first; likewise for the other conditions of a rule.
SELECT word FROM (SELECT unnest(tags) AS word FROM clips) GROUP BY word ORDER BY count(*) DESC, word;

-- name: words_actor
SELECT actor AS word FROM clips WHERE actor IS NOT NULL GROUP BY actor ORDER BY count(*) DESC, actor;

-- name: words_session
SELECT session AS word FROM clips WHERE session IS NOT NULL GROUP BY session ORDER BY count(*) DESC, session;

-- name: words_emotion
SELECT emotion AS word FROM clips GROUP BY emotion ORDER BY count(*) DESC, emotion;

-- name: words_bucket
SELECT bucket AS word FROM clips GROUP BY bucket ORDER BY count(*) DESC, bucket;

-- name: places
-- Where the audio of these clips lies, and what condemned them.
SELECT id::VARCHAR AS id, bucket, key, path, bytes, coalesce(mark_plan, '') AS plan, coalesce(mark_rule, '') AS rule
FROM clips WHERE id IN (SELECT unnest($ids::UUID[]));

-- name: one
-- Clips whose id ends like this, with their story; more than one means that people must say more.
SELECT id::VARCHAR AS id, created, last_used, plays, reuses, pinned, state, mark_plan, mark_rule, delete_after, purge_started, purged
FROM clips WHERE ends_with(replace(id::VARCHAR, '-', ''), ?) LIMIT 2;
