-- name: clip
-- One clip by its whole id.
SELECT * FROM clips WHERE id = ?::UUID;

-- name: clip_by_short
-- Clips whose id ends like this; more than one means that people must say more.
SELECT * FROM clips WHERE short = ? LIMIT 2;

-- name: clip_by_ending
-- Clips whose id ends with any other number of digits; looks at every id.
SELECT * FROM clips WHERE ends_with(replace(id::VARCHAR, '-', ''), ?) LIMIT 2;

-- name: totals
-- The catalog in one line, for `status`: what is there, and beside it how many are gone.
SELECT count(*) FILTER (purged IS NULL) AS clips, coalesce(sum(duration_us) FILTER (purged IS NULL), 0)::BIGINT AS duration_us,
    coalesce(sum(bytes) FILTER (purged IS NULL), 0)::BIGINT AS bytes,
    count(*) FILTER (stored IS NOT NULL AND purged IS NULL) AS stored, count(*) FILTER (pinned AND purged IS NULL) AS pinned,
    count(*) FILTER (state = 'marked') AS marked, count(*) FILTER (state = 'purged') AS purged
FROM clips;
