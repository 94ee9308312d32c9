-- name: schema
-- The tables that events are folded into stand in a schema of their own; what people read are views over them.
CREATE SCHEMA folded;
CREATE TABLE projections (
    name VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    position BIGINT NOT NULL,
    begun BIGINT NOT NULL,
    stale BOOLEAN NOT NULL
);

-- name: comments
COMMENT ON TABLE projections IS 'How far the tables have come.';
COMMENT ON COLUMN projections.name IS 'Group of tables.';
COMMENT ON COLUMN projections.version IS 'Version of their definition.';
COMMENT ON COLUMN projections.position IS 'Last position folded in.';
COMMENT ON COLUMN projections.begun IS 'Where the log ended when these tables were begun.';
COMMENT ON COLUMN projections.stale IS 'Whether they hold traces of an actor erased since, so that they have to be rebuilt.';

-- name: position
SELECT version, position FROM catalog.projections WHERE name = 'catalog';

-- name: start
INSERT INTO catalog.projections VALUES ('catalog', $version, 0, $begun, false);

-- name: move
UPDATE catalog.projections SET position = ? WHERE name = 'catalog';

-- name: stale
SELECT stale FROM catalog.projections WHERE name = 'catalog';

-- name: moment
-- When the event at a position was recorded: the clock by which holds and consents had ended then.
SELECT recorded::VARCHAR FROM log.events WHERE position = ?;

-- name: events_at
CREATE OR REPLACE TEMP VIEW events AS FROM log.events WHERE position <= $position;

-- name: batches_at
CREATE OR REPLACE TEMP VIEW batches AS FROM log.batches WHERE last <= $position;

-- name: epochs_at
CREATE OR REPLACE TEMP VIEW epochs AS FROM log.epochs WHERE first <= $position;

-- name: projections_at
CREATE OR REPLACE TEMP VIEW projections AS
SELECT * REPLACE (least(position, $position) AS position) FROM catalog.projections;
