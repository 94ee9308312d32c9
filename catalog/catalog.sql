-- name: clip
-- One clip by its whole id, if it is anybody's or the given actor's.
SELECT {columns} FROM clips WHERE id = ?::UUID AND (?::VARCHAR IS NULL OR actor = ?);

-- name: ids_by_tail
-- The ids that end with these 32 bits, which are the 8 digits that people see.
SELECT id FROM clips WHERE tail = ? AND (?::VARCHAR IS NULL OR actor = ?);

-- name: ids_by_ending
-- Two ids whose last bits are these; a second one means that people must say more.
SELECT id FROM clips WHERE tail & ? = ? AND (?::VARCHAR IS NULL OR actor = ?) LIMIT 2;

-- name: kept
-- Where a clip's audio is thought to be: in the store, known to be missing there, or gone on purpose.
SELECT stored IS NOT NULL, missing IS NOT NULL, purge_started IS NOT NULL OR purged IS NOT NULL FROM clips WHERE id = ?::UUID;

-- name: adopted
-- One row for a clip that was found and not made here.
SELECT adopted FROM clips WHERE id = ?::UUID AND adopted IS NOT NULL;

-- name: totals
-- The catalog in one line, for `status`: what is there, and beside it how many are gone.
SELECT count(*) FILTER (purged IS NULL) AS clips, coalesce(sum(duration_us) FILTER (purged IS NULL), 0)::BIGINT AS duration_us,
    coalesce(sum(bytes) FILTER (purged IS NULL), 0)::BIGINT AS bytes,
    count(*) FILTER (stored IS NOT NULL AND missing IS NULL AND purged IS NULL) AS stored,
    count(*) FILTER (missing IS NOT NULL AND purged IS NULL) AS missing, count(*) FILTER (pinned AND purged IS NULL) AS pinned,
    count(*) FILTER (state = 'marked') AS marked, count(*) FILTER (state = 'purged') AS purged,
    coalesce(sum(bytes) FILTER (stored IS NULL AND purge_started IS NULL AND purged IS NULL), 0)::BIGINT AS unstored_bytes
FROM clips;
