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

-- Tables that are no metrics.

-- name: first_seen
-- When each actor had the first generation of all; two columns, and the only read that goes beyond the period.
SELECT actor_id, min(time) AS first_seen FROM generations WHERE time < $stop GROUP BY actor_id;
