-- name: relation
-- Model versions. The steps are kept as they came.
CREATE TABLE folded.model_steps (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    kind VARCHAR NOT NULL,
    model VARCHAR,
    model_version VARCHAR,
    manifest VARCHAR,
    files INTEGER,
    bytes BIGINT,
    sent_bytes BIGINT,
    fetched_bytes BIGINT,
    place VARCHAR
);
CREATE MACRO models_at(p) AS TABLE
SELECT model, model_version, max(position) AS position, arg_max(manifest, position) AS manifest, arg_max(files, position) AS files,
    arg_max(bytes, position) AS bytes, max(time) FILTER (kind = 'ModelPushed') AS pushed,
    max(time) FILTER (kind = 'ModelPulled') AS pulled, max(time) FILTER (kind = 'ModelRestored') AS restored,
    max(time) FILTER (kind = 'ModelRemoved' AND place = 'store') AS removed,
    max(time) FILTER (kind = 'ModelRemoved' AND place = 'local') AS removed_here,
    max(time) FILTER (kind = 'ModelRolledBack') AS rolled_back,
    coalesce(sum(sent_bytes), 0)::BIGINT AS sent_bytes, coalesce(sum(fetched_bytes), 0)::BIGINT AS fetched_bytes
FROM folded.model_steps WHERE position <= p GROUP BY model, model_version;
CREATE VIEW models AS FROM models_at(9223372036854775807);

-- name: fold
INSERT INTO catalog.folded.model_steps BY NAME
SELECT position, time, type AS kind, unnest(json_transform(data, '{"model":"VARCHAR","model_version":"VARCHAR",
    "manifest":"VARCHAR","files":"INTEGER","bytes":"BIGINT","sent_bytes":"BIGINT","fetched_bytes":"BIGINT","place":"VARCHAR"}'))
FROM folding WHERE type IN ('ModelPushed', 'ModelPulled', 'ModelRestored', 'ModelRemoved', 'ModelRolledBack') ORDER BY position;

-- name: comments
COMMENT ON VIEW models IS 'One row a version of an engine''s model files.';
COMMENT ON COLUMN models.model IS 'Name of the model.';
COMMENT ON COLUMN models.model_version IS 'Its version.';
COMMENT ON COLUMN models.position IS 'Place in the log of the newest event about it.';
COMMENT ON COLUMN models.manifest IS 'SHA-256 of its list of files, hex; null where it was never whole here or pushed from here.';
COMMENT ON COLUMN models.files IS 'Files it has.';
COMMENT ON COLUMN models.bytes IS 'Size of all its files.';
COMMENT ON COLUMN models.pushed IS 'When it was last seen whole in the store after a push.';
COMMENT ON COLUMN models.pulled IS 'When it was last seen whole on this machine after a pull.';
COMMENT ON COLUMN models.restored IS 'When it was last mended, here or in the store.';
COMMENT ON COLUMN models.removed IS 'When it was last removed from the store.';
COMMENT ON COLUMN models.removed_here IS 'When it was last taken away from this machine.';
COMMENT ON COLUMN models.rolled_back IS 'When it was last made the current one by a rollback.';
COMMENT ON COLUMN models.sent_bytes IS 'What had to travel to the store, in all.';
COMMENT ON COLUMN models.fetched_bytes IS 'What had to travel from the store, in all.';
