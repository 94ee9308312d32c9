-- name: amounts
-- What is held of a subject's audio. `every` counts purged clips too; the digest changes with every clip that comes, goes, or is held.
SELECT count(*) FILTER (purged IS NULL) AS clips, coalesce(sum(bytes) FILTER (purged IS NULL), 0)::BIGINT AS bytes,
    count(*) FILTER (legal_holds > 0 AND purged IS NULL) AS held,
    coalesce(sum(bytes) FILTER (legal_holds > 0 AND purged IS NULL), 0)::BIGINT AS held_bytes,
    count(*) FILTER (pinned AND purged IS NULL) AS pinned, count(*) FILTER (holds > legal_holds AND purged IS NULL) AS ordinary,
    count(*) AS every, bit_xor(hash(id::VARCHAR, legal_holds > 0, purged IS NULL))::VARCHAR AS digest
FROM clips WHERE {subject};

-- name: of_actor
actor_id = $target

-- name: of_voice
(voice_sha256 = $target OR emotion_sha256 = $target)

-- name: page
-- The next clips of a subject, by id. Those that nobody can find any more (their key is gone) are left out.
SELECT id::VARCHAR AS id, bucket, key, bytes, purge_started IS NOT NULL AS started, purged IS NOT NULL AS purged,
    legal_holds > 0 AS held, stored IS NOT NULL AS stored
FROM clips WHERE {subject} AND key IS NOT NULL AND id > $after::UUID ORDER BY id LIMIT $limit;

-- name: believed
-- Clips of a subject that the store should have, at most so many, spread over the time in which they came there.
SELECT bucket, key, stored FROM (
    SELECT bucket, key, stored, row_number() OVER (ORDER BY stored, id) - 1 AS place, count(*) OVER () AS every FROM clips
    WHERE {subject} AND key IS NOT NULL AND stored IS NOT NULL AND missing IS NULL AND purge_started IS NULL AND purged IS NULL)
WHERE place = 0 OR place * $most // every > (place - 1) * $most // every ORDER BY stored;

-- name: neighbours
-- Other clips that the store should have, those first that came there at nearly the same time: of others, and of the subject.
SELECT bucket, key FROM (
    SELECT bucket, key, row_number() OVER (
        PARTITION BY ({subject}) IS TRUE ORDER BY abs(epoch_us(stored) - epoch_us($stored::TIMESTAMPTZ)), id) AS place
    FROM clips WHERE bucket = $bucket AND key IS NOT NULL AND key <> $key AND stored IS NOT NULL AND missing IS NULL
        AND purge_started IS NULL AND purged IS NULL)
WHERE place <= 8;

-- name: ids
-- The next ids of a subject's clips, also of those that are gone.
SELECT id::VARCHAR FROM clips WHERE {subject} AND id > $after::UUID ORDER BY id LIMIT $limit;

-- name: reached
-- How far this reading has come.
SELECT max(position) FROM events;

-- name: purged
-- What a request has purged so far.
SELECT count(*), coalesce(sum(bytes), 0)::BIGINT FROM purges WHERE plan = $request AND purged IS NOT NULL;

-- name: registrations
-- Who registered which recording, with which document; and whether that was before the recording, or the actor, was erased.
WITH gone AS (
    SELECT data ->> 'scope' AS scope, data ->> 'target' AS target, max(position) AS position FROM events
    WHERE type = 'SubjectErased' AND (data ->> 'scope' = 'voice' OR (data ->> 'key_destroyed')::BOOLEAN) GROUP BY ALL
)
SELECT subject AS sha256, data ->> 'consent_sha256' AS consent, actor FROM events
WHERE type = 'VoiceRegistered'
    AND NOT EXISTS (FROM gone WHERE scope = 'voice' AND target = events.subject AND gone.position > events.position
        OR scope = 'actor' AND target = events.actor);

-- name: known
-- Whether anything was ever recorded by an actor.
SELECT EXISTS (FROM events WHERE actor = ?);

-- name: actors_named
-- Actors that clips still name so.
SELECT DISTINCT actor_id FROM clips WHERE actor = ?;

-- name: voices
-- Recordings with the names that they were given.
SELECT DISTINCT sha256, name FROM voices WHERE state <> 'erased';

-- name: requests
-- Every erasure that was asked for, with its last outcome.
SELECT asked.subject AS request, asked.data ->> 'scope' AS scope, asked.data ->> 'target' AS target, asked.data ->> 'plan' AS plan,
    asked.time AS asked, asked.position AS position, ended.time AS ended, ended.data AS fact
FROM (SELECT position, subject, data, time FROM events WHERE type = 'ErasureRequested') AS asked
LEFT JOIN (
    SELECT subject, max(position) AS position, arg_max(time, position) AS time, arg_max(data, position) AS data FROM events
    WHERE type = 'SubjectErased' GROUP BY subject) AS ended USING (subject)
ORDER BY asked.time;

-- name: holds
-- The legal holds that keep clips of a subject: how many, and the next day on which somebody looks at one again.
SELECT count(DISTINCT clip), count(DISTINCT hold), min(review) FROM holds
WHERE kind = 'legal' AND released IS NULL AND renewed IS NULL AND clip IN (SELECT id FROM clips WHERE {subject} AND purged IS NULL);

-- name: first_of_actor
-- When a subject first did anything.
SELECT min(time) FROM events WHERE actor = $target;

-- name: first_of_voice
SELECT min(created) FROM clips WHERE voice_sha256 = $target OR emotion_sha256 = $target;

-- name: events
-- The next events that a person recorded, and those that others recorded about their clips.
SELECT position, id::VARCHAR AS id, source, type, subject, time, recorded, actor, version, data, sealed FROM events
WHERE position > $after AND (actor = $target OR subject IN (SELECT id::VARCHAR FROM clips WHERE actor_id = $target))
ORDER BY position LIMIT $limit;

-- name: counted
SELECT count(*) FROM events WHERE actor = $target OR subject IN (SELECT id::VARCHAR FROM clips WHERE actor_id = $target);

-- name: clips_of
-- The next clips of a person, everything that is known of each.
SELECT * FROM clips WHERE actor_id = $target AND id > $after::UUID ORDER BY id LIMIT $limit;

-- name: voices_of
SELECT * FROM voices WHERE actor_id = $target ORDER BY position;
