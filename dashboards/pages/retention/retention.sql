-- name: standing
-- What is marked, what of it is due, what is held, and how much there is at all. An ordinary hold or pin may have ended by itself.
SELECT count(*) FILTER (marked) AS marked, coalesce(sum(bytes) FILTER (marked), 0)::BIGINT AS marked_bytes,
    count(*) FILTER (marked AND delete_after <= $now) AS due, coalesce(sum(bytes) FILTER (marked AND delete_after <= $now), 0)::BIGINT AS due_bytes,
    min(delete_after) FILTER (marked AND delete_after > $now) AS next, count(*) FILTER (held) AS held,
    coalesce(sum(bytes) FILTER (held), 0)::BIGINT AS held_bytes, count(*) FILTER (pin) AS pinned, count(*) AS clips,
    coalesce(sum(bytes), 0)::BIGINT AS bytes
FROM (
    SELECT bytes, delete_after, delete_after IS NOT NULL AND purge_started IS NULL AS marked,
        legal_holds > 0 OR holds > 0 AND (held_until IS NULL OR held_until > $now) AS held,
        pinned AND (pinned_until IS NULL OR pinned_until > $now) AS pin
    FROM clips WHERE purged IS NULL
);

-- name: gone
-- What was deleted lately.
SELECT count(*) AS clips, coalesce(sum(bytes), 0)::BIGINT AS bytes FROM clips WHERE purged >= $since;

-- name: clips
-- What is shown of clips.
SELECT id::VARCHAR AS clip, name, left(text, 200) AS text, voice, actor, language, emotion, duration_us, bytes, created, last_used,
    plays + reuses AS uses, rating, pinned AND (pinned_until IS NULL OR pinned_until > now()) AS pinned, state, purge_started, purged,
    state IN ('purging', 'purged') AS gone
FROM clips WHERE id IN (SELECT unnest($ids::UUID[]));

-- name: among
-- The halves of the ids of clips that fit.
SELECT (id::UHUGEINT >> 64)::UBIGINT AS high, (id::UHUGEINT & 18446744073709551615)::UBIGINT AS low FROM clips
WHERE purged IS NULL AND ($voice IS NULL OR voice = $voice) AND ($actor IS NULL OR actor = $actor);

-- name: words
-- The voices and actors that most clips have.
SELECT list(value ORDER BY clips DESC, value)[:100] AS found FROM (
    SELECT {column} AS value, count(*) AS clips FROM clips WHERE purged IS NULL AND {column} IS NOT NULL GROUP BY value
);

-- name: last_plan
-- The plan that was applied last: how much it condemned.
SELECT plan, time, clips, bytes FROM plans ORDER BY position DESC LIMIT 1;

-- name: applied
-- The plans that were applied last, each once, with whoever did it.
SELECT plan, max(position) AS position, max(time) AS time, arg_max(actor_id, position) AS actor_id, max(clips) AS clips, max(bytes) AS bytes,
    max(run) AS run, arg_max(policy, position) AS policy
FROM plans WHERE $before IS NULL OR position < $before GROUP BY plan ORDER BY position DESC LIMIT $limit;

-- name: of_plans
-- What became of the clips that plans have marked.
SELECT mark_plan AS plan, count(*) FILTER (delete_after IS NOT NULL AND purge_started IS NULL AND purged IS NULL) AS standing,
    coalesce(sum(bytes) FILTER (delete_after IS NOT NULL AND purge_started IS NULL AND purged IS NULL), 0)::BIGINT AS standing_bytes,
    min(delete_after) FILTER (delete_after IS NOT NULL AND purge_started IS NULL AND purged IS NULL) AS goes,
    count(*) FILTER (purged IS NOT NULL) AS gone, coalesce(sum(bytes) FILTER (purged IS NOT NULL), 0)::BIGINT AS gone_bytes
FROM clips WHERE mark_plan IN (SELECT unnest($plans::VARCHAR[])) GROUP BY mark_plan;

-- name: deleted
-- Clips whose audio was deleted, the newest of them first.
SELECT id::VARCHAR AS clip, purged, mark_rule AS rule, mark_plan AS plan, key IS NULL AS erased FROM clips
WHERE purged IS NOT NULL AND ($purged IS NULL OR purged < $purged OR purged = $purged AND id < $id::UUID)
ORDER BY purged DESC, id DESC LIMIT $limit;

-- name: fitting
-- How much a condition means.
SELECT count(*) AS clips, coalesce(sum(bytes), 0)::BIGINT AS bytes FROM clips
WHERE purge_started IS NULL AND purged IS NULL AND (
{condition}
);

-- name: held
-- Clips that a hold keeps.
SELECT clip::VARCHAR AS clip FROM holds WHERE hold = $hold AND released IS NULL AND renewed IS NULL ORDER BY clip LIMIT $limit;
