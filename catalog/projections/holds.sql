-- name: relation
-- Holds with their ends, one row for each time that one was placed. The steps are kept as they came; what one began ends with the next
-- step of the same hold on the same clip: a release, or the same hold placed again.
CREATE TABLE folded.hold_steps (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    actor_id VARCHAR NOT NULL,
    step VARCHAR NOT NULL,
    hold VARCHAR,
    kind VARCHAR,
    until TIMESTAMPTZ,
    review TIMESTAMPTZ,
    reason VARCHAR
);
CREATE MACRO holds_at(p, moment := NULL::TIMESTAMPTZ) AS TABLE
SELECT position, hold, clip, kind, placed, actor_id, until, review, reason,
    CASE WHEN NOT again THEN ended END AS released, CASE WHEN NOT again THEN ended_by END AS released_by,
    CASE WHEN NOT again THEN ended_reason END AS release_reason, CASE WHEN again THEN ended END AS renewed,
    CASE WHEN again AND (until IS NULL OR until > ended) THEN 'renewed' WHEN NOT again AND ended IS NOT NULL THEN 'released'
        WHEN until <= coalesce(moment, now()) THEN 'ended' ELSE 'open' END AS state
FROM (
    SELECT position, hold, clip, kind, step, time AS placed, actor_id, until, review, reason,
        lead(step) OVER life IS NOT DISTINCT FROM 'HoldPlaced' AS again, lead(time) OVER life AS ended, lead(actor_id) OVER life AS ended_by,
        lead(reason) OVER life AS ended_reason
    FROM folded.hold_steps WHERE position <= p
    WINDOW life AS (PARTITION BY clip, hold ORDER BY position))
WHERE step = 'HoldPlaced';
CREATE VIEW holds AS FROM holds_at(9223372036854775807);

-- name: fold
INSERT INTO catalog.folded.hold_steps BY NAME
SELECT position, time, clip, actor_id, kind AS step, hold, hold_kind AS kind, until, review, words AS reason
FROM steps WHERE kind IN ('HoldPlaced', 'HoldReleased') ORDER BY position;

-- name: update
-- How many holds stand on the clips that this batch placed or released one on, and when the last of them ends by itself.
UPDATE catalog.folded.clips SET holds = standing.holds, legal_holds = standing.legal_holds, held_until = standing.held_until
FROM (
    SELECT clip, count(*) FILTER (stands) AS holds, count(*) FILTER (stands AND kind = 'legal') AS legal_holds,
        CASE WHEN bool_and(until IS NOT NULL) FILTER (stands) THEN max(until) FILTER (stands) END AS held_until
    FROM (
        SELECT clip, kind, until, step = 'HoldPlaced' AND lead(step) OVER life IS NULL AS stands
        FROM catalog.folded.hold_steps SEMI JOIN (SELECT clip FROM touched WHERE kind IN ('HoldPlaced', 'HoldReleased')) USING (clip)
        WINDOW life AS (PARTITION BY clip, hold ORDER BY position))
    GROUP BY clip) AS standing
WHERE clips.id = standing.clip;

-- name: comments
COMMENT ON VIEW holds IS 'One row a hold on a clip, and one more each time that it is renewed: who keeps it, why and for how long.';
COMMENT ON COLUMN holds.position IS 'Place of the event in the log.';
COMMENT ON COLUMN holds.hold IS 'Id of the hold; one hold may stand on many clips.';
COMMENT ON COLUMN holds.clip IS 'Which clip.';
COMMENT ON COLUMN holds.kind IS 'ordinary or legal; a legal one also stands against erasure.';
COMMENT ON COLUMN holds.placed IS 'When it was placed.';
COMMENT ON COLUMN holds.actor_id IS 'Opaque id of who placed it.';
COMMENT ON COLUMN holds.until IS 'When it ends by itself; NULL when it does not.';
COMMENT ON COLUMN holds.review IS 'When someone has to look at it again.';
COMMENT ON COLUMN holds.reason IS 'Why it was placed; NULL once erased.';
COMMENT ON COLUMN holds.released IS 'When it was taken off; NULL while it stands, and when it was renewed.';
COMMENT ON COLUMN holds.released_by IS 'Opaque id of who took it off.';
COMMENT ON COLUMN holds.release_reason IS 'Why it was taken off.';
COMMENT ON COLUMN holds.renewed IS 'When the same hold was placed on the clip again, with another end: its next row goes on from there.';
COMMENT ON COLUMN holds.state IS 'open, ended by itself, released, or renewed by its next row.';
