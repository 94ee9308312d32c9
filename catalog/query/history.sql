-- name: history
-- Everything that was ever recorded about one clip, in order.
SELECT position, id::VARCHAR AS id, source, type, time, recorded, actor, version, data, sealed
FROM events WHERE subject = $clip ORDER BY position;

-- name: record
-- The event that made a clip.
SELECT position, id::VARCHAR AS id, source, type, time, recorded, actor, version, data, sealed
FROM events WHERE position = (SELECT position FROM clips WHERE id = $clip::UUID);

-- name: newest
-- The newest events about one clip, before a position.
SELECT position, id::VARCHAR AS id, source, type, time, recorded, actor, version, data, sealed
FROM events WHERE subject = $clip AND position < $before ORDER BY position DESC LIMIT $limit;
