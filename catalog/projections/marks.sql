-- name: relation
-- Marks with their ends. The steps are kept as they came; a mark ends with the next step of its clip.
CREATE TABLE folded.mark_steps (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    actor_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    plan VARCHAR,
    rule VARCHAR,
    delete_after TIMESTAMPTZ,
    reason VARCHAR
);
CREATE MACRO marks_at(p) AS TABLE
SELECT * EXCLUDE (kind) FROM (
    SELECT position, clip, kind, time AS marked, actor_id, plan, rule, delete_after, lead(time) OVER life AS ended,
        CASE lead(kind) OVER life
            WHEN 'ClipUnmarked' THEN lead(reason) OVER life
            WHEN 'PurgeStarted' THEN 'purge'
            WHEN 'ClipRestored' THEN 'restored'
            WHEN 'ClipMarked' THEN 'replaced' END AS ending
    FROM folded.mark_steps WHERE position <= p
    WINDOW life AS (PARTITION BY clip ORDER BY position))
WHERE kind = 'ClipMarked';
CREATE VIEW marks AS FROM marks_at(9223372036854775807);

-- name: fold
INSERT INTO catalog.folded.mark_steps BY NAME
SELECT position, time, clip, actor_id, kind, nullif(plan, '') AS plan, nullif(rule, '') AS rule, delete_after, reason
FROM steps WHERE kind IN ('ClipMarked', 'ClipUnmarked', 'PurgeStarted', 'ClipRestored') ORDER BY position;

-- name: comments
COMMENT ON VIEW marks IS 'One row a mark: a plan condemned a clip, and what came of it.';
COMMENT ON COLUMN marks.position IS 'Place of the event in the log.';
COMMENT ON COLUMN marks.clip IS 'Which clip.';
COMMENT ON COLUMN marks.marked IS 'When it was condemned.';
COMMENT ON COLUMN marks.actor_id IS 'Opaque id of who applied the plan.';
COMMENT ON COLUMN marks.plan IS 'Retention plan that condemned it.';
COMMENT ON COLUMN marks.rule IS 'Rule that condemned it.';
COMMENT ON COLUMN marks.delete_after IS 'When its grace ends.';
COMMENT ON COLUMN marks.ended IS 'When the mark ended; NULL while it stands.';
COMMENT ON COLUMN marks.ending IS 'Why it ended: pinned, held, used, undone or policy, purge, restored, or replaced by another mark.';
