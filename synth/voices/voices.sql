-- name: steps
-- Everything that was recorded about voices, and about who was erased, in order.
SELECT position, id::VARCHAR AS id, source, type, subject, time, recorded, actor, version, data, sealed
FROM events WHERE type IN ('VoiceRegistered', 'VoiceWithdrawn', 'SubjectErased') ORDER BY position;

-- name: through
-- How far the log has come.
SELECT coalesce(max(position), 0) FROM events;

-- name: use
-- What was made with a recording, whose audio may have gone meanwhile.
SELECT count(*) AS clips, coalesce(sum(duration_us), 0)::BIGINT AS duration_us FROM clips
WHERE voice_sha256 = $sha256 OR emotion_sha256 = $sha256;

-- name: uses
-- The same for all recordings with which anything was made.
SELECT sha256, count(*) AS clips FROM (
    SELECT voice_sha256 AS sha256 FROM clips WHERE voice_sha256 IS NOT NULL
    UNION ALL
    SELECT emotion_sha256 FROM clips WHERE emotion_sha256 IS NOT NULL AND emotion_sha256 IS DISTINCT FROM voice_sha256)
GROUP BY sha256;
