-- name: clips
-- Clips that are uploaded again.
SELECT {columns}, channels FROM clips WHERE id IN (SELECT unnest($clips::UUID[]));

-- name: begun
-- The events that they began with, whole.
SELECT id::VARCHAR AS id, source, type, subject, time, position, recorded, actor, version, data, sealed
FROM events WHERE position IN (SELECT position FROM clips WHERE id IN (SELECT unnest($clips::UUID[])));
