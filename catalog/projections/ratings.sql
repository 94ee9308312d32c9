-- name: relation
-- One row a word on how good a clip is.
CREATE TABLE folded.ratings (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    actor_id VARCHAR NOT NULL,
    rating TINYINT
);
CREATE MACRO ratings_at(p) AS TABLE SELECT position, time, clip, actor_id, rating FROM folded.ratings WHERE position <= p;
CREATE VIEW ratings AS SELECT position, time, clip, actor_id, rating FROM folded.ratings;

-- name: fold
INSERT INTO catalog.folded.ratings BY NAME
SELECT position, time, clip, actor_id, rating FROM steps WHERE kind = 'ClipRated' ORDER BY position;

-- name: comments
COMMENT ON VIEW ratings IS 'One row a time somebody said how good a clip is; the last word of each actor counts.';
COMMENT ON COLUMN ratings.position IS 'Place of the event in the log.';
COMMENT ON COLUMN ratings.time IS 'When.';
COMMENT ON COLUMN ratings.clip IS 'Which clip.';
COMMENT ON COLUMN ratings.actor_id IS 'Opaque id of who said it.';
COMMENT ON COLUMN ratings.rating IS 'From 1 to 5.';
