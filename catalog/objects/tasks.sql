-- name: renew_leases
-- Work that takes long stays ours: without this, two owners would take a large file from each other for ever.
UPDATE tasks SET lease_until = ?
WHERE state = 'leased' AND owner = ? AND id IN (SELECT value FROM json_each(?));
