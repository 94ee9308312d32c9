-- name: reasons
-- Why clips are pinned.
SELECT id::VARCHAR, pin_reason FROM clips WHERE id IN (SELECT unnest($ids::UUID[]));
