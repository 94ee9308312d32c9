-- name: relation
-- What each event found: the changeable columns of its clip as they were before it. `previous` is the position of the change before,
-- or that of the clip itself, so the row with previous <= p < position says how the clip stood after position p.
CREATE TABLE folded.changes (
    position BIGINT NOT NULL,
    previous BIGINT NOT NULL,
    recorded TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    kind VARCHAR NOT NULL,
    actor_id VARCHAR NOT NULL,
    tag VARCHAR,
    pinned BOOLEAN NOT NULL,
    pin_reason VARCHAR,
    rating TINYINT,
    ratings INTEGER NOT NULL,
    plays BIGINT NOT NULL,
    reuses BIGINT NOT NULL,
    last_used TIMESTAMPTZ NOT NULL,
    cached BOOLEAN NOT NULL,
    stored TIMESTAMPTZ,
    upload_failure VARCHAR,
    verified TIMESTAMPTZ,
    missing TIMESTAMPTZ,
    mark_plan VARCHAR,
    mark_rule VARCHAR,
    delete_after TIMESTAMPTZ,
    purge_started TIMESTAMPTZ,
    purged TIMESTAMPTZ,
    restored TIMESTAMPTZ
);
CREATE MACRO changes_at(p) AS TABLE SELECT * FROM folded.changes WHERE position <= p;
CREATE VIEW changes AS FROM folded.changes;

-- name: touched
-- The steps that touch a clip, and those that waited for a clip of this batch; with the clip as it stands before the batch.
CREATE OR REPLACE TEMP TABLE touched AS
WITH news AS (
    SELECT position, recorded, time, clip, kind, actor_id, failure, source, plan, rule, delete_after, rating, tag, words
    FROM steps WHERE kind <> 'PurgeFailed'
    UNION ALL BY NAME
    SELECT * FROM catalog.folded.early WHERE clip IN (SELECT subject::UUID FROM folding WHERE type = 'GenerationCompleted')
), ids AS (
    SELECT DISTINCT clip FROM news
), known AS (
    SELECT clips.rowid AS place, id AS clip, clips.position AS made, tags, pinned, pin_reason, rating, ratings, plays, reuses,
        last_used, cached, stored, upload_failure, verified, missing, mark_plan, mark_rule, delete_after, purge_started, purged,
        restored, changed
    FROM catalog.folded.clips JOIN ids ON clips.id = ids.clip
)
SELECT news.*, known AS was FROM news LEFT JOIN known USING (clip);

-- name: no_longer_early
DELETE FROM catalog.folded.early WHERE clip IN (SELECT clip FROM touched WHERE was IS NOT NULL);

-- name: early
INSERT INTO catalog.folded.early BY NAME SELECT * EXCLUDE (was) FROM touched WHERE was IS NULL ORDER BY position;

-- name: follow
-- Each step with its clip after it (`became`). Times that are taken back are told by -infinity and texts by '', because NULL says
-- that a step has nothing to say about them. What a restore ends begins anew in the next `turn`; within one the first word counts.
CREATE OR REPLACE TEMP TABLE followed AS
SELECT position, recorded, clip, kind, actor_id, was, lead(position) OVER life IS NULL AS is_last,
    {
        'pinned': coalesce(last_value(CASE kind WHEN 'ClipPinned' THEN true WHEN 'ClipUnpinned' THEN false END IGNORE NULLS) OVER life,
            was.pinned),
        'pin_reason': nullif(coalesce(last_value(CASE kind WHEN 'ClipPinned' THEN coalesce(words, '') WHEN 'ClipUnpinned' THEN '' END
            IGNORE NULLS) OVER life, was.pin_reason), ''),
        'rating': coalesce(last_value(rating IGNORE NULLS) OVER life, was.rating),
        'ratings': (was.ratings + count(*) FILTER (kind = 'ClipRated') OVER life)::INTEGER,
        'plays': was.plays + count(*) FILTER (kind = 'AudioAccessed') OVER life,
        'reuses': was.reuses + count(*) FILTER (kind = 'GenerationReused') OVER life,
        'last_used': greatest(was.last_used, max(time) FILTER (kind IN ('AudioAccessed', 'GenerationReused')) OVER life),
        'cached': coalesce(last_value(CASE WHEN kind IN ('CacheEvicted', 'ClipPurged') THEN false
            WHEN kind = 'ClipRestored' AND source = 'cache' THEN true END IGNORE NULLS) OVER life, was.cached),
        'stored': coalesce(last_value(CASE WHEN kind = 'AudioStored' OR is_back THEN time END IGNORE NULLS) OVER life, was.stored),
        'upload_failure': nullif(coalesce(last_value(CASE WHEN kind = 'AudioUploadFailed' THEN coalesce(failure, 'unknown')
            WHEN kind = 'AudioStored' OR is_back THEN '' END IGNORE NULLS) OVER life, was.upload_failure), ''),
        'verified': coalesce(last_value(CASE kind WHEN 'ObjectVerified' THEN time END IGNORE NULLS) OVER life, was.verified),
        'missing': nullif(coalesce(last_value(CASE WHEN kind = 'ObjectMissing' THEN time
            WHEN kind IN ('ObjectVerified', 'AudioStored', 'ClipPurged') OR is_back THEN '-infinity' END IGNORE NULLS) OVER life,
            was.missing), '-infinity'),
        'mark_plan': nullif(coalesce(last_value(CASE WHEN kind = 'ClipMarked' THEN coalesce(plan, '')
            WHEN kind IN ('ClipUnmarked', 'ClipRestored') THEN ''
            WHEN kind IN ('PurgeStarted', 'ClipPurged') THEN nullif(plan, '') END IGNORE NULLS) OVER life, was.mark_plan), ''),
        'mark_rule': nullif(coalesce(last_value(CASE WHEN kind = 'ClipMarked' THEN coalesce(rule, '')
            WHEN kind IN ('ClipUnmarked', 'ClipRestored') THEN ''
            WHEN kind IN ('PurgeStarted', 'ClipPurged') THEN nullif(rule, '') END IGNORE NULLS) OVER life, was.mark_rule), ''),
        'delete_after': nullif(coalesce(last_value(CASE WHEN kind = 'ClipMarked' THEN delete_after
            WHEN kind IN ('ClipUnmarked', 'ClipRestored') THEN '-infinity' END IGNORE NULLS) OVER life, was.delete_after), '-infinity'),
        'purge_started': coalesce(CASE turn WHEN 0 THEN was.purge_started END, min(time) FILTER (kind = 'PurgeStarted') OVER within),
        'purged': coalesce(CASE turn WHEN 0 THEN was.purged END, min(time) FILTER (kind = 'ClipPurged') OVER within),
        'restored': coalesce(last_value(CASE kind WHEN 'ClipRestored' THEN time END IGNORE NULLS) OVER life, was.restored)
    } AS became
FROM (
    SELECT *, kind = 'ClipRestored' AND source IS DISTINCT FROM 'grace' AS is_back,
        count(*) FILTER (kind = 'ClipRestored') OVER (PARTITION BY clip ORDER BY position) AS turn
    FROM touched WHERE was IS NOT NULL)
WINDOW life AS (PARTITION BY clip ORDER BY position), within AS (PARTITION BY clip, turn ORDER BY position);

-- name: tags
-- Each tag of each clip at every step that changed something about it: putting on what is there and taking off what is not change nothing.
CREATE OR REPLACE TEMP TABLE retagged AS
SELECT position, clip, tag, kind FROM (
    SELECT position, clip, tag, kind,
        lag(kind, 1, CASE WHEN list_contains(from_json(was.tags, '["VARCHAR"]'), tag) THEN 'ClipTagged' ELSE 'ClipUntagged' END)
            OVER (PARTITION BY clip, tag ORDER BY position) AS before
    FROM touched WHERE was IS NOT NULL AND tag IS NOT NULL AND kind IN ('ClipTagged', 'ClipUntagged'))
WHERE kind <> before;

-- name: record
-- A clip's state before its first step is the one it was found in; events that came before their clip are part of how it began.
INSERT INTO catalog.folded.changes BY NAME
SELECT * EXCLUDE (before, made), unnest(before) FROM (
    SELECT position, greatest(lag(position, 1, was.changed) OVER life, was.made) AS previous, recorded, clip, kind, actor_id, was.made AS made,
        tag, lag(became, 1, {'pinned': was.pinned, 'pin_reason': was.pin_reason, 'rating': was.rating, 'ratings': was.ratings,
            'plays': was.plays, 'reuses': was.reuses, 'last_used': was.last_used, 'cached': was.cached, 'stored': was.stored,
            'upload_failure': was.upload_failure, 'verified': was.verified, 'missing': was.missing, 'mark_plan': was.mark_plan,
            'mark_rule': was.mark_rule, 'delete_after': was.delete_after, 'purge_started': was.purge_started, 'purged': was.purged,
            'restored': was.restored}) OVER life AS before
    FROM followed LEFT JOIN (SELECT position, tag FROM retagged) USING (position)
    WINDOW life AS (PARTITION BY clip ORDER BY position))
WHERE position > made ORDER BY position;

-- name: update_uses
-- The clips after their last step. Only columns that something happened to are written, because DuckDB stores each anew that is.
UPDATE catalog.folded.clips SET plays = became.plays, reuses = became.reuses, last_used = became.last_used
FROM followed WHERE clips.rowid = was.place AND is_last AND (became.plays, became.reuses) <> (was.plays, was.reuses);

-- name: update_audio
UPDATE catalog.folded.clips SET cached = became.cached, stored = became.stored, upload_failure = became.upload_failure,
    verified = became.verified, missing = became.missing
FROM followed WHERE clips.rowid = was.place AND is_last
    AND (became.cached, became.stored, became.upload_failure, became.verified, became.missing)
        IS DISTINCT FROM (was.cached, was.stored, was.upload_failure, was.verified, was.missing);

-- name: update_keeping
UPDATE catalog.folded.clips SET pinned = became.pinned, pin_reason = became.pin_reason, rating = became.rating,
    ratings = became.ratings, mark_plan = became.mark_plan, mark_rule = became.mark_rule, delete_after = became.delete_after,
    purge_started = became.purge_started, purged = became.purged, restored = became.restored
FROM followed WHERE clips.rowid = was.place AND is_last
    AND (became.pinned, became.pin_reason, became.rating, became.ratings, became.mark_plan,
        became.mark_rule, became.delete_after, became.purge_started, became.purged, became.restored)
    IS DISTINCT FROM (was.pinned, was.pin_reason, was.rating, was.ratings, was.mark_plan,
        was.mark_rule, was.delete_after, was.purge_started, was.purged, was.restored);

-- name: update_tags
UPDATE catalog.folded.clips SET tags = nullif(to_json(list_sort(list_concat(
    list_filter(coalesce(from_json(tags, '["VARCHAR"]'), []), lambda tag: NOT list_contains(news.gone, tag)), news.come)))::VARCHAR, '[]')
FROM (
    SELECT clip, coalesce(list(tag) FILTER (kind = 'ClipTagged'), []) AS come, list(tag) AS gone
    FROM (SELECT clip, tag, arg_max(kind, position) AS kind FROM retagged GROUP BY ALL) GROUP BY clip) AS news
WHERE clips.id = news.clip;

-- name: update_changed
UPDATE catalog.folded.clips SET changed = greatest(followed.position, was.made)
FROM followed WHERE clips.rowid = was.place AND is_last;

-- name: comments
COMMENT ON VIEW changes IS 'One row an event that touched a clip: what the clip''s changeable columns were before it. `clips_at` reads it.';
COMMENT ON COLUMN changes.position IS 'Place of the event in the log.';
COMMENT ON COLUMN changes.previous IS 'Place of the change before it, or of the clip itself.';
COMMENT ON COLUMN changes.recorded IS 'When the event was acknowledged.';
COMMENT ON COLUMN changes.clip IS 'Which clip.';
COMMENT ON COLUMN changes.kind IS 'Type of the event.';
COMMENT ON COLUMN changes.actor_id IS 'Opaque id of who did it.';
COMMENT ON COLUMN changes.tag IS 'Tag that the event put on or took off; NULL for any other event, when nothing changed, or once erased.';
COMMENT ON COLUMN changes.pinned IS 'Before the event: whether a pin kept the clip.';
COMMENT ON COLUMN changes.pin_reason IS 'Before the event: why it was pinned.';
COMMENT ON COLUMN changes.rating IS 'Before the event: the newest rating.';
COMMENT ON COLUMN changes.ratings IS 'Before the event: how often it had been rated.';
COMMENT ON COLUMN changes.plays IS 'Before the event: how often it had been used.';
COMMENT ON COLUMN changes.reuses IS 'Before the event: how often it had answered a later request.';
COMMENT ON COLUMN changes.last_used IS 'Before the event: when it was last made, played or reused.';
COMMENT ON COLUMN changes.cached IS 'Before the event: whether it lay in the local cache.';
COMMENT ON COLUMN changes.stored IS 'Before the event: when the store had confirmed it.';
COMMENT ON COLUMN changes.upload_failure IS 'Before the event: why the store had refused it.';
COMMENT ON COLUMN changes.verified IS 'Before the event: when the store was last seen to hold it.';
COMMENT ON COLUMN changes.missing IS 'Before the event: since when the store was known to lack it.';
COMMENT ON COLUMN changes.mark_plan IS 'Before the event: retention plan that had condemned it.';
COMMENT ON COLUMN changes.mark_rule IS 'Before the event: rule that had condemned it.';
COMMENT ON COLUMN changes.delete_after IS 'Before the event: when its grace was to end.';
COMMENT ON COLUMN changes.purge_started IS 'Before the event: when deletion had begun.';
COMMENT ON COLUMN changes.purged IS 'Before the event: when its absence had been seen.';
COMMENT ON COLUMN changes.restored IS 'Before the event: when its audio had come back.';
