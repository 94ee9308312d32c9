-- name: uses
-- The clips after their last step. Only columns that something happened to are written, because DuckDB stores each anew that is.
UPDATE catalog.folded.clips SET plays = became.plays, reuses = became.reuses, last_used = became.last_used
FROM followed WHERE clips.rowid = followed.place AND is_last AND (became.plays, became.reuses) <> (was.plays, was.reuses);

-- name: audio
UPDATE catalog.folded.clips SET cached = became.cached, stored = became.stored, upload_failure = became.upload_failure,
    verified = became.verified, missing = became.missing
FROM followed WHERE clips.rowid = followed.place AND is_last
    AND (became.cached, became.stored, became.upload_failure, became.verified, became.missing)
        IS DISTINCT FROM (was.cached, was.stored, was.upload_failure, was.verified, was.missing);

-- name: keeping
UPDATE catalog.folded.clips SET pinned = became.pinned, pin_reason = became.pin_reason,
    pinned_until = became.pinned_until, pinned_by = became.pinned_by, rating = became.rating, ratings = became.ratings, mark_plan = became.mark_plan, mark_rule = became.mark_rule, delete_after = became.delete_after,
    purge_started = became.purge_started, purged = became.purged, restored = became.restored
FROM followed WHERE clips.rowid = followed.place AND is_last
    AND (became.pinned, became.pin_reason, became.pinned_until, became.pinned_by, became.rating, became.ratings,
        became.mark_plan, became.mark_rule, became.delete_after, became.purge_started, became.purged, became.restored)
    IS DISTINCT FROM (was.pinned, was.pin_reason, was.pinned_until, was.pinned_by, was.rating, was.ratings,
        was.mark_plan, was.mark_rule, was.delete_after, was.purge_started, was.purged, was.restored);

-- name: changed
UPDATE catalog.folded.clips SET changed = greatest(followed.position, followed.made)
FROM followed WHERE clips.rowid = followed.place AND is_last;
