-- name: of_actor
-- The events of one actor in a stretch of the log that Mixpanel hears of.
SELECT position, id::VARCHAR AS id, type, subject, epoch_us(time) AS time_us, actor, version, data FROM events
WHERE actor = $actor AND position > $after AND position <= $last AND type IN (SELECT unnest($types::VARCHAR[]))
ORDER BY position;
