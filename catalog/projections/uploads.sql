-- name: relation
-- One row a final answer of the store to an upload.
CREATE TABLE folded.uploads (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    actor_id VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    bucket VARCHAR,
    bytes BIGINT,
    etag VARCHAR,
    attempts INTEGER,
    transfer_us BIGINT,
    waited_us BIGINT,
    failure VARCHAR
);
CREATE MACRO uploads_at(p) AS TABLE
SELECT position, time, clip, actor_id, outcome, bucket, bytes, etag, attempts, transfer_us, waited_us, failure
FROM folded.uploads WHERE position <= p;
CREATE VIEW uploads AS
SELECT position, time, clip, actor_id, outcome, bucket, bytes, etag, attempts, transfer_us, waited_us, failure
FROM folded.uploads;

-- name: fold
INSERT INTO catalog.folded.uploads BY NAME
SELECT position, time, clip, actor_id, CASE kind WHEN 'AudioStored' THEN 'stored' ELSE 'refused' END AS outcome, bucket, bytes, etag,
    attempts, transfer_us, waited_us, failure
FROM steps WHERE kind IN ('AudioStored', 'AudioUploadFailed') ORDER BY position;

-- name: comments
COMMENT ON VIEW uploads IS 'One row a final answer of the store to an upload.';
COMMENT ON COLUMN uploads.position IS 'Place of the event in the log.';
COMMENT ON COLUMN uploads.time IS 'When the answer came.';
COMMENT ON COLUMN uploads.clip IS 'Which clip.';
COMMENT ON COLUMN uploads.actor_id IS 'Opaque id of who uploaded.';
COMMENT ON COLUMN uploads.outcome IS 'stored or refused.';
COMMENT ON COLUMN uploads.bucket IS 'Bucket of the store.';
COMMENT ON COLUMN uploads.bytes IS 'Size of the file; NULL when it was refused.';
COMMENT ON COLUMN uploads.etag IS 'ETag the store gave; NULL when it was refused.';
COMMENT ON COLUMN uploads.attempts IS 'Attempts it took.';
COMMENT ON COLUMN uploads.transfer_us IS 'Time of the transfer, microseconds.';
COMMENT ON COLUMN uploads.waited_us IS 'Waiting before the transfer, microseconds.';
COMMENT ON COLUMN uploads.failure IS 'Why the store refused it; NULL when it did not.';
