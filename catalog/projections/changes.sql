-- name: relation
-- What each event found: the changeable columns of its clip as they were before it. `previous` is the position of the change before,
-- or that of the clip itself, so the row with previous <= p < position says how the clip stood after position p.
CREATE TABLE folded.changes (
    position BIGINT NOT NULL,
    previous BIGINT NOT NULL,
    recorded TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    kind VARCHAR NOT NULL,
    actor_id VARCHAR NOT NULL,
    tag VARCHAR,
    reason VARCHAR,
    pinned BOOLEAN NOT NULL,
    pin_reason VARCHAR,
    pinned_until TIMESTAMPTZ,
    pinned_by VARCHAR,
    rating TINYINT,
    ratings INTEGER NOT NULL,
    plays BIGINT NOT NULL,
    reuses BIGINT NOT NULL,
    last_used TIMESTAMPTZ NOT NULL,
    cached BOOLEAN NOT NULL,
    stored TIMESTAMPTZ,
    upload_failure VARCHAR,
    verified TIMESTAMPTZ,
    missing TIMESTAMPTZ,
    mark_plan VARCHAR,
    mark_rule VARCHAR,
    delete_after TIMESTAMPTZ,
    purge_started TIMESTAMPTZ,
    purged TIMESTAMPTZ,
    restored TIMESTAMPTZ
);
CREATE MACRO changes_at(p) AS TABLE SELECT * FROM folded.changes WHERE position <= p;
CREATE VIEW changes AS FROM folded.changes;

-- name: comments
COMMENT ON VIEW changes IS 'One row an event that touched a clip: what the clip''s changeable columns were before it. `clips_at` reads it.';
COMMENT ON COLUMN changes.position IS 'Place of the event in the log.';
COMMENT ON COLUMN changes.previous IS 'Place of the change before it, or of the clip itself.';
COMMENT ON COLUMN changes.recorded IS 'When the event was acknowledged.';
COMMENT ON COLUMN changes.clip IS 'Which clip.';
COMMENT ON COLUMN changes.kind IS 'Type of the event.';
COMMENT ON COLUMN changes.actor_id IS 'Opaque id of who did it.';
COMMENT ON COLUMN changes.tag IS 'Tag that the event put on or took off; NULL for any other event, when nothing changed, or once erased.';
COMMENT ON COLUMN changes.reason IS 'Reason given for a pin or a hold; NULL when there is none, or once erased.';
COMMENT ON COLUMN changes.pinned IS 'Before the event: whether it had a pin, also one whose end was over.';
COMMENT ON COLUMN changes.pin_reason IS 'Before the event: why it was pinned.';
COMMENT ON COLUMN changes.pinned_until IS 'Before the event: when its pin ended by itself.';
COMMENT ON COLUMN changes.pinned_by IS 'Before the event: opaque id of who had pinned it.';
COMMENT ON COLUMN changes.rating IS 'Before the event: the newest rating.';
COMMENT ON COLUMN changes.ratings IS 'Before the event: how often it had been rated.';
COMMENT ON COLUMN changes.plays IS 'Before the event: how often it had been used.';
COMMENT ON COLUMN changes.reuses IS 'Before the event: how often it had answered a later request.';
COMMENT ON COLUMN changes.last_used IS 'Before the event: when it was last made, played or reused.';
COMMENT ON COLUMN changes.cached IS 'Before the event: whether it lay in the local cache.';
COMMENT ON COLUMN changes.stored IS 'Before the event: when the store had confirmed it.';
COMMENT ON COLUMN changes.upload_failure IS 'Before the event: why the store had refused it.';
COMMENT ON COLUMN changes.verified IS 'Before the event: when the store was last seen to hold it.';
COMMENT ON COLUMN changes.missing IS 'Before the event: since when the store was known to lack it.';
COMMENT ON COLUMN changes.mark_plan IS 'Before the event: retention plan that had condemned it.';
COMMENT ON COLUMN changes.mark_rule IS 'Before the event: rule that had condemned it.';
COMMENT ON COLUMN changes.delete_after IS 'Before the event: when its grace was to end.';
COMMENT ON COLUMN changes.purge_started IS 'Before the event: when deletion had begun.';
COMMENT ON COLUMN changes.purged IS 'Before the event: when its absence had been seen.';
COMMENT ON COLUMN changes.restored IS 'Before the event: when its audio had come back.';
