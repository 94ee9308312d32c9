-- name: head
-- The last position of the log, 0 when it is empty.
SELECT coalesce(max(position), 0) FROM events;

-- name: page_end
-- The last position of the next page: so many positions, or fewer when they hold more than so many bytes; always one.
SELECT coalesce(min(position) FILTER (bytes >= $bytes), max(position))
FROM (SELECT position, sum(strlen(data) + coalesce(octet_length(sealed), 0)) OVER (ORDER BY position) AS bytes
    FROM events WHERE position > $after AND position <= $after + $size);

-- name: page
-- The events between two positions that are of the types and times asked for. Times in µs since 1970.
SELECT position, id::VARCHAR AS id, source, type, subject, epoch_us(time) AS time, epoch_us(recorded) AS recorded, actor,
    version, data, sealed
FROM events
WHERE position > $after AND position <= $end
    AND (len($types::VARCHAR[]) = 0 OR list_contains($types::VARCHAR[], type))
    AND time >= make_timestamptz($since) AND time < make_timestamptz($until)
ORDER BY position;

-- name: by_position
-- The event at a position.
SELECT position, id::VARCHAR AS id, source, type, subject, epoch_us(time) AS time, epoch_us(recorded) AS recorded, actor,
    version, data, sealed
FROM events WHERE position = $position;

-- name: by_id
-- The event with an id.
SELECT position, id::VARCHAR AS id, source, type, subject, epoch_us(time) AS time, epoch_us(recorded) AS recorded, actor,
    version, data, sealed
FROM events WHERE id = $id::UUID;

-- name: known
-- Which of these ids the log holds.
SELECT id::VARCHAR FROM events SEMI JOIN (SELECT unnest($ids::UUID[]) AS id) USING (id);

-- name: counts
-- How many events of each type and version the log holds.
SELECT type, version, count(*) AS events FROM events GROUP BY ALL;
