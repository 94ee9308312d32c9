-- name: relation
-- One row a time somebody used a clip.
CREATE TABLE folded.plays (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    actor_id VARCHAR NOT NULL,
    channel VARCHAR,
    purpose VARCHAR
);
CREATE MACRO plays_at(p) AS TABLE SELECT position, time, clip, actor_id, channel, purpose FROM folded.plays WHERE position <= p;
CREATE VIEW plays AS SELECT position, time, clip, actor_id, channel, purpose FROM folded.plays;

-- name: fold
INSERT INTO catalog.folded.plays BY NAME
SELECT position, time, clip, actor_id, channel, purpose FROM steps WHERE kind = 'AudioAccessed' ORDER BY position;

-- name: comments
COMMENT ON VIEW plays IS 'One row a time somebody played, fetched or linked a clip.';
COMMENT ON COLUMN plays.position IS 'Place of the event in the log.';
COMMENT ON COLUMN plays.time IS 'When.';
COMMENT ON COLUMN plays.clip IS 'Which clip.';
COMMENT ON COLUMN plays.actor_id IS 'Opaque id of who did.';
COMMENT ON COLUMN plays.channel IS 'Door it came through: python, cli, api, web or batch.';
COMMENT ON COLUMN plays.purpose IS 'play, fetch or link.';
