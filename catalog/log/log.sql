-- name: schema
-- The log: every event in order, and the batches it arrived in, chained by their digests.
CREATE TABLE IF NOT EXISTS log.events (
    position BIGINT NOT NULL,
    id UUID NOT NULL,
    source VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    recorded TIMESTAMPTZ NOT NULL,
    actor VARCHAR NOT NULL,
    version SMALLINT NOT NULL,
    data VARCHAR NOT NULL USING COMPRESSION zstd,
    sealed BLOB USING COMPRESSION uncompressed,
    digest BLOB NOT NULL USING COMPRESSION uncompressed
);
CREATE TABLE IF NOT EXISTS log.batches (
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    digest BLOB NOT NULL,
    previous BLOB NOT NULL,
    bytes BIGINT NOT NULL,
    drained TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS log.epochs (
    epoch VARCHAR NOT NULL,
    first BIGINT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    reason VARCHAR NOT NULL,
    lost_first BIGINT,
    lost_last BIGINT
);
COMMENT ON TABLE log.events IS 'Every event as it was acknowledged, in order; never rewritten.';
COMMENT ON COLUMN log.events.position IS 'Place in the log of this node, from 1, without gaps.';
COMMENT ON COLUMN log.events.id IS 'UUIDv7 of the event.';
COMMENT ON COLUMN log.events.source IS 'Node and epoch that acknowledged it.';
COMMENT ON COLUMN log.events.type IS 'What happened, in the past tense.';
COMMENT ON COLUMN log.events.subject IS 'What it happened to: a clip''s id, a week, an event''s id.';
COMMENT ON COLUMN log.events.time IS 'When it happened.';
COMMENT ON COLUMN log.events.recorded IS 'When it was acknowledged; never goes back.';
COMMENT ON COLUMN log.events.actor IS 'Opaque id of who did it.';
COMMENT ON COLUMN log.events.version IS 'Version of the event type.';
COMMENT ON COLUMN log.events.data IS 'JSON of what may leave the house: numbers, categories, opaque ids.';
COMMENT ON COLUMN log.events.sealed IS 'The personal fields, AES-256-GCM under the actor''s key.';
COMMENT ON COLUMN log.events.digest IS 'SHA-256 of the acknowledged bytes.';
COMMENT ON TABLE log.batches IS 'The batches in which events reached the log, each chained to the one before.';
COMMENT ON COLUMN log.batches.first IS 'First position of the batch.';
COMMENT ON COLUMN log.batches.last IS 'Last position of the batch.';
COMMENT ON COLUMN log.batches.digest IS 'The chain after its last event: event by event, SHA-256 over the digest before and that of the event.';
COMMENT ON COLUMN log.batches.previous IS 'Digest of the batch before; 32 zero bytes for the first.';
COMMENT ON COLUMN log.batches.bytes IS 'Acknowledged bytes of its events.';
COMMENT ON COLUMN log.batches.drained IS 'When the batch was written here.';
COMMENT ON TABLE log.epochs IS 'The stretches of positions that one journal gave: a restored, cloned or new one begins the next.';
COMMENT ON COLUMN log.epochs.epoch IS 'Name of the epoch; the end of `source` in its events.';
COMMENT ON COLUMN log.epochs.first IS 'Its first position.';
COMMENT ON COLUMN log.epochs.since IS 'When it began.';
COMMENT ON COLUMN log.epochs.reason IS 'created, restored, truncated, recreated or cloned.';
COMMENT ON COLUMN log.epochs.lost_first IS 'First position that was acknowledged before and is lost; NULL when nothing is.';
COMMENT ON COLUMN log.epochs.lost_last IS 'Last position that is lost.';

-- name: last
-- Where the log ends: the position and digest of its newest event.
SELECT position, digest FROM log.events WHERE position = (SELECT max(position) FROM log.events) LIMIT 1;

-- name: counts
-- How many events there are, and how many positions are known to be lost.
SELECT (SELECT count(*) FROM log.events),
    (SELECT coalesce(sum(lost_last - lost_first + 1), 0)::BIGINT FROM log.epochs WHERE lost_first IS NOT NULL);

-- name: missing
-- Positions that should be here and are not.
SELECT places.range AS position FROM range(1, $last + 1) AS places
ANTI JOIN log.events AS events ON events.position = places.range
WHERE NOT EXISTS (SELECT 1 FROM log.epochs AS epochs WHERE places.range BETWEEN epochs.lost_first AND epochs.lost_last)
ORDER BY position;

-- name: digest_at
SELECT digest FROM log.events WHERE position = ?;

-- name: newest_source
-- Which node and epoch wrote the newest event.
SELECT source FROM log.events WHERE position = (SELECT max(position) FROM log.events) LIMIT 1;

-- name: chain_head
-- The digest that the next batch builds on.
SELECT digest, last FROM log.batches WHERE last = (SELECT max(last) FROM log.batches) LIMIT 1;

-- name: append
INSERT INTO log.events BY NAME SELECT * FROM arrived ORDER BY position;

-- name: append_epoch
INSERT INTO log.epochs SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM log.epochs WHERE epoch = $1);

-- name: append_batch
INSERT INTO log.batches VALUES (?, ?, ?, ?, ?, ?);

-- name: next_batches
-- The batches after a position, to be folded in pieces that fit into memory.
SELECT last, bytes FROM log.batches WHERE last > ? ORDER BY last LIMIT 1000;

-- name: after
-- The next events in order, for projections and subscriptions.
SELECT position, id::VARCHAR AS id, source, type, subject, time, recorded, actor, version, data, sealed
FROM log.events WHERE position > ? AND position <= ? ORDER BY position;

-- name: at
-- The last position that was recorded by a moment; 0 before the first event.
SELECT coalesce(max(position), 0) AS position FROM log.events WHERE recorded <= ?;

-- name: last_batch
-- Where the log ends, from the few rows that say so.
SELECT max(last) FROM log.batches;

-- name: subject_at
SELECT TRY_CAST(subject AS UUID)::VARCHAR FROM log.events WHERE position = ?;
