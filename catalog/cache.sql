-- name: position
-- How far the tables have come.
SELECT position FROM projections WHERE name = 'catalog';

-- name: clips
-- The clips of these ids: where their file belongs, when they were used, and whether the store was seen to hold them.
SELECT id::VARCHAR AS id, key, bucket, bytes, sha256, actor_id, last_used,
    CASE WHEN purge_started IS NOT NULL OR purged IS NOT NULL THEN 'purging' WHEN stored IS NULL THEN 'waiting'
        WHEN missing IS NOT NULL THEN 'missing' ELSE 'stored' END AS state
FROM clips WHERE id IN (SELECT unnest($ids::UUID[]));

-- name: adopted
-- The same for clips whose keys were chosen by others, and so do not hold their ids.
SELECT id::VARCHAR AS id, key, bucket, bytes, sha256, actor_id, last_used,
    CASE WHEN purge_started IS NOT NULL OR purged IS NOT NULL THEN 'purging' WHEN stored IS NULL THEN 'waiting'
        WHEN missing IS NOT NULL THEN 'missing' ELSE 'stored' END AS state
FROM clips WHERE adopted IS NOT NULL AND key IN (SELECT unnest($keys));
