-- name: attempts
-- The generations of a period, one row each, with what the metrics and their groups need.
SELECT time, outcome, actor_id, actor, channel, features, engine, language, emotion, emotion_effective, duration_us, queue_us,
    synthesis_us, saved_us, failure, stage, 1::BIGINT AS attempts
FROM generations WHERE time >= $start AND time < $stop
ORDER BY position;

-- name: rollup
-- The generations of a period, summed for each outcome and actor: all that metrics without `rows` need.
SELECT outcome, actor_id, count(*) AS attempts, coalesce(sum(duration_us), 0)::BIGINT AS duration_us,
    coalesce(sum(saved_us), 0)::BIGINT AS saved_us
FROM generations WHERE time >= $start AND time < $stop
GROUP BY ALL ORDER BY ALL;

-- name: first_seen
-- When each actor had the first generation of all; two columns, and the only read that goes beyond the period.
SELECT actor_id, min(time) AS first_seen FROM generations WHERE time < $stop GROUP BY actor_id;

-- name: storage_flow
-- What came and what went in a period.
SELECT * , added_bytes - purged_bytes AS net_bytes FROM (
    SELECT count(*) FILTER (created >= $start AND created < $stop) AS added_clips,
        coalesce(sum(bytes) FILTER (created >= $start AND created < $stop), 0)::BIGINT AS added_bytes,
        count(*) FILTER (purged >= $start AND purged < $stop) AS purged_clips,
        coalesce(sum(bytes) FILTER (purged >= $start AND purged < $stop), 0)::BIGINT AS purged_bytes
    FROM clips WHERE (created >= $start AND created < $stop) OR (purged >= $start AND purged < $stop));

-- name: storage_present
-- What lies where at present.
SELECT count(*) FILTER (stored IS NOT NULL) AS stored_clips,
    coalesce(sum(bytes) FILTER (stored IS NOT NULL), 0)::BIGINT AS stored_bytes,
    count(*) FILTER (stored IS NULL AND upload_failure IS NULL) AS waiting_clips,
    coalesce(sum(bytes) FILTER (stored IS NULL AND upload_failure IS NULL), 0)::BIGINT AS waiting_bytes,
    min(created) FILTER (stored IS NULL AND upload_failure IS NULL) AS waiting_since,
    count(*) FILTER (stored IS NULL AND upload_failure IS NOT NULL) AS refused_clips,
    count(*) FILTER (delete_after IS NOT NULL) AS marked_clips,
    coalesce(sum(bytes) FILTER (delete_after IS NOT NULL), 0)::BIGINT AS marked_bytes
FROM clips WHERE purge_started IS NULL AND purged IS NULL;
