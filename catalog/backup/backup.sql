-- name: events
-- The events of a stretch as the log holds them.
SELECT position, id, source, type, subject, time, recorded, actor, version, data, sealed, digest
FROM log.events WHERE position BETWEEN $first AND $last ORDER BY position;

-- name: digests
-- What the log notes of each event of a stretch.
SELECT position, digest FROM log.events WHERE position BETWEEN $first AND $last ORDER BY position;

-- name: clips
-- The next clips that lie in the store and are not on their way out, by id, with the ETag that the store last gave; an erased one
-- has no key any more.
WITH next AS (
    SELECT id, bucket, key, bytes, sha256 FROM clips
    WHERE id > $after::UUID AND stored IS NOT NULL AND key IS NOT NULL AND purge_started IS NULL AND missing IS NULL
    ORDER BY id LIMIT $limit
), given AS (
    SELECT clip, arg_max(etag, position) AS etag FROM uploads
    WHERE outcome = 'stored' AND clip IN (SELECT id FROM next) GROUP BY clip
)
SELECT next.*, given.etag FROM next LEFT JOIN given ON given.clip = next.id ORDER BY id;

-- name: audio
-- How much audio that is, and how many clips are not in the store yet.
SELECT coalesce(sum(bytes) FILTER (stored IS NOT NULL), 0), count(*) FILTER (stored IS NULL) FROM clips
WHERE key IS NOT NULL AND purge_started IS NULL AND missing IS NULL;

-- name: keys
-- Where these clips belong in the store, and the event that made them. Those that are on their way out, or erased, belong nowhere.
SELECT id, bucket, key, position FROM clips
WHERE id IN (SELECT unnest($ids::UUID[])) AND key IS NOT NULL AND purge_started IS NULL
    AND coalesce(voice_sha256, '') NOT IN (SELECT sha256 FROM voices WHERE state = 'erased')
    AND coalesce(emotion_sha256, '') NOT IN (SELECT sha256 FROM voices WHERE state = 'erased');

-- name: erased_voices
-- Recordings that were erased, and documents that consent to nothing else: those of erased voices, and what only erased people registered.
WITH told AS (
    SELECT position, subject AS sha256, data ->> 'consent_sha256' AS consent, actor FROM events WHERE type = 'VoiceRegistered'
), gone AS (
    SELECT data ->> 'scope' AS scope, data ->> 'target' AS target, max(position) AS position FROM events
    WHERE type = 'SubjectErased' AND (data ->> 'scope' = 'voice' OR (data ->> 'key_destroyed')::BOOLEAN) GROUP BY ALL
), judged AS (
    SELECT told.*, EXISTS (FROM gone WHERE scope = 'voice' AND target = told.sha256 AND gone.position > told.position
        OR scope = 'actor' AND target = told.actor) AS erased FROM told
)
SELECT CASE WHEN bool_and(erased) OVER (PARTITION BY sha256) THEN sha256 END,
    CASE WHEN bool_and(erased) OVER (PARTITION BY consent) THEN consent END
FROM judged;

-- name: between
-- How many events there are in a stretch.
SELECT count(*) FROM log.events WHERE position BETWEEN $first AND $last;

-- name: actors
-- Everybody about whom something is sealed.
SELECT DISTINCT actor FROM log.events WHERE sealed IS NOT NULL;
