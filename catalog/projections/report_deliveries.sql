-- name: relation
-- One row a report that a channel took, or that is not sent there by itself any more.
CREATE TABLE folded.report_deliveries (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    week VARCHAR NOT NULL,
    revision INTEGER,
    channel VARCHAR,
    outcome VARCHAR,
    failure VARCHAR,
    attempts INTEGER,
    elapsed_us BIGINT,
    waited_us BIGINT
);
CREATE MACRO report_deliveries_at(p) AS TABLE SELECT * FROM folded.report_deliveries WHERE position <= p;
CREATE VIEW report_deliveries AS FROM folded.report_deliveries;

-- name: fold
INSERT INTO catalog.folded.report_deliveries BY NAME
SELECT position, time, week, revision, channel, coalesce(outcome, 'delivered') AS outcome, failure, attempts, elapsed_us, waited_us
FROM (
    SELECT position, time, subject AS week,
        unnest(json_transform(data, '{"revision":"INTEGER","channel":"VARCHAR","outcome":"VARCHAR","failure":"VARCHAR",
            "attempts":"INTEGER","elapsed_us":"BIGINT","waited_us":"BIGINT"}'))
    FROM folding WHERE type IN ('ReportDelivered', 'ReportDeliveryFailed')
) ORDER BY position;

-- name: comments
COMMENT ON VIEW report_deliveries IS 'One row a report that a channel took, or that is not sent there by itself any more.';
COMMENT ON COLUMN report_deliveries.position IS 'Place of the event in the log.';
COMMENT ON COLUMN report_deliveries.time IS 'When that was known.';
COMMENT ON COLUMN report_deliveries.week IS 'ISO week, such as 2026-W47.';
COMMENT ON COLUMN report_deliveries.revision IS 'Which revision of the week''s report.';
COMMENT ON COLUMN report_deliveries.channel IS 'bucket, mail or webhook.';
COMMENT ON COLUMN report_deliveries.outcome IS 'delivered; else refused for good, given_up, unknown (it may have arrived), or elsewhere (another HOME of this node sends it).';
COMMENT ON COLUMN report_deliveries.failure IS 'A class, such as 550 or ConnectionRefused; NULL when it was delivered.';
COMMENT ON COLUMN report_deliveries.attempts IS 'How often it was tried.';
COMMENT ON COLUMN report_deliveries.elapsed_us IS 'How long the last try took, in microseconds.';
COMMENT ON COLUMN report_deliveries.waited_us IS 'How long after its publication it was delivered, in microseconds.';
