-- name: relation
-- One row a weekly report that was written.
CREATE TABLE folded.reports (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    week VARCHAR NOT NULL,
    revision INTEGER,
    closed BOOLEAN,
    through BIGINT,
    head VARCHAR,
    head_position BIGINT,
    "by" VARCHAR,
    channels VARCHAR[]
);
CREATE MACRO reports_at(p) AS TABLE SELECT * FROM folded.reports WHERE position <= p;
CREATE VIEW reports AS FROM folded.reports;

-- name: fold
INSERT INTO catalog.folded.reports BY NAME
SELECT position, time, subject AS week,
    unnest(json_transform(data, '{"revision":"INTEGER","closed":"BOOLEAN","through":"BIGINT","head":"VARCHAR","head_position":"BIGINT",
        "by":"VARCHAR","channels":["VARCHAR"]}'))
FROM folding WHERE type = 'ReportPublished' ORDER BY position;

-- name: comments
COMMENT ON VIEW reports IS 'One row a weekly report that was written.';
COMMENT ON COLUMN reports.position IS 'Place of the event in the log.';
COMMENT ON COLUMN reports.time IS 'When it was written.';
COMMENT ON COLUMN reports.week IS 'ISO week, such as 2026-W47.';
COMMENT ON COLUMN reports.revision IS 'How often the week''s report had been written, with this one.';
COMMENT ON COLUMN reports.closed IS 'Whether the week was over.';
COMMENT ON COLUMN reports.through IS 'Position of the log that the report goes up to.';
COMMENT ON COLUMN reports.head IS 'Chain head that the report prints, hex; NULL in the first reports.';
COMMENT ON COLUMN reports.head_position IS 'Last position under that head.';
COMMENT ON COLUMN reports."by" IS 'What for: schedule and send = the week''s report; hand = to be looked at; erasure = made anew without what was forgotten.';
COMMENT ON COLUMN reports.channels IS 'Where it goes beside its folder: bucket, mail, webhook.';
