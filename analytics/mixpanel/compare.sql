-- name: local
-- What Mixpanel should have of some days, by event.
SELECT id::VARCHAR AS id, type, {variant} AS variant, CAST(time AT TIME ZONE 'UTC' AS DATE) AS day, actor, position > $cursor AS waiting,
    epoch(recorded) > $written AS late, id::VARCHAR IN (SELECT event FROM deliveries WHERE subscription = $name AND retried IS NULL) AS quarantined
FROM events
WHERE list_contains($types, type) AND time >= $first::TIMESTAMPTZ AND time < $stop::TIMESTAMPTZ;
