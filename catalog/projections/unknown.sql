-- name: relation
-- Events that the code did not understand when it folded them: of another type, of a newer version, or about no possible clip.
CREATE TABLE folded.unknown (
    position BIGINT NOT NULL,
    type VARCHAR NOT NULL,
    version SMALLINT NOT NULL,
    reason VARCHAR NOT NULL
);
CREATE MACRO unknown_at(p) AS TABLE SELECT * FROM folded.unknown WHERE position <= p;
CREATE VIEW unknown AS FROM folded.unknown;

-- name: strange
-- The events of a batch that cannot be folded.
SELECT position, type, version, CASE WHEN list_contains($unknown, type || ' ' || version) THEN 'not understood' ELSE 'no clip' END AS reason
FROM folding
WHERE list_contains($unknown, type || ' ' || version) OR (list_contains($about_clips, type) AND TRY_CAST(subject AS UUID) IS NULL);

-- name: fold
INSERT INTO catalog.folded.unknown BY NAME SELECT position, type, version, reason FROM strange ORDER BY position;

-- name: kinds
-- What was not understood, to be asked again after an upgrade.
SELECT DISTINCT type, version FROM catalog.folded.unknown WHERE reason = 'not understood';

-- name: comments
COMMENT ON VIEW unknown IS 'One row an event that is kept in the log but not folded into any table.';
COMMENT ON COLUMN unknown.position IS 'Place of the event in the log.';
COMMENT ON COLUMN unknown.type IS 'Type of the event.';
COMMENT ON COLUMN unknown.version IS 'Version of the type.';
COMMENT ON COLUMN unknown.reason IS 'not understood (an unknown type or a newer version), or no clip (its subject cannot be a clip''s id).';
