-- name: named
-- The clips with these ids, and whether their audio is going or gone.
SELECT id::VARCHAR AS id, purge_started IS NOT NULL OR purged IS NOT NULL AS gone FROM clips
WHERE id IN (SELECT unnest($ids::UUID[])) ORDER BY id;

-- name: ending
-- Clips whose id ends with these hex digits; two at least when there are several.
SELECT id::VARCHAR AS id, purge_started IS NOT NULL OR purged IS NOT NULL AS gone FROM clips
WHERE ends_with(replace(id::VARCHAR, '-', ''), $digits) LIMIT 2;

-- name: marked
-- The clips that a plan has marked.
SELECT id::VARCHAR AS id, purge_started IS NOT NULL OR purged IS NOT NULL AS gone FROM clips
WHERE mark_plan = $plan AND (delete_after IS NOT NULL OR purge_started IS NOT NULL OR purged IS NOT NULL) ORDER BY id;

-- name: fitting
-- The clips that fit a condition.
SELECT id::VARCHAR AS id, purge_started IS NOT NULL OR purged IS NOT NULL AS gone FROM clips WHERE {condition} ORDER BY id;

-- name: holds
-- One row a hold, with how many of its clips it still keeps at `now`, and how many are gone: an ordinary one does not stand against an erasure.
SELECT hold AS id, kind, arg_min(actor_id, position) AS actor_id, arg_max(reason, position) AS reason, min(placed) AS placed,
    max(until) AS until, max(review) AS review, max(released) AS released, arg_max(release_reason, released) AS release_reason,
    count(*)::BIGINT AS clips, count(*) FILTER (released IS NULL)::BIGINT AS unreleased,
    count(*) FILTER (released IS NULL AND (until IS NULL OR until > $now) AND purged IS NULL)::BIGINT AS standing,
    count(*) FILTER (released IS NULL AND purged IS NOT NULL)::BIGINT AS gone
FROM holds LEFT JOIN (SELECT id AS clip, purged FROM clips) USING (clip) WHERE renewed IS NULL AND ($id IS NULL OR ends_with(hold, $id))
GROUP BY hold, kind ORDER BY min(position);

-- name: on
-- The clips that a hold was placed on and not taken off.
SELECT clip::VARCHAR FROM holds WHERE hold = $hold AND released IS NULL AND renewed IS NULL ORDER BY clip;

-- name: overdue
-- Legal holds that nobody looked at again in time: how many, and since when the oldest waits.
SELECT count(DISTINCT hold)::BIGINT, min(review) FROM holds WHERE kind = 'legal' AND released IS NULL AND renewed IS NULL AND review <= $now
    AND clip NOT IN (SELECT id FROM clips WHERE purged IS NOT NULL);

-- name: of
-- The holds that a clip was ever under, one row for each time that one was placed.
SELECT hold, kind, actor_id, placed, until, review, reason, released, released_by, release_reason, renewed,
    lag(renewed) OVER (PARTITION BY hold ORDER BY position) IS NOT NULL AS is_renewal,
    released IS NULL AND renewed IS NULL AND (until IS NULL OR until > $now) AS stands
FROM holds WHERE clip = $clip::UUID ORDER BY position;
