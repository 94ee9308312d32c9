-- name: since
-- The last position that was recorded before a moment; 0 when none was.
SELECT coalesce(min(position) FILTER (recorded >= $since) - 1, max(position), 0)::BIGINT FROM log.events;

-- name: passed
-- The end of the stretch of lost positions that begins right after a position; NULL when none does.
SELECT max(lost_last) FROM log.epochs WHERE $after + 1 BETWEEN lost_first AND lost_last;

-- name: page
-- The next page after a position: its last one, and how many events it holds. So many positions at most, or fewer when they
-- hold more than so many bytes; always one.
SELECT last, (SELECT count(*) FROM log.events WHERE position > $after AND position <= last) AS events
FROM (
    SELECT coalesce(min(position) FILTER (size >= $bytes), max(position)) AS last
    FROM (
        SELECT position, sum(strlen(data) + coalesce(octet_length(sealed), 0)) OVER (ORDER BY position) AS size
        FROM log.events WHERE position > $after AND position <= $last));

-- name: lost
-- How many positions of a stretch are known to be lost.
SELECT coalesce(sum(least(lost_last, $last) - lost_first + 1), 0)::BIGINT FROM log.epochs
WHERE lost_first > $after AND lost_first <= $last;

-- name: events
-- The events of a page that are of the types asked for. Times in µs since 1970.
SELECT position, id::VARCHAR AS id, source, type, subject, epoch_us(time) AS time, epoch_us(recorded) AS recorded, actor,
    version, data, sealed
FROM log.events
WHERE position > $after AND position <= $last
    AND (len($types::VARCHAR[]) = 0 OR list_contains($types::VARCHAR[], type))
ORDER BY position;
