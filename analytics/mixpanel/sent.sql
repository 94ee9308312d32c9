-- name: of_actor
-- The next events of one actor that Mixpanel hears of, up to where delivery has come.
SELECT position, id::VARCHAR AS id, type, subject, epoch_us(time) AS time_us, actor, version, data FROM events
WHERE actor = $actor AND position > $after AND position <= $last AND type IN (SELECT unnest($types::VARCHAR[]))
ORDER BY position LIMIT $limit;
