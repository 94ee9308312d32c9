-- The sources: one row each thing that is counted, between $start and $stop, with a `time` where it has one.

-- name: generations
-- The attempts to make a clip that ended in the period.
SELECT * FROM generations WHERE time >= $start AND time < $stop;

-- name: users
-- Who came and who stayed away: one row an actor in a stretch of time. $bounds are the moments at which the stretches begin, the
-- first of them that of the stretch before the period; $stretch is the number of the one a generation lies in, 0 for an earlier one.
WITH seen AS (
    SELECT actor_id, $stretch AS stretch FROM generations WHERE time < $stop GROUP BY ALL
), present AS (
    SELECT actor_id, stretch, lag(stretch) OVER stretches AS previous, lead(stretch) OVER stretches AS following
    FROM seen WINDOW stretches AS (PARTITION BY actor_id ORDER BY stretch)
)
SELECT actor_id, ($bounds)[stretch] AS time,
    CASE WHEN previous IS NULL THEN 'new' WHEN previous = stretch - 1 THEN 'retained' ELSE 'resurrected' END AS kind
FROM present WHERE stretch >= 2
UNION ALL
SELECT actor_id, ($bounds)[stretch + 1] AS time, 'lost' AS kind
FROM present WHERE stretch >= 1 AND stretch < len($bounds) AND following IS DISTINCT FROM stretch + 1;

-- name: adopters
-- Who took up a feature and who dropped it, by answered requests: one row an actor and feature. From $since on, eight weeks before the
-- period or more, only those are looked for that used a feature now and not in the period before, which begins at $before.
WITH used AS (
    SELECT actor_id, feature, bool_or(time >= $start) AS now, bool_or(time < $start) AS before
    FROM (SELECT actor_id, time, unnest(features) AS feature FROM generations
        WHERE time >= $before AND time < $stop AND outcome IN ('completed', 'reused'))
    GROUP BY ALL
), earlier AS (
    SELECT DISTINCT actor_id, unnest(features) AS feature FROM generations
    WHERE time >= $since AND time < $before AND outcome IN ('completed', 'reused')
        AND actor_id IN (SELECT actor_id FROM used WHERE now AND NOT before)
)
SELECT actor_id, [feature] AS features,
    CASE WHEN NOT now THEN 'dropped' WHEN before OR earlier.feature IS NOT NULL THEN 'returning' ELSE 'new' END AS kind
FROM used LEFT JOIN earlier USING (actor_id, feature);

-- name: reuses
-- The requests of the period that a clip answered that was there already, with what made that clip.
SELECT reused.* EXCLUDE (device, model), made.device, made.model, $device_price AS price
FROM generations AS reused LEFT JOIN clips AS made ON made.id = reused.clip
WHERE reused.time >= $start AND reused.time < $stop AND reused.outcome = 'reused';

-- name: clips
-- The clips made in the period, as they are now.
SELECT *, created AS time FROM clips WHERE created >= $start AND created < $stop;

-- name: plays
-- The times that somebody used a clip in the period.
SELECT * FROM plays WHERE time >= $start AND time < $stop;

-- name: uploads
-- The store's final answers in the period.
SELECT * FROM uploads WHERE time >= $start AND time < $stop;

-- name: storage
-- What came and what went in the period: a clip that was made and purged in it is there twice.
SELECT *, created AS time, 'added' AS flow FROM clips WHERE created >= $start AND created < $stop
UNION ALL
SELECT *, purged AS time, 'purged' AS flow FROM clips WHERE purged >= $start AND purged < $stop;

-- name: present
-- The clips that are there now, whatever the period.
SELECT * FROM clips WHERE purge_started IS NULL AND purged IS NULL;

-- name: costs
-- What the period cost, in millionths of the currency: room in the store by bucket (10^9 bytes for 30 days cost $gb_month), uploads by
-- bucket (a thousand cost $uploads), engine time by device. The audio that was made stands beside the engine time.
SELECT 'room' AS part, bucket AS item, 0::BIGINT AS audio_us,
    (sum(bytes::HUGEINT * (epoch_us(least(coalesce(purged, $stop), $stop)) - epoch_us(greatest(stored, $start)))) * $gb_month
        // (1000000000::HUGEINT * 30 * 86400 * 1000000))::BIGINT AS micro
FROM clips WHERE stored < $stop AND (purged IS NULL OR purged > $start) GROUP BY bucket
UNION ALL
SELECT 'uploads' AS part, bucket AS item, 0::BIGINT AS audio_us, (sum(attempts) * $uploads // 1000)::BIGINT AS micro
FROM uploads WHERE time >= $start AND time < $stop GROUP BY bucket
UNION ALL
SELECT 'engine' AS part, coalesce(device, 'unknown') AS item, audio_us, (engine_us * price // 3600000000)::BIGINT AS micro
FROM (
    SELECT device, sum(duration_us)::BIGINT AS audio_us, sum(synthesis_us + coalesce(load_us, 0))::HUGEINT AS engine_us,
        $device_price AS price
    FROM generations AS made WHERE time >= $start AND time < $stop AND outcome = 'completed' GROUP BY device);

-- Tables that are no metrics.

-- name: cohorts
-- In which week actors came first ($bounds are the weeks' beginnings, $stretch the number of a generation's week, 0 for an earlier
-- one), and how many of them were there again so many weeks later.
WITH seen AS (
    SELECT actor_id, $stretch AS stretch FROM generations WHERE time < $stop GROUP BY ALL
), since AS (
    SELECT stretch, min(stretch) OVER (PARTITION BY actor_id) AS cohort FROM seen
)
SELECT ($labels)[cohort] AS cohort, stretch - cohort AS after, count(*) AS users,
    count(*) / max(count(*)) FILTER (stretch = cohort) OVER (PARTITION BY cohort) AS share
FROM since WHERE cohort >= 1 GROUP BY cohort, stretch ORDER BY cohort, stretch;

-- name: size
-- The size of the clips that were there at a moment, and when the first clip of all was made.
SELECT coalesce(sum(bytes) FILTER (purged IS NULL OR purged >= $stop), 0)::BIGINT AS bytes, min(created) AS earliest
FROM clips WHERE created < $stop;
