-- name: making
-- Clips that somebody is making right now for an actor, and who.
SELECT owner FROM fingerprints WHERE actor = ? AND answer IS NULL AND owner IS NOT NULL;

-- name: forget_answers
DELETE FROM fingerprints WHERE actor = ?;

-- name: cancel_work
DELETE FROM tasks WHERE actor = ? AND state <> 'leased';

-- name: leased_work
SELECT count(*) FROM tasks WHERE actor = ? AND state = 'leased';

-- name: forget_recordings
UPDATE voices SET erased = 1, facts = NULL WHERE sha256 = ?;

-- name: forget_names
DELETE FROM voice_names WHERE sha256 = ?;

-- name: drop_names
DELETE FROM voice_names WHERE actor = ?;

-- name: drop_facts
UPDATE voices SET erased = 1, facts = NULL WHERE actor = ?;
