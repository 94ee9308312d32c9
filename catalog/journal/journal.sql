-- name: schema
-- What a journal is made of. The newest event is never pruned, so the next position is always known; of those that are, `known` keeps
-- the ids, so that a late repetition is still recognised. An id is stored as 16 bytes: half the index.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    recorded INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE known (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    recorded INTEGER NOT NULL
) STRICT;
CREATE TABLE epochs (
    number INTEGER PRIMARY KEY,
    epoch TEXT NOT NULL UNIQUE,
    first INTEGER NOT NULL,
    since INTEGER NOT NULL,
    reason TEXT NOT NULL,
    lost_first INTEGER,
    lost_last INTEGER
) STRICT;
CREATE TABLE tasks (
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
CREATE INDEX tasks_by_due ON tasks (kind, state, due);
CREATE INDEX tasks_by_subject ON tasks (subject);
CREATE TABLE fingerprints (
    fingerprint TEXT PRIMARY KEY,
    clip TEXT NOT NULL,
    actor TEXT NOT NULL,
    owner TEXT,
    answer BLOB
) STRICT;
CREATE INDEX fingerprints_by_clip ON fingerprints (clip);
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    updated REAL NOT NULL,
    note TEXT
) STRICT;

-- name: from_1
-- Schema 1 kept ids as text, forgot those it had pruned, and knew one epoch.
ALTER TABLE events RENAME TO events_1;
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    recorded INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
INSERT INTO events SELECT position, event_key(id), recorded, body FROM events_1 ORDER BY position;
DROP TABLE events_1;
CREATE TABLE known (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    recorded INTEGER NOT NULL
) STRICT;
CREATE TABLE epochs (
    number INTEGER PRIMARY KEY,
    epoch TEXT NOT NULL UNIQUE,
    first INTEGER NOT NULL,
    since INTEGER NOT NULL,
    reason TEXT NOT NULL,
    lost_first INTEGER,
    lost_last INTEGER
) STRICT;
INSERT INTO epochs (epoch, first, since, reason)
SELECT value, (SELECT CAST(value AS INTEGER) + 1 FROM meta WHERE key = 'base'), coalesce((SELECT min(recorded) FROM events), 0), 'created'
FROM meta WHERE key = 'epoch';
DELETE FROM meta WHERE key = 'epoch';
UPDATE meta SET value = '2' WHERE key = 'schema';

-- name: voices
-- Which recordings may be spoken with, as of now: asked before each clip, so it stands here and not in the log alone. A name is a keyed
-- hash, everything else that names somebody is sealed. `voices_state` says whether the tables account for all events about voices: they do
-- when `filled`, the position up to which they do, is not less than `wanted`, that of the newest such event. Ends are µs since 1970.
CREATE TABLE voices (
    sha256 TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    actor TEXT NOT NULL,
    event TEXT NOT NULL,
    registered INTEGER NOT NULL,
    expires INTEGER,
    ended INTEGER,
    erased INTEGER NOT NULL DEFAULT 0,
    facts BLOB
) STRICT;
CREATE TABLE voice_names (
    hash TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    position INTEGER NOT NULL,
    actor TEXT NOT NULL,
    event TEXT NOT NULL,
    name BLOB NOT NULL
) STRICT;
CREATE TABLE voices_state (one INTEGER PRIMARY KEY CHECK (one = 1), wanted INTEGER NOT NULL, filled INTEGER NOT NULL) STRICT;
INSERT INTO voices_state VALUES (1, 0, 0);

-- name: from_2
-- Schema 2 did not know voices; the log may have heard of some, by import.
UPDATE voices_state SET filled = -1;
UPDATE meta SET value = '3' WHERE key = 'schema';

-- name: tokens
-- Who may come in, as of now: asked before each request. Of a token's secret only the hash stands here; its name is that of the actor it
-- acts as, which the vault knows. Times are µs since 1970; no limit is NULL; `day` counts the days since 1970 in `general.time_zone`.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    role TEXT NOT NULL,
    scope TEXT NOT NULL,
    actor TEXT NOT NULL,
    issued INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER,
    used INTEGER,
    rate INTEGER,
    rate_s REAL,
    requests INTEGER,
    audio_us INTEGER,
    bytes INTEGER
) STRICT;
CREATE INDEX tokens_by_actor ON tokens (actor);
CREATE TABLE token_usage (
    token TEXT NOT NULL,
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    audio_us INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (token, day)
) STRICT, WITHOUT ROWID;

-- name: from_3
-- Schema 3 did not know tokens.
UPDATE meta SET value = '4' WHERE key = 'schema';

-- name: newest
-- Where the journal ends, and when that was recorded.
SELECT position, recorded FROM events ORDER BY position DESC LIMIT 1;

-- name: end
-- Where the next event goes: the epoch that is now, with its first position and the time it began, and the newest event.
SELECT
    epoch, first, since,
    (SELECT position FROM events ORDER BY position DESC LIMIT 1),
    (SELECT recorded FROM events ORDER BY position DESC LIMIT 1)
FROM epochs ORDER BY number DESC LIMIT 1;

-- name: epochs
SELECT epoch, first, since, reason, lost_first, lost_last FROM epochs ORDER BY number;

-- name: epoch_of
-- Which epoch gave a position.
SELECT epoch FROM epochs WHERE first <= ? ORDER BY number DESC LIMIT 1;

-- name: begin_epoch
INSERT INTO epochs (epoch, first, since, reason, lost_first, lost_last) VALUES (?, ?, ?, ?, ?, ?);

-- name: set_meta
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: known
-- The idempotency lookup: which of these have been acknowledged before? The body is gone for those that were pruned.
SELECT id, position, recorded, body FROM events WHERE id IN (:ids)
UNION ALL
SELECT id, position, recorded, NULL FROM known WHERE id IN (:ids);

-- name: knows
SELECT 1 FROM events WHERE id = ? UNION ALL SELECT 1 FROM known WHERE id = ?;

-- name: append
INSERT INTO events (position, id, recorded, body) VALUES (?, ?, ?, ?);

-- name: voices_heard
-- An event about voices was recorded: until somebody says otherwise, the tables of voices do not account for it.
UPDATE voices_state SET wanted = max(wanted, ?);

-- name: voices_doubted
-- This journal is not the one that knew: what the tables of voices say must be read from the log again.
UPDATE voices_state SET filled = -1;

-- name: after
-- The next events in order.
SELECT position, body FROM events WHERE position > ? ORDER BY position LIMIT ?;

-- name: oldest
SELECT min(position) FROM events;

-- name: remember
-- What is sealed elsewhere may go, except the newest event; its id stays.
INSERT INTO known (position, id, recorded)
SELECT position, id, recorded FROM events WHERE position <= ? AND position < (SELECT max(position) FROM events) ORDER BY position;

-- name: prune
DELETE FROM events WHERE position <= ? AND position < (SELECT max(position) FROM events);

-- name: forget_known
-- Only the newest ids are kept.
DELETE FROM known WHERE position <= (SELECT max(position) FROM known) - ?;

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

-- name: release_all
-- In a copy that lies elsewhere: whoever held these works on the journal it was copied from.
UPDATE tasks SET state = 'waiting', owner = NULL, lease_until = NULL WHERE state = 'leased';

-- name: release_all_claims
DELETE FROM fingerprints WHERE answer IS NULL;

-- name: finish_task
DELETE FROM tasks WHERE id = ? AND owner = ? AND state = 'leased';

-- name: note_task
-- What whoever takes it up next must know, should its owner end now.
UPDATE tasks SET payload = ? WHERE id = ? AND owner = ? AND state = 'leased';

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

-- name: drop_tasks
-- They need not be done any more; what is being done right now is left to its owner.
DELETE FROM tasks WHERE kind = ? AND state <> 'leased' AND subject IN (SELECT value FROM json_each(?));

-- name: cancel_tasks
-- Nobody may do this any more; a task that is being done right now is left to its owner.
DELETE FROM tasks WHERE subject = ? AND state <> 'leased';

-- name: cancel_tasks_of
-- The same for many.
DELETE FROM tasks WHERE subject IN (SELECT value FROM json_each(?)) AND state <> 'leased';

-- name: leased_among
SELECT DISTINCT subject FROM tasks WHERE subject IN (SELECT value FROM json_each(?)) AND state = 'leased';

-- name: leased_for
SELECT count(*) FROM tasks WHERE subject = ? AND state = 'leased';

-- name: count_tasks
-- What waits, for `status`.
SELECT kind, state, count(*), min(created), max(attempts), min(due) FROM tasks GROUP BY kind, state;

-- name: list_tasks
-- The oldest open tasks of a kind, in words for `status`.
SELECT id, subject, state, created, due, attempts, error FROM tasks WHERE kind = ? ORDER BY created LIMIT ?;

-- name: open_task
-- What nobody does right now about a subject.
SELECT id, kind, subject, actor, payload, attempts, created FROM tasks
WHERE kind = ? AND subject = ? AND state <> 'leased' ORDER BY id DESC LIMIT 1;

-- name: open_subjects
-- How many tasks about these subjects are open.
SELECT count(*) FROM tasks WHERE kind = ? AND subject IN (SELECT value FROM json_each(?));

-- name: open_among
SELECT DISTINCT subject FROM tasks WHERE kind = ? AND subject IN (SELECT value FROM json_each(?));

-- name: next_due
SELECT min(due) FROM tasks WHERE kind = ? AND state = 'waiting';

-- name: fingerprints
SELECT fingerprint, clip, actor, owner, answer FROM fingerprints WHERE fingerprint IN (SELECT value FROM json_each(?));

-- name: answer_with
-- What is remembered of a clip that answers requests; nothing once it is purged.
SELECT clip, actor, owner, answer FROM fingerprints WHERE clip = ? AND answer IS NOT NULL LIMIT 1;

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

-- name: forget_clips
-- The same for many.
DELETE FROM fingerprints WHERE clip IN (SELECT value FROM json_each(?));

-- name: cursor
SELECT position FROM cursors WHERE name = ?;

-- name: cursors
SELECT name, position, updated, note FROM cursors ORDER BY name;

-- name: move_cursor
-- Cursors never go back, except on purpose.
INSERT INTO cursors (name, position, updated, note) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position), updated = excluded.updated, note = excluded.note;
