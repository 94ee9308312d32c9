-- name: relation
-- Purges with the store's answers. The steps are kept as they came; a restore ends the purge, and the next one is another.
CREATE TABLE folded.purge_steps (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    actor_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    plan VARCHAR,
    rule VARCHAR,
    bucket VARCHAR,
    bytes BIGINT,
    failure VARCHAR,
    source VARCHAR,
    answer VARCHAR,
    versions VARCHAR[],
    kept_bytes BIGINT
);
CREATE MACRO purges_at(p) AS TABLE
SELECT purge.clip, replace(clips.key, chr(1), clips.id::VARCHAR) AS key, purge.* EXCLUDE (clip, turn) FROM (
    SELECT clip, turn, min(position) FILTER (deleting) AS position, arg_min(actor_id, position) FILTER (deleting) AS actor_id,
        arg_max(plan, position) FILTER (deleting) AS plan, arg_max(rule, position) FILTER (deleting) AS rule,
        arg_max(bucket, position) FILTER (deleting) AS bucket,
        arg_min(time, position) FILTER (kind = 'PurgeStarted') AS started,
        arg_min(time, position) FILTER (kind = 'ClipPurged') AS purged,
        arg_min(bytes, position) FILTER (kind = 'ClipPurged') AS bytes,
        arg_max(kept_bytes, position) FILTER (kind = 'ClipPurged') AS kept_bytes,
        arg_max(answer, position) FILTER (kind = 'ClipPurged') AS answer,
        coalesce(flatten(list(versions ORDER BY position) FILTER (kind = 'ClipPurged')), []) AS versions, count(*) FILTER (kind = 'PurgeFailed') AS failures,
        arg_max(failure, position) FILTER (kind = 'PurgeFailed') AS failure,
        min(time) FILTER (kind = 'ClipRestored') AS restored, min(source) FILTER (kind = 'ClipRestored') AS restored_from
    FROM (
        SELECT *, kind <> 'ClipRestored' AS deleting, coalesce(count(*) FILTER (kind = 'ClipRestored') OVER earlier, 0) AS turn
        FROM folded.purge_steps WHERE position <= p
        WINDOW earlier AS (PARTITION BY clip ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
    GROUP BY clip, turn) AS purge
LEFT JOIN folded.clips ON clips.id = purge.clip AND clips.position <= p
WHERE purge.position IS NOT NULL;
CREATE VIEW purges AS FROM purges_at(9223372036854775807);

-- name: fold
INSERT INTO catalog.folded.purge_steps BY NAME
SELECT position, time, clip, actor_id, kind, nullif(plan, '') AS plan, nullif(rule, '') AS rule, bucket, bytes, failure, source, answer, versions, kept_bytes
FROM steps WHERE kind IN ('PurgeStarted', 'ClipPurged', 'PurgeFailed', 'ClipRestored') ORDER BY position;

-- name: comments
COMMENT ON VIEW purges IS 'One row a purge: from its start over the store''s answers to the clip''s return, if there was one.';
COMMENT ON COLUMN purges.clip IS 'Which clip.';
COMMENT ON COLUMN purges.key IS 'Key of its object; NULL once its actor was erased.';
COMMENT ON COLUMN purges.position IS 'Place in the log of the event that began it.';
COMMENT ON COLUMN purges.actor_id IS 'Opaque id of who began it.';
COMMENT ON COLUMN purges.plan IS 'Retention plan that condemned the clip.';
COMMENT ON COLUMN purges.rule IS 'Rule that condemned the clip.';
COMMENT ON COLUMN purges.bucket IS 'Bucket of the store.';
COMMENT ON COLUMN purges.started IS 'When deletion began.';
COMMENT ON COLUMN purges.purged IS 'When the audio''s absence was seen; NULL before.';
COMMENT ON COLUMN purges.bytes IS 'Size of what was deleted.';
COMMENT ON COLUMN purges.kept_bytes IS 'What old versions still hold that the store did not give up; 0 when all is gone.';
COMMENT ON COLUMN purges.answer IS 'What the store said in the end: Deleted, or a code; empty for purges before that was recorded.';
COMMENT ON COLUMN purges.versions IS 'Ids of the versions that were deleted one by one, in a bucket that keeps versions.';
COMMENT ON COLUMN purges.failures IS 'How often the store would not delete it.';
COMMENT ON COLUMN purges.failure IS 'Why it would not, the last time; NULL when it never refused.';
COMMENT ON COLUMN purges.restored IS 'When the audio came back; NULL while it is gone.';
COMMENT ON COLUMN purges.restored_from IS 'Where it came back from: grace, store, versioning, backup, cache or node.';
