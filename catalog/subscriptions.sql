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
