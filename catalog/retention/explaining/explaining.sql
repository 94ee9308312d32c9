-- name: whole
-- Whether there is a clip with this id.
SELECT true FROM clips WHERE id = $clip::UUID;

-- name: ending
-- Clips whose id ends like this; more than one means that people must say more.
SELECT id::VARCHAR FROM clips WHERE ends_with(replace(id::VARCHAR, '-', ''), $ending) LIMIT 2;

-- name: clip
-- What is known of a clip.
SELECT id::VARCHAR AS id, created, actor, session, name, voice, engine, language, emotion, adopted, bytes, key, plays, reuses, last_used,
    rating, ratings, coalesce((SELECT max(time) FROM ratings WHERE clip = $clip::UUID), created) AS rated,
    coalesce((SELECT time FROM events WHERE position = (
        SELECT max(position) FROM changes WHERE clip = $clip::UUID AND kind = 'ClipPinned')), created) AS pinned_at,
    CASE WHEN pinned_until IS NULL THEN pinned ELSE pinned_until > $now END AS pinned, pin_reason, pinned_until,
    pinned_by, held_until, state, mark_plan, mark_rule, delete_after, purge_started, purged, restored
FROM clips WHERE id = $clip::UUID;

-- name: marks
-- Every mark that it ever had.
SELECT marked, plan, rule, delete_after, ended, ending FROM marks WHERE clip = $clip::UUID ORDER BY position;

-- name: purges
-- Every purge of it, from the start to the store's answers, and its return.
SELECT started, purged, plan, rule, bytes, answer, versions, kept_bytes, failures, failure, restored, restored_from
FROM purges WHERE clip = $clip::UUID ORDER BY position;
