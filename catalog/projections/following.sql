-- name: touched
-- The steps that touch a clip, and those that waited for a clip of this batch; with the clip as it stands before the batch.
CREATE OR REPLACE TEMP TABLE touched AS
WITH news AS (
    SELECT position, recorded, time, clip, kind, actor_id, failure, source, plan, rule, delete_after, until, rating, tag, words
    FROM steps WHERE kind <> 'PurgeFailed'
    UNION ALL BY NAME
    SELECT * FROM catalog.folded.early WHERE clip IN (SELECT subject::UUID FROM folding WHERE type IN ('GenerationCompleted', 'AudioAdopted'))
), ids AS (
    SELECT clip, count(*) = 1 AS alone FROM news GROUP BY clip
), known AS (
    SELECT clips.rowid AS place, id AS clip, alone, clips.position AS made, changed, tags, {
            'pinned': pinned, 'pin_reason': pin_reason,
            'pinned_until': pinned_until, 'pinned_by': pinned_by, 'rating': rating, 'ratings': ratings, 'plays': plays, 'reuses': reuses,
            'last_used': last_used, 'cached': cached, 'stored': stored, 'upload_failure': upload_failure, 'verified': verified,
            'missing': missing, 'mark_plan': mark_plan, 'mark_rule': mark_rule, 'delete_after': delete_after,
            'purge_started': purge_started, 'purged': purged, 'restored': restored
        } AS was
    FROM catalog.folded.clips JOIN ids ON clips.id = ids.clip
)
SELECT news.*, place, alone, made, changed, tags, was FROM news LEFT JOIN known USING (clip);

-- name: no_longer_early
DELETE FROM catalog.folded.early WHERE clip IN (SELECT clip FROM touched WHERE place IS NOT NULL);

-- name: early
INSERT INTO catalog.folded.early BY NAME
SELECT position, recorded, time, clip, kind, actor_id, failure, source, plan, rule, delete_after, until, rating, tag, words
FROM touched WHERE place IS NULL ORDER BY position;

-- name: said
-- What each step says about its clip. NULL says nothing; times that are taken back are told by -infinity, texts by ''.
CREATE OR REPLACE TEMP VIEW said AS
SELECT position, recorded, clip, kind, actor_id, words AS reason, place, alone, made, changed, was,
    CASE kind WHEN 'ClipPinned' THEN true WHEN 'ClipUnpinned' THEN false END AS pinned,
    CASE kind WHEN 'ClipPinned' THEN coalesce(words, '') WHEN 'ClipUnpinned' THEN '' END AS pin_reason,
    CASE kind WHEN 'ClipPinned' THEN coalesce(until, '-infinity') WHEN 'ClipUnpinned' THEN '-infinity' END AS pinned_until,
    CASE kind WHEN 'ClipPinned' THEN actor_id WHEN 'ClipUnpinned' THEN '' END AS pinned_by,
    rating,
    (kind = 'ClipRated')::INTEGER AS ratings,
    (kind = 'AudioAccessed')::INTEGER AS plays,
    (kind = 'GenerationReused')::INTEGER AS reuses,
    CASE WHEN kind IN ('AudioAccessed', 'GenerationReused') THEN time END AS used,
    CASE WHEN kind IN ('CacheEvicted', 'ClipPurged') THEN false WHEN kind = 'ClipRestored' AND source = 'cache' THEN true END AS cached,
    CASE WHEN kind = 'AudioStored' OR is_back THEN time END AS stored,
    CASE WHEN kind = 'AudioUploadFailed' THEN coalesce(failure, 'unknown') WHEN kind = 'AudioStored' OR is_back THEN '' END
        AS upload_failure,
    CASE kind WHEN 'ObjectVerified' THEN time END AS verified,
    CASE WHEN kind = 'ObjectMissing' THEN time
        WHEN kind IN ('ObjectVerified', 'AudioStored', 'ClipPurged') OR is_back THEN '-infinity' END AS missing,
    CASE WHEN kind = 'ClipMarked' THEN coalesce(plan, '') WHEN kind IN ('ClipUnmarked', 'ClipRestored') THEN ''
        WHEN kind IN ('PurgeStarted', 'ClipPurged') THEN nullif(plan, '') END AS mark_plan,
    CASE WHEN kind = 'ClipMarked' THEN coalesce(rule, '') WHEN kind IN ('ClipUnmarked', 'ClipRestored') THEN ''
        WHEN kind IN ('PurgeStarted', 'ClipPurged') THEN nullif(rule, '') END AS mark_rule,
    CASE WHEN kind = 'ClipMarked' THEN delete_after WHEN kind IN ('ClipUnmarked', 'ClipRestored') THEN '-infinity' END AS delete_after,
    CASE kind WHEN 'PurgeStarted' THEN time END AS purge_started,
    CASE kind WHEN 'ClipPurged' THEN time END AS purged,
    CASE kind WHEN 'ClipRestored' THEN time END AS restored
FROM (SELECT *, kind = 'ClipRestored' AND source IS DISTINCT FROM 'grace' AS is_back FROM touched WHERE place IS NOT NULL);

-- name: follow_one
-- Each clip before and after its step, for those that this batch touches once: most of them.
CREATE OR REPLACE TEMP TABLE followed AS
SELECT position, changed AS previous, recorded, clip, kind, actor_id, reason, place, made, true AS is_last, was, was AS before, {
        'pinned': coalesce(pinned, was.pinned),
        'pin_reason': nullif(coalesce(pin_reason, was.pin_reason), ''),
        'pinned_until': nullif(coalesce(pinned_until, was.pinned_until), '-infinity'),
        'pinned_by': nullif(coalesce(pinned_by, was.pinned_by), ''),
        'rating': coalesce(rating, was.rating),
        'ratings': was.ratings + ratings,
        'plays': was.plays + plays,
        'reuses': was.reuses + reuses,
        'last_used': greatest(was.last_used, used),
        'cached': coalesce(cached, was.cached),
        'stored': coalesce(stored, was.stored),
        'upload_failure': nullif(coalesce(upload_failure, was.upload_failure), ''),
        'verified': coalesce(verified, was.verified),
        'missing': nullif(coalesce(missing, was.missing), '-infinity'),
        'mark_plan': nullif(coalesce(mark_plan, was.mark_plan), ''),
        'mark_rule': nullif(coalesce(mark_rule, was.mark_rule), ''),
        'delete_after': nullif(coalesce(delete_after, was.delete_after), '-infinity'),
        'purge_started': CASE WHEN restored IS NULL THEN coalesce(was.purge_started, purge_started) END,
        'purged': CASE WHEN restored IS NULL THEN coalesce(was.purged, purged) END,
        'restored': coalesce(restored, was.restored)
    } AS became
FROM said WHERE alone;

-- name: follow_many
-- The same for clips with several steps, each of which finds what those before it left. A restore begins another `turn`; within one
-- the first word on a purge counts.
INSERT INTO followed
SELECT position, greatest(lag(position, 1, changed) OVER life, made) AS previous, recorded, clip, kind, actor_id, reason, place, made,
    lead(position) OVER life IS NULL AS is_last, was, lag(became, 1, was) OVER life AS before, became
FROM (
    SELECT *, {
        'pinned': coalesce(last_value(pinned IGNORE NULLS) OVER life, was.pinned),
        'pin_reason': nullif(coalesce(last_value(pin_reason IGNORE NULLS) OVER life, was.pin_reason), ''),
        'pinned_until': nullif(coalesce(last_value(pinned_until IGNORE NULLS) OVER life, was.pinned_until), '-infinity'),
        'pinned_by': nullif(coalesce(last_value(pinned_by IGNORE NULLS) OVER life, was.pinned_by), ''),
        'rating': coalesce(last_value(rating IGNORE NULLS) OVER life, was.rating),
        'ratings': (was.ratings + sum(ratings) OVER life)::INTEGER,
        'plays': (was.plays + sum(plays) OVER life)::BIGINT,
        'reuses': (was.reuses + sum(reuses) OVER life)::BIGINT,
        'last_used': greatest(was.last_used, max(used) OVER life),
        'cached': coalesce(last_value(cached IGNORE NULLS) OVER life, was.cached),
        'stored': coalesce(last_value(stored IGNORE NULLS) OVER life, was.stored),
        'upload_failure': nullif(coalesce(last_value(upload_failure IGNORE NULLS) OVER life, was.upload_failure), ''),
        'verified': coalesce(last_value(verified IGNORE NULLS) OVER life, was.verified),
        'missing': nullif(coalesce(last_value(missing IGNORE NULLS) OVER life, was.missing), '-infinity'),
        'mark_plan': nullif(coalesce(last_value(mark_plan IGNORE NULLS) OVER life, was.mark_plan), ''),
        'mark_rule': nullif(coalesce(last_value(mark_rule IGNORE NULLS) OVER life, was.mark_rule), ''),
        'delete_after': nullif(coalesce(last_value(delete_after IGNORE NULLS) OVER life, was.delete_after), '-infinity'),
        'purge_started': coalesce(CASE turn WHEN 0 THEN was.purge_started END, first_value(purge_started IGNORE NULLS) OVER within),
        'purged': coalesce(CASE turn WHEN 0 THEN was.purged END, first_value(purged IGNORE NULLS) OVER within),
        'restored': coalesce(last_value(restored IGNORE NULLS) OVER life, was.restored)
    } AS became
    FROM (SELECT *, count(restored) OVER (PARTITION BY clip ORDER BY position) AS turn FROM said WHERE NOT alone)
    WINDOW life AS (PARTITION BY clip ORDER BY position), within AS (PARTITION BY clip, turn ORDER BY position))
WINDOW life AS (PARTITION BY clip ORDER BY position);

-- name: follow_uses
-- The same where clips were only used, which most that happens to them is: three columns change, and counting is all there is to it.
CREATE OR REPLACE TEMP TABLE followed AS
WITH counted AS (
    SELECT position, greatest(lag(position, 1, changed) OVER life, made) AS previous, lead(position) OVER life IS NULL AS is_last,
        sum(plays) OVER life AS played, sum(reuses) OVER life AS reused, max(used) OVER life AS last_used,
        max(used) OVER earlier AS used_before
    FROM (SELECT position, clip, changed, made, plays, reuses, used FROM said)
    WINDOW life AS (PARTITION BY clip ORDER BY position),
        earlier AS (PARTITION BY clip ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT position, previous, recorded, clip, kind, actor_id, reason, place, made, is_last, was, {
        'pinned': was.pinned,
        'pin_reason': was.pin_reason,
        'pinned_until': was.pinned_until,
        'pinned_by': was.pinned_by,
        'rating': was.rating,
        'ratings': was.ratings,
        'plays': was.plays + played::BIGINT - plays,
        'reuses': was.reuses + reused::BIGINT - reuses,
        'last_used': greatest(was.last_used, used_before),
        'cached': was.cached,
        'stored': was.stored,
        'upload_failure': was.upload_failure,
        'verified': was.verified,
        'missing': was.missing,
        'mark_plan': was.mark_plan,
        'mark_rule': was.mark_rule,
        'delete_after': was.delete_after,
        'purge_started': was.purge_started,
        'purged': was.purged,
        'restored': was.restored
    } AS before, {
        'plays': was.plays + played::BIGINT,
        'reuses': was.reuses + reused::BIGINT,
        'last_used': greatest(was.last_used, counted.last_used)
    } AS became
FROM said JOIN counted USING (position);

-- name: record
-- What each step found. Events that came before their clip are part of how it began, and no change.
INSERT INTO catalog.folded.changes BY NAME
SELECT position, previous, recorded, clip, kind, actor_id, reason, unnest(before) FROM followed WHERE position > made ORDER BY position;
