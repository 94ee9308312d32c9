-- name: one
-- Clips whose id ends like this, with their story; more than one means that people must say more.
SELECT id::VARCHAR AS id, created, last_used, plays, reuses, pinned, state, mark_plan, mark_rule, delete_after, purge_started, purged
FROM clips WHERE ends_with(replace(id::VARCHAR, '-', ''), ?) LIMIT 2;
