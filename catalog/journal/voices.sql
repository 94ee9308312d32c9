-- name: by_name
-- The recording that has a name now, and whether the tables can be believed.
SELECT s.filled >= s.wanted, n.actor, n.event, n.name, v.sha256, v.position, v.actor, v.event, v.registered, v.expires, v.ended, v.erased, v.facts
FROM voices_state s LEFT JOIN voice_names n ON n.hash = ? LEFT JOIN voices v ON v.sha256 = n.sha256;

-- name: by_sha256
-- The recordings whose SHA-256 begins like this; two are enough to know that it is ambiguous.
SELECT s.filled >= s.wanted, NULL, NULL, NULL, v.sha256, v.position, v.actor, v.event, v.registered, v.expires, v.ended, v.erased, v.facts
FROM voices_state s LEFT JOIN voices v ON v.sha256 >= ? AND v.sha256 < ? LIMIT 2;

-- name: all
SELECT sha256, position, actor, event, registered, expires, ended, erased, facts FROM voices ORDER BY position;

-- name: names
SELECT hash, sha256, position, actor, event, name FROM voice_names ORDER BY position;

-- name: state
SELECT wanted, filled FROM voices_state;

-- name: put
INSERT OR REPLACE INTO voices (sha256, position, actor, event, registered, expires, ended, erased, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_name
INSERT OR REPLACE INTO voice_names (hash, sha256, position, actor, event, name) VALUES (?, ?, ?, ?, ?, ?);

-- name: end
UPDATE voices SET ended = ? WHERE sha256 = ?;

-- name: clear
DELETE FROM voices;

-- name: clear_names
DELETE FROM voice_names;

-- name: fill
UPDATE voices_state SET filled = ?;
