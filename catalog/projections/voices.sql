-- name: relation
-- Voices, each by its newest registration. The steps are kept as they came.
CREATE TABLE folded.voice_steps (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    kind VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    actor_id VARCHAR NOT NULL,
    bytes BIGINT,
    duration_us BIGINT,
    speech_us BIGINT,
    sample_rate INTEGER,
    channels INTEGER,
    loudness_lufs DOUBLE,
    consent VARCHAR,
    consent_sha256 VARCHAR,
    scope VARCHAR,
    expires TIMESTAMPTZ,
    bucket VARCHAR,
    name VARCHAR,
    key VARCHAR,
    consent_path VARCHAR,
    reason VARCHAR
);
CREATE MACRO voices_at(p, moment := NULL::TIMESTAMPTZ) AS TABLE
SELECT * EXCLUDE (kind, next, reason), CASE
        WHEN erased IS NOT NULL THEN 'erased' WHEN withdrawn IS NOT NULL THEN 'withdrawn'
        WHEN expires <= coalesce(moment, now()) THEN 'expired' ELSE 'registered' END AS state
FROM (
    SELECT sha256, kind, position, time AS registered, name, actor_id, bytes, duration_us, speech_us, sample_rate, channels,
        loudness_lufs, consent, consent_sha256, consent_path, scope, expires, bucket, key, reason,
        max(position) FILTER (kind = 'VoiceRegistered') OVER (PARTITION BY sha256) AS next,
        min(time) FILTER (kind = 'VoiceWithdrawn') OVER later AS withdrawn,
        first_value(CASE kind WHEN 'VoiceWithdrawn' THEN reason END IGNORE NULLS) OVER later AS withdrawal_reason,
        min(time) FILTER (kind = 'SubjectErased') OVER later AS erased
    FROM folded.voice_steps WHERE position <= p
    WINDOW later AS (PARTITION BY sha256 ORDER BY position ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING))
WHERE kind = 'VoiceRegistered' AND position = next;
CREATE VIEW voices AS FROM voices_at(9223372036854775807);

-- name: fold
INSERT INTO catalog.folded.voice_steps BY NAME
SELECT position, time, type AS kind, subject AS sha256, actor AS actor_id,
    unnest(json_transform(data, '{"bytes":"BIGINT","duration_us":"BIGINT","speech_us":"BIGINT","sample_rate":"INTEGER",
        "channels":"INTEGER","loudness_lufs":"DOUBLE","consent":"VARCHAR","consent_sha256":"VARCHAR","scope":"VARCHAR",
        "expires":"TIMESTAMPTZ","bucket":"VARCHAR"}')),
    unnest(json_transform(personal, '{"name":"VARCHAR","key":"VARCHAR","consent_path":"VARCHAR","reason":"VARCHAR"}'))
FROM folding WHERE type IN ('VoiceRegistered', 'VoiceWithdrawn') ORDER BY position;

-- name: comments
COMMENT ON VIEW voices IS 'One row a reference recording that was registered to speak with.';
COMMENT ON COLUMN voices.sha256 IS 'SHA-256 of the recording, hex: the voice''s id.';
COMMENT ON COLUMN voices.position IS 'Place in the log of its newest registration.';
COMMENT ON COLUMN voices.registered IS 'When it was registered, the last time.';
COMMENT ON COLUMN voices.name IS 'Name it was given; NULL once erased.';
COMMENT ON COLUMN voices.actor_id IS 'Opaque id of who registered it.';
COMMENT ON COLUMN voices.bytes IS 'Size of the recording.';
COMMENT ON COLUMN voices.duration_us IS 'Length of the recording, microseconds.';
COMMENT ON COLUMN voices.speech_us IS 'Length of the speech in it, microseconds.';
COMMENT ON COLUMN voices.sample_rate IS 'Samples a second (Hz).';
COMMENT ON COLUMN voices.channels IS 'Channels of the recording.';
COMMENT ON COLUMN voices.loudness_lufs IS 'Integrated loudness (ITU-R BS.1770-4), LUFS.';
COMMENT ON COLUMN voices.consent IS 'What the right to use it rests on: own voice or document.';
COMMENT ON COLUMN voices.consent_sha256 IS 'SHA-256 of the document, hex.';
COMMENT ON COLUMN voices.consent_path IS 'Where the document lies; NULL once erased.';
COMMENT ON COLUMN voices.scope IS 'What the consent covers.';
COMMENT ON COLUMN voices.expires IS 'When the consent ends by itself; NULL when it does not.';
COMMENT ON COLUMN voices.bucket IS 'Bucket of the store.';
COMMENT ON COLUMN voices.key IS 'Key in the bucket; NULL once erased.';
COMMENT ON COLUMN voices.withdrawn IS 'When consent was withdrawn; NULL while it stands.';
COMMENT ON COLUMN voices.withdrawal_reason IS 'Why it was withdrawn.';
COMMENT ON COLUMN voices.erased IS 'When the recording was erased.';
COMMENT ON COLUMN voices.state IS 'registered, expired, withdrawn or erased.';
