-- name: relation
-- One row an event that another side refused for good.
CREATE TABLE folded.deliveries (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    event VARCHAR NOT NULL,
    subscription VARCHAR,
    refused_type VARCHAR,
    field VARCHAR,
    reason VARCHAR
);
CREATE MACRO deliveries_at(p) AS TABLE SELECT * FROM folded.deliveries WHERE position <= p;
CREATE VIEW deliveries AS FROM folded.deliveries;

-- name: fold
INSERT INTO catalog.folded.deliveries BY NAME
SELECT position, time, subject AS event,
    unnest(json_transform(data, '{"subscription":"VARCHAR","refused_type":"VARCHAR","field":"VARCHAR","reason":"VARCHAR"}'))
FROM folding WHERE type = 'DeliveryQuarantined' ORDER BY position;

-- name: comments
COMMENT ON VIEW deliveries IS 'One row an event that a subscription''s other side refused for good.';
COMMENT ON COLUMN deliveries.position IS 'Place in the log of the event that says so.';
COMMENT ON COLUMN deliveries.time IS 'When it was refused.';
COMMENT ON COLUMN deliveries.event IS 'Id of the refused event.';
COMMENT ON COLUMN deliveries.subscription IS 'Which subscription.';
COMMENT ON COLUMN deliveries.refused_type IS 'Type of the refused event.';
COMMENT ON COLUMN deliveries.field IS 'Field that was refused.';
COMMENT ON COLUMN deliveries.reason IS 'What the other side said.';
