-- name: one
SELECT id, hash, role, scope, actor, issued, expires, revoked, used, rate, rate_s, requests, audio_us, bytes FROM tokens WHERE id = ?;

-- name: all
SELECT id, hash, role, scope, actor, issued, expires, revoked, used, rate, rate_s, requests, audio_us, bytes FROM tokens ORDER BY issued, id;

-- name: open_of
-- The tokens that act as somebody and were not revoked.
SELECT id, role FROM tokens WHERE actor = ? AND revoked IS NULL ORDER BY id;

-- name: count
SELECT count(*) FROM tokens;

-- name: issue
INSERT INTO tokens (id, hash, role, scope, actor, issued, expires, revoked, used, rate, rate_s, requests, audio_us, bytes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: revoke
-- Once: the first end counts.
UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL;

-- name: usage
-- What a token has used on a day.
SELECT requests, audio_us, bytes FROM token_usage WHERE token = ? AND day = ?;

-- name: usage_of_day
SELECT token, requests, audio_us, bytes FROM token_usage WHERE day = ?;

-- name: add_usage
INSERT INTO token_usage (token, day, requests, audio_us, bytes) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (token, day) DO UPDATE SET
    requests = requests + excluded.requests, audio_us = audio_us + excluded.audio_us, bytes = bytes + excluded.bytes;

-- name: note_use
UPDATE tokens SET used = max(coalesce(used, 0), ?) WHERE id = ?;

-- name: forget_usage
-- Days that nobody asks about any more.
DELETE FROM token_usage WHERE day < ?;
