-- name: places
-- Where the audio of these clips lies, whose it is, and what condemned them.
SELECT id::VARCHAR AS id, bucket, key, path, bytes, coalesce(mark_plan, '') AS plan, coalesce(mark_rule, '') AS rule, actor_id
FROM clips WHERE id IN (SELECT unnest($ids::UUID[])) ORDER BY id;

-- name: kept
-- Clips that were purged, and of which old versions still hold bytes.
SELECT clip::VARCHAR FROM purges WHERE kept_bytes > 0 AND restored IS NULL ORDER BY clip;

-- name: standing
-- The clips that a plan has marked and whose marks stand; with those for which it is too late.
SELECT id::VARCHAR AS id, purge_started IS NOT NULL OR purged IS NOT NULL AS gone FROM clips
WHERE mark_plan = $plan AND (delete_after IS NOT NULL OR purge_started IS NOT NULL OR purged IS NOT NULL) ORDER BY id;

-- name: marked
-- Whether a plan has ever marked anything.
SELECT EXISTS (FROM marks WHERE plan = $plan);
