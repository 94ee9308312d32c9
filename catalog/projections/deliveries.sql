-- name: relation
-- One row an event that another side refused for good, and one that it took such an event after all.
CREATE TABLE folded.deliveries (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    event VARCHAR NOT NULL,
    taken BOOLEAN NOT NULL,
    subscription VARCHAR,
    refused_type VARCHAR,
    field VARCHAR,
    reason VARCHAR
);
CREATE MACRO deliveries_at(p) AS TABLE
SELECT position, time, event, subscription, refused_type, field, reason, retried
FROM (SELECT * FROM folded.deliveries WHERE NOT taken AND position <= p)
LEFT JOIN (
    SELECT event, subscription, max(time) AS retried
    FROM folded.deliveries WHERE taken AND position <= p GROUP BY ALL
) USING (event, subscription);
CREATE VIEW deliveries AS FROM deliveries_at(9223372036854775807);

-- name: fold
INSERT INTO catalog.folded.deliveries BY NAME
SELECT position, time, subject AS event, type = 'DeliveryRetried' AS taken,
    unnest(json_transform(data, '{"subscription":"VARCHAR","refused_type":"VARCHAR","field":"VARCHAR","reason":"VARCHAR"}'))
FROM folding WHERE type IN ('DeliveryQuarantined', 'DeliveryRetried') ORDER BY position;

-- name: comments
COMMENT ON VIEW deliveries IS 'One row an event that a subscription''s other side refused for good.';
COMMENT ON COLUMN deliveries.position IS 'Place in the log of the event that says so.';
COMMENT ON COLUMN deliveries.time IS 'When it was refused.';
COMMENT ON COLUMN deliveries.event IS 'Id of the refused event.';
COMMENT ON COLUMN deliveries.subscription IS 'Which subscription.';
COMMENT ON COLUMN deliveries.refused_type IS 'Type of the refused event.';
COMMENT ON COLUMN deliveries.field IS 'Field that was refused.';
COMMENT ON COLUMN deliveries.reason IS 'What the other side said.';
COMMENT ON COLUMN deliveries.retried IS 'When it was sent again and taken; NULL = it is in quarantine.';
