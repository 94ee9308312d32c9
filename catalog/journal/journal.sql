-- name: schema
-- What a journal is made of. Positions are gapless: the newest event is never pruned, so the next one is always known.
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    recorded INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    payload BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'leased', 'parked')),
    created REAL NOT NULL,
    due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    owner TEXT,
    lease_until REAL
) STRICT;
CREATE INDEX IF NOT EXISTS tasks_by_due ON tasks (kind, state, due);
CREATE INDEX IF NOT EXISTS tasks_by_subject ON tasks (subject);
CREATE TABLE IF NOT EXISTS fingerprints (
    fingerprint TEXT PRIMARY KEY,
    clip TEXT NOT NULL,
    actor TEXT NOT NULL,
    owner TEXT,
    answer BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS fingerprints_by_clip ON fingerprints (clip);
CREATE TABLE IF NOT EXISTS cursors (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    updated REAL NOT NULL,
    note TEXT
) STRICT;

-- name: newest
-- Where the journal ends, and when that was recorded.
SELECT position, recorded FROM events ORDER BY position DESC LIMIT 1;

-- name: by_id
-- The idempotency lookup: has this event been acknowledged before?
SELECT body FROM events WHERE id = ?;

-- name: append
INSERT INTO events (position, id, recorded, body) VALUES (?, ?, ?, ?);

-- name: after
-- The next events in order.
SELECT position, body FROM events WHERE position > ? ORDER BY position LIMIT ?;

-- name: oldest
SELECT min(position) FROM events;

-- name: prune
-- What is sealed elsewhere may go, except the newest event.
DELETE FROM events WHERE position <= ? AND position < (SELECT max(position) FROM events);

-- name: add_task
INSERT INTO tasks (kind, subject, actor, payload, created, due) VALUES (?, ?, ?, ?, ?, ?);

-- name: lease_tasks
-- Take what is due, oldest first; a lease that ran out counts as waiting.
UPDATE tasks SET state = 'leased', owner = :owner, lease_until = :until, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM tasks
    -- No wait and no lease is longer than an hour: what lies further ahead was written by a clock that has since been set back.
    WHERE kind = :kind AND (
        (state = 'waiting' AND (due <= :now OR due > :now + 3600))
        OR (state = 'leased' AND (lease_until <= :now OR lease_until > :now + 3600)))
    ORDER BY due LIMIT :limit)
RETURNING id, kind, subject, actor, payload, attempts, created;

-- name: renew_leases
-- Work that takes long stays ours: without this, two owners would take a large file from each other for ever.
UPDATE tasks SET lease_until = ?
WHERE state = 'leased' AND id IN (SELECT value FROM json_each(?)) AND owner = ?;

-- name: lease_owners
SELECT DISTINCT owner FROM tasks WHERE state = 'leased';

-- name: release_owner
-- The owner is gone: what it held waits again.
UPDATE tasks SET state = 'waiting', owner = NULL, lease_until = NULL WHERE state = 'leased' AND owner = ?;

-- name: finish_task
DELETE FROM tasks WHERE id = ? AND owner = ? AND state = 'leased';

-- name: retry_task
UPDATE tasks SET state = 'waiting', owner = NULL, lease_until = NULL, due = ?, error = ?
WHERE id = ? AND owner = ? AND state = 'leased';

-- name: release_task
-- Handed back untried.
UPDATE tasks SET state = 'waiting', owner = NULL, lease_until = NULL, attempts = attempts - 1
WHERE id = ? AND owner = ? AND state = 'leased';

-- name: park_task
UPDATE tasks SET state = 'parked', owner = NULL, lease_until = NULL, error = ?
WHERE id = ? AND owner = ? AND state = 'leased';

-- name: unpark_tasks
UPDATE tasks SET state = 'waiting', attempts = 0, due = ? WHERE kind = ? AND state = 'parked';

-- name: hurry_tasks
-- Forget backoff: somebody knows that the other side is back.
UPDATE tasks SET due = ? WHERE kind = ? AND state = 'waiting' AND due > ?;

-- name: cancel_tasks
-- Nobody may do this any more; a task that is being done right now is left to its owner.
DELETE FROM tasks WHERE subject = ? AND state <> 'leased';

-- name: leased_for
SELECT count(*) FROM tasks WHERE subject = ? AND state = 'leased';

-- name: count_tasks
-- What waits, for `status`.
SELECT kind, state, count(*), min(created), max(attempts), min(due) FROM tasks GROUP BY kind, state;

-- name: list_tasks
-- The oldest open tasks of a kind, in words for `status`.
SELECT id, subject, state, created, due, attempts, error FROM tasks WHERE kind = ? ORDER BY created LIMIT ?;

-- name: open_subjects
-- Which of these subjects still have open tasks.
SELECT count(*) FROM tasks WHERE kind = ? AND subject IN (SELECT value FROM json_each(?));

-- name: next_due
SELECT min(due) FROM tasks WHERE kind = ? AND state = 'waiting';

-- name: fingerprint
SELECT clip, actor, owner, answer FROM fingerprints WHERE fingerprint = ?;

-- name: claim_fingerprint
-- Only one caller makes a clip: the claim is taken when it is free, or when its owner is gone.
INSERT INTO fingerprints (fingerprint, clip, actor, owner) VALUES (?, ?, ?, ?)
ON CONFLICT (fingerprint) DO UPDATE SET clip = excluded.clip, owner = excluded.owner, answer = NULL;

-- name: answer_fingerprint
UPDATE fingerprints SET owner = NULL, answer = ? WHERE fingerprint = ? AND owner = ?;

-- name: release_fingerprint
DELETE FROM fingerprints WHERE fingerprint = ? AND owner = ?;

-- name: release_claims
-- The owner goes: nobody waits for what it did not finish.
DELETE FROM fingerprints WHERE owner = ? AND answer IS NULL;

-- name: forget_clip
-- A clip that goes is never given as an answer again.
DELETE FROM fingerprints WHERE clip = ?;

-- name: cursor
SELECT position FROM cursors WHERE name = ?;

-- name: cursors
SELECT name, position, updated, note FROM cursors ORDER BY name;

-- name: move_cursor
-- Cursors never go back, except on purpose.
INSERT INTO cursors (name, position, updated, note) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position), updated = excluded.updated, note = excluded.note;
