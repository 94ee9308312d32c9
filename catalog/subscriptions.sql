-- name: batch
-- The next events after a position, none beyond the last one asked for and none beyond a number of bytes, but always one.
SELECT position, id::VARCHAR, type, subject, epoch_us(time), actor, version, data
FROM (
    SELECT position, id, type, subject, time, actor, version, data,
        sum(strlen(data)) OVER (ORDER BY position) AS size
    FROM log.events
    WHERE position > $after AND position <= $last)
WHERE size <= $bytes OR position = $after + 1
ORDER BY position;

-- name: raw
-- The same, with the content of some types only.
SELECT position, id::VARCHAR AS id, type, subject, epoch_us(time) AS time_us, actor, version, CASE WHEN list_contains($types, type) THEN data END AS data
FROM (
    SELECT position, id, type, subject, time, actor, version, data,
        sum(strlen(data)) OVER (ORDER BY position) AS size
    FROM log.events
    WHERE position > $after AND position <= $last)
WHERE size <= $bytes OR position = $after + 1
ORDER BY position;

-- name: passed
-- The end of the stretch of lost positions that begins right after a position; NULL when none does.
SELECT max(lost_last) FROM log.epochs WHERE $after + 1 BETWEEN lost_first AND lost_last;

-- name: lost
-- How many positions of a stretch are known to be lost.
SELECT coalesce(sum(least(lost_last, $last) - lost_first + 1), 0)::BIGINT FROM log.epochs
WHERE lost_first > $after AND lost_first <= $last;
