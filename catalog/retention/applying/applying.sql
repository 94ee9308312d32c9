-- name: places
-- Where the audio of these clips lies, whose it is, what condemned them, and whether the store ever had it.
SELECT id::VARCHAR AS id, bucket, key, path, bytes, coalesce(mark_plan, '') AS plan, coalesce(mark_rule, '') AS rule, actor_id,
    stored IS NOT NULL AS stored
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

-- name: named
-- Clips whose id ends with these hex digits; two at least when there are several.
SELECT id::VARCHAR FROM clips WHERE ends_with(replace(id::VARCHAR, '-', ''), $digits) LIMIT 2;

-- name: taken
-- The clips that a plan has marked or taken, and that are not back.
SELECT id::VARCHAR FROM clips WHERE mark_plan = $plan ORDER BY id;

-- name: absent
-- What is needed to bring these clips back.
SELECT {columns}, channels, actor_id, position, coalesce(mark_plan, '') AS mark_plan,
    delete_after IS NOT NULL AND purge_started IS NULL AND purged IS NULL AS marked,
    purge_started IS NOT NULL OR purged IS NOT NULL AS purging, missing IS NOT NULL AS lost, stored IS NOT NULL AS was_stored,
    legal_holds > 0 AS held, emotion_sha256
FROM clips WHERE id IN (SELECT unnest($ids::UUID[])) ORDER BY id;

-- name: begun
-- The event that a clip began with, whole.
SELECT id::VARCHAR AS id, source, type, subject, time, position, recorded, actor, version, data, sealed
FROM events WHERE position = $position;

-- name: erased
-- Whether somebody to whom a clip belongs, or whose voice or emotion it has, was erased after it was made, and whether that was asked for.
SELECT coalesce(bool_or(type = 'SubjectErased'), false), count(*) > 0 FROM events
WHERE type IN ('SubjectErased', 'ErasureRequested') AND position > $position
    AND data::JSON ->> 'target' IN ($actor, $voice, $emotion);

-- name: twins
-- Other clips with the same bytes that the store has.
SELECT bucket, key FROM clips WHERE sha256 = $sha256 AND id <> $id::UUID AND key IS NOT NULL AND stored IS NOT NULL
    AND missing IS NULL AND purge_started IS NULL AND purged IS NULL LIMIT 5;
