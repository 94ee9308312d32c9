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
    data VARCHAR NOT NULL,
    sealed BLOB,
    digest BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS log.batches (
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    digest BLOB NOT NULL,
    previous BLOB NOT NULL,
    bytes BIGINT NOT NULL,
    drained TIMESTAMPTZ NOT NULL
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
COMMENT ON COLUMN log.batches.digest IS 'SHA-256 over the previous digest and those of the events, in order.';
COMMENT ON COLUMN log.batches.previous IS 'Digest of the batch before; 32 zero bytes for the first.';
COMMENT ON COLUMN log.batches.bytes IS 'Acknowledged bytes of its events.';
COMMENT ON COLUMN log.batches.drained IS 'When the batch was written here.';

-- name: last
-- Where the log ends: the position and digest of its newest event.
SELECT position, digest FROM log.events ORDER BY position DESC LIMIT 1;

-- name: chain_head
-- The digest that the next batch builds on.
SELECT digest FROM log.batches ORDER BY last DESC LIMIT 1;

-- name: append
INSERT INTO log.events BY NAME SELECT * FROM arrived ORDER BY position;

-- name: append_batch
INSERT INTO log.batches VALUES (?, ?, ?, ?, ?, ?);

-- name: next_batches
-- The batches after a position, to be folded in pieces that fit into memory.
SELECT last, bytes FROM log.batches WHERE last > ? ORDER BY last LIMIT 10000;

-- name: after
-- The next events in order, for projections and subscriptions.
SELECT position, id::VARCHAR AS id, source, type, subject, time, recorded, actor, version, data, sealed
FROM log.events WHERE position > ? AND position <= ? ORDER BY position;
