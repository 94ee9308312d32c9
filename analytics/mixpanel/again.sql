-- name: open
-- The events in quarantine, each with the newest reason.
SELECT event, max(position) AS said, max(time) AS since, arg_max(refused_type, position) AS type,
    arg_max(field, position) AS field, arg_max(reason, position) AS reason
FROM deliveries WHERE subscription = $name AND retried IS NULL GROUP BY event

-- name: reasons
-- What Mixpanel has refused, by reason.
SELECT type, field, reason, count(*) AS events, min(since) AS first, max(since) AS last FROM ({open}) GROUP BY ALL ORDER BY events DESC, type, field, reason;

-- name: count
SELECT count(*) FROM ({open});

-- name: quarantined
-- The newest events in quarantine.
SELECT event, refused.type, since, field, reason, events.time
FROM ({open}) AS refused JOIN events ON events.id = event::UUID
ORDER BY said DESC LIMIT $limit;

-- name: retry
-- The next events in quarantine, to be sent again, and what was said of them.
SELECT position, id::VARCHAR AS id, events.type, subject, epoch_us(time) AS time_us, actor, version, data, field, reason
FROM ({open}) JOIN events ON events.id = event::UUID
WHERE position > $after AND position <= $last ORDER BY position LIMIT $limit;

-- name: backfill
-- The events of a stretch since a moment that Mixpanel hears of, without those in quarantine.
SELECT position, id::VARCHAR AS id, type, subject, epoch_us(time) AS time_us, actor, version, data FROM events
WHERE position > $after AND position <= $last AND time >= $since::TIMESTAMPTZ AND list_contains($types, type)
    AND id NOT IN (SELECT event::UUID FROM ({open}))
ORDER BY position;

-- name: backfill_count
-- How many there are, and where they begin.
SELECT count(*), min(position) FROM events
WHERE position > $after AND position <= $last AND time >= $since::TIMESTAMPTZ AND list_contains($types, type);

-- name: waiting
-- What waits behind the cursor, by type and actor, and since when.
SELECT type, actor, count(*) AS events, min(time) AS oldest FROM events WHERE position > $after GROUP BY ALL ORDER BY events DESC, type, actor;
